"""What the scripts share as programs, on any desktop: console, locked files, signals.

    python -m pytest tests/test_command.py

The faults of whole commands are in test_faults.py.
"""

import argparse
import builtins
import contextlib
import errno
import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import draw
import main
import plot
import predict
import report
from lab import command, options


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


def test_a_program_gives_the_signals_back(monkeypatch):
    """Whoever calls it may live on. In between, a reader that leaves is no fault."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGPIPE)}
    seen = []
    with pytest.raises(SystemExit):
        command.start(lambda: seen.append(signal.getsignal(signal.SIGPIPE)))
    assert seen == [signal.SIG_DFL] != [before[signal.SIGPIPE]]
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("where", ["a notebook", "a thread", "a stream of its own"])
def test_a_program_leaves_its_host_alone(monkeypatch, where):
    """Signals can be set in the main thread only; a notebook's stream cannot be reconfigured."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    if where == "a notebook":
        monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    seen = []

    def run():
        with pytest.raises(SystemExit):
            command.start(lambda: seen.append(signal.getsignal(signal.SIGTERM)))

    if where == "a thread":
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()
    assert len(seen) == 1
    assert (seen == [before]) == (where != "a stream of its own")


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


# Files

@pytest.fixture
def target(tmp_path):
    """A file that has content already."""
    path = tmp_path / "run.csv"
    path.write_bytes(b"old")
    return path


def raise_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raise_interrupt(*_):
    raise KeyboardInterrupt


def test_write_replaces_the_whole_file(target):
    command.write_atomically(target, b"new and longer")
    assert target.read_bytes() == b"new and longer"
    command.write_atomically(target, b"x")
    assert target.read_bytes() == b"x"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(("fault", "expected"), [
    (raise_full, command.RunError), (raise_interrupt, KeyboardInterrupt)])
def test_failed_write_leaves_the_old_file_and_nothing_else(
        target, monkeypatch, function, fault, expected):
    monkeypatch.setattr(os, function, fault)
    with pytest.raises(expected) as caught:
        command.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]
    if expected is command.RunError:
        assert str(target) in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_interrupt_after_the_replacement_leaves_the_new_file(target, monkeypatch):
    replace = os.replace

    def replace_and_stop(*args):
        replace(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    with pytest.raises(KeyboardInterrupt):
        command.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == [target.name]


def test_content_is_on_the_disk_before_it_takes_the_name(target, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def spy_fsync(descriptor):
        fsync(descriptor)
        order.append(("fsync", os.fstat(descriptor).st_size))

    def spy_replace(source, destination):
        order.append(("replace", os.path.getsize(source)))
        assert os.path.dirname(source) == os.path.dirname(destination)  # one file system
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    command.write_atomically(target, b"12345")
    assert order[:2] == [("fsync", 5), ("replace", 5)]


def test_leftover_of_a_kill_is_overwritten(target):
    leftover = target.with_name(target.name + ".tmp")
    leftover.write_bytes(b"half of something longer")
    command.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert not leftover.exists()


def test_write_into_a_missing_folder(tmp_path):
    with pytest.raises(command.RunError, match=r"run\.csv: .*No such file"):
        command.write_atomically(tmp_path / "gone" / "run.csv", b"new")


def test_folder_is_made_with_its_parents(tmp_path):
    command.make_folder(tmp_path / "a" / "b")
    command.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(command.RunError, match=r"file.c: "):
        command.make_folder(tmp_path / "file" / "c")
    assert (tmp_path / "a" / "b").is_dir()


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


# The machine

@pytest.fixture
def two_cards(monkeypatch):
    """A machine with two GPUs, simulated: what is made on one of them is made on the CPU."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator",
                        lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    made, ones = [], torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: made.append(device) or ones(size))
    return made


@pytest.mark.parametrize(("text", "device"), [
    ("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"),
    ("cpu", "cpu"), ("cpu:0", "cpu")])
def test_a_device_by_its_index(two_cards, text, device):
    assert command.device(text) == device
    assert two_cards == [device] * (device != "cpu")  # it is tried


@pytest.mark.parametrize("text", ["mps", "mps:0", "xpu:0", "cuda:x", "cuda:-1", "cuda:1:1", "cuda:",
                                  "cuda1", "", "cuda:\u0661"])
def test_a_device_that_is_not_here(two_cards, text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text}: not available here$"):
        command.device(text)
    assert not two_cards


@pytest.mark.parametrize(("text", "words"), [
    ("cuda:2", "cuda:2: not available here; there is cuda:0 to cuda:1"),
    ("cpu:1", "cpu:1: not available here; there is cpu:0")])
def test_an_index_too_high_says_how_many_there_are(two_cards, text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{words}$"):
        command.device(text)


def test_a_card_that_torch_has_no_kernels_for(two_cards, monkeypatch, capsys):
    def fail(size, device):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\n"
                           "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.")

    monkeypatch.setattr(torch, "ones", fail)
    assert main.main(["--epochs", "1"]) == 2
    assert capsys.readouterr().err == (
        f"main.py: error: argument --device: cuda: torch {torch.__version__} cannot use it (CUDA "
        "error: no kernel image is available for execution on the device); --device cpu works\n")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_the_log_names_the_card(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    assert command.environment(device)["device"] == f"card of {device}"
    assert command.environment("cpu")["device"] == "cpu"


@pytest.mark.parametrize(("device", "available", "supported", "emulates"), [
    ("cpu", True, True, False), ("cpu", True, False, True), ("cpu", False, True, True),
    ("cuda", True, False, False)])
def test_bfloat16_is_emulated_by_a_cpu_without_instructions_for_it(
        monkeypatch, device, available, supported, emulates):
    """Simulated, whatever this CPU can do."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: available)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    assert command.emulates_bf16(device) == emulates
