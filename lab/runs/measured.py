"""The images that a run was trained on and measured on.

Its log holds their checksums but not their folder. So each function takes the folder, `data_dir`,
and compares the checksums.
"""

import functools

from dataset import MNIST, hold_out
from lab.files import RunError


@functools.cache
def read_images(data_dir, train, invert=False):
    """Reads the MNIST object of a folder, and its fingerprint. Raises DataError."""
    dataset = MNIST(data_dir, train, invert=invert)
    return dataset, dataset.fingerprint()


def find_images(data_dir, train, wanted):
    """The MNIST object of a folder whose fingerprint is among `wanted`, or None: see --invert."""
    for invert in (False, True):
        dataset, fingerprint = read_images(data_dir, train, invert)
        if fingerprint in wanted:
            return dataset
    return None


def measured_images(run, data_dir):
    """Reads what `run` was measured on: images uint8 (N, 1, 28, 28) and labels int64 (N,).

    Raises DataError if the folder cannot be read, and RunError if it holds other images.
    """
    held_out = run["evaluated_on"] == "validation"
    dataset = find_images(data_dir, held_out, [run["data"][run["evaluated_on"]]])
    if dataset is None:
        raise RunError(f"{data_dir}: not the images that these were measured on; give the folder "
                       "of your data with --data-dir DIR")
    return (hold_out(dataset, dataset)[1] if held_out else dataset)[:]
