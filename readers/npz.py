"""NumPy's arrays, zipped: mnist.npz, as Keras keeps it, or the four files of KMNIST."""

import io
import re
import zipfile

import numpy as np
from numpy.lib import format as npy

from readers.common import (
    SIDE,
    DataError,
    blaming,
    check_labels,
    check_unpacked,
    enter,
    list_files,
    missing,
    open_file,
    refuse_several,
)

FORM = "npz files"
EXPECTED = ("mnist.npz of Keras: the arrays x_train, y_train, x_test, y_test; or KMNIST's files",)
NAME = re.compile(r"[^.].*\.npz")
KMNIST = re.compile(r"kmnist-(train|test)-(imgs|labels)\.npz")
SHAPES = {"x": [(SIDE, SIDE), (SIDE, SIDE, 1), (SIDE * SIDE,)], "y": [(), (1,)]}  # after (N,


def lies_in(folder):
    """Tells whether there is such a file."""
    return bool(list_files(folder, NAME))


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the images.

    Raises DataError if a file is missing or broken, or if its arrays are not what MNIST has.
    """
    names = [path.name for path in list_files(folder, NAME)]
    refuse_several(folder, sorted({KMNIST.sub("kmnist-*.npz", name) for name in names}))
    if KMNIST.fullmatch(names[0]):
        places = [(folder / f"kmnist-{split}-{kind}.npz", "arr_0") for kind in ("imgs", "labels")]
    else:
        places = [(folder / names[0], f"{kind}_{split}") for kind in "xy"]
    for path, _ in places:
        if not path.exists():
            raise missing(path, split)
    (path, name), (labels_path, _) = places = [(enter(path), name) for path, name in places]
    images, labels = (_read_array(*place, kind) for place, kind in zip(places, "xy", strict=True))
    labels = labels.reshape(-1)
    check_labels(labels, images, labels_path)
    wrong = images[(images < 0) | (images > 255)] if images.dtype != np.uint8 else ()
    if len(wrong):
        raise DataError(f"{path}: {name} has {wrong[0]}, expected 0 to 255")
    return images.reshape(-1, SIDE, SIDE).astype(np.uint8), labels, path


def _read_array(path, name, kind):
    """Reads an array of images, kind "x", or of labels, "y". Raises DataError."""
    # A broken zip or header raises almost anything.
    with blaming(path, Exception), open_file(path) as file, zipfile.ZipFile(file) as archive:
        check_unpacked(path, sum(member.file_size for member in archive.infolist()))
        held = sorted(member.removesuffix(".npy") for member in archive.namelist())
        if name not in held:
            raise DataError(f"{path}: no {name} in it, but {', '.join(held)[:200] or 'nothing'}")
        # Read to its end, where zipfile compares the checksum.
        array = npy.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    if array.dtype.kind not in "ui":
        raise DataError(f"{path}: {name} holds {array.dtype}, expected "
                        f"{'uint8' if kind == 'x' else 'whole numbers'}")
    if not array.ndim or array.shape[1:] not in SHAPES[kind]:
        raise DataError(f"{path}: {name} has the shape {array.shape}, expected "
                        f"{f'(N, {SIDE}, {SIDE})' if kind == 'x' else '(N,)'}")
    return array
