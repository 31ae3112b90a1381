"""Training, measuring and logging, against oracles that work one image at a time.

    python -m pytest tests/test_main.py

A few seconds on small sets of real digits, and one epoch on all 60,000.
"""

import csv
import dataclasses
import itertools
import json
import re
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import use_as_bundled, write_idx_folder
from forms import write_form
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import main
import plot
from lab import machine
from lab.digits.strokes import draw_digits
from lab.training import options
from model import CustomMLP, LeNet5, MLPWide
from study.calibration import calibration_error

CSV_HEADER = "epoch,learning_rate,train_loss,train_accuracy,test_loss,test_accuracy,seconds"
JSON_KEYS = {"model", "seed", "recipe", "parameters", "evaluated_on", "data", "code", "images",
             "environment", "final", "complete", "errors", "calibration"}
REGULARIZATION = ("dropout", "weight_decay", "augment")


@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py in a folder of its own, on 600 digits in place of the repository's."""
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
    # It reads a few images, which would be taken for some of the run that is looked at.
    monkeypatch.setattr(main, "check_recipe", lambda *_: [])
    return lambda *argv: main.main(["--device", "cpu", *argv])


@pytest.fixture
def seen():
    """What the nets are given, in order: pairs of (in training mode?, images)."""
    batches = []

    def look(module, inputs):
        if hasattr(module, "image_size"):
            batches.append((module.training, inputs[0].clone()))

    handle = register_module_forward_pre_hook(look)
    yield batches
    handle.remove()


def parse(argv):
    return options.parse(argv, main.__doc__, main.RECIPES)


def read_json(name, tmp_path):
    return json.loads((tmp_path / "logs" / f"{name}.json").read_text())


def read_rows(name, tmp_path):
    with open(tmp_path / "logs" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def read_checkpoint(name, tmp_path):
    return torch.load(tmp_path / "checkpoints" / f"{name}.pt", weights_only=True)


def prepare(image):
    """uint8 (28, 28) -> float (1, 1, 32, 32), as every net but the wide ones wants it."""
    pixels = (np.pad(image, 2) / 255 - 0.1307) / 0.3081
    return torch.tensor(pixels, dtype=torch.float32)[None, None]


def flatten(images):
    """uint8 (N, 28, 28) -> float (N, 1024), the pixels of what a net should be given."""
    return torch.cat([prepare(image).flatten(1) for image in images]).numpy()


def as_rows(batches):
    """Batches of images as one (N, pixels) array."""
    return torch.cat([images.flatten(1) for images in batches]).numpy()


def sort_rows(rows):
    return rows[np.lexsort(rows.round(4).T)]


def measure_by_hand(model, images, labels):
    """Mean loss and accuracy in NumPy and double precision, one image at a time."""
    losses, hits = [], []
    for image, label in zip(images, labels, strict=True):
        logits = model(image[None])[0].double().detach().numpy()
        losses.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label])
        hits.append(logits.argmax() == label)
    return sum(losses) / len(losses), sum(hits) / len(hits)


def ragged_batches(side=32):
    """23 random images in batches of 10, 10 and 3, as a loader gives them, and all of them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(23, 1, side, side, generator=generator)
    labels = torch.randint(10, (23,), generator=generator)
    return list(zip(images.split(10), labels.split(10), strict=True)), images, labels.tolist()


# The learning rate and the seeds

def test_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    recipe = dataclasses.replace(main.RECIPES["lenet"], lr=0.3, warmup=0.25)
    rates = [main.learning_rate(recipe, (step + 0.5) / 1000) for step in range(1000)]
    peak = rates.index(max(rates))
    assert 0 < rates[0] < 0.001
    assert main.learning_rate(recipe, 0.25) == pytest.approx(0.3)
    assert peak in (249, 250)
    assert max(rates) <= 0.3
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 <= rates[-1] < 1e-6
    # Half-way down a cosine is half the rate.
    assert main.learning_rate(recipe, 0.625) == pytest.approx(0.15)


def test_learning_rate_is_constant_without_warmup():
    recipe = main.RECIPES["lenet_wide"]
    assert {main.learning_rate(recipe, step / 10) for step in range(10)} == {recipe.lr}


def test_resumed_run_sees_the_rates_of_an_unstopped_one(train, monkeypatch):
    seen_rates, original = [], main.train
    stop_at = None

    def spy(model, loader, optimizer, rates, bf16):
        if len(seen_rates) == stop_at:
            raise KeyboardInterrupt
        seen_rates.append(list(rates))
        return original(model, loader, optimizer, rates, bf16)

    monkeypatch.setattr(main, "train", spy)
    assert train("--epochs", "3") == 0
    unstopped = seen_rates[:]
    seen_rates.clear()
    shutil.rmtree("checkpoints")
    shutil.rmtree("logs")
    stop_at = 1
    assert train("--epochs", "3") == 130
    stop_at = None
    assert train("--epochs", "3") == 0
    assert seen_rates == unstopped
    assert [len(rates) for rates in unstopped] == [5, 5, 5]  # 600 images, 128 at a time
    assert len({rate for rates in unstopped for rate in rates}) == 15


def test_every_seed_and_epoch_has_chance_of_its_own():
    def draw(seed, epoch):
        main.seed_everything(seed, epoch)
        return tuple(torch.rand(3).tolist())

    pairs = list(itertools.product(range(20), range(20)))
    # Neighbours of the largest seeds, and seeds that differ only in the high bits.
    pairs += [(seed, 1) for seed in (2**16, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**40 + 1)]
    assert len({draw(*pair) for pair in pairs}) == len(pairs)
    first = draw(7, 3)
    torch.rand(1000)
    assert draw(7, 3) == first


# One epoch

def test_evaluation_is_a_mean_over_examples():
    torch.manual_seed(0)
    model = LeNet5()
    batches, images, labels = ragged_batches()
    loss, accuracy, logits = main.test(model, batches)
    loss_by_hand, accuracy_by_hand = measure_by_hand(model, images, labels)
    assert loss == pytest.approx(loss_by_hand, rel=1e-5)
    assert accuracy == accuracy_by_hand
    torch.testing.assert_close(logits, torch.cat([model(image[None]) for image in images]))


def test_training_figures_are_means_over_examples():
    torch.manual_seed(0)
    model = LeNet5()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    batches, images, labels = ragged_batches()
    expected = measure_by_hand(model, images, labels)
    loss, accuracy = main.train(model, batches, optimizer, [0.0, 0.0, 0.0])  # changes nothing
    assert (loss, accuracy) == (pytest.approx(expected[0], rel=1e-5), expected[1])


def test_training_takes_the_steps_of_nesterov_with_weight_decay():
    torch.manual_seed(0)
    model = CustomMLP()
    weights = [parameter.detach().clone().requires_grad_() for parameter in model.parameters()]
    velocities = [torch.zeros_like(weight) for weight in weights]
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0, momentum=0.9, nesterov=True,
                                weight_decay=0.01)
    batches, _, _ = ragged_batches()
    rates = [0.1, 0.02, 0.05]
    for (images, labels), rate in zip(batches, rates, strict=True):
        hidden = (images.flatten(1) @ weights[0].T + weights[1]).clamp(min=0)
        logits = hidden @ weights[2].T + weights[3]
        loss = (logits.logsumexp(1) - logits[range(len(labels)), labels]).mean()
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, velocity, gradient in zip(weights, velocities, gradients, strict=True):
                gradient = gradient + 0.01 * weight
                velocity.mul_(0.9).add_(gradient)
                weight -= rate * (gradient + 0.9 * velocity)
    main.train(model, batches, optimizer, rates)
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        torch.testing.assert_close(parameter, weight, rtol=1e-4, atol=1e-6)


def test_training_trains_and_testing_does_not(seen):
    torch.manual_seed(0)
    model = MLPWide(0.5)
    batches, _, _ = ragged_batches(28)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.eval()
    main.train(model, batches, optimizer, [0.1] * 3)
    assert [training for training, _ in seen] == [True] * 3
    weights = [parameter.clone() for parameter in model.parameters()]
    seen.clear()
    model.train()
    *once, _ = main.test(model, batches)
    *twice, _ = main.test(model, batches)
    assert once == twice  # dropout would differ
    assert [training for training, _ in seen] == [False] * 6
    assert all(map(torch.equal, weights, model.parameters()))


# The recipes

@pytest.mark.parametrize("name", ["lenet", "mlp"])
def test_plain_nets_have_no_regularisation_at_all(name):
    recipe = main.RECIPES[name]
    assert (recipe.dropout, recipe.weight_decay, recipe.augment) == (None, 0, False)
    assert {type(layer) for layer in recipe.net().children()} <= {nn.Conv2d, nn.Linear}


def test_only_the_regularisation_differs_in_the_ablation():
    plain = dataclasses.asdict(main.RECIPES["lenet"])
    changed = {}
    for name in ("lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg", "lenet_heavy"):
        recipe = dataclasses.asdict(main.RECIPES[name])
        changed[name] = {field for field in plain if recipe[field] != plain[field]} - {"net"}
        assert changed[name] <= set(REGULARIZATION), name
    assert changed["lenet_dropout"] == {"dropout"}
    assert changed["lenet_decay"] == {"weight_decay"}
    assert changed["lenet_augment"] == {"augment"}
    assert changed["lenet_reg"] == changed["lenet_heavy"] == set(REGULARIZATION)


def test_the_ablation_adds_up_to_the_regularised_net():
    reg = main.RECIPES["lenet_reg"]
    for name, field in (("lenet_dropout", "dropout"), ("lenet_decay", "weight_decay"),
                        ("lenet_augment", "augment")):
        assert getattr(main.RECIPES[name], field) == getattr(reg, field)
    freed = {field: getattr(reg, field) for field in ("epochs", "dropout", "thickening")}
    assert dataclasses.replace(main.RECIPES["lenet_record"], **freed) == reg


# What a run is given

def test_drawn_digits_join_the_training_images_alone(train, monkeypatch, seen, small_digits):
    """Neither the test images nor those that --validate holds out."""
    drawn = dataclasses.replace(main.RECIPES["lenet"], synthetic=50)
    monkeypatch.setitem(main.RECIPES, "lenet", drawn)
    strokes, _ = draw_digits(50)
    for flags, real, held_out in (((), 600, 200), (("--validate",), 500, 100)):
        seen.clear()
        assert train("--epochs", "1", *flags) == 0
        trained, tested = (as_rows([images for training, images in seen if training == kind])
                           for kind in (True, False))
        assert len(trained) == real + 50
        assert len(tested) >= held_out
        of_strokes = set(map(bytes, flatten(strokes.numpy()[:, 0]).round(4)))
        assert sum(bytes(row) in of_strokes for row in trained.round(4)) == 50
        assert not any(bytes(row) in of_strokes for row in tested.round(4))


def test_test_images_are_never_augmented_and_training_images_anew(train, seen, small_digits):
    assert train("--model", "lenet_reg", "--epochs", "2") == 0
    expected = {split: flatten(images) for split, (images, _) in small_digits.items()}
    tested = as_rows([images for training, images in seen if not training])
    assert len(tested) >= 2 * 200
    for pass_ in np.split(tested, len(tested) // 200):
        np.testing.assert_allclose(pass_, expected["test"], atol=1e-5)
    trained = np.split(as_rows([images for training, images in seen if training]), 2)
    ink = [np.sort(rows.sum(1)) for rows in (*trained, expected["train"])]
    assert all(len(rows) == 600 for rows in trained)
    assert not any(np.isclose(one, other).mean() > 0.5
                   for one, other in itertools.combinations(ink, 2))


def test_each_epoch_takes_every_image_once_in_an_order_of_its_own(train, seen, small_digits):
    assert train("--epochs", "2") == 0
    expected = flatten(small_digits["train"][0])
    epochs = np.split(as_rows([images for training, images in seen if training]), 2)
    for rows in epochs:
        np.testing.assert_allclose(sort_rows(rows), sort_rows(expected), atol=1e-5)
        assert not np.allclose(rows, expected)
    assert not np.allclose(*epochs)


def test_validation_measures_on_held_out_training_images(
        train, seen, small_idx, small_digits, tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for path in small_idx.glob("train-*"):  # there is no test set to look at
        shutil.copy(path, folder)
    trained, tested = [], []
    for seed in ("0", "1"):
        seen.clear()
        status = train("--model", "lenet_decay", "--epochs", "1", "--validate", "--seed", seed,
                       "--data-dir", str(folder))
        assert status == 0
        trained.append(sort_rows(as_rows([images for training, images in seen if training])))
        tested.append(as_rows([images for training, images in seen if not training][:1]))
        log = read_json(f"lenet_decay-epochs1-validate-mnist-seed{seed}", tmp_path)
        assert log["evaluated_on"] == "validation"
    np.testing.assert_array_equal(*trained)  # one split for all seeds
    np.testing.assert_array_equal(*tested)
    assert (len(trained[0]), len(tested[0])) == (500, 100)
    expected = flatten(small_digits["train"][0])
    together = sort_rows(np.concatenate([trained[0], tested[0]]))
    np.testing.assert_allclose(together, sort_rows(expected), atol=1e-5)  # each image once


def test_validation_images_are_not_augmented(train, seen, small_digits):
    assert train("--model", "lenet_augment", "--epochs", "1", "--validate") == 0
    tested = next(images for training, images in seen if not training)
    known = {row.round(3).tobytes() for row in flatten(small_digits["train"][0])}
    assert all(row.round(3).tobytes() in known for row in as_rows([tested]))


# What a run leaves behind

def test_log_says_what_the_saved_weights_do(train, tmp_path, small_digits):
    assert train("--epochs", "2", "--model", "lenet_dropout", "--batch-size", "16") == 0
    name = "lenet_dropout-epochs2-batch_size16-seed0"
    checkpoint = read_checkpoint(name, tmp_path)
    model = LeNet5()  # dropout has no weights and is off
    model.load_state_dict(checkpoint["model"])
    images, labels = small_digits["test"]
    expected, bins = [], {}
    for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        logits = model(prepare(image))[0].detach().double()
        probabilities = torch.exp(logits) / torch.exp(logits).sum()
        prediction = int(probabilities.argmax())
        probability = float(probabilities[prediction])
        if prediction != label:
            expected.append([index, label, prediction, probability])
        [number] = (i for i in range(15) if i / 15 < probability <= (i + 1) / 15)
        bins.setdefault(number, []).append((prediction == label, probability))
    log, rows = read_json(name, tmp_path), read_rows(name, tmp_path)
    assert expected
    assert len(bins) > 5  # sure and unsure answers
    for number in range(15):
        right, sure = zip(*bins.get(number, [(0, 0)]), strict=True)
        found = [column[number] for column in log["calibration"]]
        assert found == pytest.approx([len(bins.get(number, [])), sum(right), sum(sure)], rel=1e-4)
    by_hand = sum(abs(sum(right for right, _ in each) - sum(sure for _, sure in each))
                  for each in bins.values()) / 200
    assert calibration_error(log["calibration"]) == pytest.approx(by_hand, rel=1e-3)
    assert checkpoint["calibration"] == log["calibration"]
    assert [error[:3] for error in log["errors"]] == [error[:3] for error in expected]
    np.testing.assert_allclose([error[3] for error in log["errors"]],
                               [error[3] for error in expected], rtol=1e-4)
    assert log["final"]["test_accuracy"] == pytest.approx(1 - len(expected) / 200)
    loss, _ = measure_by_hand(model, torch.cat([prepare(image) for image in images]), labels)
    assert log["final"]["test_loss"] == pytest.approx(loss, rel=1e-4)
    assert float(rows[-1]["test_loss"]) == pytest.approx(loss, rel=1e-4)
    assert checkpoint["epoch"] == log["final"]["epoch"] == 2


def test_formats_of_csv_and_json(train, tmp_path):
    assert train("--epochs", "2", "--seed", "3") == 0
    text = (tmp_path / "logs/lenet-epochs2-seed3.csv").read_text()
    assert text.startswith(CSV_HEADER + "\n")
    assert text.endswith("\n")
    rows = read_rows("lenet-epochs2-seed3", tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    recipe = dataclasses.replace(main.RECIPES["lenet"], epochs=2)
    for epoch, row in enumerate(rows):  # the highest rate of its five steps
        rates = [main.learning_rate(recipe, (epoch + (step + 0.5) / 5) / 2) for step in range(5)]
        assert float(row["learning_rate"]) == pytest.approx(max(rates), rel=1e-5)
    log = read_json("lenet-epochs2-seed3", tmp_path)
    assert set(log) == JSON_KEYS
    assert (log["model"], log["seed"], log["parameters"]) == ("lenet", 3, 61706)
    assert (log["evaluated_on"], log["complete"]) == ("test", True)
    recipe = dataclasses.asdict(main.RECIPES["lenet"]) | {"net": "LeNet5", "epochs": 2}
    assert log["recipe"] == recipe
    assert set(log["environment"]) == {"torch", "python", "device", "cpu", "threads"}
    assert log["data"]["train"]["size"] == 600
    assert log["data"]["test"]["size"] == 200
    assert {field: float(rows[-1][field]) for field in rows[-1]} == pytest.approx(log["final"],
                                                                                  rel=1e-5)
    checkpoint = read_checkpoint("lenet-epochs2-seed3", tmp_path)
    assert checkpoint["history"][-1] == log["final"]
    assert checkpoint["recipe"] == log["recipe"]
    assert checkpoint["data"] == log["data"]


@pytest.mark.parametrize(("argv", "series"), [
    ([], "lenet-epochs1"),
    (["--model", "mlp"], "mlp-epochs1"),
    (["--lr", "0.05"], "lenet-epochs1-lr0.05"),
    (["--lr", "0.1", "--momentum", "0.9", "--batch-size", "128", "--no-augment"], "lenet-epochs1"),
    (["--model", "lenet_reg", "--dropout", "0.1"], "lenet_reg-epochs1"),
    (["--model", "lenet_fast"], "lenet_fast-epochs1"),
    (["--validate"], "lenet-epochs1-validate"),
])
def test_run_is_named_after_what_differs(train, tmp_path, argv, series):
    assert train("--epochs", "1", *argv) == 0
    assert {path.name for path in tmp_path.glob("*/*")} == {
        f"{series}-seed0.{suffix}" for suffix in ("csv", "json", "pt")}


def test_other_data_join_the_name(train, tmp_path, small_idx):
    shutil.copytree(small_idx, tmp_path / "other digits")
    assert train("--epochs", "1", "--seed", "2", "--data-dir", "other digits") == 0
    assert (tmp_path / "logs/lenet-epochs1-other_digits-seed2.csv").exists()


def test_black_on_white_is_another_run_unless_it_is_turned(train, tmp_path, small_digits, capsys):
    write_idx_folder(tmp_path / "scans", {
        split: (255 - images, labels) for split, (images, labels) in small_digits.items()})
    argv = ["--epochs", "1", "--data-dir", "scans"]
    assert train(*argv) == train(*argv, "--invert") == 0
    out = capsys.readouterr().out
    assert out.count("scans: the images look like black on white") == 1, "not of turned images"
    stored, turned = (json.loads(Path(f"logs/lenet-epochs1-scans{word}-seed0.json").read_text())
                      for word in ("", "-invert"))
    assert train("--epochs", "1") == 0
    assert "lenet-epochs1-scans-invert-seed0: finished" in capsys.readouterr().out, "the same run"
    assert stored["data"] != turned["data"]
    assert plot.main(["--data-dir", "scans", "lenet-epochs1-scans-invert"]) == 0


def test_the_same_digits_in_other_forms_are_the_same_run(train, tmp_path, small_digits, capsys):
    forms = ("csv", "npz", "EMNIST", "unpacked, dot", "names, label first")
    for form in forms:
        write_form(tmp_path / form, form, small_digits)
        assert train("--epochs", "1", "--data-dir", form) == 0
        assert "lenet-epochs1-csv-seed0: finished" in capsys.readouterr().out
    assert len(list(tmp_path.glob("logs/*.json"))) == 1
    assert (tmp_path / "logs/lenet-epochs1-csv-seed0.csv").exists()


@pytest.mark.parametrize(("argv", "field", "value"), [
    (["--epochs", "2"], "epochs", 2),
    (["--batch-size", "50"], "batch_size", 50),
    (["--lr", "0.02"], "lr", 0.02),
    (["--momentum", "0"], "momentum", 0),
    (["--weight-decay", "0.001"], "weight_decay", 0.001),
    (["--dropout", "0.3"], "dropout", 0.3),
    (["--no-augment"], "augment", False),
])
def test_flag_overrides_the_recipe(train, tmp_path, monkeypatch, seen, argv, field, value):
    optimizers, original = [], main.train

    def spy(model, loader, optimizer, rates, bf16):
        optimizers.append((model, optimizer, rates))
        return original(model, loader, optimizer, rates, bf16)

    monkeypatch.setattr(main, "train", spy)
    monkeypatch.setitem(main.RECIPES, "lenet_reg",
                        dataclasses.replace(main.RECIPES["lenet_reg"], epochs=1))
    assert train("--model", "lenet_reg", *argv) == 0
    (path,) = (tmp_path / "logs").glob("*.json")
    assert path.name.startswith("lenet_reg-")
    log = json.loads(path.read_text())
    assert log["recipe"][field] == value
    unchanged = dataclasses.asdict(main.RECIPES["lenet_reg"]) | {"net": "RegularizedLeNet5"}
    assert {key for key in unchanged if log["recipe"][key] != unchanged[key]} == {field}
    # And the training did it.
    model, optimizer, rates = optimizers[0]
    (group,) = optimizer.param_groups
    actual = {
        "epochs": len(optimizers), "momentum": group["momentum"],
        "batch_size": max(len(images) for training, images in seen if training),
        "lr": pytest.approx(max(rates), rel=0.1), "weight_decay": group["weight_decay"],
        "dropout": model.dropout.p, "augment": False}
    assert actual[field] == value


def test_no_augment_trains_on_the_images_as_they_are(train, seen, small_digits):
    assert train("--model", "lenet_augment", "--no-augment", "--epochs", "1") == 0
    trained = as_rows([images for training, images in seen if training])
    expected = flatten(small_digits["train"][0])
    np.testing.assert_allclose(sort_rows(trained), sort_rows(expected), atol=1e-5)


def test_editing_a_recipe_trains_with_the_new_value_and_the_log_says_so(
        train, tmp_path, monkeypatch):
    for lr in (0.1, 0.05):
        monkeypatch.setitem(main.RECIPES, "lenet", dataclasses.replace(
            main.RECIPES["lenet"], epochs=1, lr=lr, warmup=None))
        assert train() == 0
    weights = []
    for name, lr in (("lenet-seed0", 0.1), ("lenet-lr0.05-seed0", 0.05)):
        log, (row,) = read_json(name, tmp_path), read_rows(name, tmp_path)
        assert (log["recipe"]["lr"], log["recipe"]["epochs"], log["complete"]) == (lr, 1, True)
        assert float(row["learning_rate"]) == lr
        weights.append(read_checkpoint(name, tmp_path)["model"]["fc3.bias"])
    assert not torch.equal(*weights)


# Several seeds

def test_seeds_prints_mean_and_deviation_and_leaves_alone_what_is_finished(
        train, tmp_path, capsys):
    assert train("--epochs", "1", "--seeds", "3") == 0
    printed = capsys.readouterr().out
    percents = [100 * read_json(f"lenet-epochs1-seed{seed}", tmp_path)["final"]["test_accuracy"]
                for seed in range(3)]
    figures = re.search(r"accuracy (\S+) ± (\S+) % \((\S+) errors of 200\), 3 seed", printed)
    assert float(figures[1]) == pytest.approx(sum(percents) / 3, abs=0.00501)
    assert float(figures[2]) == pytest.approx(statistics.stdev(percents), abs=0.00501)
    assert float(figures[3]) == pytest.approx(200 - sum(percents) * 2 / 3, rel=1e-4)

    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert train("--epochs", "1", "--seeds", "3") == 0
    again = capsys.readouterr().out
    for seed in range(3):
        assert f"lenet-epochs1-seed{seed}: finished, test accuracy {percents[seed]:.2f} %" in again
    assert "epoch " not in again
    assert figures[0] in again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == written


def test_one_seed_gives_the_same_bits_and_another_does_not(train, tmp_path):
    outcomes = []
    for seed in ("0", "0", "1"):
        assert train("--model", "lenet_reg", "--epochs", "2", "--seed", seed, "--restart") == 0
        name = f"lenet_reg-epochs2-seed{seed}"
        rows = [{**row, "seconds": None} for row in read_rows(name, tmp_path)]
        outcomes.append((rows, read_checkpoint(name, tmp_path)["model"]))
    (rows, weights), (same_rows, same_weights), (other_rows, other_weights) = outcomes
    assert rows == same_rows
    assert all(torch.equal(weights[key], same_weights[key]) for key in weights)
    assert rows != other_rows
    assert not any(torch.equal(weights[key], other_weights[key]) for key in weights)


# What is printed

def test_prints_one_line_an_epoch_and_no_bar_without_a_terminal(train, tmp_path, capsys):
    assert train("--epochs", "10") == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if line.startswith("epoch ")]
    assert [line[:11] for line in lines] == [f"epoch {n:2}/10" for n in range(1, 11)]
    pattern = (r"epoch +\d+/10  train loss (\d\.\d{4}) acc (\d+\.\d\d) %"
               r"  test loss (\d\.\d{4}) acc (\d+\.\d\d) % \((\d+) errors\)  \d+\.\d s")
    for line, row in zip(lines, read_rows("lenet-epochs10-seed0", tmp_path), strict=True):
        figures = [float(figure) for figure in re.fullmatch(pattern, line).groups()]
        accuracy = float(row["test_accuracy"])
        assert figures == pytest.approx([
            float(row["train_loss"]), 100 * float(row["train_accuracy"]),
            float(row["test_loss"]), 100 * accuracy, 200 * (1 - accuracy)], abs=0.0051)
    assert "61,706 parameters" in out
    for word in (Path("logs/lenet-epochs10-seed0.csv"),
                 Path("checkpoints/lenet-epochs10-seed0.pt"), "plot.py"):
        assert str(word) in out.partition(lines[-1])[2]


def test_help_shows_the_recipes(capsys):
    assert main.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, recipe in main.RECIPES.items():
        (line,) = (line for line in shown.splitlines() if line.strip().startswith(f"{name} "))
        for value in (recipe.net.__name__, recipe.dropout, recipe.weight_decay, recipe.augment,
                      recipe.epochs, recipe.batch_size, recipe.lr):
            assert str(value) in line.split()


@pytest.mark.parametrize(("accelerator", "device"), [
    (torch.device("cuda"), "cuda"), (torch.device("mps"), "mps"), (None, "cpu")])
def test_auto_takes_the_accelerator_if_there_is_one(monkeypatch, accelerator, device):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: accelerator)
    monkeypatch.setattr(torch, "ones", lambda size, device: torch.zeros(size))  # it is tried
    assert parse([])[0].device == device
    assert parse(["--device", device])[0].device == device
    assert parse(["--device", "cpu"])[0].device == "cpu"


def test_the_largest_seed_is_a_seed():
    assert parse(["--seed", str(2**32 - 1)])[0].seed == 2**32 - 1


def test_without_arguments_it_trains_lenet_on_the_repositorys_mnist():
    args, recipe, changed = parse([])
    assert (args.model, recipe, changed) == ("lenet", main.RECIPES["lenet"], {})
    assert (args.data_dir / "t10k-images-idx3-ubyte.gz").exists()


def test_one_epoch_on_all_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["--epochs", "1", "--device", "cpu"]) == 0
    log = read_json("lenet-epochs1-seed0", tmp_path)
    assert (log["data"]["train"]["size"], log["data"]["test"]["size"]) == (60000, 10000)
    assert log["final"]["test_accuracy"] > 0.975
    assert len(log["errors"]) == round(10000 * (1 - log["final"]["test_accuracy"]))


# bfloat16

@pytest.mark.parametrize("emulates", [True, False])
def test_bfloat16_is_hinted_at_where_it_is_slow(train, capsys, monkeypatch, emulates):
    monkeypatch.setattr(machine, "emulates_bf16", lambda device: emulates)
    assert train("--epochs", "1", "--bf16") == 0
    assert ("emulates bfloat16" in capsys.readouterr().out) == emulates
    assert train("--epochs", "1") == 0
    assert "emulates" not in capsys.readouterr().out


def test_bfloat16_is_the_forward_pass_of_training_only(train, tmp_path, monkeypatch):
    kinds = {True: set(), False: set()}
    forward = nn.Conv2d.forward

    def spy(self, images):
        maps = forward(self, images)
        kinds[self.training].add(maps.dtype)
        return maps

    monkeypatch.setattr(nn.Conv2d, "forward", spy)
    assert train("--epochs", "2", "--bf16") == 0
    assert kinds == {True: {torch.bfloat16}, False: {torch.float32}}
    name = "lenet-epochs2-bf16-seed0"
    checkpoint = read_checkpoint(name, tmp_path)
    states = checkpoint["state"]["optimizer"]["state"].values()
    momenta = [state["momentum_buffer"] for state in states]
    assert {tensor.dtype for tensor in [*checkpoint["model"].values(), *momenta]} == {torch.float32}
    assert train("--epochs", "2", "--bf16", "--restart") == 0
    again = read_checkpoint(name, tmp_path)["model"]
    assert all(torch.equal(again[key], checkpoint["model"][key]) for key in again)
    assert train("--epochs", "2") == 0
    plain = read_checkpoint("lenet-epochs2-seed0", tmp_path)["model"]
    for key, weight in plain.items():  # the same training, but for its rounding
        torch.testing.assert_close(again[key], weight, rtol=0.1, atol=0.02)
        assert not torch.equal(again[key], weight)


def test_bfloat16_goes_on_to_the_same_bits(train, tmp_path, monkeypatch):
    argv = ["--model", "lenet_reg", "--epochs", "3", "--bf16"]  # all kinds of chance
    assert train(*argv) == 0
    weights = read_checkpoint("lenet_reg-epochs3-bf16-seed0", tmp_path)["model"]
    original, epochs = main.train, iter([main.train])

    def stop_in_the_second(*args):
        if not (epoch := next(epochs, None)):
            raise KeyboardInterrupt
        return epoch(*args)

    monkeypatch.setattr(main, "train", stop_in_the_second)
    assert train(*argv, "--restart") == 130
    assert read_checkpoint("lenet_reg-epochs3-bf16-seed0", tmp_path)["epoch"] == 1
    monkeypatch.setattr(main, "train", original)
    assert train(*argv) == 0
    again = read_checkpoint("lenet_reg-epochs3-bf16-seed0", tmp_path)
    assert again["epoch"] == 3
    assert all(torch.equal(again["model"][key], weight) for key, weight in weights.items())
