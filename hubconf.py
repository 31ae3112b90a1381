"""The published weights for torch.hub: nets on the CPU, in evaluation mode.

    net = torch.hub.load("FOLDER", "lenet_hands", source="local")

FOLDER is that of this repository. A net takes images as `dataset.Transform(net.image_size)` makes
them, float (B, 1, 32, 32), or 28 x 28 for `modern`, and returns logits (B, 10).
"""

from pathlib import Path as _Path

from lab.runs.checkpoints import read_net as _read_net

dependencies = ["numpy", "torch"]  # the hub looks whether they are installed


def _load(name):
    return _read_net(_Path(__file__).parent / f"logs/report/{name}-seed0.pt")


def lenet_1998():
    """LeNet-5 as published in 1998."""
    return _load("lenet_1998")


def lenet_record():
    """LeNet-5, trained longest."""
    return _load("lenet_record")


def lenet_hands():
    """LeNet-5 for digits of your own."""
    return _load("lenet_hands")


def modern():
    """A net of today: of these four, the best on MNIST's test images."""
    return _load("modern")
