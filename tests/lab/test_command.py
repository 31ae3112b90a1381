"""What the scripts share as programs, on any desktop: console, locked files, signals.

    python -m pytest tests/lab/test_command.py

The faults of whole commands are in test_faults.py.
"""

import argparse
import builtins
import contextlib
import io
import sys
from pathlib import Path

import pytest

import draw
import main
import plot
import predict
import report
from lab import command
from lab.training import options


@pytest.mark.parametrize(("terminal", "notebook", "parent", "hidden"), [
    (True, False, False, False), (False, False, False, True), (True, False, True, True),
    (False, True, True, False)])
def test_no_bar_where_lines_are_not_redrawn(monkeypatch, terminal, notebook, parent, hidden):
    """A terminal, a file, `!python main.py` in a notebook, and `%run main.py` there."""
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    if notebook:
        monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    if parent:
        monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert command.hide_bar() == hidden


# Arguments

def test_a_path_may_begin_at_home(monkeypatch, tmp_path):
    """As in --log-dir=~/runs, which most shells pass on unchanged."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert command.path("~/runs") == tmp_path / "runs"
    assert command.path("runs/~") == Path("runs/~")
    with pytest.raises(argparse.ArgumentTypeError, match="~nobody-of-that-name: no such user"):
        command.path("~nobody-of-that-name")


@pytest.mark.parametrize("parse", [
    lambda argv: options.parse(argv, main.__doc__, main.RECIPES)[0], plot.parse, report.parse,
    lambda argv: predict.parse(["x.png", *argv]), draw.parse])
def test_every_flag_that_takes_a_path_takes_one_at_home(parse, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for flag in ("log-dir", "data-dir", "checkpoint-dir", "out", "weights"):
        with contextlib.suppress(SystemExit):  # the script has no such flag
            args = parse([f"--{flag}=~/x"])
            assert getattr(args, flag.replace("-", "_")) == tmp_path / "x"


@pytest.mark.parametrize(("main", "argv", "words"), [
    (main.main, "--epoch 1", "unrecognized arguments: --epoch 1; did you mean --epochs?"),
    (main.main, "--weight_decay=0.1",
     "unrecognized arguments: --weight_decay=0.1; did you mean --weight-decay?"),
    (main.main, "--xyzzy", "unrecognized arguments: --xyzzy"),
    (main.main, "--model LeNet", f"argument --model: LeNet: must be one of "
     f"{', '.join(main.RECIPES)}; did you mean lenet?"),
    (main.main, "--model q", f"argument --model: q: must be one of {', '.join(main.RECIPES)}"),
    (plot.main, "--logdir x", "unrecognized arguments: --logdir; did you mean --log-dir?"),
    (predict.main, "x --weigths y", "unrecognized arguments: --weigths y; did you mean --weights?"),
])
def test_what_may_be_mistyped_gets_the_nearest(main, argv, words, capsys):
    assert main(argv.split()) == 2
    assert capsys.readouterr().err.partition(": error: ")[2] == words + "\n"
