"""The logs of a folder, read back: a JSON and a CSV file for each run.

runs.py writes them, and says what is in them. Reading them takes no torch.
"""

import csv
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np

from lab.command import RunError
from lab.identity import describe_differences, find_differences

KEYS = {"seed", "recipe", "data", "evaluated_on"}  # in every JSON and every checkpoint
LOG_KEYS = KEYS | {"parameters", "final", "complete", "errors"}
NAME = re.compile(r"(.+)-seed(0|[1-9]\d*)\.json")  # (series, seed)


def find_logs(log_dir):
    """The JSON files of a folder, unread: {series: [path, ...]}, and a list of what is passed over.

    A run has a name of the form `<series>-seed<seed>`, so that no copy counts as another run.
    Hidden files do not count, and are not in the list either.
    """
    found, others = {}, []
    for path in sorted(Path(log_dir).glob("[!.]*-seed*.json"), key=str):
        if match := NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append(path)
        else:
            others.append(path)
    return dict(sorted(found.items())), others


def read_log(path, defaults):
    """The content of a run's JSON, its recipe completed; {} if it is missing or none of ours."""
    try:
        log = json.loads(path.read_text("utf-8-sig"))
        if log.keys() >= LOG_KEYS:
            return {**log, "recipe": {**defaults, **log["recipe"]}}
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    return {}


def read_run(path, defaults):
    """What `path`, the JSON of a run, holds, and as "history" the rows of the CSV beside it.

    Raises RunError if one of the two cannot be read, or is of another seed than its name says.
    """
    log, table = read_log(path, defaults), path.with_suffix(".csv")
    if not log:
        raise RunError(f"{path}: damaged, or not a log of main.py")
    if str(log["seed"]) != NAME.fullmatch(path.name)[2]:
        raise RunError(f"{path}: its name says another seed than its content, {log['seed']}")
    return {**log, "history": read_history(log, table)}


def read_history(log, table):
    """The rows of a run's CSV as dicts of numbers, as many as its JSON, `log`, knows of.

    Raises RunError if the CSV cannot be read.
    """
    try:
        # A spreadsheet may have saved the table again, with a mark at its beginning.
        lines = csv.reader(table.read_text("utf-8-sig").splitlines())
        columns, *rows = [line for line in lines if line] or [[]]
        if columns != list(log["final"]):
            raise ValueError(f"its columns are {columns}")
        history = [dict(zip(columns, map(float, row), strict=True)) for row in rows]
        epochs = log["final"]["epoch"]  # while a run is trained, its CSV may be an epoch ahead
        if len(history) != epochs and (log["complete"] or len(history) < epochs):
            raise ValueError(f"{len(history)} epochs of {epochs}")
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{table}: cannot be read as a log of main.py: {error}; if its checkpoint "
                       "is there, the command that trained it writes it anew") from None
    return history[:epochs]


def read_series(paths, defaults):
    """The runs of one series, from their JSON files, by seed: each its JSON and its "history".

    Unfinished runs are among them. `history` is a list of dicts of numbers, one for each epoch.
    Raises RunError if a file cannot be read, or if two runs differ in more than the seed.
    """
    found = sorted((read_run(path, defaults) for path in paths), key=lambda run: run["seed"])
    series = NAME.fullmatch(paths[0].name)[1]
    kinds = {}  # the first run of each kind: most series have one kind
    for run in found:
        what = [run.get(key) for key in ("recipe", "data", "evaluated_on", "code", "probe")]
        kinds.setdefault(json.dumps(what, sort_keys=True), run)
    for one, other in combinations(kinds.values(), 2):
        if differences := find_differences(other, one):
            raise RunError(
                f"{paths[0].parent}: {series}-seed{other['seed']} and {series}-seed{one['seed']} "
                f"differ in {describe_differences(differences)}: not averaged")
    return found


# Words

def count_errors(row, examples):
    """Misread images in a row of the log, of `examples` that were measured."""
    return round((1 - row["test_accuracy"]) * examples)


def count_examples(run):
    """How many images a run is measured on. For validation it is a sixth of the training images."""
    size = run["data"][run["evaluated_on"]]["size"]
    return size // 6 if run["evaluated_on"] == "validation" else size


def spread(values, digits=2):
    """Mean ± standard deviation (n - 1), as text."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"
