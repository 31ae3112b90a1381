"""What all forms share: MNIST's sizes, limits, clutter, finding and opening a file, the errors."""

import contextlib
import importlib
import io
import re
from pathlib import Path

import numpy as np

DATA_DIR = Path(__file__).parents[1] / "data"  # the MNIST that comes with the repository
SIDE = 28  # pixels along the edge of a stored image
CLASSES = 10  # the digits 0 to 9
MAX_IMAGES = 1_000_000  # in one split; MNIST has 60,000. With more than this, a file is broken
PACKERS = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\xfd7z": "lzma"}  # by a file's first bytes


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
    """Turns what the system raises over a file into a DataError that names it.

    more: further exceptions that a broken file can lead to.
    """
    try:
        yield
    except DataError:
        raise
    except (OSError, *more) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
                        ) from None


def measure(path):
    """The size of a file in bytes. Raises DataError if it is a folder, a pipe or the like."""
    if not path.is_file():
        raise DataError(f"{path}: cannot be read: not a regular file")
    return path.stat().st_size


def find_opener(path):
    """The function that opens a file, whatever its name is: a packer's, or the usual one."""
    measure(path)  # to open a pipe would wait for its other end
    with open(path, "rb") as file:
        return importlib.import_module(PACKERS.get(file.read(3), "io")).open


def open_file(path, times=100):
    """Opens a file to read its bytes; if gzip, bz2 or xz packed it, unpacked in memory.

    times: see `check_unpacked`. Raises DataError if it is too large or damaged, or no regular file.
    """
    opener, unpacked = find_opener(path), io.BytesIO()
    if opener is open:
        return open(path, "rb")
    with blaming(path, Exception), opener(path, "rb") as file:  # unpackers raise almost anything
        while chunk := file.read(2**20):
            unpacked.write(chunk)
            check_unpacked(path, unpacked.tell(), times)
    unpacked.seek(0)
    return unpacked


def check_unpacked(path, size, times=100):
    """Raises DataError if a file unpacks to `size` bytes, far more than images would.

    MNIST unpacks to 5 times its size, and as a CSV file of two tones packed by bz2 to 72 times.
    A small file that fills the memory unpacks to 1000 times its size and more. The million bytes
    are for labels that are sorted.
    """
    if size > 1_000_000 + times * measure(path):
        raise DataError(f"{path}: unpacks to more than {times} times its size, which images hardly "
                        "do; if it is sound, unpack it first")


def list_files(folder, pattern):
    """The paths in a folder whose names match a pattern, sorted; none if it is no folder."""
    return sorted(path for path in folder.iterdir()
                  if pattern.fullmatch(path.name)) if folder.is_dir() else []


def choose(paths, pattern, split):
    """The path of a split. pattern: what the names of all `paths` match; its group is the split."""
    found = [path for path in paths if pattern.fullmatch(path.name)["split"].lower() == split]
    if not found:
        name = re.sub("train|test", split, paths[0].name, flags=re.IGNORECASE)
        raise missing(paths[0].parent / name, split)
    refuse_several(found[0].parent, [path.name for path in found])
    return enter(found[0])


def refuse_several(folder, names):
    """Raises DataError if a folder has several of what there should be one of."""
    if len(names) > 1:
        raise DataError(f"{folder}: has {' and '.join(names)}; move all but one of these to "
                        "another folder")


def enter(path):
    """What lies in a folder of its own name, as archives unpack; else the path itself."""
    return path / path.name if (path / path.name).exists() else path


def is_clutter(name):
    """Tells whether a system makes a file of this name on its own. Hidden files count as such."""
    return name.startswith(".") or name.lower().endswith(
        ("thumbs.db", "desktop.ini", "__macosx", ":zone.identifier"))


def missing(path, split, *others):
    """A DataError: a part of the data is not there. others: names that would do as well."""
    words = "; --validate needs only the training images" if split == "test" else ""
    return DataError(f"{' or '.join([str(path), *others])}: missing, though other parts are there"
                     f"{words}")


def check_labels(labels, images, path, hint=""):
    """Raises DataError if `labels`, an array (N,), are not as many as `images`, or not digits."""
    if len(labels) != len(images):
        raise DataError(f"{path}: {len(labels)} labels for {len(images)} images")
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(wrong):
        raise DataError(f"{path}: label {labels[wrong[0]]} at position {wrong[0]}{hint}")
