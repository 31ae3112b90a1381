"""dataset.py against torchvision and hand computation; its readers are in tests/readers."""

import pickle
import re
import shutil
import signal
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
import torchvision
from conftest import ROOT, without_reader, write_idx_folder
from PIL import Image
from torch import nn
from torchvision.transforms import v2

import dataset
from dataset import (
    MEAN,
    MNIST,
    STD,
    DataError,
    Distortion,
    Transform,
    hold_out,
    load_data,
    make_loader,
)
from lab.runs.series import count_examples

BOUNDS = {"rotation": 12.0, "translation": 2.0, "scaling": 0.12, "shear": 10.0}

# ---- What is there ------------------------------------------------------------------------------

def test_fingerprint_is_size_and_two_checksums(small_digits, small_idx):
    for split, (images, labels) in small_digits.items():
        assert MNIST(small_idx, split == "train").fingerprint() == {
            "size": len(labels), "images_crc32": zlib.crc32(images.tobytes()),
            "labels_crc32": zlib.crc32(labels.astype("<i8").tobytes())}


def test_fingerprint_does_not_depend_on_the_layout_in_memory(small_idx):
    data = MNIST(small_idx, True)
    expected = data.fingerprint()
    data.images = data.images.mT.contiguous().mT
    data.labels = data.labels.repeat_interleave(2)[::2]
    assert not data.images.is_contiguous()
    assert not data.labels.is_contiguous()
    assert data.fingerprint() == expected


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
    assert err.startswith(f"dataset.py: {tmp_path}: no MNIST here; what is read ")
    assert len(err.splitlines()) == 8, "a line for each form"


PAPER = "the images look like black on white, while MNIST is white on black; "


@pytest.fixture
def paper(small_digits, tmp_path):
    """A folder of the small digits as scans are: black on white."""
    return write_idx_folder(tmp_path / "paper", {
        split: (255 - images, labels) for split, (images, labels) in small_digits.items()})


def test_black_on_white_is_seen_and_turned(paper, small_idx):
    for train in (True, False):
        stored, turned = MNIST(paper, train), MNIST(paper, train, invert=True)
        digits = MNIST(small_idx, train)
        assert stored.list_cautions() == [f"{paper}: {PAPER}--invert turns them"]
        assert turned.list_cautions() == digits.list_cautions() == []
        assert turned.fingerprint() == digits.fingerprint() != stored.fingerprint()
    lines = MNIST(small_idx, True, invert=True).list_cautions()
    assert lines == [f"{small_idx}: {PAPER}leave out --invert"]


@pytest.mark.parametrize("validate", [False, True])
def test_load_data_turns_all_images(validate, paper, small_idx):
    turned = load_data(paper, None, None, validate, invert=True)
    digits = load_data(small_idx, None, None, validate)
    assert turned[2] == digits[2]
    for found, expected in zip(turned[:2], digits[:2], strict=True):
        assert torch.equal(found.images, expected.images)


@pytest.mark.parametrize(("border", "seen"), [(127, False), (128, True)])
def test_paper_is_known_by_the_border_alone(border, seen, small_idx):
    data = MNIST(small_idx, True).select(slice(2))
    data.images = torch.full_like(data.images, 255 * (not seen))
    data.images[..., [0, -1], :] = data.images[..., [0, -1]] = border
    assert bool(data.list_cautions()) == seen


@pytest.mark.parametrize(("brightest", "seen"), [(1, True), (16, True), (127, True), (128, False)])
@pytest.mark.parametrize("invert", [False, True])
def test_pixels_of_few_bits_are_seen(invert, brightest, seen, small_digits, tmp_path):
    """As whoever divides by 255 stores them, or scikit-learn: 0 and 1, or 0 to 16."""
    images, labels = small_digits["train"]
    write_idx_folder(tmp_path, {"train": (images.astype(int) * brightest // 255, labels)})
    low, high = (255 - brightest, 255) if invert else (0, brightest)
    assert MNIST(tmp_path, True, invert=invert).list_cautions()[invert:] == [
        f"{tmp_path}: the pixels go from {low} to {high}, while MNIST's go from 0 to 255; scale "
        "them to that range"] * seen


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_images_for_validation_are_not_passed_over_in_silence(name, small_idx, tmp_path):
    shutil.copytree(small_idx, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(b"a file")
    assert MNIST(tmp_path, True).list_cautions() == []
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert MNIST(tmp_path, True).list_cautions() == [
        f"{tmp_path / name}: not used; --validate holds out a sixth of the training images"]


def test_main_says_that_paper_is_white(paper, small_idx, capsys):
    assert dataset.main([str(small_idx)]) == 0
    digits = capsys.readouterr().out
    assert dataset.main([str(paper)]) == 0
    assert capsys.readouterr().out.count(f"  {paper}: {PAPER}--invert turns them\n") == 2
    for argv in (["--invert", str(paper)], [str(paper), "--invert"]):
        assert dataset.main(argv) == 0
        assert capsys.readouterr().out == digits


def test_a_reader_that_has_enough_ends_it_in_silence(run_script):
    """As in `python dataset.py | head -1`."""
    assert run_script("dataset.py", prepare=without_reader) == (-signal.SIGPIPE, "", "")


# ---- Indexing and transforms --------------------------------------------------------------------

@pytest.mark.parametrize("index", [5, -1, torch.tensor(3), [3, 1, 2], [],
                                   [torch.tensor(4), torch.tensor(0)], torch.tensor([4, 4]),
                                   slice(2, 9, 3), slice(None)], ids=str)
def test_indexing_with_and_without_transform(index, small_digits, small_idx):
    images, labels = (array[index] for array in small_digits["train"])
    plain = MNIST(small_idx, True)[index]
    assert torch.equal(plain[0], torch.tensor(images).unsqueeze(-3))
    assert torch.equal(plain[1], torch.tensor(labels, dtype=torch.int64))

    data = MNIST(small_idx, True, Transform(32))
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
    found, _ = MNIST(small_idx, False, Transform(size))[:]
    assert found.shape == (200, 1, size, size)
    torch.testing.assert_close(found, oracle)


@pytest.mark.parametrize("distortion", [None, Distortion(**BOUNDS, thickening=0.5)],
                         ids=["plain", "distorted"])
@pytest.mark.parametrize("size", [28, 32])
def test_transform_equals_torchvisions_bit_for_bit(size, distortion, digits):
    """A batch transform of torchvision's v2, with the same seed, on all 10,000 test images."""
    oracle = v2.Compose([v2.Pad((size - 28) // 2), v2.ToDtype(torch.float32, scale=True),
                         distortion or nn.Identity(),
                         v2.Lambda(lambda images: images.sub_(MEAN).div_(STD))])
    images = torch.tensor(digits["test"][0]).unsqueeze(1)
    torch.manual_seed(0)
    expected = oracle(images)
    torch.manual_seed(0)
    assert torch.equal(Transform(size, distortion)(images), expected)


def test_transform_can_be_pickled(small_idx):
    """As the worker processes of a DataLoader need it where they are spawned."""
    data = MNIST(small_idx, True, Transform(32, Distortion(**BOUNDS)))
    copied = pickle.loads(pickle.dumps(data))
    torch.manual_seed(0)
    expected, _ = data[:8]
    torch.manual_seed(0)
    assert torch.equal(copied[:8][0], expected)


def test_any_transform_of_torchvision_will_do(small_idx):
    transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN], [STD])])
    data, ours = MNIST(small_idx, True, transform), MNIST(small_idx, True, Transform(28))
    for index in (3, [0, 5], slice(None)):
        torch.testing.assert_close(data[index], ours[index])


def test_torchvision_is_not_loaded(small_idx):
    """It takes a second to import, at every start of every script."""
    code = ("import sys; from dataset import MNIST, Transform; "
            "MNIST(sys.argv[1], True, Transform(32))[:8]; "
            "sys.exit('torchvision' in sys.modules)")
    subprocess.run([sys.executable, "-c", code, small_idx], cwd=ROOT, check=True)


def test_extended_by_images_of_another_it_has_both_in_order(small_idx):
    """The set itself stays as it was; the transform goes along."""
    train, test = MNIST(small_idx, True, transform=torch.neg), MNIST(small_idx, False)
    both = train.extend(*test[:])
    assert (len(both), len(train)) == (800, 600)
    for part, images, labels in ((slice(600), train.images, train.labels),
                                 (slice(600, None), test.images, test.labels)):
        assert torch.equal(both.images[part], images)
        assert torch.equal(both.labels[part], labels)
    assert torch.equal(both[:][0], torch.neg(both.images))


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
        train_set = MNIST(small_idx, True, Transform(32))
        validation_set = MNIST(small_idx, True)
        splits.append(hold_out(train_set, validation_set))
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


@pytest.mark.parametrize("size", [600, 601, 605, 6, 11])
def test_the_logs_count_as_many_images_as_are_held_out(size, digits, tmp_path):
    """A sixth, rounded down: 601 and 605 images leave 100 to measure on."""
    write_idx_folder(tmp_path, {"train": [array[:size] for array in digits["train"]]})
    _, held_out, data = load_data(tmp_path, None, None, validate=True)
    assert len(held_out) == size // 6
    assert count_examples({"evaluated_on": "validation", "data": data}) == size // 6


def test_hold_out_of_next_to_nothing(small_digits, tmp_path):
    write_idx_folder(tmp_path, {"train": [array[:5] for array in small_digits["train"]]})
    data = MNIST(tmp_path, True)
    with pytest.raises(DataError, match="too few training images"):
        hold_out(data, data)


@pytest.mark.parametrize("validate", [False, True])
def test_load_data(validate, small_idx):
    """Both sets, each with its own transform, and fingerprints of what the files hold."""
    transforms = Transform(32, Distortion(**BOUNDS)), Transform(32)
    train_set, test_set, data = load_data(small_idx, *transforms, validate=validate)
    whole = MNIST(small_idx, True), MNIST(small_idx, validate)
    assert data == {"train": whole[0].fingerprint(),
                    "validation" if validate else "test": whole[1].fingerprint()}
    assert (train_set.transform, test_set.transform) == transforms
    for found, expected in zip((train_set, test_set), hold_out(*whole) if validate else whole,
                               strict=True):
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.labels, expected.labels)


def test_load_data_puts_both_sets_on_the_device(small_idx, monkeypatch):
    monkeypatch.setattr(MNIST, "fingerprint", lambda self: None)  # "meta" holds no numbers
    *sets, _ = load_data(small_idx, None, None, device="meta")
    assert [(data.images.device.type, data.labels.device.type) for data in sets] == [
        ("meta", "meta")] * 2
    for shuffle in (True, False):  # the order goes there at once, not batch by batch
        batches = make_loader(sets[0], 128, shuffle).sampler
        assert {batch.device.type for batch in batches} == {"meta"}


# ---- Distortion ---------------------------------------------------------------------------------

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
    data = MNIST(small_idx, True, Transform(32, Distortion(**BOUNDS)))
    first, again, other = (torch.manual_seed(seed) and data[:8][0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert data[0][0].shape == (1, 32, 32)


def test_background_moves_in():
    """White images, normalised after the distortion: what is new is as dark as background."""
    white = torch.full((64, 1, 28, 28), 255, dtype=torch.uint8)
    torch.manual_seed(0)
    found = Transform(28, Distortion(translation=4))(white)
    assert found.min().item() == pytest.approx((0 - MEAN) / STD)
    assert found.max().item() == pytest.approx((1 - MEAN) / STD)
