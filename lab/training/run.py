"""A run: its lock and its files, written after every epoch, and read back to resume.

<log-dir>/<run>.csv          a row for each epoch
<log-dir>/<run>.json         identity, environment, last row, errors
<checkpoint-dir>/<run>.pt    all of that, the weights, and the state of whatever else was given

The checkpoint is written first, and it rules: the other two can be rebuilt from it. What a run is
is said in runs/identity.py, and what it is called in names.py.
"""

import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lab import machine
from lab.files import RunError, write_atomically
from lab.runs.checkpoints import blaming, load_states, read_checkpoint, unwrap
from lab.runs.identity import describe_code, explain_refusal, find_differences
from lab.runs.series import SEED, describe_runs, find_logs, read_history, read_log
from lab.training.answers import examine

FEW_STEPS = 100  # in all; LeNet-5 learns little in fewer


@dataclass
class Run:
    """One run: what it is, what has come of it so far, and its files."""

    log_dir: Path
    checkpoint_dir: Path
    name: str
    identity: dict  # its seed included; `begin` adds the numbers of images and of parameters
    restart: bool = False  # train it from the beginning, whatever there is
    same_code: bool = False  # the user says that other code trains the same
    parts: dict = field(default_factory=dict)  # what has a state_dict, by name
    history: list = field(default_factory=list)  # a dict for each epoch, a row of the CSV
    answers: dict = field(default_factory=dict)  # after the last of them, see answers.examine
    environments: list = field(default_factory=list)  # the first, then those it was resumed in
    complete: bool = False  # whether its loop has ended
    guess: float = 0.0  # the accuracy of who always says the commonest label
    held: bool = False  # whether another program keeps the log from being written
    fault: RunError | None = None  # why it could not be trained

    def __post_init__(self):
        self.series = self.name.rpartition(SEED)[0]
        self.epochs = self.identity["recipe"]["epochs"]
        self.seed, self.measured = map(self.identity.get, ("seed", "evaluated_on"))
        self.csv, self.json = (self.log_dir / f"{self.name}.{kind}" for kind in ("csv", "json"))
        self.checkpoint = self.checkpoint_dir / f"{self.name}.pt"

    def check(self, other, path):
        """Raises RunError if `other`, read from `path`, is not this run."""
        if found := self.find_differences(other):
            raise explain_refusal(self.name, found)
        if other["seed"] != self.seed:
            raise RunError(f"{path}: is of seed {other['seed']}, not {self.seed}")

    def find_differences(self, other):
        """`identity.find_differences`, but for code of which the user says that it is the same."""
        found = find_differences(other, self.identity)
        return {key: found[key] for key in found if key != "code" or not self.same_code}

    def read_finished(self):
        """The content of its log if the run is finished, else {}.

        A log that cannot be read is not finished: the checkpoint rules, and it is written anew.
        Raises RunError if it is of another run, or cannot be read and there is no checkpoint.
        """
        log = read_log(self.json)
        if not log.get("complete"):
            return {}
        self.check(log, self.json)
        try:
            return {**log, "history": read_history(log, self.csv)}
        except RunError:
            if self.checkpoint.exists():
                return {}
            raise

    def rebuild(self):
        """Writes the log from the checkpoint if that is finished. Returns whether it is."""
        if self.restart or not self.checkpoint.exists():
            return False
        saved = read_checkpoint(self.checkpoint)
        self.check(saved, self.checkpoint)
        if complete := bool(saved.get("complete")):
            self.take(saved)
            self.write_log()
            print(f"{self.name}: all epochs are in {self.checkpoint}; the log is written from it")
        return complete

    def take(self, saved):
        """Takes over what a checkpoint knows of the run. Raises RunError if it is damaged."""
        with blaming(self.checkpoint):
            self.history, self.complete = saved["history"], saved["complete"]
            self.answers = {key: saved[key] for key in ("errors", "calibration")}
            self.environments = [saved["environment"], *saved.get("resumed", [])]
            self.identity |= {key: saved[key] for key in ("code", "images", "parameters")}
            epochs = [row["epoch"] for row in self.history]
            if not epochs or epochs != [*range(1, len(epochs) + 1)]:
                raise ValueError("history")

    def begin(self, images, **parts):
        """Says what is trained, and loads the checkpoint if there is one to resume from.

        images: how many train it. parts: all that changes in training, each with a state_dict, by
        name: model=model, optimizer=optimizer, and, for example, ema=ema. What is not given is not
        kept, and a resumed run lacks it. Raises RunError, see `restore`.
        """
        self.parts = {name: unwrap(part) for name, part in parts.items()}
        model, recipe = self.parts["model"], self.identity["recipe"]
        weights = list(model.parameters())
        self.identity |= {"images": images, "parameters": sum(map(torch.numel, weights))}
        device = str(weights[0].device)
        self.environments = [machine.environment(device)]
        print(f"{self.name}: {type(model).__name__}, {self.identity['parameters']:,} parameters, "
              f"{images:,} images, {device}, threads: {torch.get_num_threads()}")
        if recipe["bf16"] and machine.emulates_bf16(device):
            print(f"{self.name}: this CPU emulates bfloat16; --no-bf16 would be faster")
        steps = self.epochs * math.ceil(images / recipe["batch_size"])
        if steps < FEW_STEPS:
            print(f"{self.name}: {steps} steps in all are few to learn in; more --epochs or a "
                  "smaller --batch-size make more")
        self.check_series()
        if self.checkpoint.exists():
            self.refuse_other() if self.restart else self.restore()

    def check_series(self):
        """Raises RunError if the runs beside this one have other settings, or other data."""
        for path in find_logs(self.log_dir)[0].get(self.series, []):
            if path != self.json and (other := read_log(path)):
                found = find_differences(other, self.identity)
                if found.keys() - {"code"}:  # code has been compared when the name was chosen
                    raise explain_refusal(path.stem, found)
                return

    def refuse_other(self):
        """Raises RunError if --restart would replace the checkpoint of other settings."""
        try:
            saved = read_checkpoint(self.checkpoint)
        except RunError:  # one that is damaged may be replaced
            return
        found = find_differences(saved, self.identity)
        if found.keys() - {"code"}:
            raise explain_refusal(self.checkpoint, found)

    def restore(self):
        """Loads the checkpoint into this run and its parts, and says so.

        Raises RunError if the checkpoint is damaged, not one of main.py's, or of another run.
        """
        here, code = self.environments[0], self.identity["code"]
        saved = read_checkpoint(self.checkpoint)
        self.check(saved, self.checkpoint)
        with blaming(self.checkpoint):
            load_states(self.parts, saved)
        self.take(saved)
        done, last = len(self.history), self.environments[-1]
        line = f"{self.name}: resumes after epoch {done} of {self.epochs}"
        changed = [key for key in ("torch", "device", "cpu", "threads")
                   if last.get(key) != here[key]]
        if changed:
            line += ("; not bit-identical to an unstopped run, since this has changed: "
                     f"{', '.join(changed)}")
        if code != self.identity["code"]:
            line += f"; with other code ({describe_code(self.identity['code'], code)})"
            here["code"] = code
        if changed or "code" in here:
            self.environments.append({"after_epoch": done, **here})
        print(line)
        self.update_log()

    def record(self, logits, labels, **row):
        """Keeps an epoch: in the history, the checkpoint and the log.

        logits (N, 10), labels (N,): what the net answers after this epoch, and what is right.
        row: a row of the CSV, numbers by name. Raises RunError if a loss is not finite, a file
        cannot be written, or another recipe has taken the name while the first epoch was trained.
        """
        epoch = row["epoch"]
        if not math.isfinite(row["train_loss"] + row["test_loss"]):
            kept = f"; {self.checkpoint} holds the epochs before" * (epoch > 1)
            raise RunError(f"{self.name}: the loss is not finite in epoch {epoch}, at a learning "
                           f"rate of up to {row['learning_rate']:g}{kept}")
        self.history.append({key: value.item() if isinstance(value, torch.Tensor) else value
                             for key, value in row.items()})
        self.answers = examine(logits, labels)
        self.guess = labels.bincount().max().item() / len(labels)
        outdated = ()
        if epoch == 1:
            self.check_series()
            outdated = (self.json, self.csv)  # of the run that a restart replaces
        self.save(outdated)
        self.update_log()
        if epoch == 1 and machine.is_busy():
            print(f"{self.name}: other programs keep this machine busy; OMP_NUM_THREADS=1 may be "
                  "several times as fast")

    def finish(self):
        """Marks the run as complete: its loop has ended. Says what has come of it."""
        if not self.history:
            raise RunError(f"{self.name}: no epoch was trained")
        self.complete = True
        self.save()
        self.write_log()
        log = {**self.summarise(), "final": self.history[-1]}
        print(f"{self.name}: finished, {describe_runs([log])}; log {self.csv}, weights "
              f"{self.checkpoint}")
        if self.history[-1]["test_accuracy"] <= self.guess:
            print(f"{self.name}: no better than guessing the commonest digit; a lower --lr may "
                  "help")

    def save(self, outdated=()):
        """Writes the checkpoint. outdated: files that it makes so."""
        states = {name: part.state_dict() for name, part in self.parts.items()}
        torch.save({**self.summarise(), "model": states.pop("model"), "state": states,
                    "epoch": len(self.history), "history": self.history,
                    "complete": self.complete, **self.answers}, buffer := io.BytesIO())
        write_atomically(self.checkpoint, buffer.getvalue(), outdated)

    def update_log(self):
        """Writes the log. While the run is unfinished, this may fail where a file is held open.

        On Windows a spreadsheet does that. The checkpoint is written, and the log follows.
        """
        try:
            self.write_log()
        except RunError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            if not self.held:
                print(f"{error}; training continues, the log follows when it can be written")
            self.held = True

    def summarise(self):
        """What its JSON and its checkpoint begin with."""
        first, *others = self.environments
        return {**self.identity, "environment": first, **({"resumed": others} if others else {})}

    def write_log(self):
        """Writes CSV and JSON. They hold nothing that the checkpoint does not hold."""
        columns = dict.fromkeys(name for row in reversed(self.history) for name in row)
        rows = [[f"{row[name]:.6g}" if name in row else "" for name in columns]
                for row in self.history]
        lines = [",".join(row) for row in [columns, *rows]]
        write_atomically(self.csv, ("\n".join(lines) + "\n").encode())
        content = {**self.summarise(), "final": self.history[-1], "complete": self.complete,
                   **self.answers}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
        write_atomically(self.json, ("{" + ",\n ".join(lines) + "}\n").encode())
