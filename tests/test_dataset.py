"""dataset.py against torchvision's reader, hand computation, and files broken in every way."""

import gzip
import hashlib
import os
import re
import signal
import sys
import tarfile
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from conftest import (
    DATA,
    SPLITS,
    idx_bytes,
    png_bytes,
    tar_bytes,
    without_reader,
    write_files,
    write_idx_folder,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import dataset
from dataset import DATA_DIR, MEAN, MNIST, STD, DataError, Distortion, make_loader, make_transform


def read_both(folder):
    return {split: MNIST(folder, split == "train")[:] for split in SPLITS}


def assert_equal(found, digits):
    """Tensors {split: (images, labels)} as the dataset gives them, and the arrays they are of."""
    for split, (images, labels) in digits.items():
        assert found[split][0].dtype == torch.uint8
        assert found[split][1].dtype == torch.int64
        np.testing.assert_array_equal(found[split][0].numpy(), images[:, None])
        np.testing.assert_array_equal(found[split][1].numpy(), labels)


# ---- Reading ------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "md5"), [
    ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637")])
def test_bundled_files_are_the_original(name, md5):
    packed = (DATA / f"{name}.gz").read_bytes()
    assert hashlib.md5(gzip.decompress(packed)).hexdigest() == md5
    assert packed[3:8] == bytes(5), "gzip's flags (no name) and time"


def test_every_digit_equals_torchvisions(digits, tmp_path):
    write_idx_folder(tmp_path / "MNIST" / "raw", digits, suffix="")
    for train in (True, False):
        oracle = torchvision.datasets.MNIST(tmp_path, train=train)
        images, labels = MNIST(DATA_DIR, train)[:]
        assert torch.equal(images.squeeze(1), oracle.data)
        assert torch.equal(labels, oracle.targets)


def png_members(images, labels):
    """PNGs in an order of their own, in folders of their own, with indices 3, 10, 17, ..."""
    names = [f"{'./some/' * (i % 2)}{'a' * (i % 5)}/{7 * i + 3}_{label}.png".lstrip("/")
             for i, label in enumerate(labels)]
    return {names[i]: png_bytes(images[i])
            for i in np.random.default_rng(0).permutation(len(names))}


CLUTTER = {"train": tarfile.DIRTYPE, "a/0_5.png": tarfile.SYMTYPE, "b/0_5.png": tarfile.LNKTYPE,
           "a/._3_5.png": b"AppleDouble", "._train": b"AppleDouble", ".hidden/0_5.png": b"hidden",
           "./a/.DS_Store": b"hidden"}


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "png", "tar", "tar.gz"])
def test_every_format_gives_the_same(kind, small_digits, small_idx, tmp_path):
    if kind.startswith("idx"):
        suffix = kind.removeprefix("idx")
        folder = small_idx if suffix else write_idx_folder(tmp_path, small_digits, suffix)
    for split, arrays in small_digits.items() if not kind.startswith("idx") else ():
        members = png_members(*arrays)
        if kind == "png":
            files = {f"{split}/{Path(name).name}": png for name, png in members.items()}
            clutter = {f"{split}/._3_5.png": b"AppleDouble", f"{split}/notes.txt": b"notes"}
            folder = write_files(tmp_path, {**files, **clutter})
        else:
            mode = "w:gz" if kind == "tar.gz" else "w"
            packed = tar_bytes({**CLUTTER, **members}, mode)
            folder = write_files(tmp_path, {f"{split}.{kind}": packed})
    assert_equal(read_both(folder), small_digits)


def test_other_data_of_the_same_form_drop_in(tmp_path, capsys):
    """Such as Fashion-MNIST: the same four names, whatever the pictures and their number."""
    rng = np.random.default_rng(0)
    other = {split: (rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10)
             for split, n in (("train", 30), ("test", 11))}
    write_idx_folder(tmp_path, other)
    assert_equal(read_both(tmp_path), other)
    assert dataset.main([str(tmp_path)]) == 0
    assert "test: 11 images, 28x28, uint8\n  by class: 0: 2  1: 1" in capsys.readouterr().out


def test_fingerprint_is_size_and_two_checksums(small_digits, small_idx):
    for split, (images, labels) in small_digits.items():
        assert MNIST(small_idx, split == "train").fingerprint() == {
            "size": len(labels), "images_crc32": zlib.crc32(images.tobytes()),
            "labels_crc32": zlib.crc32(labels.astype("<i8").tobytes())}


def test_main_says_what_is_there(digits, capsys, tmp_path):
    assert dataset.main([]) == 0
    out = capsys.readouterr().out
    for split, (images, labels) in digits.items():
        counts = "  ".join(f"{i}: {n:,}" for i, n in enumerate(np.bincount(labels)))
        assert f"{split}: {len(images):,} images, 28x28, uint8\n  by class: {counts}\n" in out
    assert re.search(r"train: 60,000 .*\n.*\n  mean 0\.1307, standard deviation 0\.3081\n", out)
    assert dataset.main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"dataset\.py: {re.escape(str(tmp_path))}: no MNIST here; [^\n]*\n", err)


# ---- Indexing and transforms --------------------------------------------------------------------

@pytest.mark.parametrize("index", [5, -1, torch.tensor(3), [3, 1, 2], [],
                                   [torch.tensor(4), torch.tensor(0)], torch.tensor([4, 4]),
                                   slice(2, 9, 3), slice(None)], ids=str)
def test_indexing_with_and_without_transform(index, small_digits, small_idx):
    images, labels = (array[index] for array in small_digits["train"])
    plain = MNIST(small_idx, True)[index]
    assert torch.equal(plain[0], torch.tensor(images).unsqueeze(-3))
    assert torch.equal(plain[1], torch.tensor(labels, dtype=torch.int64))

    data = MNIST(small_idx, True, make_transform(32))
    padded = np.pad(images, [(0, 0)] * (images.ndim - 2) + [(2, 2)] * 2)
    for _ in range(2):  # the stored images must not change under it
        found = data[index]
        assert found[0].dtype == torch.float32
        np.testing.assert_allclose(
            found[0].squeeze(-3), (padded / 255 - 0.1307) / 0.3081, atol=1e-5)
        assert torch.equal(found[1], plain[1])


@pytest.mark.parametrize("size", [28, 32])
def test_transform_equals_torchvisions_image_by_image(size, small_digits, small_idx):
    tv = torchvision.transforms
    one_by_one = tv.Compose([tv.Pad((size - 28) // 2), tv.ToTensor(), tv.Normalize(MEAN, STD)])
    oracle = torch.stack([one_by_one(Image.fromarray(image)) for image in small_digits["test"][0]])
    found, _ = MNIST(small_idx, False, make_transform(size))[:]
    assert found.shape == (200, 1, size, size)
    torch.testing.assert_close(found, oracle)


@pytest.mark.parametrize("shuffle", [True, False])
def test_loader_gives_each_image_once(shuffle, small_digits, small_idx):
    torch.manual_seed(0)
    loader = make_loader(MNIST(small_idx, True), 128, shuffle)
    batches = list(loader)
    assert len(loader) == len(batches) == 5
    assert [images.shape for images, _ in batches] == [(128, 1, 28, 28)] * 4 + [(88, 1, 28, 28)]
    found = [image.numpy().tobytes() for images, _ in batches for image in images]
    labels = [label for _, labels in batches for label in labels.tolist()]
    stored = [image.tobytes() for image in small_digits["train"][0]]
    right = dict(zip(stored, small_digits["train"][1].tolist(), strict=True))
    assert len(right) == 600
    assert labels == [right[image] for image in found]
    assert (found == stored) != shuffle
    assert sorted(found) == sorted(stored)
    assert [y.tolist() for _, y in make_loader(MNIST(small_idx, True), 128, shuffle)] != (
        [y.tolist() for _, y in batches]) or not shuffle, "each loader has an order of its own"


def test_hold_out_is_disjoint_complete_and_always_the_same(small_idx):
    splits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        train_set = MNIST(small_idx, True, make_transform(32))
        validation_set = MNIST(small_idx, True)
        splits.append(dataset.hold_out(train_set, validation_set))
    (rest, sixth), again = splits
    assert (len(rest), len(sixth)) == (500, 100)
    place = {image.tobytes(): i for i, image in enumerate(MNIST(small_idx, True).images.numpy())}
    assert len(place) == 600
    places = [[place[image.tobytes()] for image in part.images.numpy()] for part in (rest, sixth)]
    assert sorted(places[0] + places[1]) == list(range(600))
    assert places[1] != list(range(100)), "drawn, not the first ones"
    for part, indices in zip((rest, sixth), places, strict=True):
        assert torch.equal(part.labels, train_set.labels[indices])
    for one, other in zip(splits[0], again, strict=True):
        assert torch.equal(one.images, other.images)
    assert rest[[0, 1]][0].shape == (2, 1, 32, 32)  # each with its own transform
    assert torch.equal(sixth[[0, 1]][0], validation_set[places[1][:2]][0])
    assert (len(train_set), len(validation_set)) == (600, 600)


def test_hold_out_of_next_to_nothing(small_digits, tmp_path):
    write_idx_folder(tmp_path, {"train": [array[:5] for array in small_digits["train"]]})
    data = MNIST(tmp_path, True)
    with pytest.raises(DataError, match="too few training images"):
        dataset.hold_out(data, data)


# ---- Distortion ---------------------------------------------------------------------------------

BOUNDS = {"rotation": 12.0, "translation": 2.0, "scaling": 0.12, "shear": 10.0}
CENTRE = 15.5  # of 32 pixels


@pytest.fixture(scope="module")
def padded(small_digits):
    """float32 (16, 1, 32, 32) in [0, 1]."""
    return torch.tensor(np.pad(small_digits["test"][0][:16], [(0, 0), (2, 2), (2, 2)]) / 255,
                        dtype=torch.float32).unsqueeze(1)


def measure_maps(distortion, batch, seed=0):
    """(B, 2, 3): from output to input position (x, y, 1), about the centre, in pixels.

    Found from outside: bilinear sampling of a ramp is exact, so distorted ramps tell the map.
    """
    y, x = torch.meshgrid(torch.arange(32) - CENTRE, torch.arange(32) - CENTRE, indexing="ij")
    ramps = torch.stack([x, y]).expand(batch, 2, 32, 32)
    torch.manual_seed(seed)
    middle = (slice(8, 24), slice(8, 24))  # nothing moves in here
    values = distortion(ramps)[:, :, *middle].flatten(2)  # (B, 2, 256)
    points = torch.stack([x[middle], y[middle], torch.ones(16, 16)]).flatten(1)  # (3, 256)
    return (values.double() @ torch.linalg.pinv(points.double())).numpy()


def sample_by_hand(image, to_input):
    """Bilinear resampling of (H, W) by a (2, 3) map, zero outside, in plain numpy."""
    y, x = np.mgrid[:32, :32] - CENTRE
    x, y = (row[0] * x + row[1] * y + row[2] + CENTRE for row in to_input)
    around = np.pad(image, 32)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    return sum(np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
               * around[top + down + 32, left + right + 32] for right in (0, 1) for down in (0, 1))


@pytest.mark.parametrize("kinds", [[kind] for kind in BOUNDS] + [list(BOUNDS)], ids="+".join)
def test_each_image_has_its_own_map_uniform_in_the_bounds(kinds, padded):
    bounds = {kind: BOUNDS[kind] for kind in kinds}
    n = 1000
    maps = measure_maps(Distortion(**bounds), n)
    # The matrix is rotation @ [[1, slant], [0, 1]] @ diagonal, which can be taken apart uniquely.
    (a, b, shift_x), (c, d, shift_y) = maps.transpose(1, 2, 0)
    angle = np.arctan2(c, a)
    scale_x, scale_y = np.hypot(a, c), np.cos(angle) * d - np.sin(angle) * b
    slant = (np.cos(angle) * b + np.sin(angle) * d) / scale_y
    amounts = np.stack([np.degrees(angle), np.degrees(np.arctan(slant)), shift_x, shift_y,
                        1 / scale_x - 1, 1 / scale_y - 1])
    names = ["rotation", "shear", "translation", "translation", "scaling", "scaling"]
    for name, amount in zip(names, amounts, strict=True):
        bound = bounds.get(name, 0)
        assert np.abs(amount).max() <= bound + 1e-3
        if bound:  # Kolmogorov's distance from the uniform distribution: above this in 1 of 1000
            distance = np.abs(np.sort(amount) / bound - np.linspace(-1, 1, n)).max() / 2
            assert distance < 1.95 / np.sqrt(n), name
    drawn = amounts[[name in bounds for name in names]]
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 0.1 or len(drawn) == 1

    torch.manual_seed(0)
    found = Distortion(**bounds)(padded).squeeze(1)
    maps = measure_maps(Distortion(**bounds), len(padded))
    oracle = [sample_by_hand(*pair) for pair in zip(padded.squeeze(1).numpy(), maps, strict=True)]
    np.testing.assert_allclose(found, np.stack(oracle), atol=1e-3)


def test_thickening_goes_towards_the_maximum_of_the_neighbourhood(padded):
    images = padded[:1].expand(1000, -1, -1, -1)
    torch.manual_seed(0)
    found = Distortion(thickening=0.8)(images)
    around = np.pad(padded[0, 0].numpy(), 1)
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3))
    gain = torch.tensor(windows.max((2, 3))) - padded[0, 0]
    most = np.unravel_index(gain.argmax().item(), gain.shape)
    fraction = (found - images)[:, 0, *most] / gain[most]  # (1000,)
    torch.testing.assert_close(found[:, 0], images[:, 0] + fraction[:, None, None] * gain,
                               atol=1e-4, rtol=0)
    kept = fraction.abs() < 1e-4
    assert 440 < kept.sum() < 560  # half; the chance of missing this is below 1 of 1000
    amounts = fraction[~kept].sort().values / 0.8
    distance = (amounts - torch.linspace(0, 1, len(amounts))).abs().max()
    assert distance < 1.95 / np.sqrt(len(amounts))  # Kolmogorov's, as above


def test_rotation_equals_torchvisions(padded):
    maps = measure_maps(Distortion(rotation=30), len(padded))
    torch.manual_seed(0)
    for image, found, to_input in zip(padded, Distortion(rotation=30)(padded), maps, strict=True):
        angle = -np.degrees(np.arctan2(to_input[1, 0], to_input[0, 0]))
        oracle = torchvision.transforms.v2.functional.affine(
            image, angle, translate=[0, 0], scale=1, shear=[0, 0],
            interpolation=torchvision.transforms.InterpolationMode.BILINEAR)
        torch.testing.assert_close(found, oracle, atol=1e-3, rtol=0)


def test_moving_by_whole_pixels_is_a_shift(padded, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.fill_(high))
    found = Distortion(translation=3)(padded)
    shifted = torch.zeros_like(padded)
    shifted[:, :, :-3, :-3] = padded[:, :, 3:, 3:]  # output pixel (0, 0) comes from (3, 3)
    torch.testing.assert_close(found, shifted, atol=1e-5, rtol=0)


def test_bounds_of_zero_change_nothing(padded):
    torch.testing.assert_close(Distortion()(padded), padded, atol=1e-5, rtol=0)


def test_distortion_repeats_with_the_seed_only(small_idx):
    data = MNIST(small_idx, True, make_transform(32, Distortion(**BOUNDS)))
    first, again, other = (torch.manual_seed(seed) and data[:8][0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert data[0][0].shape == (1, 32, 32)


def test_background_moves_in():
    """White images, normalised after the distortion: what is new is as dark as background."""
    white = torch.full((64, 1, 28, 28), 255, dtype=torch.uint8)
    torch.manual_seed(0)
    found = make_transform(28, Distortion(translation=4))(white)
    assert found.min().item() == pytest.approx((0 - MEAN) / STD)
    assert found.max().item() == pytest.approx((1 - MEAN) / STD)


# ---- Bad data: the table ------------------------------------------------------------------------

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
with gzip.open(DATA / f"{TRAIN_IMAGES}.gz") as file:
    PICTURES = np.frombuffer(file.read(16 + 6 * 784)[16:], np.uint8).reshape(6, 28, 28)
DIGITS = np.array([5, 0, 4, 1, 9, 2])  # what they show
IMAGES, LABELS = idx_bytes(PICTURES), idx_bytes(DIGITS)
PNGS = {f"train/{i}_{DIGITS[i]}.png": png_bytes(PICTURES[i]) for i in range(6)}
PNG = PNGS["train/0_5.png"]
TAR, TGZ = tar_bytes(PNGS), tar_bytes(PNGS, "w:gz")
GZ = gzip.compress(IMAGES, mtime=0)

# Whole folders that are right: six digits, for training and test alike.
IDX_FILES = {TRAIN_IMAGES: IMAGES, TRAIN_LABELS: LABELS, TEST_IMAGES: IMAGES, TEST_LABELS: LABELS}
GOOD = {
    "idx": IDX_FILES,
    "gz": {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in IDX_FILES.items()},
    "png": PNGS | {name.replace("train", "test"): png for name, png in PNGS.items()},
    "tar": {"train.tar": TAR, "test.tar": TAR},
    "tgz": {"train.tar.gz": TGZ, "test.tar.gz": TGZ},
}


def flip(content, position, bit=0):
    content = bytearray(content)
    content[position] ^= 1 << bit
    return bytes(content)


def announce(count):
    return IMAGES[:4] + count.to_bytes(4, "big") + IMAGES[8:]


def png_of(height, width):
    return png_bytes(np.zeros((height, width), np.uint8))


def sparse_tar(holes):
    """A tar that begins with a map of holes where the content belongs: their number, then each."""
    entry = tarfile.TarInfo("0_5.png")
    entry.size = len(holes)
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                         "GNU.sparse.name": "0_5.png", "GNU.sparse.realsize": "0"}
    return entry.tobuf(tarfile.PAX_FORMAT) + holes


# (which good folder, what is changed in it: {file: content, None to remove}, words in the message)
BAD = [
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:-20]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:-4]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ[:5]}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, 200)}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, 10, 1)}, f"{TRAIN_IMAGES}.gz: cannot be read: Error -3"),
    ("gz", {f"{TRAIN_IMAGES}.gz": flip(GZ, -8)}, f"{TRAIN_IMAGES}.gz: cannot be read: CRC"),
    ("gz", {f"{TRAIN_IMAGES}.gz": GZ + b"left over"}, f"{TRAIN_IMAGES}.gz: cannot be read: "),
    ("gz", {f"{TRAIN_IMAGES}.gz": IMAGES}, f"{TRAIN_IMAGES}.gz: cannot be read: Not a gzipped"),
    ("gz", {f"{TEST_LABELS}.gz": b""}, f"{TEST_LABELS}.gz: not an IDX file"),
    ("gz", {f"{TEST_LABELS}.gz": None}, f"{TEST_LABELS}.gz: missing"),
    ("idx", {TRAIN_IMAGES: b""}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: b"<!DOCTYPE html><html>"}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: GZ}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: flip(IMAGES, 1)}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: IMAGES[:15]}, f"{TRAIN_IMAGES}: not an IDX file"),
    ("idx", {TRAIN_IMAGES: flip(IMAGES, 2, 2)}, f"{TRAIN_IMAGES}: IDX type 0x0c"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[..., None])}, "with 4 dimension(s)"),
    ("idx", {TRAIN_LABELS: IMAGES}, f"{TRAIN_LABELS}: IDX type 0x08 with 3 dimension(s)"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[:, 1:])}, f"{TRAIN_IMAGES}: images of 27x28"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES.reshape(3, 56, 28))}, "images of 56x28"),
    ("idx", {TRAIN_IMAGES: IMAGES[:-1]}, "announces 4,704 bytes of data, holds only 4,703"),
    ("idx", {TRAIN_IMAGES: IMAGES[:16]}, f"{TRAIN_IMAGES}: announces 4,704 bytes of data"),
    ("idx", {TRAIN_IMAGES: IMAGES + b"\0"}, "announces 4,704 bytes of data, holds more"),
    ("idx", {TEST_LABELS: LABELS + b"\0"}, f"{TEST_LABELS}: announces 6 bytes of data, holds more"),
    ("idx", {TRAIN_IMAGES: idx_bytes(PICTURES[:0])}, f"{TRAIN_IMAGES}: announces 0 items"),
    ("idx", {TRAIN_IMAGES: announce(1_000_001)}, f"{TRAIN_IMAGES}: announces 1000001 items"),
    ("idx", {TRAIN_IMAGES: announce(2**32 - 1)}, f"{TRAIN_IMAGES}: announces 4294967295 items"),
    ("idx", {TRAIN_IMAGES: announce(7)}, "announces 5,488 bytes of data, holds only 4,704"),
    ("idx", {TRAIN_IMAGES: announce(5)}, "announces 3,920 bytes of data, holds more"),
    ("idx", {TRAIN_LABELS: idx_bytes(DIGITS[:5])}, f"{TRAIN_LABELS}: 5 labels for 6 images"),
    ("idx", {TEST_LABELS: idx_bytes([0, 1, 2, 10, 4, 255])}, f"{TEST_LABELS}: label 10 at posi"),
    ("idx", {TEST_IMAGES: None, TEST_LABELS: None}, f"{TEST_IMAGES}.gz: missing, though"),
    ("idx", {TRAIN_LABELS: None}, f"{TRAIN_LABELS} or {TRAIN_LABELS}.gz: missing, though"),
    ("png", {"train/0_5.png": b"not a PNG"}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": b""}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": PNG[:-40]}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": flip(PNG, 46, 4)}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": png_bytes(PICTURES[0], "JPEG")}, "0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": png_of(32, 32)}, "train/0_5.png: 32x32 pixels, expected 28x28"),
    ("png", {"train/0_5.png": png_of(28, 27)}, "train/0_5.png: 27x28 pixels, expected 28x28"),
    ("png", {"train/0_5.png": bytes(1_000_001)}, "train/0_5.png: 1,000,001 bytes"),
    ("png", {"test/five.png": PNG}, "test/five.png: not named {index}_{label}.png"),
    ("png", {"test/5.png": PNG}, "test/5.png: not named {index}_{label}.png"),
    ("png", {"test/-7_5.png": PNG}, "test/-7_5.png: not named {index}_{label}.png"),
    ("png", {"test/7_5_1.png": PNG}, "test/7_5_1.png: not named {index}_{label}.png"),
    ("png", {"test/٧_5.png": PNG}, "test/٧_5.png: not named {index}_{label}.png"),
    ("png", {f"test/{'9' * 19}_5.png": PNG}, "9_5.png: not named {index}_{label}.png"),
    ("png", {"test/a\nb.png": PNG}, "b.png: not named {index}_{label}.png"),
    ("png", {"test/7_10.png": PNG}, "test/7_10.png: label 10, expected 0 to 9"),
    ("png", {"train/00_5.png": PNG}, "_5.png: a second image with index 0"),
    ("png", dict.fromkeys(PNGS), "train: no PNG files in it"),
    ("tar", {"train.tar": b""}, "train.tar: cannot be read: "),
    ("tar", {"train.tar": b"not a tar" * 200}, "train.tar: cannot be read: "),
    ("tar", {"train.tar": tar_bytes({})}, "train.tar: no PNG files in it"),
    ("tar", {"train.tar": TAR[:700]}, "train.tar"),  # inside a picture
    ("tar", {"train.tar": TAR[:1024]}, "train.tar: truncated or damaged"),  # between two
    ("tar", {"train.tar": TAR[:1200]}, "train.tar: truncated or damaged"),  # in a header
    ("tar", {"train.tar": flip(TAR, 1024)}, "train.tar: truncated or damaged"),  # in a name
    ("tgz", {"test.tar.gz": TGZ[:-100]}, "test.tar.gz: "),  # inside a picture
    ("tgz", {"test.tar.gz": TGZ[:-4]}, "test.tar.gz: cannot be read: "),  # after them
    ("tgz", {"test.tar.gz": flip(TGZ, -8)}, "test.tar.gz: cannot be read: CRC"),
    ("tar", {"test.tar": None}, "test.tar or "),
    ("tar", {"test.tar": tar_bytes({"/0_5.png": PNG})}, "test.tar: /0_5.png: a name that"),
    ("tar", {"test.tar": tar_bytes({"a/../../0_5.png": PNG})}, "/0_5.png: a name that leads out"),
    ("tar", {"test.tar": tar_bytes({"0_5.png": tarfile.SYMTYPE})}, "test.tar: no PNG files in it"),
    ("tar", {"test.tar": tar_bytes({"0_5.png": tarfile.LNKTYPE})}, "test.tar: no PNG files in it"),
    ("tar", {"test.tar": tar_bytes({"a/five.png": PNG})}, "test.tar: a/five.png: not named"),
    ("tar", {"test.tar": tar_bytes({"a\n/five.png": PNG})}, "/five.png: not named"),
    ("tar", {"test.tar": tar_bytes({"a/0_10.png": PNG})}, "test.tar: a/0_10.png: label 10"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": PNG, "b/0_5.png": PNG})}, "b/0_5.png: a second"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": b"junk"})}, "a/0_5.png: not a readable PNG"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": png_of(32, 32)})}, "a/0_5.png: 32x32 pixels"),
    ("tar", {"test.tar": sparse_tar(b"one\n" + bytes(508))}, "test.tar: cannot be read: invalid"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": bytes(1_000_001)})}, "0_5.png: 1,000,001 bytes"),
]


def fault(folder):
    """The message of the DataError that reading ends in."""
    with pytest.raises(DataError) as caught:
        read_both(folder)
    message = str(caught.value)
    assert message.splitlines() == [message], "one line"
    return message


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_data_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    if sys.platform == "win32" and any("\n" in name for name in changed):
        pytest.skip("no name of a file holds a line break on Windows")
    folder = write_files(tmp_path / "data", GOOD[good])
    assert_equal(read_both(folder), dict.fromkeys(SPLITS, (PICTURES, DIGITS)))
    write_files(folder, changed)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    message = fault(folder)
    assert message.startswith(str(folder))
    assert words in message.replace(os.sep, "/")
    after = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert after == before, "reading writes nothing"


@pytest.mark.parametrize(("name", "words"), [
    ("absent", "no such folder; expected train-images-idx3-ubyte[.gz]"),
    ("file", "no such folder; expected"),
    ("empty", "no MNIST here; expected train-images-idx3-ubyte[.gz]")])
def test_a_folder_without_data(name, words, tmp_path):
    write_files(tmp_path, {"file": b""})
    (tmp_path / "empty").mkdir()
    message = fault(tmp_path / name)
    assert message.startswith(f"{tmp_path / name}: {words}")
    assert f"--data-dir {DATA_DIR} works" in message


def test_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", refuse)
    assert fault(tmp_path) == f"{tmp_path}: cannot be read: Permission denied"


@pytest.mark.parametrize("good", ["gz", "png", "tar"])
def test_training_images_without_test_images(good, tmp_path):
    """What is there can be read; what is missing is named, not taken from another format."""
    write_files(tmp_path, {name: content for name, content in GOOD[good].items()
                           if name.startswith("train")})
    assert len(MNIST(tmp_path, True)) == 6
    assert "missing, though other parts are there" in fault(tmp_path)


@pytest.mark.parametrize("count", [6, 1_000_001])
def test_a_small_file_that_inflates_hugely_fills_no_memory(count, tmp_path):
    bomb = gzip.compress(announce(count) + bytes(2**25))
    folder = write_files(tmp_path, GOOD["gz"] | {f"{TRAIN_IMAGES}.gz": bomb})
    tracemalloc.start()
    try:
        assert f"{TRAIN_IMAGES}.gz: announces" in fault(folder)
        assert tracemalloc.get_traced_memory()[1] < 2**20, "bytes at the peak"
    finally:
        tracemalloc.stop()


def long_header(kind):
    """The beginning of a tar whose first member has some 900,000 bytes of header."""
    entry = tarfile.TarInfo("0_5.png")
    if kind == "pax":  # the shortest records
        return entry.create_pax_global_header({f"{i:06}": "" for i in range(82_000)})
    if kind == "sparse":
        return sparse_tar(b"400000\n" + b"0\n" * 450_000)
    entry.name = "a/" * 450_000 + "0_5.png"
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", ["pax", "sparse", "name"])
def test_a_long_header_fills_no_memory(kind, suffix, tmp_path):
    content = long_header(kind) + TAR
    assert len(content) > 890_000
    content = gzip.compress(content) if suffix else content
    good = GOOD["tgz" if suffix else "tar"]
    folder = write_files(tmp_path, good | {f"train.tar{suffix}": content})
    tracemalloc.start()
    try:
        assert f"train.tar{suffix}: cannot be read: a member with more than 65,536" in fault(folder)
        assert tracemalloc.get_traced_memory()[1] < 2**20, "bytes at the peak"
    finally:
        tracemalloc.stop()


def test_a_reader_that_has_enough_ends_it_in_silence(run_script):
    """As in `python dataset.py | head -1`."""
    assert run_script("dataset.py", prepare=without_reader) == (-signal.SIGPIPE, "", "")


# ---- Bad data: at random ------------------------------------------------------------------------

at_random = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
flips = st.lists(st.tuples(st.integers(0, 20) | st.integers(0, 10**4), st.integers(0, 7)))
cuts = st.none() | st.integers(0, 10**4)


def damage(content, cut, flips):
    content = content[:cut]
    for position, bit in flips if content else ():
        content = flip(content, position % len(content), bit)
    return content


def read_damaged(files, name, content):
    """The training set with one file damaged, or None if that ended in a DataError."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files | {name: content})
        try:
            return MNIST(folder, True)[:]
        except DataError as error:
            message = str(error)
    assert message.splitlines() == [message]
    assert name in message


@pytest.mark.parametrize("name", [f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz", "train/0_5.png",
                                  "train.tar", "train.tar.gz"])
@at_random
@given(cut=cuts, flips=flips)
def test_damage_under_a_checksum_is_noticed_or_harmless(name, cut, flips):
    files = next(files for files in GOOD.values() if name in files)
    found = read_damaged(files, name, damage(files[name], cut, flips))
    if found:
        assert_equal({"train": found}, {"train": (PICTURES, DIGITS)})


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@at_random
@given(cut=cuts, flips=flips)
def test_damage_to_plain_idx_is_noticed_where_the_structure_tells(name, cut, flips):
    whole, header = IDX_FILES[name], 16 if name == TRAIN_IMAGES else 8
    content = damage(whole, cut, flips)
    found = read_damaged(IDX_FILES, name, content)
    body = np.frombuffer(content[header:], np.uint8)
    sound = content[:header] == whole[:header] and len(content) == len(whole)
    if name == TRAIN_IMAGES and sound:
        assert_equal({"train": found}, {"train": (body.reshape(6, 28, 28), DIGITS)})
    elif sound and body.max() < 10:
        assert_equal({"train": found}, {"train": (PICTURES, body)})
    else:
        assert found is None
