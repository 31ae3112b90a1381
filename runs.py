"""The files of a run: written so that they are whole at any instant, and read back for all seeds.

<log-dir>/<run>.csv          a row an epoch
<log-dir>/<run>.json         model, seed, recipe, data, environment, final row, errors
<checkpoint-dir>/<run>.pt    weights, optimizer state and history: all that resuming needs

A run is called `<series>-seed<seed>`. CSV and JSON hold nothing that the checkpoint does not.
"""

import contextlib
import csv
import io
import json
import os
import platform
import re
import statistics
import zipfile
from pathlib import Path

import torch


class RunError(Exception):
    """A run cannot start, go on or be read. The message is one line."""


def name_series(model, changed, validate, data_dir):
    """`<model>-<what differs>`, such as lenet-epochs1-lr0.05-validate.

    changed: {field: value} that differs from the recipe; data_dir: a folder of other data, or None.
    """
    parts = [model, *(f"{field}{value}" for field, value in changed.items() if field != "augment")]
    if "augment" in changed:
        parts.append("augment" if changed["augment"] else "no_augment")
    if validate:
        parts.append("validate")
    if data_dir:
        parts.append(re.sub(r"\W+", "_", data_dir.resolve().name))
    return "-".join(parts)


def count_errors(row, examples):
    """Misread images in a row of the log, of `examples` that were measured."""
    return round((1 - row["test_accuracy"]) * examples)


def describe(rows, examples):
    """Last rows of the logs of some seeds in words: accuracy as mean ± std (n-1), and errors."""
    accuracies = [100 * row["test_accuracy"] for row in rows]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(rows) > 1 else ""
    errors = statistics.mean(count_errors(row, examples) for row in rows)
    return (f"{statistics.mean(accuracies):.2f}{spread} % ({errors:g} errors of {examples:,}), "
            f"{len(rows)} seed(s)")


def make_folder(path):
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror}") from None


def write_atomically(path, content):
    """Puts bytes in place whole or not at all, also when killed or when the disk is full."""
    temporary = path.with_name(path.name + ".tmp")  # a fixed name: leftovers are overwritten
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def save_checkpoint(path, content):
    """Writes a dict of tensors and plain values for `torch.load(path, weights_only=True)`."""
    torch.save(content, buffer := io.BytesIO())
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path):
    """Reads what save_checkpoint wrote, onto the CPU. Fails in many ways on any other file."""
    with zipfile.ZipFile(path) as archive:  # torch.load does not compare the checksums
        if damaged := archive.testzip():
            raise ValueError(damaged)
    return torch.load(path, weights_only=True, map_location="cpu")


def restore(path, identity, model, optimizer):
    """Loads a checkpoint into model and optimizer; returns its history and errors.

    Raises RunError if it is damaged, not ours, or of another seed, recipe or data than `identity`.
    """
    try:
        checkpoint = load_checkpoint(path)
        theirs, ours = ({"seed": which["seed"], **which["recipe"], **which["data"]}
                        for which in (checkpoint, identity))
        differing = [key for key in ours if theirs.get(key) != ours[key]]
        if not differing:
            model.load_state_dict(checkpoint["model"])
            optimizer.load_state_dict(checkpoint["optimizer"])
            history = checkpoint["history"]
            if history[-1]["epoch"] != len(history):
                raise ValueError("history")
            return history, checkpoint["errors"]
    except Exception as error:  # a file that is not ours fails anywhere, in any way
        raise RunError(f"{path}: damaged, or not a checkpoint of main.py "
                       f"({type(error).__name__})") from None
    key = differing[0]
    raise RunError(f"{path}: was made with {key} {theirs.get(key)}, not {ours[key]}")


def write_log(log_dir, name, summary, history, errors):
    """Writes a run's CSV and JSON. `history` holds a dict an epoch, `errors` the misread images."""
    lines = [",".join(history[0])]
    lines += [",".join(f"{value:.6g}" for value in row.values()) for row in history]
    write_atomically(log_dir / f"{name}.csv", ("\n".join(lines) + "\n").encode())
    complete = len(history) == summary["recipe"]["epochs"]
    content = {**summary, "final": history[-1], "complete": complete, "errors": errors}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    write_atomically(log_dir / f"{name}.json", ("{" + ",\n ".join(lines) + "}\n").encode())


def read_summary(path):
    """What a run's JSON holds; an empty dict if it is missing or not one of ours."""
    try:
        summary = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    needed = {"seed", "recipe", "data", "evaluated_on", "parameters", "final", "complete", "errors"}
    return summary if isinstance(summary, dict) and needed <= summary.keys() else {}


def find_complete(log_dir, name, identity):
    """The JSON of a complete run of just this identity; None if there is none."""
    summary = read_summary(log_dir / f"{name}.json")
    same = summary.get("complete") and identity.items() <= summary.items()
    return summary if same and (log_dir / f"{name}.csv").exists() else None


def list_series(log_dir):
    """The names of all series in a folder, sorted. Raises RunError where there is none."""
    found = (re.fullmatch(r"(.+)-seed\d+\.json", path.name) for path in Path(log_dir).glob("*"))
    names = sorted({match[1] for match in found if match})
    if not names:
        raise RunError(f"{log_dir}: no run in it; python main.py makes one")
    return names


def read_series(log_dir, name, defaults):
    """The runs of one series by seed, finished or not, each its JSON and "history".

    `history` is a list of dicts of floats, one an epoch. A field that came after a run was made
    counts as its default in `defaults`.

    Raises RunError if a file is broken, or runs differ in anything but their seed.
    """
    series = []
    for path in Path(log_dir).glob("*.json"):
        if not re.fullmatch(re.escape(name) + r"-seed\d+\.json", path.name):
            continue
        summary = read_summary(path)
        if not summary:
            raise RunError(f"{path}: damaged, or not a log of main.py")
        table, epochs = path.with_suffix(".csv"), summary["final"]["epoch"]
        try:
            rows = csv.DictReader(table.read_text("utf-8").splitlines())
            if rows.fieldnames != list(summary["final"]):
                raise ValueError(f"its columns are {rows.fieldnames}")
            # The table is written first, so it may be an epoch ahead.
            history = [{key: float(value) for key, value in row.items()} for row in rows][:epochs]
            if len(history) != epochs:
                raise ValueError(f"{len(history)} epochs of {epochs}")
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{table}: cannot be read as a log of main.py: {error}") from None
        summary["recipe"] = {**defaults, **summary["recipe"]}
        series.append({**summary, "history": history})
    series.sort(key=lambda run: run["seed"])
    for run in series:
        for key in ("recipe", "data", "evaluated_on", "probe"):
            if run.get(key) != series[0].get(key):
                difference = describe_difference(run.get(key), series[0].get(key))
                raise RunError(
                    f"{log_dir}: {name}-seed{run['seed']} and {name}-seed{series[0]['seed']} "
                    f"differ in {difference}: not averaged")
    return series


def describe_difference(one, other):
    """Which fields of two recipes (or other JSON values) differ, in words."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return f"{one} and {other}"
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return ", ".join(f"{key} ({one.get(key)} and {other.get(key)})" for key in keys)


def environment(device):
    """What a run was made on and with."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    return {
        "torch": str(torch.__version__),  # a TorchVersion would not load with weights_only
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "cpu": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
    }
