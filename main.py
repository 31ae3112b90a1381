"""Trains a net on MNIST, measures it after every epoch, logs it, and can be stopped at any moment.

    python main.py                              LeNet-5, seed 0: about 99.2 % in about a minute
    python main.py --model lenet_reg --seeds 5  five seeds, mean ± standard deviation
    python main.py --lr 0.05 --validate         chosen on held-out training images, not the test set
    python main.py --help                       every flag, and the recipes as a table

Writes `logs/<run>.csv` and `.json` and `checkpoints/<run>.pt` after every epoch.
"""

import argparse
import inspect
import math
import shlex
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

import runs
from dataset import DATA_DIR, MNIST, DataError, Distortion, hold_out, make_loader, make_transform
from model import STEPS, CustomMLP, LeNet5, LeNet1998, LeNetWide, MLPWide, RegularizedLeNet5
from runs import RunError


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on besides seed, data and machine."""

    net: type[nn.Module]  # a class of model.py
    # Regularisation
    dropout: float | None = None  # probability of dropping an activation; None: net without dropout
    weight_decay: float = 0.0  # L2, on weights and biases
    augment: bool = False  # distort the training images, each within these bounds:
    rotation: float = 12.0  # ± degrees
    translation: float = 2.0  # ± pixels, each axis
    scaling: float = 0.12  # ± fraction, each axis on its own
    shear: float = 10.0  # ± degrees
    thickening: float = 0.0  # of half the images: up to this far to the maximum over 3x3 pixels
    # Optimisation: SGD
    epochs: int = 30
    batch_size: int = 128  # images a step
    lr: float = 0.1  # learning rate, at its peak
    warmup: float | None = 0.15  # fraction of all steps up to the peak; None: constant rate
    momentum: float = 0.9
    nesterov: bool = True


# One line a model. From `lenet` to `lenet_reg` only the regularisation differs.
RECIPES = {
    "lenet": Recipe(LeNet5),
    "mlp": Recipe(CustomMLP, lr=0.05),
    "lenet_dropout": Recipe(RegularizedLeNet5, dropout=0.1),
    "lenet_decay": Recipe(LeNet5, weight_decay=5e-4),
    "lenet_augment": Recipe(LeNet5, augment=True),
    "lenet_reg": Recipe(RegularizedLeNet5, dropout=0.1, weight_decay=5e-4, augment=True),
    "lenet_heavy": Recipe(RegularizedLeNet5, dropout=0.5, weight_decay=0.01, augment=True),
    "lenet_record": Recipe(RegularizedLeNet5, dropout=0.0, weight_decay=5e-4, augment=True,
                           thickening=1.0, epochs=120),
    "lenet_fast": Recipe(LeNet5, augment=True, epochs=3, lr=0.05),
    # As published, and the steps from there to `lenet`, each on top of the one before. Squared
    # distances are steep: at this rate a linear output has hardly learnt after four epochs.
    "lenet_1998": Recipe(LeNet1998, epochs=20, lr=0.01),
    **{f"lenet_1998_{step}": Recipe(net, epochs=20) for step, net in STEPS.items()},
    # As in the public solution they come from.
    "lenet_wide": Recipe(LeNetWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                         warmup=None, nesterov=False),
    "mlp_wide": Recipe(MLPWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                       warmup=None, nesterov=False),
}

# What the numbers that a flag can change have to be: as a test, and in words.
LIMITS = {
    "epochs": (lambda x: isinstance(x, int) and x >= 1, "a whole number of at least 1"),
    "batch_size": (lambda x: isinstance(x, int) and x >= 1, "a whole number of at least 1"),
    "lr": (lambda x: 0 < x < math.inf, "finite and above 0"),
    "momentum": (lambda x: 0 <= x < 1, "at least 0 and below 1"),
    "weight_decay": (lambda x: 0 <= x < math.inf, "finite and at least 0"),
    "dropout": (lambda x: 0 <= x < 1, "at least 0 and below 1"),
}
EVALUATION_BATCH = 1000  # images at once where no gradient is needed


def find_fault(recipe):
    """(field, what is wrong with it, in words) of a recipe that cannot be; None if it can."""
    has_dropout = "dropout" in inspect.signature(recipe.net).parameters
    for field, (holds, words) in LIMITS.items():
        value = getattr(recipe, field)
        if field == "dropout" and not has_dropout:
            if value is not None:
                return field, f"{recipe.net.__name__} has no dropout"
        elif not isinstance(value, int | float) or not holds(value):
            return field, f"must be {words}"
    return None


def learning_rate(recipe, progress):
    """The rate at `progress`, the fraction of the run that is done: one cycle, up and down."""
    if recipe.warmup is None:
        return recipe.lr
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    remaining = (1 - progress) / (1 - recipe.warmup)
    return recipe.lr * (1 - math.cos(math.pi * remaining)) / 2


def seed_everything(seed, epoch):
    """All chance of an epoch (order, distortion, dropout) derives from here, whatever ran before.

    Epoch 0 is the initialisation. torch's CPU generator uses the low 32 bits of a seed only, so
    the pair is hashed into 32 bits.
    """
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))


def train(model, loader, optimizer, rates):
    """One epoch of training; `rates[i]` is the learning rate of batch i.

    Returns the mean loss and the accuracy (a fraction) over the examples, as the net met them:
    distorted, with dropout, and still learning.
    """
    model.train()
    loss_sum = correct = examples = 0
    bar = tqdm(loader, leave=False, disable=None)  # None: silent where there is no terminal
    for (images, labels), rate in zip(bar, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = model(images)  # (B, 10)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # These stay tensors: .item() would make a GPU wait in every batch.
        loss_sum += loss.detach() * len(labels)
        correct += (logits.argmax(1) == labels).sum()
        examples += len(labels)
    return loss_sum.item() / examples, correct.item() / examples


@torch.inference_mode()
def predict(model, loader):
    """Logits (N, 10) and labels (N,) of everything `loader` gives, in evaluation mode."""
    model.eval()
    batches = [(model(images), labels) for images, labels in loader]
    return tuple(torch.cat(column) for column in zip(*batches, strict=True))


def test(model, loader):
    """The mean loss and the accuracy (a fraction) over the examples of `loader`."""
    logits, labels = predict(model, loader)
    correct = (logits.argmax(1) == labels).sum()
    return F.cross_entropy(logits, labels).item(), correct.item() / len(labels)


def find_errors(model, loader):
    """[index, label, prediction, probability of the prediction] of every misread example."""
    logits, labels = predict(model, loader)
    probabilities, predictions = logits.softmax(1).max(1)
    wrong = (predictions != labels).nonzero().squeeze(1)
    return [[i, labels[i].item(), predictions[i].item(), probabilities[i].item()]
            for i in wrong.tolist()]


def load_data(recipe, args):
    """Training set, test set (--validate: held-out training images), and what identifies them."""
    side = recipe.net.image_size
    bounds = (getattr(recipe, bound) for bound in Distortion.bounds)
    distortion = Distortion(*bounds) if recipe.augment else None
    train_set = MNIST(args.data_dir, True, make_transform(side, distortion), args.device)
    test_set = MNIST(args.data_dir, args.validate, make_transform(side), args.device)
    data = {"train": train_set.fingerprint(), args.evaluated_on: test_set.fingerprint()}
    if args.validate:
        train_set, test_set = hold_out(train_set, test_set)
    return train_set, test_set, data


def run(name, identity, recipe, args, train_set, test_set):
    """Trains one run, saving it after every epoch; returns the last row of its log."""
    seed_everything(identity["seed"], 0)
    model = recipe.net() if recipe.dropout is None else recipe.net(recipe.dropout)
    # The layout that the CPU's convolution kernels take without reordering.
    model = model.to(args.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, fused=True,
        nesterov=recipe.nesterov and recipe.momentum > 0, weight_decay=recipe.weight_decay)
    summary = {**identity, "parameters": sum(p.numel() for p in model.parameters()),
               "environment": runs.environment(args.device)}
    print(f"{name}: {recipe.net.__name__}, {summary['parameters']:,} parameters, "
          f"{len(train_set):,} images, {args.device}, {torch.get_num_threads()} thread(s)")

    path = args.checkpoint_dir / f"{name}.pt"
    history, errors = [], []
    if args.resume and path.exists():
        history, errors = runs.restore(path, identity, model, optimizer)
        finished = ", finished" * (len(history) == recipe.epochs)
        print(f"{name}: {len(history)} of {recipe.epochs} epochs are in {path}{finished}")
        runs.write_log(args.log_dir, name, summary, history, errors)
    elif args.resume:
        print(f"{name}: no checkpoint {path}, starting from the beginning")
    elif runs.read_summary(args.log_dir / f"{name}.json").get("complete") is False:
        print(f"{name}: unfinished in {args.log_dir}, starting over (--resume would go on)")

    test_loader = make_loader(test_set, EVALUATION_BATCH, shuffle=False)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        started = time.perf_counter()
        seed_everything(identity["seed"], epoch)
        train_loader = make_loader(train_set, recipe.batch_size, shuffle=True)
        steps = len(train_loader)
        rates = [learning_rate(recipe, (epoch - 1 + (step + 0.5) / steps) / recipe.epochs)
                 for step in range(steps)]
        train_loss, train_accuracy = train(model, train_loader, optimizer, rates)
        test_loss, test_accuracy = test(model, test_loader)
        if not math.isfinite(train_loss + test_loss):
            kept = f"{path} holds the epochs before" if history else "no epoch was completed"
            raise RunError(f"{name}: the loss is not finite in epoch {epoch}, at a learning rate "
                           f"of up to {max(rates):g}; {kept}")
        seconds = time.perf_counter() - started
        history.append({
            "epoch": epoch, "learning_rate": max(rates),
            "train_loss": train_loss, "train_accuracy": train_accuracy,
            "test_loss": test_loss, "test_accuracy": test_accuracy, "seconds": seconds})
        if epoch == recipe.epochs:
            errors = find_errors(model, test_loader)
        # The checkpoint comes first and rules: CSV and JSON can be made from it again.
        runs.save_checkpoint(path, {
            **summary, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "epoch": epoch, "history": history, "errors": errors})
        runs.write_log(args.log_dir, name, summary, history, errors)
        print(f"epoch {epoch:{len(str(recipe.epochs))}}/{recipe.epochs}"
              f"  train loss {train_loss:.4f} acc {100 * train_accuracy:.2f} %"
              f"  {args.evaluated_on} loss {test_loss:.4f} acc {100 * test_accuracy:.2f} %"
              f" ({runs.count_errors(history[-1], len(test_set))} errors)  {seconds:.1f} s")
    return history[-1]


def run_seeds(args):
    """Runs every seed asked for and prints the outcome."""
    runs.make_folder(args.log_dir)
    runs.make_folder(args.checkpoint_dir)
    train_set, test_set, data = load_data(args.recipe, args)
    rows = []
    for seed in range(args.seeds) if args.seeds else [args.seed]:
        name = f"{args.series}-seed{seed}"
        identity = {"model": args.model, "seed": seed, "recipe": as_dict(args.recipe),
                    "evaluated_on": args.evaluated_on, "data": data}
        if args.seeds and (logged := runs.find_complete(args.log_dir, name, identity)):
            print(f"{name}: complete in {args.log_dir}, skipped")
            rows.append(logged["final"])
        else:
            rows.append(run(name, identity, args.recipe, args, train_set, test_set))
            print(f"log {args.log_dir / name}.csv, weights {args.checkpoint_dir / name}.pt")
    print(f"{args.series}: {args.evaluated_on} accuracy {runs.describe(rows, len(test_set))}")
    print(f"draw the curves with: python plot.py --log-dir {args.log_dir}")


def as_dict(recipe):
    return {**asdict(recipe), "net": recipe.net.__name__}


def recipe_table():
    row = "  {:<14}{:<18}{:>7} {:>12} {:>7} {:>6} {:>10} {:>5}".format
    columns = ("net", "dropout", "weight_decay", "augment", "epochs", "batch_size", "lr")
    rows = [(name, *(str(as_dict(recipe)[column]) for column in columns))
            for name, recipe in RECIPES.items()]
    return "\n".join(["recipes:", *(row(*cells) for cells in [("NAME", *columns), *rows])])


def parse(argv):
    """The command line, checked; ends in SystemExit(2) where it cannot be, with one line."""
    parser = argparse.ArgumentParser(
        prog="main.py", description=__doc__.split("\n\n")[0], epilog=recipe_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"main.py: error: {message}\n")  # one line
    add = parser.add_argument_group("what to train").add_argument
    add("--model", choices=RECIPES, default="lenet", metavar="NAME", help="default: lenet")
    add("--seed", type=int, default=0, metavar="N", help="default: 0")
    add("--seeds", type=int, metavar="N", help="run seeds 0 to N-1; prints mean ± std")
    add("--validate", action="store_true", help="measure on held-out training images (a sixth)")
    add("--resume", action="store_true", help="go on after the last saved epoch")
    add = parser.add_argument_group("hyperparameters (default: the recipe's)").add_argument
    add("--epochs", type=int, metavar="N", help="passes over the training images")
    add("--batch-size", type=int, metavar="N", help="images a step")
    add("--lr", type=float, metavar="X", help="learning rate, at its peak")
    add("--momentum", type=float, metavar="X", help="of SGD")
    add("--weight-decay", type=float, metavar="X", help="L2, on weights and biases")
    add("--dropout", type=float, metavar="X", help="probability of dropping an activation")
    add("--augment", action=argparse.BooleanOptionalAction, help="distort the training images")
    add = parser.add_argument_group("where").add_argument
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto")
    add("--data-dir", type=Path, default=DATA_DIR, metavar="DIR", help="default: MNIST, in data/")
    add("--log-dir", type=Path, default="logs", metavar="DIR", help="default: logs")
    add("--checkpoint-dir", type=Path, default="checkpoints", metavar="DIR",
        help="default: checkpoints")
    args = parser.parse_args(argv)

    flags = {field: getattr(args, field) for field in (*LIMITS, "augment")}
    changed = {field: value for field, value in flags.items()
               if value is not None and value != getattr(RECIPES[args.model], field)}
    args.recipe = replace(RECIPES[args.model], **changed)
    if fault := find_fault(args.recipe):
        field, words = fault
        message = f"--{field.replace('_', '-')} {getattr(args.recipe, field)}: {words}"
        if field in changed:
            parser.error(message)
        raise RunError(f"recipe {args.model}: {message}")
    if not 0 <= args.seed < 2**32:
        parser.error(f"--seed {args.seed}: must be from 0 to {2**32 - 1}")
    if args.seeds is not None and not 1 <= args.seeds <= 2**32:
        parser.error(f"--seeds {args.seeds}: must be from 1 to {2**32}")
    if args.seeds and args.seed:
        parser.error("--seed and --seeds exclude each other")
    devices = {"cuda": torch.cuda.is_available(), "mps": torch.mps.is_available(), "cpu": True}
    if args.device == "auto":
        args.device = next(device for device in devices if devices[device])
    if not devices[args.device]:
        parser.error(f"--device {args.device}: not available here")
    args.evaluated_on = "validation" if args.validate else "test"
    foreign = args.data_dir.resolve() != DATA_DIR.resolve()
    args.series = runs.name_series(args.model, changed, args.validate, foreign and args.data_dir)
    return args


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        run_seeds(parse(argv))
    except SystemExit as stop:
        return stop.code
    except (DataError, RunError) as error:
        print(f"main.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        again = shlex.join([arg for arg in argv if arg != "--resume"] + ["--resume"])
        print(f"main.py: stopped, completed epochs are saved; go on with: python main.py {again}",
              file=sys.stderr)
        return 143 if stop.args else 130
    return 0


def interrupt(signum, frame):
    raise KeyboardInterrupt(signum)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
