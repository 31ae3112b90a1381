"""IDX files, the format in which LeCun published MNIST."""

import gzip
import math
import zlib

import torch

from readers.common import CLASSES, MAX_IMAGES, SIDE, DataError


def read_idx_pair(images_path, labels_path):
    """Images uint8 (N, 1, 28, 28) and labels int64 (N,) of two IDX files."""
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
    """An IDX file (LeCun's format), plain or `.gz`, as a uint8 tensor of 1 or 3 dimensions.

    Raises DataError unless magic number, type, dimensions and length are all as MNIST has them.
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
            body = file.read(size + 1)  # one byte more, to notice what is left over
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(body) != size:
        length = "more" if len(body) > size else f"only {len(body):,}"
        raise DataError(f"{path}: announces {size:,} bytes of data, holds {length}")
    return torch.frombuffer(bytearray(body), dtype=torch.uint8).reshape(shape)
