"""Logs, read back for all seeds, whole or broken.

    python -m pytest tests/lab/runs/test_series.py
"""

import dataclasses
import json
import statistics
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from conftest import ROOT
from made_up import write_log

import main
from lab.files import RunError
from lab.runs.identity import as_dict
from lab.runs.series import (
    accuracies,
    error_counts,
    find_logs,
    finished_series,
    fixed,
    mean_errors,
    read_all,
    read_log,
    spread,
)
from lab.runs.series import read_series as read_paths


def write_run(folder, name, seed, accuracies, **changed):
    """A complete run as main.py logs it; `changed` overrides parts of its summary."""
    recipe = as_dict(dataclasses.replace(main.RECIPES["lenet"], epochs=len(accuracies)))
    history = [{"epoch": epoch, "learning_rate": 0.1, "train_loss": 0.2, "train_accuracy": 0.9,
                "test_loss": 0.3, "test_accuracy": accuracy, "seconds": 1.5}
               for epoch, accuracy in enumerate(accuracies, 1)]
    write_log(folder, name, seed, history, **{
        "recipe": recipe, "data": {"train": {"size": 600}, "test": {"size": 200}},
        "errors": [[3, 1, 7, 0.5]], **changed})


def read_series(folder, name):
    return read_paths(find_logs(folder)[0][name])


def test_series_are_gathered_by_name_and_seed(tmp_path):
    accuracies = {seed: 0.9 + seed / 1000 for seed in (0, 1, 2, 10)}  # "10" sorts before "2"
    for seed, accuracy in accuracies.items():
        write_run(tmp_path, "lenet-epochs2", seed, [0.5, accuracy])
    write_run(tmp_path, "mlp", 0, [0.25])
    (tmp_path / "notes.json").write_text("not a run")
    assert list(find_logs(tmp_path)[0]) == ["lenet-epochs2", "mlp"]
    series = {name: read_series(tmp_path, name) for name in ("lenet-epochs2", "mlp")}
    assert [run["seed"] for run in series["lenet-epochs2"]] == [0, 1, 2, 10]
    last = [run["history"][-1]["test_accuracy"] for run in series["lenet-epochs2"]]
    assert last == list(accuracies.values())
    assert statistics.mean(last) == pytest.approx(0.90325)
    (run,) = series["mlp"]
    assert run["final"]["test_accuracy"] == run["history"][0]["test_accuracy"] == 0.25
    assert run["history"] == [{"epoch": 1, "learning_rate": 0.1, "train_loss": 0.2,
                               "train_accuracy": 0.9, "test_loss": 0.3, "test_accuracy": 0.25,
                               "seconds": 1.5}]
    assert run["errors"] == [[3, 1, 7, 0.5]]


def test_unfinished_runs_are_there_as_far_as_they_go(tmp_path):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    recipe = as_dict(dataclasses.replace(main.RECIPES["lenet"], epochs=2))
    write_run(tmp_path, "lenet", 1, [0.5], recipe=recipe)
    series = read_series(tmp_path, "lenet")
    assert [(run["complete"], len(run["history"])) for run in series] == [(True, 2), (False, 1)]
    with open(tmp_path / "lenet-seed1.csv", "a") as file:  # while it is trained, before the JSON
        file.write("2,0.1,0.2,0.9,0.3,0.6,1.5\n")
    assert len(read_series(tmp_path, "lenet")[1]["history"]) == 1
    table = tmp_path / "lenet-seed1.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(RunError, match="0 epochs of 1"):
        read_series(tmp_path, "lenet")


@pytest.mark.parametrize(("changed", "words"), [
    ({"recipe": {**as_dict(main.RECIPES["lenet"]), "epochs": 2, "lr": 0.05}},
     ["lenet-seed0", "lenet-seed1", "lr", "0.05", "0.1"]),
    ({"data": {"train": {"size": 600}, "test": {"size": 199}}}, ["lenet-seed1", "the test images"]),
    ({"evaluated_on": "validation"}, ["lenet-seed1", "validation"]),
])
def test_runs_that_differ_are_not_averaged(tmp_path, changed, words):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    write_run(tmp_path, "lenet", 1, [0.5, 0.6], **changed)
    with pytest.raises(RunError) as caught:
        read_series(tmp_path, "lenet")
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "epochs" not in message  # what agrees is not blamed
    assert "\n" not in message
    assert "{" not in message


def test_only_the_series_asked_for_is_read(tmp_path):
    write_run(tmp_path, "lenet", 0, [0.5])
    write_run(tmp_path, "mlp", 0, [0.5])
    (tmp_path / "mlp-seed0.csv").write_text("")
    (tmp_path / "old-seed0.json").write_text("")
    assert len(read_series(tmp_path, "lenet")) == 1


@pytest.mark.parametrize(("suffix", "damage"), [
    ("json", lambda content: b""),
    ("json", lambda content: content[:100]),
    ("json", lambda content: b"[1, 2]"),
    ("json", lambda content: b'{"some": "other file"}'),
    ("json", lambda content: b'{"final": {}}'),
    ("json", lambda content: b"\xff" + content),
    ("csv", lambda content: content.replace(b"0.5", b"half")),
    ("csv", lambda content: b""),
    ("csv", lambda content: content[: content.index(b"2,0.1")]),  # a row is gone
    ("csv", lambda content: content + b"3,0.1,0.2,0.9,0.3,0.6,1.5\n"),  # a row is too many
    ("csv", lambda content: content[:-12]),  # within the last row
    ("csv", lambda content: content[:-1] + b",7\n"),
    ("csv", lambda content: b"\xff" + content),
    ("csv", None),
])
def test_broken_log_is_named(tmp_path, suffix, damage):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    path = tmp_path / f"lenet-seed0.{suffix}"
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(RunError) as caught:
        read_series(tmp_path, "lenet")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_summary_of_a_missing_or_foreign_file_is_empty(tmp_path):
    path = tmp_path / "lenet-seed0.json"
    assert read_log(path) == {}
    for content in ("", "{", "3", json.dumps({"model": "lenet"})):
        path.write_text(content)
        assert read_log(path) == {}


# Copies and foreign files

def test_a_copy_is_no_run(tmp_path):
    """As a synchronised folder makes them, and macOS: a seed counted twice, once."""
    write_run(tmp_path, "x", 0, [0.5])
    write_run(tmp_path, "x", 1, [0.7])
    for suffix in ("json", "csv"):
        content = (tmp_path / f"x-seed0.{suffix}").read_bytes()
        for name in ("x-seed0 (conflicted copy)", "x-seed0 2", "x-seed00", "._x-seed0", "Copy of"):
            (tmp_path / f"{name}.{suffix}").write_bytes(content)
    found, others = find_logs(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == {"x": 2}
    assert {path.name for path in others} == {
        "x-seed0 (conflicted copy).json", "x-seed0 2.json", "x-seed00.json"}
    assert [run["seed"] for run in read_series(tmp_path, "x")] == [0, 1]


def test_a_seed_that_stands_twice_is_refused(tmp_path):
    write_run(tmp_path, "x", 0, [0.5])
    for suffix in ("json", "csv"):
        content = (tmp_path / f"x-seed0.{suffix}").read_bytes()
        (tmp_path / f"x-seed7.{suffix}").write_bytes(content)
    with pytest.raises(RunError, match=r"x-seed7\.json: its name says another seed than its "):
        read_series(tmp_path, "x")


def test_a_table_that_a_spreadsheet_saved_again_is_read(tmp_path):
    write_run(tmp_path, "x", 0, [0.5, 0.6])
    before = read_series(tmp_path, "x")
    table = tmp_path / "x-seed0.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert read_series(tmp_path, "x") == before


# Rounding

def round_half_up(exact, form=".2f"):
    """A Fraction with two digits, from whole numbers alone."""
    sign, hundredths = ("-" if exact < 0 else "+"), int(abs(exact) * 100 + Fraction(1, 2))
    return sign * ("+" in form or exact < 0) + f"{hundredths // 100}.{hundredths % 100:02}"


@pytest.mark.parametrize("folder", ["logs/report", "logs/report/validation"])
def test_means_and_gains_are_rounded_half_up_from_the_counts_of_errors(folder):
    """Of every series of the report, and of every pair of them."""
    series = finished_series(read_all(ROOT / folder, [])[0])
    exact = {name: 100 - Fraction(int(error_counts(runs).sum()), 100 * len(runs))
             for name, runs in series.items()}
    means = {name: accuracies(runs).mean() for name, runs in series.items()}
    assert {name: spread(accuracies(runs)).partition(" ")[0] for name, runs in series.items()} == {
        name: round_half_up(each) for name, each in exact.items()}
    for one, other in combinations(series, 2):
        assert fixed(means[one] - means[other], "+.2f") == round_half_up(
            exact[one] - exact[other], "+"), (one, other)


def test_a_half_is_rounded_up_whatever_the_float():
    """Every mean of ten seeds that lies half way; floats alone go either way."""
    errors = range(5, 100_000, 10)  # of 100,000
    means = [np.mean([100 * (1 - count // 10 / 10_000)] * 5 + [
        100 * (1 - (count // 10 + 1) / 10_000)] * 5) for count in errors]
    expected = [str((100 - Decimal(count) / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP))
                for count in errors]
    assert list(map(fixed, means)) == expected
    assert 0.3 < np.mean([f"{mean:.2f}" == words
                          for mean, words in zip(means, expected, strict=True)]) < 0.7
    assert (fixed(99.265 - 99.215, "+.2f"), fixed(-0.005, "+.2f")) == ("+0.05", "-0.01")


def test_a_mean_number_of_errors_has_its_digit_and_a_number_has_none():
    runs = [{"evaluated_on": "test", "data": {"test": {"size": 10_000}},
             "final": {"test_accuracy": 1 - errors / 10_000}} for errors in (41, 43, 1000)]
    assert [mean_errors(runs[:count]) for count in (1, 2, 3)] == ["41", "42.0", "361.3"]
