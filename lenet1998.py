"""LeNet-5 as LeCun et al. published it in 1998, and the steps from there to today's.

The paper is "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 86(11), 1998.
docs/lenet-1998.md tells what of it is sure, and what is open.
"""

import torch
import torch.nn.functional as F
from torch import nn

# Table I of the paper: for each of C3's 16 maps, the maps of S2 that it reads.
TABLE_I = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
# The digits of the paper's figure 3, 12 rows of 7 pixels. Under their bars, 0, 2, 4 and 5 could be
# o, z, y and s: the figure shows all of ASCII, and similar characters have similar codes.
FIGURE_3 = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... ......."""


def squash(activations):
    """LeNet-5's sigmoid, 1.7159 tanh(2/3 a) (appendix A). It maps 1 to 1 and -1 to -1."""
    return 1.7159 * torch.tanh(2 / 3 * activations)


def initial(shape, fan_in):
    """A new parameter, uniform in ±2.4 / `fan_in`, as in appendix A of the paper."""
    return nn.Parameter((2 * torch.rand(shape) - 1) * 2.4 / fan_in)


def start(layer):
    """Gives a convolution or linear layer the initial values of the paper, and returns it."""
    fan_in = layer.weight[0].numel()
    layer.weight, layer.bias = (initial(p.shape, fan_in) for p in (layer.weight, layer.bias))
    return layer


class Subsampling(nn.Module):
    """S2 and S4: the mean of 2x2 values, times a coefficient a map, plus a bias, squashed."""

    def __init__(self, maps):
        super().__init__()
        self.coefficient = initial(maps, 1)  # a quarter of it weighs each of the 4 inputs
        self.bias = initial(maps, 4)

    def forward(self, x):  # (B, C, H, W)
        # As a convolution with four equal weights, which is faster than pooling, then scaling.
        mean = (self.coefficient / 4)[:, None, None, None].expand(-1, 1, 2, 2)  # (C, 1, 2, 2)
        return squash(F.conv2d(x, mean, self.bias, stride=2, groups=len(mean)))  # (B, C, H/2, W/2)


class PartialConvolution(nn.Module):
    """C3: a 5x5 kernel for each pair of maps that table I connects, 60 pairs out of 96."""

    def __init__(self):
        super().__init__()
        fan_in = torch.tensor([25 * len(maps) for maps in TABLE_I.split()])
        pairs = [6 * i + int(j) for i, maps in enumerate(TABLE_I.split()) for j in maps]
        self.register_buffer("pairs", torch.tensor(pairs), persistent=False)
        self.weight = initial((60, 5, 5), fan_in[self.pairs // 6, None, None])
        self.bias = initial(16, fan_in)

    def forward(self, x):  # (B, 6, 14, 14)
        dense = self.weight.new_zeros(96, 5, 5).index_copy(0, self.pairs, self.weight)  # (96, 5, 5)
        return F.conv2d(x, dense.view(16, 6, 5, 5), self.bias)  # (B, 16, 10, 10)


class BitmapDistance(nn.Module):
    """The output: minus the squared Euclidean distance to each digit's bitmap, which is fixed.

    In training one more logit, -j, stands for "none of them". Cross entropy over the eleven is the
    paper's equation 9, which pulls F6 to the right bitmap until their distance is below j.
    """
    j = 10.0  # the paper says only that it is positive; this value was chosen on held-out images

    def __init__(self):
        super().__init__()
        ink = torch.tensor([[pixel == "#" for pixel in row] for row in FIGURE_3.split()])
        bitmaps = 2.0 * ink.view(12, 10, 7).transpose(0, 1).flatten(1) - 1  # (10, 84), ±1
        self.register_buffer("bitmaps", bitmaps, persistent=False)

    def forward(self, x):  # (B, 84)
        logits = -(x[:, None] - self.bitmaps).square().sum(2)  # (B, 10)
        return F.pad(logits, (0, 1), value=-self.j) if self.training else logits  # (B, 11 or 10)


class LeNet1998(nn.Module):
    """LeNet-5 as published, to the parameter: 60,000 (LeCun et al. 1998, section II.B).

    Sure: the layers and their sums, table I, the squashing, the loss. Open: whether S2 and S4 take
    the mean of 2x2 (section II.A) or their sum (II.B; the same net, with a quarter of our
    coefficients); whether C1 and C3 are squashed ("units in layers up to F6" are); j; how biases
    start (here as weights do); single pixels of the bitmaps, since figure 3 is a picture.
    """
    image_size = 32
    memory_format = torch.channels_last

    def __init__(self):
        super().__init__()
        self.c1 = start(nn.Conv2d(1, 6, 5))
        self.s2 = Subsampling(6)
        self.c3 = PartialConvolution()
        self.s4 = Subsampling(16)
        self.c5 = start(nn.Linear(400, 120))  # a 5x5 convolution in the paper: the same on 5x5 maps
        self.f6 = start(nn.Linear(120, 84))
        self.output = BitmapDistance()

    def forward(self, images):  # (B, 1, 32, 32)
        x = self.s2(squash(self.c1(images)))  # (B, 6, 28, 28) -> (B, 6, 14, 14)
        x = self.s4(squash(self.c3(x)))  # (B, 16, 10, 10) -> (B, 16, 5, 5)
        x = squash(self.c5(x.flatten(1)))  # (B, 120)
        x = squash(self.f6(x))  # (B, 84)
        return self.output(x)  # (B, 10); (B, 11) from BitmapDistance in training


class LinearLeNet1998(LeNet1998):
    """The first step from 1998 to `LeNet5`: a linear output layer. 60,850 parameters."""

    def __init__(self):
        super().__init__()
        self.output = start(nn.Linear(84, 10))


class DenseLeNet1998(LinearLeNet1998):
    """The second step: every map of C3 reads all six maps of S2. 61,750 parameters."""

    def __init__(self):
        super().__init__()
        self.c3 = start(nn.Conv2d(6, 16, 5))


class MaxLeNet1998(DenseLeNet1998):
    """The third step: max pooling. 61,706 parameters; only ReLU is still missing."""

    def __init__(self):
        super().__init__()
        self.s2 = self.s4 = nn.MaxPool2d(2)
