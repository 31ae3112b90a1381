"""Reads a picture, makes of its digit what NIST would have made, and asks a net which it is.

NIST's digits, and so MNIST's, are white on black and 20 pixels long, with their centre of mass in
the middle of 28x28 pixels. Nets that were trained on them fail on photos without this preparation.
"""

import math
import re
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from scipy import ndimage

from dataset import CLASSES, SIDE, Transform
from lab.digits.ink import FAINT, border, find_ink
from lab.digits.marks import PictureError, keep_digit
from lab.digits.sheet import cut_sheet
from lab.digits.strokes import BOX, CENTRE

WEIGHTS = Path(__file__).parents[2] / "logs" / "report" / "lenet_hands-seed0.pt"  # the default
MAX_BYTES = 200_000_000  # of a file; Pillow also limits the pixels, to 89 million
WORK = 640  # pixels along the longer edge; larger pictures are reduced to this
STROKE = (2.4, 3.7)  # pixels: MNIST's median and 95th percentile of the stroke's width
ANGLES, SCALES = (0, -12, 12), (1, 0.85, 1.15)  # degrees and factors for a second look
# The net knows digits only, and reads any mark as one of them. Chosen on 935 digits of real hands:
# of 1,761, it marks 10 of the 1,738 that lenet_hands reads right, and 11 of the 21 read wrong.
DOUBTFUL = 0.6  # an answer with a lower probability
OTHERS = {  # how files begin that Pillow does not know: what they are, and what to do
    rb"PK\x03\x04|7z\xbc\xaf|Rar!|\x1f\x8b|BZh\d|\xfd7zXZ|.{257}ustar":
        "an archive or an office document; take the picture out of it first",
    rb".{4}ftyp(heic|heix|hevc|mif1|msf1)":
        "a HEIC picture, as iPhones take them; save it as JPEG or PNG first",
    rb".{,1000}%PDF-": "a PDF; save the page as PNG first",
    rb".{,4000}<svg": "an SVG drawing; save it as PNG first",
}


def read_picture(path):
    """`decode` for the file `path`. Raises PictureError, also if it is no file or too large."""
    try:
        if path.is_dir():
            raise PictureError("a folder without pictures")
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
    """Reads a picture from a path or a binary file: upright, grey (mode L), reduced to WORK pixels.

    Raises PictureError if Pillow cannot read it, or it has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow warns of too many pixels before it decodes any, and fails at twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                image.draft(None, (WORK, WORK))  # a JPEG decodes smaller and faster
                ImageOps.exif_transpose(image, in_place=True)
                return to_grey(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(f"too many pixels (at most {Image.MAX_IMAGE_PIXELS:,})") from None
    except Image.UnidentifiedImageError:
        raise PictureError(name_other(file)) from None
    except Exception as error:  # Pillow's plugins raise almost anything on broken input
        words = " ".join(str(error).split())
        raise PictureError(f"not readable ({type(error).__name__}: {words})") from None


def name_other(file):
    """What a path or a binary file is that Pillow does not know, in words: see OTHERS."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return name_other(opened)
    file.seek(0)
    start = file.read(4096)
    return next((words for pattern, words in OTHERS.items()
                 if re.match(pattern, start, re.DOTALL)), "not an image")


def to_grey(image):
    """Converts any mode to L, on a white background, with at most WORK pixels along an edge."""
    if image.mode[0] in "IF":  # 16 or 32 bits: stretch the contrast to 8 bits
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        values -= values.min()
        image = Image.fromarray(np.uint8(values * (255 / max(values.max(), 1))))
    # Reduce first and composite then, which saves memory. Pillow weighs colours by their opacity.
    transparent, grey = image.has_transparency_data, image.mode in ("1", "L")
    image = image.convert("RGBA" if transparent else "L" if grey else "RGB")
    image.thumbnail((WORK, WORK), Image.Resampling.BOX)
    if transparent:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    channels = image.split()
    image = image.convert("L")
    if np.ptp(image) < 255 * FAINT:  # the ink may be as light as the paper, and of another colour
        image = max(channels, key=np.std)
    return image


def prepare(image):
    """Turns a grey picture of one digit (mode L) into what NIST would have made (L, 28x28).

    A picture that is like MNIST's own is returned unchanged. Raises PictureError if there is no
    digit on the picture, or more than one.
    """
    if image.size == (SIDE, SIDE) and is_prepared(np.asarray(image, dtype=float)):
        return image
    ink = keep_digit(*find_ink(cut_sheet(image)))
    return place(fit(ink))


def is_prepared(pixels):
    """Whether (28, 28) has what NIST promises, as all 70,000 digits of MNIST do."""
    rows, columns = np.nonzero(pixels)
    if not len(rows) or max(np.ptp(rows), np.ptp(columns)) + 1 not in (BOX - 1, BOX):  # 19: in 16
        return False
    centre = np.array(ndimage.center_of_mass(pixels))
    # One percent of MNIST's digits touch the border, with up to 6 of its 108 pixels.
    return (np.abs(centre - CENTRE) < 0.55).all() and np.mean(border(pixels) == 0) > 0.9


def fit(ink):
    """Crops (H, W) to the ink, makes its strokes like MNIST's, and scales it to 20 pixels.

    Returns (h, w), whose longer edge is BOX.
    """
    fine = 8  # work at eight times the resolution
    glyph = np.pad(crop(ink, BOX * fine), 4 * fine)  # room to grow
    # NIST scanned in black and white, so strokes are full to their soft edges; pencil is uneven.
    glyph = np.minimum(2 * glyph, 1)
    across, down = np.gradient(glyph)
    # The area of a line is its width times its length; its outline is twice its length.
    stroke = 2 * glyph.sum() / np.hypot(across, down).sum() / fine
    wanted = min(max(stroke, STROKE[0]), STROKE[1])
    # The digit grows with its strokes: (stroke + change) * BOX / (BOX + change) = wanted
    change = BOX * (wanted - stroke) / (BOX - wanted)
    grow = ndimage.maximum_filter if change > 0 else ndimage.minimum_filter
    glyph = grow(glyph, 2 * round(abs(change) * fine / 2) + 1)
    return crop(ndimage.gaussian_filter(glyph, 3), BOX)


def crop(ink, longer):
    """The part of (H, W) that has ink, scaled so that its longer edge has `longer` pixels."""
    rows, columns = np.nonzero(ink > 0.2)
    part = ink[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
    scale = longer / max(part.shape)
    size = [max(1, round(edge * scale)) for edge in part.shape[::-1]]
    resample = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
    scaled = Image.fromarray(np.float32(part)).resize(size, resample)
    return np.clip(np.asarray(scaled, dtype=float), 0, 1)


def place(glyph):
    """Places (h, w) on a picture (L, 28x28), with its centre of mass in the middle if it fits."""
    canvas = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (min(max(round(CENTRE - centre), 0), SIDE - edge)
                 for centre, edge in zip(ndimage.center_of_mass(glyph), glyph.shape, strict=True))
    canvas[top:top + glyph.shape[0], left:left + glyph.shape[1]] = np.round(255 * glyph)
    return Image.fromarray(canvas)


@torch.inference_mode()
def classify(net, picture):
    """The net's probabilities (10,) of the digits 0 to 9 for a picture (L, 28x28).

    They are averaged over nine versions of it, of which the first is the picture as it is: people
    slant their digits and fill the 20 pixels as the net's training digits do not.
    """
    image = torch.from_numpy(np.array(picture)).reshape(1, 1, SIDE, SIDE)
    maps = torch.tensor([  # (9, 2, 3), from output to input
        [[math.cos(angle) / scale, math.sin(angle) / scale, 0],
         [-math.sin(angle) / scale, math.cos(angle) / scale, 0]]
        for angle in np.radians(ANGLES) for scale in SCALES])
    grid = F.affine_grid(maps, (len(maps), 1, SIDE, SIDE), align_corners=False)
    images = F.grid_sample(image.expand(len(maps), -1, -1, -1).float(), grid, align_corners=False)
    images = images.round().to(torch.uint8)  # (9, 1, 28, 28)
    return net(Transform(net.image_size)(images)).softmax(1).mean(0)


def ask(net, picture):
    """`classify`, for any net of the user's. Raises ValueError if it answers no ten probabilities.

    Also raises whatever the net raises.
    """
    probabilities = classify(net, picture)
    if probabilities.shape != (CLASSES,):
        raise ValueError(f"{type(net).__name__} returns {probabilities.numel()} values for a "
                         f"picture, not {CLASSES}")
    if not probabilities.isfinite().all():
        raise ValueError(f"{type(net).__name__} returns values that are not finite")
    return probabilities
