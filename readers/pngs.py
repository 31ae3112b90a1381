"""Pictures, one file for each image: in class folders, or with the label in the name.

Class folders are called as the label. Their images come out in the order of torchvision's
ImageFolder: by class, then by name. Elsewhere a name is `{index}_{label}.png`. Such images come out
in the order of their indices, which need not begin at 0 or be complete. `{label}_{index}.png` is
read too, where the numbers leave no doubt.

PNG, JPEG and BMP are told apart by their content. Colours become grey. Transparent images are laid
over black, which is MNIST's background, or over white if that gives more contrast. So white ink and
black ink both stay visible.
"""

import io
import re

import numpy as np

from readers.common import CLASSES, SIDE, DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
KINDS = ("PNG", "JPEG", "BMP")
MAX_PICTURE_BYTES = 1_000_000  # a 28x28 PNG has about 300
LABELS = [str(label) for label in range(CLASSES)]  # what class folders are called
NAME = re.compile(r"(\d{1,18})_(\d{1,18})\.\w+", re.ASCII)


def read_pictures(members):
    """Reads the pictures of a folder or an archive.

    `members` yields a tuple for each file: its class folder, "" if it is in none; its name; its
    place for an error message; its size in bytes; and a function that returns its content.
    Returns images uint8 (N, 28, 28) and labels (N,), in the order above.
    Raises DataError if a name or a file is not as expected.
    """
    found, others = [], []
    for folder, name, where, size, read in members:
        if not name.lower().endswith(ENDINGS) or not (folder or NAME.fullmatch(name)):
            others.append(str(where))  # refused below, with their number
            continue
        if folder not in ("", *LABELS):
            raise DataError(f"{where}: its folder's name is no digit; a class folder is called 0 "
                            f"to {CLASSES - 1}")
        found.append((folder, name, where, read_picture(read, size, where)))
    if others:
        raise DataError(f"{min(others)}: neither a picture ({', '.join(ENDINGS)}) in a class "
                        f"folder nor named {{index}}_{{label}}.png (such files: {len(others):,}); "
                        "rename, convert or remove them")
    loose = [where for folder, _, where, _ in found if not folder]
    if 0 < len(loose) < len(found):
        raise DataError(f"{loose[0]}: beside class folders; expected either them or such pictures")
    if not loose:
        found.sort(key=lambda picture: picture[:2])
        labels = [int(folder) for folder, *_ in found]
    else:
        found, labels = order_by_index(found)
    pixels = b"".join(picture for *_, picture in found)
    return np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE), np.array(labels)


def order_by_index(found):
    """Sorts pictures by the index in their names; returns them and their labels.

    found: [(folder, name, place, pixels), ...]. Raises DataError if a label is no digit, or if two
    pictures have the same index.
    """
    numbers = [[int(number) for number in NAME.fullmatch(name).groups()] for _, name, *_ in found]
    form = "{index}_{label}"
    if label_comes_first(numbers):
        form, numbers = "{label}_{index}", [pair[::-1] for pair in numbers]
    pictures = {}
    for (index, label), picture in zip(numbers, found, strict=True):
        if label >= CLASSES:
            raise DataError(f"{picture[2]}: label {label}, expected 0 to {CLASSES - 1} (names are "
                            f"read as {form})")
        if index in pictures:
            raise DataError(f"{picture[2]}: a second image with index {index} (names are read as "
                            f"{form})")
        pictures[index] = picture, label
    return zip(*(pictures[index] for index in sorted(pictures)), strict=True)


def label_comes_first(numbers):
    """Tells whether names can only be `{label}_{index}`: as indices, their first numbers repeat.

    And as labels their second numbers are too high. numbers: [(first, second), ...].
    """
    firsts, seconds = zip(*numbers, strict=True)
    return max(firsts) < CLASSES <= max(seconds) and len(set(firsts)) < len(firsts)


def read_picture(read, size, where):
    """The 784 pixels of a picture as bytes, row by row.

    read: returns the content, `size` bytes. where: its place for an error message.
    Raises DataError if the picture is broken, or has another size.
    """
    from PIL import Image, ImageOps  # here: every start would pay for it, and few need it

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
                ImageOps.exif_transpose(image, in_place=True)
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
