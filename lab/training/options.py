"""The command line of main.py: its flags, and what their values have to be.

main.py hands in its docstring and its recipes. Every number and every switch of a recipe has a
flag, which overrides it for one run. The help of the flag is the comment beside the field.
"""

import argparse
import contextlib
import inspect
import math
import re
import textwrap
from dataclasses import fields, replace
from typing import get_type_hints

from dataset import DATA_DIR, Distortion
from lab import command, machine
from lab.files import RunError
from lab.runs.identity import as_dict, describe_value
from lab.training.names import name_folder

# The types of fields that have a flag: what a value may be, in words too, and what --help shows.
KINDS = {
    int: (int, "a whole number", "N"),
    float: (int | float, "a number", "X"),
    bool: (bool, "True or False", None),
    int | None: (int | None, "a whole number or None", "N|none"),
    float | None: (int | float | None, "a number or None", "X|none"),
}
# {field: (condition, in words)}; any other field has to be finite.
BOUNDS = {field: bound for names, *bound in [
    ("epochs batch_size", lambda x: 1 <= x < 2**31, "a whole number of at least 1, below 2**31"),
    ("lr", lambda x: 0 < x < math.inf, "finite and above 0"),
    ("warmup momentum dropout scaling", lambda x: 0 <= x < 1, "at least 0 and below 1"),
    ("weight_decay rotation translation shear", lambda x: 0 <= x < math.inf,
     "finite and at least 0"),
    ("thickening", lambda x: 0 <= x <= 1, "at least 0 and at most 1"),
    ("synthetic", lambda x: 0 <= x <= 10**6, "a whole number, 0 to 1,000,000"),
] for field in names.split()}
FINITE = (lambda x: -math.inf < x < math.inf, "finite")
# Flags that other training scripts have, and what to do here.
ELSEWHERE = {
    **dict.fromkeys(["--no-cuda", "--no-accel", "--no-mps"], "use --device cpu"),
    "--dry-run": "use --epochs 1",
    "--save-model": "not needed, the weights are always saved",
    "--resume": "not needed, the same command again resumes",
    "--log-interval": "not needed, every epoch prints a line",
    "--learning-rate": "use --lr",
    "--gamma": "the learning rate has no steps, it follows one cycle; see --warmup",
    "--amp": "use --bf16",
    "--test-batch-size": "not needed, it would change no result",
}


def find_flags(recipes):
    """{field: (type, comment)}, the fields of the recipes that have a flag.

    The recipes may be of several classes. The comment is None where a class has no source.
    """
    found = {}
    for cls in dict.fromkeys(map(type, recipes.values())):
        hints, comments = get_type_hints(cls), {}
        for base in reversed(cls.__mro__):
            with contextlib.suppress(OSError, TypeError):
                comments |= re.findall(r"^\s+(\w+):[^#\n]*# *(.+)", inspect.getsource(base), re.M)
        found |= {field.name: (hints[field.name], comments.get(field.name))
                  for field in fields(cls) if hints[field.name] in KINDS}
    return found


def name_flag(field):
    """The flag of a field: batch_size -> --batch-size."""
    return f"--{field.replace('_', '-')}"


def number(kind):
    """A type of argument: a number as KINDS has it, such as `int` or `float | None`."""
    allowed, words, _ = KINDS[kind]

    def convert(text):
        if text.lower() == "none" and isinstance(None, allowed):
            return None
        try:
            return float(text) if isinstance(0.5, allowed) else int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: must be {words.lower()}") from None
    return convert


def find_fault(recipe, flags):
    """(field, what is wrong with its value) of a recipe that cannot be trained, or None."""
    net = recipe.net
    if not isinstance(net, type):
        return "net", "must be a class, without brackets"
    if getattr(net, "image_size", None) not in (28, 32):
        return "net", "the class needs image_size = 28, or 32 for padded images"
    has_dropout = bool(getattr(net, "has_dropout", False))
    for field, (kind, _) in flags.items():
        if not hasattr(recipe, field):  # it is one of another class
            continue
        value = getattr(recipe, field)
        (allowed, words, _), (holds, bound) = KINDS[kind], BOUNDS.get(field, FINITE)
        # A 1 is no True: they are equal, but the names of their runs are not.
        if not isinstance(value, allowed) or isinstance(value, bool) != (kind is bool):
            return field, f"must be {words}"
        if field == "dropout" and has_dropout == (value is None):
            words = "needs a number; 0 drops nothing" if has_dropout else "has no dropout"
            return field, f"{net.__name__} {words}"
        if value is not None and not holds(value):
            return field, f"must be {bound}"
    return None


def recipe_table(recipes):
    """The recipes as the table that --help shows; text."""
    row = "  {:<18}{:<18}{:>7} {:>12} {:>7} {:>6} {:>10} {:>5}".format
    columns = ("net", "dropout", "weight_decay", "augment", "epochs", "batch_size", "lr")
    rows = [(name, *(str(as_dict(recipe)[column]) for column in columns))
            for name, recipe in recipes.items()]
    return "\n".join(["recipes:", *(row(*cells) for cells in [("NAME", *columns), *rows])])


def make_parser(doc, recipes, flags):
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
    add("--same-code", action="store_true", help="say that edited code trains the same")
    add("--child", nargs=2, help=argparse.SUPPRESS)  # what --jobs tells its processes
    add("--restart", action="store_true", help="train from the beginning, also a finished run")
    add = parser.add_argument_group("hyperparameters (default: the recipe's)").add_argument
    for field, (kind, comment) in flags.items():
        how = ({"action": argparse.BooleanOptionalAction} if kind is bool else
               {"type": number(kind), "metavar": KINDS[kind][2]})
        add(name_flag(field), help=comment and comment.replace("%", "%%"),
            default=argparse.SUPPRESS, **how)
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
    flags = find_flags(recipes)
    try:
        parser = make_parser(doc, recipes, flags)
    except argparse.ArgumentError as error:
        raise RunError(f"Recipe: there would be two flags {error.argument_name}; "
                       "the field needs another name") from None
    for word in parser.parse_known_args(argv)[1]:
        if words := ELSEWHERE.get(word.partition("=")[0]):
            parser.error(f"{word}: {words}")
    args = parser.parse_args(argv)
    args.words = argv
    if args.seeds and args.seed is not None:
        parser.error("--seed and --seeds exclude each other")
    if args.jobs > 1 and not args.seeds:
        parser.error("--jobs needs --seeds")
    recipe = recipes[args.model]
    given = {field: value for field, value in vars(args).items() if field in flags}
    if lacking := [field for field in given if not hasattr(recipe, field)]:
        parser.error(f"{name_flag(lacking[0])}: the recipe {args.model} has no such field")
    changed = {field: value for field, value in given.items() if value != getattr(recipe, field)}
    recipe = replace(recipe, **changed)
    if fault := find_fault(recipe, flags):
        field, words = fault
        value = getattr(recipe, field)
        if field in changed:
            parser.error(f"{name_flag(field)} {describe_value(value)}: {words}")
        value = getattr(value, "__name__", None) or textwrap.shorten(repr(value), 60)
        raise RunError(f"recipe {args.model}: {field}={value}: {words}")
    if (unused := changed.keys() & set(Distortion.bounds)) and not recipe.augment:
        parser.error(f"{name_flag(min(unused))} needs --augment")
    args.folder = "-".join(filter(None, [name_folder(args.data_dir), args.invert and "invert"]))
    return args, recipe, changed
