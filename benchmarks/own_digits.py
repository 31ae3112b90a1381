"""How often predict.py is right: drawn and printed digits, on several kinds of picture.

    python benchmarks/own_digits.py [--weights FILE] [--fonts FILE.ttf ...]

Draws each digit in ten hands as pen strokes: splines with round ends, each time a little different
in shape, slant and size. Sets it in the text fonts that come with matplotlib, too. Puts the digits
on plain, ruled and squared paper, and counts what is read correctly. Prints Markdown tables. Takes
about ten minutes.
"""

import argparse
import io
import sys
from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

sys.path.insert(0, str(Path(__file__).parent.parent))
from lab.digits.marks import BLANK
from lab.digits.prepare import WEIGHTS, PictureError, classify, prepare, to_grey
from lab.digits.strokes import read_form, spline
from lab.runs import checkpoints

PENS = (8, 16, 30)  # widths of the stroke on ruled paper, in pixels, for a height of 300

# The ways in which people write each digit, written as in lab/digits/strokes.py.
SHAPES = {
    0: ["55,0 15,20 5,55 30,100 75,90 95,50 80,10 50,0",
        "80,12 40,0 5,40 20,95 70,98 90,55 65,5"],
    1: ["50,0 50,50 50,100",
        "25,25 40,14 55,0|55,0 53,50 50,100",
        "60,0 50,50 40,100",
        "25,25 40,14 55,0|55,0 55,100|25,100 85,100"],
    2: ["10,25 30,2 75,5 80,35 45,70 10,98|10,98 50,97 90,98",
        "10,20 45,0 80,25 50,70 15,95 20,78 45,88 90,98"],
    3: ["10,10 50,0 85,20 50,45|50,45 90,65 65,100 5,90",
        "15,2 85,2|85,2 40,42|40,42 85,60 70,98 8,92"],
    4: ["60,0 35,35 8,68|8,68 92,66|68,38 66,100",
        "20,0 15,48|15,48 85,48|75,5 72,100",
        "65,0 8,70|8,70 92,70|65,0 65,100"],
    5: ["85,2 25,3|25,3 18,42|18,42 60,36 90,65 65,98 8,92",
        "25,2 20,45|20,45 70,40 85,75 45,100 8,88|25,2 88,0"],
    6: ["70,0 30,25 8,65 30,98 75,92 82,65 45,52 12,70",
        "80,5 35,15 10,60 40,100 85,75 55,50 15,68"],
    7: ["8,3 90,3|90,3 55,45 38,100",
        "8,3 90,3|90,3 35,100|30,50 78,50",
        "8,18 10,3|10,3 90,2|90,2 60,40 45,100"],
    8: ["75,12 40,0 20,25 55,48 85,75 50,100 15,78 45,50 80,22 75,12",
        "50,48 18,25 50,0 82,25 50,48|50,48 10,75 50,100 90,75 50,48"],
    9: ["85,15 45,0 12,28 40,52 80,35 85,12|85,12 80,60 70,100",
        "80,20 40,0 15,30 50,50 82,18|82,18 80,75 50,100 15,90"],
}


def write(digit, hand, chance):
    """Yields the strokes of a digit in a hand (a number): (N, 2) arrays of x, y within ±0.5.

    chance: a numpy Generator, which varies shape, slant and width from one drawing to the next.
    """
    habit = np.random.default_rng(hand)  # what all drawings of a hand have in common
    slant, wide = habit.uniform(-0.1, 0.35), habit.uniform(0.5, 0.8)
    shapes = SHAPES[digit]
    slant, wide = slant + chance.normal(0, 0.05), wide * chance.uniform(0.9, 1.1)
    for points in read_form(shapes[(hand + digit) % len(shapes)]):
        points += chance.normal(0, 0.025, points.shape)
        x, y = points.T
        yield spline(np.stack([wide * (x - 0.5) + slant * (0.5 - y), y - 0.5], axis=1), steps=25)


def draw(digit, hand, pen, chance):
    """A mask (L, 800x800) of a digit in a hand, 300 pixels tall, its stroke `pen` pixels wide."""
    height, scale = 300, 2  # drawn twice as large, for smooth edges
    image = Image.new("L", (800 * scale, 800 * scale))
    canvas = ImageDraw.Draw(image)
    radius = pen * scale / 2
    for curve in write(digit, hand, chance):
        line = (400 + height * curve) * scale
        for x, y in line:
            canvas.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
        canvas.line([tuple(point) for point in line], fill=255, width=round(pen * scale))
    return image.reduce(scale)


def print_digit(digit, font):
    """A mask (L, 800x800) of a digit in the font file `font`, at a size of 300 pixels."""
    image = Image.new("L", (800, 800))
    ImageDraw.Draw(image).text((400, 400), str(digit), 255, ImageFont.truetype(font, 300), "mm")
    return image


def screen(mask, chance):
    """Black on white, as on a screen."""
    return ImageOps.invert(mask)


def scan(mask, chance):
    """A scan: grey ink, paper that is not quite white, a little noise."""
    grey = 245 - 160 / 255 * np.asarray(mask) + chance.normal(0, 3, mask.size[::-1])
    return Image.fromarray(np.uint8(np.clip(grey, 0, 255)))


def chalk(mask, chance):
    """Light strokes on a dark ground: the negative of a scan."""
    return ImageOps.invert(scan(mask, chance))


def photo(mask, chance):
    """A photo: askew, lit from one side, with a soft shadow, specks, noise and JPEG's losses."""
    mask = mask.rotate(chance.uniform(-8, 8), Image.Resampling.BICUBIC)
    size = tuple(chance.integers(800, 1600, 2).tolist())
    sheet = Image.new("L", size)
    sheet.paste(mask, tuple(chance.integers(-150, np.array(size) - 650).tolist()))
    for x, y in chance.uniform(0, size, (12, 2)):  # specks of dust
        ImageDraw.Draw(sheet).ellipse([x, y, x + 4, y + 3], fill=150)
    y, x = np.mgrid[-1:1:size[1] * 1j, -1:1:size[0] * 1j]
    along, across = (np.cos(a) * x + np.sin(a) * y for a in chance.uniform(0, 2 * np.pi, 2))
    light = 160 + 35 * along
    light *= 1 - 0.3 / (1 + np.exp(-25 * (across - chance.uniform(-0.5, 0.5))))
    grey = light * (1 - 0.6 * np.asarray(sheet) / 255) + chance.normal(0, 7, light.shape)
    Image.fromarray(np.uint8(np.clip(grey, 0, 255))).save(file := io.BytesIO(), "JPEG", quality=75)
    return Image.open(file)


def rule(mask, chance, squared, strength):
    """A mask (L) of a digit on ruled paper (lines 8 mm apart) or squared paper (5 mm), a bit askew.

    The digit is 7 to 18 mm tall. strength: darkness of the lines, as a fraction of the ink's.
    """
    millimetre = 300 / chance.uniform(7, 18)  # in pixels
    spacing = (5 if squared else 8) * millimetre
    width = max(2, round(chance.uniform(0.15, 0.25) * millimetre))
    sheet = mask.copy()
    for down in (False, True)[:1 + squared]:
        for at in np.arange(chance.uniform(0, spacing), 800, spacing):
            line = [(at, 0), (at, 800)] if down else [(0, at), (800, at)]
            paper = Image.new("L", mask.size)
            ImageDraw.Draw(paper).line(line, round(255 * strength), width)
            sheet = ImageChops.lighter(sheet, paper)
    edge = int(chance.integers(130, 190))  # the picture shows the digit and some of the paper
    return sheet.rotate(chance.uniform(-5, 5), Image.Resampling.BICUBIC).crop(
        (edge, edge, 800 - edge, 800 - edge))


def shade(chance):
    """A photo of an empty sheet with a shadow, its edge soft or sharp."""
    width, height = chance.integers(600, 1400, 2)
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    along, across = (np.cos(a) * x + np.sin(a) * y for a in chance.uniform(0, 2 * np.pi, 2))
    steep, dark = chance.choice([10, 25, 60, 200]), chance.uniform(0.2, 0.6)
    light = 170 + 35 * along
    light *= 1 - dark / (1 + np.exp(-steep * (across - chance.uniform(-0.5, 0.5))))
    grey = light + chance.normal(0, chance.uniform(0, 10), light.shape)
    return Image.fromarray(np.uint8(np.clip(grey, 0, 255)))


def read(net, picture):
    """The digit that the net reads on a picture, or the error message if there is none."""
    try:
        prepared = prepare(to_grey(picture))
    except PictureError as error:
        return str(error)
    return int(classify(net, prepared).argmax())


def count(answers, wrong):
    """How many (digit, answer) pairs are right. Counts the others in `wrong`, a Counter."""
    wrong.update(pair for pair in answers if pair[0] != pair[1])
    return sum(digit == answer for digit, answer in answers)


def print_row(net, name, masks, wrong):
    """A row of the first table: `masks`, (digit, mask) pairs, on plain paper."""
    cells = []
    for way in (screen, scan, photo):
        chance = np.random.default_rng(0)
        answers = [(digit, read(net, way(mask, chance))) for digit, mask in masks]
        cells.append(f"{100 * count(answers, wrong) / len(answers):.1f} %")
    print(f"| {name} | {len(masks)} | {' | '.join(cells)} |")


def compare_digits(net, fonts, wrong):
    """Prints the first table: drawn digits and fonts, on plain paper."""
    print("| digits | pictures each | on screen | scanned | photographed |")
    print("|---|---:|---:|---:|---:|")
    for pen in (3, 8, 16, 30, 50):
        chance = np.random.default_rng(1)
        masks = [(digit, draw(digit, hand, pen, chance))
                 for hand in range(10) for digit in range(10) for _ in range(2)]
        print_row(net, f"drawn, line {pen / 3:.0f} % of the height", masks, wrong)
    for font in fonts:
        masks = [(digit, print_digit(digit, font)) for digit in range(10)]
        print_row(net, font.stem, masks, wrong)


def compare_papers(net, wrong):
    """Prints the second table: drawn digits on ruled and squared paper."""
    print("\n| 100 drawn digits each, scanned | dark on light paper | light on dark paper |")
    print("|---|---:|---:|")
    for squared in (False, True):
        for name, strength in (("light", 0.3), ("middling", 0.6), ("dark", 0.9)):
            cells = []
            for ground in (scan, chalk):
                chance = np.random.default_rng(2)
                answers = [(digit, read(net, ground(rule(
                    draw(digit, hand, PENS[(hand + digit) % 3], chance), chance, squared, strength),
                    chance))) for hand in range(10) for digit in range(10)]
                cells.append(count(answers, wrong))
            kind = "squared" if squared else "ruled"
            print(f"| {kind}, {name} lines | {cells[0]} | {cells[1]} |")


def main():
    ttf = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ttf / f"{name}.ttf" for name in (
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
        "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10")]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    parser.add_argument("--fonts", nargs="+", type=Path, default=fonts, metavar="FILE",
                        help="use these fonts instead of matplotlib's")
    args = parser.parse_args()
    net, wrong = checkpoints.read_net(args.weights), Counter()
    compare_digits(net, args.fonts, wrong)
    compare_papers(net, wrong)
    chance = np.random.default_rng(4)
    blank = sum(read(net, shade(chance)) == BLANK for _ in range(40))
    print(f"\nempty sheets with a shadow that are called blank: {blank} of 40")
    print("\nmost frequent confusions: " + ", ".join(
        f"{digit} read as {answer} ({n})" for (digit, answer), n in wrong.most_common(8)))


if __name__ == "__main__":
    main()
