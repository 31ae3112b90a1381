"""What a trained net answers: what it misreads, and how sure it is."""

import torch

from dataset import CLASSES
from lab.files import RunError

BINS = 15  # of probability, as in Guo et al. 2017


def examine(logits, labels):
    """What the answers of a net come to, as a log holds it: {"errors": ..., "calibration": ...}.

    logits: (N, 10), one row an example; labels: int64 (N,).
    errors: [index, label, prediction, probability of the prediction] for each misread example.
    calibration: three lists over bins of that probability, (0, 1/15] to (14/15, 1]: how many
    examples a bin has, how many of them are read right, and the sum of their probabilities.
    """
    logits, labels = logits.cpu(), labels.cpu()
    probabilities, predictions = logits.softmax(1).max(1)
    right = predictions == labels
    wrong = (~right).nonzero().squeeze(1)
    errors = zip(*(column.tolist() for column in (
        wrong, labels[wrong], predictions[wrong], probabilities[wrong])), strict=True)
    bins = (BINS * probabilities).ceil().long() - 1
    return {"errors": [list(error) for error in errors], "calibration": [
        bins.bincount(column.double(), BINS).tolist()
        for column in (torch.ones_like(probabilities), right, probabilities)]}


@torch.no_grad()
def check_net(net):
    """Raises RunError if `net`, in evaluation mode, answers an image with other than ten logits.

    A net with more would train, and one that merges a batch of one into its image would too; but
    neither could read a picture afterwards.
    """
    weights = next(net.parameters())
    answer = net.eval()(weights.new_zeros(1, 1, net.image_size, net.image_size))
    returned = tuple(answer.shape) if hasattr(answer, "shape") else type(answer).__name__
    if returned != (1, CLASSES):
        raise RunError(f"{type(net).__name__} returns {returned} for one image; "
                       f"logits of the shape (1, {CLASSES}) are needed")
