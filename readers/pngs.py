"""Pictures, one file for each image, whose name holds the label: `{index}_{label}.png`.

The images come out in the order of their indices, which need not begin at 0 or be complete.
`{label}_{index}.png` is read too, where the numbers leave no doubt. PNG, JPEG and BMP are told
apart by their content. Colours become grey. Transparent images are laid over black, which is
MNIST's background, or over white if that gives more contrast. So white ink and black ink both stay
visible.
"""

import io
import re

import numpy as np

from readers.common import CLASSES, MAX_IMAGES, MAX_PICTURE_BYTES, SIDE, DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
KINDS = ("PNG", "JPEG", "BMP")


def read_named(members, source):
    """Reads pictures from a folder or an archive, whose path is `source`.

    `members` yields a tuple for each file: its name, its place for an error message, its size in
    bytes, and a function that returns its content.
    Returns images uint8 (N, 28, 28) and labels (N,), in the order of the indices.
    Raises DataError if a name or a file is not as expected, or if there are no files.
    """
    found, others = [], []
    for name, where, size, read in members:
        numbers = re.fullmatch(r"(\d{1,18})_(\d{1,18})\.\w+", name, re.ASCII)
        if not numbers or not is_picture(name):  # refused below, with their number
            others.append(str(where))
            continue
        if len(found) == MAX_IMAGES:
            raise DataError(f"{source}: more than {MAX_IMAGES} images")
        found.append((int(numbers[1]), int(numbers[2]), where, read_picture(read, size, where)))
    if others:
        raise DataError(f"{min(others)}: not named {{index}}_{{label}}.png (such files: "
                        f"{len(others):,}); rename, convert or remove them")
    pixels, labels = {}, {}
    form = "{index}_{label}"
    if label_comes_first(found):
        form = "{label}_{index}"
        found = [(index, label, where, picture) for label, index, where, picture in found]
    for index, label, where, picture in found:
        if label >= CLASSES:
            raise DataError(f"{where}: label {label}, expected 0 to {CLASSES - 1} (names are read "
                            f"as {form})")
        if index in pixels:
            raise DataError(f"{where}: a second image with index {index} (names are read as "
                            f"{form})")
        pixels[index], labels[index] = picture, label
    order = sorted(pixels)
    return pack([pixels[index] for index in order], [labels[index] for index in order], source)


def label_comes_first(found):
    """Tells whether names can only be `{label}_{index}`: as indices, their first numbers repeat.

    And as labels their second numbers are too high. found: [(first, second, ...), ...].
    """
    firsts = [first for first, *_ in found]
    return (max(firsts, default=0) < CLASSES and len(set(firsts)) < len(firsts)
            and max(second for _, second, *_ in found) >= CLASSES)


def is_picture(name):
    """Tells whether a file of this name counts as a picture."""
    return name.lower().endswith(ENDINGS)


def pack(pixels, labels, source):
    """Joins pictures, bytes each, to images uint8 (N, 28, 28), with their labels (N,)."""
    if not pixels:
        raise DataError(f"{source}: no pictures in it")
    images = np.frombuffer(bytearray(b"".join(pixels)), np.uint8)
    return images.reshape(-1, SIDE, SIDE), np.array(labels)


def read_picture(read, size, where):
    """The 784 pixels of a picture as bytes, row by row.

    read: returns the content, `size` bytes. where: its place for an error message.
    Raises DataError if the picture is broken, or has another size.
    """
    from PIL import Image  # here, because every start would pay for it, and few need it

    if size > MAX_PICTURE_BYTES:
        raise DataError(f"{where}: {size:,} bytes, too large for a digit")
    try:
        file = io.BytesIO(read())
        with Image.open(file, formats=KINDS) as image:
            image.verify()  # PNG's checksums, which are not looked at when the pixels are read
        with Image.open(file, formats=KINDS) as image:
            if image.size != (SIDE, SIDE):
                fault = f"{image.width}x{image.height} pixels, expected {SIDE}x{SIDE}"
            elif image.mode.startswith("I"):  # Pillow would cut off what is above 255
                fault = "16 bits a pixel, expected 8"
            else:
                image = _flatten(image) if image.has_transparency_data else image
                return image.convert("L").tobytes()
    except Exception as error:  # Pillow raises almost anything when a file is broken
        fault = getattr(error, "strerror", None) or (
            f"not a readable picture ({type(error).__name__})")
    raise DataError(f"{where}: {fault}")


def _flatten(image):
    """Lays a transparent image over black or white: see above. On a tie it is black."""
    from PIL import Image

    image = image.convert("RGBA")
    over = [Image.composite(image, Image.new("RGBA", image.size, paper), image.getchannel("A"))
            for paper in ("black", "white")]
    return max(over, key=lambda flat: np.ptp(flat.convert("L")))
