"""The seeds of a command: one after another, or side by side in a process each (`--jobs`).

Such a process is what a user would start, the same command with `--seed`. Nothing is shared but the
folders, where the locks of runs.py keep processes apart: this command's, and any other's.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from tqdm import tqdm

from lab import runs
from lab.runs import RunError


def train_all(series, members, train, args, script, argv):
    """Trains the runs that are not finished and prints what came of each, and of all.

    train(run, label) trains a run in this process. With --jobs, `python script *argv --seed N`
    does, in so many processes at a time. A run that fails does not take the others with it; with
    several, those that another process is at work on are left to it.

    Raises RunError that names every run that failed.
    """
    faults, waiting, trained = [], [], False
    for number, run in enumerate(members, start=1):
        label = f"seed {number} of {len(members)}" if args.seeds else run.name
        try:
            words = "--restart trains it again"
            if args.restart or not (log := run.read_finished()):
                if args.jobs > 1:
                    waiting.append(run)
                    continue
                with run.lock():
                    if args.restart or not run.read_finished():  # by another process, just now
                        train(run, label)
                        words, trained = f"log {run.csv}, weights {run.checkpoint}", True
                log = run.read_finished()
            print(f"{run.name}: finished, {describe([log])}; {words}")
        except RunError as error:
            faults.append(str(error))
    if waiting:
        faults += train_side_by_side(waiting, args.jobs, script, argv)
    if args.seeds:
        logs = []
        for run in members:
            with contextlib.suppress(RunError):  # it is among the faults
                logs.append(run.read_finished())
        for fault in faults:
            if runs.BUSY in fault:
                print(f"{fault}: passed over")
        if logs := [log for log in logs if log]:
            print(f"{series}: {describe(logs)}, {len(logs)} seed(s)")
        faults = [fault for fault in faults if runs.BUSY not in fault]
    if faults:
        raise RunError("; ".join(faults))
    if waiting or trained:
        folder = f'"{args.log_dir}"' if " " in str(args.log_dir) else args.log_dir
        print(f"draw the curves with: python plot.py --log-dir {folder}")


def train_side_by_side(members, jobs, script, argv):
    """`jobs` processes at a time, each with its share of the cores; returns the faults.

    One bar shows the epochs of all. Interrupted, it interrupts all, and they save what they have.
    """
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--seeds")
    ours.add_argument("--jobs")
    command = [sys.executable, script, *ours.parse_known_args(argv)[1], "--seed"]
    threads = max(1, torch.get_num_threads() // jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1",
                   "PYTHONIOENCODING": "utf-8"}
    processes, stopping = [], threading.Event()

    def train(run):
        line = f"{run.name}: never began"
        if stopping.is_set():
            return line
        with subprocess.Popen([*command, str(run.summary["seed"])], env=environment,
                              encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True) as process:  # Ctrl-C is this process's
            processes.append(process)
            if stopping.is_set():  # only just, after the others were told to end
                process.terminate()
            for line in process.stdout:
                bar.update(line.startswith("epoch "))
                if ": finished, " in line:
                    tqdm.write(line.rstrip())
        if process.returncode < 0:
            return f"{run.name}: killed by signal {-process.returncode}"
        return line.strip().removeprefix("main.py: ") if process.returncode else None

    total = sum(run.summary["recipe"]["epochs"] for run in members)
    with (tqdm(total=total, unit="epoch", leave=False, disable=None) as bar,
          ThreadPoolExecutor(jobs) as pool):
        try:
            return [fault for fault in pool.map(train, members) if fault]
        except BaseException:
            stopping.set()
            for process in processes:
                process.terminate()
            raise


def describe_epoch(run):
    """The last epoch of a run, in words."""
    row, epochs = run.history[-1], run.summary["recipe"]["epochs"]
    return (f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}"
            f"  train loss {row['train_loss']:.4f} acc {100 * row['train_accuracy']:.2f} %"
            f"  {run.summary['evaluated_on']} loss {row['test_loss']:.4f}"
            f" acc {100 * row['test_accuracy']:.2f} %"
            f" ({runs.count_errors(row, runs.count_examples(run.summary))} errors)"
            f"  {row['seconds']:.1f} s")


def describe(logs):
    """What came of runs of one series, in words: their last accuracies and errors."""
    size = runs.count_examples(logs[0])
    errors = statistics.mean(runs.count_errors(log["final"], size) for log in logs)
    accuracies = runs.spread([100 * log["final"]["test_accuracy"] for log in logs])
    return f"{logs[0]['evaluated_on']} accuracy {accuracies} % ({errors:g} errors of {size:,})"
