"""report.py: its command line, its tables, and its faults."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, without_reader
from made_up import read, write_curves, write_series

import report
from main import RECIPES


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
    assert "lenet: 99.12 ± 0.02 %, errors of 10,000: 88.0 (86 to 90), 3 seeds\n" in out
    assert out.count("seed 2: ") == 1
    assert out.endswith("\nOnly the comparisons of this command count: name all that you try.\n")


def test_one_series_is_told_by_digit(tmp_path, capsys):
    """Two nets: both take a 9 for a 7, and one a 4 for a 9; all else is in test_slips.py."""
    write_curves(tmp_path, "lenet", seeds=2, errors=[[9642, 9, 7, 0.5]])
    path = tmp_path / "lenet-seed1.json"
    path.write_text(path.read_text("utf-8").replace(
        "[[9642, 9, 7, 0.5]]", "[[9642, 9, 7, 0.5], [2130, 4, 9, 0.75]]"), "utf-8")
    assert report.main(["lenet", "--log-dir", str(tmp_path)]) == 0
    first, _, *rows, last = capsys.readouterr().out.splitlines()
    assert first.startswith("lenet: ")
    assert first.endswith(", 2 seeds")
    # MNIST's test set has 982 fours and 1,009 nines.
    assert [row.split() for row in rows[3:5]] == [
        ["3", "1,010", "100.00"], ["4", "982", "99.95", "9", "(0.5)"]]
    assert [row.split() for row in rows[9:]] == [["9", "1,009", "99.90", "7", "(1.0)"]]
    assert last == "The commonest slips of a net: 9 as 7 (1.0), 4 as 9 (0.5)"


def test_series_in_other_folders_and_broken_ones_beside_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "logs", "a", [0.9910, 0.9912, 0.9914])
    write_series(tmp_path / "other", "a", [0.9914, 0.9910, 0.9911])
    (tmp_path / "logs/broken-seed0.json").write_text("{}")
    assert report.main(["a", os.path.join("other", "a")]) == 0  # a backslash on Windows
    assert f"undecided against a: {-0.003:+.2f} points" in capsys.readouterr().out


def test_a_difference_in_the_code_is_named(tmp_path, capsys):
    for name, code in (("a", "1"), ("b", "2")):
        write_series(tmp_path, name, [0.9910, 0.9912], code={"main.train": code})
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
    assert rows["lenet"].split()[1:] == [
        "4", "86.84", "±", "24.56", "1,316.0", "(86", "to", "5,000)", "of", "10,000", "lr", "0.1"]
    assert "undecided against lenet: +12.66 (" in rows["lenet-lr0.05"]
    assert "Welch, 3 and 4 seeds" in rows["lenet-lr0.05"]
    assert "against lenet: " in rows["lenet-lr0.05-x"]  # not against lenet-lr0.05
    assert rows["lenet-lr0.2-validate"].endswith("undecided against lenet-validate")
    assert "wide" not in rows
    assert "corrected for their number (Holm)" in out
    assert "unfinished: wide-seed0, 1 of 9 epochs so far, 93.00 %" in out
    assert out.count("unfinished: ") == 1


def write_recipes(folder, recipes, **options):
    """Writes a run of each of {name: Recipe}; the model is the first word of the name."""
    for name, recipe in recipes.items():
        write_series(folder, name, [0.99], recipe, model=name.partition("-")[0], **options)


def tabulate(folder, capsys):
    """What report.py says of the settings: {series: words}, and its last line."""
    assert report.main(["--log-dir", str(folder)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    start = head.find("settings that differ")
    end = head.find("difference in points")
    found = {}
    for line in lines:
        if line[:1].strip() and not line.startswith("Unless"):
            name = line.split()[0]
            found[name] = ""
        if start >= 0 and not line.startswith("Unless"):
            found[name] = f"{found[name]} {line[start:end].strip()}".strip()
    return found, lines[-1]


def test_an_edited_recipe_shows_in_the_table(tmp_path, capsys):
    """Its name cannot tell: lenet-epochs2 was trained with the edited recipe."""
    lenet = RECIPES["lenet"]
    write_recipes(tmp_path, {"lenet": lenet})
    assert report.main(["--log-dir", str(tmp_path)]) == 0
    assert "settings" not in capsys.readouterr().out  # one series differs from none
    write_recipes(tmp_path, {"lenet-epochs2": replace(lenet, lr=0.05),
                             "lenet-epochs2-lr0.1": replace(lenet, momentum=0.8)})
    assert tabulate(tmp_path, capsys)[0] == {
        "lenet": "lr 0.1, momentum 0.9", "lenet-epochs2": "lr 0.05, momentum 0.9",
        "lenet-epochs2-lr0.1": "lr 0.1, momentum 0.8"}


def test_only_settings_that_do_something_and_that_the_name_lacks(tmp_path, capsys):
    write_recipes(tmp_path, {
        "lenet": replace(RECIPES["lenet"], rotation=5.0), "mlp": RECIPES["mlp"],
        "lenet_augment": RECIPES["lenet_augment"]})
    assert tabulate(tmp_path, capsys)[0] == {  # rotation moves nothing in lenet and mlp
        "lenet": "lr 0.1, no augment", "mlp": "lr 0.05, no augment",
        "lenet_augment": "lr 0.1, augment, rotation 12"}
    write_recipes(tmp_path, {"mlp-mine": replace(RECIPES["mlp"], net=RECIPES["mlp_wide"].net)})
    found, _ = tabulate(tmp_path, capsys)
    assert found["mlp-mine"].startswith("net MLPWide, ")


def test_what_most_series_share_is_told_once(tmp_path, capsys):
    write_recipes(tmp_path, {name: RECIPES[name] for name in (
        "lenet", "lenet_decay", "lenet_1998", "lenet_reg", "mlp", "mlp_wide")})
    found, last = tabulate(tmp_path, capsys)
    assert found["lenet"] == ""
    assert found["lenet_1998"] == "lr 0.01"
    assert found["lenet_reg"] == "weight decay 0.0005, dropout 0.1, augment"
    assert found["mlp_wide"] == ("batch size 256, lr 0.01, no warmup, no nesterov, weight decay "
                                 "0.001, dropout 0.5")
    assert last == ("Unless a row tells others: batch size 128, lr 0.1, warmup 0.15, nesterov, "
                    "weight decay 0, no dropout, no augment.")


def test_series_that_differ_in_the_code_alone_are_told(tmp_path, capsys):
    lenet = RECIPES["lenet"]
    write_recipes(tmp_path, {"lenet": lenet, "lenet-lr0.2": replace(lenet, lr=0.2)})
    write_recipes(tmp_path, {"lenet-new": lenet}, code={"main.train": "2"})
    assert tabulate(tmp_path, capsys)[0] == {
        "lenet": "lr 0.1, code", "lenet-lr0.2": "lr 0.2", "lenet-new": "lr 0.1, code"}
    # Nor does that count as a setting that most of them share.
    write_recipes(tmp_path, {"lenet-long": replace(lenet, batch_size=64, momentum=0.8, epochs=7,
                                                   weight_decay=1e-3, dropout=0.2)}, probe=0.5)
    found, last = tabulate(tmp_path, capsys)
    assert (found["lenet"], found["lenet-new"]) == ("code", "code")
    assert last.startswith("Unless a row tells others: ")
    assert "code" not in last


def test_the_plain_series_of_a_name_with_an_exponent(tmp_path):
    """The minus in 1e-06 parts no words: else the first would be a plainer form of the second."""
    names = ("lenet-weight_decay1e-06", "lenet-lr1e-06-weight_decay1e-05",
             "lenet-lr1e-06-validate", "lenet-validate", "lenet-weight_decay1e-06-7")
    for name in names:
        write_series(tmp_path, name, [0.99, 0.98], model="lenet",
                     evaluated_on="validation" if name.endswith("validate") else "test")
    found = read(tmp_path)
    assert report.find_plain(found) == {"lenet-lr1e-06-validate": "lenet-validate",
                                        "lenet-weight_decay1e-06-7": "lenet-weight_decay1e-06"}


def test_a_variation_has_the_model_and_the_data_of_its_plain_series(tmp_path):
    """A net of the user's may be called tiny-net; it is no variation of tiny."""
    for name, model, size in (("tiny", "tiny", 9), ("tiny-net", "tiny-net", 9),
                              ("tiny-other_digits", "tiny", 8), ("tiny-lr0.2", "tiny", 9)):
        write_series(tmp_path, name, [0.9, 0.8], model=model, size=size)
    assert report.find_plain(read(tmp_path)) == {"tiny-lr0.2": "tiny"}


def test_the_same_difference_in_every_seed_has_no_interval(tmp_path, capsys):
    write_series(tmp_path, "lenet", [0.98, 0.97, 0.96, 0.98, 0.97, 0.96])
    write_series(tmp_path, "lenet-lr0.2", [0.99, 0.98, 0.97, 0.99, 0.98, 0.97], model="lenet")
    write_series(tmp_path, "lenet-x", [0.98, 0.97, 0.96, 0.98, 0.97, 0.96], model="lenet")
    assert report.main(["--log-dir", str(tmp_path)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["lenet-lr0.2"].endswith("better than lenet: +1.00 (same in every seed), sign test, "
                                        "6 seeds")
    assert rows["lenet-x"].endswith("undecided against lenet")


@pytest.mark.parametrize("compared", [0, 1, 2])
def test_one_verdict_alone_is_corrected_for_nothing(compared, tmp_path, capsys):
    write_series(tmp_path, "lenet", [0.98, 0.97, 0.96])
    for lr in range(compared):
        write_series(tmp_path, f"lenet-lr{lr}", [0.98, 0.98, 0.97], model="lenet")
    write_series(tmp_path, "lenet-one", [0.98], model="lenet")  # its one seed is not tested
    assert report.main(["--log-dir", str(tmp_path)]) == 0
    assert ("(Holm)" in capsys.readouterr().out) == (compared > 1)


@pytest.mark.parametrize(("names", "status", "words"), [
    (["other"], 1, "data: not the images that these were measured on; give the folder of your"),
    (["lenet", "--data-dir", "empty"], 1, "empty: no such folder"),
    (["lenet", "lenet"], 2, "lenet lenet: a series cannot be compared with itself"),
    (["lenet", os.path.join("logs", "lenet")], 2, "with itself"),
    (["other", os.path.join("..", "here", "logs", "lenet"), "lenet"], 2, "with itself"),
    (["--readme", "--log-dir", "logs"], 2, "unrecognized arguments: --readme"),
    (["--readme", "lenet", "other"], 2, "unrecognized arguments: --readme"),
    (["lenet", "missing"], 1, "logs: no series missing; there are lenet, other, part"),
    (["lenet", "other"], 1, "other and lenet cannot be compared, they differ in the test images\n"),
    (["lenet", "part"], 1, "logs: part has no finished run (seed 0: 1 of 5 epochs so far)"),
    (["--log-dir", "empty", "a", "b"], 1, "empty: no run in it; python main.py makes one"),
    (["--log-dir", "empty"], 1, "empty: no run in it; python main.py makes one"),
    (["--nonsense"], 2, "--nonsense"),
])
def test_faults_are_one_line(tmp_path, monkeypatch, capsys, names, status, words):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_series(Path("logs"), "lenet", [0.99])
    write_series(Path("logs"), "other", [0.99], size=5)
    write_series(Path("logs"), "part", [0.9], epochs=5)
    assert report.main(names) == status
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("argv", [
    ["report.py"], ["main.py", "--seeds", "9", "--checkpoint-dir", "."]])
def test_a_reader_that_goes_away_is_no_error(argv, run_script):
    """As in `python report.py | head -1`, with the pipe closed before anything is written."""
    argv = [*argv, "--log-dir", str(ROOT / "logs/report")]
    assert run_script(*argv, prepare=without_reader) == (-signal.SIGPIPE, "", "")


def test_what_takes_long_to_import_is_not_imported(tmp_path):
    """Needs a process of its own: the tests import scipy.stats themselves."""
    for name, accuracies in (("lenet", [0.991, 0.992]), ("lenet-lr0.05", [0.993, 0.995])):
        write_series(tmp_path, name, accuracies, model="lenet")
    code = (f"import sys, report; assert report.main(['--log-dir', {str(tmp_path)!r}]) == 0\n"
            "assert not {'scipy.stats', 'matplotlib'} & sys.modules.keys()\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "against lenet: " in done.stdout
