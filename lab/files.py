"""Files, written whole or not at all, and the error that names the one at fault."""

import contextlib
import os
import time


class RunError(Exception):
    """A run cannot be started, resumed or read. The message is one line."""


def make_folder(path):
    """Makes a folder and its parents where they are missing. Raises RunError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror}") from None


def remove(path):
    """Removes a file if that can be done."""
    with contextlib.suppress(OSError):
        path.unlink()


def replace(source, target):
    """os.replace, tried four times: Windows refuses while another program reads `target`."""
    for pause in (0.1, 0.2, 0.4):  # seconds; enough for a virus scanner, or for plot.py
        with contextlib.suppress(PermissionError):
            return os.replace(source, target)
        time.sleep(pause)
    os.replace(source, target)


def write_atomically(path, content, outdated=()):
    """Writes a file whole or not at all, also if this process is killed or the disk is full.

    outdated: files to remove first, when only the renaming is left to do. Raises RunError.
    """
    temporary = path.with_name(path.name + ".tmp")  # a fixed name: the next write replaces it
    blamed = path
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for blamed in outdated:
            blamed.unlink(missing_ok=True)
        blamed = path
        replace(temporary, path)
    except OSError as error:
        raise RunError(f"{blamed}: cannot be written: {error.strerror}") from error
    finally:
        remove(temporary)
