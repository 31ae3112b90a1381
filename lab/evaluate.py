"""What a trained net answers: its logits, what it misreads, and whether it knows how sure to be."""

import torch
from torch import nn

import model as nets
from lab import runs
from lab.command import RunError

BINS = 15  # of probability, as in Guo et al. 2017


def build_net(checkpoint):
    """The net in a checkpoint, a dict as main.py saves it, in evaluation mode.

    Other content can raise any exception: call it within `runs.blaming`.
    """
    kind = vars(nets)[checkpoint["recipe"]["net"]]
    if not issubclass(kind, nn.Module):
        raise TypeError(kind)
    net = nets.make_net(kind, checkpoint["recipe"]["dropout"])
    net.load_state_dict(checkpoint["model"])
    return net.eval()


def read_net(path):
    """The net in the checkpoint file `path`, on the CPU, in evaluation mode.

    Raises RunError if the file is missing, damaged or not a checkpoint of main.py.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file")
    with runs.blaming(path):
        return build_net(runs.load_checkpoint(path))


@torch.inference_mode()
def predict(model, loader):
    """Logits (N, 10) and labels (N,) of everything `loader` gives, in evaluation mode."""
    model.eval()
    batches = [(model(images), labels) for images, labels in loader]
    return tuple(torch.cat(column) for column in zip(*batches, strict=True))


def examine(model, loader):
    """What a net misreads, and how sure it is of what it answers, as a log holds them.

    errors: [index, label, prediction, probability of the prediction] of every misread example.
    calibration: over bins of that probability, (0, 1/15] to (14/15, 1], three lists: how many
    examples are in each, how many of them are read right, and the sum of their probabilities.
    """
    logits, labels = (column.cpu() for column in predict(model, loader))
    probabilities, predictions = logits.softmax(1).max(1)
    right = predictions == labels
    errors = [[i, labels[i].item(), predictions[i].item(), probabilities[i].item()]
              for i in (~right).nonzero().squeeze(1).tolist()]
    bins = (BINS * probabilities).ceil().long() - 1
    return {"errors": errors, "calibration": [
        bins.bincount(column.double(), BINS).tolist()
        for column in (torch.ones_like(probabilities), right, probabilities)]}
