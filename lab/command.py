"""What the scripts share as programs: arguments, and one line for each fault.

Exit status: 2 for bad usage, 1 for a failure, 128 + the signal's number after a signal.
"""

import argparse
import builtins
import difflib
import os
import re
import signal
import sys
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
