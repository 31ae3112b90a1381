"""The processes of --jobs, where no process needs to be real; those that are, in test_kill.py.

    python -m pytest tests/lab/training/test_jobs.py
"""

from lab.start import ROOT

import io
import shlex
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import use_as_bundled

import main
import plot
from lab import machine
from lab.training import jobs
from lab.training.locks import BUSY
from lab.training.names import checksum
from lab.training.run import Run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Fake:
    """What any process has."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self):
        pass


def make_runs(seeds):
    return [Run(Path(), Path(), f"lenet-seed{seed}", {
        "seed": seed, "recipe": {"epochs": 1}, "code": {"main.train": "1"}})
        for seed in range(seeds)]


def test_a_process_that_starts_while_all_are_stopped_is_stopped_too(monkeypatch):
    """Ctrl-C between the look whether to begin and the process that then begins."""
    going, told = threading.Event(), threading.Event()
    terminated = []

    class Process(Fake):
        returncode = 0

        def __init__(self, argv, **_):
            self.seed, self.stdout = argv[argv.index("--seed") + 1], io.StringIO()
            if self.seed == "0":
                going.wait()  # until the other is about to begin
                self.stdout = interrupted()
            else:
                going.set()
                told.wait()

        def terminate(self):
            terminated.append(self.seed)

    def interrupted():
        raise KeyboardInterrupt
        yield

    class Pool(ThreadPoolExecutor):
        def __exit__(self, *args):  # every process that was there has been told
            told.set()
            return super().__exit__(*args)

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(jobs, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        jobs.train_side_by_side(make_runs(2), SimpleNamespace(jobs=2, words=["--seeds", "2"]))
    assert terminated == ["0", "1"]


@pytest.mark.parametrize("folder", ["logs", "my logs"])
def test_the_command_that_is_shown_can_be_given(small_idx, tmp_path, monkeypatch, capsys, folder):
    """Quoted as every shell reads it, with all that plot.py needs to draw everything."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_idx, "my digits")
    argv = ["--device", "cpu", "--epochs", "1", "--data-dir", "my digits"]
    assert main.main([*argv, "--log-dir", folder, "--checkpoint-dir", "weights"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    _, script, *argv = shlex.split(line.partition(": ")[2])
    assert script == "plot.py"
    assert plot.main(argv) == 0
    assert capsys.readouterr().err == ""
    assert any(path.name.endswith("_filters.png") for path in Path("img").rglob("*"))


def test_the_command_that_is_shown_says_no_more_than_it_must(small_idx, tmp_path, monkeypatch,
                                                             capsys):
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
    assert main.main(["--device", "cpu", "--epochs", "1"]) == 0
    assert capsys.readouterr().out.endswith(": python plot.py --log-dir logs\n")


def test_a_run_that_another_process_finishes_just_now_is_not_called_trained(
        small_idx, tmp_path, monkeypatch, capsys):
    argv = ["--epochs", "1", "--seeds", "1", "--data-dir", str(small_idx),
            "--log-dir", str(tmp_path / "logs"), "--checkpoint-dir", str(tmp_path)]
    assert main.main(argv) == 0
    assert "; log " in capsys.readouterr().out
    read_finished, looks = Run.read_finished, [{}]  # at the first look, not yet
    monkeypatch.setattr(Run, "read_finished",
                        lambda run: looks.pop() if looks else read_finished(run))
    monkeypatch.setattr(Run, "begin", None)
    assert main.main(argv) == 0
    out = capsys.readouterr().out
    assert "; --restart trains it again" in out
    assert "; log " not in out


@pytest.fixture
def children(monkeypatch):
    """Replaces the processes of --jobs; returns how they were begun, after {seed: what they say}.

    They say (lines of stdout, lines of stderr, exit status).
    """
    begun, outcomes = [], {}

    class Process(Fake):
        def __init__(self, argv, env, stderr, start_new_session, **_):
            assert start_new_session  # Ctrl-C reaches the first process alone
            begun.append((argv, env))
            lines, faults, self.returncode = outcomes[argv[argv.index("--seed") + 1]]
            self.stdout = io.StringIO("".join(f"{line}\n" for line in lines))
            stderr.write("".join(f"{line}\n" for line in faults))

    monkeypatch.setattr(subprocess, "Popen", Process)
    begun.append(outcomes)
    return begun


def side_by_side(seeds, jobs_at_a_time=2):
    runs = make_runs(seeds)
    jobs.train_side_by_side(runs, SimpleNamespace(
        jobs=jobs_at_a_time, words=["--seeds", str(seeds), "--jobs", "2", "--lr", "0.2"]))
    return runs


def test_what_the_processes_say_is_passed_on_and_faults_are_told_by_their_kind(children, capsys):
    outcomes = children[0]
    outcomes["0"] = ["lenet-seed0: so it is", "epoch 1/1  train"], ["main.py: lenet-seed0: no"], 1
    outcomes["1"] = [], [f"main.py: lenet-seed1: {BUSY}"], 1
    outcomes["2"] = [], ["Traceback", "main.py: no such data"], 1
    outcomes["3"] = [], [], -15
    outcomes["4"] = [], [], 3
    outcomes["5"] = ["lenet-seed5: finished"], ["a warning"], 0
    runs = side_by_side(6)
    assert [(type(run.fault).__name__, str(run.fault)) for run in runs] == [
        ("RunError", "lenet-seed0: no"), ("Busy", f"lenet-seed1: {BUSY}"),
        ("RunError", "lenet-seed2: no such data"),
        ("RunError", "lenet-seed3: killed by signal 15"),
        ("RunError", "lenet-seed4: ended without a word"), ("NoneType", "None")]
    assert [run.complete for run in runs] == [False] * 5 + [True]
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "lenet-seed0: so it is", "lenet-seed5: finished"]


def test_the_processes_share_the_threads_and_get_name_and_code(children, monkeypatch):
    children[0].update({str(seed): ([], [], 0) for seed in range(2)})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    runs = side_by_side(2, 4)
    for argv, env in children[1:]:
        assert env["OMP_NUM_THREADS"] == "2"
        assert argv[1] == ROOT / "main.py"
        assert argv[2:4] == ["--lr", "0.2"]
        assert argv[4] == "--seed"
        assert argv[6:] == ["--child", "lenet", checksum(runs[0].identity["code"])]


def test_a_process_says_all_that_is_said_without_jobs(small_idx, monkeypatch, capsys):
    """Its hints too: they once were swallowed."""
    monkeypatch.setattr(machine, "emulates_bf16", lambda device: True)
    monkeypatch.setattr(main, "digest_code", lambda *roots: {"main.train": "1"})
    argv = ["--epochs", "2", "--bf16", "--data-dir", str(small_idx), "--device", "cpu",
            "--seed", "3", "--child", "some-name", checksum({"main.train": "1"})]
    assert main.main(argv) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "some-name-seed3: this CPU emulates bfloat16; --no-bf16 would be faster"
    assert [line.startswith("epoch ") for line in said] == [False] * 3 + [True] * 2 + [False]
    assert {path.name for path in Path().glob("*/*")} == {
        f"some-name-seed3.{suffix}" for suffix in ("csv", "json", "pt")}
    Path("logs/some-name-seed3.csv").write_text("")
    Path("checkpoints/some-name-seed3.pt").write_bytes(b"")
    assert main.main(argv) == 1
    assert "some-name-seed3.pt" in capsys.readouterr().err
