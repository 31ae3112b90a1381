"""Folders of pictures: train/ and test/, with a folder for each class, or with labels in the names.

One folder for each class is how torchvision's ImageFolder wants its images, and how most archives
of MNIST as pictures are made. They also call the folders training/ and testing/, or trainingSet/
and testSet/. pngs.py reads the pictures.
"""

import re

from readers.common import choose, is_clutter, list_files, measure
from readers.pngs import read_pictures

FORM = "folders train/, test/"
EXPECTED = ("train/0/*.png to test/9/*.png, a folder a class (or .jpg, .bmp; training/, testSet/)",
            "train/{index}_{label}.png and test/{index}_{label}.png")
NAME = re.compile("(?P<split>train|test)((ing)?(set)?)", re.IGNORECASE)
UNUSED = re.compile("val(id(ation)?)?", re.IGNORECASE)


def lies_in(folder):
    """Tells whether there is such a folder."""
    return bool(find_folders(folder))


def find_folders(folder, pattern=NAME):
    """The folders in `folder` whose names match a pattern, sorted."""
    return [path for path in list_files(folder, pattern) if path.is_dir()]


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the folder of the images.

    Raises DataError if it is missing, or if a file or a folder in it is not as expected.
    """
    source = choose(find_folders(folder), NAME, split)
    return *read_pictures(list_members(source)), source


def list_members(source):
    """The files of a folder and of the class folders in it, as `read_pictures` takes them."""
    for path in sorted(source.iterdir()):
        if is_clutter(path.name):
            continue
        label, files = (path.name, sorted(path.iterdir())) if path.is_dir() else ("", [path])
        for file in files:
            if not is_clutter(file.name):
                yield label, file.name, file, measure(file), file.read_bytes
