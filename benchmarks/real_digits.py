"""How often predict.py is right about digits that people really wrote, drew or photographed.

    python benchmarks/real_digits.py FOLDER [--weights FILE]      takes some minutes

Reads every file `<hand><number>_<label>.<ending>` below FOLDER, and prints a row a hand (the
letters before the number, or the folder's name where there are none, as in the `drawn/` that
draw.py keeps) as Markdown. A label is a digit, or `several`, which is right if the
picture is refused. Beside it stands the naive way: grey, inverted if the border is light, resized
to 28x28, one look of the same net.

Then it pastes pairs of these digits on larger sheets, and counts how many are read as one digit.
At last, it lays pictures that are read right on a table, and counts how many still are.
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parent.parent))
from dataset import SIDE, Transform
from lab.digits.ink import border
from lab.digits.prepare import WEIGHTS, WORK, PictureError, classify, prepare, read_picture
from lab.runs import checkpoints

NAME = re.compile(r"([a-z]*)\d*_(\d|several)\.[^.]+")
SHEET = 1000  # pixels along each edge
SIZES = (0.05, 0.06, 0.08, 0.11)  # of a digit on the sheet
PAIRS = 90  # of each size
MARGINS, TURNS = (0.05, 0.1, 0.2, 0.4), (0, 2, 10, 30)  # of the longer edge; degrees, either way
GROUNDS = (0, 60, 120, 180, 255, "wood")  # tones; those too near to the paper's are left out
NEAR = 50  # of 255
FARTHER = 0.85  # length of the upper side in perspective, of the lower one's
LAID = 400  # pixels along a laid picture's longer edge
TABLES = 25  # of each margin and turn


def answer(net, image):
    """What predict.py reads on a picture (mode L), as a word: a digit, or "several" if refused."""
    try:
        return str(int(classify(net, prepare(image)).argmax()))
    except PictureError:
        return "several"


@torch.inference_mode()
def answer_naively(net, image):
    """What one look at the picture gives that is inverted if its border is light, and resized."""
    light = np.mean(border(np.asarray(image))) > 127
    image = (ImageOps.invert(image) if light else image).resize((SIDE, SIDE))
    images = torch.from_numpy(np.array(image)).reshape(1, 1, SIDE, SIDE)
    return str(int(net(Transform(net.image_size)(images)).argmax()))


def print_hands(net, pictures):
    """The first table. pictures: [(hand, label, picture in mode L), ...].

    Returns those (label, picture) that are digits and read right.
    """
    print("| hand | n | right | wrong | refused | naive: right |\n|---|---:|---:|---:|---:|---:|")
    rows = defaultdict(lambda: np.zeros(5, dtype=int))
    known = []
    for hand, label, image in pictures:
        read, naive = answer(net, image), answer_naively(net, image)
        right, refused = read == label, read == "several" != label
        row = 1, right, not right and not refused, refused, naive == label
        rows["several" if label == "several" else hand] += row
        if right and label != "several":
            known.append((label, image))
    several = rows.pop("several", None)
    for hand, row in [*sorted(rows.items()), ("all", sum(rows.values(), np.zeros(5, dtype=int)))]:
        print(f"| {hand} | {' | '.join(map(str, row))} |")
    if several is not None:
        print(f"\nof {several[0]} pictures of several digits, {several[1]} are refused")
    return known


def cut_out(image):
    """The digit of a picture alone, as a mask (L); None if blank or on paper of several tones."""
    pixels = np.asarray(image, dtype=float)
    differs = np.abs(pixels - np.median(border(pixels)))
    if not differs.any() or border(differs).max() > 0.2 * differs.max():
        return None
    mask = Image.fromarray(np.uint8(255 * differs / differs.max()))
    return mask.crop(mask.point(lambda value: value > 64 and 255).getbbox())


def paste_pair(masks, size, chance):
    """A white sheet (L) with two of the masks side by side, `size` pixels tall or wide each."""
    pair = []
    for which in chance.choice(len(masks), 2, replace=False):
        mask, scale = masks[which], size / max(masks[which].size)
        pair.append(mask.resize([max(1, round(edge * scale)) for edge in mask.size]))
    gap = chance.uniform(0.4, 1.5) * size
    left, top = chance.uniform(0.05, 0.95, 2) * (SHEET - 2 * size - gap, SHEET - size)
    sheet = Image.new("L", (SHEET, SHEET), 255)
    sheet.paste(0, (round(left), round(top)), pair[0])
    sheet.paste(0, (round(left + gap) + pair[0].width, round(top)), pair[1])
    return sheet


def print_pairs(net, masks):
    """The second table."""
    print(f"\n| {PAIRS} pairs each, on a sheet of {SHEET}x{SHEET} | read as one |\n|---|---:|")
    for size in SIZES:
        chance = np.random.default_rng(0)
        sheets = [paste_pair(masks, size * SHEET, chance) for _ in range(PAIRS)]
        one = sum(answer(net, sheet) != "several" for sheet in sheets)
        print(f"| digits {size:.0%} of its edge | {one} |")


def wood(width, height, chance):
    """A wood grain (L): wavy stripes of about 60 to 160 of 255."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = sum(chance.uniform(0.01, 0.04) * np.sin(2 * np.pi * (each * x + chance.uniform()))
                for each in (1, 2, 3))
    grain = sum(np.sin(2 * np.pi * (each * (y + waves) + chance.uniform()))
                for each in (7, 17, 41, 97))
    grey = 110 + 14 * grain + chance.normal(0, 4, grain.shape)
    return Image.fromarray(np.uint8(grey.clip(0, 255)))


def lay_out(image, margin, turn, chance):
    """The picture (L) as a sheet on a ground, turned by so many degrees, half of them farther away.

    margin: of the sheet's longer edge, on each side of the turned sheet.
    """
    scale = LAID / max(image.size)
    image = image.resize([max(1, round(edge * scale)) for edge in image.size],
                         Image.Resampling.BICUBIC)
    width, height = image.size
    flat = np.array([[0, 0], [0, height], [width, height], [width, 0]])
    far = chance.choice([1, FARTHER])
    corners = (flat - flat.mean(0)) * np.array([far, 1, 1, far])[:, None]
    angle = np.radians(turn * chance.choice([-1, 1]))
    corners = corners @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    corners -= corners.min(0) - margin * LAID
    size = np.ceil(corners.max(0) + margin * LAID).astype(int).tolist()
    # Pillow wants x = (a X + b Y + c) / (g X + h Y + 1), and y with d, e and f. X, Y: on the table.
    rows, wanted = [], flat.ravel()
    for (to_x, to_y), (x, y) in zip(corners, flat, strict=True):
        rows += [[to_x, to_y, 1, 0, 0, 0, -x * to_x, -x * to_y],
                 [0, 0, 0, to_x, to_y, 1, -y * to_x, -y * to_y]]
    way = Image.Transform.PERSPECTIVE, np.linalg.solve(rows, wanted), Image.Resampling.BICUBIC
    paper = np.median(border(np.asarray(image)))
    grounds = [ground for ground in GROUNDS if ground == "wood" or abs(ground - paper) >= NEAR]
    ground = grounds[chance.integers(len(grounds))]
    table = wood(*size, chance) if ground == "wood" else Image.new("L", size, ground)
    table.paste(image.transform(size, *way),
                mask=Image.new("L", image.size, 255).transform(size, *way))
    table.thumbnail((WORK, WORK))
    return table


def print_tables(net, known):
    """The third table. known: [(label, picture), ...], which are read right without a table."""
    print(f"\n| {TABLES} sheets on a table each, right, wrong, refused |"
          + "".join(f" turned by {turn}° |" for turn in TURNS) + "\n|---|" + "---:|" * len(TURNS))
    chance, total = np.random.default_rng(0), np.zeros(3, dtype=int)
    for margin in MARGINS:
        cells = []
        for turn in TURNS:
            counts = np.zeros(3, dtype=int)
            for label, image in (known[i] for i in chance.integers(len(known), size=TABLES)):
                read = answer(net, lay_out(image, margin, turn, chance))
                counts += read == label, read not in (label, "several"), read == "several"
            cells.append(", ".join(map(str, counts)))
            total += counts
        print(f"| margin of {margin:.0%} | {' | '.join(cells)} |")
    print(f"\nof {total.sum()} sheets on a table, {total[0]} are right, {total[1]} wrong and "
          f"{total[2]} refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    args = parser.parse_args()
    named = [(NAME.fullmatch(path.name), path) for path in sorted(args.folder.rglob("*_*.*"))]
    pictures = [(name[1] or path.resolve().parent.name, name[2], read_picture(path))
                for name, path in named if name]
    if not pictures:
        sys.exit(f"real_digits.py: {args.folder}: no picture <hand><number>_<label>.<ending>")
    net = checkpoints.read_net(args.weights)
    known = print_hands(net, pictures)
    masks = [cut_out(image) for _, label, image in pictures if label != "several"]
    masks = [mask for mask in masks if mask]
    if len(masks) > 1:
        print_pairs(net, masks)
        if known:
            print_tables(net, known)


if __name__ == "__main__":
    main()
