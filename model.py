"""The nets: LeNet-5, the same with dropout, a multilayer perceptron of its size, and two wide ones.

    python model.py        their parameters, layer by layer, as Markdown tables

Every net takes float images (B, 1, `image_size`, `image_size`) and returns logits (B, 10).
"""

import signal

import torch.nn.functional as F
from torch import nn


class LeNet5(nn.Module):
    """LeNet-5 as it is taught today: ReLU, max pooling, no regularisation. 61,706 parameters.

    After LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section
    II.B; the README lists the departures from it.
    """

    image_size = 32

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def features(self, images):  # (B, 1, 32, 32)
        # Max pooling and ReLU commute; pooling first leaves ReLU a quarter of the activations.
        x = F.relu(F.max_pool2d(self.conv1(images), 2))  # (B, 6, 28, 28) -> (B, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (B, 16, 10, 10) -> (B, 16, 5, 5)
        return x.flatten(1)  # (B, 400)

    def forward(self, images):
        x = self.features(images)  # (B, 400)
        x = F.relu(self.fc1(x))  # (B, 120)
        x = F.relu(self.fc2(x))  # (B, 84)
        return self.fc3(x)  # (B, 10)


class RegularizedLeNet5(LeNet5):
    """The same net and parameters, with dropout after each hidden fully connected layer.

    Weight decay and augmentation, the rest of the regularisation, belong to the training.
    """

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


class LeNetWide(nn.Module):
    """Three padded convolutions, tanh and average pooling on 28x28 images: 142,346 parameters."""

    image_size = 28
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
        # Averaging and tanh do not commute: here tanh has to come first.
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


def make_net(net, dropout):
    """A net of a class of this file; dropout: a probability, or None where the class has none."""
    return net() if dropout is None else net(dropout)


def load_net(checkpoint):
    """The net of a checkpoint's content, ready to predict. Fails in any way on other content."""
    kind = globals()[checkpoint["recipe"]["net"]]
    if not issubclass(kind, nn.Module):
        raise TypeError(kind)
    net = make_net(kind, checkpoint["recipe"]["dropout"])
    net.load_state_dict(checkpoint["model"])
    return net.eval()


def parameter_table(model):
    """Rows (layer, formula, count) for each layer of `model` that has parameters, and the total.

    The formula is weights, then biases: "6 x 1 x 5 x 5 + 6" for a convolution from 1 to 6 maps.
    """
    rows = []
    for name, layer in model.named_modules():
        parameters = list(layer.parameters(recurse=False))
        if parameters:
            formula = " + ".join(" x ".join(map(str, p.shape)) for p in parameters)
            rows.append((name, formula, sum(p.numel() for p in parameters)))
    return rows, sum(count for _, _, count in rows)


def markdown_table(model):
    """`parameter_table` as the lines of a Markdown table."""
    rows, total = parameter_table(model)
    lines = [f"| {type(model).__name__} | weights + biases | parameters |", "|---|---|---:|"]
    lines += [f"| `{name}` | {formula} | {count:,} |" for name, formula, count in rows]
    sums = " + ".join(f"{count:,}" for _, _, count in rows)
    return [*lines, f"| total | {sums} | **{total:,}** |"]


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end in silence when `head` has enough
    dropout = 0.0  # has no parameters
    nets = [LeNet5(), RegularizedLeNet5(dropout), CustomMLP(), LeNetWide(dropout), MLPWide(dropout)]
    print("\n\n".join("\n".join(markdown_table(net)) for net in nets))
