"""The statistics against published tables and hand sums; the README against its logs."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

import report
import runs
from main import RECIPES


def write_series(folder, name, accuracies, errors=(), recipe=RECIPES["lenet"], size=10_000):
    """Logs of one epoch a run, written as main.py writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = replace(recipe, epochs=1)
    for seed, accuracy in enumerate(accuracies):
        row = {"epoch": 1, "learning_rate": 0.1, "train_loss": 0.5, "train_accuracy": 0.9,
               "test_loss": 0.4, "test_accuracy": accuracy, "seconds": 450.0}
        data = {"train": {"size": 60_000}, "test": {"size": size}}
        summary = {"model": name, "seed": seed, "evaluated_on": "test", "data": data,
                   "recipe": {**asdict(recipe), "net": recipe.net.__name__}, "parameters": 61_706}
        runs.write_log(folder, f"{name}-seed{seed}", summary, [row], list(errors))


@pytest.mark.parametrize(("freedom", "published"), [
    (1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (100, 1.984)])
def test_t_quantile_is_the_published_one(freedom, published):
    assert report.t_quantile(freedom) == pytest.approx(published, abs=5e-4)


def test_paired_difference_by_hand():
    # Differences 1, 2, 3: mean 2, standard deviation 1, so 2 ± 4.303 / sqrt(3).
    mean, low, high = report.paired_difference([11, 22, 33], [10, 20, 30])
    assert mean == 2
    half = 4.3027 / math.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-3)


def test_mcnemar_by_hand():
    # One image misread by the first alone, nine by the second alone: 2 * (1 + 10) / 2**10.
    assert report.mcnemar({0, 1}, {0, *range(2, 11)}) == (1, 9, 22 / 1024)
    assert report.mcnemar({1, 2}, {1, 2}) == (0, 0, 1.0)
    assert report.mcnemar({1}, {2}) == (1, 1, 1.0)


def test_wilson_interval_solves_its_equation():
    for fraction, n in ((0.9955, 10_000), (0.5, 10), (0.0, 20)):
        for end in report.wilson(fraction, n):
            distance = 1.959964 * math.sqrt(max(end * (1 - end), 0) / n)
            assert abs(fraction - end) == pytest.approx(distance, abs=1e-9)


def test_compare_pairs_by_seed_and_says_what_differs(tmp_path, capsys):
    write_series(tmp_path, "lenet", [0.9910, 0.9912, 0.9914])
    write_series(tmp_path, "lenet-lr0.05", [0.9920, 0.9923, 0.9922, 0.9999],
                 recipe=replace(RECIPES["lenet"], lr=0.05))
    assert report.main(["lenet-lr0.05", "lenet", "--log-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    # Differences 0.10, 0.11, 0.08 points: mean 0.0967, sd 0.0153, half width 0.0379.
    assert "lenet-lr0.05 is better than lenet by 0.10 points" in out
    assert "95 % interval +0.06 to +0.13 points, 3 seeds" in out
    assert "recipes differ in lr (0.05 and 0.1)" in out
    assert "errors of 10,000: 88 (86 to 90), 3 seed(s)" in out
    assert "seed 3" not in out


def test_compare_says_when_there_is_nothing_to_see(tmp_path, capsys):
    write_series(tmp_path, "a", [0.9910, 0.9912, 0.9914])
    write_series(tmp_path / "other", "a", [0.9914, 0.9910, 0.9911])
    assert report.main([f"{tmp_path}/a", f"{tmp_path}/other/a"]) == 0
    assert "that 3 seeds could show" in capsys.readouterr().out
    write_series(tmp_path / "single", "b", [0.5])
    assert report.main([f"{tmp_path}/a", f"{tmp_path}/single/b"]) == 0
    assert "one seed cannot tell" in capsys.readouterr().out


@pytest.mark.parametrize(("names", "status", "words"), [
    (["lenet"], 2, "1 name(s)"),
    (["lenet", "missing"], 1, "no series missing; there are lenet, other"),
    (["lenet", "other"], 1, "data differs: test"),
    (["--log-dir", "empty", "a", "b"], 1, "no complete run"),
    (["--nonsense"], 2, "--nonsense"),
])
def test_faults_are_one_line(tmp_path, monkeypatch, capsys, names, status, words):
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "logs", "lenet", [0.99])
    write_series(tmp_path / "logs", "other", [0.99], size=5)
    assert report.main(names) == status
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_tables_hold_the_numbers_of_the_logs(tmp_path):
    accuracy = {"lenet": [0.9910, 0.9914], "mlp": [0.98, 0.97], "lenet_reg": [0.9950, 0.9956],
                "lenet_dropout": [0.9915, 0.9905]}
    for name, values in accuracy.items():
        errors = [[i, 0, 1, 0.5] for i in range(round(10_000 * (1 - values[0])))]
        write_series(tmp_path, name, values, errors, RECIPES[name])
    series = runs.read_series(tmp_path)
    text = report.results_table(series)
    assert "| `lenet` | 61,706 | **99.12 ± 0.03** (2) | 88.0 (86 to 90) | 90.00 | 450.0 |" in text
    text = report.ablation_table(series)
    assert "| `lenet_reg` | 99.53 ± 0.04 | +0.41 | +0.28 to +0.54 | 2 |" in text
    assert "- No difference between `lenet_dropout` and `lenet` that 2 seeds could show" in text
    text = report.paired_tests(series)
    # Their errors are nested here: 90 of the MLP's 200 are LeNet's too, and 110 its alone.
    assert "`lenet` alone misreads 0 images, `mlp` alone 110" in text
    del series["lenet_reg"][1]["errors"][20:]
    text = report.sampling_error(series)
    assert "99.53 % of 10,000 images (`lenet_reg`)" in text
    assert "misreads 0 of the 15. 20 images are misread by more than half of its 2 nets" in text
    assert "50 by one or more" in text
    # Eight runs of one epoch of 450 seconds.
    assert "on the test set 8 runs, 1.0 hours" in report.cost(series, {})


def test_the_readme_shows_what_the_logs_say():
    text = report.README.read_text("utf-8")
    assert report.render(text) == text
    assert len(np.unique(report.DOUBTFUL_LABELS)) == 15


def test_markers_that_are_missing_are_named():
    with pytest.raises(runs.RunError, match="<!-- results -->"):
        report.fill("no markers", {"results": "x"})
