"""What the scripts share as programs: arguments, a start, and one line for each fault.

Exit status: 2 for bad usage, 1 for a failure, 128 + the signal's number after a signal.
"""

import argparse
import builtins
import contextlib
import difflib
import gc
import os
import re
import signal
import sys
import threading
from pathlib import Path


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line. It refuses abbreviated flags."""

    def __init__(self, prog, doc, **options):
        super().__init__(prog=prog, description=doc.split("\n\n")[0], allow_abbrev=False, **options)

    def parse_args(self, argv):
        args, unknown = self.parse_known_args(argv)
        if unknown:
            flags = re.findall(r"--[\w-]+", self.format_usage())
            self.error(f"unrecognized arguments: {' '.join(unknown)}{nearest(unknown[0], flags)}")
        return args

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def nearest(word, known):
    """A question for whoever may have mistyped a word; "" if none of the known words is near."""
    found = difflib.get_close_matches(word.partition("=")[0].lower(), known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def one_of(names):
    """A type of argument: one of several names."""
    def convert(text):
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"{text}: must be one of {', '.join(names)}{nearest(text, names)}")
        return text
    return convert


def whole(low, high):
    """A type of argument: a whole number from `low` to `high`."""
    def convert(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number, {low} to {high}")
        return int(text)
    return convert


def path(text):
    """A type of argument: a path; ~ is the user's home, also where the shell left it as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text}: no such user") from None


def word(text):
    """A type of argument: letters, digits and _, which can be part of a file's name."""
    if not re.fullmatch(r"\w{1,60}", text):
        raise argparse.ArgumentTypeError(f"{text}: must be at most 60 letters, digits and _")
    return text


def exit_status(script, work, argv, failures, stopped="stopped"):
    """Calls work(argv) and returns the exit status; each fault becomes one line on stderr.

    work may yield the lines of faults after which it goes on. failures: exceptions that end it,
    with the line as their message. stopped: the line for Ctrl-C and SIGTERM.
    """
    status = 0
    try:
        for fault in work(sys.argv[1:] if argv is None else argv) or ():
            print(f"{script}: {fault}", file=sys.stderr)
            status = 1
    except SystemExit as stop:
        return stop.code
    except failures as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"{script}: {stopped}", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    return status


def in_notebook():
    """Whether IPython runs this, as with `%run`; then streams, signals and memory are its own."""
    return hasattr(builtins, "get_ipython")


def hide_bar():
    """Whether a progress bar would only be in the way: lines are not redrawn where they go.

    Of a program that a notebook starts with `!`, each refresh would be kept in the notebook.
    """
    return not in_notebook() and (not sys.stderr.isatty() or "JPY_PARENT_PID" in os.environ)


def start(main):
    """Runs a script's main() as the program.

    SIGTERM stops it as Ctrl-C does. If the reader of a pipe leaves (`| head`), it ends in silence.
    A character that the encoding of stdout lacks is printed as an escape. A notebook is left as it
    is: its streams can do that already, and it lives on afterwards, with its own signals.
    """
    def interrupt(signum, frame):
        raise KeyboardInterrupt(signum)

    if in_notebook() or threading.current_thread() is not threading.main_thread():
        sys.exit(main())
    handlers = {"SIGTERM": interrupt, "SIGPIPE": signal.SIG_DFL}  # Windows has no SIGPIPE
    before = {number: signal.signal(number, handler) for name, handler in handlers.items()
              if (number := getattr(signal, name, None))}
    with contextlib.suppress(AttributeError):  # another stream has been put in its place
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.freeze()  # or each collection would visit all of torch, the interpreter's last for 0.3 s
    try:
        status = main()
        sys.stdout.flush()  # while a reader that has left is no fault
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    gc.freeze()  # what has been imported since
    sys.exit(status)
