"""The weights that can read pictures of the user's, and which of them there are."""

import functools
from pathlib import Path

from lab.digits.prepare import WEIGHTS
from lab.files import RunError
from lab.runs import checkpoints
from lab.runs.series import SEED
from lab.runs.titles import TITLES


def find_weights(first):
    """All weights there are: `first`, the report's, and those of your runs.

    Returns {name: path}, both absolute. In a name, bytes that are no UTF-8 are escaped.
    """
    found = [first, *sorted(WEIGHTS.parent.glob("*.pt")),
             *sorted(Path("checkpoints").glob("*.pt"))]
    return {str(path).encode(errors="backslashreplace").decode(): path
            for path in map(Path.resolve, found)}


def describe_weights(path):
    """What the menus call a checkpoint: the title of its series or its model, and its file."""
    series, file = path.stem.partition(SEED)[0], f"{path.parent.name}/{path.stem}"
    title = TITLES.get(series) or TITLES.get(series.partition("-")[0])
    return f"{title} ({file})" if title else file


def when_changed(path):
    """When a file was last written, in nanoseconds. Raises RunError."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


def load(path):
    """`checkpoints.read_weights`. Reads the file again if it has changed, as training changes it.

    Raises RunError.
    """
    return load_once(path, when_changed(path))


@functools.lru_cache(maxsize=8)
def load_once(path, changed):
    return checkpoints.read_weights(path)
