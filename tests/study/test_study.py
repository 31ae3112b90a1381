"""`python -m study`: the pages that it fills, the figures that it draws, and its faults."""

import re
from pathlib import Path

import pytest
from conftest import ROOT
from made_up import write_curves

import model
import plot
from lab.files import RunError
from lab.runs.series import finished_series
from study import __main__ as study
from study import effects, tables

NAMES = [*effects.NETS.values(), "mlp", "lenet_record", "lenet_1998"]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with made-up logs, a README and one more page. The figures become empty files."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write_curves(study.LOGS, name, seeds=2)
    for name in study.EXAMPLE:
        write_curves(study.LOGS / "validation", name, evaluated_on="validation")
    write_curves(study.LOGS / "again", "lenet", seeds=2)
    for path in (study.LOGS / "again").glob("*.json"):
        text = path.read_text("utf-8").replace('"environment": {}', '"environment": {"cpu": "x"}')
        path.write_text(text, "utf-8")
    real = "".join(path.read_text("utf-8") for path in (
        ROOT / "README.md", *ROOT.glob("docs/*.md")))
    names = re.findall(r"<!-- /(\w+) -->", real)
    Path("docs").mkdir()
    for page, blocks in (("README.md", names[:9]), ("docs/more.md", names[9:])):
        Path(page).write_text("# Title\n" + "".join(
            f"<!-- {name} -->\nold\n<!-- /{name} -->\nwords\n" for name in blocks), "utf-8")
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
    return tmp_path


def read_pages():
    return [Path(page).read_text("utf-8") for page in ("README.md", "docs/more.md")]


def test_the_pages_show_what_the_logs_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    pages = study.read_pages()
    blocks = study.make_blocks(*map(finished_series, study.read_logs()))
    assert study.fill(pages, blocks) == pages


def test_pages_are_filled_and_figures_drawn(workplace, capsys):
    write_curves(study.LOGS, "lenet_wide", done=1)  # unfinished: curves, but in no table
    assert study.main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    drawn = {path.name for path in study.FIGURES.iterdir()}
    assert {"ablation.png", "effects.png", "road.png", "model_comparison.png", "samples.png",
            "LeNet_confusion_matrix.png", "LeNet_wide_loss_plot.png"} <= drawn
    assert out.split() == [str(Path("README.md")), str(Path("docs/more.md")), *(
        line for line in out.split() if Path(line).parent == study.FIGURES)]
    assert {Path(line).name for line in out.split()[2:]} == drawn
    pages = read_pages()
    assert all(page.count("# Title") == 1 and "old" not in page for page in pages)
    assert "| LeNet-5 (`lenet`) | 61,706 | **98.91 ± 0.08** | 108.5 |" in pages[0]
    assert "| LeNet-5 (`lenet`): 61,706 | **98.91 ± 0.08** (2) |" in pages[1]
    assert "Over 2 seeds. Each p is corrected" in "".join(pages)
    assert "lenet_wide" not in "".join(pages)
    assert study.main([]) == 0
    assert read_pages() == pages


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
    assert not study.FIGURES.exists()


def test_a_damaged_log_is_one_line(workplace, capsys):
    path = study.LOGS / "mlp-seed1.json"
    path.write_text("{")
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", f"study: {path}: damaged, or not a log of main.py\n")


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(("folder", "name"), [
    *((".", name) for name in NAMES), *(("validation", name) for name in study.EXAMPLE)])
def test_a_series_that_is_missing_is_one_line_or_left_out(folder, name, unfinished, workplace,
                                                          capsys, monkeypatch):
    monkeypatch.setattr(plot, "draw_all", lambda figures, out: [])
    for path in (study.LOGS / folder).glob(f"{name}-seed*"):
        path.unlink()
    if unfinished:
        write_curves(study.LOGS / folder, name, done=1,
                     evaluated_on="validation" if folder == "validation" else "test")
    else:  # else the folder may be without a run
        write_curves(study.LOGS / folder, "lenet_fast")
    needed = name in (*study.NEEDED, *study.EXAMPLE)
    assert study.main([]) == needed
    assert capsys.readouterr().err == (
        f"study: {study.LOGS / folder}: no finished run of {name}, which the report needs\n"
        if needed else "")


def test_a_series_that_was_repeated_is_needed(workplace, capsys):
    write_curves(study.LOGS / "again", "lenet_fast")
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", f"study: {study.LOGS}: no finished run of lenet_fast, which "
                                       "the report needs\n")


def test_nets_without_a_common_seed_are_one_line(workplace, capsys):
    for path in study.LOGS.glob("mlp-seed*"):
        path.unlink()
    write_curves(study.LOGS, "mlp", first=7)
    assert study.main([]) == 1
    assert capsys.readouterr() == ("", "study: lenet and mlp have no seed in common\n")


def test_recipes_and_nets_can_be_renamed_and_removed(workplace, capsys, monkeypatch):
    monkeypatch.setattr(plot, "draw_all", lambda figures, out: [])
    before = study.make_blocks(*map(finished_series, study.read_logs()))
    monkeypatch.setattr(tables, "RECIPES", {
        name: recipe for name, recipe in tables.RECIPES.items() if name != "mlp"})
    monkeypatch.delattr(model, "LeNet1998")
    assert study.main([]) == 0
    after = study.make_blocks(*map(finished_series, study.read_logs()))
    assert after["results"] != before["results"]
    assert sorted(after["results"].splitlines()) == sorted(before["results"].splitlines())
    assert "| CustomMLP (`mlp`): " in after["results"].splitlines()[-1]
    assert "LeNet1998" in before["parameters"]
    assert "LeNet1998" not in after["parameters"]
    assert after["parameters"].count("| total |") == before["parameters"].count("| total |") - 1


def test_as_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert study.main([]) == 1
    assert capsys.readouterr().err == (
        f"study: {study.LOGS}: no run in it; python main.py makes one\n")
    assert study.main(["x"]) == 2
    assert capsys.readouterr().err == "study: error: unrecognized arguments: x\n"
    assert study.main(["--help"]) == 0
    assert "README.md" in capsys.readouterr().out
