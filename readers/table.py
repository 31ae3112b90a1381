"""CSV files: an image a row, its label and its 784 pixels, as Kaggle's digit recogniser has them.

Countless courses pass on `mnist_train.csv` and `mnist_test.csv`. The label is the first column, or
the last if a header says so. There may be no header.
"""

import io
import re
import warnings
from itertools import chain, islice

import numpy as np

from readers.common import (
    MAX_IMAGES,
    SIDE,
    DataError,
    blaming,
    check_labels,
    choose,
    list_files,
    open_file,
)

FORM = "CSV files"
EXPECTED = ("train.csv and test.csv, or mnist_train.csv, ...: a label and 784 pixels a row",)
NAME = re.compile(r"(|mnist_|fashion-mnist_)(?P<split>train|test)\.csv(\.gz)?")
LABELS = {"label", "labels", "class", "target", "y"}
PIXELS = SIDE * SIDE
EXPECTED_ROW = f"expected a label and {PIXELS} pixels, whole numbers from 0 to 255"
MAX_LINE = 2**14  # characters; a row of MNIST has 3,140 at most, a header twice that


def lies_in(folder):
    """Tells whether there are such files."""
    return bool(list_files(folder, NAME))


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the file.

    Raises DataError if it is missing, or if a row is not as expected.
    """
    path = choose(list_files(folder, NAME), NAME, split)
    with (blaming(path), open_file(path) as file,
          io.TextIOWrapper(file, "utf-8-sig", errors="replace") as text):
        return *read_table(text, path), path


def read_table(text, path):
    """Reads the text of a CSV file: images uint8 (N, 28, 28) and labels (N,). Raises DataError."""
    number = 0

    def read_lines():  # those that are not blank; an endless one comes in parts
        nonlocal number
        for number, line in enumerate(iter(lambda: text.readline(MAX_LINE), ""), 1):  # noqa: B007
            if line.strip():
                yield line

    lines = read_lines()
    first = next(lines, "")
    if "\0" in first:
        raise DataError(f"{path}: holds zero bytes, as UTF-16 text of Excel does; save it as CSV")
    names = [name.strip("\"' \n").lower() for name in first.split(",")]
    if len(names) == PIXELS:
        raise DataError(f"{path}: {PIXELS} columns, so it has no labels, as Kaggle's test.csv; "
                        "--validate needs only train.csv and measures on a sixth of it")
    has_header = any(re.search(r"[^\W\d_]", name) for name in (names[0], names[-1]))
    if has_header:
        first = next(lines, "")
    if not first:
        raise DataError(f"{path}: no rows in it")
    if first.count(",") != PIXELS:
        raise DataError(f"{path}: line {number} has {first.count(',') + 1} values, {EXPECTED_ROW}")
    label_last = has_header and names[0] not in LABELS
    if label_last and names[-1] not in LABELS:
        raise DataError(f"{path}: its header calls neither the first nor the last column label")
    try:
        with warnings.catch_warnings(action="error"):  # NumPy 2.0 cuts 0.5 to 0, and warns
            rows = np.loadtxt(chain([first], islice(lines, MAX_IMAGES)), np.uint8, delimiter=",",
                              comments=None, quotechar='"', ndmin=2)  # (N, 785)
    except ValueError as error:
        # NumPy's own number of the row counts from 0 or from 1, and leaves out blank lines.
        fault = str(error).partition(" at row")[0][:100]
        raise DataError(f"{path}: line {number}: {fault}; {EXPECTED_ROW}") from None
    labels, pixels = (rows[:, -1], rows[:, :-1]) if label_last else (rows[:, 0], rows[:, 1:])
    if len(rows) > 1 and not has_header and not labels.any() and rows[:, -1].any():
        raise DataError(f"{path}: the first column is 0 throughout; if the label is the last "
                        "column, a header has to say so")
    check_labels(labels, pixels, path)
    return pixels.reshape(-1, SIDE, SIDE), labels
