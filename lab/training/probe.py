"""Tells a run of edited code from another: by the code itself, and by what the code does.

Recipe and data do not say all that a run depends on. Someone edits a net, the distortion or the
training loop, and the next run differs though its settings do not. So each log holds a digest of
the code. Where the digests differ, the probe decides, the losses of a miniature run: it is equal
after a change that changes nothing, such as a new net beside the others.
"""

import ast
import hashlib
import math
from dataclasses import replace
from pathlib import Path

import torch

from dataset import DATA_DIR, MNIST, DataError
from lab.training.answers import check_net

SOURCES = [Path(__file__).parents[2] / name
           for name in ("model.py", "dataset.py", "main.py", "lab/digits/strokes.py")]
IMAGES = 64  # of the bundled test digits


def digest_code():
    """A checksum (text) of what the files in SOURCES say to Python.

    Layout, comments and docstrings do not count, nor does the table of recipes: the recipe of a
    run is part of its identity by itself. Another version of Python may give another digest.
    """
    digest = hashlib.sha256()
    for path in SOURCES:
        tree = ast.parse(path.read_bytes())
        tree.body = [node for node in tree.body if not (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RECIPES")]
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (
                    ast.get_docstring(node, clean=False) is not None):
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


class Rehearsal:
    """Stands in for a Run: the miniature resumes nothing and leaves nothing behind."""

    seed = 0

    def __init__(self):
        self.history = []

    def begin(self, model, optimizer, images, device):
        check_net(model)

    def record(self, model, optimizer, logits, labels, **row):
        self.history.append(row)


def probe(recipe, transforms, train_run):
    """The losses (nats) of a miniature run: in its second epoch, plus after it.

    None if they are not finite, or if the bundled digits are missing. Raises RunError, see
    `check_net`.

    Two epochs on 64 bundled digits, on one thread of the CPU, in float32. There only rounding
    moves the number, unless net, distortion or training are edited.

    transforms: for training and for testing. train_run: main.py's, which trains any other run too.
    """
    recipe = replace(recipe, epochs=2, batch_size=16, bf16=False,
                     synthetic=10 * IMAGES if recipe.synthetic else 0)  # enough for every form
    try:
        digits = MNIST(DATA_DIR, train=False)
    except DataError:
        return None
    train_set, test_set = digits.select(slice(IMAGES)), digits.select(slice(IMAGES))
    train_set.transform, test_set.transform = transforms
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_run(rehearsal := Rehearsal(), recipe, train_set, test_set, "cpu")
    torch.set_num_threads(threads)
    loss = rehearsal.history[-1]["train_loss"] + rehearsal.history[-1]["test_loss"]
    return loss if math.isfinite(loss) else None
