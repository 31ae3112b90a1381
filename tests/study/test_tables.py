"""study/tables.py: the tables of the report, compared with numbers by hand."""

import math
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import ROOT
from made_up import make_history, read, rows_of, write_runs, write_series
from scipy import stats

from main import RECIPES
from study import effects, tables


def test_tables_hold_the_numbers_of_the_logs(tmp_path):
    accuracy = {"lenet": [0.9910, 0.9914], "mlp": [0.98, 0.97], "lenet_reg": [0.9950, 0.9956],
                "lenet_dropout": [0.9915, 0.9905, 0.9917]}
    for name, values in accuracy.items():
        errors = [[i, 0, 1, 0.5] for i in range(round(10_000 * (1 - values[0])))]
        write_series(tmp_path, name, values, RECIPES[name], errors=errors)
    write_series(tmp_path, "lenet_reg-dropout0.0", [0.5], model="lenet_reg")
    series = read(tmp_path)
    text = tables.results_table(series).replace("&nbsp;", " ")
    assert text.endswith("\n\nOver 1 to 3 seeds each.")
    assert "| LeNet-5 (`lenet`): 61,706 | **99.12 ± 0.03** | 88.0 (86 to 90) | 90.00 |" in text
    order = [row[0].split("`")[1] for row in rows_of(text)]
    assert order == ["lenet", "mlp", "lenet_dropout", "lenet_reg", "lenet_reg-dropout0.0"]
    text = tables.ablation_table(series).replace("&nbsp;", " ")
    # Differences of 40 and 42 images: 0.41 ± 12.706 * 0.01414 / sqrt(2).
    assert ("| LeNet-5, regularised (`lenet_reg`) | 99.53 ± 0.04 | "
            "+0.41 (+0.28 to +0.54; paired, 2 seeds): better |" in text)
    # The seeds are counted on both sides, not those of the series alone.
    assert "| LeNet-5 with dropout (`lenet_dropout`) | 99.12 ± 0.06 | +0.00 (" in text
    assert re.search(r"; Welch, 3 and 2 seeds\): undecided \(p = [\d.]+\) \|", text)
    assert text.endswith("\n\nEach p is corrected for 2 comparisons (Holm).")
    # Ten runs of one epoch of 450 seconds.
    assert "on the test set 10 runs, 1.2 hours" in tables.cost(series, {})


def test_no_line_of_a_table_is_broken_beside_a_plus_minus():
    assert tables.table(["net", "± std"], [["x", "**1 ± 2**"]]).splitlines()[2] == (
        "| x | **1&nbsp;±&nbsp;2** |")


def test_small_nets_stand_beside_ours(tmp_path):
    write_series(tmp_path, "lenet", [0.99, 0.9902])
    rows = rows_of(tables.small_nets_table(read(tmp_path)))
    counts = [int(row[1].replace(",", "")) for row in rows]
    assert counts == sorted([*(count for _, count, *_ in tables.SMALL), 61_706])
    assert ["LeNet-5 (`lenet`)", "61,706", "**0.99 ± 0.01**", "here"] in rows


def test_two_settings_of_a_model_stand_in_one_table(tmp_path):
    for name, changes, values in (("lenet-validate", {}, [0.99, 0.9902]),
                                  ("a", {"lr": 0.05}, [0.98]),
                                  ("b", {"epochs": 6, "lr": 0.05}, [0.97]),
                                  ("c", {"lr": 0.05, "dropout": 0.1}, [0.96])):
        recipe = replace(RECIPES["lenet"], **changes)
        histories = [[{**row, "test_accuracy": value} for row in make_history(0, recipe.epochs)]
                     for value in values]
        write_runs(tmp_path, name, histories, recipe, {}, model="lenet")
    write_series(tmp_path, "mlp", [0.95], RECIPES["mlp"])
    text = tables.tuning_table(read(tmp_path))
    assert text.startswith("| lr \\ epochs | 6 | 30 |\n")
    assert rows_of(text) == [["0.05", "97.00", "98.00"], ["0.1", "", "99.01 ± 0.01"]]


def test_the_series_on_held_out_images_are_folded(tmp_path):
    write_series(tmp_path, "lenet", [0.99, 0.9902, 0.98995])
    text = tables.held_out_table(read(tmp_path))
    assert text.startswith("<details>\n<summary>")
    assert text.endswith("\n\n</details>")
    assert rows_of(text) == [["`lenet`", "99.01 ± 0.01", "3"]]


def test_what_all_gains_share_is_told_once(tmp_path):
    for name in ("lenet", "lenet_dropout", "lenet_decay"):
        write_series(tmp_path, name, [0.99, 0.99 + len(name) * 1e-4], RECIPES[name])
    text = tables.ablation_table(read(tmp_path))
    assert text.count("paired, 2 seeds") == 1
    assert text.endswith("\n\nEach gain: paired, 2 seeds. Each p is corrected for 2 comparisons "
                         "(Holm).")


def test_the_road_goes_by_steps_each_against_the_one_before(tmp_path):
    accuracy = {"lenet_1998": [0.9898, 0.9912, 0.9926], "lenet_1998_linear": [0.9900, 0.9902],
                "lenet_1998_dense": [0.9901, 0.9903], "lenet": [0.9931, 0.9934]}
    for name, values in accuracy.items():
        write_series(tmp_path, name, values, recipe=RECIPES[name])
    write_series(tmp_path, "mlp", [0.98, 0.97])  # not part of it
    text = tables.road_table(read(tmp_path))
    rows = rows_of(text)
    assert [row[0].split("`")[1] for row in rows] == list(accuracy)
    assert rows[0][1:] == ["**99.12 ± 0.14**", ""]
    # 88 errors on average, then 99: by Welch, since a seed is missing.
    assert rows[1][1] == "**99.01 ± 0.01**"
    assert re.fullmatch(r"-0.11 \(.*; Welch, 2 and 3 seeds\): undecided \(p = 0\..*\)", rows[1][2])
    # Both seeds gain one image: one of two signs in both has a p of 1/2.
    assert rows[2][2] == "+0.01 (same in every seed; sign test, 2 seeds): undecided (p = 0.61)"
    # Differences of 30 and 31 images to the row before: 30.5 ± 12.706 * 0.707 / sqrt(2).
    assert rows[3][2] == "+0.31 (+0.24 to +0.37; paired, 2 seeds): better"
    assert text.endswith("Each p is corrected for 3 comparisons (Holm).")


def test_the_road_changes_what_its_words_say():
    names = list(tables.ROAD)
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
    ([0.9905, 0.9905], ["**0.95 ± 0.00**", "95.0", "inside; 2 of 2 seeds are inside"]),
    ([0.9895, 0.9895], ["**1.05 ± 0.00**", "105.0", "inside; 2 of 2 seeds are inside"]),
    ([0.9894, 0.9894], ["**1.06 ± 0.00**", "106.0",
                        "outside, 0.11 points worse; 0 of 2 seeds are inside"]),
    ([0.9915, 0.9925], ["**0.80 ± 0.07**", "80.0 (75 to 85)",
                        "outside, 0.15 points better; 1 of 2 seeds are inside"]),
    ([0.9910], ["**0.90**", "90", "inside; 1 of 1 seeds are inside"])])
def test_the_numbers_decide_what_is_inside_of_the_papers(tmp_path, values, words):
    write_series(tmp_path, "lenet_1998", values, recipe=RECIPES["lenet_1998"])
    (row,) = rows_of(tables.published_table(read(tmp_path)))
    assert row == ["60,000 images (`lenet_1998`)", "0.95 ± 0.10", *words]


def test_distorted_images_are_beside_the_papers_distorted_ones(tmp_path):
    write_series(tmp_path, "lenet_1998-augment", [0.9918, 0.9922], model="lenet_1998",
                 recipe=replace(RECIPES["lenet_1998"], augment=True))
    (row,) = rows_of(tables.published_table(read(tmp_path)))
    assert row == ["distorted images too (`lenet_1998-augment`)", "0.80 ± 0.10",
                   "**0.80 ± 0.03**", "80.0 (78 to 82)", "inside; 2 of 2 seeds are inside"]
    assert rows_of(tables.published_table({})) == []


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
    text = tables.robustness_table(series, again)
    rows = rows_of(text)
    # Images: 2, -1, 1 more read right, and 1, 3.
    assert [row[:1] + row[2:] for row in rows] == [
        ["`lenet` once more, another", "3", "99.11 ± 0.10", "99.10 ± 0.10"],
        ["`lenet_reg` once more, another", "1", "99.50", "99.50"],
        ["`lenet_reg-bf16`, with bfloat16", "2", "99.53 ± 0.03", "99.51 ± 0.01"]]
    assert [row[1] for row in rows] == ["undecided", "equal in every digit of every epoch",
                                        "undecided"]
    first, second = text.partition("\n\n")[2].splitlines()
    assert first.startswith("- `lenet` once more, another: undecided, +0.01 points, 95 % interval "
                            "-0.03 to +0.04 (paired, 3 seeds)")
    assert second.startswith("- `lenet_reg-bf16`, with bfloat16: undecided, +0.02 points, 95 % "
                             "interval -0.11 to +0.15 (paired, 2 seeds)")
    again["lenet_reg"][0]["errors"] = [[5, 0, 1, 0.5]]
    rows = rows_of(tables.robustness_table(series, again))
    assert rows[1][1] == "undecided"


def test_effects_are_told_with_their_numbers(tmp_path):
    for (dropout, decay, augmented), name in effects.NETS.items():
        helped = 30 * decay + 40 * augmented - 4 * decay * augmented
        chance = np.random.default_rng((dropout, decay, augmented)).random(4)
        accuracies = [0.99 + 1e-4 * (helped + (seed * (dropout + 1)) % 3) + 1e-7 * chance[seed]
                      for seed in range(4)]
        write_series(tmp_path, name, accuracies, model=name.partition("-")[0])
    table, words = tables.effects_table(read(tmp_path)).split("\n\n")
    rows = {row[0]: row[1:] for row in rows_of(table)}
    assert len(rows) == 11
    # Over the nets with and without augmentation: (30 + 30 + 26 + 26) / 4 images.
    assert rows["weight decay, on average"][0].startswith("+0.28 (")
    assert rows["weight decay, on average"][1] == "**&lt; 0.001**"
    assert rows["weight decay x augmentation"][0].startswith("-0.02 (")
    assert float(rows["dropout, on average"][1]) >= 0.05
    assert "Over 4 seeds. Each p is corrected for all 22 answers" in words
    effect = effects.answer(read(tmp_path))["accuracy"][0]
    bound = float(re.search(r"on average, is below (\d\.\d{3}) points", words)[1])
    assert 0 <= bound - max(-effect.low, effect.high) < 0.001
    assert "two seeds of each of the eight nets" in tables.effects_table({})


def test_an_interaction_is_one_of_the_measure():
    """Of the logarithm of the loss, that of all three may have another p: here, of the report."""
    logs = read(ROOT / "logs/report")
    sums = [sum((-1) ** (3 - sum(parts)) / 4 * math.log(run["final"]["test_loss"])
                for parts, name in effects.NETS.items() for run in logs[name]
                if run["seed"] == seed) for seed in range(10)]
    p = stats.ttest_1samp(sums, 0).pvalue
    assert f"that of all three has a p of {p:.2g}, uncorrected" in tables.effects_table(logs)


def test_an_effect_that_is_the_same_in_every_seed_has_no_interval(tmp_path):
    """A seed moves all nets alike. The loss is the same everywhere."""
    for (dropout, decay, _), name in effects.NETS.items():
        write_series(tmp_path, name, [0.99 + 1e-4 * (13 * decay - 2 * dropout + (seed * 7) % 11)
                                      for seed in range(10)], model=name.partition("-")[0])
    table, words = tables.effects_table(read(tmp_path)).split("\n\n")
    rows = {row[0]: row[1:3] for row in rows_of(table)}
    # Of ten seeds, one of two signs in all: 2 / 2**10. The smallest of 22 p counts 22 times (Holm).
    assert rows["weight decay, on average"] == ["+0.13 (same in every seed)", "**0.043**"]
    assert rows["dropout, on average"] == ["-0.02 (same in every seed)", "**0.043**"]
    assert rows["augmentation, on average"] == ["+0.00 (same in every seed)", "1"]
    assert {tuple(row[3:]) for row in rows_of(table)} == {("+0.0000 (same in every seed)", "1")}
    assert "Any effect of dropout" not in words
