"""Trains a net on MNIST, measures it after every epoch, logs it, and can be stopped at any moment.

    python main.py                              LeNet-5, seed 0: about 99.2 % in about a minute
    python main.py --model lenet_reg --seeds 5  five seeds, mean ± standard deviation
    python main.py --lr 0.05 --validate         chosen on held-out training images, not the test set
    python main.py --help                       every flag, and the recipes as a table

Writes `logs/<run>.csv` and `.json` and `checkpoints/<run>.pt` after every epoch. The same command
again resumes an unfinished run, and does not train a finished one again.
"""

from lab.start import start  # before torch, which takes seconds

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import model as nets
from dataset import DataError, Distortion, Transform, load_data, make_loader
from lab.command import exit_status
from lab.digits.strokes import draw_digits
from lab.files import RunError
from lab.training import options
from lab.training.check import check_recipe
from lab.training.code import digest_code
from lab.training.jobs import attempt, progress, summarise, train_side_by_side
from lab.training.names import find_runs

# What can be set

@dataclass(frozen=True)
class Recipe:
    """All that a run depends on besides seed, data and machine."""

    net: type[nn.Module]  # a class of model.py
    # Optimisation: SGD
    epochs: int = 30  # passes over the training images
    batch_size: int = 128  # images a step
    lr: float = 0.1  # learning rate, at its peak
    warmup: float | None = 0.15  # share of all steps up to the peak; None: constant rate
    momentum: float = 0.9  # of SGD
    nesterov: bool = True  # Nesterov's form of momentum
    bf16: bool = False  # forward pass in bfloat16; slow on CPUs that emulate it
    # Regularisation
    weight_decay: float = 0.0  # L2, on weights and biases
    dropout: float | None = None  # probability of dropping; None: net without dropout
    augment: bool = False  # distort the training images, each within these bounds:
    rotation: float = 12.0  # ± degrees
    translation: float = 2.0  # ± pixels, each axis
    scaling: float = 0.12  # ± fraction, each axis on its own
    shear: float = 10.0  # ± degrees
    thickening: float = 0.0  # of half the images, up to their 3x3 maximum; 0 to 1
    synthetic: int = 0  # digits of lab/digits/strokes.py, added to the images


# One line a model. From `lenet` to `lenet_reg` only the regularisation differs.
RECIPES = {
    "lenet": Recipe(nets.LeNet5),
    "mlp": Recipe(nets.CustomMLP, lr=0.05),
    "mlp_28": Recipe(nets.CustomMLP28, lr=0.05),
    "lenet_dropout": Recipe(nets.RegularizedLeNet5, dropout=0.1),
    "lenet_decay": Recipe(nets.LeNet5, weight_decay=5e-4),
    "lenet_augment": Recipe(nets.LeNet5, augment=True),
    "lenet_reg": Recipe(nets.RegularizedLeNet5, dropout=0.1, weight_decay=5e-4, augment=True),
    # Beyond the task: too strong, as long as it helps, to 99 % fast, own digits, a net of today.
    "lenet_heavy": Recipe(nets.RegularizedLeNet5, dropout=0.5, weight_decay=0.01, augment=True),
    "lenet_record": Recipe(nets.RegularizedLeNet5, dropout=0.0, weight_decay=5e-4, augment=True,
                           thickening=1.0, epochs=120),
    "lenet_fast": Recipe(nets.LeNet5, augment=True, epochs=3, lr=0.05),
    "lenet_hands": Recipe(nets.LeNet5, weight_decay=5e-4, augment=True, thickening=1.0,
                          synthetic=20_000, epochs=60),
    "modern": Recipe(nets.ModernNet, dropout=0.2, weight_decay=5e-4, augment=True, thickening=1.0,
                     epochs=40),
    # As published, and the steps from there to `lenet`, each on top of the one before.
    "lenet_1998": Recipe(nets.LeNet1998, epochs=20, lr=0.01),
    **{f"lenet_1998_{step}": Recipe(net, epochs=20) for step, net in nets.STEPS.items()},
    # Wider than the task asks for, with stronger regularisation and a constant rate.
    "lenet_wide": Recipe(nets.LeNetWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                         warmup=None, nesterov=False),
    "mlp_wide": Recipe(nets.MLPWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                       warmup=None, nesterov=False),
}
EVALUATION_BATCH = 1000  # images at once where no gradient is needed


# One epoch

def learning_rate(recipe, progress):
    """The rate when the fraction `progress` of the run is done: one cycle, up and down again."""
    if recipe.warmup is None:
        return recipe.lr
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    remaining = (1 - progress) / (1 - recipe.warmup)
    return recipe.lr * (1 - math.cos(math.pi * remaining)) / 2


def seed_everything(seed, epoch):
    """Order, distortion and dropout of an epoch depend on this alone; epoch 0 is the start.

    torch's CPU generator uses only the low 32 bits of a seed, so the pair is hashed into 32 bits.
    """
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))


def train(model, loader, optimizer, rates, bf16=False):
    """Trains for one epoch; `rates[i]` is the learning rate of batch i.

    Returns the mean loss and the accuracy (a fraction) over the examples, as the net met them:
    distorted, with dropout, and still learning.
    """
    model.train()
    loss_sum = correct = examples = 0
    for (images, labels), rate in zip(progress(loader), rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        # Mixed precision: weights, loss, optimizer and all that is measured stay float32.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = model(images)  # (B, 10)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # These stay tensors: .item() would make a GPU wait in every batch.
        loss_sum += loss.detach() * len(labels)
        correct += (logits.argmax(1) == labels).sum()
        examples += len(labels)
    return loss_sum.item() / examples, correct.item() / examples


@torch.inference_mode()
def test(model, loader):
    """The mean loss and the accuracy (a fraction) over the examples, and the logits (N, 10)."""
    model.eval()
    batches = [(model(images), labels) for images, labels in loader]
    logits, labels = (torch.cat(column) for column in zip(*batches, strict=True))
    correct = (logits.argmax(1) == labels).sum()
    return F.cross_entropy(logits, labels).item(), correct.item() / len(labels), logits


# One run

def make_transforms(recipe):
    """What training images go through, and what test images go through: a batch at once."""
    bounds = {bound: getattr(recipe, bound) for bound in Distortion.bounds}
    distortion = Distortion(**bounds) if recipe.augment else None
    side = recipe.net.image_size
    return Transform(side, distortion), Transform(side)


def train_run(run, recipe, train_set, test_set, device):
    """Trains the epochs that a run does not have yet, and keeps it after each of them."""
    if recipe.synthetic:
        train_set = train_set.extend(*draw_digits(recipe.synthetic))
    seed_everything(run.seed, epoch=0)
    model = nets.make_net(recipe.net, recipe.dropout).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, fused=True,
        nesterov=recipe.nesterov and recipe.momentum > 0, weight_decay=recipe.weight_decay)
    # Loads the checkpoint, if there is one. All that has a state_dict can be given to be kept.
    run.begin(len(train_set), model=model, optimizer=optimizer)

    test_loader = make_loader(test_set, EVALUATION_BATCH, shuffle=False)
    for epoch in range(len(run.history) + 1, recipe.epochs + 1):
        started = time.perf_counter()
        seed_everything(run.seed, epoch)
        train_loader = make_loader(train_set, recipe.batch_size, shuffle=True)
        steps = len(train_loader)
        rates = [learning_rate(recipe, (epoch - 1 + (step + 0.5) / steps) / recipe.epochs)
                 for step in range(steps)]
        train_loss, train_accuracy = train(model, train_loader, optimizer, rates, recipe.bf16)
        test_loss, test_accuracy, logits = test(model, test_loader)
        seconds = time.perf_counter() - started
        # Writes checkpoint and log: a row of the CSV.
        run.record(logits, test_set.labels, epoch=epoch, learning_rate=max(rates),
                   train_loss=train_loss, train_accuracy=train_accuracy,
                   test_loss=test_loss, test_accuracy=test_accuracy, seconds=seconds)
        print(f"epoch {epoch:{len(str(recipe.epochs))}}/{recipe.epochs}"
              f"  train loss {train_loss:.4f} acc {100 * train_accuracy:.2f} %"
              f"  {run.measured} loss {test_loss:.4f} acc {100 * test_accuracy:.2f} %"
              f" ({round((1 - test_accuracy) * len(test_set))} errors)  {seconds:.1f} s")


# The program

def execute(argv):
    """Trains what a command line asks for. Yields a line for each run that fails."""
    args, recipe, changed = options.parse(argv, __doc__, RECIPES)
    train_set, test_set, data = load_data(args.data_dir, *make_transforms(recipe), args.validate,
                                          args.device, args.invert)
    for line in train_set.list_cautions() + check_recipe(recipe, train_set, test_set):
        if not args.child:  # whose parent has said it
            print(line)
    drawn = [draw_digits] if recipe.synthetic else []
    code = digest_code(execute, recipe.net, *drawn)  # of all that a run runs from here on
    runs = find_runs(args, recipe, changed, data, code)
    if args.jobs > 1:
        train_side_by_side(runs, args)
    else:
        for run in runs:
            with attempt(run) as missing:
                if missing:
                    train_run(run, recipe, train_set, test_set, args.device)
    yield from summarise(runs, args)


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return exit_status("main.py", execute, argv, (DataError, RunError),
                       "stopped; the completed epochs are saved, and the same command (without "
                       "--restart) resumes after them")


if __name__ == "__main__":
    start(main)
