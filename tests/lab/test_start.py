"""How a program begins and ends, on any desktop: streams, signals, notebooks.

    python -m pytest tests/lab/test_start.py
"""

from lab.start import ROOT, find_file, is_ours, start

import builtins
import io
import os
import signal
import subprocess
import sys
import threading

import pytest


@pytest.mark.parametrize(("encoding", "printed"), [
    ("ascii", rb"\xb1 \u2192"), ("cp1252", b"\xb1 \\u2192"), ("utf-8", "± →".encode())])
def test_a_program_prints_in_any_encoding(monkeypatch, encoding, printed):
    """As on Windows into a file or a pipe, or on an old console."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # those of the tests stay
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit) as stop:
        start(lambda: print("± →", end=""))
    stdout.flush()
    assert (stdout.buffer.getvalue(), stop.value.code) == (printed, None)


def test_a_program_gives_the_signals_back(monkeypatch):
    """Whoever calls it may live on. In between, a reader that leaves is no fault."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python has it
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGPIPE)}
    seen = []
    with pytest.raises(SystemExit):
        start(lambda: seen.append(signal.getsignal(signal.SIGPIPE)))
    assert seen == [signal.SIG_DFL] != [before[signal.SIGPIPE]]
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("where", ["a notebook", "a thread", "a stream of its own"])
def test_a_program_leaves_its_host_alone(monkeypatch, where):
    """Signals can be set in the main thread only; a notebook's stream cannot be reconfigured."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    if where == "a notebook":
        monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
        monkeypatch.setitem(sys.modules, "lab.start", sys.modules["lab.start"])  # put back
        monkeypatch.setattr("lab.start.forget", lambda: None)
    seen = []

    def run():
        with pytest.raises(SystemExit):
            start(lambda: seen.append(signal.getsignal(signal.SIGTERM)))

    if where == "a thread":
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()
    assert len(seen) == 1
    assert (seen == [before]) == (where != "a stream of its own")


def test_each_line_is_printed_at_once(run_script, tmp_path):
    """Into a file too: a job that is killed has told what it had done."""
    script = tmp_path / "script.py"
    script.write_text(f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from lab.start import ROOT, find_file, is_ours, start
start(lambda: (print("epoch 1"), os.kill(os.getpid(), signal.SIGKILL)))
""")
    assert run_script(script)[:2] == (-signal.SIGKILL, "epoch 1\n")


@pytest.mark.parametrize("script", ["main.py", "plot.py", "report.py", "predict.py", "draw.py"])
def test_ctrl_c_while_torch_is_imported_ends_a_script_in_silence(script, run_script):
    assert run_script(script, prepare=interrupt_at_torch) == (-signal.SIGINT, "", "")


def interrupt_at_torch():
    """Ctrl-C as the script imports what takes seconds: numpy, matplotlib or torch."""
    class Finder:
        @staticmethod
        def find_spec(name, *_):
            if name in ("model", "dataset", "main"):
                os.kill(os.getpid(), signal.SIGINT)

    for name in [name for name in sys.modules if name.partition(".")[0] in (
            "model", "dataset", "main", "lab", "readers", "lenet1998")]:
        del sys.modules[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.meta_path.insert(0, Finder)


def test_who_imports_a_script_keeps_ctrl_c():
    code = "import signal; before = signal.getsignal(2); import main; print(before is " \
           "signal.getsignal(2))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout == "True\n"


def test_a_notebook_loads_the_files_anew_the_next_time(monkeypatch):
    monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    ours = {name: module for name, module in sys.modules.items()
            if (path := find_file(module)) and is_ours(path) and path.is_relative_to(ROOT)}
    ours = {name: module for name, module in ours.items() if name not in ("lab", "lab.command")}
    assert "lab.start" in ours
    try:
        with pytest.raises(SystemExit):
            start(lambda: 0)
        assert not ours.keys() & sys.modules.keys()
        assert "torch" in sys.modules
    finally:
        sys.modules.update(ours)
