"""Writes digits as people have them: each form in the layout that its users know."""

import gzip
import io
import struct

import numpy as np
from conftest import idx_bytes, png_bytes, tar_bytes, write_files

HEADER = ["label", *(f"pixel{i}" for i in range(784))]


def idx_files(digits, name="{stem}-{kind}-idx{n}-ubyte", pack=bytes):
    """The four IDX files of {split: (images, labels)} as {name: bytes}."""
    return {name.format(stem=stem, split=split, kind=kind, n=n): pack(idx_bytes(array))
            for split, stem in (("train", "train"), ("test", "t10k"))
            for kind, n, array in zip(("images", "labels"), (3, 1), digits[split], strict=True)}


def emnist_files(digits, name="emnist-digits-{split}-{kind}-idx{n}-ubyte", pack=bytes):
    """EMNIST's: the images transposed."""
    turned = {split: (images.swapaxes(1, 2), labels) for split, (images, labels) in digits.items()}
    return idx_files(turned, name, pack)


def qmnist_labels(labels):
    """QMNIST's labels: rows of 8 ints, the class first, then writer and other notes."""
    rows = np.arange(8 * len(labels), dtype=">i4").reshape(-1, 8)
    rows[:, 0] = labels
    return struct.pack(">BBBBII", 0, 0, 12, 2, *rows.shape) + rows.tobytes()


def class_folders(digits, train="train", test="test", kind="PNG", ending="png"):
    """A folder for each class; the numbers in the names are not padded, as they are found."""
    return {f"{folder}/{label}/{i}.{ending}": png_bytes(image, kind)
            for split, folder in (("train", train), ("test", test))
            for i, (image, label) in enumerate(zip(*digits[split], strict=True))}


def named_pictures(digits, name="{index}_{label}.png"):
    return {f"{split}/{name.format(index=i, label=label)}": png_bytes(image)
            for split, (images, labels) in digits.items()
            for i, (image, label) in enumerate(zip(images, labels, strict=True))}


def csv_bytes(images, labels, header=None, label_last=False):
    """Rows of a label and its pixels, as text, with Windows's ends of lines."""
    rows = [labels[:, None], np.asarray(images).reshape(len(images), -1)]
    rows = np.concatenate(rows[::-1] if label_last else rows, axis=1)
    lines = ([",".join(header)] if header else []) + [",".join(map(str, row)) for row in rows]
    return "".join(f"{line}\r\n" for line in lines).encode()


def csv_files(digits, name="mnist_{split}.csv", **layout):
    return {name.format(split=split): csv_bytes(*arrays, **layout)
            for split, arrays in digits.items()}


def npz_bytes(**arrays):
    np.savez_compressed(buffer := io.BytesIO(), **arrays)
    return buffer.getvalue()


def npz_files(digits, shape=(-1, 28, 28), kind=np.uint8):
    return {"mnist.npz": npz_bytes(**{
        f"{letter}_{split}": array.reshape(shape).astype(kind) if letter == "x" else array
        for split, arrays in digits.items() for letter, array in zip("xy", arrays, strict=True)})}


def kmnist_files(digits):
    """Each array in a file of its own, called as NumPy calls an array without a name."""
    return {f"kmnist-{split}-{kind}.npz": npz_bytes(arr_0=array)
            for split, arrays in digits.items()
            for kind, array in zip(("imgs", "labels"), arrays, strict=True)}


def tars(files, ending, mode):
    """Each split of {path: content} as a tar archive."""
    return {f"{split}.{ending}": tar_bytes({
        path: content for path, content in files.items() if path.startswith(split)}, mode)
        for split in ("train", "test")}


def below(folder, files):
    return {f"{folder}/{name}": content for name, content in files.items()}


def unpacked(files):
    """As Kaggle's archives unpack: for each file a folder of its name."""
    return {f"{name}/{name}": content for name, content in files.items()}


def torchvision_root(name, digits):
    """What torchvision downloads, beside what it unpacks."""
    files = idx_files(digits)
    return below(f"{name}/raw", {f"{file}.gz": gzip.compress(content)
                                 for file, content in files.items()} | files)


# {form: a function of {split: (images, labels)} that makes {path: content}}
FORMS = {
    "idx": idx_files,
    "gz": lambda digits: idx_files(digits, "{stem}-{kind}-idx{n}-ubyte.gz", gzip.compress),
    "gz without .gz": lambda digits: idx_files(digits, pack=gzip.compress),
    ".gz, but unpacked": lambda digits: idx_files(digits, "{stem}-{kind}-idx{n}-ubyte.gz"),
    "dot": lambda digits: idx_files(digits, "{stem}-{kind}.idx{n}-ubyte"),
    "unpacked": lambda digits: unpacked(idx_files(digits)),
    "unpacked, dot": lambda digits: unpacked(idx_files(digits, "{stem}-{kind}.idx{n}-ubyte")),
    "Kaggle's whole archive": lambda digits: (
        unpacked(idx_files(digits)) | idx_files(digits, "{stem}-{kind}.idx{n}-ubyte")),
    "MNIST": lambda digits: torchvision_root("MNIST", digits),
    "FashionMNIST": lambda digits: torchvision_root("FashionMNIST", digits),
    "QMNIST": lambda digits: below("QMNIST/raw", {
        f"qmnist-{split}-{name}-ubyte": idx_bytes(images)
        for split, (images, _) in digits.items() for name in ["images-idx3"]} | {
        f"qmnist-{split}-labels-idx2-int": qmnist_labels(labels)
        for split, (_, labels) in digits.items()}),
    "EMNIST": lambda digits: below("EMNIST/raw", emnist_files(digits)),
    "emnist": lambda digits: emnist_files(
        digits, "emnist-mnist-{split}-{kind}-idx{n}-ubyte.gz", gzip.compress),
    "classes": class_folders,
    "classes, jpg": lambda digits: class_folders(
        digits, "trainingSet/trainingSet", "testSet/testSet", "JPEG", "jpg"),
    "classes, bmp": lambda digits: class_folders(digits, "training", "testing", "BMP", "bmp"),
    "classes, by content": lambda digits: class_folders(digits, kind="BMP", ending="png"),
    "names": named_pictures,
    "names, label first": lambda digits: named_pictures(digits, "{label}_{index}.png"),
    "tar": lambda digits: tars(named_pictures(digits), "tar", "w"),
    "tar.xz": lambda digits: tars(named_pictures(digits), "tar.xz", "w:xz"),
    "classes, tgz": lambda digits: tars(class_folders(digits), "tgz", "w:gz"),
    "classes, tar.bz2": lambda digits: tars(class_folders(digits), "tar.bz2", "w:bz2"),
    "csv": csv_files,
    "csv, header": lambda digits: csv_files(digits, "{split}.csv", header=HEADER),
    "csv, label last": lambda digits: csv_files(
        digits, header=[*HEADER[1:], "class"], label_last=True),
    "csv, gzipped": lambda digits: {
        name: gzip.compress(content) for name, content in csv_files(digits).items()},
    "csv, unpacked": lambda digits: unpacked(csv_files(digits)),
    "npz": npz_files,
    "npz, KMNIST": kmnist_files,
    "npz, unpacked": lambda digits: unpacked(npz_files(digits)),
    "npz, channel": lambda digits: npz_files(digits, (-1, 28, 28, 1)),
    "npz, flat ints": lambda digits: npz_files(digits, (-1, 784), np.int64),
}


def write_form(folder, form, digits):
    return write_files(folder, FORMS[form](digits))
