"""lab/runs/slips.py: what is misread as what, compared with confusion matrices counted by hand."""

import numpy as np
import pytest
import torch
from conftest import ROOT
from made_up import read

from lab.runs import slips


def test_every_run_of_the_report_is_counted(digits):
    """A confusion matrix for each net: its diagonal over its rows, and all that is beside it."""
    labels = digits["test"][1]
    for name, series in read(ROOT / "logs/report").items():
        rates, matrices = [], []
        for run in series:
            predictions = labels.copy()
            for index, _, prediction, _ in run["errors"]:
                predictions[index] = prediction
            matrix = np.zeros((10, 10), int)
            np.add.at(matrix, (labels, predictions), 1)
            rates.append(100 * matrix.diagonal() / matrix.sum(1))
            matrices.append(matrix)
        mean = np.mean(matrices, axis=0) * (1 - np.eye(10))
        found = slips.count_slips(series)
        assert found == pytest.approx({(i, j): mean[i, j] for i, j in zip(*mean.nonzero(),
                                                                          strict=True)}), name
        assert [*found.values()] == sorted(found.values(), reverse=True)
        rated = slips.rate_digits(series, torch.tensor(labels))
        assert list(rated) == [*range(10)]
        np.testing.assert_allclose([*rated.values()], np.mean(rates, axis=0))


def make_run(*pairs):
    return {"errors": [[i, *pair, 0.5] for i, pair in enumerate(pairs)]}


def test_of_equal_slips_the_smaller_digits_come_first():
    series = [make_run((5, 3), (9, 4)), make_run((9, 4), (1, 7)), make_run((5, 3))]
    assert slips.name_slips(series, 2) == "5 as 3 (0.7), 9 as 4 (0.7)"
    assert slips.name_slips(series[::-1], 3) == "5 as 3 (0.7), 9 as 4 (0.7), 1 as 7 (0.3)"


def test_only_digits_that_are_there_are_told():
    lines = slips.describe([make_run((5, 3), (5, 3), (5, 0), (5, 1), (5, 2))],
                           torch.tensor([5] * 1000 + [3]))
    assert lines[1:] == [
        "      3       1    100.00", "      5   1,000     99.50  3 (2.0), 0 (1.0), 1 (1.0)",
        "The commonest slips of a net: 5 as 3 (2.0), 5 as 0 (1.0), 5 as 1 (1.0), 5 as 2 (1.0)"]
    assert slips.describe([make_run()], torch.tensor([5]))[-1].endswith(": none")
