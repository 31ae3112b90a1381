"""mnist.npz, as Keras keeps it: the arrays x_train, y_train, x_test and y_test of NumPy, zipped."""

import math
import zipfile

import numpy as np
from numpy.lib import format as npy

from readers.common import MAX_IMAGES, SIDE, DataError, blaming, check_labels, enter

FORM = "an npz file"
EXPECTED = ("mnist.npz of Keras: the arrays x_train, y_train, x_test and y_test",)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
SHAPES = {"x": [(SIDE, SIDE), (SIDE, SIDE, 1), (SIDE * SIDE,)], "y": [(), (1,)]}  # after (N,


def lies_in(folder):
    """Tells whether there is such a file."""
    return any(folder.glob("[!.]*.npz"))


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the file.

    Raises DataError if the file is broken, or if its arrays are not what MNIST has.
    """
    paths = sorted(folder.glob("[!.]*.npz"))
    if len(paths) > 1:
        raise DataError(f"{folder}: has {' and '.join(path.name for path in paths)}; move all but "
                        "one of these to another folder")
    path = enter(paths[0])
    # A broken zip or header raises almost anything.
    with blaming(path, Exception), zipfile.ZipFile(path) as archive:
        images, labels = (_read_member(archive, f"{kind}_{split}", path) for kind in "xy")
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(labels)} labels for {len(images)} images")
    labels = labels.reshape(-1)
    check_labels(labels, path)
    wrong = images[(images < 0) | (images > 255)] if images.dtype != np.uint8 else ()
    if len(wrong):
        raise DataError(f"{path}: x_{split} has {wrong[0]}, expected 0 to 255")
    return images.reshape(-1, SIDE, SIDE).astype(np.uint8), labels, path


def _read_member(archive, name, path):
    """Reads an array of an archive. Its header is looked at first, before memory is taken."""
    held = sorted(member.removesuffix(".npy") for member in archive.namelist())
    if name not in held:
        raise DataError(f"{path}: no {name} in it, but {', '.join(held)[:200] or 'nothing'}; "
                        "expected x_train, y_train, x_test and y_test")
    with archive.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise DataError(f"{path}: {name} has version {version} of NumPy's format")
        shape, _, dtype = HEADERS[version](file)
    kind = name[0]
    if dtype.kind not in "ui":
        raise DataError(f"{path}: {name} holds {dtype}, expected "
                        f"{'uint8' if kind == 'x' else 'whole numbers'}")
    if not shape or shape[1:] not in SHAPES[kind]:
        raise DataError(f"{path}: {name} has the shape {shape}, expected "
                        f"{f'(N, {SIDE}, {SIDE})' if kind == 'x' else '(N,)'}")
    if not 0 < shape[0] <= MAX_IMAGES or (
            math.prod(shape) * dtype.itemsize > MAX_IMAGES * SIDE * SIDE):
        raise DataError(f"{path}: {name} announces {shape[0]} items of {dtype}, expected 1 to "
                        f"{MAX_IMAGES} of uint8")
    with archive.open(f"{name}.npy") as file:
        array = npy.read_array(file, allow_pickle=False)
        if file.read(1):  # and at the end, zipfile compares the checksum
            raise DataError(f"{path}: {name} holds more than it announces")
    return array
