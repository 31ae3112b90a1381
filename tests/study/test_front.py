"""study/front.py: what README.md says, compared with numbers by hand."""

from dataclasses import replace

import pytest
from made_up import read, write_series

import model
from main import RECIPES
from study import front


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


def test_nets_are_told_with_errors_and_seeds(tmp_path):
    for name, values in (("lenet", [0.99, 0.9902]), ("mlp", [0.98, 0.9801]),
                         ("lenet_reg", [0.995, 0.9956])):
        write_series(tmp_path, name, values, RECIPES[name])
    text = front.nets_table(read(tmp_path))
    assert "| LeNet-5 (`lenet`) | 61,706 | **99.01 ± 0.01** | 99 |" in text
    assert "| LeNet-5, regularised (`lenet_reg`) | 61,706 | **99.53 ± 0.04** | 47 |" in text
    assert "over two seeds" in text


def test_the_last_line_is_that_of_main_py(tmp_path):
    write_series(tmp_path, "lenet", [0.991, 0.992])
    assert ("`lenet-seed0: finished, test accuracy 99.1 % (90 errors of 10,000)`"
            in front.last_line(read(tmp_path)).replace("99.10", "99.1"))


@pytest.mark.parametrize(("lenet", "mlp", "words"), [
    ([0.99, 0.9901, 0.9902], [0.98, 0.9802, 0.9801], "LeNet-5: it reads 99.01 % of"),
    ([0.98, 0.9801, 0.9802], [0.99, 0.9902, 0.9901], "The MLP: LeNet-5 reads 98.01 % of"),
    ([0.99, 0.9901, 0.9902], [0.99, 0.9902, 0.9901], "Undecided: LeNet-5 reads 99.01 % of")])
def test_the_seeds_decide_between_lenet_and_the_mlp(tmp_path, lenet, mlp, words):
    write_series(tmp_path, "lenet", lenet)
    write_series(tmp_path, "mlp", mlp, RECIPES["mlp"])
    text = front.comparison(read(tmp_path))
    assert text.startswith(words)
    assert "1998 (`" not in text
    write_series(tmp_path, "lenet_1998", [0.991, 0.9912], RECIPES["lenet_1998"])
    assert ("| LeNet-5 as published (`lenet_1998`) | 99.05 | 99.11 ± 0.01 |"
            in front.comparison(read(tmp_path)))


def test_each_technique_is_judged_against_none(tmp_path):
    for name, values in (("lenet", [0.99, 0.9901, 0.9902]),
                         ("lenet_dropout", [0.99, 0.9902, 0.9901]),
                         ("lenet_decay", [0.992, 0.9922, 0.9921]),
                         ("lenet_augment", [0.993, 0.9932, 0.9931])):
        write_series(tmp_path, name, values, RECIPES[name])
    text = front.regularisation(read(tmp_path))
    assert "| none | 99.01 ± 0.01 | 99 |  |" in text
    assert "| weight decay | 99.21 ± 0.01 | 79 | +0.20 |" in text
    assert ("Better than none: weight decay and augmentation. Too close to none to tell: dropout."
            in text)
    assert "lenet_heavy" not in text
    write_series(tmp_path, "lenet_heavy", [0.95, 0.9502, 0.9501], RECIPES["lenet_heavy"])
    assert "is worse than no regularisation: 95.01 %" in front.regularisation(read(tmp_path))


@pytest.mark.parametrize(("held_out", "verdict", "advice"), [
    ([0.9951, 0.9952, 0.9953], "Dropout helps.", "So keep dropout."),
    ([0.9911, 0.9912, 0.9913], "Dropout harms.", "So leave it out, with `--dropout 0`."),
    ([0.9931, 0.9932, 0.9933], "Three seeds cannot tell these apart.",
     "So take it or leave it out (`--dropout 0`)."),
    ([0.9931, 0.9932], "Two and three seeds cannot tell these apart.", "So take it or leave")])
def test_the_held_out_images_decide_about_dropout(tmp_path, held_out, verdict, advice):
    """On the test set it harms, and that decides nothing."""
    recipe = RECIPES["lenet_reg"]
    without = replace(recipe, dropout=0.0)
    write_series(tmp_path, front.WITH, [0.99, 0.9901, 0.9902], recipe)
    write_series(tmp_path, front.WITHOUT, [0.995, 0.9952, 0.9951], without, model="lenet_reg")
    folder = tmp_path / "validation"
    assert front.dropout(read(tmp_path), {}) == front.NEEDS
    write_series(folder, f"{front.WITH}-validate", held_out, recipe, model="lenet_reg",
                 size=60_000, evaluated_on="validation")  # a sixth is held out
    write_series(folder, f"{front.WITHOUT}-validate", [0.9931, 0.9933, 0.9932], without,
                 model="lenet_reg", size=60_000, evaluated_on="validation")
    first, second, _, last = front.dropout(read(tmp_path), read(folder)).splitlines()
    assert first.startswith("- On held-out training images: 99.")
    assert first.endswith(verdict)
    assert second == ("- On the test set: 99.01 % with dropout, 99.51 % without. Dropout harms.")
    assert advice in last
    evidence = front.dropout_evidence(read(tmp_path), read(folder)).splitlines()
    assert evidence[1].startswith("- On the test set: worse, -0.50 points, 95 % interval")


@pytest.mark.parametrize(("values", "words"), [
    ([0.975, 0.9752, 0.9751],
     "98.01 % with a rate of 0.05, and 97.51 % with 0.1: that is worse, by 0.50 points."),
    ([0.98, 0.9803, 0.9801], "Three seeds cannot tell whether that difference is real; about "),
    ([0.98, 0.9801, 0.9802], "Nothing can be said of the difference.")])
def test_the_example_is_told_in_plain_words(tmp_path, values, words):
    write_series(tmp_path, "mlp", [0.98, 0.9801, 0.9802], RECIPES["mlp"])
    write_series(tmp_path, "mlp-lr0.1", values, replace(RECIPES["mlp"], lr=0.1), model="mlp")
    assert words in front.outcome(read(tmp_path), "mlp", "mlp-lr0.1")


def test_lines_of_a_block_are_short_and_lose_no_word():
    text = "one: " + "word " * 30 + "\n  indented " + "more " * 30
    block = front.fence(text)
    assert max(map(len, block.splitlines())) <= 60
    assert block.replace("```", "").split() == text.split()
