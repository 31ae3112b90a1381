"""readers/idx.py against torchvision, and files broken in every way."""

import bz2
import gzip
import hashlib
import lzma

import numpy as np
import pytest
import torch
import torchvision
from conftest import DATA, filling_no_memory, idx_bytes, write_files, write_idx_folder
from forms import qmnist_labels
from hypothesis import given
from six_digits import (
    DIGITS,
    GOOD,
    GZ,
    IDX_FILES,
    IMAGES,
    LABELS,
    PICTURES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    assert_equal,
    at_random,
    check_bad_files,
    cuts,
    damage,
    fault,
    flip,
    flips,
    read_both,
    read_damaged,
)

import dataset
from dataset import DATA_DIR, MNIST


@pytest.mark.parametrize(("name", "md5"), [
    ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637")])
def test_bundled_files_are_the_original(name, md5):
    packed = (DATA / f"{name}.gz").read_bytes()
    assert hashlib.md5(gzip.decompress(packed)).hexdigest() == md5
    assert packed[3:8] == bytes(5), "gzip's flags (no name) and time"


def test_every_digit_equals_torchvisions(digits, tmp_path):
    write_idx_folder(tmp_path / "MNIST" / "raw", digits, suffix="")
    for train in (True, False):
        oracle = torchvision.datasets.MNIST(tmp_path, train=train)
        images, labels = MNIST(DATA_DIR, train)[:]
        assert torch.equal(images.squeeze(1), oracle.data)
        assert torch.equal(labels, oracle.targets)


def test_other_data_of_the_same_form_drop_in(tmp_path, capsys):
    """Such as Fashion-MNIST: the same four names, whatever the pictures and their number."""
    rng = np.random.default_rng(0)
    other = {split: (rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10)
             for split, n in (("train", 30), ("test", 11))}
    write_idx_folder(tmp_path, other)
    assert_equal(read_both(tmp_path), other)
    assert dataset.main([str(tmp_path)]) == 0
    assert "test: 11 images, 28x28, uint8\n  by class: 0: 2  1: 1" in capsys.readouterr().out


def announce(count):
    return IMAGES[:4] + count.to_bytes(4, "big") + IMAGES[8:]


# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:-20]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:-4]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:5]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, 200)}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, 10, 1)}, f"{TRAIN_IMAGES}.gz: cannot be read: Error -3"),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, -8)}, f"{TRAIN_IMAGES}.gz: cannot be read: CRC"),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ + b"left over"}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TEST_LABELS}.gz": b""}, f"{TEST_LABELS}.gz: not an IDX file"),
    ("gz", {f"{TEST_LABELS}.gz": None}, f"{TEST_LABELS}.gz: missing"),
    ("idx", {TRAIN_IMAGES: b""}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: b"<!DOCTYPE html><html>"}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: GZ[:-4]}, f"{TRAIN_IMAGES}: cannot be read: Compressed file ended"),
    ("idx", {TRAIN_IMAGES: flip(IMAGES, 1)}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: IMAGES[:15]}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: flip(IMAGES, 2, 2)}, f"{TRAIN_IMAGES}: IDX type 0x0c"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[..., None])}, "with 4 dimension(s)"),
    ("idx", {TRAIN_LABELS: IMAGES}, f"{TRAIN_LABELS}: IDX type 0x08 with 3 dimension(s)"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[:, 1:])}, f"{TRAIN_IMAGES}: images of 27x28"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES.reshape(3, 56, 28))}, "images of 56x28"),
    ("idx", {TRAIN_IMAGES: IMAGES[:-1]}, "announces 4,704 bytes of data, holds 4,703"),
    ("idx", {TRAIN_IMAGES: IMAGES[:16]}, f"{TRAIN_IMAGES}: announces 4,704 bytes of data"),
    ("idx", {TRAIN_IMAGES: IMAGES + b"\0"}, "announces 4,704 bytes of data, holds 4,705"),
    ("idx", {TEST_LABELS: LABELS + b"\0"}, f"{TEST_LABELS}: announces 6 bytes of data, holds 7"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[:0])}, f"{TRAIN_LABELS}: 6 labels for 0 images"),
    ("idx", {TRAIN_IMAGES: announce(2**32 - 1)}, "announces 3,367,254,359,280 bytes of data, hol"),
    ("idx", {TRAIN_IMAGES: announce(7)}, "announces 5,488 bytes of data, holds 4,704"),
    ("idx", {TRAIN_IMAGES: announce(5)}, "announces 3,920 bytes of data, holds 4,704"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[:0]), TRAIN_LABELS: idx_bytes(DIGITS[:0])},
     f"{TRAIN_IMAGES}: 0 images, expected 1 to 1,000,000"),
    ("idx", {TRAIN_LABELS: idx_bytes(DIGITS[:5])}, f"{TRAIN_LABELS}: 5 labels for 6 images"),
    ("idx", {TEST_LABELS: idx_bytes([0, 1, 2, 10, 4, 255])}, f"{TEST_LABELS}: label 10 at posi"),
    ("idx", {TEST_IMAGES: None, TEST_LABELS: None}, f"{TEST_IMAGES}.gz: missing, though"),
    ("idx", {TRAIN_LABELS: None}, f"{TRAIN_LABELS} or {TRAIN_LABELS}.gz: missing, though"),
]


KAGGLE, FASHION = f"{TRAIN_IMAGES}/{TRAIN_IMAGES}", "FashionMNIST/raw"
LETTERS = "emnist-digits-train-labels-idx1-ubyte"
INTS = "QMNIST/raw/qmnist-train-labels-idx2-int"
NOTES = qmnist_labels(DIGITS)
BAD += [
    ("unpacked", {KAGGLE: None}, f"{TRAIN_IMAGES}: cannot be read: "),
    ("unpacked", {KAGGLE: b""}, f"{KAGGLE}: not an IDX file"),
    ("unpacked", {KAGGLE: GZ[:-4]}, f"{KAGGLE}: cannot be read: Compressed file ended"),
    ("unpacked", {KAGGLE: IMAGES[:-1]}, f"{KAGGLE}: announces 4,704 bytes"),
    ("unpacked", {KAGGLE: announce(7)}, f"{KAGGLE}: announces 5,488 bytes"),
    ("unpacked", {KAGGLE: LABELS}, f"{KAGGLE}: IDX type 0x08 with 1 dimension(s), expected"),
    ("root", {f"{FASHION}/{TRAIN_IMAGES}": b"<html>"}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("root", {f"{FASHION}/{TRAIN_IMAGES}": IMAGES + b"0"}, "bytes of data, holds 4,705"),
    ("root", {f"{FASHION}/{TRAIN_LABELS}": idx_bytes(DIGITS[:5])}, "5 labels for 6 images"),
    ("root", {f"{FASHION}/{name}{end}": None for end in ("", ".gz") for name in [TEST_IMAGES]},
     f"{FASHION}/{TEST_IMAGES} or {TEST_IMAGES}.gz: missing, though other parts are there; --val"),
    ("root", {f"MNIST/raw/{TRAIN_IMAGES}": IMAGES}, "has FashionMNIST/raw and MNIST/raw; choose"),
    ("emnist", {LETTERS: idx_bytes(DIGITS + 10)}, f"{LETTERS}: label 15 at position 0; of EMNIST"),
    ("emnist", {LETTERS: None}, f"{LETTERS} or {LETTERS}.gz: missing"),
    ("emnist", {LETTERS: LABELS[:-1]}, f"{LETTERS}: announces 6 bytes of data, holds 5"),
    ("emnist", {LETTERS: idx_bytes(DIGITS[:5])}, f"{LETTERS}: 5 labels for 6 images"),
    ("emnist", {LETTERS.replace("digits", "mnist"): LABELS}, "has emnist-digits, emnist-mnist"),
    ("emnist", {TRAIN_LABELS: LABELS}, "has MNIST, emnist-digits; choose one of them, as"),
    ("qmnist", {INTS: NOTES[:-1]}, f"{INTS}: announces 192 bytes of data, holds 191"),
    ("qmnist", {INTS: qmnist_labels(DIGITS + 1)}, f"{INTS}: label 10 at position 4"),
    ("qmnist", {INTS: qmnist_labels(DIGITS - 1)}, f"{INTS}: label -1 at position 1"),
    ("qmnist", {INTS: qmnist_labels(DIGITS[:5])}, f"{INTS}: 5 labels for 6 images"),
    ("qmnist", {INTS: flip(NOTES, 11)}, f"{INTS}: labels of 9, expected 8"),
    ("qmnist", {INTS: None}, "qmnist-train-labels-idx2-int or "),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_idx_files_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


@pytest.mark.parametrize("packer", [gzip, bz2, lzma])
def test_a_small_file_that_unpacks_to_much_fills_no_memory(packer, tmp_path):
    bomb = packer.compress(announce(2**25 // 784) + bytes(2**25))
    folder = write_files(tmp_path, GOOD["gz"] | {f"{TRAIN_IMAGES}.gz": bomb})
    with filling_no_memory(2**24):
        assert f"{TRAIN_IMAGES}.gz: unpacks to more than 100 times its size" in fault(folder)


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@at_random
@given(cut=cuts, flips=flips)
def test_damage_to_plain_idx_is_noticed_where_the_structure_tells(name, cut, flips):
    whole, header = IDX_FILES[name], 16 if name == TRAIN_IMAGES else 8
    content = damage(whole, cut, flips)
    found = read_damaged(IDX_FILES, name, content)
    body = np.frombuffer(content[header:], np.uint8)
    sound = content[:header] == whole[:header] and len(content) == len(whole)
    if name == TRAIN_IMAGES and sound:
        assert_equal({"train": found}, {"train": (body.reshape(6, 28, 28), DIGITS)})
    elif sound and body.max() < 10:
        assert_equal({"train": found}, {"train": (PICTURES, body)})
    else:
        assert found is None
