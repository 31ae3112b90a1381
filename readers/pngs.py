"""Folders of PNG files, one for each image: `{index}_{label}.png`.

The images come out in the order of their indices, which need not begin at 0 or be complete.
Colours become grey. Transparent images are laid over black, which is MNIST's background, or over
white if that gives more contrast. So white ink and black ink both stay visible.
"""

import io
import re

import numpy as np
import torch
from PIL import Image

from readers.common import CLASSES, MAX_IMAGES, MAX_PNG_BYTES, SIDE, DataError, is_clutter


def read_pngs(members, source):
    """Reads PNG files from a folder or an archive, whose path is `source`.

    `members` yields a tuple for each file: its name, its place for an error message, its size in
    bytes, and a function that returns its content.
    Returns images uint8 (N, 1, 28, 28) and labels int64 (N,), in the order of the indices.
    Raises DataError if a name or a file is not as expected, or if there are no files.
    """
    found, others = {}, []
    for name, where, size, read in members:
        match = re.fullmatch(r"(\d{1,18})_(\d{1,18})\.png", name, re.IGNORECASE | re.ASCII)
        if not match:  # refused below, with their number
            others.append(str(where))
            continue
        index, label = int(match[1]), int(match[2])
        if label >= CLASSES:
            raise DataError(f"{where}: label {label}, expected 0 to {CLASSES - 1}")
        if index in found:
            raise DataError(f"{where}: a second image with index {index}")
        if size > MAX_PNG_BYTES:
            raise DataError(f"{where}: {size:,} bytes, too large for a digit")
        if len(found) == MAX_IMAGES:
            raise DataError(f"{source}: more than {MAX_IMAGES} images")
        found[index] = (label, _read_png(read, where))
    if others:
        raise DataError(f"{min(others)}: not named {{index}}_{{label}}.png (such files: "
                        f"{len(others):,}); rename, convert or remove them")
    if not found:
        raise DataError(f"{source}: no PNG files in it")
    labels, pixels = zip(*(found[index] for index in sorted(found)), strict=True)
    images = torch.frombuffer(bytearray(b"".join(pixels)), dtype=torch.uint8)
    return images.reshape(-1, 1, SIDE, SIDE), torch.tensor(labels)


def _read_png(read, where):
    """The 784 pixels of a PNG file as bytes, row by row."""
    try:
        file = io.BytesIO(read())
        with Image.open(file, formats=["PNG"]) as image:
            image.verify()  # the checksums, which are not looked at when the pixels are read
        with Image.open(file, formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE):
                fault = f"{image.width}x{image.height} pixels, expected {SIDE}x{SIDE}"
            elif image.mode.startswith("I"):  # Pillow would cut off what is above 255
                fault = "16 bits a pixel, expected 8"
            else:
                image = _flatten(image) if image.has_transparency_data else image
                return image.convert("L").tobytes()
    except Exception as error:  # Pillow raises almost anything when a file is broken
        fault = f"not a readable PNG ({type(error).__name__})"
    raise DataError(f"{where}: {fault}")


def _flatten(image):
    """Lays a transparent image over black or white: see above. On a tie it is black."""
    image = image.convert("RGBA")
    over = [Image.composite(image, Image.new("RGBA", image.size, paper), image.getchannel("A"))
            for paper in ("black", "white")]
    return max(over, key=lambda flat: np.ptp(flat.convert("L")))


def folder_members(folder):
    """Yields the files of a folder, as `read_pngs` takes them, without hidden ones and clutter."""
    for path in folder.iterdir():
        if not is_clutter(path.name):
            yield path.name, path, path.stat().st_size, path.read_bytes
