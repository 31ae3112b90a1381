"""lab/compare.py: the statistics, compared with sums by hand and with scipy.stats."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from made_up import read, write_series
from scipy import stats

from lab.files import RunError
from lab.runs import compare
from lab.runs.series import error_counts, extent, read_all


def differ(folder, series, base):
    """The Difference of two lists of accuracies, or of {name: ...} as write_series takes them."""
    write_series(folder, "a", **series)
    write_series(folder, "b", **base)
    return compare.measure_difference(read(folder), "a", "b")


def test_the_same_seeds_are_paired(tmp_path):
    # Differences 10, 20, 30 images: mean 20, standard deviation 10, so 20 ± 4.3027 * 10 / sqrt(3).
    found = differ(tmp_path, {"accuracies": [0.9920, 0.9943, 0.9951]},
                   {"accuracies": [0.9910, 0.9923, 0.9921]})
    half = 4.30265 * 0.10 / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((0.20, 0.20 - half, 0.20 + half),
                                                                abs=1e-5)
    assert found.p == pytest.approx(0.0742, abs=1e-4)  # t = 3.4641 with 2 degrees of freedom
    assert (found.paired, found.test) == (True, "paired, 3 seeds")


def test_pairs_are_of_the_same_seed_not_of_the_same_place(tmp_path):
    write_series(tmp_path, "a", [0.9910, 0.9930, 0.9950])
    write_series(tmp_path, "b", [0.9909, 0.9928, 0.9951])
    found = read(tmp_path)
    expected = compare.measure_difference(found, "a", "b")
    found["b"].reverse()
    assert compare.measure_difference(found, "a", "b") == expected
    assert expected.deviation == pytest.approx(0.0153, abs=1e-4)  # of 0.01, 0.02, -0.01


def test_where_seeds_are_missing_all_count_by_welch(tmp_path):
    # By hand: means 99.20 and 99.10, variances / n 0.01 / 4 and 0.0004 / 2 (times 1e-4 points^2).
    a, b = [0.9910, 0.9920, 0.9920, 0.9930], [0.9909, 0.9911]
    found = differ(tmp_path, {"accuracies": a}, {"accuracies": b})
    va, vb = np.var(a, ddof=1) / 4, np.var(b, ddof=1) / 2
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2)  # Welch and Satterthwaite
    assert 3.3 < freedom < 3.5
    half = 2.980 * 100 * math.sqrt(va + vb)  # between t(3) = 3.182 and t(4) = 2.776
    assert found.mean == pytest.approx(0.10)
    assert found.high - found.mean == pytest.approx(half, rel=0.02)
    assert found.mean - found.low == pytest.approx(half, rel=0.02)
    assert (found.paired, found.test) == (False, "Welch, 4 and 2 seeds")
    # Of a single seed of each: sums of squares 2 and 0.02 (times 1e-2 points^2) by n - 1.
    assert found.deviation == pytest.approx(0.1 * math.sqrt(2 / 3 + 0.02))


def test_as_many_seeds_but_others_are_no_pairs(tmp_path):
    found = differ(tmp_path, {"accuracies": [0.991, 0.993], "first": 1},
                   {"accuracies": [0.990, 0.992]})
    assert found.test == "Welch, 2 and 2 seeds"


@pytest.mark.parametrize(("a", "b"), [
    ([0.99], [0.98, 0.97]), ([0.99, 0.98], [0.99]), ([0.99, 0.98], [0.99, 0.98]),
    ([0.99, 0.99], [0.99, 0.99, 0.99])])
def test_one_seed_or_no_difference_decides_nothing(tmp_path, a, b):
    assert differ(tmp_path, {"accuracies": a}, {"accuracies": b}) is None
    (verdict, words), = compare.judge_all([None])
    assert verdict == "undecided"
    assert "one seed, or no difference in any seed" in words


@pytest.mark.parametrize(("seeds", "gain", "verdict"), [
    (2, 10, "undecided"), (5, 10, "undecided"), (6, 10, "better"), (6, -1, "worse")])
def test_the_same_difference_in_every_seed_is_a_matter_of_signs(tmp_path, seeds, gain, verdict):
    base = [0.98 + 0.001 * seed for seed in range(seeds)]
    found = differ(tmp_path, {"accuracies": [value + 1e-4 * gain for value in base]},
                   {"accuracies": base})
    assert found.test == f"sign test, {seeds} seeds"
    assert found.p == stats.binomtest(seeds, seeds).pvalue
    assert (found.mean, found.deviation) == (pytest.approx(0.01 * gain), 0)
    (judged, words), = compare.judge_all([found])
    assert judged == verdict
    start = (f"{0.01 * gain:+.2f} points, the same difference in every seed "
             f"(sign test, {seeds} seeds), p = {found.p:.2g} (one comparison)")
    # Of five seeds, the p is 0.0625; of six, 0.03125.
    assert words == start + ("; if it is as large as it looks, about 6 seeds each would "
                             "probably decide it"
                             if verdict == "undecided" else "")
    # Two of them: each p is doubled (Holm), and it takes seven seeds.
    both = compare.judge_all([found, found])
    assert [judged for judged, _ in both] == ["undecided"] * 2
    assert "about 7 seeds each" in both[0][1]


@pytest.mark.parametrize(("n", "m"), [(3, 2), (3, 4)])
def test_two_series_without_spread_are_a_matter_of_order(tmp_path, n, m):
    found = differ(tmp_path, {"accuracies": [0.99] * n}, {"accuracies": [0.98] * m})
    oracle = stats.permutation_test(([0.99] * n, [0.98] * m), lambda x, y: np.mean(x) - np.mean(y))
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.test == f"permutation test, {n} and {m} seeds"
    assert found.mean == pytest.approx(1)


def test_errors_are_written_as_a_person_does(tmp_path):
    write_series(tmp_path, "a", [0.9919])
    write_series(tmp_path, "b", [0.9919, 0.9919])
    write_series(tmp_path, "c", [0.9919, 0.9918, 0.9918])  # 245 / 3 = 81.667
    write_series(tmp_path, "d", [0.0999, 0.1001])
    assert [extent(series) for series in read(tmp_path).values()] == [
        "81", "81.0", "81.7 (81 to 82)", "9,000.0 (8,999 to 9,001)"]


def test_a_point_is_a_percent_of_the_images_measured(tmp_path):
    settings = {"size": 1200, "evaluated_on": "validation"}  # a sixth: 200 images, 0.5 points each
    found = differ(tmp_path, {"accuracies": [0.95, 0.96], **settings},
                   {"accuracies": [0.94, 0.94], **settings})
    assert found.mean == pytest.approx(1.5)
    assert list(error_counts(read(tmp_path)["a"])) == [10, 8]  # of 200, not of 1200


def test_other_data_are_not_compared(tmp_path):
    write_series(tmp_path, "a", [0.99, 0.98])
    write_series(tmp_path, "b", [0.99, 0.98], size=5)
    with pytest.raises(RunError, match=r"^a and b cannot .* differ in the test images$"):
        compare.measure_difference(read(tmp_path), "a", "b")


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, never falling, never above 1.
    assert compare.correct([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert compare.correct([0.6, 0.7]) == pytest.approx([1, 1])
    assert list(compare.correct([])) == []


def make_difference(mean, p, deviation=0.1, paired=True):
    return compare.Difference(mean, mean - 0.1, mean + 0.1, p, paired, "paired, 5 seeds", deviation)


def test_verdicts_are_corrected_for_their_number():
    assert compare.judge_all([make_difference(0.2, 0.02)])[0][0] == "better"
    assert compare.judge_all([make_difference(-0.2, 0.02)])[0][0] == "worse"
    verdicts = compare.judge_all([make_difference(0.2, 0.03), None, make_difference(0.2, 0.001),
                                  make_difference(0.2, 0.6)])
    assert [verdict for verdict, _ in verdicts] == ["undecided", "undecided", "better", "undecided"]
    assert "p = 0.06 (Holm, 3 comparisons)" in verdicts[0][1]


@pytest.mark.parametrize(("effect", "deviation", "paired", "published"), [
    (0.5, 1, True, 34), (1, math.sqrt(2), False, 17), (2, math.sqrt(2), False, 6)])
def test_the_seeds_it_takes_are_those_of_the_usual_tables(effect, deviation, paired, published):
    # 80 % power, two-sided 5 %: half a standard deviation takes 34 pairs; between two groups a
    # whole one takes 17 each, and two take 6; `deviation` is that of a difference.
    assert compare.seeds_to_decide(make_difference(effect, 0.2, deviation, paired), 1) == published


def test_a_difference_of_nothing_takes_more_seeds_than_anybody_has():
    assert compare.seeds_to_decide(make_difference(0, 1), 1) is None
    assert "not even 1,000 seeds" in compare.judge_all([make_difference(0, 1)])[0][1]
    few, many = (compare.seeds_to_decide(make_difference(0.1, 0.2), k) for k in (1, 10))
    assert few < many


def test_a_series_in_one_line(tmp_path):
    write_series(tmp_path, "a", [0.9919])
    write_series(tmp_path, "b", [0.9919, 0.9921])
    assert [compare.summarise(*item) for item in read(tmp_path).items()] == [
        "a: 99.19 %, errors of 10,000: 81, 1 seed",
        "b: 99.20 ± 0.01 %, errors of 10,000: 80.0 (79 to 81), 2 seeds"]


# Compared with scipy.stats, which compare.py does not import

@pytest.mark.parametrize("first", [0, 3])  # the same seeds, or only some of them
@pytest.mark.parametrize(("a", "b"), [
    ([78, 90, 66, 81, 75], [45, 50, 39, 44, 52]), ([78, 90, 66, 81, 75], [77, 91, 66, 80]),
    ([5000, 5001], [5000, 5000, 5001]), ([100, 100, 100], [9000, 9001, 9000]),
    ([45, 50, 39, 44, 52, 41, 47, 43, 48, 46], [42, 49, 37, 44, 50, 40, 43, 41, 45, 40])])
@pytest.mark.filterwarnings("error")
def test_differences_are_those_of_scipy_stats(tmp_path, a, b, first):
    found = differ(tmp_path, {"accuracies": [1 - count / 10_000 for count in a]},
                   {"accuracies": [1 - count / 10_000 for count in b], "first": first})
    assert found.paired == (len(a) == len(b) and not first)
    with warnings.catch_warnings(action="ignore"):  # scipy's, of data that are nearly identical
        expected = (stats.ttest_rel(b, a) if found.paired else
                    stats.ttest_ind(b, a, equal_var=False))
    interval = expected.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx(
        (expected.pvalue, interval.low / 100, interval.high / 100), rel=1e-9)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("mean", "comparisons"), [(0.1, 1), (-0.03, 1), (0.05, 4), (0.4, 20)])
def test_the_seeds_it_takes_are_those_of_scipy_stats(mean, comparisons, paired):
    deviation, n = 0.11, 2

    def quantile(probability):
        return stats.t.ppf(probability, (n - 1) if paired else 2 * (n - 1))

    while abs(mean) * n**0.5 / deviation < quantile(1 - 0.025 / comparisons) + quantile(0.8):
        n += 1
    difference = make_difference(mean, 0.2, deviation, paired)
    assert compare.seeds_to_decide(difference, comparisons) == n


# Reading a folder

def test_folder_without_runs(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match="no run in it"):
            read_all(folder, [])
    write_series(tmp_path, "lenet-lr0.2", [0.5])
    assert read_all(tmp_path, ["lenet"]) == (
        {}, [f"{tmp_path}: no series lenet; did you mean lenet-lr0.2?"])


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    """Its cost would grow with the square of its series."""
    for name in ("a", "b", "c"):
        write_series(tmp_path, name, [0.5])
    listed, glob = [], Path.glob
    monkeypatch.setattr(Path, "glob", lambda *args: listed.append(args) or glob(*args))
    found, _ = read_all(tmp_path, [])
    assert (list(found), len(listed)) == (["a", "b", "c"], 1)
