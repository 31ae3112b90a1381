"""What a trained net answers: its logits, what it misreads, and whether it knows how sure to be."""

import torch

BINS = 15  # of probability, as in Guo et al. 2017


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
