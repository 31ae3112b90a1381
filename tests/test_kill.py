"""A run may be stopped at any instant; resumed, it ends in the very same weights.

    python -m pytest tests/test_kill.py

The runs are real processes that execute main.py. Most are forked from one that has imported torch
already, which saves seconds each; a hook in them sends the signal at a chosen moment. Two are
started as a user would and get the signal after their first line.
"""

import csv
import json
import multiprocessing
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import main

SCRIPT = Path(main.__file__)
EPOCHS = 4
ARGV = ["--model", "lenet_reg", "--epochs", str(EPOCHS), "--device", "cpu"]  # all kinds of chance


# Processes that stop at a chosen moment

@pytest.fixture(scope="session")
def processes():
    """Where processes come from: forks of one that has torch imported and has not used it yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "torchvision.transforms.v2", "tqdm"])
    return context


@pytest.fixture
def execute(processes, tmp_path, small_idx):
    """Executes main.py in a process; returns its exit status, stdout and stderr.

    moment, count: where it gets `signum`, the `count`-th time it comes there.
    """
    def run(*argv, folder=tmp_path, moment=None, count=1, signum=signal.SIGKILL):
        folder.mkdir(exist_ok=True)
        argv = argv if "--data-dir" in argv else (*argv, "--data-dir", str(small_idx))
        status = wait_for(processes, folder, argv, moment, count, signum)
        return status, *((folder / name).read_text() for name in ("out", "err"))
    return run


def wait_for(processes, *args):
    process = processes.Process(target=child, args=args)
    process.start()
    process.join()
    return process.exitcode


def child(folder, argv, moment, count, signum):
    """What such a process does: `python main.py *argv` in `folder`."""
    os.chdir(folder)
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        with open(name, "w") as file:
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(1)
    hook(moment, count, signum)
    sys.argv = [str(SCRIPT), *argv]
    runpy.run_path(str(SCRIPT), run_name="__main__")


def hook(moment, count, signum):
    """Makes this process send itself `signum` when it comes to `moment` the `count`-th time."""
    comings = 0

    def reach(name):
        nonlocal comings
        comings += name == moment
        if name == moment and comings == count:
            os.kill(os.getpid(), signum)

    backward, linear = torch.Tensor.backward, torch.nn.Linear.forward
    fsync, replace = os.fsync, os.replace

    def reach_backward(*args, **kwargs):
        reach("train")
        return backward(*args, **kwargs)

    def reach_linear(self, images):
        reach("train forward" if self.training else "evaluate")
        return linear(self, images)

    def reach_fsync(descriptor):
        if moment == "half written" and comings + 1 == count:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        reach("half written")
        return fsync(descriptor)

    def reach_replace(source, target):
        suffix = Path(target).suffix
        reach(f"before {suffix}")
        replace(source, target)
        reach(f"after {suffix}")

    torch.Tensor.backward, torch.nn.Linear.forward = reach_backward, reach_linear
    os.fsync, os.replace = reach_fsync, reach_replace


# What is compared

def read_run(folder):
    """All that a run left, but for the seconds it took: equal for runs that should be equal."""
    (pt,), (table,), (log,) = (sorted(folder.glob(f"*/*.{suffix}")) for suffix in
                               ("pt", "csv", "json"))
    checkpoint = torch.load(pt, weights_only=True)
    state = checkpoint["optimizer"]["state"]
    momenta = [state[index]["momentum_buffer"] for index in sorted(state)]
    assert len(momenta) == len(checkpoint["model"]) == 10  # two tensors in each of five layers
    rows = list(csv.DictReader(table.read_text().splitlines()))
    summary = json.loads(log.read_text())
    for row in (*rows, *checkpoint["history"], summary["final"]):
        assert float(row.pop("seconds")) > 0
    return {
        "weights": [weight.numpy().tobytes() for weight in checkpoint["model"].values()],
        "momenta": [momentum.numpy().tobytes() for momentum in momenta],
        "groups": checkpoint["optimizer"]["param_groups"], "epoch": checkpoint["epoch"],
        "history": checkpoint["history"], "saved errors": checkpoint["errors"],
        "rows": rows, "summary": summary, "names": [pt.name, table.name, log.name],
    }


def check_whole(folder):
    """Each file is whole, and nothing else is there; returns the number of epochs saved."""
    files = {path.name for path in folder.glob("*/*")}
    leftovers = {name for name in files if name.endswith(".tmp")}
    whole = files - leftovers
    runs = {Path(name).stem for name in whole} | {Path(name[:-4]).stem for name in leftovers}
    assert len(runs) <= 1
    assert leftovers <= {f"{name}.{suffix}.tmp" for name in runs for suffix in
                         ("pt", "csv", "json")}
    assert len(leftovers) <= 1
    saved = logged = summed = 0
    for path in (path for path in folder.glob("*/*") if path.name in whole):
        if path.suffix == ".pt":
            checkpoint = torch.load(path, weights_only=True)
            saved = checkpoint["epoch"]
            assert len(checkpoint["history"]) == saved
        elif path.suffix == ".csv":
            text = path.read_text()
            assert text.endswith("\n")
            rows = list(csv.reader(text.splitlines()))
            assert {len(row) for row in rows} == {7}
            logged = len(rows) - 1
        else:
            summary = json.loads(path.read_text())
            summed = summary["final"]["epoch"]
            assert summary["complete"] == (summed == EPOCHS)
    assert saved - 1 <= summed <= logged <= saved  # the checkpoint rules, then CSV, then JSON
    return saved


@pytest.fixture(scope="module")
def undisturbed(processes, small_idx, tmp_path_factory):
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    argv = [*ARGV, "--data-dir", str(small_idx)]
    assert wait_for(processes, folder, argv, None, 1, signal.SIGKILL) == 0
    assert not (folder / "err").read_text()
    return read_run(folder)


# SIGKILL. 600 images in batches of 128 make 5 batches an epoch, evaluated in one of 200.
KILLS = [  # moment, count in this process, epochs saved afterwards
    ("train", 3, 0),  # the third batch of epoch 1
    ("half written", 1, 0),  # the first checkpoint
    ("evaluate", 3 + 2, 1),  # within the net (3 linear layers), after epoch 2
    ("half written", 3, 1),  # a checkpoint: CSV and JSON are written anew on resuming
    ("before .pt", 1, 1),
    ("after .pt", 1, 2),  # CSV and JSON lag behind
    ("before .csv", 1, 2),
    ("after .csv", 1, 2),
    ("half written", 2, 2),  # the JSON
    ("before .json", 2, 3),  # of epoch 3
    ("train", 5, 3),  # the last batch of all
    ("after .pt", 1, 4),  # all trained, but not logged
    ("before .json", 1, 4),
]


def test_killed_again_and_again_it_ends_in_the_same_bits(execute, undisturbed, tmp_path):
    for moment, count, epochs in KILLS:
        status, _, err = execute(*ARGV, "--resume", moment=moment, count=count)
        assert (status, err) == (-signal.SIGKILL, ""), (moment, count)
        assert check_whole(tmp_path) == epochs, (moment, count)
    status, out, err = execute(*ARGV, "--resume")
    assert (status, err) == (0, ""), out
    assert check_whole(tmp_path) == EPOCHS
    assert not list(tmp_path.glob("*/*.tmp"))
    assert read_run(tmp_path) == undisturbed


@pytest.mark.parametrize(("moment", "epochs"), [
    ("half written", 4), ("before .pt", 4), ("after .pt", 1)])
def test_killed_while_it_starts_over(execute, undisturbed, tmp_path, moment, epochs):
    """What a finished run left is replaced file by file, and is not harmed until then."""
    assert execute(*ARGV)[0] == 0
    assert execute(*ARGV, moment=moment)[0] == -signal.SIGKILL
    (path,) = tmp_path.glob("*/*.pt")
    assert torch.load(path, weights_only=True)["epoch"] == epochs
    assert execute(*ARGV, "--resume")[0] == 0
    assert read_run(tmp_path) == undisturbed
    assert execute(*ARGV)[0] == 0
    assert not list(tmp_path.glob("*/*.tmp"))


def test_killed_series_goes_on(execute, undisturbed, tmp_path):
    series = [*ARGV, "--seeds", "2"]
    # Seed 0 writes its JSON four times; this is after the second epoch of seed 1.
    status, _, _ = execute(*series, moment="after .json", count=EPOCHS + 2)
    assert status == -signal.SIGKILL
    status, out, err = execute(*series, "--resume")
    assert (status, err) == (0, "")
    assert re.search(r"seed0: complete in logs, skipped", out)
    assert re.search(r"seed1: 2 of 4 epochs are in", out)
    assert len(re.findall("^epoch ", out, re.MULTILINE)) == 2
    assert re.search(r" ± .* 2 seed", out)
    whole = tmp_path / "whole"
    assert execute(*ARGV, "--seed", "1", folder=whole)[0] == 0
    for path in list(tmp_path.glob("*/*-seed0.*")):
        path.unlink()
    assert read_run(tmp_path) == read_run(whole)


# Ctrl-C and SIGTERM

@pytest.mark.parametrize(("signum", "expected", "moment", "count"), [
    (signal.SIGINT, 130, "train", 5 + 2),  # in the second batch of epoch 2
    (signal.SIGINT, 130, "evaluate", 3 + 2),
    (signal.SIGTERM, 143, "train", 5 + 2),
    (signal.SIGTERM, 143, "evaluate", 3 + 2),
    (signal.SIGTERM, 143, "half written", 4),  # while the checkpoint of epoch 2 is written
])
def test_signal_stops_within_the_batch_and_says_how_to_go_on(
        execute, undisturbed, tmp_path, signum, expected, moment, count):
    status, out, err = execute(*ARGV, moment=moment, count=count, signum=signum)
    assert status == expected
    assert len(re.findall("^epoch ", out, re.MULTILINE)) == 1
    assert check_whole(tmp_path) == 1
    assert not list(tmp_path.glob("*/*.tmp"))
    assert err.count("\n") == 1
    command = shlex.split(err.partition("go on with: ")[2])
    assert command[:2] == ["python", "main.py"]
    status, out, err = execute(*command[2:])
    assert (status, err) == (0, "")
    assert "1 of 4 epochs" in out
    assert read_run(tmp_path) == undisturbed


def stop_after_one_epoch(argv, folder, signum):
    """Starts main.py as a user does, sends the signal at the first epoch's line, waits for it."""
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-u", SCRIPT, *argv], cwd=folder, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    for line in process.stdout:
        if line.startswith("epoch"):
            process.send_signal(signum)
            break
    out, err = process.communicate()
    return process.returncode, out, err


def test_real_processes_stop_on_signals(execute, tmp_path, small_idx):
    link = tmp_path / "my digits"  # the command to go on must quote it
    link.symlink_to(small_idx)
    argv = ["--model", "lenet_reg", "--epochs", "40", "--device", "cpu", "--data-dir", str(link)]
    folders, signals = [tmp_path / "int", tmp_path / "term"], [signal.SIGINT, signal.SIGTERM]
    with ThreadPoolExecutor() as pool:  # both at once: starting takes seconds
        stopped = list(pool.map(stop_after_one_epoch, [argv] * 2, folders, signals))
    assert execute(*argv, folder=tmp_path / "whole")[0] == 0
    expected = read_run(tmp_path / "whole")
    for folder, (status, out, err), expected_status in zip(folders, stopped, (130, 143),
                                                           strict=True):
        assert status == expected_status, err
        assert err.count("\n") == 1, err
        (checkpoint,) = folder.glob("checkpoints/*.pt")
        saved = torch.load(checkpoint, weights_only=True)["epoch"]
        printed = 1 + len(re.findall("^epoch ", out, re.MULTILINE))
        assert printed <= saved <= printed + 1 <= 40
        command = shlex.split(err.partition("go on with: ")[2])
        assert execute(*command[2:], folder=folder)[0] == 0
        assert read_run(folder) == expected


# What --resume says

@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py in this process, on the same digits in place of the repository's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "DATA_DIR", small_idx)
    return lambda *argv: main.main(["--device", "cpu", "--epochs", "2", *argv])


@pytest.fixture
def unfinished(train, monkeypatch, capsys):
    """A run of two epochs, stopped in the second."""
    def stop(*_):
        raise KeyboardInterrupt

    epochs = iter([main.train])
    with monkeypatch.context() as patch:
        patch.setattr(main, "train", lambda *args: next(epochs, stop)(*args))
        assert train() == 130
    capsys.readouterr()


def test_resume_of_a_finished_run_rebuilds_its_log(train, capsys):
    assert train() == 0
    files = {path: path.read_bytes() for path in Path().glob("*/*")}
    for missing in (["csv"], ["json"], ["csv", "json"], []):
        for suffix in missing:
            Path(f"logs/lenet-epochs2-seed0.{suffix}").unlink()
        capsys.readouterr()
        assert train("--resume") == 0
        out = capsys.readouterr().out
        assert "lenet-epochs2-seed0: 2 of 2 epochs" in out
        assert "\nepoch" not in out
        assert {path: path.read_bytes() for path in Path().glob("*/*")} == files


def test_resume_of_a_finished_series_rebuilds_its_log(train, capsys):
    assert train("--seeds", "2") == 0
    files = {path: path.read_bytes() for path in Path().glob("*/*")}
    Path("logs/lenet-epochs2-seed1.csv").unlink()
    capsys.readouterr()
    assert train("--seeds", "2", "--resume") == 0
    assert "lenet-epochs2-seed1: 2 of 2 epochs" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path().glob("*/*")} == files


def test_resume_without_a_checkpoint_starts_from_the_beginning(train, capsys):
    assert train("--resume") == 0
    out = capsys.readouterr().out
    assert "no checkpoint checkpoints/lenet-epochs2-seed0.pt, starting from the beginning" in out
    assert out.count("\nepoch") == 2


def test_unfinished_run_starts_over_and_says_so(train, unfinished, capsys):
    assert train() == 0
    out = capsys.readouterr().out
    assert "lenet-epochs2-seed0: unfinished in logs, starting over" in out
    assert "--resume" in out
    assert out.count("\nepoch") == 2


def test_resume_takes_only_what_is_missing(train, unfinished, capsys):
    assert train("--resume") == 0
    out = capsys.readouterr().out
    assert "lenet-epochs2-seed0: 1 of 2 epochs" in out
    assert re.findall(r"^epoch (\d)", out, re.MULTILINE) == ["2"]


def test_first_run_says_nothing_of_that(train, capsys):
    assert train() == 0
    out = capsys.readouterr().out
    assert not re.search("checkpoint |unfinished|starting|epochs are", out)
