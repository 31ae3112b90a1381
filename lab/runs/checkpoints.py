"""Checkpoints of main.py, read back: all that a run knows, and the net that it trained.

Only plain tensors, numbers and texts are loaded (`weights_only`), so no file can run code.
"""

import contextlib
import zipfile

import torch
from torch import nn
from torch.optim import Optimizer

import model as nets
from lab.files import RunError
from lab.runs.series import KEYS

# The fingerprint of MNIST's own training set, and what to say of weights with another one.
MNIST_TRAIN = {"size": 60_000, "images_crc32": 4083391318, "labels_crc32": 2268429886}
OTHER_DATA = ("the weights were trained on other data than MNIST (the checksums differ), and may "
              "misread your digits")


def describe(error):
    """An exception in a line: its kind, and the first sentence of its message."""
    words = " ".join(str(error).split()).partition(". ")[0]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@contextlib.contextmanager
def blaming(path):
    """Turns any error into a RunError: a file that is not ours fails anywhere, in any way."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    except PermissionError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:
        # The message of an OSError would repeat the path.
        cause = type(error).__name__ if isinstance(error, OSError) else describe(error)
        raise RunError(f"{path}: damaged, or not a checkpoint of main.py ({cause})") from None


def load_checkpoint(path):
    """Reads a checkpoint onto the CPU. Raises many kinds of errors for any other file."""
    with zipfile.ZipFile(path) as archive:
        # torch.save does not compress. A compressed entry could unpack to any size.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed")
        if damaged := archive.testzip():  # torch.load does not compare the checksums
            raise ValueError(f"wrong checksum of {damaged!r} in it")
    return torch.load(path, weights_only=True, map_location="cpu")


def read_checkpoint(path):
    """The content of a checkpoint. Raises RunError."""
    with blaming(path):
        saved = load_checkpoint(path)
        if missing := KEYS - saved.keys():
            raise ValueError(f"no {', '.join(sorted(missing))} in it")
        return {**saved, "recipe": {**saved["recipe"]}, "data": {**saved["data"]}}


def unwrap(part):
    """The net itself, without what torch.compile or parallel training has put around it."""
    if isinstance(part, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrap(part.module)
    return unwrap(part._orig_mod) if hasattr(part, "_orig_mod") else part


def load_states(parts, saved):
    """Loads what a checkpoint holds into `parts`, {name: what has a state_dict}.

    Call this within `blaming`: a file that is not ours raises any kind of exception.
    """
    states = {"model": saved["model"], **saved["state"]}
    for name, part in parts.items():
        if name not in states:
            raise RunError(f"holds no state of {name}; --restart begins anew")
        part.load_state_dict(states[name])
        for weight, state in part.state.items() if isinstance(part, Optimizer) else ():
            momentum = state.get("momentum_buffer")
            if momentum is not None and momentum.shape != weight.shape:
                # The fused step does not look: it would write beyond the end of the buffer.
                raise ValueError(f"a momentum of {tuple(momentum.shape)} for a weight of "
                                 f"{tuple(weight.shape)}")


def build_net(checkpoint):
    """The net of a checkpoint's content, in evaluation mode.

    Raises RunError, without the file's name, if model.py has been edited so that it lacks the class
    or the weights no longer fit. Other content raises any kind of exception: call this within
    `blaming`, which adds the name.
    """
    name, dropout = checkpoint["recipe"]["net"], checkpoint["recipe"]["dropout"]
    kind = getattr(nets, name, None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise RunError(f"model.py has no class {name!r}")
    try:
        net = nets.make_net(kind, dropout)
    except Exception as error:
        raise RunError(f"model.py's {name} cannot be made with dropout {dropout!r} "
                       f"({describe(error)})") from None
    if misfit := find_misfit(net.state_dict(), checkpoint["model"]):
        raise RunError(f"model.py's {name} no longer fits it: {misfit}")
    net.load_state_dict(checkpoint["model"])
    return net.eval()


def find_misfit(ours, theirs):
    """The first weights that differ between a net and a file, in words; "" if all fit.

    ours, theirs: {name: tensor}.
    """
    for name in {**ours, **theirs}:
        here, there = ("x".join(map(str, weights[name].shape)) if name in weights else "missing"
                       for weights in (ours, theirs))
        if here != there:
            return f"{name} is {here} there, {there} in the file"
    return ""


def read_weights(path):
    """Reads the checkpoint `path` for pictures of the user's.

    Returns (net, caution): the net on the CPU, in evaluation mode, and a line to show beside its
    answers, "" if it was trained on MNIST. Raises RunError if the file is missing, damaged or not
    a checkpoint of main.py, or if model.py no longer fits it.
    """
    with blaming(path):
        if not path.is_file():
            raise RunError("no such file")
        checkpoint = load_checkpoint(path)
        known = checkpoint.get("data", {}).get("train", MNIST_TRAIN) == MNIST_TRAIN
        return build_net(checkpoint), "" if known else OTHER_DATA


def read_net(path):
    """The net of `read_weights` alone. Raises RunError."""
    return read_weights(path)[0]
