"""MNIST in memory, read from IDX files, PNG folders or PNG tars, and indexed a batch at a time.

    python dataset.py [DIR]        what is found there: counts by class, mean and standard deviation

`MNIST(data_dir, train)` looks, without being told which, for
  (a) the four IDX files, plain or gzipped (`train-images-idx3-ubyte.gz`, ...),
  (b) the folders `train/` and `test/` of PNG files `{index}_{label}.png`,
  (c) `train.tar` and `test.tar` (or `.tar.gz`) of such PNG files, read without unpacking.
"""

import copy
import gzip
import io
import math
import re
import signal
import sys
import tarfile
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

DATA_DIR = Path(__file__).parent / "data"  # the MNIST that travels with the repository
SIDE = 28  # pixels along the edge of a stored image
CLASSES = 10
MEAN, STD = 0.1307, 0.3081  # of the 60,000 training images in [0, 1], unpadded
MAX_IMAGES = 1_000_000  # MNIST has 60,000; a header that announces more than this is broken
MAX_PNG_BYTES = 1_000_000  # a 28x28 PNG has about 300
MAX_HEADER_BYTES = 2**16  # of one member of a tar, its long name and the like included


class DataError(Exception):
    """The data are missing or broken. The message is one line: the file, and what is wrong."""

    def __init__(self, message):  # names of files can hold anything, line breaks included
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


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
        images, labels = self.images.cpu().numpy(), self.labels.cpu().numpy()
        return {"size": len(self), "images_crc32": zlib.crc32(images),
                "labels_crc32": zlib.crc32(labels)}


def make_transform(image_size, distortion=None):
    """uint8 (B, 1, 28, 28) -> float32 (B, 1, image_size, image_size), a whole batch at once."""
    return v2.Compose([
        v2.Pad((image_size - SIDE) // 2),  # uint8 (B, 1, image_size, image_size), 0 is background
        v2.ToDtype(torch.float32, scale=True),  # float32, [0, 1]
        distortion or nn.Identity(),  # before normalising: what moves in is background (0)
        # Not v2.Normalize: it makes tensors of the two, and a GPU waits for them in every batch.
        # In place is safe here: the step before has just made the tensor.
        v2.Lambda(lambda images: images.sub_(MEAN).div_(STD)),  # mean about 0, deviation about 1
    ])


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
        images = read_idx(images_path, 3)
        labels = read_idx(labels_path, 1)
        if len(images) != len(labels):
            raise DataError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
        wrong = (labels >= CLASSES).nonzero()
        if len(wrong):
            raise DataError(f"{labels_path}: label {labels[wrong[0]].item()} at position "
                            f"{wrong[0].item()}")
        return images.unsqueeze(1), labels.long()
    if (data_dir / "train").is_dir() or (data_dir / "test").is_dir():
        folder = _find(data_dir, split)
        return read_pngs(_folder_members(folder), folder)
    if any(data_dir.glob("train.tar*")) or any(data_dir.glob("test.tar*")):
        path = _find(data_dir, f"{split}.tar", f"{split}.tar.gz")
        return read_pngs(_tar_members(path), path)
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


def read_idx(path, dimensions):
    """An IDX file (LeCun's format), plain or `.gz`, as a uint8 tensor of 1 or 3 dimensions.

    Raises DataError unless magic number, type, dimensions and length are all as MNIST has them.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:2] != b"\0\0":
                raise DataError(f"{path}: not an IDX file (its first bytes: {header[:4].hex(' ')})")
            if header[2:4] != bytes([8, dimensions]):
                raise DataError(f"{path}: IDX type {header[2]:#04x} with {header[3]} dimension(s), "
                                f"expected 0x08 (unsigned byte) with {dimensions}")
            shape = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
            if shape[1:] not in ([], [SIDE, SIDE]):
                raise DataError(f"{path}: images of {shape[1]}x{shape[2]}, expected {SIDE}x{SIDE}")
            if not 0 < shape[0] <= MAX_IMAGES:
                raise DataError(f"{path}: announces {shape[0]} items, expected 1 to {MAX_IMAGES}")
            size = math.prod(shape)
            body = file.read(size + 1)  # one byte more, to notice what is left over
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(body) != size:
        length = "more" if len(body) > size else f"only {len(body):,}"
        raise DataError(f"{path}: announces {size:,} bytes of data, holds {length}")
    return torch.frombuffer(bytearray(body), dtype=torch.uint8).reshape(shape)


def read_pngs(members, source):
    """Images and labels of `(name, where, size, read)`, by index; read() gives a file's bytes."""
    found = {}
    for name, where, size, read in members:
        match = re.fullmatch(r"(\d{1,18})_(\d{1,18})\.png", name, re.IGNORECASE | re.ASCII)
        if not match:
            raise DataError(f"{where}: not named {{index}}_{{label}}.png")
        index, label = int(match[1]), int(match[2])
        if label >= CLASSES:
            raise DataError(f"{where}: label {label}, expected 0 to {CLASSES - 1}")
        if index in found:
            raise DataError(f"{where}: a second image with index {index}")
        if size > MAX_PNG_BYTES:
            raise DataError(f"{where}: {size:,} bytes, too large for a digit")
        if len(found) == MAX_IMAGES:
            raise DataError(f"{source}: more than {MAX_IMAGES} images")
        found[index] = (label, _read_png(read, where))
    if not found:
        raise DataError(f"{source}: no PNG files in it")
    labels, pixels = zip(*(found[index] for index in sorted(found)), strict=True)
    images = torch.frombuffer(bytearray(b"".join(pixels)), dtype=torch.uint8)
    return images.reshape(-1, 1, SIDE, SIDE), torch.tensor(labels)


def _read_png(read, where):
    try:
        file = io.BytesIO(read())
        with Image.open(file, formats=["PNG"]) as image:
            image.verify()  # the checksums, which reading the pixels passes over
        with Image.open(file, formats=["PNG"]) as image:
            if image.size == (SIDE, SIDE):
                return image.convert("L").tobytes()
            fault = f"{image.width}x{image.height} pixels, expected {SIDE}x{SIDE}"
    except Exception as error:  # Pillow's plugins raise almost anything on broken input
        fault = f"not a readable PNG ({type(error).__name__})"
    raise DataError(f"{where}: {fault}")


def _folder_members(folder):
    for path in folder.glob("*.[pP][nN][gG]"):
        if not path.name.startswith("."):
            yield path.name, path, path.stat().st_size, path.read_bytes


class _Metered:
    """A file of which `left` bytes can be read: tarfile reads headers of any length, at once."""

    def __init__(self, file):
        self.file, self.seek, self.tell, self.left = file, file.seek, file.tell, MAX_HEADER_BYTES

    def read(self, size):
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"a member with more than {MAX_HEADER_BYTES:,} bytes of header")
        return self.file.read(size)


def _tar_members(path):
    """Nothing is written: of a member's name only the last part counts, links are passed over."""
    try:
        with ((gzip.open if path.suffix == ".gz" else open)(path, "rb") as file,
              tarfile.open(fileobj=(metered := _Metered(file)), mode="r:") as tar):
            for member in tar:
                metered.left = MAX_HEADER_BYTES  # of the next
                parts = Path(member.name).parts
                where = f"{path}: {member.name}"
                if member.name.startswith("/") or ".." in parts:
                    raise DataError(f"{where}: a name that leads out of the archive")
                hidden = any(part.startswith(".") for part in parts)
                if hidden or not member.isreg() or member.issparse():
                    continue
                metered.left += min(member.size, MAX_PNG_BYTES)
                yield parts[-1], where, member.size, tar.extractfile(member).read
            # tarfile takes a cut or damaged header for the end of the archive.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{path}: truncated or damaged after member {len(tar.members)}")
            while file.read(2**20):  # up to gzip's checksum
                pass
    except (OSError, EOFError, RecursionError, ValueError, zlib.error, tarfile.TarError) as error:
        reason = str(error).partition(":\n")[0]  # tarfile goes on with a line for each compression
        raise DataError(f"{path}: cannot be read: {reason}") from None


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
