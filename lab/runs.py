"""The runs in a folder: their identity, name and lock, and their files, written and read back.

<log-dir>/<run>.csv          a row an epoch
<log-dir>/<run>.json         identity, parameters, environment, final row, errors
<checkpoint-dir>/<run>.pt    all of that, weights and optimizer state: written first, it rules

A run is called `<series>-seed<seed>`. What it is, its *identity*, is its recipe, its data, what it
is measured on, its seed, and what the code makes of the recipe (`probe`, see main.py). The runs of
one series differ in the seed only; no other run gets their names.
"""

import contextlib
import csv
import io
import json
import math
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from lab.command import RunError, remove, write_atomically

PROBE_TOLERANCE = 1e-5  # relative; rounding on other machines moves a probe by some 1e-7
BUSY = "another process is at work on it"
KEYS = {"seed", "recipe", "data", "evaluated_on"}  # in every JSON and every checkpoint
LOG_KEYS = KEYS | {"parameters", "final", "complete", "errors"}


@dataclass(frozen=True)
class Place:
    """Where runs lie; `defaults` ({field: value}) completes recipes that are older than a field."""

    log_dir: Path
    checkpoint_dir: Path
    defaults: dict


# What a run is, and what it is called

def find_differences(theirs, ours):
    """{what: (their value, our value)} of all but the seed in which two runs differ.

    A missing probe agrees with any other; logs did not always have one.
    """
    one, other = ({**run["recipe"], "evaluated_on": run["evaluated_on"], **run["data"]}
                  for run in (theirs, ours))
    probes = theirs.get("probe"), ours.get("probe")
    known = None not in probes
    same_code = known and math.isclose(*probes, rel_tol=PROBE_TOLERANCE)
    # A field that the code no longer has does not count where the code does as the field said.
    keys = one.keys() & other.keys() if same_code else {**one, **other}
    found = {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}
    return found if same_code or not known else {**found, "probe": probes}


def describe_differences(differences):
    """What `find_differences` found, in words."""
    return ", ".join(f"{key} ({their} and {our})" for key, (their, our) in differences.items())


def name_series(identity, fields, word, folder):
    """`<model>[-<word>][-<field><value> ...][-validate][-<data folder>]`, as lenet-lr0.05-validate.

    fields: which of the recipe's to tell; they come in the recipe's order.
    """
    parts = [identity["model"], word, *(
        key if value is True else f"no_{key}" if value is False else f"{key}{value}"
        for key, value in identity["recipe"].items() if key in fields)]
    parts += [identity["evaluated_on"] == "validation" and "validate", folder]
    return re.sub(r"[^\w.+-]", "_", "-".join(part for part in parts if part))  # for any system


def choose_name(place, identity, seeds, fields, word, folder, restart):
    """The name of the series of this identity, for runs with these seeds.

    What the log folder calls this identity already; if nothing, what `name_series` makes of
    `fields`, `word` and `folder`, and while another identity has that name, what differs as well.

    Raises RunError where the names cannot differ, since only the code does; not with `restart`.
    """
    logged = {}  # {series: {seed: run}}
    for series, paths in find_logs(place.log_dir).items():
        found = [run for path in paths if (run := read_summary(path, place.defaults))]
        logged[series] = {run["seed"]: run for run in found}
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
            path = place.checkpoint_dir / f"{series}-seed{seed}.pt"
            if seed not in holders and path.exists():
                with contextlib.suppress(RunError):  # what is damaged will be, when it is restored
                    holders[seed] = read_checkpoint(path, place.defaults)
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
            raise refusal(f"{series}-seed{seed}", found)


def refusal(name, differences):
    """The RunError that says why a run called `name` cannot be trained as it is asked for."""
    how = ("by other code" if differences.keys() == {"probe"}
           else f"with other settings: {describe_differences(differences)}")
    return RunError(f"{name} was trained {how}; --name WORD keeps both, --restart replaces it")


# One run

@dataclass
class Run:
    """One run: what it is, what has come of it so far, and its files."""

    place: Place
    name: str
    summary: dict  # its identity, and once it is trained: parameters and environment
    history: list = field(default_factory=list)  # a dict an epoch
    outcome: dict = field(default_factory=lambda: {"errors": [], "calibration": []})  # at its end

    def __post_init__(self):
        self.csv, self.json = (
            self.place.log_dir / f"{self.name}.{kind}" for kind in ("csv", "json"))
        self.checkpoint = self.place.checkpoint_dir / f"{self.name}.pt"

    @contextlib.contextmanager
    def lock(self):
        """Keeps other processes off this run, until this one lets go or ends. Raises RunError."""
        with contextlib.ExitStack() as stack:
            for folder in {file.parent.resolve() for file in (self.json, self.checkpoint)}:
                path = folder / f"{self.name}.lock"
                try:
                    stack.enter_context(FileLock(path, timeout=0))
                except Timeout:
                    raise RunError(f"{self.name}: {BUSY}") from None
                except OSError as error:
                    raise RunError(f"{path}: cannot be locked: {error.strerror}") from None
                stack.callback(remove, path)  # while it is held, so that nobody else's is removed
            yield

    def check(self, other, path):
        """Raises RunError if `other`, read from `path`, is not this run."""
        if found := find_differences(other, self.summary):
            raise refusal(self.name, found)
        if other["seed"] != self.summary["seed"]:
            raise RunError(f"{path}: is of seed {other['seed']}, not {self.summary['seed']}")

    def read_finished(self):
        """Its JSON, if CSV and JSON are there and finished; otherwise {}. Raises RunError."""
        summary = read_summary(self.json, self.place.defaults)
        if not (summary.get("complete") and self.csv.exists()):
            return {}
        self.check(summary, self.json)
        return summary

    def restore(self, model, optimizer):
        """Loads the checkpoint into model, optimizer, history and outcome; returns a line on it.

        Raises RunError if it is damaged, none of ours, or of another run.
        """
        saved = read_checkpoint(self.checkpoint, self.place.defaults)
        self.check(saved, self.checkpoint)
        with blaming(self.checkpoint):
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            self.history = saved["history"]
            self.outcome = {"errors": saved["errors"], "calibration": saved.get("calibration", [])}
            if self.history[-1]["epoch"] != len(self.history):
                raise ValueError("history")
            places = [saved["environment"], *saved.get("resumed", [])]
        now, epochs = self.summary["environment"], self.summary["recipe"]["epochs"]
        line = f"{self.name}: goes on after epoch {len(self.history)} of {epochs}"
        changed = [key for key in ("torch", "device", "cpu", "threads")
                   if places[-1].get(key) != now[key]]
        if len(self.history) == epochs:
            line = f"{self.name}: is whole in {self.checkpoint}"
        elif changed:
            places.append({"after_epoch": len(self.history), **now})
            line += f"; with other {', '.join(changed)} than before, so other bits come of it"
        self.summary["environment"] = places[0]
        if places[1:]:
            self.summary["resumed"] = places[1:]
        self.write_log()
        return line

    def save(self, model, optimizer):
        """Writes what there is after an epoch: first the checkpoint, then the log.

        Raises RunError if another identity took the name while the first epoch was trained.
        """
        outdated = ()
        if len(self.history) == 1:
            series = self.name.rpartition("-seed")[0]
            for path in find_logs(self.place.log_dir).get(series, []):
                other = read_summary(path, self.place.defaults)
                if other and find_differences(other, self.summary).keys() - {"probe"}:
                    raise RunError(f"{self.name}: another recipe has taken this name meanwhile; "
                                   "the same command again takes one of its own")
            # A log that says "complete" does not outlive the checkpoint that was.
            outdated = (self.json, self.csv)
        torch.save({**self.summary, "model": model.state_dict(), "epoch": len(self.history),
                    "optimizer": optimizer.state_dict(), "history": self.history,
                    **self.outcome}, buffer := io.BytesIO())
        write_atomically(self.checkpoint, buffer.getvalue(), outdated)
        self.write_log()

    def write_log(self):
        """Writes CSV and JSON, which hold nothing that the checkpoint does not."""
        lines = [",".join(f"{value:.6g}" for value in row.values()) for row in self.history]
        lines = [",".join(self.history[0]), *lines]
        write_atomically(self.csv, ("\n".join(lines) + "\n").encode())
        complete = len(self.history) == self.summary["recipe"]["epochs"]
        content = {**self.summary, "final": self.history[-1], "complete": complete,
                   **self.outcome}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
        write_atomically(self.json, ("{" + ",\n ".join(lines) + "}\n").encode())


# Reading

@contextlib.contextmanager
def blaming(path):
    """Turns any error into a RunError: a file that is not ours fails anywhere, in any way."""
    try:
        yield
    except Exception as error:
        raise RunError(f"{path}: damaged, or not a checkpoint of main.py "
                       f"({type(error).__name__})") from None


def load_checkpoint(path):
    """Reads a checkpoint, onto the CPU. Fails in many ways on any other file."""
    with zipfile.ZipFile(path) as archive:
        # torch packs nothing; what is packed may unpack to any size.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed")
        if damaged := archive.testzip():  # torch.load does not compare the checksums
            raise ValueError(damaged)
    return torch.load(path, weights_only=True, map_location="cpu")


def read_checkpoint(path, defaults):
    """A checkpoint, its recipe completed. Raises RunError if it is damaged, or none of ours."""
    with blaming(path):
        saved = load_checkpoint(path)
        if not saved.keys() >= KEYS:
            raise ValueError("keys")
        return {**saved, "recipe": {**defaults, **saved["recipe"]}, "data": {**saved["data"]}}


def read_summary(path, defaults):
    """What a run's JSON holds, its recipe completed; {} if it is missing or none of ours."""
    try:
        summary = json.loads(path.read_text("utf-8"))
        if summary.keys() >= LOG_KEYS:
            return {**summary, "recipe": {**defaults, **summary["recipe"]}}
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    return {}


def find_logs(log_dir):
    """The JSON files of a folder, unread: {series: [path, ...]}."""
    found = {}
    for path in Path(log_dir).glob("*-seed*.json"):
        found.setdefault(path.stem.rpartition("-seed")[0], []).append(path)
    return found


def list_series(log_dir):
    """The names of all series in a folder, sorted. Raises RunError if there are none."""
    names = sorted(find_logs(log_dir))
    if not names:
        raise RunError(f"{log_dir}: no run in it; python main.py makes one")
    return names


def read_series(log_dir, name, defaults):
    """The runs of one series, finished or not, by seed: each its JSON and "history".

    `history` is a list of dicts of numbers, one an epoch.
    Raises RunError if there are none, one is broken, or they differ in more than the seed.
    """
    found = []
    for path in find_logs(log_dir).get(name, []):
        summary = read_summary(path, defaults)
        if not summary:
            raise RunError(f"{path}: damaged, or not a log of main.py")
        table = path.with_suffix(".csv")
        try:
            rows = csv.DictReader(table.read_text("utf-8").splitlines())
            if rows.fieldnames != list(summary["final"]):
                raise ValueError(f"its columns are {rows.fieldnames}")
            history = [{key: float(value) for key, value in row.items()} for row in rows]
            epochs = summary["final"]["epoch"]  # of a run that goes on, the table may be ahead
            if len(history) != epochs and (summary["complete"] or len(history) < epochs):
                raise ValueError(f"{len(history)} epochs of {epochs}")
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{table}: cannot be read as a log of main.py: {error}") from None
        found.append({**summary, "history": history[:epochs]})
    if not found:
        raise RunError(f"{log_dir}: no series {name}; there are {', '.join(list_series(log_dir))}")
    found.sort(key=lambda run: run["seed"])
    for run in found:
        if differences := find_differences(run, found[0]):
            raise RunError(
                f"{log_dir}: {name}-seed{run['seed']} and {name}-seed{found[0]['seed']} differ in "
                f"{describe_differences(differences)}: not averaged")
    return found


# Words

def count_errors(row, examples):
    """Misread images in a row of the log, of `examples` that were measured."""
    return round((1 - row["test_accuracy"]) * examples)


def count_examples(run):
    """How many images a run is measured on (of the training images, a sixth is held out)."""
    size = run["data"][run["evaluated_on"]]["size"]
    return size // 6 if run["evaluated_on"] == "validation" else size


def spread(values, digits=2):
    """Mean ± standard deviation (n - 1) in words."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"
