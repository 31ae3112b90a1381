"""The processes of --jobs, where no process needs to be real; those that are, in test_kill.py.

    python -m pytest tests/test_jobs.py
"""

import io
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import main
from lab import jobs, runs


def test_a_process_that_starts_while_all_are_stopped_is_stopped_too(monkeypatch):
    """Ctrl-C between the look whether to begin and the process that then begins."""
    going, told = threading.Event(), threading.Event()
    terminated = []

    class Process:
        returncode = 0

        def __init__(self, argv, **_):
            self.seed, self.stdout = argv[-1], io.StringIO()
            if self.seed == "0":
                going.wait()  # until the other is about to begin
                self.stdout = interrupted()
            else:
                going.set()
                told.wait()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

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
    place = runs.Place(Path(), Path(), {})
    members = [runs.Run(place, f"lenet-seed{seed}", {"seed": seed, "recipe": {"epochs": 1}})
               for seed in (0, 1)]
    with pytest.raises(KeyboardInterrupt):
        jobs.train_side_by_side(members, 2, "main.py", ["--seeds", "2"])
    assert terminated == ["0", "1"]


@pytest.mark.parametrize(("folder", "shown"), [("logs", "logs"), ("my logs", '"my logs"')])
def test_the_command_that_is_shown_can_be_given(small_idx, tmp_path, monkeypatch, capsys,
                                                folder, shown):
    """Quoted as every shell reads it, and only where it must be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "probe", lambda *_: 1.5)
    argv = ["--device", "cpu", "--epochs", "1", "--data-dir", str(small_idx)]
    assert main.main([*argv, "--log-dir", folder]) == 0
    assert capsys.readouterr().out.endswith(f": python plot.py --log-dir {shown}\n")


def test_a_run_that_another_process_finishes_just_now_is_not_called_trained(
        small_idx, tmp_path, monkeypatch, capsys):
    argv = ["--epochs", "1", "--seeds", "1", "--data-dir", str(small_idx),
            "--log-dir", str(tmp_path / "logs"), "--checkpoint-dir", str(tmp_path)]
    assert main.main(argv) == 0
    assert "; log " in capsys.readouterr().out
    read_finished, looks = runs.Run.read_finished, [{}]  # at the first look, not yet
    monkeypatch.setattr(runs.Run, "read_finished",
                        lambda run: looks.pop() if looks else read_finished(run))
    monkeypatch.setattr(runs.Run, "begin", None)
    assert main.main(argv) == 0
    out = capsys.readouterr().out
    assert "; --restart trains it again" in out
    assert "; log " not in out
