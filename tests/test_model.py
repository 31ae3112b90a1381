"""model.py against the design's sums, layer by layer, and against the same nets written plainly."""

import itertools
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import model
from model import CustomMLP, LeNet5, LeNetWide, MLPWide, RegularizedLeNet5, parameter_table

LENET = {"conv1": 156, "conv2": 2_416, "fc1": 48_120, "fc2": 10_164, "fc3": 850}
# Class and arguments, edge of its images, parameters layer by layer, total, widths under dropout.
NETS = [
    (LeNet5, (), 32, LENET, 61_706, []),
    (RegularizedLeNet5, (0.5,), 32, LENET, 61_706, [120, 84]),
    (CustomMLP, (), 32, {"fc1": 60_475, "fc2": 600}, 61_075, []),
    (LeNetWide, (0.5,), 28, {"conv1": 156, "conv2": 2_416, "conv3": 48_120, "fc1": 90_804,
                             "fc2": 850}, 142_346, [84]),
    (MLPWide, (0.5,), 28, {"fc1": 100_480, "fc2": 8_256, "fc3": 650}, 109_386, [128, 64]),
]
every_net = pytest.mark.parametrize(
    ("net", "side", "counts", "total", "dropped"),
    [pytest.param(kind(*arguments), *rest, id=kind.__name__) for kind, arguments, *rest in NETS])


def plain(kind):
    """The net as a list of layers in the textbook's order, activation before pooling."""
    if issubclass(kind, LeNet5):
        return nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    if kind is LeNetWide:
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(120 * 3 * 3, 84), nn.Tanh(), nn.Linear(84, 10))
    sizes = {CustomMLP: (32 * 32, 59, 10), MLPWide: (28 * 28, 128, 64, 10)}[kind]
    layers = [layer for pair in itertools.pairwise(sizes)
              for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


@pytest.fixture(scope="module")
def batches(small_digits):
    """{edge: (images, labels)}: 64 digits, normalised, at both sizes."""
    images, labels = (torch.tensor(array[:64]) for array in small_digits["train"])
    return {side: ((F.pad(images / 255, [(side - 28) // 2] * 4) - 0.1307).unsqueeze(1) / 0.3081,
                   labels.long()) for side in (28, 32)}


@every_net
def test_parameters_layer_by_layer(net, side, counts, total, dropped):
    found = {name: sum(p.numel() for p in layer.parameters())
             for name, layer in net.named_children() if name != "dropout"}
    assert found == counts
    assert sum(p.numel() for p in net.parameters()) == sum(counts.values()) == total
    assert not list(net.buffers()), "no batch normalisation"
    rows, table_total = parameter_table(net)
    assert [(name, count) for name, _, count in rows] == list(counts.items())
    assert [eval(formula.replace("x", "*")) for _, formula, _ in rows] == list(counts.values())
    assert table_total == total


def test_parameter_table_shows_the_arithmetic():
    assert parameter_table(LeNet5()) == ([
        ("conv1", "6 x 1 x 5 x 5 + 6", 156), ("conv2", "16 x 6 x 5 x 5 + 16", 2_416),
        ("fc1", "120 x 400 + 120", 48_120), ("fc2", "84 x 120 + 84", 10_164),
        ("fc3", "10 x 84 + 10", 850)], 61_706)


def test_running_it_prints_every_table(capsys):
    runpy.run_path(str(Path(model.__file__)), run_name="__main__")
    tables = capsys.readouterr().out.split("\n\n")
    for (kind, _, _, counts, total, _), table in zip(NETS, tables, strict=True):
        sums = " + ".join(f"{count:,}" for count in counts.values())
        assert table.startswith(f"| {kind.__name__} |")
        assert f"| total | {sums} | **{total:,}** |" in table
        assert len(table.split("\n| ")) == len(counts) + 2


@every_net
def test_outputs_and_gradients_equal_the_plain_net(net, side, counts, total, dropped, batches):
    assert net.image_size == side
    images, labels = batches[side]
    oracle = plain(type(net))
    for ours, theirs in zip(net.parameters(), oracle.parameters(), strict=True):
        theirs.data.copy_(ours)
    net.eval()
    net.zero_grad()
    logits, expected = net(images), oracle(images)
    assert logits.shape == (64, 10)
    assert net(images[:1]).shape == (1, 10)
    torch.testing.assert_close(logits, expected)
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    for ours, theirs in zip(net.parameters(), oracle.parameters(), strict=True):
        assert theirs.grad.abs().max() > 0
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-4)


@every_net
def test_dropout_acts_in_training_only(net, side, counts, total, dropped, batches):
    images, _ = batches[side]
    seen = []
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            assert layer.p == 0.5
            layer.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    outputs = [net.train(training)(images) for training in (True, True, False, False)]
    assert torch.equal(outputs[2], outputs[3])
    assert torch.equal(outputs[0], outputs[1]) == torch.equal(outputs[1], outputs[2]) == (
        not dropped), "a net without dropout is the same net in training"
    assert [given.shape[1] for given, _ in seen] == dropped * 4
    for given, out in seen[: len(dropped)]:
        kept = out != 0
        torch.testing.assert_close(out[kept], 2 * given[kept])  # 1 / (1 - 0.5)
        assert 0.4 < kept[given != 0].float().mean() < 0.6


def test_without_dropout_the_regularised_net_is_lenet(batches):
    images, _ = batches[32]
    lenet, regularised = LeNet5(), RegularizedLeNet5(0.0)
    regularised.load_state_dict(lenet.state_dict())
    assert torch.equal(regularised.train()(images), lenet.train()(images))
    regularised = RegularizedLeNet5(0.9)
    regularised.load_state_dict(lenet.state_dict())
    assert torch.equal(regularised.eval()(images), lenet(images))
