"""Six digits as a folder of each format, and the checks that the tests of all formats share."""

import gzip
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA, SPLITS, idx_bytes, png_bytes, tar_bytes, write_files
from forms import FORMS, class_folders, csv_files, emnist_files, kmnist_files, npz_files
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dataset import MNIST, DataError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
with gzip.open(DATA / f"{TRAIN_IMAGES}.gz") as file:
    PICTURES = np.frombuffer(file.read(16 + 6 * 784)[16:], np.uint8).reshape(6, 28, 28)
DIGITS = np.array([5, 0, 4, 1, 9, 2])  # what they show
IMAGES, LABELS = idx_bytes(PICTURES), idx_bytes(DIGITS)
PNGS = {f"train/{i}_{DIGITS[i]}.png": png_bytes(PICTURES[i]) for i in range(6)}
PNG = PNGS["train/0_5.png"]
TAR, TGZ = tar_bytes(PNGS), tar_bytes(PNGS, "w:gz")
GZ = gzip.compress(IMAGES, mtime=0)

SIX = dict.fromkeys(SPLITS, (PICTURES, DIGITS))
# Folders without a fault, as {file: content}: the six digits are training and test set alike.
IDX_FILES = {TRAIN_IMAGES: IMAGES, TRAIN_LABELS: LABELS, TEST_IMAGES: IMAGES, TEST_LABELS: LABELS}
GOOD = {
    "idx": IDX_FILES,
    "gz": {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in IDX_FILES.items()},
    "png": PNGS | {name.replace("train", "test"): png for name, png in PNGS.items()},
    "tar": {"train.tar": TAR, "test.tar": TAR},
    "tgz": {"train.tar.gz": TGZ, "test.tar.gz": TGZ},
    "unpacked": FORMS["unpacked"](SIX), "root": FORMS["FashionMNIST"](SIX),
    "emnist": emnist_files(SIX), "qmnist": FORMS["QMNIST"](SIX), "classes": class_folders(SIX),
    "csv": csv_files(SIX), "header": FORMS["csv, header"](SIX), "npz": npz_files(SIX),
    "kmnist": kmnist_files(SIX),
}


def flip(content, position, bit=0):
    content = bytearray(content)
    content[position] ^= 1 << bit
    return bytes(content)


def png_of(height, width):
    return png_bytes(np.zeros((height, width), np.uint8))


def read_both(folder):
    return {split: MNIST(folder, split == "train")[:] for split in SPLITS}


def assert_equal(found, digits):
    """That the tensors {split: (images, labels)} of a dataset are equal to these arrays."""
    for split, (images, labels) in digits.items():
        assert found[split][0].dtype == torch.uint8
        assert found[split][1].dtype == torch.int64
        np.testing.assert_array_equal(found[split][0].numpy(), images[:, None])
        np.testing.assert_array_equal(found[split][1].numpy(), labels)


def fault(folder):
    """Reads a folder that must end in a DataError; returns its message."""
    with pytest.raises(DataError) as caught:
        read_both(folder)
    message = str(caught.value)
    assert message.splitlines() == [message], "one line"
    return message


def check_bad_files(good, changed, words, tmp_path):
    """That a good folder can be read, and with the files `changed` ends in a message with `words`.

    `changed` is {file: content}; None removes the file.
    """
    if sys.platform == "win32" and any("\n" in name for name in changed):
        pytest.skip("no name of a file holds a line break on Windows")
    folder = write_files(tmp_path / "data", GOOD[good])
    order = np.argsort(DIGITS) if good == "classes" else slice(None)
    assert_equal(read_both(folder), dict.fromkeys(SPLITS, (PICTURES[order], DIGITS[order])))
    write_files(folder, changed)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    message = fault(folder)
    assert message.startswith(str(folder))
    assert words in message.replace(os.sep, "/")
    after = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert after == before, "reading writes nothing"


at_random = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
flips = st.lists(st.tuples(st.integers(0, 20) | st.integers(0, 10**4), st.integers(0, 7)))
cuts = st.none() | st.integers(0, 10**4)


def damage(content, cut, flips):
    content = content[:cut]
    for position, bit in flips if content else ():
        content = flip(content, position % len(content), bit)
    return content


def read_damaged(files, name, content):
    """Reads a training set with one file replaced; returns None if that ends in a DataError."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files | {name: content})
        try:
            return MNIST(folder, True)[:]
        except DataError as error:
            message = str(error)
    assert message.splitlines() == [message]
    assert name in message
