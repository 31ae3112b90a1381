"""The maps of convolutions, wherever they stand in a net, against F.conv2d on what they get.

    python -m pytest tests/lab/runs/test_watch.py
"""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.page.maps import describe
from lab.runs.watch import Watched, watch
from model import CustomMLP, LeNet1998


class InPlace(nn.Module):
    """Activations that overwrite the maps, in a block within a block."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32, 10)
        self.outer = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(inplace=True)),
                                   nn.Conv2d(3, 2, 3, stride=2), nn.ReLU(inplace=True))

    def forward(self, images):
        return self.fc(self.outer(images)[:, :, 2:6, 2:6].flatten(1))

    def by_hand(self, images):
        first = conv(self.outer[0][0], images)
        return [("outer.0.0", images, first),
                ("outer.1", first.relu(), conv(self.outer[1], first.relu(), stride=2))]


class Residual(nn.Module):
    """Adds to the maps of the first in place. The second is defined before the first."""

    def __init__(self):
        super().__init__()
        self.later, self.first = nn.Conv2d(4, 4, 5, padding=2), nn.Conv2d(1, 4, (3, 5))

    def forward(self, images):
        x = self.first(images)
        x += self.later(x)
        return x

    def by_hand(self, images):
        first = conv(self.first, images)
        return [("first", images, first), ("later", first, conv(self.later, first, padding=2))]


class Three(nn.Module):
    """Three convolutions and an image beside the maps; the first is called again."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(5, 3, 5),
                                          nn.Conv2d(3, 6, 3))

    def forward(self, images):
        x = self.one(images).tanh()
        self.one(2 * images)
        x = self.two(input=torch.cat([x, images], dim=1))
        return self.three(x)

    def by_hand(self, images):
        first = conv(self.one, images, padding=1)
        received = torch.cat([first.tanh(), images], dim=1)
        return [("one", images, first), ("two", received, conv(self.two, received))]


class NoBatch(nn.Module):
    """Calls its convolution with each image alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 5)

    def forward(self, images):
        return torch.stack([self.conv(image) for image in images])

    def by_hand(self, images):
        return [("conv", images, conv(self.conv, images))]


class Published(LeNet1998):
    """Its second convolution is a PartialConvolution."""

    def by_hand(self, images):
        first = conv(self.c1, images)
        received = self.s2(1.7159 * torch.tanh(2 / 3 * first))
        dense = torch.zeros(96, 5, 5)
        dense[self.c3.pairs] = self.c3.weight
        return [("c1", images, first),
                ("c3", received, F.conv2d(received, dense.view(16, 6, 5, 5), self.c3.bias))]


class NoConvolution(CustomMLP):
    def by_hand(self, images):
        return []


def conv(layer, images, **options):
    return F.conv2d(images, layer.weight, layer.bias, **options)


@pytest.mark.parametrize("kind", [InPlace, Residual, Three, NoBatch, Published, NoConvolution])
def test_the_first_two_that_are_called_and_the_first_image(kind):
    torch.manual_seed(0)
    net, images = kind().eval(), torch.randn(3, 1, 32, 32)
    with torch.inference_mode():
        wanted = net.by_hand(images)
        with watch(net) as found:
            net(images)
            net(images + 1)
        net(images)  # not watched any more
    assert [watched.name for watched in found] == [name for name, _, _ in wanted]
    for watched, (name, received, maps) in zip(found, wanted, strict=True):
        assert watched.layer is net.get_submodule(name)
        torch.testing.assert_close(watched.received, received[0])
        torch.testing.assert_close(watched.maps, maps[0])
    assert not any(layer._forward_hooks for layer in net.modules())


def test_a_net_that_fails_is_left_without_hooks():
    net = Three()
    with pytest.raises(RuntimeError), watch(net):
        net(torch.zeros(1, 7, 32, 32))
    assert not any(layer._forward_hooks for layer in net.modules())


def as_json(maps):
    return json.loads(json.dumps(describe(Watched("c", None, maps, maps)), allow_nan=False))


def test_maps_become_whole_numbers_on_one_scale():
    maps = torch.tensor([[[0.5, -2.0], [1.0, 0.0]], [[0.0, 0.01], [-0.25, 2.0]]])
    assert as_json(maps) == {"name": "c", "size": [2, 2, 2], "largest": 2.0, "maps": [
        [[32, -127], [64, 0]], [[0, 1], [-16, 127]]]}


def test_of_many_maps_sixteen_are_shown():
    maps = torch.arange(17.0)[:, None, None].expand(17, 3, 5)
    found = as_json(maps)
    assert (found["size"], found["largest"], len(found["maps"])) == ([17, 3, 5], 15.0, 16)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), -float("inf"), 1e-40])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_values_that_have_no_scale(value, kind):
    found = as_json(torch.tensor([[[value, 0.0]]], dtype=kind))
    assert all(-127 <= step <= 127 for step in found["maps"][0][0])
    assert found["maps"][0][0][1] == 0
