"""IDX files: the format in which LeCun, Cortes and Burges published MNIST.

A file begins with two zero bytes, a byte for the type (8: unsigned byte) and a byte for the number
of dimensions. Then come the size of each dimension, as 4 bytes in big-endian order, and the data.
Source: "The MNIST database of handwritten digits", http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import zlib

import torch

from readers.common import CLASSES, MAX_IMAGES, SIDE, DataError


def read_idx_pair(images_path, labels_path):
    """Reads the two files of a split: images uint8 (N, 1, 28, 28) and labels int64 (N,).

    Raises DataError if a file is broken, or if the labels do not fit the images.
    """
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
    wrong = (labels >= CLASSES).nonzero()
    if len(wrong):
        raise DataError(f"{labels_path}: label {labels[wrong[0]].item()} at position "
                        f"{wrong[0].item()}")
    return images.unsqueeze(1), labels.long()


def read_idx(path, dimensions):
    """Reads an IDX file, plain or `.gz`, of 1 dimension (labels) or 3 (images).

    Returns a uint8 tensor (N,) or (N, 28, 28). Raises DataError if the file cannot be read, or if
    its header or its length are not what MNIST has.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:2] != b"\0\0":
                raise DataError(f"{path}: not an IDX file (its first bytes: {header[:4].hex(' ')})")
            if header[2:4] != bytes([8, dimensions]):
                raise DataError(f"{path}: IDX type {header[2]:#04x} with {header[3]} dimension(s), "
                                f"expected 0x08 (unsigned byte) with {dimensions}")
            shape = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
            if shape[1:] not in ([], [SIDE, SIDE]):
                raise DataError(f"{path}: images of {shape[1]}x{shape[2]}, expected {SIDE}x{SIDE}")
            if not 0 < shape[0] <= MAX_IMAGES:
                raise DataError(f"{path}: announces {shape[0]} items, expected 1 to {MAX_IMAGES}")
            size = math.prod(shape)
            body = file.read(size + 1)  # one byte more, to notice a file that is too long
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(body) != size:
        length = "more" if len(body) > size else f"only {len(body):,}"
        raise DataError(f"{path}: announces {size:,} bytes of data, holds {length}")
    return torch.frombuffer(bytearray(body), dtype=torch.uint8).reshape(shape)
