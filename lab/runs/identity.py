"""What a run is: all that tells it from another one. Nothing here reads or writes a file.

The identity of a run is its recipe, its data, how many images train it, what it is measured on, its
seed, its number of parameters, and the code that it runs (see training/code.py). The runs of a
series differ in the seed alone; their code may differ if the user has said so. What a log does not
tell is not known, and so it differs.
"""

import json
from dataclasses import asdict

from dataset import Distortion
from lab.files import RunError

UNKNOWN = "unknown"
COUNTS = ("images", "parameters")  # known once a run has begun
NAMED = 3  # pieces of code that a line names


def as_dict(recipe):
    """A Recipe as a log gives it back: classes by their names, tuples as lists."""
    return json.loads(json.dumps(asdict(recipe), default=lambda x: getattr(x, "__name__", str(x))))


def find_differences(theirs, ours):
    """{what: (their value, our value)}, all that differs between two runs, apart from the seed.

    Of two runs with other settings, only the code that both run is compared.
    """
    one, other = ({**run["recipe"], "evaluated_on": run["evaluated_on"], **run["data"],
                   **{key: run[key] for key in COUNTS if key in run}} for run in (theirs, ours))
    keys = {**one, **other}.keys() - {key for key in COUNTS if key not in other}
    if one.get("augment") is other.get("augment") is False:
        keys -= {*Distortion.bounds}  # they do nothing
    pairs = {key: (one.get(key, UNKNOWN), other.get(key, UNKNOWN)) for key in {**one, **other}}
    found = {key: pair for key, pair in pairs.items() if key in keys and pair[0] != pair[1]}
    codes = [read_code(run) for run in (theirs, ours)]
    if found.keys() - {*COUNTS} and None not in codes:
        codes = [{name: code[name] for name in codes[0].keys() & codes[1].keys()} for code in codes]
    return found if codes[0] == codes[1] is not None else {**found, "code": tuple(codes)}


def read_code(run):
    """The digests of the code of a run, {name: digest}, or None if its log does not tell them."""
    return code if isinstance(code := run.get("code"), dict) else None


def describe_value(value):
    """A setting of a recipe in words: "0.1", "12" for 12.0, "none", "yes" or "no"."""
    words = {"None": "none", "True": "yes", "False": "no"}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return words.get(str(value)) or str(value).removesuffix(".0")


def describe_setting(field, value):
    """A field of a recipe and its value, in words: "weight decay 0.0005", "augment", "no bf16"."""
    words = field.replace("_", " ")
    if value is None or isinstance(value, bool):
        return words if value else f"no {words}"
    return f"{words} {describe_value(value)}"


def describe_differences(differences):
    """What `find_differences` found, in words: "lr (0.05 and 0.1), the training images"."""
    named = {"code": "the code", "train": "the training images", "test": "the test images",
             "validation": "the held-out images"}
    words = [named.get(key) or
             f"{key.replace('_', ' ')} ({' and '.join(map(describe_value, pair))})"
             for key, pair in differences.items()]
    if "code" in differences and len(words) > 1:
        return f"{', '.join(words[:-1])} and in the code"
    return ", ".join(words)


def describe_code(one, other):
    """What differs between two codes, in words: "train in main.py has changed"."""
    changed = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    words = []
    for name in changed[:NAMED]:
        module, _, own = name.rpartition(".")
        words.append(f"{own} in {module.replace('.', '/')}.py")
    if len(changed) > NAMED:
        words.append(f"{len(changed) - NAMED} more")
    last = words.pop()
    both = f"{', '.join(words)} and {last}" if words else last
    return f"{both} {'has' if len(changed) == 1 else 'have'} changed"


def describe_codes(runs):
    """That runs of one series have more than one code, in words; "" if they have one."""
    codes = []
    for run in runs:
        later = [each for each in run.get("resumed", ()) if "code" in each]
        for code in map(read_code, [run, *later]):
            if code not in codes:
                codes.append(code)
    if len(codes) < 2:
        return ""
    what = UNKNOWN if None in codes else describe_code(*codes[:2])
    return f"{len(codes)} codes ({what})"


def explain_refusal(name, differences):
    """A RunError: the name belongs to another run, which differs in `differences`."""
    if settings := {key: pair for key, pair in differences.items() if key != "code"}:
        return RunError(f"{name} was trained with other settings: "
                        f"{describe_differences(settings)}; --name WORD keeps both")
    theirs, ours = differences["code"]
    how = (f"other code ({describe_code(theirs, ours)})" if theirs else
           "code that its log does not tell")
    return RunError(f"{name} was trained by {how}: --name WORD keeps both, --restart replaces it, "
                    "--same-code says that it trains the same")
