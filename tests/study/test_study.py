"""`python -m study`: the pages that it fills, the figures that it draws, and its faults."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from made_up import write_curves

import plot
from lab.files import RunError
from lab.runs.series import finished_series
from study import __main__ as study
from study import claims, tables

FIGURES = sorted(path.name for path in (ROOT / study.FIGURES).iterdir())


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the logs of the report and two pages to fill. The figures become empty files.

    The pages hold every block that a page of ours has, and show every figure.
    """
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / study.LOGS, study.LOGS)
    real = "".join(path.read_text("utf-8") for path in (
        ROOT / "README.md", *ROOT.glob("docs/*.md")))
    names = re.findall(r"<!-- /(\w+) -->", real)
    Path("docs").mkdir()
    for page, blocks in (("README.md", names[:9]), ("docs/more.md", names[9:])):
        Path(page).write_text("# Title\n" + "".join(
            f"<!-- {name} -->\nold\n<!-- /{name} -->\nwords\n" for name in blocks), "utf-8")
    with open("docs/more.md", "a") as file:
        file.writelines(f"![](../img/report/{name})\n" for name in FIGURES)
    study.FIGURES.mkdir(parents=True)
    (study.FIGURES / "draw.png").touch()  # that no program of ours makes
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
    return tmp_path


@pytest.fixture
def logs(monkeypatch):
    """The runs of the report, as `make_blocks` takes them."""
    monkeypatch.chdir(ROOT)
    return [finished_series(found) for found in study.read_logs()]


def read_pages():
    return [Path(page).read_text("utf-8") for page in ("README.md", "docs/more.md")]


def test_the_pages_show_what_the_logs_say(logs):
    pages = study.read_pages()
    assert study.fill(pages, study.make_blocks(*logs)) == pages


def test_pages_are_filled_and_figures_drawn(workplace, capsys, monkeypatch):
    write_curves(study.LOGS, "lenet_fast", done=1)  # unfinished: in no table
    assert study.main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    drawn = {path.name for path in study.FIGURES.iterdir()} - {"draw.png"}
    assert {"ablation.png", "effects.png", "road.png", "model_comparison.png", "samples.png",
            "LeNet_record_confusion_matrix.png", "LeNet_loss_plot.png"} <= drawn
    assert {*FIGURES} == {*drawn, "draw.png"}
    assert out.split() == [str(Path("README.md")), str(Path("docs/more.md")), *(
        line for line in out.split() if Path(line).parent == study.FIGURES)]
    assert {Path(line).name for line in out.split()[2:]} == drawn
    pages = read_pages()
    words = [page.replace("&nbsp;", " ") for page in pages]
    assert all(page.count("# Title") == 1 and "\nold\n" not in page for page in pages)
    assert "| LeNet-5 (`lenet`) | 61,706 | **99.22 ± 0.07** | 78.5 |" in words[0]
    assert "| LeNet-5 (`lenet`): 61,706 | **99.22 ± 0.07** |" in words[1]
    assert "Over 10 seeds. Each p is corrected" in "".join(pages)
    assert "`lenet_fast`" not in "".join(pages)
    monkeypatch.setattr(plot, "draw_all", lambda figures, out: [])
    assert study.main([]) == 0
    assert read_pages() == pages


def test_pages_and_pictures_that_do_not_fit_are_told_and_nothing_is_deleted(workplace, capsys):
    with open("docs/more.md", "a") as file:
        file.write("![](../img/report/no_such.png) ![](../img/report/LeNet_fast_loss_plot.png)\n")
    for name in ("b.png", "a.png"):
        (study.FIGURES / name).touch()
    write_curves(study.LOGS, "lenet_fast", done=1)  # its curves are drawn, since a page shows them
    assert study.main([]) == 1
    assert capsys.readouterr().err == (
        f"study: {study.FIGURES}: no page shows a.png, b.png\n"
        f"study: {study.FIGURES}: the pages show, but there is no no_such.png\n")
    assert {path.name for path in study.FIGURES.iterdir()} == {
        *FIGURES, "a.png", "b.png", "LeNet_fast_loss_plot.png"}


def test_every_picture_of_the_report_is_shown_and_every_one_shown_is_there(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = "".join(study.read_pages().values())
    shown = {Path(link).name for link in re.findall(r'(?:\]\(|src=")([^")]+\.png)', text)
             if Path(link).parts[-2] == "report"}
    assert shown == {*FIGURES}


@pytest.mark.parametrize(("more", "places"), [
    ("", r"README\.md, docs/: the block <!-- results --> .* not 0 times"),
    ("<!-- results -->\n<!-- /results -->\n" * 2, r"README\.md, README\.md: .* not 2 times")])
def test_markers_must_stand_once(more, places):
    with pytest.raises(RunError, match=places):
        study.fill({Path("README.md"): f"words\n{more}"}, {"results": "x"})


def test_a_block_on_two_pages_is_one_line_and_nothing_is_written(workplace, capsys):
    with open("docs/more.md", "a") as file:
        file.write("<!-- nets -->\n<!-- /nets -->\n")
    before = read_pages()
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", (
        f"study: README.md, {Path('docs/more.md')}: the block <!-- nets --> must stand exactly "
        "once, not 2 times\n"))
    assert read_pages() == before
    assert [path.name for path in study.FIGURES.iterdir()] == ["draw.png"]


@pytest.mark.parametrize("name", [
    "mlp-seed1", "validation/mlp-validate-seed1", "again/lenet-seed0"])
def test_a_damaged_log_is_one_line(name, workplace, capsys):
    path = study.LOGS / f"{name}.json"
    path.write_text("{")
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", f"study: {path}: damaged, or not a log of main.py\n")


def test_a_claim_that_no_longer_holds_is_one_line_and_nothing_is_written(workplace, capsys):
    """Here the net with weight decay has the logs of the plain one."""
    for path in study.LOGS.glob("lenet_decay-seed*"):
        shutil.copy(path.with_name(path.name.replace("_decay", "")), path)
    before = read_pages()
    assert study.main([]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(
        "study: the pages say that lenet_decay is better than lenet; the logs say undecided: ")
    assert read_pages() == before
    assert [path.name for path in study.FIGURES.iterdir()] == ["draw.png"]


NEEDED = {*claims.NEEDED}


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_series_that_the_pages_need_is_named(name, logs):
    series, held_out, again = logs
    (held_out if name.endswith("-validate") else series).pop(name)
    with pytest.raises(RunError) as caught:
        study.make_blocks(series, held_out, again)
    assert str(caught.value) == f"{study.LOGS}: no finished run of {name}, which the report needs"


def test_every_other_series_may_be_missing(logs):
    series, held_out, again = logs
    for name in series.keys() - NEEDED:
        fewer = {other: runs for other, runs in series.items() if other != name}
        assert f"`{name}`" not in study.make_blocks(fewer, held_out, again)["results"]
    series, held_out = ({name: found[name] for name in found.keys() & NEEDED}
                        for found in (series, held_out))
    study.make_blocks(series, held_out, again)


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_series_that_is_missing_is_one_line(unfinished, workplace, capsys):
    for path in study.LOGS.glob("mlp-seed*"):
        path.unlink()
    if unfinished:
        write_curves(study.LOGS, "mlp", done=1)
    assert study.main([]) == 1
    assert capsys.readouterr() == (
        "", f"study: {study.LOGS}: no finished run of mlp, which the report needs\n")


def test_a_series_that_was_repeated_is_needed(workplace, capsys):
    write_curves(study.LOGS / "again", "lenet_fast")
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", f"study: {study.LOGS}: no finished run of lenet_fast, which "
                                       "the report needs\n")


def test_nets_without_a_common_seed_are_one_line(logs):
    for run in logs[0]["mlp"]:
        run["seed"] += 10
    with pytest.raises(RunError, match="lenet and mlp have no seed in common"):
        study.make_blocks(*logs)


def test_recipes_can_be_renamed_and_removed(logs, monkeypatch):
    before = study.make_blocks(*logs)
    monkeypatch.setattr(tables, "RECIPES", {
        name: recipe for name, recipe in tables.RECIPES.items() if name != "mlp"})
    after = study.make_blocks(*logs)
    assert after["results"] != before["results"]
    assert sorted(after["results"].splitlines()) == sorted(before["results"].splitlines())
    assert "| CustomMLP (`mlp`): " in after["results"].splitlines()[-3]


def test_as_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert study.main([]) == 1
    assert capsys.readouterr().err == (
        f"study: {study.LOGS}: no run in it; python main.py makes one\n")
    assert study.main(["x"]) == 2
    assert capsys.readouterr().err == "study: error: unrecognized arguments: x\n"
    assert study.main(["--help"]) == 0
    assert "README.md" in capsys.readouterr().out
