"""The nets: LeNet-5 of today and of 1998, a perceptron and a modern net of its size, two wide nets.

    python model.py        prints their parameters, layer by layer, as Markdown tables

Every net takes float images (B, 1, `image_size`, `image_size`) and returns logits (B, 10); in
training, `LeNet1998` adds an eleventh. docs/lenet-1998.md lists where `LeNet5` departs from LeCun
et al. 1998, "Gradient-Based Learning Applied to Document Recognition".
"""

import builtins
import signal

import torch
import torch.nn.functional as F
from torch import nn

from lenet1998 import DenseLeNet1998, LeNet1998, LinearLeNet1998, MaxLeNet1998  # noqa: F401


class LeNet5(nn.Module):
    """LeNet-5 as it is taught today: ReLU, max pooling, no regularisation. 61,706 parameters."""
    image_size = 32
    memory_format = torch.channels_last  # which a CPU's convolutions take without reordering

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def features(self, images):  # (B, 1, 32, 32)
        # Max pooling and ReLU commute. Pooling first leaves ReLU a quarter of the values.
        x = F.relu(F.max_pool2d(self.conv1(images), 2))  # (B, 6, 28, 28) -> (B, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (B, 16, 10, 10) -> (B, 16, 5, 5)
        return x.flatten(1)  # (B, 400)

    def forward(self, images):
        x = self.features(images)  # (B, 400)
        x = F.relu(self.fc1(x))  # (B, 120)
        x = F.relu(self.fc2(x))  # (B, 84)
        return self.fc3(x)  # (B, 10)


class RegularizedLeNet5(LeNet5):
    """The same net and parameters, with dropout after each hidden fully connected layer."""
    has_dropout = True

    def __init__(self, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):
        x = self.features(images)  # (B, 400)
        x = self.dropout(F.relu(self.fc1(x)))  # (B, 120)
        x = self.dropout(F.relu(self.fc2(x)))  # (B, 84)
        return self.fc3(x)  # (B, 10)


class CustomMLP(nn.Module):
    """One hidden layer, as wide as LeNet-5's number of parameters allows: 61,075."""
    image_size = 32

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(1024, 59)
        self.fc2 = nn.Linear(59, 10)

    def forward(self, images):  # (B, 1, 32, 32)
        x = F.relu(self.fc1(images.flatten(1)))  # (B, 59)
        return self.fc2(x)  # (B, 10)


class CustomMLP28(nn.Module):
    """The same without LeNet-5's padding, whose pixels never vary: 61,225 parameters."""
    image_size = 28

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 77)
        self.fc2 = nn.Linear(77, 10)

    def forward(self, images):  # (B, 1, 28, 28)
        x = F.relu(self.fc1(images.flatten(1)))  # (B, 77)
        return self.fc2(x)  # (B, 10)


class LeNetWide(nn.Module):
    """Three padded convolutions, tanh, then average pooling on 28x28 images: 142,346 parameters."""
    image_size = 28
    memory_format = torch.channels_last
    has_dropout = True

    def __init__(self, dropout):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5, padding=2)
        self.conv3 = nn.Conv2d(16, 120, 5, padding=2)
        self.fc1 = nn.Linear(1080, 84)
        self.fc2 = nn.Linear(84, 10)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):  # (B, 1, 28, 28)
        x = F.avg_pool2d(self.conv1(images).tanh(), 2)  # (B, 6, 28, 28) -> (B, 6, 14, 14)
        x = F.avg_pool2d(self.conv2(x).tanh(), 2)  # (B, 16, 14, 14) -> (B, 16, 7, 7)
        x = F.avg_pool2d(self.conv3(x).tanh(), 2)  # (B, 120, 7, 7) -> (B, 120, 3, 3)
        x = self.fc1(x.flatten(1)).tanh()  # (B, 84)
        return self.fc2(self.dropout(x))  # (B, 10)


class MLPWide(nn.Module):
    """Two hidden layers with dropout on 28x28 images: 109,386 parameters."""
    image_size = 28
    has_dropout = True

    def __init__(self, dropout):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):  # (B, 1, 28, 28)
        x = self.dropout(F.relu(self.fc1(images.flatten(1))))  # (B, 128)
        x = self.dropout(F.relu(self.fc2(x)))  # (B, 64)
        return self.fc3(x)  # (B, 10)


class ModernNet(nn.Module):
    """Five convolutions with batch normalisation, no larger than LeNet-5: 60,730 parameters."""
    image_size = 28
    memory_format = torch.channels_last
    has_dropout = True

    def __init__(self, dropout):
        super().__init__()
        # Without biases: batch normalisation has its own.
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 5, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32)
        self.conv3, self.norm3 = nn.Conv2d(32, 40, 3, bias=False), nn.BatchNorm2d(40)
        self.conv4, self.norm4 = nn.Conv2d(40, 48, 3, bias=False), nn.BatchNorm2d(48)
        self.conv5, self.norm5 = nn.Conv2d(48, 60, 3, bias=False), nn.BatchNorm2d(60)
        self.fc = nn.Linear(60, 10)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):  # (B, 1, 28, 28)
        x = F.max_pool2d(self.conv1(images), 2)  # (B, 16, 24, 24) -> (B, 16, 12, 12)
        x = F.relu(self.norm1(x))
        x = F.relu(self.norm2(self.conv2(x)))  # (B, 32, 10, 10)
        x = F.relu(self.norm3(self.conv3(x)))  # (B, 40, 8, 8)
        x = F.max_pool2d(self.conv4(x), 2)  # (B, 48, 6, 6) -> (B, 48, 3, 3)
        x = self.dropout(F.relu(self.norm4(x)))
        x = F.relu(self.norm5(self.conv5(x)))  # (B, 60, 1, 1)
        return self.fc(self.dropout(x.flatten(1)))  # (B, 10)


STEPS = {"linear": LinearLeNet1998, "dense": DenseLeNet1998, "max": MaxLeNet1998, "relu": LeNet5}


def make_net(net, dropout):
    """A net of a class of this file. dropout: a probability, or None for a class without it."""
    made = net() if dropout is None else net(dropout)
    layout = getattr(net, "memory_format", None)
    return made.to(memory_format=layout) if layout else made


def parameter_table(model):
    """Rows like ("conv1", "6 x 1 x 5 x 5 + 6", 156), one a layer with parameters, and their sum."""
    rows = []
    for name, layer in model.named_modules():
        if parameters := list(layer.parameters(recurse=False)):
            formula = " + ".join(" x ".join(map(str, p.shape)) for p in parameters)
            rows.append((name, formula, sum(p.numel() for p in parameters)))
    return rows, sum(count for _, _, count in rows)


def markdown_table(model):
    """`parameter_table` as the lines of a Markdown table."""
    rows, total = parameter_table(model)
    return [f"| {type(model).__name__} | weights + biases | parameters |", "|---|---|---:|",
            *(f"| `{name}` | {formula} | {count:,} |" for name, formula, count in rows),
            f"| total | {' + '.join(f'{count:,}' for _, _, count in rows)} | **{total:,}** |"]


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE") and not hasattr(builtins, "get_ipython"):  # as in dataset.py
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end in silence when `head` has enough
    nets = [kind for kind in vars().values() if hasattr(kind, "image_size")]
    nets.sort(key=lambda kind: kind.__module__ != __name__)  # those of lenet1998.py come last
    print("\n\n".join("\n".join(markdown_table(make_net(
        kind, 0 if hasattr(kind, "has_dropout") else None))) for kind in nets))
