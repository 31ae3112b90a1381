"""The flags of main.py come from the fields of its recipes, those of a user's own too.

    python -m pytest tests/lab/training/test_options.py

What is wrong with a value is in test_faults.py.
"""

import argparse
import ast
import dataclasses
import io
import json
import re
import tokenize
from pathlib import Path

import pytest
from conftest import use_as_bundled

import main
import model
from lab.training import options


@dataclasses.dataclass(frozen=True)
class Smoothed(main.Recipe):
    smoothing: float = 0.0  # of the labels
    soft: bool = False  # 100 % of them: # is no comment in a comment
    patience: int | None = None
    note: str = "#"  # no number
    kind: type = int
    shared = 3  # no field


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def smoothed(monkeypatch):
    """Adds a recipe of the class Smoothed, called `mine`."""
    monkeypatch.setitem(main.RECIPES, "mine", Smoothed(model.LeNet5, epochs=1))


def parse(*argv, recipes=main.RECIPES):
    return options.parse(["--device", "cpu", *argv], main.__doc__, recipes)


def read_help(capsys, recipes=main.RECIPES):
    """{flag: (what stands for its value, the help)}, from --help."""
    with pytest.raises(SystemExit) as stop:
        parse("--help", recipes=recipes)
    assert stop.value.code == 0
    entries = re.findall(r"^  (--\S+?)(?:, --no-\S+)?(?: (\S+))?\n?(?:  +(.*(?:\n {24}.*)*))?$",
                         capsys.readouterr().out, re.M)
    return {flag: (metavar, " ".join(words.split())) for flag, metavar, words in entries}


def read_recipe():
    """[(field, annotation, comment)] of the class Recipe, as Python's own tokenizer reads them."""
    text = Path(main.__file__).read_text("utf-8")
    comments = {token.start[0]: token.string.removeprefix("# ")
                for token in tokenize.generate_tokens(io.StringIO(text).readline)
                if token.type == tokenize.COMMENT}
    cls, = (node for node in ast.parse(text).body if getattr(node, "name", None) == "Recipe")
    return [(node.target.id, ast.unparse(node.annotation), comments[node.lineno])
            for node in cls.body if isinstance(node, ast.AnnAssign)]


def test_each_number_and_switch_of_a_recipe_has_a_flag_whose_help_is_its_comment(capsys):
    shown = read_help(capsys)
    metavars = {"int": "N", "float": "X", "float | None": "X|none", "bool": ""}
    (first, _, _), *others = read_recipe()
    assert (first, len(others)) == ("net", len(dataclasses.fields(main.Recipe)) - 1)
    for field, kind, comment in others:
        assert shown[f"--{field.replace('_', '-')}"] == (metavars[kind], comment)
    assert "--net" not in shown


@pytest.mark.parametrize(("flags", "field", "value"), [
    ("--warmup none", "warmup", None), ("--warmup None", "warmup", None),
    ("--warmup 0", "warmup", 0.0), ("--no-nesterov", "nesterov", False),
    ("--augment --rotation 20", "rotation", 20.0), ("--augment --scaling 0", "scaling", 0.0),
    ("--augment --thickening 1", "thickening", 1.0), ("--synthetic 1000000", "synthetic", 10**6)])
def test_a_flag_overrides_its_field(flags, field, value):
    _, recipe, changed = parse(*flags.split())
    expected = {"augment": True, field: value} if "--augment" in flags else {field: value}
    assert changed == expected
    assert recipe == dataclasses.replace(main.RECIPES["lenet"], **expected)


def test_a_flag_that_repeats_the_recipe_changes_nothing():
    argv = "--warmup 0.15 --dropout none --nesterov --no-augment --rotation 12 --synthetic 0"
    assert parse(*argv.split())[1:] == (main.RECIPES["lenet"], {})


# A field of the user's own

def test_a_field_of_ones_own_has_a_flag_and_its_comment_is_the_help(smoothed, capsys):
    before = read_help(capsys, {"lenet": main.RECIPES["lenet"]})
    after = read_help(capsys)
    assert {flag: after[flag] for flag in after.keys() - before.keys()} == {
        "--smoothing": ("X", "of the labels"),
        "--soft": ("", "100 % of them: # is no comment in a comment"),
        "--patience": ("N|none", "")}
    assert {flag: after[flag] for flag in before} == before


def test_the_comment_of_a_field_that_is_declared_again_is_the_later_one(monkeypatch, capsys):
    @dataclasses.dataclass(frozen=True)
    class Slow(main.Recipe):
        lr: float = 0.001  # slow

    monkeypatch.setitem(main.RECIPES, "slow", Slow(model.LeNet5))
    assert read_help(capsys)["--lr"] == ("X", "slow")
    assert parse("--model", "slow")[1].lr == 0.001


def test_a_run_is_named_by_a_field_of_ones_own(smoothed, small_idx, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
    assert main.main(["--device", "cpu", "--model", "mine", "--smoothing", "0.1", "--soft",
                      "--patience", "3"]) == 0
    log = json.loads(Path("logs/mine-smoothing0.1-soft-patience3-seed0.json").read_text())
    assert [log["recipe"][field] for field in ("smoothing", "soft", "patience", "note")] == [
        0.1, True, 3, "#"]


@pytest.mark.parametrize(("argv", "words"), [
    ("--smoothing nan", "--smoothing nan: must be finite"),
    ("--smoothing inf", "--smoothing inf: must be finite"),
    ("--smoothing -inf", "argument --smoothing: expected one argument"),
    ("--smoothing=-inf", "--smoothing -inf: must be finite"),
    ("--smoothing none", "argument --smoothing: none: must be a number"),
    ("--patience 1.5", "argument --patience: 1.5: must be a whole number or none"),
    ("--smoothng 1", "unrecognized arguments: --smoothng 1; did you mean --smoothing?"),
    ("--model lenet --smoothing 0.1", "--smoothing: the recipe lenet has no such field")])
def test_a_field_of_ones_own_is_checked_too(argv, words, smoothed, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--model", "mine", *argv.split())
    assert (stop.value.code, capsys.readouterr().err) == (2, f"main.py: error: {words}\n")


def test_a_recipe_without_the_field_is_trained_as_before(smoothed):
    assert parse("--lr", "0.05")[1:] == (dataclasses.replace(main.RECIPES["lenet"], lr=0.05),
                                         {"lr": 0.05})


def test_any_finite_number_is_fine_for_a_field_of_ones_own(smoothed):
    for value in ("-3", "1e300", "0"):
        assert parse("--model", "mine", "--smoothing", value)[1].smoothing == float(value)
    assert parse("--model", "mine", "--patience", "-3")[1].patience == -3
    assert parse("--model", "mine", "--patience", "none")[2] == {}


def test_a_class_without_source_has_flags_without_help(capsys):
    space = {"Recipe": main.Recipe, "dataclass": dataclasses.dataclass}
    exec("@dataclass(frozen=True)\nclass Mine(Recipe):\n    gamma: float = 0.7  # of light", space)
    recipes = {"mine": space["Mine"](model.LeNet5)}
    shown = read_help(capsys, recipes)
    assert (shown["--gamma"], shown["--batch-size"]) == (("X", ""), ("N", "images a step"))
    assert parse("--model", "mine", "--gamma", "0.5", recipes=recipes)[2] == {"gamma": 0.5}


@pytest.mark.parametrize("field", ["seed", "device", "log_dir", "help", "no_augment"])
def test_a_field_that_is_called_as_another_flag_is_one_line(field, monkeypatch, capsys):
    cls = dataclasses.make_dataclass("Mine", [(field, float, 0.0)], bases=(main.Recipe,),
                                     frozen=True)
    monkeypatch.setitem(main.RECIPES, "mine", cls(model.LeNet5))
    assert main.main([]) == 1
    assert capsys.readouterr().err == (
        f"main.py: Recipe: there would be two flags --{field.replace('_', '-')}; "
        "the field needs another name\n")


# Flags of other scripts

def test_no_flag_of_other_scripts_is_ours_and_what_is_named_instead_is(capsys):
    ours = read_help(capsys).keys()
    named = set(re.findall(r"--[\w-]+", str([*options.ELSEWHERE.values()])))
    assert "--bf16" in named <= ours
    assert not options.ELSEWHERE.keys() & ours


def test_a_field_of_ones_own_comes_before_what_other_scripts_mean(capsys):
    cls = dataclasses.make_dataclass("Mine", [("amp", bool, False), ("cuda", bool, True)],
                                     bases=(main.Recipe,), frozen=True)
    recipes = {"mine": cls(model.LeNet5)}
    argv = "--model", "mine", "--amp", "--no-cuda"
    assert parse(*argv, recipes=recipes)[2] == {"amp": True, "cuda": False}
    with pytest.raises(SystemExit):
        parse("--model", "mine", "--no-accel", recipes=recipes)
    assert capsys.readouterr().err == "main.py: error: --no-accel: use --device cpu\n"


def test_a_number_is_read_as_its_type_has_it():
    for kind, text, value in ((int, "3", 3), (float, "3", 3.0), (float | None, "3", 3.0),
                              (int | None, "3", 3), (int | None, "NONE", None)):
        found = options.number(kind)(text)
        assert (found, type(found)) == (value, type(value))
    for kind in (int, float):
        with pytest.raises(argparse.ArgumentTypeError, match="none: must be a "):
            options.number(kind)("none")
