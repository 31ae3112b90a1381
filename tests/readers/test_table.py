"""readers/table.py with CSV files broken in every way."""

import gzip

import numpy as np
import pytest
from conftest import filling_no_memory, write_files
from forms import HEADER, csv_bytes
from six_digits import DIGITS, PICTURES, check_bad_files, fault

from dataset import MNIST, load_data

CSV = csv_bytes(PICTURES, DIGITS)
ROWS = CSV.decode().splitlines()
TITLE = ",".join(HEADER)


def table(*rows):
    return {"mnist_train.csv": "\n".join(rows).encode()}


def with_value(row, position, value):
    """A row with another value at a position; 0 is the label."""
    cells = row.split(",")
    cells[position] = value
    return ",".join(cells)


TRAIN = "mnist_train.csv"
NOT, TO = "could not convert string", "to uint8; expected a label and 784 pixels, whole numbers"
SHORT = ROWS[2].rpartition(",")[0]
# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("csv", {TRAIN: b""}, f"{TRAIN}: no rows in it"),
    ("csv", {TRAIN: b"\n \n"}, f"{TRAIN}: no rows in it"),
    ("csv", table(TITLE), f"{TRAIN}: no rows in it"),
    ("csv", table(*ROWS[:2], SHORT), "line 3: the number of columns changed from 785 to 784; exp"),
    ("csv", table(*ROWS[:2], ROWS[2] + ",0"), f"{TRAIN}: line 3: the number of columns"),
    ("csv", table(ROWS[0][:1000], *ROWS[1:]), f"{TRAIN}: line 1 has "),
    ("csv", table(TITLE, ROWS[0] + ",0"), f"{TRAIN}: line 2 has 786 values"),
    ("csv", table("," + TITLE, *(f"{i},{row}" for i, row in enumerate(ROWS))),
     f"{TRAIN}: line 2 has 786 values"),  # the index of a table of pandas
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "300")), f"{TRAIN}: line 2: {NOT} '300' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "-1")), f"{TRAIN}: line 2: {NOT} '-1' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "0.5")), f"{TRAIN}: line 2: {NOT} '0.5' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "")), f"{TRAIN}: line 2: {NOT} '' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "x")), f"{TRAIN}: line 2: {NOT} 'x' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 99, "٣")), f"{TRAIN}: line 2: {NOT} '٣' {TO}"),
    ("csv", table(TITLE, "", ROWS[0], with_value(ROWS[1], 0, "4.5")), f"line 4: {NOT} '4.5' {TO}"),
    ("csv", table(ROWS[0], with_value(ROWS[1], 0, "10")), f"{TRAIN}: label 10 at position 1"),
    ("csv", table(*(row.replace(",", ";") for row in ROWS)), f"{TRAIN}: line 1 has 1 values"),
    ("csv", table(*(row.partition(",")[2] for row in ROWS)),
     f"{TRAIN}: 784 columns, so it has no labels, as Kaggle's test.csv; --validate needs only"),
    ("csv", {TRAIN: csv_bytes(PICTURES, DIGITS, label_last=True)},
     f"{TRAIN}: the first column is 0 throughout; if the label is the last column, a header"),
    ("csv", table(TITLE.replace("label", "digits"), *ROWS), "calls neither the first nor the last"),
    ("csv", {TRAIN: "\n".join(ROWS).encode("utf-16")}, f"{TRAIN}: holds zero bytes, as UTF-16 "),
    ("csv", {TRAIN: "\n".join(ROWS).replace(",", "\t").encode("utf-16")}, "Excel does; save it as"),
    ("csv", {TRAIN: bytes(100)}, f"{TRAIN}: holds zero bytes"),
    ("csv", {TRAIN: gzip.compress(CSV, mtime=0)[:-4]},
     f"{TRAIN}: cannot be read: Compressed file ended"),
    ("csv", {TRAIN: b"1" * 20_000}, f"{TRAIN}: line 1 has 1 values, expected a"),
    ("csv", table(ROWS[0], "1," * 10_000), f"{TRAIN}: line 2: the number of columns"),
    ("csv", {"train.csv": CSV}, "has mnist_train.csv and train.csv; move all but one of these"),
    ("header", {"test.csv": None, "test.csv/notes": b""}, "test.csv: cannot be read: "),
    ("csv", {TRAIN: None}, f"{TRAIN}: missing, though other parts are there"),
    ("header", {"test.csv": None}, "test.csv: missing, though other parts are there; --validate"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_tables_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


@pytest.mark.parametrize("text", [
    "\n".join(ROWS), "\r\n".join(ROWS) + "\r\n\r\n", "\ufeff" + "\n".join([TITLE, *ROWS]),
    "\n".join('"' + row.replace(",", '","') + '"' for row in [TITLE, *ROWS]),
    "\n".join(row.replace(",", ", ") for row in [TITLE, *ROWS]),
    "\n".join([TITLE.replace("label", "Label"), *ROWS]),
    "\n".join([",".join(["label", *map(str, range(784))]), *ROWS])],
    ids=["no end", "Windows", "byte order mark", "quotes", "spaces", "capitals", "numbers"])
def test_what_programs_make_of_a_table_is_read(text, tmp_path):
    write_files(tmp_path, {"train.csv": text.encode()})
    images, labels = MNIST(tmp_path, True)[:]
    np.testing.assert_array_equal(images[:, 0], PICTURES)
    assert labels.tolist() == DIGITS.tolist()


def test_kaggles_digit_recogniser_can_be_validated_on(tmp_path):
    """train.csv has labels, test.csv has none: what is measured on is held out."""
    unlabelled = csv_bytes(PICTURES, DIGITS, header=HEADER).decode().splitlines()
    unlabelled = "\n".join(line.partition(",")[2] for line in unlabelled)
    write_files(tmp_path, {"train.csv": csv_bytes(PICTURES, DIGITS, header=HEADER),
                           "test.csv": unlabelled.encode()})
    train_set, held_out, _ = load_data(tmp_path, None, None, validate=True)
    assert (len(train_set), len(held_out)) == (5, 1)
    assert "test.csv: 784 columns, so it has no labels" in fault(tmp_path)


def test_an_endless_line_fills_no_memory(tmp_path):
    write_files(tmp_path, {"train.csv": CSV + b"0," * 2**22})
    with filling_no_memory():
        assert "train.csv: line 7: the number of columns changed" in fault(tmp_path)
