"""Reads MNIST from a folder, in whichever form it is there. Each form has a module:

    idx.py      the four original files, EMNIST's and QMNIST's, also as torchvision leaves them
    folders.py  train/ and test/ of pictures, a folder for each class, or as pngs.py has them
    pngs.py     pictures named `{index}_{label}.png`
    tar.py      `train.tar` and `test.tar`, or `.tar.gz`, of such pictures
    table.py    CSV: a label and 784 pixels a row
    npz.py      Keras's `mnist.npz`
    refused.py  what is not read, and why
    common.py   what all forms share

A module of a form has FORM (its name), EXPECTED (what it reads, in words), `lies_in(folder)` and
`read(folder, split)`. A file's first bytes tell what it is, not its ending.
"""

import numpy as np
import torch

from readers import folders, idx, npz, table, tar
from readers.common import DataError
from readers.refused import explain_refusal

FORMS = (idx, folders, tar, table, npz)


def read_split(data_dir, split):
    """Reads the split "train" or "test" of the folder `data_dir`, a Path.

    Returns images uint8 (N, 1, 28, 28) and labels int64 (N,). Raises DataError if the files are
    missing or broken, if there are two forms, or if all images are alike. Raises OSError if the
    folder cannot be looked into.
    """
    found = [form for form in FORMS if form.lies_in(data_dir)]
    if not found:
        raise explain_refusal(data_dir, [line for form in FORMS for line in form.EXPECTED])
    if len(found) > 1:  # which of them is meant?
        raise DataError(f"{data_dir}: has {' and '.join(form.FORM for form in found)}; move all "
                        "but one of these to another folder")
    images, labels, path = found[0].read(data_dir, split)
    if len(images) > 1 and (images[1:] == images[:-1]).all():
        raise DataError(f"{path}: all {len(images):,} images are alike")
    images = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)
    return images, torch.from_numpy(labels.astype(np.int64))
