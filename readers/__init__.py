"""Reads MNIST from a folder, in whichever of the formats it is there."""

from readers.common import DATA_DIR, DataError
from readers.idx import read_idx_pair
from readers.pngs import folder_members, read_pngs
from readers.tar import tar_members


def read_split(data_dir, split):
    """Images uint8 (N, 1, 28, 28) and labels int64 (N,) of "train" or "test" in a folder."""
    stem = {"train": "train", "test": "t10k"}[split]
    images_name, labels_name = f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; {_expected()}")
    # One format for the whole folder, so that half a data set is never completed by another.
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
