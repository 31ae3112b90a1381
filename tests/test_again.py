"""The same command again: finished runs are told, unfinished ones go on, others' are left alone.

    python -m pytest tests/test_again.py

What signals and kills do to a run is tested in test_kill.py.
"""

import json
import re
from pathlib import Path

import pytest
import torch
from conftest import use_as_bundled
from filelock import FileLock

import main
from lab import machine


@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py in this process, on the same digits in place of the repository's."""
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
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


def read_files():
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path().glob("*/*")}


@pytest.mark.parametrize("argv", [[], ["--seeds", "2"]])
def test_finished_is_told_and_left_alone(train, capsys, argv):
    assert train(*argv) == 0
    files = read_files()
    capsys.readouterr()
    assert train(*argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"lenet-epochs2-seed0: finished, test accuracy \d+\.\d\d % "
                        r"\(\d+ errors of 200\); --restart trains it again", lines[0])
    assert len(lines) == (3 if argv else 1)
    assert read_files() == files


@pytest.mark.parametrize("missing", [["csv"], ["json"], ["csv", "json"]])
@pytest.mark.parametrize("argv", [[], ["--seeds", "2"]])
def test_log_that_is_missing_is_made_from_the_checkpoint(train, capsys, missing, argv):
    assert train(*argv) == 0
    files = {path: path.read_bytes() for path in Path().glob("*/*")}
    for suffix in missing:
        Path(f"logs/lenet-epochs2-seed0.{suffix}").unlink()
    capsys.readouterr()
    assert train(*argv) == 0
    out = capsys.readouterr().out
    assert "lenet-epochs2-seed0: all epochs are in checkpoints" in out
    assert "\nepoch" not in out
    assert {path: path.read_bytes() for path in Path().glob("*/*")} == files


def test_restart_begins_anew(train, capsys):
    assert train("--seeds", "2") == 0
    before = read_files()
    capsys.readouterr()
    assert train("--seed", "1", "--restart") == 0
    assert capsys.readouterr().out.count("\nepoch") == 2
    after = read_files()
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {f"lenet-epochs2-seed1.{suffix}" for suffix in ("csv", "json", "pt")}


def test_unfinished_goes_on_with_what_is_missing(train, unfinished, capsys):
    assert train() == 0
    out = capsys.readouterr().out
    assert "lenet-epochs2-seed0: resumes after epoch 1 of 2\n" in out
    assert re.findall(r"^epoch (\d)", out, re.MULTILINE) == ["2"]
    assert "resumed" not in json.loads(Path("logs/lenet-epochs2-seed0.json").read_text())


def test_unfinished_elsewhere_goes_on_and_says_so(train, unfinished, capsys, monkeypatch):
    here = machine.environment("cpu")
    monkeypatch.setattr(machine, "environment",
                        lambda device: {**here, "threads": 64, "torch": "9.9"})
    assert train() == 0
    assert ("resumes after epoch 1 of 2; not bit-identical to an unstopped run, since this has "
            "changed: torch, threads\n") in capsys.readouterr().out
    for _ in range(2):
        log = json.loads(Path("logs/lenet-epochs2-seed0.json").read_text())
        assert log["environment"] == here
        assert log["resumed"] == [{"after_epoch": 1, **here, "threads": 64, "torch": "9.9"}]
        Path("logs/lenet-epochs2-seed0.json").unlink()
        assert train() == 0  # it is made again, here


def test_a_second_resume_is_compared_with_the_first(train, monkeypatch, capsys):
    """Not with the machine on which the run began."""
    original, here = main.train, machine.environment("cpu")
    for stop_in, torch_version, told in ((1, "1", False), (2, "2", True), (9, "2", False)):
        done = iter([original] * stop_in) if stop_in < 9 else iter(lambda: original, None)
        monkeypatch.setattr(main, "train", lambda *args, done=done: next(done, interrupt)(*args))
        monkeypatch.setattr(machine, "environment",
                            lambda device, version=torch_version: {**here, "torch": version})
        train("--epochs", "4")
        out = capsys.readouterr().out
        assert ("this has changed: torch" in out) == told, out
    log = json.loads(Path("logs/lenet-epochs4-seed0.json").read_text())
    assert [log["environment"]["torch"], *(each["torch"] for each in log["resumed"])] == ["1", "2"]


def interrupt(*_):
    raise KeyboardInterrupt


def test_who_guesses_is_told_and_so_are_few_steps(train, monkeypatch, capsys, small_digits):
    labels = small_digits["test"][1]
    commonest = max((labels == digit).sum() for digit in range(10)) / len(labels)
    test = main.test
    for accuracy, told in ((commonest, True), (commonest + 0.005, False)):
        monkeypatch.setattr(main, "test", lambda *args, accuracy=accuracy: (
            2.3, float(accuracy), test(*args)[2]))
        assert train("--restart") == 0
        out = capsys.readouterr().out
        assert ("lenet-epochs2-seed0: no better than guessing the commonest digit" in out) == told
        assert "lenet-epochs2-seed0: 10 steps in all are few to learn in" in out
    assert train("--batch-size", "12") == 0  # 100 steps
    assert "steps in all" not in capsys.readouterr().out


def test_a_busy_machine_is_told_once_a_run(train, monkeypatch, capsys):
    monkeypatch.setattr(machine, "is_busy", lambda: True)
    assert train() == 0
    assert capsys.readouterr().out.count("keep this machine busy; OMP_NUM_THREADS=1 may be") == 1


def test_unfinished_without_its_checkpoint_starts_from_the_beginning(train, unfinished, capsys):
    Path("checkpoints/lenet-epochs2-seed0.pt").unlink()
    assert train() == 0
    assert capsys.readouterr().out.count("\nepoch") == 2


def test_a_run_that_another_process_trains_is_left_to_it(train, capsys):
    assert train("--seed", "1") == 0
    files = read_files()
    capsys.readouterr()
    lock = FileLock("checkpoints/lenet-epochs2-seed0.lock")
    with lock:
        assert train() == 1
        assert capsys.readouterr().err == (
            "main.py: lenet-epochs2-seed0: another process is training it\n")
        assert train("--seeds", "2") == 0
        out = capsys.readouterr().out
    assert "lenet-epochs2-seed0: another process is training it: skipped" in out
    assert "% (" in out.splitlines()[-1]
    assert "1 seed" in out.splitlines()[-1]
    Path("checkpoints/lenet-epochs2-seed0.lock").unlink(missing_ok=True)
    assert read_files() == files
    assert train() == 0


@pytest.mark.parametrize("key", ["torch", "device", "cpu", "threads"])
def test_each_change_of_the_environment_is_said(train, unfinished, capsys, monkeypatch, key):
    here = machine.environment("cpu")
    monkeypatch.setattr(machine, "environment", lambda device: {**here, key: "another"})
    assert train() == 0
    assert f"since this has changed: {key}\n" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [
    lambda table: table.replace(b",", b";"), lambda table: table[:40], lambda table: b""])
def test_a_table_that_cannot_be_read_is_written_anew(train, capsys, damage):
    """As a spreadsheet saves it in some languages: the checkpoint rules."""
    assert train("--seeds", "2") == 0
    files = {path: path.read_bytes() for path in Path().glob("*/*")}
    table = Path("logs/lenet-epochs2-seed1.csv")
    table.write_bytes(damage(table.read_bytes()))
    capsys.readouterr()
    assert train("--seeds", "2") == 0
    out = capsys.readouterr().out
    assert "lenet-epochs2-seed1: all epochs are in checkpoints" in out
    assert "\nepoch" not in out
    assert {path: path.read_bytes() for path in Path().glob("*/*")} == files


def test_a_finished_run_is_not_trained_again_for_its_table(train, capsys):
    assert train() == 0
    Path("checkpoints/lenet-epochs2-seed0.pt").unlink()
    Path("logs/lenet-epochs2-seed0.csv").write_bytes(b"epoch;loss")
    files = read_files()
    capsys.readouterr()
    assert train() == 1
    assert "lenet-epochs2-seed0.csv: cannot be read as a log" in capsys.readouterr().err
    assert read_files() == files


def test_a_seed_that_fails_is_not_called_skipped(train, capsys):
    assert train() == 0
    Path("checkpoints/lenet-epochs2-seed1.pt").write_bytes(b"")
    capsys.readouterr()
    assert train("--seeds", "3") == 1
    out, err = capsys.readouterr()
    assert "skipped" not in out
    assert re.search(r"^lenet-epochs2: .*, 2 seeds$", out, re.MULTILINE)
    assert err.count("lenet-epochs2-seed1.pt") == 1


def test_momentum_of_another_shape_is_refused(train, unfinished, capsys):
    """torch's fused SGD looks at no shape: it wrote beyond the end of the buffer."""
    path = Path("checkpoints/lenet-epochs2-seed0.pt")
    saved = torch.load(path)
    saved["state"]["optimizer"]["state"][0]["momentum_buffer"] = torch.zeros(1)
    torch.save(saved, path)
    assert train() == 1
    err = capsys.readouterr().err
    assert err.startswith(f"main.py: {path}: ")
    assert err.count("\n") == 1
