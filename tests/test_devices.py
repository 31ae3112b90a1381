"""A GPU never waits for the host within an epoch; and what a real accelerator has to do.

    python -m pytest tests/test_devices.py

The former is shown without one. Fake tensors have shape and device, but no content: a fake "cuda"
tensor needs no GPU. The latter is tested where there is one, and skipped elsewhere.
"""

import json
from collections import Counter

import pytest
import torch
from conftest import DATA
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import main
from dataset import MNIST, Distortion, Transform, hold_out, make_loader

READ = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default


class Crossings(TorchDispatchMode):
    """Counts the operations that have to do with two devices, the reading of a number included."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        read = function in READ
        result = 1 if read else function(*args, **(kwargs or {}))  # there is no content to read
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs, result))
                   if isinstance(leaf, torch.Tensor)} | ({"cpu"} if read else set())
        if len(devices) > 1:
            self.counts["number read" if read else function.name()] += 1
        return result


def make_set(count, transform):
    """An MNIST of fake images on a "GPU", as if read."""
    found = MNIST.__new__(MNIST)
    found.images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8, device="cuda")
    found.labels = torch.zeros(count, dtype=torch.int64, device="cuda")
    found.transform = transform
    return found


@pytest.mark.parametrize(("name", "validate"), [
    *((name, False) for name in main.RECIPES), ("lenet_reg", True)])
def test_an_epoch_crosses_between_devices_as_often_as_it_must(name, validate, monkeypatch):
    """To the GPU goes the order; back come the sums of the losses and of the right answers."""
    recipe = main.RECIPES[name]
    # The gradients of fake tensors on a GPU need a real one.
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)
    distortion = Distortion(*(getattr(recipe, bound) for bound in Distortion.bounds))
    distort = Transform(recipe.net.image_size, distortion if recipe.augment else None)
    with FakeTensorMode(), Crossings() as crossings:
        with torch.device("cuda"):
            model = recipe.net() if recipe.dropout is None else recipe.net(recipe.dropout)
            sets = make_set(600, distort), make_set(600, Transform(recipe.net.image_size))
        train_set, test_set = hold_out(*sets) if validate else sets
        optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr)
        crossings.counts.clear()
        loader = make_loader(train_set, recipe.batch_size, shuffle=True)
        assert len(loader) > 1
        main.train(model, loader, optimizer, [recipe.lr] * len(loader))
        assert crossings.counts == {"aten::_to_copy": 1, "number read": 2}

        crossings.counts.clear()
        main.test(model, make_loader(test_set, 100, shuffle=False))
        assert crossings.counts == {"aten::_to_copy": 1, "number read": 2}


# On a real accelerator

REAL = torch.accelerator.current_accelerator(check_available=True)
with_accelerator = pytest.mark.skipif(REAL is None, reason="untested: no accelerator here")


@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Trains on 600 images with a command line; returns the weights and the log."""

    def run(folder, *argv, data=small_idx, status=0):
        where = [f"--{flag}-dir={tmp_path / folder}" for flag in ("log", "checkpoint")]
        assert main.main(["--device", REAL.type, f"--data-dir={data}", *where, *argv]) == status
        weights, = (tmp_path / folder).glob("*.pt")
        return (torch.load(weights, weights_only=True)["model"],
                json.loads(weights.with_suffix(".json").read_text()))
    return run


@with_accelerator
@pytest.mark.parametrize("argv", [["--model", name] for name in main.RECIPES]
                         + [["--bf16"], ["--validate"], ["--device", f"{REAL}:0"]], ids=" ".join)
def test_an_epoch_of_each_recipe(train, argv):
    weights, log = train("a", *argv, "--epochs", "1")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert log["complete"]
    assert log["environment"]["device"] != "cpu"


@with_accelerator
@pytest.mark.parametrize("argv", [["--model", "lenet_reg"], ["--model", "lenet_reg", "--bf16"]],
                         ids=" ".join)
def test_a_resumed_run_has_the_bits_of_an_unstopped_one(train, argv, monkeypatch):
    unstopped, log = train("unstopped", *argv, "--epochs", "2")
    train_epoch, calls = main.train, []

    def stop_in_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train_epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(main, "train", stop_in_the_second)
        train("resumed", *argv, "--epochs", "2", status=130)
    resumed, again = train("resumed", *argv, "--epochs", "2")
    assert all(torch.equal(unstopped[name], resumed[name]) for name in unstopped)
    assert log["errors"] == again["errors"]


@with_accelerator
def test_lenet_fast_learns(train):
    assert train("fast", "--model", "lenet_fast", data=DATA)[1]["final"]["test_accuracy"] > 0.988
