"""benchmarks/ on tiny data: all pipelines get the same images and nets, and count correctly."""

import functools
import json
import sys
import time

import pytest
import real_digits
import speed
import time_to_accuracy
import torch
from PIL import Image
from torch.utils.data import Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import datasets

import main
from dataset import DATA_DIR, MNIST, Transform
from model import LeNet5


@pytest.fixture(scope="module")
def digits():
    return MNIST(DATA_DIR, train=True)


@pytest.fixture(scope="module")
def raw_files(tmp_path_factory):
    speed.write_raw(folder := tmp_path_factory.mktemp("raw"))
    return folder


def test_flop_is_what_torch_counts():
    model, images = LeNet5(), torch.rand(1, 1, 32, 32)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(images)
    assert forward.get_total_flops() == 2 * speed.FORWARD
    with FlopCounterMode(display=False) as step:
        model(images).sum().backward()
    assert step.get_total_flops() == speed.FLOP


def test_plain_order_is_the_same_function(digits):
    images = Transform(32)(digits.images[:64])
    ours, plain = LeNet5(), speed.PlainOrderLeNet5()
    plain.load_state_dict(ours.state_dict())
    torch.testing.assert_close(plain(images), ours(images))
    for model in (ours, plain):
        model(images).square().sum().backward()
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_usual_datasets_give_our_images_and_labels(digits, raw_files, tmp_path):
    images, labels = Transform(32)(digits.images[:20]), digits.labels[:20].tolist()
    speed.write_pngs(tmp_path / "png", digits.images[:20], digits.labels[:20])
    files = speed.PngFiles(tmp_path / "png", speed.usual_transform())
    files.paths.sort(key=lambda path: int(path.stem.split("_")[0]))
    library = datasets.MNIST(raw_files, transform=speed.usual_transform())
    assert (len(files), len(library)) == (20, 60_000)
    for dataset in (files, library):
        pairs = [dataset[i] for i in range(20)]
        torch.testing.assert_close(torch.stack([image for image, _ in pairs]), images)
        assert [label for _, label in pairs] == labels


def test_every_row_trains_on_the_images_it_counts(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "keras", None)  # as if it were not installed
    seen, train = [], main.train

    @functools.wraps(train)  # keeps its signature
    def count(model, loader, *args, **options):
        batches = list(loader)
        seen.append(sum(len(labels) for _, labels in batches))
        return train(model, batches, *args, **options)

    monkeypatch.setattr(main, "train", count)
    first, second = speed.make_pipelines(tmp_path, slow=8, fast=512)
    assert first.count(None) == 1
    assert set(second) == {(b, k) for b in (64, 128, 256, 512) for k in ("plain", "augmented")}
    trained = [row for row in (*first[:-2], *second.values()) if row]  # without step and ceiling
    rates = speed.measure([row for row in (*first, *second.values()) if row], repetitions=1)
    assert seen == 2 * [row.images for row in trained]  # the warm-up and one repetition
    assert {row.images for row in trained} == {8, 512}
    assert first[-2].images == 512
    assert all(rate > 0 for values in rates.values() for rate in values)
    assert all(len(values) == 1 for values in rates.values())
    lines = speed.first_table(first, rates) + speed.second_table(second, rates)
    assert len(lines) == 2 + len(first) + 2 + 4
    assert "| Keras: not installed | | | | |" in lines


def test_ratios_of_the_table():
    rates = {"**ours, plain**": [90, 100, 400], "**ours, augmented**": [80], "rival": [20, 25, 1],
             "step": [160]}
    rows = [speed.Pipeline("rival", 1, None),
            speed.Pipeline("step", 1, None, ("plain", "augmented"))]
    assert speed.first_table(rows, rates)[2:] == [
        "| rival | 20 | 1 to 25 | 5.00x |  |", "| step | 160 | 160 to 160 | 0.62x | 0.50x |"]


def test_ours_is_timed_in_parts(monkeypatch, digits, tmp_path):
    small = digits.select(torch.arange(256))
    small.transform = Transform(32)
    data = {"train": small.fingerprint(), "test": small.fingerprint()}
    monkeypatch.setattr(main, "load_data", lambda *args: (small, small, data))
    for name in ("train", "test"):
        monkeypatch.setattr(main, name, getattr(main, name))  # undoes what ours() wraps
    started = time.perf_counter()
    parts, accuracy, epochs = time_to_accuracy.ours(3, str(tmp_path))
    assert sum(parts.values()) < time.perf_counter() - started
    assert min(parts["train"], parts["evaluation"]) > 0
    logged = json.loads((tmp_path / "lenet_fast-seed3.json").read_text())
    assert accuracy == logged["final"]["test_accuracy"]
    assert epochs == logged["recipe"]["epochs"]


def test_rival_stops_at_the_target(monkeypatch, raw_files):
    library = datasets.MNIST
    monkeypatch.setattr(datasets, "MNIST", lambda *args, **named: Subset(
        library(*args, **named), range(128)))
    parts, accuracy, epochs = time_to_accuracy.torchvision(0, raw_files, most_epochs=2)
    assert (accuracy < time_to_accuracy.TARGET, epochs) == (True, 2)
    assert min(parts.values()) >= 0 < min(parts["train"], parts["evaluation"])
    monkeypatch.setattr(time_to_accuracy, "TARGET", accuracy)
    assert time_to_accuracy.torchvision(0, raw_files, most_epochs=9)[2] <= 2


def test_a_process_is_timed_whole():
    *result, seconds = time_to_accuracy.time_process(divmod, 17, 5)
    assert result == [3, 2]
    assert seconds > 0


def test_a_process_that_fails_ends_in_one_line():
    with pytest.raises(SystemExit, match=r"^time_to_accuracy.py: divmod failed$"):
        time_to_accuracy.time_process(divmod, 1, 0)


def test_a_miss_is_shown():
    parts = dict.fromkeys(time_to_accuracy.PARTS, 1.0)
    assert time_to_accuracy.row("seed 0", parts, 0.9899, 2, 5.5) == (
        "| seed 0 | 5.5 | 1.0 | 1.0 | 1.0 | 1.0 | 1.5 | 2 | 98.99 %, a miss |")
    assert time_to_accuracy.row("seed 0", parts, 0.99, 2, 5.5).endswith("| 2 | 99.00 % |")


def test_real_digits_are_counted_a_row_a_hand(monkeypatch, digits, tmp_path, capsys):
    (tmp_path / "drawn").mkdir()
    white = Image.new("L", (40, 40), 255)
    for name in ("drawn/1_several.png", "b7_3.png", "notes_x.txt"):
        white.save(tmp_path / name, "png")
    image, label = digits[0]
    Image.fromarray(image[0].numpy()).save(tmp_path / f"drawn/2_{label}.png")  # as draw.py names it
    monkeypatch.setattr(sys, "argv", ["real_digits.py", str(tmp_path)])
    real_digits.main()  # one digit makes no pairs
    rows = capsys.readouterr().out.splitlines()
    assert rows[2:] == [
        "| b | 1 | 0 | 0 | 1 | 0 |", "| drawn | 1 | 1 | 0 | 0 | 1 |", "| all | 2 | 1 | 0 | 1 | 1 |",
        "", "of 1 pictures of several digits, 1 are refused"]


def test_a_picture_is_laid_on_a_table_with_its_margin_and_turn():
    chance = real_digits.np.random.default_rng(0)
    white = Image.new("L", (40, 20), 255)
    for margin, turn in ((0.2, 0), (0.1, 30)):
        table = real_digits.lay_out(white, margin, turn, chance)
        left, top, right, bottom = table.point(lambda value: value > 220 and 255).getbbox()
        edges = left, top, table.width - right, table.height - bottom
        assert max(edges) - min(edges) <= 3
        assert min(edges) == pytest.approx(margin * real_digits.LAID, abs=3)
