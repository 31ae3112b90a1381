"""Reads MNIST from a folder, in whichever form it is there. Each form has a module:

    idx.py      the four original files, EMNIST's and QMNIST's, also as torchvision leaves them
    folders.py  train/ and test/ of pictures
    tar.py      `train.tar` and `test.tar` of pictures, also packed
    table.py    CSV: a label and 784 pixels a row
    npz.py      Keras's `mnist.npz`, and the four files of KMNIST

    pngs.py     pictures in class folders, or named `{index}_{label}.png`
    refused.py  what is not read, and why
    cautions.py what looks wrong with what is read
    common.py   what all forms share

A module of a form has FORM (its name), EXPECTED (what it reads, in words), `lies_in(folder)` and
`read(folder, split)`. A file's first bytes tell what it is, not its ending.
"""

import numpy as np
import torch

from readers import folders, idx, npz, table, tar
from readers.common import MAX_IMAGES, DataError, refuse_several
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
    refuse_several(data_dir, [form.FORM for form in found])
    images, labels, path = found[0].read(data_dir, split)
    if not 0 < len(images) <= MAX_IMAGES:
        raise DataError(f"{path}: {len(images):,} images, expected 1 to {MAX_IMAGES:,}")
    if len(images) > 1 and (images[1:] == images[:-1]).all():
        raise DataError(f"{path}: all {len(images):,} images are alike")
    images = torch.from_numpy(images.copy()).unsqueeze(1)  # torch wants to write
    return images, torch.from_numpy(labels.astype(np.int64))
