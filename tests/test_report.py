"""What reaches scipy's statistics, by hand sums; what the tables say; the README and its logs."""

import math
import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import without_reader

import report
from lab import compare, runs
from main import DEFAULTS, RECIPES
from study import effects


def write_series(folder, name, accuracies, errors=(), recipe=RECIPES["lenet"], size=10_000,
                 first=0, epochs=1, evaluated_on="test", model=None):
    """Logs of one epoch a run, seeds from `first` on; unfinished where the recipe has more."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = replace(recipe, epochs=epochs)
    for seed, accuracy in enumerate(accuracies, start=first):
        row = {"epoch": 1, "learning_rate": 0.1, "train_loss": 0.5, "train_accuracy": 0.9,
               "test_loss": 0.4, "test_accuracy": accuracy, "seconds": 450.0}
        data = {"train": {"size": 60_000}, evaluated_on: {"size": size}}
        summary = {"model": model or name, "seed": seed, "evaluated_on": evaluated_on,
                   "data": data, "recipe": {**asdict(recipe), "net": recipe.net.__name__},
                   "parameters": 61_706}
        runs.Run(runs.Place(folder, folder, {}), f"{name}-seed{seed}", summary, [row],
                 {"errors": list(errors)}).write_log()


def read(folder):
    return {name: runs.read_series(folder, name, DEFAULTS)
            for name in runs.list_series(folder)}


def differ(folder, series, base):
    """The Difference of two lists of accuracies, or of {name: ...} as write_series takes them."""
    write_series(folder, "a", **series)
    write_series(folder, "b", **base)
    return compare.measure_difference(read(folder), "a", "b")


# Differences

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


def test_as_many_seeds_but_others_are_no_pairs(tmp_path):
    found = differ(tmp_path, {"accuracies": [0.991, 0.993], "first": 1},
                   {"accuracies": [0.990, 0.992]})
    assert found.test == "Welch, 2 and 2 seeds"


@pytest.mark.parametrize(("a", "b"), [
    ([0.99], [0.98, 0.97]), ([0.99, 0.98], [0.99, 0.98]), ([0.99, 0.98], [0.98, 0.97])])
def test_one_seed_or_no_spread_decides_nothing(tmp_path, a, b):
    assert differ(tmp_path, {"accuracies": a}, {"accuracies": b}) is None
    (verdict, words), = compare.judge_all([None])
    assert verdict == "undecided"
    assert "one seed" in words


def test_a_point_is_a_percent_of_the_images_measured(tmp_path):
    settings = {"size": 1200, "evaluated_on": "validation"}  # a sixth: 200 images, 0.5 points each
    found = differ(tmp_path, {"accuracies": [0.95, 0.96], **settings},
                   {"accuracies": [0.94, 0.94], **settings})
    assert found.mean == pytest.approx(1.5)
    assert list(compare.error_counts(read(tmp_path)["a"])) == [10, 8]  # of 200, not of 1200


def test_other_data_are_not_compared(tmp_path):
    write_series(tmp_path, "a", [0.99, 0.98])
    write_series(tmp_path, "b", [0.99, 0.98], size=5)
    with pytest.raises(runs.RunError, match=r"^a and b cannot be compared, they differ in test"):
        compare.measure_difference(read(tmp_path), "a", "b")


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, never falling, never above 1.
    assert compare.correct([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert compare.correct([0.6, 0.7]) == pytest.approx([1, 1])
    assert list(compare.correct([])) == []


def made_up(mean, p, deviation=0.1, paired=True):
    return compare.Difference(mean, mean - 0.1, mean + 0.1, p, paired, "paired, 5 seeds", deviation)


def test_verdicts_are_corrected_for_their_number():
    assert compare.judge_all([made_up(0.2, 0.02)])[0][0] == "better"
    assert compare.judge_all([made_up(-0.2, 0.02)])[0][0] == "worse"
    verdicts = compare.judge_all([made_up(0.2, 0.03), None, made_up(0.2, 0.001),
                                  made_up(0.2, 0.6)])
    assert [verdict for verdict, _ in verdicts] == ["undecided", "undecided", "better", "undecided"]
    assert "p = 0.06 (Holm, 3 comparisons)" in verdicts[0][1]


@pytest.mark.parametrize(("effect", "deviation", "paired", "published"), [
    (0.5, 1, True, 34), (1, math.sqrt(2), False, 17), (2, math.sqrt(2), False, 6)])
def test_the_seeds_it_takes_are_those_of_the_usual_tables(effect, deviation, paired, published):
    # 80 % power, two-sided 5 %: half a standard deviation takes 34 pairs; between two groups a
    # whole one takes 17 each, and two take 6; `deviation` is that of a difference.
    assert compare.seeds_to_decide(made_up(effect, 0.2, deviation, paired), 1) == published


def test_a_difference_of_nothing_takes_more_seeds_than_anybody_has():
    assert compare.seeds_to_decide(made_up(0, 1), 1) is None
    assert "not even 1,000 seeds" in compare.judge_all([made_up(0, 1)])[0][1]
    few, many = (compare.seeds_to_decide(made_up(0.1, 0.2), k) for k in (1, 10))
    assert few < many


# The command line

def test_every_later_series_is_compared_with_the_first(tmp_path, capsys):
    write_series(tmp_path, "lenet", [0.9910, 0.9912, 0.9914])
    write_series(tmp_path, "lenet-lr0.05", [0.9920, 0.9923, 0.9922],
                 recipe=replace(RECIPES["lenet"], lr=0.05))
    write_series(tmp_path, "mlp", [0.9714, 0.9910], model="mlp")
    command = ["lenet", "lenet-lr0.05", "mlp", "--log-dir", str(tmp_path)]
    assert report.main(command) == 0
    out = capsys.readouterr().out
    # Differences 0.10, 0.11, 0.08 points: mean 0.0967, sd 0.0153, half width 0.0379.
    assert "better than lenet: +0.10 points, 95 % interval +0.06 to +0.13 (paired, 3 seeds)" in out
    assert out.count("(Holm, 2 comparisons)") == 2
    assert "undecided against lenet: -1.00 points" in out
    assert "(Welch, 2 and 3 seeds)" in out
    assert "seeds each would probably decide it" in out
    assert "differs in lr (0.05 and 0.1)" in out
    assert "lenet: 99.12 ± 0.02 %, errors of 10,000: 88.0 (86 to 90), 3 seed(s)" in out
    assert out.count("seed 2: ") == 1


def test_series_in_other_folders_and_broken_ones_beside_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "logs", "a", [0.9910, 0.9912, 0.9914])
    write_series(tmp_path / "other", "a", [0.9914, 0.9910, 0.9911])
    (tmp_path / "logs/broken-seed0.json").write_text("{}")
    assert report.main(["a", os.path.join("other", "a")]) == 0  # a backslash on Windows
    assert f"undecided against a: {-0.003:+.2f} points" in capsys.readouterr().out


def test_a_difference_in_the_code_is_named(tmp_path, capsys):
    for name, probe in (("a", 0.5), ("b", 0.6)):
        write_series(tmp_path, name, [0.9910, 0.9912])
        for path in tmp_path.glob(f"{name}-*.json"):
            path.write_text(path.read_text().replace("{", f'{{"probe": {probe}, ', 1))
    assert report.main(["a", "b", "--log-dir", str(tmp_path)]) == 0
    assert "differs in the code" in capsys.readouterr().out


def test_without_names_every_series_stands_in_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / "logs"
    write_series(logs, "lenet", [0.9910, 0.9914, 0.9912])
    write_series(logs, "lenet", [0.5], first=7)
    write_series(logs, "lenet-lr0.05", [0.9950, 0.9951, 0.9949], model="lenet",
                 recipe=replace(RECIPES["lenet"], lr=0.05))
    write_series(logs, "lenet-lr0.05-x", [0.9912, 0.9912, 0.9911], model="lenet")
    write_series(logs, "lenet-validate", [0.98], model="lenet", evaluated_on="validation")
    write_series(logs, "lenet-lr0.2-validate", [0.97], model="lenet", evaluated_on="validation")
    write_series(logs, "mlp", [0.98])
    write_series(logs, "mlp", [0.95], recipe=RECIPES["mlp"], epochs=30, first=1, model="mlp")
    write_series(logs, "wide", [0.93], epochs=9)
    status = report.main([])
    out, err = capsys.readouterr()
    # mlp's seeds differ in their recipe here: named, and all else is shown.
    assert (status, err.count("\n")) == (1, 1)
    assert "mlp-seed1 and mlp-seed0 differ in" in err
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert rows["lenet"].split()[1:] == ["4", "86.84", "±", "24.56", "1316.0", "(86", "to", "5000)",
                                        "of", "10,000", "1"]
    assert "undecided against lenet: +12.66 (" in rows["lenet-lr0.05"]
    assert "Welch, 3 and 4 seeds" in rows["lenet-lr0.05"]
    assert "against lenet: " in rows["lenet-lr0.05-x"]  # not against lenet-lr0.05
    assert rows["lenet-lr0.2-validate"].endswith("undecided against lenet-validate")
    assert "wide" not in rows
    assert "corrected for their number (Holm)" in out
    assert "unfinished: wide-seed0, 1 of 9 epochs so far, 93.00 %" in out


@pytest.mark.parametrize(("names", "status", "words"), [
    (["lenet"], 2, "lenet alone: give two series or more"),
    (["lenet", "lenet"], 2, "with itself"),
    (["--readme", "--log-dir", "logs"], 2, "--readme takes all of logs/report"),
    (["--readme", "lenet", "other"], 2, "--readme takes all of logs/report"),
    (["lenet", "missing"], 1, "logs: no series missing; there are lenet, other, part"),
    (["lenet", "other"], 1, "other and lenet cannot be compared, they differ in test"),
    (["lenet", "part"], 1, "logs: part has no finished run (seed 0: 1 of 5 epochs so far)"),
    (["--log-dir", "empty", "a", "b"], 1, "empty: no run in it; python main.py makes one"),
    (["--log-dir", "empty"], 1, "empty: no run in it; python main.py makes one"),
    (["--nonsense"], 2, "--nonsense"),
])
def test_faults_are_one_line(tmp_path, monkeypatch, capsys, names, status, words):
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "logs", "lenet", [0.99])
    write_series(tmp_path / "logs", "other", [0.99], size=5)
    write_series(tmp_path / "logs", "part", [0.9], epochs=5)
    assert report.main(names) == status
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("argv", [
    ["report.py"], ["main.py", "--seeds", "9", "--checkpoint-dir", "."]])
def test_a_reader_that_goes_away_is_no_error(argv, run_script):
    """As in `python report.py | head -1`, with the pipe closed before anything is written."""
    argv = [*argv, "--log-dir", str(report.REPORT)]
    assert run_script(*argv, prepare=without_reader) == (-signal.SIGPIPE, "", "")


# The README

def test_tables_hold_the_numbers_of_the_logs(tmp_path):
    accuracy = {"lenet": [0.9910, 0.9914], "mlp": [0.98, 0.97], "lenet_reg": [0.9950, 0.9956],
                "lenet_dropout": [0.9915, 0.9905, 0.9917]}
    for name, values in accuracy.items():
        errors = [[i, 0, 1, 0.5] for i in range(round(10_000 * (1 - values[0])))]
        write_series(tmp_path, name, values, errors, RECIPES[name])
    write_series(tmp_path, "lenet_reg-dropout0.0", [0.5], model="lenet_reg")
    series = read(tmp_path)
    text = report.results_table(series)
    assert "| `lenet` | 61,706 | **99.12 ± 0.03** (2) | 88.0 (86 to 90) | 90.00 | 450.0 |" in text
    order = [row.split("`")[1] for row in text.splitlines()[2:]]
    assert order == ["lenet", "mlp", "lenet_dropout", "lenet_reg", "lenet_reg-dropout0.0"]
    text = report.ablation_table(series)
    # Differences of 40 and 42 images: 0.41 ± 12.706 * 0.01414 / sqrt(2).
    assert ("| `lenet_reg` | 99.53 ± 0.04 | +0.41 | +0.28 to +0.54 | paired, 2 seeds | better |"
            in text)
    # The seeds are counted on both sides, not those of the series alone.
    assert "| `lenet_dropout` | 99.12 ± 0.06 | +0.00 | " in text
    assert "| Welch, 3 and 2 seeds | undecided |" in text
    assert "- `lenet_dropout` is undecided against `lenet`: +0.00 points, 95 % interval" in text
    text = report.paired_tests(series)
    # Their errors are nested here: 90 of the MLP's 200 are LeNet's too, and 110 its alone.
    assert "`lenet` alone misreads 0 images, `mlp` alone 110; McNemar's exact p = 1.5e-33" in text
    del series["lenet_reg"][1]["errors"][20:]
    text = report.sampling_error(series)
    assert "99.53 % of 10,000 images (`lenet_reg`)" in text
    # Wilson's interval for 9,953 of 10,000: where the distance is 1.96 standard errors.
    assert "(Wilson) of 99.38 to 99.65 %" in text
    assert "misreads 0 of the 15. 20 images are misread by more than half of its 2 nets" in text
    assert "50 by one or more" in text
    # Ten runs of one epoch of 450 seconds.
    assert "on the test set 10 runs, 1.2 hours" in report.cost(series, {})


def rows_of(text):
    """The cells of a Markdown table's rows, without its header."""
    return [row[2:-2].split(" | ") for row in text.splitlines() if row.startswith("| ")][2:]


def test_the_road_goes_by_steps_each_against_the_one_before(tmp_path):
    accuracy = {"lenet_1998": [0.9898, 0.9912, 0.9926], "lenet_1998_linear": [0.9900, 0.9902],
                "lenet_1998_dense": [0.9901, 0.9903], "lenet": [0.9931, 0.9934]}
    for name, values in accuracy.items():
        write_series(tmp_path, name, values, recipe=RECIPES[name])
    write_series(tmp_path, "mlp", [0.98, 0.97])  # not part of it
    text = report.road_table(read(tmp_path))
    rows = rows_of(text)
    assert [row[0].split("`")[1] for row in rows] == list(accuracy)
    assert rows[0][1:] == ["**99.12 ± 0.14** (3)", "88.0 (74 to 102)", "", "", "", ""]
    # 88 errors on average, then 99: by Welch, since a seed is missing.
    assert rows[1][1:4] == ["**99.01 ± 0.01** (2)", "99.0 (98 to 100)", "-0.11"]
    assert rows[1][5] == "Welch, 2 and 3 seeds"
    # Both seeds gain one image: nothing tells that from chance.
    assert rows[2][3:] == ["", "", "one seed", "undecided"]
    # Differences of 30 and 31 images to the row before: 30.5 ± 12.706 * 0.707 / sqrt(2).
    assert rows[3][3:] == ["+0.30", "+0.24 to +0.37", "paired, 2 seeds", "better"]
    assert "- `lenet_1998_dense` is undecided against `lenet_1998_linear`: one seed" in text
    # Two of the three comparisons have a p.
    assert "- `lenet_1998_linear` is undecided against `lenet_1998`: -0.11 points" in text
    assert text.count("(Holm, 2 comparisons)") == 1


def test_the_road_changes_what_its_words_say():
    names = list(report.ROAD)
    changes = []
    for name, before in zip(names[1:], names, strict=False):
        one, other = (asdict(RECIPES[each]) for each in (name, before))
        changes.append({key for key in one if one[key] != other[key]})
    assert changes == [{"net", "lr"}, {"net"}, {"net"}, {"net"}, {"epochs"},
                       {"net", "dropout", "weight_decay", "augment"},
                       {"dropout", "thickening", "epochs"}]
    assert [RECIPES[name].epochs for name in names] == [20] * 5 + [30, 30, 120]
    assert RECIPES[names[1]].lr == RECIPES["lenet"].lr


@pytest.mark.parametrize(("values", "words"), [
    ([0.9905, 0.9905], ["**0.95 ± 0.00** (2)", "95.0 (95 to 95)", "inside", "2 of 2"]),
    ([0.9895, 0.9895], ["**1.05 ± 0.00** (2)", "105.0 (105 to 105)", "inside", "2 of 2"]),
    ([0.9894, 0.9894], ["**1.06 ± 0.00** (2)", "106.0 (106 to 106)", "outside, 0.11 points worse",
                        "0 of 2"]),
    ([0.9915, 0.9925], ["**0.80 ± 0.07** (2)", "80.0 (75 to 85)", "outside, 0.15 points better",
                        "1 of 2"]),
    ([0.9910], ["**0.90** (1)", "90.0 (90 to 90)", "inside", "1 of 1"])])
def test_the_numbers_decide_what_is_inside_of_the_papers(tmp_path, values, words):
    write_series(tmp_path, "lenet_1998", values, recipe=RECIPES["lenet_1998"])
    (row,) = rows_of(report.published_table(read(tmp_path)))
    assert row == ["60,000 images", "0.95 ± 0.10", "`lenet_1998`", *words]


def test_distorted_images_are_beside_the_papers_distorted_ones(tmp_path):
    write_series(tmp_path, "lenet_1998-augment", [0.9918, 0.9922], model="lenet_1998",
                 recipe=replace(RECIPES["lenet_1998"], augment=True))
    (row,) = rows_of(report.published_table(read(tmp_path)))
    assert row == ["distorted images too", "0.80 ± 0.10", "`lenet_1998-augment`",
                   "**0.80 ± 0.03** (2)", "80.0 (78 to 82)", "inside", "2 of 2"]
    assert rows_of(report.published_table({})) == []


def test_mcnemar_by_hand():
    # One image misread by the first alone, nine by the second alone: 2 * (1 + 10) / 2**10.
    assert compare.mcnemar({0, 1}, {0, *range(2, 11)}) == (1, 9, pytest.approx(22 / 1024))
    assert compare.mcnemar({1, 2}, {1, 2}) == (0, 0, 1.0)
    assert compare.mcnemar({1}, {2}) == (1, 1, 1.0)


def test_the_readme_shows_what_the_logs_say():
    text = report.README.read_text("utf-8")
    assert report.render(text) == text
    assert len(np.unique(report.DOUBTFUL_LABELS)) == 15


def test_markers_that_are_missing_are_named():
    with pytest.raises(runs.RunError, match="<!-- results -->"):
        report.fill("no markers", {"results": "x"})


def test_calibration_counts_every_log_that_has_it(tmp_path):
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
    rows = rows_of(report.calibration_table(series, again))
    # (3 + 1) / 100 and (1 + 1) / 100; sure of 97 %, right are 93 % and 97 %.
    assert rows == [["`lenet`", "0.0400 (1)", "0.0450", "97.00", "95.00", "**3.00 ± 1.41** (2)"],
                    ["`lenet_reg`", "0.4000 (1)", "0.4000", "", "", ""]]


def test_runs_trained_once_more_are_compared_with_their_own_seeds(tmp_path):
    write_series(tmp_path, "lenet", [0.9900, 0.9910, 0.9920, 0.9000])
    write_series(tmp_path, "lenet_reg", [0.9950, 0.9952], recipe=RECIPES["lenet_reg"])
    write_series(tmp_path, "lenet_reg-bf16", [0.9951, 0.9955], model="lenet_reg",
                 recipe=replace(RECIPES["lenet_reg"], bf16=True))
    write_series(tmp_path / "again", "lenet", [0.9902, 0.9909, 0.9921])
    write_series(tmp_path / "again", "lenet_reg", [0.9950], recipe=RECIPES["lenet_reg"])
    series, again = read(tmp_path), read(tmp_path / "again")
    for runs_again in again.values():
        for run in runs_again:
            run["environment"] = {"cpu": "another"}
            run["history"][0]["seconds"] = 3.0
    rows = rows_of(report.robustness_table(series, again))
    # Images: 2, -1, 1 more read right, and 1, 3.
    assert [row[:4] for row in rows] == [
        ["`lenet` once more, another", "3", "99.11 ± 0.10", "99.10 ± 0.10"],
        ["`lenet_reg` once more, another", "1", "99.50", "99.50"],
        ["`lenet_reg-bf16`, with bfloat16", "2", "99.53 ± 0.03", "99.51 ± 0.01"]]
    assert rows[0][4].startswith("undecided: +0.01 points, 95 % interval -0.03 to +0.04 (paired, 3")
    assert rows[1][4] == "equal in every digit of every epoch, and in every error"
    assert rows[2][4].startswith("undecided: +0.02 points, 95 % interval -0.11 to +0.15 (paired, 2")
    again["lenet_reg"][0]["errors"] = [[5, 0, 1, 0.5]]
    rows = rows_of(report.robustness_table(series, again))
    assert rows[1][4].startswith("undecided: one seed")


def test_effects_are_told_with_their_numbers(tmp_path):
    for (dropout, decay, augmented), name in effects.NETS.items():
        helped = 30 * decay + 40 * augmented - 4 * decay * augmented
        accuracies = [0.99 + 1e-4 * (helped + (seed * (dropout + 1)) % 3) for seed in range(4)]
        write_series(tmp_path, name, accuracies, model=name.partition("-")[0])
    text = report.effects_table(read(tmp_path))
    rows = {row[0]: row[1:] for row in rows_of(text)}
    assert len(rows) == 11
    # Over the nets with and without augmentation: (30 + 30 + 26 + 26) / 4 images.
    assert rows["weight decay, on average"][0] == "+0.28"
    assert rows["weight decay, on average"][3] == "**helps**"
    assert rows["weight decay x augmentation"][0] == "-0.02"
    assert rows["dropout, on average"][3] == "undecided"
    assert "Over 4 seeds; every p is corrected for all 22 answers" in text
    assert "two seeds of each of the eight nets" in report.effects_table({})
