"""readers.read_split: every format gives the same images, and a folder has one format only."""

import contextlib
import gzip
import os
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conftest import SPLITS, idx_bytes, png_bytes, tar_bytes, write_files, write_idx_folder
from hypothesis import assume, given
from six_digits import (
    DIGITS,
    GOOD,
    PICTURES,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    assert_equal,
    at_random,
    cuts,
    damage,
    fault,
    flips,
    read_both,
    read_damaged,
)

from dataset import DATA_DIR, MNIST, DataError


def png_members(images, labels):
    """PNGs in an order of their own, in folders of their own, with indices 3, 10, 17, ..."""
    names = [f"{'./some/' * (i % 2)}{'a' * (i % 5)}/{7 * i + 3}_{label}.png".lstrip("/")
             for i, label in enumerate(labels)]
    return {names[i]: png_bytes(images[i])
            for i in np.random.default_rng(0).permutation(len(names))}


CLUTTER = {"train": tarfile.DIRTYPE, "a/0_5.png": tarfile.SYMTYPE, "b/0_5.png": tarfile.LNKTYPE,
           "a/._3_5.png": b"AppleDouble", "._train": b"AppleDouble", ".hidden/0_5.png": b"hidden",
           "./a/.DS_Store": b"hidden", "a/Thumbs.db": b"Windows", "a/desktop.ini": b"Windows"}


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "png", "tar", "tar.gz"])
def test_every_format_gives_the_same(kind, small_digits, small_idx, tmp_path):
    if kind.startswith("idx"):
        suffix = kind.removeprefix("idx")
        folder = small_idx if suffix else write_idx_folder(tmp_path, small_digits, suffix)
    for split, arrays in small_digits.items() if not kind.startswith("idx") else ():
        members = png_members(*arrays)
        if kind == "png":
            files = {f"{split}/{Path(name).name}": png for name, png in members.items()}
            clutter = {f"{split}/._3_5.png": b"AppleDouble", f"{split}/Thumbs.db": b"",
                       f"{split}/desktop.ini": b"", f"{split}/.DS_Store": b""}
            folder = write_files(tmp_path, {**files, **clutter})
        else:
            mode = "w:gz" if kind == "tar.gz" else "w"
            packed = tar_bytes({**CLUTTER, **members}, mode)
            folder = write_files(tmp_path, {f"{split}.{kind}": packed})
    assert_equal(read_both(folder), small_digits)


@pytest.mark.parametrize(("name", "words"), [
    ("absent", f"no such folder (--data-dir {DATA_DIR} works)"),
    ("file", "a file; give the folder that it is in"),
    ("file/below", f"no such folder (--data-dir {DATA_DIR} works)")])
def test_a_folder_that_is_none(name, words, tmp_path):
    write_files(tmp_path, {"file": b""})
    assert fault(tmp_path / name) == f"{tmp_path / name}: {words}"


def test_a_folder_without_data_lists_the_forms_one_a_line(tmp_path):
    write_files(tmp_path, {"notes.gz": gzip.compress(b"notes")[:11], "a.txt": b"", "train": b""})
    with pytest.raises(DataError) as caught:
        MNIST(tmp_path, True)
    first, *forms = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}: no MNIST here; what is read (--data-dir {DATA_DIR} works")
    assert all(line.startswith("  ") and len(line) < 100 for line in forms)
    for word in ("train-images-idx3-ubyte", "EMNIST", "FashionMNIST/raw", "train/0/", "{label}.png",
                 "train.tar", "mnist_train.csv", "mnist.npz", "KMNIST"):
        assert any(word in line for line in forms), word


PICKLE = pickle.dumps({"a": 1}, 2)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("mnist.pkl.gz", gzip.compress(PICKLE, mtime=0),
     "a pickle is not read, because it can run any code"),
    ("mnist.pkl", b"(lp0\n", "a pickle is not read, because it can run any code"),
    ("digits", PICKLE, "a pickle is not read, because it can run any code"),
    ("digits", gzip.compress(PICKLE, mtime=0), "a pickle is not read, because it can run any code"),
    ("train-00000-of-00001.parquet", b"PAR1....PAR1", "Parquet is not read; save its pictures"),
    ("train", b"PAR1....PAR1", "Parquet is not read; save its pictures as PNGs"),
    ("archive.zip", b"PK\3\4", "an archive of this name is not read; unpack it, and give"),
    ("mnist_png.tar.gz", b"", "an archive of this name is not read; unpack it")])
def test_what_is_not_read_is_told_by_its_first_bytes(name, content, words, tmp_path):
    write_files(tmp_path, {name: content})
    assert fault(tmp_path).startswith(f"{tmp_path / name}: {words}")


@pytest.mark.skipif(sys.platform == "win32", reason="devices of POSIX")
@pytest.mark.parametrize(("good", "name"), [
    ("idx", TRAIN_LABELS), ("csv", "mnist_train.csv"), ("npz", "mnist.npz"), ("tar", "train.tar"),
    ("png", "train/0_5.png"), ("classes", "train/5/0.png")])
def test_what_is_no_regular_file_is_not_opened(good, name, tmp_path):
    """A device here. A pipe would wait for its other end."""
    write_files(tmp_path, GOOD[good] | {name: None})
    (tmp_path / name).symlink_to(os.devnull)
    assert fault(tmp_path) == f"{tmp_path / name}: cannot be read: not a regular file"


def test_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert fault(tmp_path) == f"{tmp_path}: cannot be read: Permission denied"


@pytest.mark.parametrize(("one", "other", "words"), [
    ("idx", "png", "IDX files and folders train/, test/"),
    ("gz", "tgz", "IDX files and tar archives"),
    ("png", "tar", "folders train/, test/ and tar archives")])
def test_two_formats_in_one_folder_are_refused(one, other, words, tmp_path):
    """Else one of them would be read, and the other passed over in silence."""
    write_files(tmp_path, GOOD[one] | GOOD[other])
    assert fault(tmp_path) == (
        f"{tmp_path}: has {words}; move all but one of these to another folder")


def test_hidden_files_are_no_format(tmp_path):
    write_files(tmp_path, GOOD["tar"] | {f"._{TRAIN_IMAGES}.gz": b"", f"._{TRAIN_LABELS}": b"",
                                         "README.md": b"notes"})
    assert_equal(read_both(tmp_path), dict.fromkeys(SPLITS, (PICTURES, DIGITS)))


@pytest.mark.parametrize(("good", "name", "content"), [
    ("gz", "t10k-images-idx3-ubyte.gz", gzip.compress(idx_bytes(PICTURES[[3] * 6]), mtime=0)),
    ("png", "test", {f"test/{i}_{DIGITS[i]}.png": png_bytes(PICTURES[3]) for i in range(6)}),
    ("tar", "test.tar", tar_bytes({f"{i}_{i}.png": png_bytes(PICTURES[3]) for i in range(6)}))])
def test_images_that_are_all_alike_are_refused(good, name, content, tmp_path):
    files = content if isinstance(content, dict) else {name: content}
    write_files(tmp_path, GOOD[good] | files)
    assert len(MNIST(tmp_path, True)) == 6
    assert fault(tmp_path) == f"{tmp_path / name}: all 6 images are alike"


def test_a_single_image_is_not_alike(tmp_path):
    write_files(tmp_path, {"train/0_5.png": png_bytes(PICTURES[0])})
    assert len(MNIST(tmp_path, True)) == 1


@pytest.mark.parametrize("good", ["gz", "png", "tar"])
def test_training_images_without_test_images(good, tmp_path):
    """What is there can be read; what is missing is named, not taken from another format."""
    write_files(tmp_path, {name: content for name, content in GOOD[good].items()
                           if name.startswith("train")})
    assert len(MNIST(tmp_path, True)) == 6
    assert "missing, though other parts are there" in fault(tmp_path)


@pytest.mark.parametrize("name", [f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz", "train/0_5.png",
                                  "train.tar", "train.tar.gz"])
@at_random
@given(cut=cuts, flips=flips)
def test_damage_under_a_checksum_is_noticed_or_harmless(name, cut, flips):
    files = next(files for files in GOOD.values() if name in files)
    damaged = damage(files[name], cut, flips)
    assume(name != "train.tar" or not hides_in_a_header(files[name], damaged))
    found = read_damaged(files, name, damaged)
    if found:
        assert_equal({"train": found}, {"train": (PICTURES, DIGITS)})


def hides_in_a_header(content, damaged):
    """Whether a header of a tar has changed and still fits its checksum, a mere sum of bytes.

    Two flips can do that, such as one in a label and one in the checksum. Nobody could notice.
    """
    for start in range(0, len(damaged), tarfile.BLOCKSIZE):
        before, after = (tar[start:start + tarfile.BLOCKSIZE] for tar in (content, damaged))
        with contextlib.suppress(tarfile.TarError):  # it is no header, or the checksum tells
            for block in (before, after):
                tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if before != after:
                return True
    return False
