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
    enter,
    missing,
    open_file,
)

FORM = "CSV files"
EXPECTED = ("train.csv and test.csv, or mnist_train.csv, ...: a label and 784 pixels a row",)
NAME = re.compile(r"(|mnist_|fashion-mnist_)(train|test)\.csv(\.gz)?")
LABELS = {"label", "labels", "class", "target", "y"}
PIXELS = SIDE * SIDE
MAX_LINE = 2**14  # characters; a row of MNIST has 3,140 at most, a header twice that
BLOCK = 1000  # rows parsed at once


def lies_in(folder):
    """Tells whether there are such files."""
    return bool(list_files(folder))


def list_files(folder):
    """The files, sorted."""
    return sorted(path for path in folder.iterdir()
                  if NAME.fullmatch(path.name)) if folder.is_dir() else []


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the file.

    Raises DataError if it is missing, or if a row is not as expected.
    """
    paths = [path for path in list_files(folder) if NAME.fullmatch(path.name)[2] == split]
    if not paths:
        name = list_files(folder)[0].name
        raise missing(folder / re.sub("train|test", split, name), split)
    if len(paths) > 1:
        raise DataError(f"{folder}: has {' and '.join(path.name for path in paths)}; move all but "
                        "one of these to another folder")
    path = enter(paths[0])
    return *read_table(path), path


def read_table(path):
    """Reads a CSV file: images uint8 (N, 28, 28) and labels (N,). Raises DataError."""
    blocks, count = [], 0
    with (blaming(path), open_file(path) as file,
          io.TextIOWrapper(file, "utf-8-sig", errors="replace") as text):
        lines = _number_lines(text, path)
        first = next(lines, None)
        if not first:
            raise DataError(f"{path}: is empty")
        names = _split(first[1])
        if len(names) == PIXELS:
            raise DataError(f"{path}: {PIXELS} columns, so it has no labels, as Kaggle's test.csv; "
                            "--validate needs only train.csv and measures on a sixth of it")
        if len(names) != PIXELS + 1:
            raise DataError(f"{path}: {_describe(first[0], names)}")
        has_header = any(re.search(r"[^\W\d_]", name) for name in (names[0], names[-1]))
        label_last = has_header and names[0] not in LABELS
        if label_last and names[-1] not in LABELS:
            raise DataError(f"{path}: its header calls neither the first nor the last column label")
        lines = lines if has_header else chain([first], lines)
        while block := list(islice(lines, BLOCK)):
            count += len(block)
            if count > MAX_IMAGES:
                raise DataError(f"{path}: more than {MAX_IMAGES} images")
            blocks.append(_parse(block, path))
    if not blocks:
        raise DataError(f"{path}: a header and nothing else")
    rows = np.concatenate(blocks)  # uint8 (N, 785)
    labels, pixels = (rows[:, -1], rows[:, :-1]) if label_last else (rows[:, 0], rows[:, 1:])
    if count > 1 and not has_header and not labels.any() and rows[:, -1].any():
        raise DataError(f"{path}: the first column is 0 throughout; if the label is the last "
                        "column, a header has to say so")
    check_labels(labels, path)
    return pixels.reshape(-1, SIDE, SIDE), labels


def _number_lines(text, path):
    """Yields (number, line), those that are not blank. Raises DataError where a line is endless."""
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise DataError(f"{path}: line {number} is too long for {PIXELS} pixels")
        if line.strip():
            yield number, line


def _split(line):
    """The values of a row, in lower case, without quotes."""
    return [value.strip().strip("\"'").lower() for value in line.split(",")]


def _describe(number, values):
    """What is wrong with a line that has another number of values."""
    return f"line {number} has {len(values)} values, expected a label and {PIXELS} pixels"


def _parse(block, path):
    """Numbered lines as uint8 (N, 785). Raises DataError that names the first wrong line."""
    try:
        with warnings.catch_warnings(action="error"):  # NumPy 2.0 cuts 0.5 to 0, and warns
            rows = np.loadtxt([line for _, line in block], np.uint8, delimiter=",", comments=None,
                              quotechar='"', ndmin=2)
    except (ValueError, DeprecationWarning) as error:
        fault = f"cannot be read: {error}"
    else:
        if rows.shape[1] == PIXELS + 1:
            return rows
        fault = f"has {rows.shape[1]} columns"
    for number, line in block:
        values = _split(line)
        if len(values) != PIXELS + 1:
            fault = _describe(number, values)
            break
        wrong = [value for value in values if not re.fullmatch(r"\+?0*\d{1,3}", value, re.ASCII)
                 or int(value) > 255]
        if wrong:
            fault = f"line {number} has {wrong[0][:20]!r}, expected a whole number from 0 to 255"
            break
    raise DataError(f"{path}: {fault}")
