"""Checkpoints of main.py, read back: all that a run knows, and the net that it trained.

Only plain tensors, numbers and texts are loaded (`weights_only`), so no file can run code.
"""

import contextlib
import zipfile

import torch
from torch import nn

import model as nets
from lab.command import RunError
from lab.logs import KEYS


@contextlib.contextmanager
def blaming(path):
    """Turns any error into a RunError: a file that is not ours fails anywhere, in any way."""
    try:
        yield
    except Exception as error:
        raise RunError(f"{path}: damaged, or not a checkpoint of main.py "
                       f"({type(error).__name__})") from None


def load_checkpoint(path):
    """Reads a checkpoint onto the CPU. Raises many kinds of errors for any other file."""
    with zipfile.ZipFile(path) as archive:
        # torch.save does not compress. A compressed entry could unpack to any size.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed")
        if damaged := archive.testzip():  # torch.load does not compare the checksums
            raise ValueError(damaged)
    return torch.load(path, weights_only=True, map_location="cpu")


def read_checkpoint(path, defaults):
    """The content of a checkpoint, its recipe completed with `defaults`. Raises RunError."""
    with blaming(path):
        saved = load_checkpoint(path)
        if not saved.keys() >= KEYS:
            raise ValueError("keys")
        return {**saved, "recipe": {**defaults, **saved["recipe"]}, "data": {**saved["data"]}}


def build_net(checkpoint):
    """The net of a checkpoint's content, in evaluation mode.

    Other content raises any kind of exception: call this within `blaming`.
    """
    kind = vars(nets)[checkpoint["recipe"]["net"]]
    if not issubclass(kind, nn.Module):
        raise TypeError(kind)
    net = nets.make_net(kind, checkpoint["recipe"]["dropout"])
    net.load_state_dict(checkpoint["model"])
    return net.eval()


def read_net(path):
    """The net of the checkpoint `path`, on the CPU, in evaluation mode.

    Raises RunError if the file is missing, damaged or not a checkpoint of main.py.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file")
    with blaming(path):
        return build_net(load_checkpoint(path))
