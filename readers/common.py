"""What all forms share: the size of MNIST's images, limits, clutter, opening a file, the errors."""

import contextlib
import gzip
import zlib
from pathlib import Path

import numpy as np

DATA_DIR = Path(__file__).parents[1] / "data"  # the MNIST that comes with the repository
SIDE = 28  # pixels along the edge of a stored image
CLASSES = 10  # the digits 0 to 9
MAX_IMAGES = 1_000_000  # in one split; MNIST has 60,000. With more than this, a file is broken
MAX_PICTURE_BYTES = 1_000_000  # a 28x28 PNG has about 300


class DataError(Exception):
    """The data are missing or broken. The message is one line with the file and the fault.

    Only where a folder has no data at all, the forms that are read follow, a line each.
    """

    def __init__(self, *lines):
        # The name of a file can hold anything, even line breaks: escape what cannot be printed.
        super().__init__("\n".join(
            "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines))


@contextlib.contextmanager
def blaming(path, *more):
    """Turns what the system or an unpacker raises over a file into a DataError that names it.

    more: further exceptions that a broken file can lead to.
    """
    try:
        yield
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, *more) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
                        ) from None


def open_file(path):
    """Opens a file to read its bytes; unpacked, if it begins as gzip does, whatever its name is."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return (gzip.open if packed else open)(path, "rb")


def enter(path):
    """The file in a folder of its own name, as Kaggle's archives unpack; else the path itself."""
    return path / path.name if (path / path.name).is_file() else path


def is_clutter(name):
    """Tells whether a system makes a file of this name on its own. Hidden files count as such."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def missing(path, split, *others):
    """A DataError: a part of the data is not there. others: names that would do as well."""
    words = "; --validate needs only the training images" if split == "test" else ""
    return DataError(f"{' or '.join([str(path), *others])}: missing, though other parts are there"
                     f"{words}")


def check_labels(labels, path, hint=""):
    """Raises DataError if one of `labels`, an array (N,), is no digit."""
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(wrong):
        raise DataError(f"{path}: label {labels[wrong[0]]} at position {wrong[0]}{hint}")
