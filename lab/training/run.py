"""The runs in a folder: each with its lock and its files, written and read back.

<log-dir>/<run>.csv          a row for each epoch
<log-dir>/<run>.json         identity, parameters, environment, last row, errors
<checkpoint-dir>/<run>.pt    all of that, the weights and the optimizer's state

The checkpoint is written first, and it rules: the other two can be rebuilt from it. What a run is
is said in runs/identity.py, and what it is called in names.py.
"""

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lab import machine
from lab.files import RunError, write_atomically
from lab.runs.checkpoints import blaming, read_checkpoint
from lab.runs.identity import explain_refusal, find_differences
from lab.runs.series import count_errors, count_examples, find_logs, read_history, read_log
from lab.training.answers import examine
from lab.training.locks import lock

EDITED = "model.py, dataset.py, main.py or Python has changed since; the probe finds no difference"


@dataclass(frozen=True)
class Place:
    """Where runs lie. `defaults` is {field: value}, for recipes that are older than a field."""

    log_dir: Path
    checkpoint_dir: Path
    defaults: dict


@dataclass
class Run:
    """One run: what it is, what has come of it so far, and its files."""

    place: Place
    name: str
    identity: dict  # its seed included
    history: list = field(default_factory=list)  # a dict for each epoch, a row of the CSV
    answers: dict = field(default_factory=dict)  # after the last of them, see answers.examine
    parameters: int = 0
    environments: list = field(default_factory=list)  # the first, then those it was resumed in
    restart: bool = False  # train it from the beginning, whatever there is
    edited: bool = False  # whether what there is was trained by code that has been edited since
    held: bool = False  # whether another program keeps the log from being written
    tell: Callable = print  # what to do with a line for the user
    tell_epoch: Callable = print  # the same, for the line after an epoch

    def __post_init__(self):
        self.csv, self.json = (
            self.place.log_dir / f"{self.name}.{kind}" for kind in ("csv", "json"))
        self.checkpoint = self.place.checkpoint_dir / f"{self.name}.pt"

    @property
    def seed(self):
        return self.identity["seed"]

    @property
    def series(self):
        return self.name.rpartition("-seed")[0]

    @property
    def epochs(self):
        return self.identity["recipe"]["epochs"]

    def lock(self):
        """Keeps other processes off this run while the block runs. Raises Busy and RunError."""
        return lock(self.name, (self.place.log_dir, self.place.checkpoint_dir), self.tell)

    def check(self, other, path):
        """Raises RunError if `other`, read from `path`, is not this run."""
        if found := find_differences(other, self.identity):
            raise explain_refusal(self.name, found)
        if other["seed"] != self.seed:
            raise RunError(f"{path}: is of seed {other['seed']}, not {self.seed}")
        self.edited = other.get("code") != self.identity.get("code")

    def read_finished(self):
        """The content of its log if the run is finished, else {}.

        A log that cannot be read is not finished: the checkpoint rules, and it is written anew.
        Raises RunError if it is of another run, or cannot be read and there is no checkpoint.
        """
        log = read_log(self.json, self.place.defaults)
        if not log.get("complete"):
            return {}
        self.check(log, self.json)
        try:
            return {**log, "history": read_history(log, self.csv)}
        except RunError:
            if self.checkpoint.exists():
                return {}
            raise

    def begin(self, model, optimizer, images, device):
        """Says what is trained where, and loads the checkpoint if there is one to resume from.

        images: the number of training images. Raises RunError, see `restore`.
        """
        self.parameters = sum(p.numel() for p in model.parameters())
        self.environments = [machine.environment(device)]
        self.tell(f"{self.name}: {type(model).__name__}, {self.parameters:,} parameters, "
                  f"{images:,} images, {device}, {torch.get_num_threads()} thread(s)")
        if self.identity["recipe"]["bf16"] and machine.emulates_bf16(device):
            self.tell(f"{self.name}: this CPU emulates bfloat16; --no-bf16 would be faster")
        if not self.restart and self.checkpoint.exists():
            self.tell(self.restore(model, optimizer))

    def restore(self, model, optimizer):
        """Loads the checkpoint into model, optimizer and this run; returns a line about it.

        Raises RunError if the checkpoint is damaged, not one of main.py's, or of another run.
        """
        saved = read_checkpoint(self.checkpoint, self.place.defaults)
        self.check(saved, self.checkpoint)
        with blaming(self.checkpoint):
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            for weight, state in optimizer.state.items():
                momentum = state.get("momentum_buffer")
                if momentum is not None and momentum.shape != weight.shape:
                    # The fused step does not look: it would write beyond the end of the buffer.
                    raise ValueError(f"a momentum of {tuple(momentum.shape)} for a weight of "
                                     f"{tuple(weight.shape)}")
            self.history = saved["history"]
            self.answers = {key: saved[key] if key == "errors" else saved.get(key, [])
                            for key in ("errors", "calibration")}  # older ones lack the latter
            if self.history[-1]["epoch"] != len(self.history):
                raise ValueError("history")
            environments = [saved["environment"], *saved.get("resumed", [])]
        here, done = self.environments[0], len(self.history)
        line = f"{self.name}: resumes after epoch {done} of {self.epochs}"
        changed = [key for key in ("torch", "device", "cpu", "threads")
                   if environments[-1].get(key) != here[key]]
        if done == self.epochs:
            line = f"{self.name}: all epochs are in {self.checkpoint}; the log is written from it"
        elif changed:
            environments.append({"after_epoch": done, **here})
            line += ("; not bit-identical to an unstopped run, since this has changed: "
                     f"{', '.join(changed)}")
        if self.edited:
            line += f"; {EDITED}"
        self.environments = environments
        self.update_log()
        return line

    def record(self, model, optimizer, logits, labels, **row):
        """Keeps an epoch: in the history, the checkpoint and the log, and as a line of output.

        logits (N, 10), labels (N,): what the net answers after this epoch, and what is right.
        row: a row of the CSV.
        Raises RunError if a loss is not finite, a file cannot be written, or another recipe has
        taken the name while the first epoch was trained.
        """
        epoch = row["epoch"]
        if not math.isfinite(row["train_loss"] + row["test_loss"]):
            kept = f"; {self.checkpoint} holds the epochs before" * (epoch > 1)
            raise RunError(f"{self.name}: the loss is not finite in epoch {epoch}, at a learning "
                           f"rate of up to {row['learning_rate']:g}{kept}")
        self.history.append(row)
        self.answers = examine(logits, labels)
        outdated = ()
        if epoch == 1:
            self.check_name()
            outdated = (self.json, self.csv)  # of the run that a restart replaces
        torch.save({**self.summarise(), "model": model.state_dict(), "epoch": epoch,
                    "optimizer": optimizer.state_dict(), "history": self.history,
                    **self.answers}, buffer := io.BytesIO())
        write_atomically(self.checkpoint, buffer.getvalue(), outdated)
        self.update_log()
        self.tell_epoch(describe_epoch(self))

    def update_log(self):
        """Writes the log. While the run is unfinished, this may fail where a file is held open.

        On Windows a spreadsheet does that. The checkpoint is written, and the log follows.
        """
        try:
            self.write_log()
        except RunError as error:
            if len(self.history) == self.epochs or not isinstance(error.__cause__, PermissionError):
                raise
            if not self.held:
                self.tell(f"{error}; training continues, the log follows when it can be written")
            self.held = True

    def check_name(self):
        """Raises RunError if another recipe has taken the name of the series meanwhile."""
        for path in find_logs(self.place.log_dir)[0].get(self.series, []):
            other = read_log(path, self.place.defaults)
            if other and find_differences(other, self.identity).keys() - {"probe"}:
                raise RunError(f"{self.name}: another recipe has taken this name meanwhile; "
                               "the same command again takes another name")

    def summarise(self):
        """What its JSON and its checkpoint begin with."""
        first, *others = self.environments
        return {**self.identity, "parameters": self.parameters, "environment": first,
                **({"resumed": others} if others else {})}

    def write_log(self):
        """Writes CSV and JSON. They hold nothing that the checkpoint does not hold."""
        lines = [",".join(f"{value:.6g}" for value in row.values()) for row in self.history]
        lines = [",".join(self.history[0]), *lines]
        write_atomically(self.csv, ("\n".join(lines) + "\n").encode())
        complete = len(self.history) == self.epochs
        content = {**self.summarise(), "final": self.history[-1], "complete": complete,
                   **self.answers}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
        write_atomically(self.json, ("{" + ",\n ".join(lines) + "}\n").encode())


def describe_epoch(run):
    """The last epoch of a Run, as a line of text."""
    row, measured = run.history[-1], run.identity["evaluated_on"]
    return (f"epoch {row['epoch']:{len(str(run.epochs))}}/{run.epochs}"
            f"  train loss {row['train_loss']:.4f} acc {100 * row['train_accuracy']:.2f} %"
            f"  {measured} loss {row['test_loss']:.4f} acc {100 * row['test_accuracy']:.2f} %"
            f" ({count_errors(row, count_examples(run.identity))} errors)"
            f"  {row['seconds']:.1f} s")
