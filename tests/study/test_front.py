"""study/front.py: what README.md says, compared with numbers by hand."""

from dataclasses import replace

import pytest
from conftest import ROOT
from made_up import read, rows_of, write_curves, write_series

import model
from lab.files import RunError
from lab.runs import compare
from main import RECIPES
from study import front


@pytest.fixture(scope="module")
def logs():
    """The runs of the report: {name: [run, ...]}."""
    return {**read(ROOT / "logs/report"), **read(ROOT / "logs/report/validation")}


def test_each_layer_is_counted_as_its_formula_says():
    rows = [row.strip("| ").split(" | ") for row in front.arithmetic().splitlines()[2:]]
    for column, net in enumerate((model.LeNet5(), model.CustomMLP()), start=1):
        cells = {row[0]: row[column] for row in rows if row[column:]}
        for name, layer in net.named_children():
            formula, count = cells.pop(f"`{name}`").replace(",", "").split(" = ")
            assert eval(formula.replace("x", "*")) == int(count)
            assert int(count) == sum(each.numel() for each in layer.parameters())
        assert cells.pop("all") == f"**{sum(each.numel() for each in net.parameters()):,}**"
        assert not any(cells.values())


def test_nets_are_told_with_their_errors(tmp_path):
    for name, values in (("lenet", [0.99, 0.9902]), ("mlp", [0.98, 0.9801]),
                         ("lenet_reg", [0.995, 0.9956])):
        write_series(tmp_path, name, values, RECIPES[name])
    text = front.nets_table(read(tmp_path)).replace("&nbsp;", " ")
    assert "| LeNet-5 (`lenet`) | 61,706 | **99.01 ± 0.01** | 99.0 | 450 |" in text
    assert "| LeNet-5, regularised (`lenet_reg`) | 61,706 | **99.53 ± 0.04** | 47.0 | 450 |" in text


def test_the_median_of_the_times_is_told(tmp_path):
    write_series(tmp_path, "lenet", [0.99] * 4)
    runs = read(tmp_path)["lenet"]
    for run, seconds in zip(runs, ([5, 1], [9], [100], [1, 3]), strict=True):
        run["history"] = [{"seconds": each} for each in seconds]
    assert front.measure_time(runs) == 7.5  # of 4, 6, 9 and 100


def test_the_last_line_is_that_of_main_py(tmp_path):
    write_series(tmp_path, "lenet", [0.991, 0.992, 0.9895])
    text = front.last_line(read(tmp_path))
    assert "`lenet-seed0: finished, test accuracy 99.10 % (90 errors of 10,000)`" in text
    assert "have 80 to 105 errors" in text


def test_lenet_stands_beside_the_mlp_and_the_paper(tmp_path):
    for name, values in (("lenet", [0.99, 0.9902]), ("mlp", [0.98, 0.9801]),
                         ("lenet_1998", [0.991, 0.9912])):
        write_series(tmp_path, name, values, RECIPES[name])
    words, _, *rows = front.comparison(read(tmp_path)).replace("&nbsp;", " ").splitlines()
    assert words == (
        "LeNet-5, by far. LeCun et al. 1998 report 0.95 % test error for it, which is 99.05 % "
        "accuracy.")
    assert rows[2:] == ["| LeNet-5 as published (`lenet_1998`) | 99.05 | 99.11 ± 0.01 |",
                        "| LeNet-5 of today (`lenet`) |  | 99.01 ± 0.01 |",
                        "| MLP: 300 hidden units there, 59 here (`mlp`) | 95.3 | 98.01 ± 0.01 |"]


def test_each_technique_stands_with_its_gain(tmp_path):
    for name, values in (("lenet", [0.99, 0.9902]), ("lenet_dropout", [0.99, 0.9898]),
                         ("lenet_decay", [0.992, 0.9922]), ("lenet_augment", [0.993, 0.9932]),
                         ("lenet_reg", [0.985, 0.985]), ("lenet_heavy", [0.95, 0.9502])):
        write_series(tmp_path, name, values, RECIPES[name])
    text = front.regularisation(read(tmp_path)).replace("&nbsp;", " ")
    assert text.splitlines()[2:7] == [
        "| none | 99.01 ± 0.01 | 99.0 |  |", "| dropout | 98.99 ± 0.01 | 101.0 | -0.02 |",
        "| weight decay | 99.21 ± 0.01 | 79.0 | +0.20 |",
        "| augmentation | 99.31 ± 0.01 | 69.0 | +0.30 |",
        "| all three together | 98.50 ± 0.00 | 150.0 | -0.51 |"]
    assert text.endswith("worse than no regularisation: 95.01 % (`lenet_heavy`).")


def test_each_digit_is_told_and_the_commonest_slips(digits, tmp_path):
    """Two nets take a 5 for a 3, and one of them a 9 for a 4."""
    labels = digits["test"][1]
    five, nine = (next(i for i in range(200) if labels[i] == digit) for digit in (5, 9))
    for seed, errors in enumerate(([[five, 5, 3, 0.5]], [[five, 5, 3, 0.5], [nine, 9, 4, 0.5]])):
        write_curves(tmp_path, "lenet_reg", first=seed, errors=errors)
    text = front.digits(read(tmp_path))
    (row,) = rows_of(text)
    rates = [100.0] * 10
    rates[5] -= 100 / sum(labels == 5)
    rates[9] -= 50 / sum(labels == 9)
    assert row == ["right, %", *(f"{rate:.2f}" for rate in rates)]
    assert text.endswith("Mean of 2 nets. Commonest slips (times a net): 5 as 3 (1.0), 9 as 4 "
                         "(0.5).")


def test_a_net_of_today_stands_beside_lenet(tmp_path):
    errors = iter([(80, 82), (50, 58), (45, 49), (30, 34), (42, 42), (41, 43)])  # of two seeds each
    for pair in front.LIMIT.values():
        for name in pair:
            write_series(tmp_path, name, [1 - count / 10_000 for count in next(errors)],
                         model=name.partition("-")[0])
    series = read(tmp_path)
    assert front.limit(series).splitlines()[2:] == [
        "| none, 30 epochs | 81.0 | 54.0 |", "| all three, 30 epochs | 47.0 | 32.0 |",
        "| each net's own recipe | 42.0 | 42.0 |"]
    plain, regularised, own = front.TODAY
    pairs = [(plain, "lenet"), (regularised, "lenet_reg"), (own, "lenet_record"),
             (regularised, plain), (own, regularised)]
    for line, (ours, base), gain in zip(front.limit_evidence(series).splitlines(), pairs,
                                        ("+0.27", "+0.15", "+0.00", "+0.22", "-0.10"), strict=True):
        assert line.startswith(f"- `{ours}` is undecided against `{base}`: {gain} points, ")
        assert "(Holm, 5 comparisons)" in line


def test_dropout_is_told_for_the_images_that_decide(tmp_path):
    for name, value in zip(front.DROPOUT, (0.9952, 0.9932), strict=True):
        write_series(tmp_path, name, [value, value + 1e-4, value - 1e-4, value], model="lenet_reg",
                     evaluated_on="validation", size=60_000)  # a sixth is held out
    series = read(tmp_path)
    assert front.dropout(series) == (
        "Ten seeds cannot tell whether dropout adds anything to the other two. On held-out images, "
        "which alone may decide that, the net reads 99.52 % right with it and 99.32 % without. So "
        "take it or leave it out (`--dropout 0`).")
    assert front.dropout_evidence(series) == (
        "On held-out training images: undecided, +0.20 points, the same difference in every seed "
        "(sign test, 4 seeds), p = 0.12 (one comparison); if it is as large as it looks, about 6 "
        "seeds each would probably decide it.")


def write_example(folder, values):
    for name, accuracies in zip(front.EXAMPLE, (values, [0.98, 0.9801, 0.9802]), strict=True):
        recipe = replace(RECIPES["mlp"], lr=0.1 if "lr" in name else 0.05)
        write_series(folder, name, accuracies, recipe, 60_000, evaluated_on="validation",
                     model="mlp")
    return read(folder)


def test_the_example_is_told_in_plain_words(tmp_path):
    # Differences of 0, 2 and -1 images: mean 1/3, standard deviation 1.53.
    assert front.outcome(write_example(tmp_path, [0.98, 0.9803, 0.9801])) == (
        "The MLP reaches 98.01 % with a rate of 0.05, and 98.01 % with 0.1. Five seeds cannot tell "
        "whether that difference is real. If it is as large as it looks, about 200 would.")


@pytest.mark.parametrize("values", [[0.98, 0.9801, 0.9802], [0.9801, 0.98, 0.9802]])
def test_an_example_that_no_seeds_would_decide_fails(tmp_path, values):
    """All runs are equal, or the means are."""
    with pytest.raises(RunError, match=r"would decide mlp-lr0\.1-validate against mlp-val"):
        front.outcome(write_example(tmp_path, values))


def test_the_example_is_what_report_py_says_in_short_lines(logs):
    block = front.example(logs)
    base, name = "mlp-validate", "mlp-lr0.1-validate"
    assert max(map(len, block.splitlines())) <= 60
    assert block.replace("```", "").split() == compare.compare(
        {base: logs[base], name: logs[name]}).split()
