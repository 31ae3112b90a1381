"""What a run is, and what it is called. Nothing here reads or writes a file.

The identity of a run is its recipe, its data, what it is measured on, its seed, and what the code
makes of the recipe (the probe, see probe.py). The runs of a series differ in the seed alone. They
are called `<series>-seed<seed>`. In one folder an identity has one name, and no other identity
gets that name.
"""

import json
import math
import re
import zlib
from dataclasses import asdict

from lab.command import RunError

PROBE_TOLERANCE = 1e-5  # relative; rounding on other machines moves a probe by some 1e-7


def as_dict(recipe):
    """A Recipe as a log holds it: the net is the name of its class."""
    return {**asdict(recipe), "net": recipe.net.__name__}


def find_differences(theirs, ours):
    """{what: (their value, our value)}, all that differs between two runs, apart from the seed.

    A missing probe agrees with any other; old logs have none.
    """
    one, other = ({**run["recipe"], "evaluated_on": run["evaluated_on"], **run["data"]}
                  for run in (theirs, ours))
    probes = theirs.get("probe"), ours.get("probe")
    known = None not in probes
    same_code = known and math.isclose(*probes, rel_tol=PROBE_TOLERANCE)
    # A field that was removed from Recipe does not count if the code does the same without it.
    keys = one.keys() & other.keys() if same_code else {**one, **other}
    found = {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}
    return found if same_code or not known else {**found, "probe": probes}


def describe_differences(differences):
    """What `find_differences` found, in words."""
    return ", ".join(f"{key} ({their} and {our})" for key, (their, our) in differences.items())


def explain_refusal(name, differences):
    """A RunError: the name belongs to another run, which differs in `differences`."""
    how = ("by other code" if differences.keys() == {"probe"}
           else f"with other settings: {describe_differences(differences)}")
    return RunError(f"{name} was trained {how}; --name WORD keeps both, --restart replaces it")


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
    Raises RunError if no name can tell the two apart, since only the code differs; with `restart`
    the name is taken over.
    """
    plain = name_series(identity, fields, word, folder)
    own = [(run.get("probe") is None, series != plain, series)
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
