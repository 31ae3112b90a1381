"""Folders of PNG files, one for each image: `{index}_{label}.png`.

The images come out in the order of their indices, which need not begin at 0 or be complete.
"""

import io
import re

import torch
from PIL import Image

from readers.common import CLASSES, MAX_IMAGES, MAX_PNG_BYTES, SIDE, DataError


def read_pngs(members, source):
    """Reads PNG files from a folder or an archive, whose path is `source`.

    `members` yields a tuple for each file: its name, its place for an error message, its size in
    bytes, and a function that returns its content.
    Returns images uint8 (N, 1, 28, 28) and labels int64 (N,), in the order of the indices.
    Raises DataError if a name or a file is not as expected, or if there are no files.
    """
    found = {}
    for name, where, size, read in members:
        match = re.fullmatch(r"(\d{1,18})_(\d{1,18})\.png", name, re.IGNORECASE | re.ASCII)
        if not match:
            raise DataError(f"{where}: not named {{index}}_{{label}}.png")
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
            if image.size == (SIDE, SIDE):
                return image.convert("L").tobytes()
            fault = f"{image.width}x{image.height} pixels, expected {SIDE}x{SIDE}"
    except Exception as error:  # Pillow raises almost anything when a file is broken
        fault = f"not a readable PNG ({type(error).__name__})"
    raise DataError(f"{where}: {fault}")


def folder_members(folder):
    """The PNG files of a folder, as `read_pngs` takes them. Hidden files do not count."""
    for path in folder.glob("*.[pP][nN][gG]"):
        if not path.name.startswith("."):
            yield path.name, path, path.stat().st_size, path.read_bytes
