"""The runs of a command: one after another, or side by side in processes (`--jobs`).

Such a process runs the same command for one seed, prints the same lines, and must run the same
code. The processes share nothing but the folders, where locks keep them and others apart.
"""

from lab.start import ROOT

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from tqdm.auto import tqdm

from lab.command import hide_bar
from lab.files import RunError
from lab.runs.series import describe_runs
from lab.training.check import describe_fault
from lab.training.locks import BUSY, Busy, lock
from lab.training.names import checksum


def progress(loader):
    """The batches of a loader, with a bar where it can be redrawn."""
    # iter: of a loader, tqdm.auto begins a second iteration, which draws from torch's generator.
    return tqdm(iter(loader), total=len(loader), leave=False, delay=1, disable=hide_bar())


@contextlib.contextmanager
def attempt(run):
    """Holds the lock of a run. Yields whether it is to be trained, and then marks it as finished.

    What goes wrong is kept in `run.fault`, so that it does not stop the runs that follow.
    """
    with contextlib.ExitStack() as stack:
        missing = False
        try:
            if not look(run):
                stack.enter_context(lock(run.name, (run.log_dir, run.checkpoint_dir)))
                # Another process may have finished it meanwhile.
                missing = not (look(run) or (run.rebuild() and look(run)))
        except RunError as fault:
            run.fault = fault
        try:
            yield missing
            if missing:
                run.finish()
        except RunError as fault:
            run.fault = fault
        except Exception as error:  # code of the user's fails in any way
            run.fault = RunError(f"{run.name}: {describe_fault(error)}")


def look(run):
    """Whether a run is finished already and stays so; if it is, a line says what came of it."""
    log = {} if run.restart else run.read_finished()
    if log:
        print(f"{run.name}: finished, {describe_runs([log])}; --restart trains it again")
    return bool(log)


def train_side_by_side(runs, args):
    """Trains Runs in `args.jobs` processes at a time, each with its share of the cores.

    One bar shows the epochs of all. If this process is interrupted, it interrupts the others, and
    they keep what they have saved.
    """
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--seeds")
    ours.add_argument("--jobs")
    command = [sys.executable, ROOT / "main.py", *ours.parse_known_args(args.words)[1]]
    threads = max(1, torch.get_num_threads() // args.jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONIOENCODING": "utf-8"}
    processes, stopping = [], threading.Event()

    def train(run):
        if stopping.is_set():
            return
        child = ["--seed", str(run.seed), "--child", run.series, checksum(run.identity["code"])]
        with (tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
              subprocess.Popen([*command, *child], env=environment, encoding="utf-8",
                               stdout=subprocess.PIPE, stderr=errors,
                               start_new_session=True) as process):  # Ctrl-C reaches us alone
            processes.append(process)
            if stopping.is_set():  # set after the look above: the others have been told by now
                process.terminate()
            for line in process.stdout:
                if line.startswith("epoch "):
                    bar.update()
                else:
                    tqdm.write(line.rstrip("\n"))
            process.wait()
            errors.seek(0)
            last = (errors.read().splitlines() or ["ended without a word"])[-1]
        run.fault = explain_end(run.name, process.returncode, last)
        run.complete = not run.fault

    waiting = []
    for run in runs:
        try:
            if not look(run):
                waiting.append(run)
        except RunError as fault:
            run.fault = fault
    with (tqdm(total=sum(run.epochs for run in waiting), unit="epoch", leave=False,
               disable=hide_bar()) as bar, ThreadPoolExecutor(args.jobs) as pool):
        try:
            list(pool.map(train, waiting))
        except BaseException:
            stopping.set()
            for process in processes:
                process.terminate()
            raise


def explain_end(name, status, last):
    """The fault of a process that has ended with this exit status and last line, or None."""
    if status < 0:
        return RunError(f"{name}: killed by signal {-status}")
    if not status:
        return None
    words = last.removeprefix("main.py: ")
    return (Busy if BUSY in words else RunError)(words if name in words else f"{name}: {words}")


def summarise(runs, args):
    """Prints what has come of all runs of a command. Yields a line for each that failed.

    Of several seeds, those that another process is training are skipped.
    """
    if args.child:
        yield from (run.fault for run in runs if run.fault)
        return
    if args.seeds:
        logs = []
        for run in runs:
            with contextlib.suppress(RunError):  # it is among the faults
                logs += filter(None, [run.read_finished()])
            if isinstance(run.fault, Busy):
                print(f"{run.fault}: skipped")
        if logs:
            print(f"{runs[0].series}: {describe_runs(logs)}, "
                  f"{len(logs)} seed{'s' * (len(logs) > 1)}")
    if any(run.complete for run in runs):
        print(f"draw the curves with: {plot_command(args)}")
    yield from (run.fault for run in runs
                if run.fault and not (args.seeds and isinstance(run.fault, Busy)))


def plot_command(args):
    """The command that draws these runs, as every shell takes it."""
    words = ["python", "plot.py", "--log-dir", args.log_dir]
    if args.folder:
        words += ["--data-dir", args.data_dir]
    if args.checkpoint_dir != Path("checkpoints"):
        words += ["--checkpoint-dir", args.checkpoint_dir]
    return " ".join(f'"{word}"' if " " in str(word) else str(word) for word in words)
