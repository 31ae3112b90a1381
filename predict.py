"""Reads digits from your own pictures: photos, scans, drawings; one digit a picture.

    python predict.py photo.png scan.jpg       a line a file: 7  (99.2 %, then 1 with 0.5 %)
    python predict.py photo.png --show         also writes photo.png.mnist.png, what the net saw
    python predict.py photo.png --weights checkpoints/lenet-seed0.pt

The net knows digits as NIST prepared them: white on black, 20 pixels tall, their centre of mass
in the middle. `prepare` makes the same of a picture; without that, nets fail on photos. Leave some
empty paper around the digit. The README says how far the answers can be trusted.
"""

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

import command
import model
import runs
from command import RunError
from dataset import SIDE, make_transform

WEIGHTS = Path(__file__).parent / "logs" / "report" / "lenet_record-seed0.pt"
MAX_BYTES = 200_000_000  # of a file; Pillow's own limit on pixels, 89 million, holds as well
WORK = 640  # pixels along the longer edge of what larger pictures are reduced to
BOX = 20  # NIST's digits fit a box of 20x20 pixels ...
CENTRE = 14  # ... and have their centre of mass on this pixel (measured: 14.0 ± 0.3)
STROKE = (2.0, 3.7)  # pixels: MNIST's, from the lower quartile to the 95th percentile
FAINT = 20 / 255  # what differs from the paper by less, as a fraction of its light, is not ink
SPECK = 1 / 24  # of the longer edge; what is shorter, with one pixel in 128 around it, is no digit
GAP = 0.2  # of the longest mark; nearer is the same digit (lost: 3 of 6,000 training digits)
BLANK = "blank, or too faint or too small to read"


class PictureError(Exception):
    """A picture cannot be read, or there is nothing on it. The message is one line."""


def read_picture(path):
    """A file's picture: upright, grey (mode L), at most WORK pixels long. Raises PictureError."""
    try:
        if not path.is_file():
            raise PictureError("not a file" if path.exists() else "no such file")
        size = path.stat().st_size
        if size == 0:
            raise PictureError("an empty file")
        if size > MAX_BYTES:
            raise PictureError(f"{size:,} bytes, too large (at most {MAX_BYTES:,})")
    except OSError as error:
        raise PictureError(f"not readable ({error.strerror})") from None
    return decode(path)


def decode(file):
    """The picture in a path or file object: upright, grey (mode L), at most WORK pixels long.

    Raises PictureError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow warns of too many pixels before it decodes any; twice as many are an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                image.draft("L", (WORK, WORK))  # a JPEG decodes smaller and faster
                ImageOps.exif_transpose(image, in_place=True)
                return to_grey(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(f"too many pixels (at most {Image.MAX_IMAGE_PIXELS:,})") from None
    except Image.UnidentifiedImageError:
        raise PictureError("not an image") from None
    except Exception as error:  # Pillow's plugins raise almost anything on broken input
        words = " ".join(str(error).split())
        raise PictureError(f"not readable ({type(error).__name__}: {words})") from None


def to_grey(image):
    """Any mode -> L, transparency over white, reduced to WORK pixels along the longer edge."""
    if image.mode[0] in "IF":  # 16 or 32 bits: only the contrast matters, so stretch it to 8
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        values -= values.min()
        image = Image.fromarray(np.uint8(values * (255 / max(values.max(), 1))))
    # Reducing comes before compositing, to save memory; Pillow weighs colours by their opacity.
    transparent = image.has_transparency_data
    image = image.convert("RGBA" if transparent else "L")
    image.thumbnail((WORK, WORK), Image.Resampling.BOX)
    if transparent:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("L")
    return image


def prepare(image):
    """A grey picture of one digit (mode L) -> what NIST would have made of it (L, 28x28).

    Raises PictureError if the picture is blank. One that looks like MNIST's passes unchanged.
    """
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    # One percent of MNIST's digits touch the border somewhere: most of it has to be black.
    if pixels.shape == (SIDE, SIDE) and np.mean(border == 0) > 0.75 and pixels.any():
        return image
    ink = keep_digit(*find_ink(image))
    return place(fit(ink))


def find_ink(image):
    """How much ink is where, from 0 (paper) to 1; and the page without ruling, dark where inked.

    Both float (H, W).
    """
    pixels = np.asarray(image, dtype=float)
    small = image.copy()
    small.thumbnail((96, 96), Image.Resampling.BOX)
    small = np.asarray(small, dtype=float)
    # Strokes differ more from their surroundings than the paper does, so the differences are
    # skewed towards the ink. A shadow or light from one side makes about as many up as down, if
    # the border goes on ("nearest"): mirrored, it took 4 of 200 fine digits for light ink.
    around = ndimage.gaussian_filter(small, max(small.shape) / 8, mode="nearest")
    light = np.mean((pixels - enlarge(around, image.size)) ** 3) < 0
    if max(image.size) > 200:  # large enough not to lose anything but noise
        pixels = ndimage.gaussian_filter(pixels, 1)
    if not light:
        pixels, small = 255 - pixels, 255 - small
    # The paper, without the digit: closing erases all that is dark and narrower than the window
    # and keeps slow changes of light, even the edge of a shadow.
    small = ndimage.gaussian_filter(ndimage.grey_closing(small, max(small.shape) // 6 | 1), 1)
    paper = np.maximum(enlarge(small, image.size), 1)
    # Where less light falls on paper, dark ink differs less from it, in proportion.
    scale = paper if light else 255
    ink = (paper - pixels) / scale
    for axis in (ink, ink.T):
        erase_lines(axis)
    page = paper - ink * scale
    # Noise lifts the closing above the paper. Its level and standard deviation come from the
    # lowest quarter, which is paper even where a fat digit fills the picture; 0.67 and 1.64 are
    # those percentiles of a normal distribution.
    lowest, low = np.percentile(ink, [5, 25])
    noise = (low - lowest) / (1.64 - 0.67)
    level = low + 0.67 * noise
    floor = level + max(5 * noise, FAINT)
    inked = ink[ink > floor]
    if not len(inked):
        raise PictureError(BLANK)
    full = np.percentile(inked, 90)
    low, high = max(floor, level + 0.15 * (full - level)), full
    return np.clip((ink - low) / (high - low), 0, 1), page


def enlarge(values, size):
    """(h, w) -> (H, W), smoothly; `size` is (W, H), as Pillow has it."""
    return np.asarray(Image.fromarray(np.float32(values)).resize(size))


def erase_lines(ink):
    """Takes ruling out of (H, W), in place: lines from left to right, straight, evenly spaced.

    What is clearly darker than a line stays; the rest of it becomes what is above and below it, so
    that strokes that cross it go on.
    """
    height, width = ink.shape
    if not (ink[:, [0, -1]] > FAINT).any(0).all():
        return  # nothing runs through
    columns = np.linspace(0, width - 1, 48).astype(int)
    slopes = np.tan(np.radians(np.arange(-10, 10.5, 0.5)))
    shifts = np.round(slopes[:, None] * (columns - width / 2)).astype(int)
    reach = abs(shifts).max()
    thick = ndimage.maximum_filter1d(ink[:, columns], 3, axis=0)
    thick = np.pad(thick, [(reach, reach), (0, 0)])
    rows = np.arange(height)[:, None] + reach + shifts[:, None]  # (slopes, H, columns)
    values = thick[rows, np.arange(len(columns))]
    profiles = np.partition(values, 14, axis=2)[..., 14]
    best = profiles.std(1).argmax()
    slope, profile = slopes[best], profiles[best]
    base = np.median(profile)
    spread = 1.5 * np.median(abs(profile - base))
    labels, count = ndimage.label(profile > base + max(6 * spread, FAINT / 2))
    if count < 2:
        return
    numbers = range(1, count + 1)
    centres = np.array(ndimage.center_of_mass(profile, labels, numbers))[:, 0]
    thicknesses = np.bincount(labels)[1:]
    gaps = np.diff(centres) / np.diff(centres).min()
    if thicknesses.max() > height / 25 + 3 or abs(gaps - np.round(gaps)).max() > 0.2:
        return
    x = np.arange(width)
    for centre, thickness in zip(centres, thicknesses, strict=True):
        level = profile[round(centre)]
        size = int(thickness) + 3
        top = np.round(centre + slope * (x - width / 2) - size / 2).astype(int)
        rows = np.clip(top + np.arange(size + 1)[:, None], 0, height - 1)
        weight = np.linspace(0, 1, size + 1)[:, None]
        filled = (1 - weight) * ink[rows[0], x] + weight * ink[rows[-1], x]
        ink[rows, x] = np.where(ink[rows, x] > 1.6 * level, ink[rows, x],
                                np.minimum(ink[rows, x], filled))


def is_edge(ink, page, reach):
    """Whether a region of ink is no more than an edge of light on the page. Both (H, W).

    Closing fills a stroke, which has paper on both of its sides, and leaves an edge as it is.
    """
    inked = ink > 0.5
    width = 2 * int(ndimage.distance_transform_edt(inked).max()) + 2 * reach + 1
    filled = ndimage.grey_closing(page, width, mode="nearest")
    around = ndimage.maximum_filter(inked, 4 * reach + 1) & ~inked
    depth = 1 - page / np.maximum(filled, 1)  # noise, too, is filled: on the paper around as here
    return np.median(depth[inked]) - np.median(depth[around]) < FAINT


def keep_digit(ink, page):
    """Erases specks, and edges and shadows that run in from the border. (H, W) -> (H, W).

    Raises PictureError if nothing is left, or several marks.
    """
    edge = max(ink.shape)
    reach = -(-edge // 128)  # around the ink, so that a stroke's small gaps close
    labels, count = ndimage.label(ndimage.maximum_filter(ink > 0.5, 2 * reach + 1))
    amounts = ndimage.sum_labels(ink, labels, range(1, count + 1))
    inner, outer = [], []  # connected regions of ink, off and on the border: (length, ink, label)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        length = max(side.stop - side.start for side in box)
        touches = any(side.start == 0 or side.stop == whole
                      for side, whole in zip(box, ink.shape, strict=True))
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        alone = ink[around] * (labels[around] == number)
        if length >= SPECK * edge and not is_edge(alone, page[around], reach):
            (outer if touches else inner).append((length, amounts[number - 1], number))
    parts = inner + outer
    if not parts:
        raise PictureError(BLANK)
    # What touches the border is the digit only if nothing else is large enough to be one.
    heaviest = max(amount for _, amount, _ in parts)
    if any(length > edge / 12 or amount > heaviest / 10 for length, amount, _ in inner):
        parts = inner
        heaviest = max(amount for _, amount, _ in parts)
    kept = {number: length for length, amount, number in parts if amount > heaviest / 12}
    longest = max(kept.values())
    marks = [number for number, length in kept.items() if length > longest / 3]
    if len(marks) > 1:
        gaps = ndimage.distance_transform_edt(~np.isin(labels, marks)) + reach
        _, count = ndimage.label(gaps < GAP * longest / 2)
        if count > 1:
            raise PictureError(f"{count} separate marks; one digit a picture, please")
    return ink * np.isin(labels, list(kept))


def fit(ink):
    """Crops to the ink, makes thin strokes and fat ones MNIST's, and scales to the box of 20x20.

    (H, W) -> (h, w), the longer edge BOX.
    """
    fine = 8  # work at eight times the resolution
    glyph = np.pad(crop(ink, BOX * fine), 4 * fine)  # room to grow
    across, down = np.gradient(glyph)
    # A line's area is its width times its length, its outline twice its length.
    stroke = 2 * glyph.sum() / np.hypot(across, down).sum() / fine
    wanted = min(max(stroke, STROKE[0]), STROKE[1])
    # The whole grows with its strokes: (stroke + change) * BOX / (BOX + change) = wanted
    change = BOX * (wanted - stroke) / (BOX - wanted)
    grow = ndimage.maximum_filter if change > 0 else ndimage.minimum_filter
    return crop(grow(glyph, 2 * round(abs(change) * fine / 2) + 1), BOX)


def crop(ink, longer):
    """The part with ink in it, scaled so that its longer edge has `longer` pixels."""
    rows, columns = np.nonzero(ink > 0.2)
    part = ink[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
    scale = longer / max(part.shape)
    size = [max(1, round(edge * scale)) for edge in part.shape[::-1]]
    resample = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
    scaled = Image.fromarray(np.float32(part)).resize(size, resample)
    return np.clip(np.asarray(scaled, dtype=float), 0, 1)


def place(glyph):
    """(h, w) -> a picture (L, 28x28) with the centre of mass in the middle."""
    canvas = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (min(max(round(CENTRE - centre), 0), SIDE - edge)
                 for centre, edge in zip(ndimage.center_of_mass(glyph), glyph.shape, strict=True))
    canvas[top:top + glyph.shape[0], left:left + glyph.shape[1]] = np.round(255 * glyph)
    return Image.fromarray(canvas)


def load_net(path):
    """The net of a checkpoint of main.py, ready to predict. Raises RunError."""
    if not path.is_file():
        raise RunError(f"{path}: no such file")
    with runs.blaming(path):
        return model.load_net(runs.load_checkpoint(path))


@torch.inference_mode()
def classify(net, picture):
    """Probabilities (10,) of the digits 0 to 9 for a picture (L, 28x28)."""
    image = torch.from_numpy(np.array(picture)).reshape(1, 1, SIDE, SIDE)
    return net(make_transform(net.image_size)(image)).softmax(1)[0]


def parse(argv):
    parser = command.Parser("predict.py", __doc__)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE",
                        help="any image format, one digit each")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: the report's lenet_record")
    parser.add_argument("--show", action="store_true",
                        help="write what the net saw beside each picture: <file>.mnist.png")
    return parser.parse_args(argv)


def execute(argv):
    """Reads the pictures of a command line; returns the exit status: 1 if any of them failed."""
    args, status = parse(argv), 0
    net = load_net(args.weights)
    for path in args.pictures:
        try:
            picture = prepare(read_picture(path))
            (first, second), (digit, other) = (
                values.tolist() for values in classify(net, picture).topk(2))
            print(f"{path}: {digit}  ({100 * first:.1f} %, then {other} with {100 * second:.1f} %)")
            if args.show:
                picture.save(buffer := io.BytesIO(), "PNG")
                shown = path.with_name(path.name + ".mnist.png")
                command.write_atomically(shown, buffer.getvalue())
        except (PictureError, RunError) as error:
            fault = f"{path}: {error}" if isinstance(error, PictureError) else error
            print(f"predict.py: {fault}", file=sys.stderr)
            status = 1
    return status


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.run("predict.py", execute, argv, RunError)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold any byte
    command.start(main)
