"""The seeds of a command: trained one after another, or side by side in processes (`--jobs`).

Such a process runs what a user would start, the same command with `--seed`. The processes share
nothing but the folders. There the locks of runs.py keep them apart, and others too.
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
from lab.command import RunError
from lab.logs import count_errors, count_examples, spread


def train_all(members, train, args, script, argv):
    """Trains those of the Runs `members` that are not finished; prints what came of each, and all.

    train(run) trains a run in this process. With --jobs N, N processes at a time do it, as
    `python script *argv --seed S`. A run that fails does not stop the others. Of several seeds,
    those that another process is training are skipped.

    Raises RunError that names every run that failed.
    """
    faults, waiting, trained = [], [], False
    for run in members:
        try:
            words = "--restart trains it again"
            if args.restart or not (log := run.read_finished()):
                if args.jobs > 1:
                    waiting.append(run)
                    continue
                with run.lock():
                    # Another process may have finished it between the look and the lock.
                    if args.restart or not run.read_finished():
                        train(run)
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
                print(f"{fault}: skipped")
        if logs := [log for log in logs if log]:
            print(f"{members[0].series}: {describe(logs)}, {len(logs)} seed(s)")
        faults = [fault for fault in faults if runs.BUSY not in fault]
    if faults:
        raise RunError("; ".join(faults))
    if waiting or trained:
        folder = f'"{args.log_dir}"' if " " in str(args.log_dir) else args.log_dir
        print(f"draw the curves with: python plot.py --log-dir {folder}")


def train_side_by_side(members, jobs, script, argv):
    """Trains Runs in `jobs` processes at a time, each with its share of the cores.

    One bar shows the epochs of all. If this process is interrupted, it interrupts the others, and
    they keep what they have saved. Returns the faults, a list of lines.
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
        line = f"{run.name}: not started"
        if stopping.is_set():
            return line
        with subprocess.Popen([*command, str(run.seed)], env=environment, encoding="utf-8",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True) as process:  # Ctrl-C reaches us alone
            processes.append(process)
            if stopping.is_set():  # set after the look above: the others have been told by now
                process.terminate()
            for line in process.stdout:
                bar.update(line.startswith("epoch "))
                if ": finished, " in line:
                    tqdm.write(line.rstrip())
        if process.returncode < 0:
            return f"{run.name}: killed by signal {-process.returncode}"
        return line.strip().removeprefix("main.py: ") if process.returncode else None

    total = sum(run.epochs for run in members)
    with (tqdm(total=total, unit="epoch", leave=False, disable=None) as bar,
          ThreadPoolExecutor(jobs) as pool):
        try:
            return [fault for fault in pool.map(train, members) if fault]
        except BaseException:
            stopping.set()
            for process in processes:
                process.terminate()
            raise


def describe(logs):
    """What came of the finished runs of a series, as text: their last accuracies and errors."""
    size = count_examples(logs[0])
    errors = statistics.mean(count_errors(log["final"], size) for log in logs)
    accuracies = spread([100 * log["final"]["test_accuracy"] for log in logs])
    return f"{logs[0]['evaluated_on']} accuracy {accuracies} % ({errors:g} errors of {size:,})"
