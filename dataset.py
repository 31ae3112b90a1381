"""MNIST in memory, read from IDX files, PNG folders or PNG tars, and indexed a batch at a time.

    python dataset.py [DIR]        what is found there: counts by class, mean and standard deviation

`MNIST(data_dir, train)` looks, without being told which, for
  (a) the four IDX files, plain or gzipped (`train-images-idx3-ubyte.gz`, ...),
  (b) the folders `train/` and `test/` of PNG files `{index}_{label}.png`,
  (c) `train.tar` and `test.tar` (or `.tar.gz`) of such PNG files, read without unpacking.
"""

import copy
import math
import signal
import sys
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from readers import read_split
from readers.common import CLASSES, DATA_DIR, SIDE, DataError

MEAN, STD = 0.1307, 0.3081  # of the 60,000 training images in [0, 1], unpadded


class MNIST(Dataset):
    """The training or the test set, whole, in memory.

    images: uint8 (N, 1, 28, 28) as stored, on `device`; labels: int64 (N,).
    `dataset[index]` gives `(images, labels)`. An index tensor, a list or a slice gives a batch; an
    int gives one image (1, 28, 28) and its label. `transform` is called once on the whole batch.

    Raises DataError where the files are missing or broken.
    """

    def __init__(self, data_dir, train, transform=None, device="cpu"):
        self.data_dir = Path(data_dir)
        try:
            images, labels = read_split(self.data_dir, "train" if train else "test")
        except OSError as error:  # no permission, a name too long
            raise DataError(f"{self.data_dir}: cannot be read: {error.strerror}") from None
        self.images = images.to(device)
        self.labels = labels.to(device)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if isinstance(index, list):  # of tensors too, which would count as an index a dimension
            index = torch.tensor(index, dtype=torch.int64)
        images, labels = self.images[index], self.labels[index]
        if self.transform is None:
            return images, labels
        if images.dim() == 3:  # one image is a batch of one
            return self.transform(images[None])[0], labels
        return self.transform(images), labels

    def select(self, index):
        """The data set of the images at `index`, an int64 tensor (M,), in that order."""
        selected = copy.copy(self)
        selected.images, selected.labels = self.images[index], self.labels[index]
        return selected

    def fingerprint(self):
        """What tells this data set from another: its size and two checksums (ints)."""
        images, labels = (zlib.crc32(tensor.cpu().contiguous().numpy())
                          for tensor in (self.images, self.labels))
        return {"size": len(self), "images_crc32": images, "labels_crc32": labels}


class Transform:
    """Turns stored images into the input of a net, a whole batch at once.

    Pads with background, scales to [0, 1], distorts if there is a `distortion`, and normalises.
    The result is bit-identical to the same steps of torchvision.transforms.v2, which this replaces
    because importing torchvision takes a second.
    """

    def __init__(self, image_size, distortion=None):
        self.image_size, self.distortion = image_size, distortion

    def __call__(self, images):
        """uint8 (B, 1, 28, 28) -> float32 (B, 1, image_size, image_size)."""
        margin = (self.image_size - SIDE) // 2
        images = F.pad(images, [margin] * 4)  # uint8 (B, 1, image_size, image_size)
        images = images.to(torch.float32).mul_(1 / 255)  # float32, the same shape, in [0, 1]
        if self.distortion is not None:  # before normalising: it moves in zeros, the background
            images = self.distortion(images)  # the same shape, in [0, 1]
        # In place is safe here: the steps before have made a new tensor.
        return images.sub_(MEAN).div_(STD)  # the same shape, mean about 0, deviation about 1


make_transform = Transform


def load_data(data_dir, for_training, for_testing, validate=False, device="cpu"):
    """What a run trains on, what it is measured on, and what identifies the two.

    The two transforms are `for_training` and `for_testing`. With `validate`, the run is measured on
    training images that are held out, not on the test set; see `hold_out`.

    Returns (train_set, test_set, data). `data` holds the fingerprints of the whole sets as the
    files have them: {"train": ..., "test": ...}, or "validation" in place of "test".
    Raises DataError where the files are missing or broken.
    """
    train_set = MNIST(data_dir, True, for_training, device)
    test_set = MNIST(data_dir, validate, for_testing, device)
    data = {"train": train_set.fingerprint(),
            "validation" if validate else "test": test_set.fingerprint()}
    if validate:
        train_set, test_set = hold_out(train_set, test_set)
    return train_set, test_set, data


def hold_out(train_set, test_set):
    """Splits the training images, for --validate, into five sixths and one sixth to measure on.

    Both arguments hold all of them, each with its own transform. The split is the same in every
    run. Returns two datasets; raises DataError if there are fewer than six images.
    """
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    rest, sixth = order[len(order) // 6 :], order[: len(order) // 6]
    if len(sixth) == 0:
        raise DataError(f"{train_set.data_dir}: too few training images to hold a sixth out")
    return train_set.select(rest), test_set.select(sixth)


def make_loader(dataset, batch_size, shuffle):
    """A DataLoader that asks an MNIST for one batch of indices at a time; the last is ragged."""
    order = torch.randperm(len(dataset)) if shuffle else torch.arange(len(dataset))
    order = order.to(dataset.labels.device)  # at once: a GPU would wait for each batch of it
    return DataLoader(dataset, sampler=order.split(batch_size), batch_size=None)


class Distortion(nn.Module):
    """Gives each image of a batch its own random affine map and, if wanted, thicker strokes.

    Every amount of the map is uniform in ± its bound: rotation and shear in degrees, translation in
    pixels along each axis, scaling as a fraction along each axis on its own; resampling is
    bilinear. torchvision's RandomAffine draws one map for the whole batch. LeCun et al. 1998,
    section III.B, distorts with planar affine maps as well.

    `thickening` moves half of the images towards their maximum over 3x3 pixels, by a fraction
    uniform in 0 to the bound. Line thickness is among the invariances of Simard, Le Cun and Denker
    1993, "Efficient Pattern Recognition Using a New Transformation Distance".
    """

    bounds = ("rotation", "translation", "scaling", "shear", "thickening")  # its arguments

    def __init__(self, rotation=0.0, translation=0.0, scaling=0.0, shear=0.0, thickening=0.0):
        super().__init__()
        self.rotation, self.shear = math.radians(rotation), math.radians(shear)
        self.translation, self.scaling, self.thickening = translation, scaling, thickening

    def forward(self, images):
        """float (B, C, H, W) in [0, 1] -> the same shape; zeros move in at the border."""
        batch, _, height, width = images.shape
        if self.thickening:
            amount = torch.empty(batch, 1, 1, 1, device=images.device).uniform_(-1, 1).clamp(min=0)
            images = images + self.thickening * amount * (_maximum_3x3(images) - images)
        chance = torch.empty(6, batch, device=images.device).uniform_(-1, 1)  # (6, B)
        angle, slant = chance[0] * self.rotation, torch.tan(chance[1] * self.shear)
        cos, sin = torch.cos(angle), torch.sin(angle)
        scale_x, scale_y = 1 / (1 + chance[2:4] * self.scaling)  # of the map back: its inverse
        shift_x = chance[4] * self.translation * 2 / width  # the grid spans [-1, 1]
        shift_y = chance[5] * self.translation * 2 / height
        # From output to input position: rotation @ shear @ scaling, then the shift; (B, 2) each.
        of_x = torch.stack([cos * scale_x, sin * scale_x], dim=1)
        of_y = torch.stack([(cos * slant - sin) * scale_y, (sin * slant + cos) * scale_y], dim=1)
        shift = torch.stack([shift_x, shift_y], dim=1)
        of_x, of_y, shift = (column[..., None, None] for column in (of_x, of_y, shift))
        # F.affine_grid, written out: on a CPU it takes longer than the resampling itself.
        x = torch.linspace(-1, 1, width, device=images.device) * (width - 1) / width
        y = torch.linspace(-1, 1, height, device=images.device) * (height - 1) / height
        grid = (of_x * x + of_y * y[:, None] + shift).permute(0, 2, 3, 1)  # (B, H, W, 2)
        return F.grid_sample(images, grid, align_corners=False)  # (B, C, H, W)


def _maximum_3x3(images):
    """Each pixel's maximum over its neighbourhood; (B, C, H, W), at least 0.

    Many times as fast here as F.max_pool2d, which also finds where the maximum was.
    """
    padded = F.pad(images, (1, 1, 1, 1))
    rows = padded[..., :-2].maximum(padded[..., 1:-1]).maximum(padded[..., 2:])  # (B, C, H + 2, W)
    return rows[..., :-2, :].maximum(rows[..., 1:-1, :]).maximum(rows[..., 2:, :])


def main(argv):
    """Prints what is found in a folder; returns the exit status."""
    data_dir = Path(argv[0]) if argv else DATA_DIR
    try:
        for split in ("train", "test"):
            images, labels = MNIST(data_dir, train=split == "train")[:]
            pixels = images.double() / 255
            counts = torch.bincount(labels, minlength=CLASSES).tolist()
            print(f"{split}: {len(labels):,} images, {images.shape[2]}x{images.shape[3]}, uint8")
            print("  by class: " + "  ".join(f"{i}: {n:,}" for i, n in enumerate(counts)))
            print(f"  mean {pixels.mean():.4f}, standard deviation {pixels.std():.4f}")
    except DataError as error:
        print(f"dataset.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end in silence when `head` has enough
    sys.exit(main(sys.argv[1:]))
