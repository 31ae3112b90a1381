"""MNIST as a Dataset in memory, and all that happens to its images before they enter a net.

    python dataset.py [DIR] [--invert]    prints what a folder holds, and whether it looks turned

The path of the images:
    MNIST(data_dir, train)         reads a folder of any form that readers/ knows
    make_loader(dataset, ...)      draws the indices of each batch
    dataset[indices]               indexes a whole batch at once, never image by image
    Transform(image_size, ...)     pads, scales, distorts (only in training) and normalises it
"""

import builtins
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
from readers.cautions import list_cautions
from readers.common import CLASSES, DATA_DIR, SIDE, DataError

MEAN, STD = 0.1307, 0.3081  # of the 60,000 training images, scaled to [0, 1], not padded


class MNIST(Dataset):
    """The whole training set or the whole test set, in memory on `device`.

    images: uint8 (N, 1, 28, 28), as stored; labels: int64 (N,).
    `dataset[index]` gives `(images, labels)`. A tensor of indices, a list or a slice gives a batch.
    An int gives one image (1, 28, 28) and its label. `transform` gets the whole batch in one call;
    it can be a Transform, a transform of torchvision, or any other function. With `invert`, the
    images are turned from black on white to white on black, as if they were stored so.

    Raises DataError if the files are missing or broken.
    """

    def __init__(self, data_dir, train, transform=None, device="cpu", invert=False):
        self.data_dir = Path(data_dir)
        try:
            images, labels = read_split(self.data_dir, "train" if train else "test")
        except OSError as error:  # such as: no permission, the name is too long
            where = error.filename or self.data_dir
            raise DataError(f"{where}: cannot be read: {error.strerror}") from None
        self.images = (255 - images if invert else images).to(device)
        self.labels = labels.to(device)
        self.transform, self.inverted = transform, invert

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if isinstance(index, list):  # a list of tensors would index one dimension each
            index = torch.tensor(index, dtype=torch.int64)
        images, labels = self.images[index], self.labels[index]
        if self.transform is None:
            return images, labels
        if images.dim() == 3:  # one image: the transform gets a batch of one
            return self.transform(images[None])[0], labels
        return self.transform(images), labels

    def select(self, index):
        """A data set of only the images at `index`, in that order.

        `index` is an int64 tensor (M,) or a slice. The transform stays the same.
        """
        selected = copy.copy(self)
        selected.images, selected.labels = self.images[index], self.labels[index]
        return selected

    def extend(self, images, labels):
        """A data set with more images and labels behind its own, of the same types and shapes."""
        extended = copy.copy(self)
        extended.images = torch.cat([self.images, images.to(self.images.device)])
        extended.labels = torch.cat([self.labels, labels.to(self.labels.device)])
        return extended

    def fingerprint(self):
        """What tells this data set from others: a dict of its size and two checksums, all ints."""
        images, labels = (zlib.crc32(tensor.cpu().contiguous().numpy())
                          for tensor in (self.images, self.labels))
        return {"size": len(self), "images_crc32": images, "labels_crc32": labels}

    def list_cautions(self):
        """Lines of text on what looks wrong with the images or is not read; mostly none."""
        return list_cautions(self.data_dir, self.images, self.inverted)


class Transform:
    """Turns stored images into the input of a net, a whole batch at once.

    It pads with background, scales to [0, 1], applies the `distortion` if there is one, and
    normalises. `distortion` is a function of a float32 batch in [0, 1], such as a Distortion.

    The result is bit-identical to the same steps of torchvision.transforms.v2. They are written out
    here because the import of torchvision alone takes a second.
    """

    def __init__(self, image_size, distortion=None):
        self.image_size, self.distortion = image_size, distortion

    def __call__(self, images):
        """uint8 (B, 1, 28, 28) -> float32 (B, 1, image_size, image_size)."""
        margin = (self.image_size - SIDE) // 2
        images = F.pad(images, [margin] * 4)  # uint8 (B, 1, image_size, image_size)
        images = images.to(torch.float32).mul_(1 / 255)  # float32, in [0, 1]
        if self.distortion is not None:
            # Before normalising: what moves in from outside is 0, and here 0 is background.
            images = self.distortion(images)  # the same shape, in [0, 1]
        # In place, because the steps before have made a new tensor.
        return images.sub_(MEAN).div_(STD)  # the same shape, mean about 0, deviation about 1


def load_data(data_dir, for_training, for_testing, validate=False, device="cpu", invert=False):
    """Reads the images to train on and the images to measure on.

    `for_training` and `for_testing` are the transforms of the two. With `validate`, the images to
    measure on are not the test set: they are held out from the training images, see `hold_out`,
    and no test set need be there. `invert` is MNIST's.

    Returns (train_set, test_set, data). `data` tells which files these are: it holds the
    fingerprints of both sets before anything is held out, as {"train": ..., "test": ...}, or
    {"train": ..., "validation": ...}.
    Raises DataError if the files are missing or broken.
    """
    train_set = MNIST(data_dir, True, for_training, device, invert)
    data = {"train": train_set.fingerprint()}
    if validate:
        test_set = train_set.select(slice(None))
        test_set.transform = for_testing
        data["validation"] = data["train"]
        train_set, test_set = hold_out(train_set, test_set)
    else:
        test_set = MNIST(data_dir, False, for_testing, device, invert)
        data["test"] = test_set.fingerprint()
    return train_set, test_set, data


def hold_out(train_set, test_set):
    """Splits the training images: five sixths to train on, one sixth to measure on.

    Both arguments hold all training images, each with its own transform. MNIST gives 50,000 and
    10,000. The split is random, but the same in every run.

    Returns two data sets. Raises DataError if there are fewer than six images.
    """
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    rest, sixth = order[len(order) // 6 :], order[: len(order) // 6]
    if len(sixth) == 0:
        raise DataError(f"{train_set.data_dir}: too few training images to hold a sixth out")
    return train_set.select(rest), test_set.select(sixth)


def make_loader(dataset, batch_size, shuffle):
    """A DataLoader that indexes an MNIST once for each batch. The last batch may be smaller.

    With `shuffle`, the order is drawn here: make a new loader for every epoch.
    """
    order = torch.randperm(len(dataset)) if shuffle else torch.arange(len(dataset))
    order = order.to(dataset.labels.device)  # in one copy, not in one for each batch
    return DataLoader(dataset, sampler=order.split(batch_size), batch_size=None)


class Distortion(nn.Module):
    """Distorts every image of a batch on its own: a random affine map, and thicker strokes.

    Each argument is the bound of a random amount:
    rotation, shear    degrees, uniform in ± the bound
    translation        pixels, uniform in ± the bound, along each axis
    scaling            a fraction, uniform in ± the bound, along each axis
    thickening         a fraction from 0 to 1. One half of the images stay as they are. The other
                       half move towards their maximum over 3x3 pixels, by a fraction that is
                       uniform between 0 and the bound.

    Resampling is bilinear. LeCun et al. 1998, section III.B, distort with planar affine maps too.
    Line thickness is one of the invariances in Simard, Le Cun and Denker 1993, "Efficient Pattern
    Recognition Using a New Transformation Distance". torchvision's RandomAffine is no substitute:
    it draws one map for the whole batch.
    """

    bounds = ("rotation", "translation", "scaling", "shear", "thickening")  # the arguments

    def __init__(self, rotation=0.0, translation=0.0, scaling=0.0, shear=0.0, thickening=0.0):
        super().__init__()
        self.rotation, self.shear = math.radians(rotation), math.radians(shear)
        self.translation, self.scaling, self.thickening = translation, scaling, thickening

    def forward(self, images):
        """float32 (B, C, H, W) in [0, 1] -> the same. What moves in at the border is 0."""
        batch, _, height, width = images.shape
        if self.thickening:
            amount = torch.empty(batch, 1, 1, 1, device=images.device).uniform_(-1, 1).clamp(min=0)
            images = images + self.thickening * amount * (_maximum_3x3(images) - images)
        chance = torch.empty(6, batch, device=images.device).uniform_(-1, 1)  # (6, B)
        angle, slant = chance[0] * self.rotation, torch.tan(chance[1] * self.shear)
        cos, sin = torch.cos(angle), torch.sin(angle)
        scale_x, scale_y = 1 / (1 + chance[2:4] * self.scaling)  # of the map back; (B,) each
        shift_x = chance[4] * self.translation * 2 / width  # grid_sample counts from -1 to 1
        shift_y = chance[5] * self.translation * 2 / height
        # The map leads back, from output to input: rotation @ shear @ scaling, then the shift.
        of_x = torch.stack([cos * scale_x, sin * scale_x], dim=1)
        of_y = torch.stack([(cos * slant - sin) * scale_y, (sin * slant + cos) * scale_y], dim=1)
        shift = torch.stack([shift_x, shift_y], dim=1)
        # (B, 2) each, and then (B, 2, 1, 1) to meet the positions (W,) and (H, 1)
        of_x, of_y, shift = (column[..., None, None] for column in (of_x, of_y, shift))
        # F.affine_grid gives the same, but takes longer on a CPU than the resampling itself.
        x = torch.linspace(-1, 1, width, device=images.device) * (width - 1) / width
        y = torch.linspace(-1, 1, height, device=images.device) * (height - 1) / height
        grid = (of_x * x + of_y * y[:, None] + shift).permute(0, 2, 3, 1)  # (B, H, W, 2)
        return F.grid_sample(images, grid, align_corners=False)  # (B, C, H, W)


def _maximum_3x3(images):
    """The maximum over the 3x3 pixels around each pixel: (B, C, H, W) -> the same, at least 0.

    F.max_pool2d also finds where each maximum was, which takes many times as long on a CPU.
    """
    padded = F.pad(images, (1, 1, 1, 1))
    rows = padded[..., :-2].maximum(padded[..., 1:-1]).maximum(padded[..., 2:])  # (B, C, H + 2, W)
    return rows[..., :-2, :].maximum(rows[..., 1:-1, :]).maximum(rows[..., 2:, :])


def main(argv):
    """Prints what a folder holds; returns the exit status."""
    invert = "--invert" in argv
    data_dir = Path(*[word for word in argv if word != "--invert"][:1] or [DATA_DIR])
    try:
        for split in ("train", "test"):
            dataset = MNIST(data_dir, train=split == "train", invert=invert)
            images, labels = dataset[:]
            pixels = images.double() / 255
            counts = torch.bincount(labels, minlength=CLASSES).tolist()
            print(f"{split}: {len(labels):,} images, {images.shape[2]}x{images.shape[3]}, uint8")
            print("  by class: " + "  ".join(f"{i}: {n:,}" for i, n in enumerate(counts)))
            print(f"  mean {pixels.mean():.4f}, standard deviation {pixels.std():.4f}")
            for line in dataset.list_cautions():
                print(f"  {line}")
    except DataError as error:
        print(f"dataset.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # End in silence when `head` has enough. Windows has no SIGPIPE; a notebook needs its own.
    if hasattr(signal, "SIGPIPE") and not hasattr(builtins, "get_ipython"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
