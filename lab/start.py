"""How a program begins and ends. Scripts import this first, before torch, which takes seconds."""

import contextlib
import gc
import os
import signal
import sys
import threading
from pathlib import Path

from lab.command import in_notebook

ROOT = Path(__file__).resolve().parents[1]
STANDARD_LIBRARY = Path(os.__file__).resolve().parent
# The files as they are loaded. Whoever edits one later runs other code than the file holds.
SOURCES = {path: path.read_bytes() for path in ROOT.glob("*.py")}
KEPT = {"__main__", "lab", "lab.command", "lab.start"}  # what is being loaded as this is


def is_ours(path):
    """Whether a file is of this folder or the user's: neither Python's own, nor installed."""
    return path.suffix == ".py" and not path.is_relative_to(STANDARD_LIBRARY) and (
        not {"site-packages", "dist-packages"} & {*path.parts})


def find_file(module):
    """The file of a module, a resolved Path, or None."""
    return Path(module.__file__).resolve() if getattr(module, "__file__", None) else None


def forget():
    """Has all files of this folder loaded anew when they are imported the next time."""
    for name, module in list(sys.modules.items()):
        path = None if name in KEPT else find_file(module)
        if path and is_ours(path) and path.is_relative_to(ROOT):
            del sys.modules[name]


if in_notebook():
    forget()  # %run model.py may have loaded what has been edited since
# Ctrl-C while a script imports torch ends it at once, without a traceback through torch.
elif find_file(sys.modules["__main__"]) in SOURCES and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler):
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(main):
    """Runs a script's main() as the program.

    Each line is printed at once, also into a file. SIGTERM stops the program as Ctrl-C does. If the
    reader of a pipe leaves (`| head`), it ends in silence. A character that the encoding of stdout
    lacks is printed as an escape. A notebook keeps its own streams and signals, and its next %run
    runs the files as they are by then.
    """
    def interrupt(signum, frame):
        raise KeyboardInterrupt(signum)

    if in_notebook():
        try:
            sys.exit(main())
        finally:
            forget()
            del sys.modules[__name__]  # or the next program would find the sources of this one
    if threading.current_thread() is not threading.main_thread():
        sys.exit(main())
    handlers = {"SIGTERM": interrupt, "SIGPIPE": signal.SIG_DFL}  # Windows has no SIGPIPE
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # see above
        handlers["SIGINT"] = signal.default_int_handler
    before = {number: signal.signal(number, handler) for name, handler in handlers.items()
              if (number := getattr(signal, name, None))}
    with contextlib.suppress(AttributeError):  # another stream has been put in its place
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    gc.freeze()  # or each collection would visit all of torch, the interpreter's last for 0.3 s
    try:
        status = main()
        sys.stdout.flush()  # while a reader that has left is no fault
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    gc.freeze()  # what has been imported since
    sys.exit(status)
