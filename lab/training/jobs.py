"""The seeds of a command: trained one after another, or side by side in processes (`--jobs`).

Such a process runs the same command for one seed. The processes share nothing but the folders.
There the locks of locks.py keep them apart, and others too. What a process has to say it prints
as JSON, a line `[kind, text]` each: "epoch", "line", "busy" or "fault".
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from tqdm.auto import tqdm

from lab.command import hide_bar
from lab.files import RunError
from lab.runs.series import count_errors, count_examples, spread
from lab.training.locks import Busy
from lab.training.run import EDITED


def train_all(members, train, args, script, argv):
    """Trains those of the Runs `members` that are not finished; prints what came of each, and all.

    train(run) trains a run in this process. With --jobs N, N processes at a time do it. A run that
    fails does not stop the others. Of several seeds, those that another process is training are
    skipped.

    Raises RunError that names every run that failed.
    """
    if args.child:
        return train_child(*members, train)
    faults, waiting, trained = [], [], []
    for run in members:
        try:
            if not args.restart and (log := run.read_finished()):
                tell_finished(run, log)
            elif args.jobs > 1:
                waiting.append(run)
            else:
                if train_locked(run, train):
                    trained.append(run)
                tell_finished(run, run.read_finished(), run in trained)
        except RunError as fault:
            faults.append(fault)
    if waiting:
        faults += train_side_by_side(waiting, args, script, argv)
    if edited := [run.name for run in members if run.edited and run not in trained]:
        print(f"{', '.join(edited)}: {EDITED}")
    if args.seeds:
        logs = []
        for run in members:
            with contextlib.suppress(RunError):  # it is among the faults
                logs += filter(None, [run.read_finished()])
        for fault in faults:
            if isinstance(fault, Busy):
                print(f"{fault}: skipped")
        if logs:
            print(f"{members[0].series}: {describe(logs)}, {len(logs)} seed(s)")
        faults = [fault for fault in faults if not isinstance(fault, Busy)]
    if faults:
        raise RunError("; ".join(map(str, faults)))
    if waiting or trained:
        print(f"draw the curves with: {plot_command(args)}")


def train_locked(run, train):
    """Trains a run while it holds its lock. False if another process has finished it meanwhile."""
    with run.lock():
        if not run.restart and run.read_finished():
            return False
        train(run)
    return True


def tell_finished(run, log, trained=False, tell=print):
    """Says what came of a run. trained: whether this command has trained it."""
    words = f"log {run.csv}, weights {run.checkpoint}" if trained else "--restart trains it again"
    tell(f"{run.name}: finished, {describe([log])}; {words}")


def train_child(run, train):
    """Trains a run in a process of --jobs, and tells the other process how it goes."""
    def tell(kind, text):
        print(json.dumps([kind, text]), flush=True)

    run.tell, run.tell_epoch = partial(tell, "line"), partial(tell, "epoch")
    try:
        train_locked(run, train)
    except RunError as fault:
        tell("busy" if isinstance(fault, Busy) else "fault", str(fault))


def train_side_by_side(members, args, script, argv):
    """Trains Runs in `args.jobs` processes at a time, each with its share of the cores.

    One bar shows the epochs of all. If this process is interrupted, it interrupts the others, and
    they keep what they have saved. Returns the faults, a list of RunErrors.
    """
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--seeds")
    ours.add_argument("--jobs")
    command = [sys.executable, script, *ours.parse_known_args(argv)[1]]
    threads = max(1, torch.get_num_threads() // args.jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONIOENCODING": "utf-8"}
    processes, stopping = [], threading.Event()

    def train(run):
        fault = RunError(f"{run.name}: not started")
        if stopping.is_set():
            return fault
        with subprocess.Popen([*command, "--seed", str(run.seed), "--child", run.series],
                              env=environment, encoding="utf-8", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              start_new_session=True) as process:  # Ctrl-C reaches us alone
            processes.append(process)
            if stopping.is_set():  # set after the look above: the others have been told by now
                process.terminate()
            fault, others = None, []
            for line in process.stdout:
                try:
                    kind, text = json.loads(line)
                except ValueError:  # it is not from train_child: a fault before or after that
                    others.append(line.strip().removeprefix("main.py: "))
                    continue
                if kind == "epoch":
                    bar.update()
                elif kind == "line":
                    tqdm.write(text)
                else:
                    fault = {"busy": Busy, "fault": RunError}[kind](text)
        if process.returncode < 0:
            return RunError(f"{run.name}: killed by signal {-process.returncode}")
        if process.returncode:
            return RunError(f"{run.name}: {(others or ['ended without a word'])[-1]}")
        if not fault:
            tell_finished(run, run.read_finished(), True, tqdm.write)
        return fault

    total = sum(run.epochs for run in members)
    with (tqdm(total=total, unit="epoch", leave=False, disable=hide_bar()) as bar,
          ThreadPoolExecutor(args.jobs) as pool):
        try:
            return [fault for fault in pool.map(train, members) if fault]
        except BaseException:
            stopping.set()
            for process in processes:
                process.terminate()
            raise


def plot_command(args):
    """The command that draws these runs, as every shell takes it."""
    words = ["python", "plot.py", "--log-dir", args.log_dir]
    if args.folder:
        words += ["--data-dir", args.data_dir]
    if args.checkpoint_dir != Path("checkpoints"):
        words += ["--checkpoint-dir", args.checkpoint_dir]
    return " ".join(f'"{word}"' if " " in str(word) else str(word) for word in words)


def describe(logs):
    """What came of the finished runs of a series, as text: their last accuracies and errors."""
    size = count_examples(logs[0])
    errors = round(statistics.mean(count_errors(log["final"], size) for log in logs), 1)
    accuracies = spread([100 * log["final"]["test_accuracy"] for log in logs])
    return f"{logs[0]['evaluated_on']} accuracy {accuracies} % ({errors:g} errors of {size:,})"
