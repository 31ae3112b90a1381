"""What a run is, and what it is called. Nothing here reads or writes a file.

The identity of a run is its recipe, its data, what it is measured on, its seed, and what the code
makes of the recipe (see probe.py). The runs of a series differ in the seed alone. They are called
`<series>-seed<seed>`. In one folder an identity has one name, and no other identity gets that name.
"""

import json
import math
from dataclasses import asdict

from dataset import Distortion
from lab.files import RunError

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
