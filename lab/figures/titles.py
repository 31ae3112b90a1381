"""What series are called in figures, how those files are named, and fonts for any script."""

import functools
import re
import textwrap

from lab.figures.canvas import FontProperties, Text, findfont, fontManager, get_font
from lab.runs.titles import TITLES

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
