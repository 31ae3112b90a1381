"""What a run is, and what it is called. Nothing here reads or writes a file.

The identity of a run is its recipe, its data, what it is measured on, its seed, and what the code
makes of the recipe (see probe.py). The runs of a series differ in the seed alone. They are called
`<series>-seed<seed>`. In one folder an identity has one name, and no other identity gets that name.
"""

import json
import math
import re
import zlib
from dataclasses import asdict

from dataset import Distortion
from lab.command import RunError

PROBE_TOLERANCE = 1e-5  # relative; rounding on other machines moves a probe by some 1e-7


def as_dict(recipe):
    """A Recipe as a log gives it back: classes by their names, tuples as lists."""
    return json.loads(json.dumps(asdict(recipe), default=lambda x: getattr(x, "__name__", str(x))))


def find_differences(theirs, ours):
    """{what: (their value, our value)}, all that differs between two runs, apart from the seed.

    Code that is not known is not the same as any other. Two old logs that both know neither code
    nor probe are told apart by their settings alone.
    """
    one, other = ({**run["recipe"], "evaluated_on": run["evaluated_on"], **run["data"]}
                  for run in (theirs, ours))
    codes, probes = ([run.get(key) for run in (theirs, ours)] for key in ("code", "probe"))
    same_probe = None not in probes and math.isclose(*probes, rel_tol=PROBE_TOLERANCE)
    # A field that was removed from Recipe does not count if the code does the same without it. Nor
    # does the name of a class that does the same.
    keys = (one.keys() & other.keys()) - {"net"} if same_probe else one.keys() | other.keys()
    if not (one.get("augment") or other.get("augment")):
        keys = keys - set(Distortion.bounds)  # they do nothing
    found = {key: (one.get(key), other.get(key)) for key in {**one, **other}
             if key in keys and one.get(key) != other.get(key)}
    same_code = same_probe or (codes[0] == codes[1] and (codes[0] or probes == [None, None]))
    return found if same_code else {**found, "probe": tuple(probes)}


def describe_value(value):
    """A setting of a recipe in words: "0.1", "12" for 12.0, "none", "yes" or "no"."""
    words = {"None": "none", "True": "yes", "False": "no"}
    return words.get(str(value)) or str(value).removesuffix(".0")


def describe_setting(field, value):
    """A field of a recipe and its value, in words: "weight decay 0.0005", "augment", "no bf16"."""
    words = field.replace("_", " ")
    if value is None or isinstance(value, bool):
        return words if value else f"no {words}"
    return f"{words} {describe_value(value)}"


def describe_differences(differences):
    """What `find_differences` found, in words: "lr (0.05 and 0.1), the training images"."""
    named = {"probe": "the code", "train": "the training images", "test": "the test images",
             "validation": "the held-out images"}
    return ", ".join(named.get(key) or
                     f"{key.replace('_', ' ')} ({' and '.join(map(describe_value, pair))})"
                     for key, pair in differences.items())


def explain_refusal(name, differences):
    """A RunError: the name belongs to another run, which differs in `differences`."""
    if differences.keys() != {"probe"}:
        return RunError(f"{name} was trained with other settings: "
                        f"{describe_differences(differences)}; --name WORD keeps both")
    how = "code that its log does not tell" if differences["probe"][0] is None else "other code"
    return RunError(f"{name} was trained by {how}; --name WORD keeps both, --restart replaces it")


def name_series(identity, fields, word, folder):
    """`<model>[-<word>][-<field><value> ...][-validate][-<data folder>]`, as lenet-lr0.05-validate.

    fields: the recipe's fields that the name tells, in any order; the name has the recipe's order.
    """
    parts = [identity["model"], word, *(
        key if value is True else f"no_{key}" if value is False else f"{key}{value}"
        for key, value in identity["recipe"].items() if key in fields)]
    parts += [identity["evaluated_on"] == "validation" and "validate", folder]
    return re.sub(r"[^\w.+-]", "_", "-".join(part for part in parts if part))  # for any system


def choose_name(identity, logged, read_saved, seeds, fields, word="", folder="", restart=False):
    """The name of the series that `identity` belongs to.

    If the folder has a name for this identity, that is the name. If not, it is what `name_series`
    makes of `fields`, `word` and `folder`. While another identity holds that name, the name grows
    by what differs from its holder.

    logged: {series: {seed: run}}, the logs of the folder. read_saved(name): the content of the
    checkpoint of that name, or None. seeds: those that are to be trained.
    Raises RunError if no name can tell the two apart. If only the code differs, `restart` takes
    the name over.
    """
    plain = name_series(identity, fields, word, folder)
    own = [(series != plain, series)
           for series, members in logged.items() for run in members.values()
           if not find_differences(run, identity)
           and (not word or f"{series}-".startswith(f"{identity['model']}-{word}-"))]
    if own:
        return min(own)[-1]
    fields, digits = set(fields), ""
    while True:
        suffix = f"{folder or 'data'}_{digits}" if digits else folder
        series = name_series(identity, fields, word, suffix)
        holders = dict(logged.get(series, {}))
        for seed in seeds:
            if seed not in holders and (saved := read_saved(f"{series}-seed{seed}")):
                holders[seed] = saved
        foreign = [(seed, found) for seed, run in sorted(holders.items())
                   if (found := find_differences(run, identity))]
        if all(restart and found.keys() == {"probe"} for _, found in foreign):
            return series
        seed, found = foreign[0]
        before = fields, digits
        fields = fields | found.keys() & identity["recipe"].keys()
        if found.keys() & identity["data"].keys():
            digits = f"{zlib.crc32(json.dumps(identity['data']).encode()):08x}"[:6]
        if (fields, digits) == before:
            raise explain_refusal(f"{series}-seed{seed}", found)
