"""The logs of a folder, read back: a JSON and a CSV file for each run.

training/run.py writes them, and says what is in them. Reading them takes no torch.
"""

import csv
import gc
import json
import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import combinations
from pathlib import Path

import numpy as np

from lab.command import nearest
from lab.files import RunError
from lab.runs.identity import COUNTS, describe_codes, describe_differences, find_differences

KEYS = {"seed", "recipe", "data", "evaluated_on"}  # in every JSON and every checkpoint
LOG_KEYS = KEYS | {"parameters", "final", "complete", "errors"}
SEED = "-seed"  # between the name of a series and the seed of a run
NAME = re.compile(rf"(.+){SEED}(0|[1-9]\d*)\.json")  # (series, seed)


def name_run(series, seed):
    """What a run is called, and what its files begin with."""
    return f"{series}{SEED}{seed}"


def find_logs(log_dir):
    """The JSON files of a folder, unread: {series: [path, ...]}, and a list of what is passed over.

    A run has a name of the form `<series>-seed<seed>`, so that no copy counts as another run.
    Hidden files do not count, and are not in the list either.
    """
    found, others = {}, []
    for path in sorted(Path(log_dir).glob(f"[!.]*{SEED}*.json"), key=str):
        if match := NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append(path)
        else:
            others.append(path)
    return dict(sorted(found.items())), others


def read_log(path):
    """The content of a run's JSON; {} if it is missing or none of ours."""
    try:
        log = json.loads(path.read_text("utf-8-sig"))
        if log.keys() >= LOG_KEYS:
            return {**log, "recipe": {**log["recipe"]}}
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    return {}


def read_run(path):
    """What `path`, the JSON of a run, holds, and as "history" the rows of the CSV beside it.

    Raises RunError if one of the two cannot be read, or is of another seed than its name says.
    """
    log, table = read_log(path), path.with_suffix(".csv")
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
        if not columns[:len(log["final"])] == list(log["final"]):
            raise ValueError(f"its columns are {columns}")
        # A column that is younger, or older, than a row is empty there.
        history = [{name: float(cell) for name, cell in zip(columns, row, strict=True) if cell}
                   for row in rows]
        epochs = log["final"]["epoch"]  # while a run is trained, its CSV may be an epoch ahead
        if len(history) != epochs and (log["complete"] or len(history) < epochs):
            raise ValueError(f"{len(history)} epochs of {epochs}")
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{table}: cannot be read as a log of main.py: {error}; if its checkpoint "
                       "is there, the command that trained it writes it anew") from None
    return history[:epochs]


def read_series(paths):
    """The runs of one series, from their JSON files, by seed: each its JSON and its "history".

    Unfinished runs are among them. `history` is a list of dicts of numbers, one for each epoch.
    Raises RunError if a file cannot be read, or if two runs differ in more than seed and code. Only
    the user's word joins runs of different code, and `identity.describe_codes` tells it.
    """
    found = sorted(map(read_run, paths), key=lambda run: run["seed"])
    series = NAME.fullmatch(paths[0].name)[1]
    kinds = {}  # the first run of each kind: most series have one kind
    for run in found:
        what = [run.get(key) for key in ("recipe", "data", "evaluated_on", *COUNTS)]
        kinds.setdefault(json.dumps(what, sort_keys=True), run)
    for one, other in combinations(kinds.values(), 2):
        differences = find_differences(other, one)
        differences.pop("code", None)
        if differences:
            names = [name_run(series, run["seed"]) for run in (other, one)]
            raise RunError(f"{paths[0].parent}: {' and '.join(names)} differ in "
                           f"{describe_differences(differences)}: not averaged")
    return found


# Numbers and words

def count_errors(row, examples):
    """Misread images in a row of the log, of `examples` that were measured."""
    return round((1 - row["test_accuracy"]) * examples)


def count_examples(run):
    """How many images a run is measured on. For validation it is a sixth of the training images."""
    size = run["data"][run["evaluated_on"]]["size"]
    return size // 6 if run["evaluated_on"] == "validation" else size


def fixed(number, form=".2f"):
    """A number as text in a format such as ".2f" or "+.2f", rounded half up: 99.215 is "99.22".

    As a float, 99.215 may lie a little below or above, which must not decide. So the number is
    rounded to 9 digits first: means of counts of errors are never that close to a half otherwise.
    """
    with localcontext(rounding=ROUND_HALF_UP):
        return format(Decimal(f"{number:.9f}"), form)


def spread(values):
    """Mean ± standard deviation (n - 1), as text."""
    deviation = f" ± {fixed(np.std(values, ddof=1))}" if len(values) > 1 else ""
    return f"{fixed(np.mean(values))}{deviation}"


def read_all(log_dir, names):
    """Reads the series in `names`, or all series of the folder if there are no names.

    Returns {name: [run, ...]}, and a line for each series or file that is left out. Raises RunError
    if the folder has no run.
    """
    there, others = find_logs(log_dir)
    found, complaints = {}, [] if names else [
        f"{path}: passed over, since runs are called <series>-seed<seed>" for path in others]
    if not there:
        raise RunError(f"{log_dir}: no run in it; python main.py makes one")
    gc.disable()  # the logs of thousands of runs are millions of objects, none of them garbage
    try:
        for name in names or there:
            try:
                if name not in there:
                    hint = nearest(name, there) or f"; there are {', '.join(there)}"
                    raise RunError(f"{log_dir}: no series {name}{hint}")
                found[name] = read_series(there[name])
            except RunError as error:
                complaints.append(str(error))
    finally:
        gc.enable()
    return found, complaints


def finished(series):
    """The finished runs of one series."""
    return [run for run in series if run["complete"]]


def finished_series(found):
    """Keeps the finished runs of each series, and the series that have any: {name: [run, ...]}."""
    return {name: done for name, series in found.items() if (done := finished(series))}


def progress(run):
    """How far an unfinished run is, in words."""
    return f"{len(run['history'])} of {run['recipe']['epochs']} epochs so far"


def accuracies(series):
    """The accuracy of each run after its last epoch, in percent: float (runs,)."""
    return np.array([100 * run["final"]["test_accuracy"] for run in series])


def error_counts(series):
    """The number of images that each run misreads after its last epoch: int (runs,)."""
    return np.array([count_errors(run["final"], count_examples(run)) for run in series])


def mean_errors(series):
    """The mean number of errors, in words: "1,316.5", or "90" of a single run."""
    return fixed(error_counts(series).mean(), ",.1f" if len(series) > 1 else ",.0f")


def extent(series):
    """The mean, the lowest and the highest number of errors, in words: "78.7 (66 to 90)"."""
    counts = error_counts(series)
    low, high = counts.min(), counts.max()
    return mean_errors(series) + (f" ({low:,} to {high:,})" if low < high else "")


def locate(name, log_dir):
    """The folder and the name of a series that is given as its name in `log_dir` or folder/name."""
    path = Path(name)
    return log_dir if path.name == name else path.parent, path.name


def find_series(name, log_dir):
    """Reads the finished runs of a series, given as `locate` takes it.

    Raises RunError if the series cannot be read or has no finished run.
    """
    folder, name = locate(name, log_dir)
    found, complaints = read_all(folder, [name])
    if complaints:
        raise RunError(complaints[0])
    if not (series := finished(found[name])):
        states = ", ".join(f"seed {run['seed']}: {progress(run)}" for run in found[name])
        raise RunError(f"{folder}: {name} has no finished run ({states})")
    return series


def describe_runs(runs):
    """What came of finished runs of one series, as text: their last accuracies and errors."""
    codes = describe_codes(runs)
    line = (f"{runs[0]['evaluated_on']} accuracy {spread(accuracies(runs))} % "
            f"({mean_errors(runs)} errors of {count_examples(runs[0]):,})")
    return f"{line}, trained by {codes}" if codes else line
