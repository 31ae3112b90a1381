"""Reads MNIST from a folder, in whichever format it is there. Each format has a module:

    idx.py     the four original files, plain or gzipped: `train-images-idx3-ubyte.gz`, ...
    pngs.py    folders `train/` and `test/` of PNG files `{index}_{label}.png`
    tar.py     `train.tar` and `test.tar`, or `.tar.gz`, of such PNG files
    common.py  what all formats share
"""

import torch

from readers.common import DATA_DIR, DataError
from readers.idx import read_idx_pair
from readers.pngs import folder_members, read_pngs
from readers.tar import tar_members


def read_split(data_dir, split):
    """Reads the split "train" or "test" of the folder `data_dir`, a Path.

    Returns images uint8 (N, 1, 28, 28) and labels int64 (N,). Raises DataError if the files are
    missing or broken, if there are two formats, or if all images are alike. Raises OSError if
    the folder cannot be looked into.
    """
    idx = any(data_dir.glob("[!.]*-ubyte")) or any(data_dir.glob("[!.]*-ubyte.gz"))
    folders = (data_dir / "train").is_dir() or (data_dir / "test").is_dir()
    tars = any(data_dir.glob("train.tar*")) or any(data_dir.glob("test.tar*"))
    if not (idx or folders or tars):
        raise DataError(
            f"{data_dir}: no {'MNIST here' if data_dir.is_dir() else 'such folder'}; expected "
            "train-images-idx3-ubyte[.gz] and its three companions, or folders train/ and test/ of "
            "{index}_{label}.png, or train.tar and test.tar of them "
            f"(--data-dir {DATA_DIR} works)")
    if idx + folders + tars > 1:  # which of them is meant?
        found = ["IDX files"] * idx + ["folders train/, test/"] * folders + ["tar archives"] * tars
        raise DataError(f"{data_dir}: has {' and '.join(found)}; move all but one of these to "
                        "another folder")
    if idx:
        stem = {"train": "train", "test": "t10k"}[split]
        path, labels_path = (_find(data_dir, f"{stem}-{kind}-ubyte", f"{stem}-{kind}-ubyte.gz")
                             for kind in ("images-idx3", "labels-idx1"))
        images, labels = read_idx_pair(path, labels_path)
    elif folders:
        path = _find(data_dir, split)
        images, labels = read_pngs(folder_members(path), path)
    else:
        path = _find(data_dir, f"{split}.tar", f"{split}.tar.gz")
        images, labels = read_pngs(tar_members(path), path)
    if len(images) > 1 and torch.equal(images[1:], images[:-1]):
        raise DataError(f"{path}: all {len(images):,} images are alike")
    return images, labels


def _find(data_dir, *names):
    for name in names:
        if (data_dir / name).exists():
            return data_dir / name
    raise DataError(f"{data_dir / ' or '.join(names)}: missing, though other parts are there")
