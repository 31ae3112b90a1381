"""A run may be stopped at any instant; the same command again ends in the very same weights.

    python -m pytest tests/test_kill.py

The runs are real processes that execute main.py, forked from one that has imported torch already,
which saves seconds each. A hook in them sends the signal at a chosen moment; others get it from
outside. The processes of --jobs are started as a user would.
"""

import csv
import json
import os
import random
import re
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import write_idx_folder

if os.name != "posix":
    pytest.skip("signals and forked processes of POSIX", allow_module_level=True)

EPOCHS = 4
ARGV = ["--model", "lenet_reg",  # all kinds of chance
        "--epochs", str(EPOCHS), "--batch-size", "16", "--device", "cpu"]


# Processes that stop at a chosen moment

@pytest.fixture(scope="session")
def few_idx(digits, tmp_path_factory):
    """As few digits as make five batches of 16, evaluated in one: 72 and 24."""
    few = {split: tuple(array[:count] for array in digits[split])
           for split, count in (("train", 72), ("test", 24))}
    return write_idx_folder(tmp_path_factory.mktemp("few_idx"), few)


@pytest.fixture
def execute(run_script, tmp_path, few_idx):
    """Executes main.py in a process; returns its exit status, stdout and stderr.

    moment, count: where it gets `signum`, the `count`-th time it comes there.
    """
    def run(*argv, folder=tmp_path, moment=None, count=1, signum=signal.SIGKILL):
        argv = argv if "--data-dir" in argv else (*argv, "--data-dir", str(few_idx))
        return run_script("main.py", *argv, folder=folder,
                          prepare=partial(hook, moment, count, signum))
    return run


def hook(moment, count, signum):
    """Makes this process send itself `signum` when it comes to `moment` the `count`-th time."""
    import lab.training.check
    lab.training.check.check_net = lambda *_: []  # which trains and evaluates a step, too
    comings = 0

    def reach(name):
        nonlocal comings
        comings += name == moment
        if name == moment and comings == count:
            os.kill(os.getpid(), signum)

    backward, linear = torch.Tensor.backward, torch.nn.Linear.forward
    fsync, replace = os.fsync, os.replace

    def reach_backward(loss, *args, **kwargs):
        reach("train")
        return backward(loss, *args, **kwargs)

    def reach_linear(self, images):
        if torch.is_inference_mode_enabled():  # in main.test
            reach("evaluate")
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
    state = checkpoint["state"]["optimizer"]["state"]
    momenta = [state[index]["momentum_buffer"] for index in sorted(state)]
    assert len(momenta) == len(checkpoint["model"]) == 10  # two tensors in each of five layers
    rows = list(csv.DictReader(table.read_text().splitlines()))
    summary = json.loads(log.read_text())
    for row in (*rows, *checkpoint["history"], summary["final"]):
        assert float(row.pop("seconds")) > 0
    return {
        "weights": [weight.numpy().tobytes() for weight in checkpoint["model"].values()],
        "momenta": [momentum.numpy().tobytes() for momentum in momenta],
        "groups": checkpoint["state"]["optimizer"]["param_groups"], "epoch": checkpoint["epoch"],
        "history": checkpoint["history"], "saved errors": checkpoint["errors"],
        "rows": rows, "summary": summary, "names": [pt.name, table.name, log.name],
    }


def check_whole(folder):
    """Each file is whole, and nothing else is there; returns the number of epochs saved."""
    files = {path.name for path in folder.glob("*/*")}
    files = {name for name in files if not name.endswith(".lock")}  # of the one that was killed
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
            assert summed == EPOCHS or not summary["complete"]
    assert saved - 1 <= summed <= logged <= saved  # the checkpoint rules, then CSV, then JSON
    return saved


@pytest.fixture(scope="module")
def undisturbed(begin, few_idx, tmp_path_factory):
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = begin("main.py", *ARGV, "--data-dir", str(few_idx), folder=folder)
    process.join()
    assert (process.exitcode, (folder / "err").read_text()) == (0, "")
    return read_run(folder)


# SIGKILL. There are 5 batches an epoch, evaluated in one.
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
        status, _, err = execute(*ARGV, moment=moment, count=count)
        assert (status, err) == (-signal.SIGKILL, ""), (moment, count)
        assert check_whole(tmp_path) == epochs, (moment, count)
    status, out, err = execute(*ARGV)
    assert (status, err) == (0, ""), out
    assert check_whole(tmp_path) == EPOCHS
    assert {path.suffix for path in tmp_path.glob("*/*")} == {".pt", ".csv", ".json"}
    assert read_run(tmp_path) == undisturbed


def test_twenty_kills_at_random_end_in_the_same_bits(execute, undisturbed, tmp_path):
    generator = random.Random(0)
    kills = 0
    while kills < 20:
        # Too late for what is left to do, it does not come, and the chain begins once more.
        moment, count = generator.choice([("train", 20), ("evaluate", 13), ("half written", 12),
                                          ("before .pt", 4), ("after .pt", 4), ("after .csv", 4)])
        status, _, err = execute(*ARGV, moment=moment, count=generator.randint(1, count))
        assert (status, err) in ((-signal.SIGKILL, ""), (0, "")), (moment, count)
        check_whole(tmp_path)
        kills += status != 0
        if status == 0 and kills < 20:
            assert read_run(tmp_path) == undisturbed
            shutil.rmtree(tmp_path / "logs")
            shutil.rmtree(tmp_path / "checkpoints")
    assert execute(*ARGV)[0] == 0
    assert read_run(tmp_path) == undisturbed


@pytest.mark.parametrize(("moment", "epochs", "logged"), [
    ("half written", 4, True), ("before .pt", 4, False), ("after .pt", 1, False)])
def test_killed_while_it_is_restarted(execute, undisturbed, tmp_path, moment, epochs, logged):
    """A finished run is there, whole, until the new one is; none half-replaced is taken for it."""
    assert execute(*ARGV)[0] == 0
    status, _, _ = execute(*ARGV, "--restart", moment=moment)
    assert status == -signal.SIGKILL
    (path,) = tmp_path.glob("*/*.pt")
    assert torch.load(path, weights_only=True)["epoch"] == epochs
    for kind in ("json", "csv"):
        assert bool(list(tmp_path.glob(f"*/*.{kind}"))) == logged
    status, out, _ = execute(*ARGV)
    assert status == 0
    assert len(re.findall("^epoch ", out, re.MULTILINE)) == 4 - epochs
    assert read_run(tmp_path) == undisturbed


def test_killed_series_goes_on(execute, undisturbed, tmp_path):
    series = [*ARGV, "--seeds", "2"]
    # Seed 0 writes its JSON after each epoch and at its end; this is after the second of seed 1.
    status, _, _ = execute(*series, moment="after .json", count=EPOCHS + 1 + 2)
    assert status == -signal.SIGKILL
    status, out, err = execute(*series)
    assert (status, err) == (0, "")
    assert re.search(r"seed0: finished, .*--restart trains it again", out)
    assert re.search(r"seed1: resumes after epoch 2 of 4", out)
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
    assert "the same command (without --restart) resumes" in err
    assert {path.suffix for path in tmp_path.glob("*/*")} == {".pt", ".csv", ".json"}
    status, out, err = execute(*ARGV)
    assert (status, err) == (0, "")
    assert "resumes after epoch 1 of 4" in out
    assert read_run(tmp_path) == undisturbed


def by_line():
    sys.stdout.reconfigure(line_buffering=True)


@pytest.mark.parametrize(("signum", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_from_outside_stops_at_any_moment(begin, execute, tmp_path, few_idx, signum,
                                                 expected):
    argv = [*ARGV, "--epochs", "60", "--data-dir", str(few_idx)]
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    os.mkfifo(stopped / "out")
    process = begin("main.py", *argv, folder=stopped, prepare=by_line)
    with open(stopped / "out") as out:
        assert any(line.startswith("epoch") for line in out)
        os.kill(process.pid, signum)
        printed = 1 + len(re.findall("^epoch ", out.read(), re.MULTILINE))
    process.join()
    (stopped / "out").unlink()
    assert process.exitcode == expected
    assert (stopped / "err").read_text().count("\n") == 1
    (checkpoint,) = stopped.glob("checkpoints/*.pt")
    assert printed <= torch.load(checkpoint, weights_only=True)["epoch"] <= printed + 1 <= 60
    assert execute(*argv, folder=tmp_path / "whole")[0] == 0
    assert execute(*argv, folder=stopped)[0] == 0
    assert read_run(stopped) == read_run(tmp_path / "whole")


# Side by side

def read_runs(folder, seeds):
    """read_run of each seed."""
    found = {}
    for seed in range(seeds):
        part = folder / f"only{seed}"
        for path in folder.glob(f"*/*-seed{seed}.*"):
            (part / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, part / path.parent.name)
        found[seed] = read_run(part)
        shutil.rmtree(part)
    return found


def test_two_processes_share_the_seeds(begin, execute, tmp_path, few_idx):
    argv = [*ARGV, "--epochs", "10", "--seeds", "6", "--data-dir", str(few_idx)]
    outputs = [tmp_path / "one", tmp_path / "other"]
    for output in outputs:
        output.mkdir()
    processes = [begin("main.py", *argv, folder=tmp_path, output=output) for output in outputs]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [(output / "err").read_text() for output in outputs] == ["", ""]
    trained = [re.findall(r"-seed(\d): finished, .*; log ", (output / "out").read_text("utf-8"))
               for output in outputs]
    assert sorted(trained[0] + trained[1]) == list("012345")  # each once
    whole = tmp_path / "alone"
    assert execute(*argv, folder=whole)[0] == 0
    assert {path.suffix for path in tmp_path.glob("[cl]*/*")} == {".pt", ".csv", ".json"}
    assert read_runs(tmp_path, 6) == read_runs(whole, 6)


def test_a_lock_ends_with_its_process(execute, tmp_path, undisturbed):
    assert execute(*ARGV, moment="train", count=7)[0] == -signal.SIGKILL
    assert list(tmp_path.glob("*/*.lock"))
    assert execute(*ARGV)[0] == 0
    assert read_run(tmp_path) == undisturbed
    assert not list(tmp_path.glob("*/*.lock"))


def latin_1():
    """The console's encoding, and so of what a process started from here would print in."""
    os.environ["PYTHONIOENCODING"] = "latin-1"
    sys.stdout.reconfigure(encoding="latin-1")


def test_jobs_share_the_seeds_and_one_that_fails_takes_no_other_with_it(
        begin, execute, tmp_path, few_idx):
    argv = [*ARGV, "--name", "größer", "--seeds", "3", "--data-dir", str(few_idx)]
    series = f"lenet_reg-größer-epochs4-batch_size16-{few_idx.name}"
    broken = tmp_path / "checkpoints" / f"{series}-seed1.pt"
    broken.mkdir(parents=True)
    process = begin("main.py", *argv, "--jobs", "2", folder=tmp_path, prepare=latin_1)
    process.join()
    out = (tmp_path / "out").read_text("latin-1")
    assert process.exitcode == 1
    assert (tmp_path / "err").read_text("utf-8") == (
        f"main.py: checkpoints/{broken.name}: damaged, or not a checkpoint of main.py "
        "(IsADirectoryError)\n")
    assert sorted(re.findall(rf"{series}-seed(\d): finished, ", out)) == ["0", "2"]
    assert "2 seeds" in out
    assert "epoch " not in out  # a line a run
    broken.rmdir()
    status, again, err = execute(*argv)  # what is left, alone
    assert (status, err) == (0, "")
    assert again.count("--restart trains it again") == 2
    whole = tmp_path / "alone"
    assert execute(*argv, folder=whole)[0] == 0
    assert read_runs(tmp_path, 3) == read_runs(whole, 3)


def test_signal_stops_all_jobs(begin, tmp_path, small_idx):
    argv = [*ARGV, "--epochs", "400", "--seeds", "3", "--data-dir", str(small_idx)]
    process = begin("main.py", *argv, "--jobs", "2", folder=tmp_path)
    while len(list(tmp_path.glob("*/*.json"))) < 2 and process.is_alive():  # the last of its files
        pass
    os.kill(process.pid, signal.SIGTERM)  # Ctrl-C comes the same way from here on
    process.join()
    err = (tmp_path / "err").read_text()
    assert process.exitcode == 128 + signal.SIGTERM
    assert err.count("\n") == 1
    assert "the same command (without --restart) resumes" in err
    saved = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    assert {path.suffix for path in saved} == {".pt", ".csv", ".json"}  # no locks, nothing half
    for path in tmp_path.glob("*/*.pt"):
        assert 1 <= torch.load(path, weights_only=True)["epoch"] < 400
    assert len(list(tmp_path.glob("*/*.pt"))) == 2
