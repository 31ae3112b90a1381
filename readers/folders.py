"""Folders of pictures: train/ and test/, with a folder for each class, or with labels in the names.

One folder for each class is how torchvision's ImageFolder wants its images, and how most archives
of MNIST as pictures are made. They also call the folders training/ and testing/, or trainingSet/
and testSet/. pngs.py reads the pictures, and those whose names hold the label.
"""

from readers.common import CLASSES, MAX_IMAGES, DataError, is_clutter, missing
from readers.pngs import ENDINGS, is_picture, pack, read_named, read_picture

FORM = "folders train/, test/"
EXPECTED = ("train/0/*.png to test/9/*.png, a folder a class (or .jpg, .bmp; training/, testSet/)",
            "train/{index}_{label}.png and test/{index}_{label}.png")
NAMES = {"train": ("train", "training", "trainingset"), "test": ("test", "testing", "testset")}


def lies_in(folder):
    """Tells whether there is such a folder."""
    return any(find_folders(folder, split) for split in NAMES)


def find_folders(folder, split):
    """The folders for a split, sorted; an empty list if `folder` is none."""
    return sorted(path for path in folder.iterdir() if path.name.lower() in NAMES[split]
                  and path.is_dir()) if folder.is_dir() else []


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the folder of the images.

    Raises DataError if it is missing, or if a file or a folder in it is not as expected.
    """
    found = find_folders(folder, split)
    if not found:
        raise missing(folder / split, split)
    if len(found) > 1:
        raise DataError(f"{folder}: has {' and '.join(path.name for path in found)}; move all but "
                        "one of these to another folder")
    source = found[0]
    if (source / source.name).is_dir():  # as archives unpack that hold a folder of their own name
        source = source / source.name
    paths = [path for path in source.iterdir() if not is_clutter(path.name)]
    classes = sorted(path for path in paths if path.is_dir())
    loose = sorted(path for path in paths if path not in set(classes))
    if classes and loose:
        raise DataError(f"{source}: has the folder {classes[0].name} and the file {loose[0].name}; "
                        "expected folders, one a class, or pictures, not both")
    members = ((path.name, path, path.stat().st_size, path.read_bytes) for path in loose)
    images, labels = read_classes(source, classes) if classes else read_named(members, source)
    return images, labels, source


def read_classes(source, classes):
    """Reads folders whose names are the labels, in the order of ImageFolder: class, then name.

    Fewer than ten are fine. Returns images uint8 (N, 28, 28) and labels (N,).
    """
    pixels, labels, others = [], [], []
    for folder in classes:
        if folder.name not in map(str, range(CLASSES)):
            raise DataError(f"{folder}: the name is no digit; a class folder is called 0 to "
                            f"{CLASSES - 1}")
        for path in sorted(folder.iterdir()):
            if is_clutter(path.name):
                continue
            if not is_picture(path.name):  # refused below, with their number
                others.append(path)
                continue
            if len(pixels) == MAX_IMAGES:
                raise DataError(f"{source}: more than {MAX_IMAGES} images")
            pixels.append(read_picture(path.read_bytes, path.stat().st_size, path))
            labels.append(int(folder.name))
    if others:
        raise DataError(f"{others[0]}: not a picture by its name (such files: {len(others):,}); "
                        f"expected {', '.join(ENDINGS)}; convert or remove them")
    return pack(pixels, labels, source)
