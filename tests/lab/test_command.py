"""What the scripts share as programs, on any desktop: console, locked files, signals.

    python -m pytest tests/test_command.py

The faults of whole commands are in test_faults.py.
"""

import io
import os
import signal
import sys
import time

import pytest

from lab import command


@pytest.mark.parametrize(("encoding", "printed"), [
    ("ascii", rb"\xb1 \u2192"), ("cp1252", b"\xb1 \\u2192"), ("utf-8", "± →".encode())])
def test_a_program_prints_in_any_encoding(monkeypatch, encoding, printed):
    """As on Windows into a file or a pipe, or on an old console."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # those of the tests stay
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit) as stop:
        command.start(lambda: print("± →", end=""))
    stdout.flush()
    assert (stdout.buffer.getvalue(), stop.value.code) == (printed, None)


@pytest.fixture
def held(monkeypatch):
    """Makes os.replace refuse so many times, as Windows does; returns the pauses made since."""
    refusals, pauses, replace = [], [], os.replace

    def refuse(*args):
        if refusals:
            raise refusals.pop()
        replace(*args)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(time, "sleep", pauses.append)

    def hold(times):
        refusals.extend([PermissionError(13, "Access is denied")] * times)
        return pauses
    return hold


def test_a_file_that_is_read_at_the_moment_is_waited_for(tmp_path, held):
    pauses = held(3)
    command.write_atomically(tmp_path / "run.csv", b"new")
    assert (tmp_path / "run.csv").read_bytes() == b"new"
    assert 0.5 < sum(pauses) < 1
    assert os.listdir(tmp_path) == ["run.csv"]


def test_a_file_that_stays_open_is_named_and_kept(tmp_path, held):
    (tmp_path / "run.csv").write_bytes(b"old")
    held(99)
    with pytest.raises(command.RunError, match=r"run\.csv: cannot be written: Access is denied$"):
        command.write_atomically(tmp_path / "run.csv", b"new")
    assert (tmp_path / "run.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.csv"]
