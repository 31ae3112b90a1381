"""The command line of main.py: its flags, and what their values have to be.

main.py hands in its docstring and its recipes. A flag overrides a field of the recipe for one run.
"""

import argparse
import math
from dataclasses import fields, replace

from dataset import DATA_DIR
from lab import command, machine
from lab.files import RunError
from lab.runs.identity import as_dict
from lab.training.names import name_folder

# The fields that a flag can change: type, condition, the condition in words, and the help.
FLAGS = {
    "epochs": (int, lambda x: 1 <= x < 2**31, "a whole number of at least 1, below 2**31",
               "passes over the images"),
    "batch_size": (int, lambda x: 1 <= x < 2**31, "a whole number of at least 1, below 2**31",
                   "images a step"),
    "lr": (float, lambda x: 0 < x < math.inf, "finite and above 0", "learning rate, at its peak"),
    "momentum": (float, lambda x: 0 <= x < 1, "at least 0 and below 1", "of SGD"),
    "weight_decay": (float, lambda x: 0 <= x < math.inf, "finite and at least 0", "L2"),
    "dropout": (float, lambda x: 0 <= x < 1, "at least 0 and below 1", "probability of dropping"),
}


def find_fault(recipe):
    """(field, what is wrong with its value) of a recipe that cannot be trained, or None."""
    for field, (kind, holds, words, _) in FLAGS.items():
        value = getattr(recipe, field)
        if field == "dropout" and not getattr(recipe.net, "has_dropout", False):
            if value is not None:
                return field, f"{recipe.net.__name__} has no dropout"
        elif not isinstance(value, (int, kind)) or not holds(value):
            return field, f"must be {words}"
    return None


def recipe_table(recipes):
    """The recipes as the table that --help shows; text."""
    row = "  {:<18}{:<18}{:>7} {:>12} {:>7} {:>6} {:>10} {:>5}".format
    columns = ("net", "dropout", "weight_decay", "augment", "epochs", "batch_size", "lr")
    rows = [(name, *(str(as_dict(recipe)[column]) for column in columns))
            for name, recipe in recipes.items()]
    return "\n".join(["recipes:", *(row(*cells) for cells in [("NAME", *columns), *rows])])


def make_parser(doc, recipes):
    """The ArgumentParser of main.py."""
    parser = command.Parser("main.py", doc, epilog=recipe_table(recipes),
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument_group("what to train").add_argument
    add("--model", type=command.one_of(recipes), default="lenet", metavar="NAME",
        help="default: lenet")
    add("--seed", type=command.whole(0, 2**32 - 1), metavar="N", help="default: 0")
    add("--seeds", type=command.whole(1, 2**32), metavar="N", help="0 to N-1; prints mean ± std")
    add("--jobs", type=command.whole(1, 999), default=1, metavar="N", help="seeds at a time")
    add("--validate", action="store_true", help="measure on held-out training images (a sixth)")
    add("--name", type=command.word, metavar="WORD", help="joins the run's name: for edited code")
    add("--child", help=argparse.SUPPRESS)  # the series of a process that --jobs starts
    add("--restart", action="store_true", help="train from the beginning, also a finished run")
    add = parser.add_argument_group("hyperparameters (default: the recipe's)").add_argument
    for field, (kind, _, _, words) in FLAGS.items():
        add(f"--{field.replace('_', '-')}", type=kind, help=words,
            metavar="N" if kind is int else "X")
    add("--augment", action=argparse.BooleanOptionalAction, help="distort the training images")
    add("--bf16", action=argparse.BooleanOptionalAction, help="forward pass in bfloat16")
    add = parser.add_argument_group("where").add_argument
    add("--device", type=machine.device, default="auto", metavar="auto|cpu|cuda|mps|...")
    add("--data-dir", type=command.path, default=DATA_DIR, metavar="DIR", help="default: data")
    add("--invert", action="store_true", help="turn black on white into MNIST's white on black")
    add("--log-dir", type=command.path, default="logs", metavar="DIR", help="default: logs")
    add("--checkpoint-dir", type=command.path, default="checkpoints", metavar="DIR",
        help="default: checkpoints")
    return parser


def parse(argv, doc, recipes):
    """The arguments, the Recipe, and {field: value} of what flags changed in it.

    `args.folder` is what the data and --invert add to a run's name: nothing for bundled MNIST.
    Ends in SystemExit(2) with one line for bad usage. Raises RunError if the recipe is at fault.
    """
    parser = make_parser(doc, recipes)
    args = parser.parse_args(argv)
    if args.seeds and args.seed is not None:
        parser.error("--seed and --seeds exclude each other")
    if args.jobs > 1 and not args.seeds:
        parser.error("--jobs needs --seeds")
    recipe = recipes[args.model]
    changed = {field.name: value for field in fields(recipe)
               if (value := getattr(args, field.name, None)) is not None
               and value != getattr(recipe, field.name)}
    recipe = replace(recipe, **changed)
    if fault := find_fault(recipe):
        field, words = fault
        message = f"--{field.replace('_', '-')} {getattr(recipe, field)}: {words}"
        if field in changed:
            parser.error(message)
        raise RunError(f"recipe {args.model}: {message}")
    args.folder = "-".join(filter(None, [name_folder(args.data_dir), args.invert and "invert"]))
    return args, recipe, changed
