"""What a trained net answers: what it misreads, and how sure it is."""

import torch

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
