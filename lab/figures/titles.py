"""What series are called in figures, how those files are named, and fonts for any script."""

import functools
import re
import textwrap

from lab.figures.canvas import FontProperties, Text, findfont, fontManager, get_font

FILES = {  # what the file names of a series begin with; those of any other begin with its own name
    "lenet": "LeNet", "lenet_dropout": "LeNet_dropout", "lenet_decay": "LeNet_weight_decay",
    "lenet_augment": "LeNet_augmentation", "lenet_reg": "LeNet_regularization",
    "lenet_heavy": "LeNet_heavy", "lenet_record": "LeNet_record", "lenet_hands": "LeNet_hands",
    "lenet_fast": "LeNet_fast",
    "lenet_1998": "LeNet_1998", "lenet_1998-augment": "LeNet_1998_augmentation",
    "lenet_1998_linear": "LeNet_1998_linear", "lenet_1998_dense": "LeNet_1998_dense",
    "lenet_1998_max": "LeNet_1998_max", "lenet_1998_relu": "LeNet_1998_relu",
    "lenet_wide": "LeNet_wide", "mlp": "CustomMLP", "mlp_wide": "CustomMLP_wide",
}
TITLES = {  # of series, in words
    "lenet": "LeNet-5", "lenet_dropout": "LeNet-5 with dropout",
    "lenet_decay": "LeNet-5 with weight decay", "lenet_augment": "LeNet-5 with augmentation",
    "lenet_reg-no_augment": "LeNet-5 with dropout and weight decay",
    "lenet_reg-weight_decay0.0": "LeNet-5 with dropout and augmentation",
    "lenet_reg-dropout0.0": "LeNet-5 with weight decay and augmentation",
    "lenet_reg": "LeNet-5, regularised", "lenet_heavy": "LeNet-5, regularised too strongly",
    "lenet_record": "LeNet-5, trained longest", "lenet_hands": "LeNet-5 for digits of your own",
    "lenet_fast": "LeNet-5, a few epochs",
    "lenet_reg-bf16": "LeNet-5, regularised, in bfloat16",
    "lenet_1998": "LeNet-5 as published in 1998",
    "lenet_1998-augment": "LeNet-5 as published in 1998, with augmentation",
    # The steps from there to today's: each adds to the one before.
    "lenet_1998_linear": "LeNet-5 of 1998, step 1: linear output",
    "lenet_1998_dense": "LeNet-5 of 1998, step 2: dense C3",
    "lenet_1998_max": "LeNet-5 of 1998, step 3: maximum pooling",
    "lenet_1998_relu": "LeNet-5 of 1998, step 4: ReLU",
    "lenet_wide": "A wider LeNet", "mlp": "CustomMLP", "mlp_28": "CustomMLP without padding",
    "mlp_wide": "A wider MLP",
}
OURS = "DejaVu Sans"  # the font of all figures; it comes with matplotlib


def name_files(names):
    """Chooses what the files of each series in `names` begin with: {name: stem}.

    No two are the same, not even to a file system for which case does not count.
    """
    stems = {}
    for name in sorted(names, key=lambda name: name not in FILES):  # those in FILES come first
        stem = FILES.get(name, name)
        while stem.casefold() in map(str.casefold, stems.values()):
            stem += "_2"
        stems[name] = stem
    return stems


def find_title(name):
    """The title of a series, in words that the fonts can spell.

    A series of the user's keeps its name, after the title of its model: LeNet-5 (lenet-lr0.05).
    """
    if name in TITLES:
        return TITLES[name]
    model = TITLES.get(name.partition("-")[0])
    return f"{model} ({spell(name)})" if model else spell(name)


def wrap(title, width):
    """Breaks a title into lines of at most `width` characters: at spaces, or before a minus."""
    lines = textwrap.fill(re.sub("-(?=[^\\W\\d])", " -", title), width)
    return lines.replace(" -", "-")


@functools.cache
def find_font(character):
    """Finds the family of an installed font that has `character`. Returns None if there is none.

    It must have the normal weight, 400: in place of another, matplotlib takes it with a warning.
    """
    regular = {font.name for font in fontManager.ttflist if font.weight == 400}
    for family in (OURS, *sorted(regular)):
        # A "last resort" has a box for everything.
        font = get_font(findfont(FontProperties(family=[family])))
        if "LastResort" not in family.replace(" ", "") and font.get_char_index(ord(character)):
            return family
    return None


def spell(name):
    """Replaces the characters of `name` that no installed font has by escapes, such as \\u6211."""
    return "".join(each if find_font(each) else ascii(each)[1:-1] for each in name)


def choose_fonts(figure):
    """Gives each text of a figure the fonts that have its characters, as `spell` left them."""
    for text in figure.findobj(Text):
        others = {find_font(each) for each in set(text.get_text()) - {"\n"}} - {OURS}
        if others:
            text.set(fontfamily=[OURS, *sorted(others)], fontweight="normal")
