"""What the first two convolutions of a net make of an image, whatever else the net is built of."""

import contextlib
import functools
from dataclasses import dataclass

import torch
from torch import nn

from lenet1998 import PartialConvolution

CONVOLUTIONS = (nn.Conv2d, PartialConvolution)
COUNT = 2  # convolutions that are watched


@dataclass
class Watched:
    """A convolution at work: what it gets of the first image, and what it gives for it."""

    name: str  # in the net: "conv1", or "features.0"
    layer: nn.Module
    received: torch.Tensor  # (C, H, W)
    maps: torch.Tensor  # (C, H, W), before the activation


@contextlib.contextmanager
def watch(net):
    """Watches the convolutions of `net` while it reads images.

    Yields a list that fills with a `Watched` for each of the first two that the net calls, in the
    order of the calls. Of a batch it has the first image, of a layer the first call. It stays empty
    if the net has no convolutions.
    """
    found = []

    def note(name, layer, args, kwargs, output):
        tensors = [x for x in (*args, *kwargs.values(), output)
                   if isinstance(x, torch.Tensor) and x.ndim in (3, 4)]
        if len(found) < COUNT and len(tensors) > 1 and all(
                layer is not other.layer for other in found):
            # Copies: the net may change its tensors in place afterwards, as nn.ReLU(inplace) does.
            received, maps = ((x[0] if x.ndim == 4 else x).clone()
                              for x in (tensors[0], tensors[-1]))
            found.append(Watched(name, layer, received, maps))

    hooks = [layer.register_forward_hook(functools.partial(note, name), with_kwargs=True)
             for name, layer in net.named_modules() if isinstance(layer, CONVOLUTIONS)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
