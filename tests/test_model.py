"""model.py: parameters layer by layer, and the same answers as plainly written nets."""

import itertools
import runpy
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from torch import nn

import model
from lenet1998 import (
    BitmapDistance,
    DenseLeNet1998,
    LeNet1998,
    LinearLeNet1998,
    MaxLeNet1998,
    PartialConvolution,
    Subsampling,
    squash,
)
from model import (
    CustomMLP,
    CustomMLP28,
    LeNet5,
    LeNetWide,
    MLPWide,
    ModernNet,
    RegularizedLeNet5,
    parameter_table,
)

LENET = {"conv1": 156, "conv2": 2_416, "fc1": 48_120, "fc2": 10_164, "fc3": 850}
LENET_1998 = {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}
MODERN = {"conv1": 400, "norm1": 32, "conv2": 4_608, "norm2": 64, "conv3": 11_520, "norm3": 80,
          "conv4": 17_280, "norm4": 96, "conv5": 25_920, "norm5": 120, "fc": 610}
# Class and arguments, edge of its images, parameters layer by layer, total, widths under dropout.
NETS = [
    (LeNet5, (), 32, LENET, 61_706, []),
    (RegularizedLeNet5, (0.5,), 32, LENET, 61_706, [120, 84]),
    (CustomMLP, (), 32, {"fc1": 60_475, "fc2": 600}, 61_075, []),
    (CustomMLP28, (), 28, {"fc1": 60_445, "fc2": 780}, 61_225, []),
    (ModernNet, (0.5,), 28, MODERN, 60_730, [48, 60]),
    (LeNet1998, (), 32, LENET_1998, 60_000, []),
    (LinearLeNet1998, (), 32, {**LENET_1998, "output": 850}, 60_850, []),
    (DenseLeNet1998, (), 32, {**LENET_1998, "c3": 2_416, "output": 850}, 61_750, []),
    (MaxLeNet1998, (), 32, {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "output": 850},
     61_706, []),
    (LeNetWide, (0.5,), 28, {"conv1": 156, "conv2": 2_416, "conv3": 48_120, "fc1": 90_804,
                             "fc2": 850}, 142_346, [84]),
    (MLPWide, (0.5,), 28, {"fc1": 100_480, "fc2": 8_256, "fc3": 650}, 109_386, [128, 64]),
]
# Table I as the paper prints it: an S2 map a row, a C3 map a column.
TABLE_I = np.array([[cell == "X" for cell in row] for row in (
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX")])
every_net = pytest.mark.parametrize(
    ("net", "side", "counts", "total", "dropped"),
    [pytest.param(kind(*arguments), *rest, id=kind.__name__) for kind, arguments, *rest in NETS])


class Plain1998(nn.Module):
    """LeNet-5 as published, and the steps from there, written as the paper describes them.

    It sums 2x2 values and masks dense kernels. Its parameters have the names of `kind`'s.
    """

    def __init__(self, kind):
        super().__init__()
        self.parts = nn.ParameterDict([(name.replace(".", "_"), torch.empty_like(parameter))
                                       for name, parameter in kind().named_parameters()])

    def forward(self, images):
        w = self.parts

        def f(a):
            return 1.7159 * (2 * torch.sigmoid(4 / 3 * a) - 1)

        def halve(x, name):
            quarter = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
            if f"{name}_bias" not in w:
                return torch.stack(quarter).amax(0)
            coefficient, bias = w[f"{name}_coefficient"], w[f"{name}_bias"]
            return f(sum(quarter) * (coefficient / 4).view(-1, 1, 1) + bias.view(-1, 1, 1))

        x = halve(f(F.conv2d(images, w["c1_weight"], w["c1_bias"])), "s2")
        kernels = w["c3_weight"]
        if len(kernels) == 60:
            mask = torch.tensor(TABLE_I.T)[:, :, None, None].expand(16, 6, 5, 5)
            kernels = torch.zeros(16, 6, 5, 5).double().masked_scatter(mask, kernels)
        x = halve(f(F.conv2d(x, kernels, w["c3_bias"])), "s4")
        x = f(F.conv2d(x, w["c5_weight"].view(120, 16, 5, 5), w["c5_bias"]).flatten(1))
        x = f(x @ w["f6_weight"].T + w["f6_bias"])
        if "output_bias" in w:
            return x @ w["output_weight"].T + w["output_bias"]
        return -torch.cdist(x, BitmapDistance().double().bitmaps).square()


def plain(kind):
    """The net as a list of layers in the usual order: activation before pooling."""
    if issubclass(kind, LeNet5):
        return nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    if issubclass(kind, LeNet1998):
        return Plain1998(kind)
    if kind is LeNetWide:
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(120 * 3 * 3, 84), nn.Tanh(), nn.Linear(84, 10))
    if kind is ModernNet:  # its pooling comes last
        maps, layers = (1, 16, 32, 40, 48, 60), []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(maps)):
            layers += [nn.Conv2d(inputs, outputs, 3 if i else 5, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU(), *[nn.MaxPool2d(2)] * (i in (0, 3))]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(60, 10)).eval()
    sizes = {CustomMLP: (32 * 32, 59, 10), CustomMLP28: (28 * 28, 77, 10),
             MLPWide: (28 * 28, 128, 64, 10)}[kind]
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
             for name, layer in net.named_children() if list(layer.parameters())}
    assert found == counts
    assert sum(p.numel() for p in net.parameters()) == sum(counts.values()) == total
    statistics = {name for name, _ in net.named_buffers() if "norm" in name}
    assert net.state_dict().keys() - statistics == dict(net.named_parameters()).keys()
    rows, table_total = parameter_table(net)
    assert [(name, count) for name, _, count in rows] == list(counts.items())
    assert [eval(formula.replace("x", "*")) for _, formula, _ in rows] == list(counts.values())
    assert table_total == total


def test_parameter_table_shows_the_arithmetic():
    assert parameter_table(LeNet5()) == ([
        ("conv1", "6 x 1 x 5 x 5 + 6", 156), ("conv2", "16 x 6 x 5 x 5 + 16", 2_416),
        ("fc1", "120 x 400 + 120", 48_120), ("fc2", "84 x 120 + 84", 10_164),
        ("fc3", "10 x 84 + 10", 850)], 61_706)


def test_the_docs_tell_the_multiply_adds():
    """Each output of a layer is a sum over as many products as one of its units has weights."""
    def count(net):
        counted = []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(lambda layer, _, out: counted.append(
                    out.numel() * layer.weight[0].numel()))
        net.eval()(torch.zeros(1, 1, net.image_size, net.image_size))
        return sum(counted)

    page = " ".join((ROOT / "docs/results.md").read_text("utf-8").split())
    assert (f"{count(ModernNet(0)):,} multiply-adds an image, where LeNet-5 has "
            f"{count(LeNet5()):,}") in page


def test_running_it_prints_every_table(capsys):
    runpy.run_path(str(Path(model.__file__)), run_name="__main__")
    tables = {table.split()[1]: table for table in capsys.readouterr().out.split("\n\n")}
    assert tables.keys() >= {kind.__name__ for kind, *_ in NETS}
    for kind, _, _, counts, total, _ in NETS:
        table = tables[kind.__name__]
        sums = " + ".join(f"{count:,}" for count in counts.values())
        assert table.startswith(f"| {kind.__name__} |")
        assert f"| total | {sums} | **{total:,}** |" in table
        assert len(table.split("\n| ")) == len(counts) + 2


@every_net
def test_outputs_and_gradients_equal_the_plain_net(net, side, counts, total, dropped, batches):
    assert net.image_size == side
    images, labels = batches[side]
    # In double precision, where rounding does not choose another maximum of four.
    images, net, oracle = images.double(), deepcopy(net).double(), plain(type(net)).double()
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
    outputs = [net.train(training)(images)[:, :10] for training in (True, True, False, False)]
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


def test_lenet_1998_has_the_connections_of_the_paper():
    net = LeNet1998()
    inputs = {"c1": (1, 32, 32), "s2": (6, 28, 28), "c3": (6, 14, 14), "s4": (16, 10, 10),
              "c5": (400,), "f6": (120,), "output": (84,)}
    connections = {}
    for name, shape in inputs.items():
        layer, size = getattr(net, name).double().eval(), int(np.prod(shape))
        units = torch.eye(size, dtype=torch.float64).view(size, *shape)
        with torch.no_grad():
            still, moved = layer(torch.zeros_like(units[:1])), layer(units)
        # Each pair of an input and an output that it moves, and each output's bias.
        connections[name] = (moved != still).sum().item() + still.numel() * (name != "output")
    assert connections == {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120,
                           "f6": 10_164, "output": 840}
    assert sum(connections.values()) == 340_908


def test_squashing_keeps_the_targets_and_saturates_beyond():
    torch.testing.assert_close(squash(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0, 1]),
                               atol=1e-4, rtol=0)
    torch.testing.assert_close(squash(torch.tensor([-99.0, 99.0])), torch.tensor([-1.7159, 1.7159]))
    slope = torch.autograd.functional.jacobian(squash, torch.tensor(0.0))
    assert slope.item() == pytest.approx(1.7159 * 2 / 3)


def test_subsampling_is_one_coefficient_and_one_bias_a_map():
    x, layer = np.random.default_rng(0).normal(size=(2, 6, 4, 8)), Subsampling(6).double()
    coefficient, bias = layer.coefficient.tolist(), layer.bias.tolist()
    expected = np.empty((2, 6, 2, 4))
    for n, k, i, j in np.ndindex(expected.shape):
        mean = x[n, k, 2 * i:2 * i + 2, 2 * j:2 * j + 2].mean()
        expected[n, k, i, j] = 1.7159 * np.tanh(2 / 3 * (coefficient[k] * mean + bias[k]))
    np.testing.assert_allclose(layer(torch.tensor(x)).detach(), expected, rtol=1e-12)


def test_c3_reads_and_trains_the_connections_of_table_1_alone():
    assert [TABLE_I[:, i].sum() for i in range(16)] == [3] * 6 + [4] * 9 + [6]
    x, layer = np.random.default_rng(0).normal(size=(2, 6, 14, 14)), PartialConvolution().double()
    weights, errors = iter(layer.weight.detach().numpy()), np.cos(np.arange(3200.0))
    out, errors = layer(torch.tensor(x)), errors.reshape(2, 16, 10, 10)
    out.backward(torch.tensor(errors))
    gradients = iter(layer.weight.grad.numpy())
    for i in range(16):
        expected = np.full((2, 10, 10), layer.bias[i].item())
        for j in np.flatnonzero(TABLE_I[:, i]):
            kernel, gradient = next(weights), next(gradients)
            for k, m in np.ndindex(5, 5):
                window = x[:, j, k:k + 10, m:m + 10]
                expected += kernel[k, m] * window
                assert gradient[k, m] == pytest.approx((errors[:, i] * window).sum())
        np.testing.assert_allclose(out[:, i].detach(), expected, rtol=1e-9)
    assert not list(weights)


def test_the_output_is_the_distance_to_the_bitmaps():
    layer = BitmapDistance().double().eval()
    bitmaps = layer.bitmaps.numpy()
    assert bitmaps.shape == (10, 84)
    assert set(bitmaps.flat) == {-1, 1}
    four = ["".join(".#"[bool(pixel > 0)] for pixel in row) for row in bitmaps[4].reshape(12, 7)]
    assert four == [".#####.", ".......", ".......", ".##..##", ".##..##", "###..##",
                    "##...##", "##...##", "##..###", ".######", ".....##", ".....##"]
    x = np.random.default_rng(0).normal(size=(3, 84))
    expected = np.zeros((3, 10))
    for n, digit, k in np.ndindex(3, 10, 84):
        expected[n, digit] -= (x[n, k] - bitmaps[digit, k]) ** 2
    np.testing.assert_allclose(layer(torch.tensor(x)), expected, rtol=1e-12)
    # At a bitmap its own logit is 0; each pixel that differs costs the others 4.
    differing = (bitmaps[:, None] != bitmaps).sum(2)
    np.testing.assert_array_equal(layer(layer.bitmaps), -4.0 * differing)
    assert (differing + 84 * np.eye(10)).min() == 12, "6 and 8 are the most alike"


def test_the_loss_in_training_is_equation_9(batches):
    images, labels = batches[32]
    net = LeNet1998().double()
    loss = F.cross_entropy(net.train()(images.double()), labels)
    distances = -net.eval()(images.double()).detach().numpy()
    assert distances.shape == (64, 10)
    own = distances[range(64), labels]
    expected = (own + np.log(np.exp(-net.output.j) + np.exp(-distances).sum(1))).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_lenet_1998_starts_within_the_bounds_of_the_paper():
    torch.manual_seed(0)
    maps = torch.tensor(TABLE_I.sum(0))
    fan_ins = {"c1": 25, "c3": 25 * maps, "s2": 4, "s4": 4, "c5": 400, "f6": 120, "output": 84}
    for name, parameter in LinearLeNet1998().named_parameters():
        layer, kind = name.split(".")
        bound = 2.4 / torch.as_tensor(fan_ins[layer])
        if name == "c3.weight":
            bound = bound.repeat_interleave(maps)[:, None, None]
        if kind == "coefficient":
            bound = 4 * bound  # it multiplies the mean of the four
        ratio = parameter.detach() / bound
        assert ratio.abs().max() <= 1
        assert ratio.abs().max() > 0.5
        if name == "c3.weight":  # its first map has the three pairs of a fan-in of 75
            assert ratio[:3].abs().max() > 0.9
