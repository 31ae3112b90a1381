"""Trains a net on MNIST, measures it after every epoch, logs it, and can be stopped at any moment.

    python main.py                              LeNet-5, seed 0: about 99.2 % in about a minute
    python main.py --model lenet_reg --seeds 5  five seeds, mean ± standard deviation
    python main.py --lr 0.05 --validate         chosen on held-out training images, not the test set
    python main.py --help                       every flag, and the recipes as a table

Writes `logs/<run>.csv` and `.json` and `checkpoints/<run>.pt` after every epoch. The same command
again goes on with what is unfinished and leaves alone what is finished.
"""

import argparse
import math
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

import model as nets
from dataset import DATA_DIR, MNIST, DataError, Distortion, hold_out, make_loader, make_transform
from lab import command, jobs, runs
from lab.evaluate import examine, predict
from lab.runs import Run, RunError


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on besides seed, data and machine."""

    net: type[nn.Module]  # a class of model.py
    # Optimisation: SGD
    epochs: int = 30
    batch_size: int = 128  # images a step
    lr: float = 0.1  # learning rate, at its peak
    warmup: float | None = 0.15  # fraction of all steps up to the peak; None: constant rate
    momentum: float = 0.9
    nesterov: bool = True
    bf16: bool = False  # forward pass in bfloat16; slower on a CPU without instructions for it
    # Regularisation
    weight_decay: float = 0.0  # L2, on weights and biases
    dropout: float | None = None  # probability of dropping an activation; None: net without dropout
    augment: bool = False  # distort the training images, each within these bounds:
    rotation: float = 12.0  # ± degrees
    translation: float = 2.0  # ± pixels, each axis
    scaling: float = 0.12  # ± fraction, each axis on its own
    shear: float = 10.0  # ± degrees
    thickening: float = 0.0  # of half the images: up to this far to the maximum over 3x3 pixels


DEFAULTS = asdict(Recipe(None))  # what a log stands for that is older than a field

# One line a model. From `lenet` to `lenet_reg` only the regularisation differs.
RECIPES = {
    "lenet": Recipe(nets.LeNet5),
    "mlp": Recipe(nets.CustomMLP, lr=0.05),
    "lenet_dropout": Recipe(nets.RegularizedLeNet5, dropout=0.1),
    "lenet_decay": Recipe(nets.LeNet5, weight_decay=5e-4),
    "lenet_augment": Recipe(nets.LeNet5, augment=True),
    "lenet_reg": Recipe(nets.RegularizedLeNet5, dropout=0.1, weight_decay=5e-4, augment=True),
    "lenet_heavy": Recipe(nets.RegularizedLeNet5, dropout=0.5, weight_decay=0.01, augment=True),
    "lenet_record": Recipe(nets.RegularizedLeNet5, dropout=0.0, weight_decay=5e-4, augment=True,
                           thickening=1.0, epochs=120),
    "lenet_fast": Recipe(nets.LeNet5, augment=True, epochs=3, lr=0.05),
    # As published, and the steps from there to `lenet`, each on top of the one before.
    "lenet_1998": Recipe(nets.LeNet1998, epochs=20, lr=0.01),
    **{f"lenet_1998_{step}": Recipe(net, epochs=20) for step, net in nets.STEPS.items()},
    # As in the public solution they come from.
    "lenet_wide": Recipe(nets.LeNetWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                         warmup=None, nesterov=False),
    "mlp_wide": Recipe(nets.MLPWide, dropout=0.5, weight_decay=1e-3, batch_size=256, lr=0.01,
                       warmup=None, nesterov=False),
}

# What a flag can change: its type, what it has to be, the same in words, and what it is.
FLAGS = {
    "epochs": (int, lambda x: x >= 1, "a whole number of at least 1", "passes over the images"),
    "batch_size": (int, lambda x: x >= 1, "a whole number of at least 1", "images a step"),
    "lr": (float, lambda x: 0 < x < math.inf, "finite and above 0", "learning rate, at its peak"),
    "momentum": (float, lambda x: 0 <= x < 1, "at least 0 and below 1", "of SGD"),
    "weight_decay": (float, lambda x: 0 <= x < math.inf, "finite and at least 0", "L2"),
    "dropout": (float, lambda x: 0 <= x < 1, "at least 0 and below 1", "probability of dropping"),
}
EVALUATION_BATCH = 1000  # images at once where no gradient is needed


def find_fault(recipe):
    """(field, what is wrong with it, in words) of a recipe that cannot be; None if it can."""
    for field, (kind, holds, words, _) in FLAGS.items():
        value = getattr(recipe, field)
        if field == "dropout" and not getattr(recipe.net, "has_dropout", False):
            if value is not None:
                return field, f"{recipe.net.__name__} has no dropout"
        elif not isinstance(value, (int, kind)) or not holds(value):
            return field, f"must be {words}"
    return None


# One epoch

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


def train(model, loader, optimizer, rates, bf16=False):
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
        # Mixed precision: weights, loss, optimizer and everything that is measured stay float32.
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


def test(model, loader):
    """The mean loss and the accuracy (a fraction) over the examples of `loader`."""
    logits, labels = predict(model, loader)
    correct = (logits.argmax(1) == labels).sum()
    return F.cross_entropy(logits, labels).item(), correct.item() / len(labels)


# One run

def load_data(recipe, data_dir, validate, device):
    """Training set, test set (validate: held-out training images), and what identifies them."""
    for_training, for_testing = make_transforms(recipe)
    train_set = MNIST(data_dir, True, for_training, device)
    test_set = MNIST(data_dir, validate, for_testing, device)
    data = {"train": train_set.fingerprint(),
            "validation" if validate else "test": test_set.fingerprint()}
    return *(hold_out(train_set, test_set) if validate else (train_set, test_set)), data


def make_transforms(recipe):
    """What training images and test images go through, a batch at once."""
    side = recipe.net.image_size
    distortion = Distortion(*(getattr(recipe, bound) for bound in Distortion.bounds))
    return make_transform(side, distortion if recipe.augment else None), make_transform(side)


def begin(recipe, seed, device):
    """The net and the optimizer as a run begins with them."""
    seed_everything(seed, 0)
    # The layout that the CPU's convolution kernels take without reordering.
    model = nets.make_net(recipe.net, recipe.dropout).to(device, memory_format=torch.channels_last)
    return model, torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, fused=True,
        nesterov=recipe.nesterov and recipe.momentum > 0, weight_decay=recipe.weight_decay)


def train_epoch(model, optimizer, recipe, train_set, seed, epoch):
    """Epoch 1, 2, ... of a run; returns its highest learning rate, mean loss and accuracy."""
    seed_everything(seed, epoch)
    loader = make_loader(train_set, recipe.batch_size, shuffle=True)
    rates = [learning_rate(recipe, (epoch - 1 + (step + 0.5) / len(loader)) / recipe.epochs)
             for step in range(len(loader))]
    return max(rates), *train(model, loader, optimizer, rates, recipe.bf16)


def probe(recipe):
    """What this code makes of a recipe, as a number: the losses (nats) of a miniature run.

    Two epochs on 64 bundled digits: the loss in the second plus that after it. On one thread of a
    CPU, in float32, only rounding moves it, unless net, distortion or training are edited.
    """
    recipe = replace(recipe, epochs=2, batch_size=16, bf16=False)
    train_set = MNIST(DATA_DIR, False).select(slice(64))
    test_set = train_set.select(slice(64))
    train_set.transform, test_set.transform = make_transforms(recipe)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, optimizer = begin(recipe, 0, "cpu")
    for epoch in (1, 2):
        _, loss, _ = train_epoch(model, optimizer, recipe, train_set, 0, epoch)
    loss += test(model, make_loader(test_set, EVALUATION_BATCH, shuffle=False))[0]
    torch.set_num_threads(threads)
    return loss if math.isfinite(loss) else None


def train_run(run, recipe, train_set, test_set, device, restart, label):
    """Trains what is missing of a run, saving it after every epoch; `label` is the bar's."""
    model, optimizer = begin(recipe, seed := run.summary["seed"], device)
    parameters = sum(p.numel() for p in model.parameters())
    run.summary |= {"parameters": parameters, "environment": command.environment(device)}
    print(f"{run.name}: {recipe.net.__name__}, {parameters:,} parameters, {len(train_set):,} "
          f"images, {device}, {torch.get_num_threads()} thread(s)")
    if recipe.bf16 and command.emulates_bf16(device):
        print(f"{run.name}: this CPU emulates bfloat16, so --no-bf16 would be faster")
    if not restart and run.checkpoint.exists():
        print(run.restore(model, optimizer))

    test_loader = make_loader(test_set, EVALUATION_BATCH, shuffle=False)
    for epoch in tqdm(range(len(run.history) + 1, recipe.epochs + 1), label, recipe.epochs,
                      initial=len(run.history), unit="epoch", leave=False, disable=None):
        started = time.perf_counter()
        rate, train_loss, train_accuracy = train_epoch(
            model, optimizer, recipe, train_set, seed, epoch)
        test_loss, test_accuracy = test(model, test_loader)
        if not math.isfinite(train_loss + test_loss):
            kept = f"; {run.checkpoint} holds the epochs before" * (epoch > 1)
            raise RunError(f"{run.name}: the loss is not finite in epoch {epoch}, at a learning "
                           f"rate of up to {rate:g}{kept}")
        run.history.append({
            "epoch": epoch, "learning_rate": rate,
            "train_loss": train_loss, "train_accuracy": train_accuracy,
            "test_loss": test_loss, "test_accuracy": test_accuracy,
            "seconds": time.perf_counter() - started})
        if epoch == recipe.epochs:
            run.outcome = examine(model, test_loader)
        run.save(model, optimizer)
        tqdm.write(jobs.describe_epoch(run))


# The command line

def execute(argv):
    """Trains what a command line asks for, and prints the outcome."""
    args, recipe, changed = parse(argv)
    for folder in (args.log_dir, args.checkpoint_dir):
        command.make_folder(folder)
    train_set, test_set, data = load_data(recipe, args.data_dir, args.validate, args.device)
    identity = {"model": args.model, "recipe": as_dict(recipe), "data": data,
                "evaluated_on": "validation" if args.validate else "test", "probe": probe(recipe)}
    seeds = range(args.seeds) if args.seeds else [args.seed or 0]
    place = runs.Place(args.log_dir, args.checkpoint_dir, DEFAULTS)
    foreign = args.data_dir.resolve() != DATA_DIR.resolve()
    folder = re.sub(r"\W+", "_", args.data_dir.resolve().name) * foreign
    series = runs.choose_name(place, identity, seeds, changed, args.name, folder, args.restart)
    members = [Run(place, f"{series}-seed{seed}", {**identity, "seed": seed}) for seed in seeds]
    jobs.train_all(series, members, lambda run, label: train_run(
        run, recipe, train_set, test_set, args.device, args.restart, label), args, __file__, argv)


def as_dict(recipe):
    return {**asdict(recipe), "net": recipe.net.__name__}


def recipe_table():
    row = "  {:<18}{:<18}{:>7} {:>12} {:>7} {:>6} {:>10} {:>5}".format
    columns = ("net", "dropout", "weight_decay", "augment", "epochs", "batch_size", "lr")
    rows = [(name, *(str(as_dict(recipe)[column]) for column in columns))
            for name, recipe in RECIPES.items()]
    return "\n".join(["recipes:", *(row(*cells) for cells in [("NAME", *columns), *rows])])


def parse(argv):
    """The arguments, the recipe, and the fields of it that flags changed."""
    parser = command.Parser("main.py", __doc__, epilog=recipe_table(),
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument_group("what to train").add_argument
    add("--model", choices=RECIPES, default="lenet", metavar="NAME", help="default: lenet")
    add("--seed", type=command.whole(0, 2**32 - 1), metavar="N", help="default: 0")
    add("--seeds", type=command.whole(1, 2**32), metavar="N", help="0 to N-1; prints mean ± std")
    add("--jobs", type=command.whole(1, 999), default=1, metavar="N", help="seeds at a time")
    add("--validate", action="store_true", help="measure on held-out training images (a sixth)")
    add("--name", type=command.word, metavar="WORD", help="for what no flag says")
    add("--restart", action="store_true", help="begin anew, also what is finished")
    add = parser.add_argument_group("hyperparameters (default: the recipe's)").add_argument
    for field, (kind, _, _, words) in FLAGS.items():
        add(f"--{field.replace('_', '-')}", type=kind, help=words,
            metavar="N" if kind is int else "X")
    add("--augment", action=argparse.BooleanOptionalAction, help="distort the training images")
    add("--bf16", action=argparse.BooleanOptionalAction, help="forward pass in bfloat16")
    add = parser.add_argument_group("where").add_argument
    add("--device", type=command.device, default="auto", metavar="auto|cpu|cuda|mps|...")
    add("--data-dir", type=Path, default=DATA_DIR, metavar="DIR", help="default: data")
    add("--log-dir", type=Path, default="logs", metavar="DIR", help="default: logs")
    add("--checkpoint-dir", type=Path, default="checkpoints", metavar="DIR",
        help="default: checkpoints")
    args = parser.parse_args(argv)

    changed = {field: value for field in DEFAULTS
               if (value := getattr(args, field, None)) is not None
               and value != getattr(RECIPES[args.model], field)}
    recipe = replace(RECIPES[args.model], **changed)
    if fault := find_fault(recipe):
        field, words = fault
        message = f"--{field.replace('_', '-')} {getattr(recipe, field)}: {words}"
        if field in changed:
            parser.error(message)
        raise RunError(f"recipe {args.model}: {message}")
    if args.seeds and args.seed is not None:
        parser.error("--seed and --seeds exclude each other")
    if args.jobs > 1 and not args.seeds:
        parser.error("--jobs needs --seeds")
    return args, recipe, changed


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.run("main.py", execute, argv, (DataError, RunError), "stopped; completed epochs "
                       "are saved, and the same command (without --restart) goes on after them")


if __name__ == "__main__":
    command.start(main)
