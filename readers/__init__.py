"""Reads MNIST from a folder, in whichever format it is there. Each format has a module:

    idx.py     the four original files, plain or gzipped: `train-images-idx3-ubyte.gz`, ...
    pngs.py    folders `train/` and `test/` of PNG files `{index}_{label}.png`
    tar.py     `train.tar` and `test.tar`, or `.tar.gz`, of such PNG files
    common.py  what all formats share
"""

from readers.common import DATA_DIR, DataError
from readers.idx import read_idx_pair
from readers.pngs import folder_members, read_pngs
from readers.tar import tar_members


def read_split(data_dir, split):
    """Reads the split "train" or "test" of the folder `data_dir`, a Path.

    Returns images uint8 (N, 1, 28, 28) and labels int64 (N,). Raises DataError if the files are
    missing or broken, and OSError if the folder cannot be looked into.
    """
    stem = {"train": "train", "test": "t10k"}[split]
    images_name, labels_name = f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; {_expected()}")
    # The whole folder has one format: two halves of different data sets must never become one.
    if any(data_dir.glob("*-ubyte")) or any(data_dir.glob("*-ubyte.gz")):
        images_path = _find(data_dir, images_name, images_name + ".gz")
        labels_path = _find(data_dir, labels_name, labels_name + ".gz")
        return read_idx_pair(images_path, labels_path)
    if (data_dir / "train").is_dir() or (data_dir / "test").is_dir():
        folder = _find(data_dir, split)
        return read_pngs(folder_members(folder), folder)
    if any(data_dir.glob("train.tar*")) or any(data_dir.glob("test.tar*")):
        path = _find(data_dir, f"{split}.tar", f"{split}.tar.gz")
        return read_pngs(tar_members(path), path)
    raise DataError(f"{data_dir}: no MNIST here; {_expected()}")


def _expected():
    return ("expected train-images-idx3-ubyte[.gz] and its three companions, or folders train/ and "
            "test/ of {index}_{label}.png, or train.tar and test.tar of them "
            f"(--data-dir {DATA_DIR} works)")


def _find(data_dir, *names):
    for name in names:
        if (data_dir / name).exists():
            return data_dir / name
    raise DataError(f"{data_dir / ' or '.join(names)}: missing, though other parts are there")
