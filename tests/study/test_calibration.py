"""study/calibration.py: compared with numbers by hand, and with the binomial distribution."""

import numpy as np
import pytest
from conftest import ROOT
from made_up import read, rows_of, write_series
from scipy import stats

from main import RECIPES
from study import calibration


def test_every_log_that_has_calibration_counts(tmp_path):
    """Two nets, one with two runs known (one of them trained once more), one with none."""
    write_series(tmp_path, "lenet", [0.99, 0.99], epochs=2)
    write_series(tmp_path, "lenet_reg", [0.995], recipe=RECIPES["lenet_reg"])
    series = read(tmp_path)
    series["lenet"][0]["calibration"] = [[0] * 13 + [20, 80], [0] * 13 + [15, 78],
                                         [0] * 13 + [18.0, 79.0]]
    again = {"lenet": [{"seed": 0, "calibration": [[0] * 13 + [20, 80], [0] * 13 + [19, 78],
                                                   [0] * 13 + [18.0, 79.0]]}]}
    for run, losses in zip(series["lenet"], ([0.03, 0.05], [0.05, 0.04]), strict=True):
        run["history"] = [{"test_loss": loss} for loss in losses]
    (first, second) = rows_of(calibration.calibration_table(series, again))
    # (3 + 1) / 100 and (1 + 1) / 100; sure of 97 %, right are 93 % and 97 %.
    assert first[:-1] == ["LeNet-5 (`lenet`)", "0.0400 (1)", "0.0450", "2", "97.00", "95.00",
                          "**3.00 ± 1.41**"]
    assert second == ["LeNet-5, regularised (`lenet_reg`)", "0.4000 (1)", "0.4000", *[""] * 5]


def test_chance_alone_makes_the_gap_that_the_binomial_distribution_says():
    """Of a log of the report: the mean absolute deviation of each bin, from its probabilities."""
    run = read(ROOT / "logs/report/again")["lenet_reg"][0]
    examples, _, probability = run["calibration"]
    expected = sum(
        sum(abs(k - p) * stats.binom.pmf(k, int(n), p / n) for k in range(int(n) + 1))
        for n, p in zip(examples, probability, strict=True) if n) / sum(examples)
    gaps = calibration.chance_gaps(run["calibration"])
    error = gaps.std() / len(gaps) ** 0.5
    assert gaps.mean() == pytest.approx(expected, abs=4 * error)
    assert error < 0.01 * expected
    assert np.array_equal(gaps, calibration.chance_gaps(run["calibration"]))


def test_overfitting_is_told_with_its_epochs_and_errors(tmp_path):
    write_series(tmp_path, "lenet", [0.99, 0.992])
    series = read(tmp_path)
    for run, train in zip(series["lenet"], ([0.5, 0.998, 1, 1], [0.5, 0.996, 1, 0.9999]),
                          strict=True):
        run["history"] = [
            {"train_accuracy": each, "test_accuracy": 0.98 + 0.003 * epoch, "test_loss": loss}
            for epoch, (each, loss) in enumerate(zip(train, (4, 1, 2, 3), strict=True))]
    assert calibration.overfitting(series) == (
        "The mean test loss of `lenet` is lowest in epoch 2. There it still misreads 180 of the "
        "60,000 training images, on average, and 170 test images. At the end it misreads 110.0 "
        "test images. 1 of 2 seeds end with every training image right, which the first of them "
        "does in epoch 3.")


def test_of_one_bin_every_quantile_is_the_binomial_one():
    gaps = calibration.chance_gaps([[0, 50], [0, 0], [0, 25.0]])  # right or not does not matter
    for level in (0.1, 0.5, 0.95):  # |X - 25| <= k has the probability of 25 - k <= X <= 25 + k
        k = next(k for k in range(26) if stats.binom.cdf(25 + k, 50, 0.5)
                 - stats.binom.cdf(24 - k, 50, 0.5) >= level)
        assert np.quantile(gaps, level) == k / 50


def test_a_net_that_is_always_sure_has_no_gap_by_chance():
    assert not calibration.chance_gaps([[0, 7], [0, 3], [0, 7.0]]).any()
