"""Whether a net can be trained, saved and asked, found out before it trains.

PyTorch lets many a fault pass: the net trains well, and then misreads every picture.
"""

from lab.start import ROOT, is_ours

import traceback
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

import model as nets
from dataset import CLASSES
from lab.files import RunError

# Of the largest logit. Batches of another size are summed in another order, which moved the logits
# of a dozen nets by up to 6e-7. Faults moved them by 9e-4 (pixels scaled over the batch) and more.
TOLERANCE = 1e-4


def describe_fault(error):
    """An exception in a line, as "ValueError: too few maps (model.py, line 212)".

    Of its message that is the first line. The place is the innermost one outside of the libraries,
    if there is one; its path begins at the repository or the current folder, if it lies there.
    """
    words = str(error).strip().partition("\n")[0]
    fault = f"{type(error).__name__}: {words}" if words else type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()  # Python itself may stand behind a link
        if path != Path(__file__).resolve() and is_ours(path):
            place = next((path.relative_to(folder) for folder in (ROOT, Path.cwd())
                          if path.is_relative_to(folder)), path.name)
            return f"{fault} ({place}, line {frame.lineno})"
    return fault


def check_recipe(recipe, train_set, test_set):
    """`check_net` for the net of a recipe, on some of the images that it would train on."""
    images = test_set.transform(train_set.images[:4].cpu())
    count = len(train_set) + recipe.synthetic
    return check_net(recipe.net, recipe.dropout, images,
                     count % recipe.batch_size or recipe.batch_size)


def check_net(kind, dropout, images, last_batch):
    """Raises RunError if a net of the class `kind` would not train, or be of no use afterwards.

    Returns cautions, a list of lines, about one that would train worse than it could. The nets
    that it makes live on the CPU; torch's random numbers stay as they were.

    dropout: as for `make_net`. images: float32 (B, 1, S, S), at least two, as in evaluation.
    last_batch: how many images the last batch of an epoch has.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            net, twin = make(kind, dropout), make(kind, dropout)
            rehearse(net, images, last_batch)
            twin.load_state_dict(net.state_dict())
            answers = compare(net, twin, images)
    except RunError as fault:
        raise RunError(f"{kind.__name__} {fault}") from None
    except Exception as error:  # a net of the user's fails in any way
        raise RunError(f"{kind.__name__}: {describe_fault(error)}") from None
    if answers.min() >= 0 and (answers.sum(1) - 1).abs().max() < TOLERANCE:
        return [f"{kind.__name__} returns probabilities; leave its softmax out, as cross entropy "
                "has one"]
    return []


def make(kind, dropout):
    """A net that can be trained. Raises RunError."""
    try:
        net = nets.make_net(kind, dropout)
    except Exception as error:
        call = f"{kind.__name__}({'' if dropout is None else dropout})"
        raise RunError(f"cannot be made by {call}: {describe_fault(error)}") from None
    for layer in net.modules():
        if isinstance(layer, LazyModuleMixin):
            raise RunError(f"has a {type(layer).__name__}, which has no weights before its first "
                           "batch; write its sizes out")
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise RunError("has no parameters to train; keep layers in nn.ModuleList, not in a list")
    return net


def ask(net, images):
    """The logits (B, 10) that a net returns; in training, it may have more than ten."""
    answer, count = net(images.clone()), len(images)  # a net may change its input
    returned = type(answer).__name__
    if isinstance(answer, torch.Tensor):
        returned = tuple(answer.shape) if answer.is_floating_point() else str(answer.dtype)
    if returned[:-1] == (count,) and (
            returned[-1] == CLASSES or (net.training and returned[-1] > CLASSES)):
        return answer
    raise RunError(f"returns {returned} for {'one image' if count == 1 else f'{count} images'}; "
                   f"logits of the shape ({count}, {CLASSES}) are needed")


def rehearse(net, images, last_batch):
    """Computes the gradients of a batch, as in training."""
    net.train()
    labels = torch.arange(len(images)) % CLASSES
    loss = F.cross_entropy(ask(net, images).float(), labels)
    loss.backward()
    nodes = [loss.grad_fn]
    for node in nodes:  # back through the graph, which grows the list, to all that the loss reads
        nodes += [other for other, _ in node.next_functions if other and other not in nodes]
    read = {node.variable for node in nodes if hasattr(node, "variable")} - set(net.parameters())
    if unknown := [tensor for tensor in read if isinstance(tensor, nn.Parameter)]:
        shape = tuple(max(unknown, key=torch.numel).shape)
        raise RunError(f"has weights {shape} that are neither trained nor saved; keep layers in "
                       "nn.ModuleList, not in a list")
    if last_batch == 1:
        try:
            ask(net, images[:1])
        except ValueError as error:  # of batch normalisation
            raise RunError("cannot train on one image, which is the last batch of an epoch; choose "
                           f"another --batch-size ({describe_fault(error)})") from None


@torch.inference_mode()
def compare(net, twin, images):
    """The answers of a net in evaluation mode. twin: another one with the same weights."""
    net.eval(), twin.eval()
    # The last image: an LSTM that takes the batch for time has read all others before it.
    alone, answers, again = ask(net, images[-1:]), ask(net, images), ask(net, images)
    if not answers.isfinite().all():
        raise RunError("returns values that are not finite")
    for other, expected, fault in (
            (again, answers, "for the same images; in evaluation mode nothing may be random: give "
             "F.dropout training=self.training"),
            (alone, answers[-1:], "for an image alone than in a batch; no step may mix the images, "
             "as log_softmax(dim=0) does"),
            (ask(twin, images), answers, "once its weights are saved and loaded; keep layers in "
             "nn.ModuleList, and tensors by register_buffer")):
        if (other - expected).abs().max() > TOLERANCE * answers.abs().max():
            raise RunError(f"answers differently {fault}")
    return answers
