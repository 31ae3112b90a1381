"""A picture -> what NIST would have made of the digit on it -> what a net takes it for."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

from dataset import SIDE, make_transform
from lab.ink import find_ink, is_edge

WEIGHTS = Path(__file__).parents[1] / "logs" / "report" / "lenet_record-seed0.pt"
MAX_BYTES = 200_000_000  # of a file; Pillow's own limit on pixels, 89 million, holds as well
WORK = 640  # pixels along the longer edge of what larger pictures are reduced to
BOX = 20  # NIST's digits fit a box of 20x20 pixels ...
CENTRE = 14  # ... and have their centre of mass on this pixel (measured: 14.0 ± 0.3)
STROKE = (2.0, 3.7)  # pixels: MNIST's, from the lower quartile to the 95th percentile
SPECK = 1 / 24  # of the longer edge; what is shorter, with one pixel in 128 around it, is no digit
# Of 6,000 training digits 37 are in pieces, 44 of them beside the heaviest ...
PIECE = 1 / 12  # ... of whose ink 33 have less, most of them no more than a few pixels ...
MARK = 1 / 3  # ... and of whose length 10 have more: so much can be a digit beside a digit
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


def keep_digit(ink, page):
    """Erases specks, and edges and shadows that run in from the border. (H, W) -> (H, W).

    Raises PictureError if nothing is left, or several marks.
    """
    edge = max(ink.shape)
    reach = -(-edge // 128)  # around the ink, so that a stroke's small gaps close
    labels, count = ndimage.label(ndimage.maximum_filter(ink > 0.5, 2 * reach + 1))
    numbers, boxes = np.arange(1, count + 1), ndimage.find_objects(labels)  # connected regions
    lengths = np.array([max(side.stop - side.start for side in box) for box in boxes])
    amounts = ndimage.sum_labels(ink, labels, numbers)
    inner = ~np.isin(numbers, [labels[0], labels[-1]]) & ~np.isin(numbers, labels[:, [0, -1]])
    parts = lengths >= SPECK * edge
    for i in np.flatnonzero(parts):
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in boxes[i])
        alone = ink[around] * (labels[around] == numbers[i])
        parts[i] = not is_edge(alone, page[around], reach)
    if not parts.any():
        raise PictureError(BLANK)
    # What touches the border is the digit only if nothing else is large enough to be one.
    large = (lengths > 2 * SPECK * edge) | (amounts > PIECE * amounts[parts].max())
    if (parts & inner & large).any():
        parts &= inner
    parts &= amounts > PIECE * amounts[parts].max()
    longest = lengths[parts].max()
    marks = numbers[parts & (lengths > MARK * longest)]
    if len(marks) > 1:
        gaps = ndimage.distance_transform_edt(~np.isin(labels, marks)) + reach
        _, count = ndimage.label(gaps < GAP * longest / 2)
        if count > 1:
            raise PictureError(f"{count} separate marks; one digit a picture, please")
    return ink * np.isin(labels, numbers[parts])


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


@torch.inference_mode()
def classify(net, picture):
    """Probabilities (10,) of the digits 0 to 9 for a picture (L, 28x28)."""
    image = torch.from_numpy(np.array(picture)).reshape(1, 1, SIDE, SIDE)
    return net(make_transform(net.image_size)(image)).softmax(1)[0]
