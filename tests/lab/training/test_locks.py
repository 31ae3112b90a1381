"""Locks where the file system has some, and where it has none, which is simulated here.

    python -m pytest tests/lab/training/test_locks.py
"""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import main
from lab.files import RunError
from lab.training import locks

fcntl = pytest.importorskip("fcntl", reason="the locks of POSIX")
# Another process that holds the soft lock of a run until its stdin is closed.
HOLDER = ("import sys, filelock; lock = filelock.SoftFileLock(sys.argv[1]); lock.acquire();"
          "print(flush=True); input()")


def test_locks_are_taken_in_one_order(tmp_path, monkeypatch):
    """Two processes that took them crosswise would both find the run busy."""
    taken, acquire = [], locks.acquire
    monkeypatch.setattr(locks, "acquire", lambda name, folder: (
        taken.append(folder), acquire(name, folder))[1])
    folders = [tmp_path / name for name in ("logs", "checkpoints", "a", "z")]
    for folder in folders:
        folder.mkdir()
    for order in (folders, folders[::-1]):
        with locks.lock("run", order):
            assert len(list(tmp_path.glob("*/run.lock"))) == 4
    assert taken == 2 * sorted(folders)
    assert not list(tmp_path.glob("*/*"))


def test_one_folder_by_two_names_is_locked_once(tmp_path):
    with locks.lock("run", [tmp_path, tmp_path / ".." / tmp_path.name]):
        assert len(list(tmp_path.iterdir())) == 1


def test_a_lock_is_removed_while_it_is_held(tmp_path, monkeypatch):
    """Later, it may be that of the next process already."""
    held, acquire, remove, seen = [], locks.acquire, locks.remove, []

    def note(*args):
        path, proxy = acquire(*args)
        held.append(proxy.lock)
        return path, proxy

    monkeypatch.setattr(locks, "acquire", note)
    monkeypatch.setattr(
        locks, "remove", lambda path: seen.append(held[0].is_locked) or remove(path))
    with locks.lock("run", [tmp_path]):
        pass
    assert seen == [True]
    assert not held[0].is_locked


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def no_locks(request, monkeypatch):
    """Simulates a file system without locks, as some NFS and FUSE mounts are."""
    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))
    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_it_trains_and_says_so(no_locks, small_idx, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["--epochs", "1", "--data-dir", str(small_idx), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert out.count("this file system has no locks; a file stands for the lock of a run\n") == 2
    assert not list(Path().glob("*/*lock"))


def test_without_locks_another_process_is_seen(no_locks, tmp_path):
    path = tmp_path / "run.softlock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with (pytest.raises(locks.Busy, match=r"^run: another process is training it$"),
              locks.lock("run", [tmp_path])):
            pass
        process.kill()  # and what it leaves behind on this computer is taken over
    with locks.lock("run", [tmp_path]):
        assert path.exists()


def test_a_soft_lock_of_another_computer_is_named(no_locks, tmp_path):
    path = tmp_path / "run.softlock"
    path.write_text("12345\nnode17\n")
    with (pytest.raises(locks.Busy) as caught, locks.lock("run", [tmp_path])):
        pass
    assert str(caught.value) == (f"run: another process is training it, on node17; if that has "
                                 f"crashed, remove {path}")
    assert path.exists()


def test_another_fault_is_no_missing_lock(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with (pytest.raises(RunError, match=r"run\.lock: cannot be locked: Input/output error"),
          locks.lock("run", [tmp_path])):
        pass


def test_busy_is_told_from_failed(small_idx, tmp_path, monkeypatch, capsys):
    """By its class, whatever words the message has."""
    monkeypatch.chdir(tmp_path)
    argv = ["--epochs", "1", "--data-dir", str(small_idx), "--device", "cpu", "--seeds", "2"]
    with locks.lock(f"lenet-epochs1-{small_idx.name}-seed0", [Path()]):
        pass
    for folder in ("logs", "checkpoints"):
        Path(folder).mkdir()
    with locks.lock(f"lenet-epochs1-{small_idx.name}-seed0", [Path("logs")]):
        assert main.main(argv) == 0
    assert ": skipped\n" in capsys.readouterr().out
    (log,) = Path("logs").glob("*.json")
    assert json.loads(log.read_text())["seed"] == 1
