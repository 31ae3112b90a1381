"""IDX files: the form in which LeCun, Cortes and Burges published MNIST, and others their sets.

A file begins with two zero bytes, a byte for the type (8: unsigned byte, 12: int) and a byte for
the number of dimensions. Then come the size of each dimension, as 4 bytes in big-endian order, and
the data. Source: "The MNIST database of handwritten digits", http://yann.lecun.com/exdb/mnist/

MNIST, Fashion-MNIST and KMNIST share the four names. EMNIST (Cohen et al. 2017) and QMNIST (Yadav
and Bottou 2019) have names of their own. EMNIST's images are stored transposed and are turned
upright here; a label of QMNIST is a row of 8 ints, the class first.
"""

import math
import re

import numpy as np

from readers.common import SIDE, DataError, blaming, check_labels, missing, open_file

FORM = "IDX files"
EXPECTED = ("train-images-idx3-ubyte and its three companions, plain or .gz; or EMNIST's, QMNIST's",
            "the folder that torchvision fills: MNIST/raw, FashionMNIST/raw, ...")
# With a dot, as on Kaggle: train-images.idx3-ubyte
NAME = re.compile(r"(|qmnist-|emnist-\w+-)(train|test|t10k)-(images|labels)[-.]idx\d-(ubyte|int)"
                  r"(\.gz)?")
# (type, dimensions) that a file may have: the sizes of the dimensions after the first
LAYOUTS = {"images": {(8, 3): [SIDE, SIDE]}, "labels": {(8, 1): [], (12, 2): [8]}}
TYPES = {8: np.dtype("u1"), 12: np.dtype(">i4")}


def lies_in(folder):
    """Tells whether there are such files."""
    return bool(find_places(folder))


def find_places(folder):
    """The folders that hold IDX files: `folder` itself, or else those that torchvision fills."""
    if list_files(folder):
        return [folder]
    return [raw for raw in sorted([*folder.glob("raw"), *folder.glob("*/raw")]) if list_files(raw)]


def list_files(folder):
    """The files as {set: {(split, kind): path}}; a set is "", "qmnist-", "emnist-digits-", ...

    Of several copies the plain one counts. If `folder` is no folder, but a path such as
    `raw/emnist-digits`, these are the files in `raw` that begin so.
    """
    chosen = None
    if not folder.is_dir():
        folder, chosen = folder.parent, f"{folder.name}-"
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if NAME.fullmatch(path.name)]
    # Kaggle's archives unpack to folders that are called as the file within.
    paths += [inner for path in paths if path.is_dir() for inner in path.iterdir()
              if NAME.fullmatch(inner.name)]
    found = {}
    for path in sorted(paths, key=lambda path: (path.is_dir(), path.suffix == ".gz", path)):
        name, split, kind, *_ = NAME.fullmatch(path.name).groups()
        if chosen in (None, name):
            key = "train" if split == "train" else "test", kind
            found.setdefault(name, {}).setdefault(key, path)
    return found


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the images.

    Raises DataError if a file is missing or broken, or if the labels do not fit the images.
    """
    places = find_places(folder)
    if len(places) > 1:
        names = " and ".join(str(place.relative_to(folder)) for place in places)
        raise DataError(f"{folder}: has {names}; choose one of them, as --data-dir {places[0]}")
    sets = list_files(places[0])
    if len(sets) > 1:
        names = sorted(name.strip("-") or "MNIST" for name in sets)
        best = places[0] / max(names, key=lambda name: (name == "emnist-digits", name))
        raise DataError(f"{places[0]}: has {', '.join(names)}; choose one of them, as "
                        f"--data-dir {best}, or move all but one to another folder")
    (name, files), = sets.items()
    for kind, ending in (("images", "idx3-ubyte"),
                         ("labels", "idx2-int" if name == "qmnist-" else "idx1-ubyte")):
        if (split, kind) not in files:
            stem = "t10k" if split == "test" and not name else split
            file = f"{name}{stem}-{kind}-{ending}"
            raise missing((places[0] if places[0].is_dir() else places[0].parent) / file, split,
                          f"{file}.gz")
    path, labels_path = files[split, "images"], files[split, "labels"]
    images, labels = read_idx(path, "images"), read_idx(labels_path, "labels")
    if labels.ndim > 1:
        labels = labels[:, 0]
    emnist = name.startswith("emnist")
    check_labels(labels, images, labels_path,
                 "; of EMNIST, only `digits` and `mnist` are digits" * emnist)
    return images.swapaxes(1, 2) if emnist else images, labels, path


def read_idx(path, kind):
    """Reads an IDX file, plain or gzipped. kind: "images" or "labels".

    Returns an array (N, 28, 28), uint8, or (N,) or (N, 8). Raises DataError if the file cannot be
    read, or if its header or its length are not what MNIST has.
    """
    with blaming(path), open_file(path) as file:
        content = file.read()
    if content[:2] != b"\0\0" or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path}: not an IDX file (its first bytes: {content[:4].hex(' ')})")
    layout = element, dimensions = tuple(content[2:4])
    if layout not in LAYOUTS[kind]:
        raise DataError(f"{path}: IDX type {element:#04x} with {dimensions} dimension(s), "
                        f"expected 0x08 (unsigned byte) with {3 if kind == 'images' else 1}")
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if shape[1:] != LAYOUTS[kind][layout]:
        found, expected = ("x".join(map(str, side)) for side in (
            shape[1:], LAYOUTS[kind][layout]))
        raise DataError(f"{path}: {kind} of {found}, expected {expected}")
    size, held = math.prod(shape) * TYPES[element].itemsize, len(content) - start
    if held != size:
        raise DataError(f"{path}: announces {size:,} bytes of data, holds {held:,}")
    return np.frombuffer(content, TYPES[element], offset=start).reshape(shape)
