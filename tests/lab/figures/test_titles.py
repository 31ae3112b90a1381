"""lab/figures/titles.py: names that are no two alike, and names in any script."""

import warnings
from dataclasses import replace

import pytest
from fontTools.ttLib import TTFont
from made_up import read, write_curves
from matplotlib import font_manager, style
from matplotlib.text import Text

import dataset
import plot
from lab.figures import titles

NAME = "lenet-我的数据"


@pytest.fixture(params=[400, 700, None], ids=str)
def chinese(request, tmp_path, monkeypatch):
    """Whether a font of normal weight has 我的数据.

    It is DejaVu Sans by another name, in which each of them is an A. The parameter is its weight.
    """
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [
        font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname])
    if request.param:
        font = TTFont(font_manager.findfont("DejaVu Sans"))
        for record in font["name"].names:
            if record.nameID in (1, 3, 4, 6, 16):
                record.string = "Test Han"
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap |= {ord(character): "A" for character in "我的数据"}
        font.save(tmp_path / "han.ttf")
        font_manager.fontManager.addfont(tmp_path / "han.ttf")
        fonts = font_manager.fontManager.ttflist
        fonts[-1] = replace(fonts[-1], weight=request.param)
    font_manager.fontManager._findfont_cached.cache_clear()
    titles.find_font.cache_clear()
    yield request.param == 400
    font_manager.fontManager._findfont_cached.cache_clear()
    titles.find_font.cache_clear()


def test_a_chinese_name_is_drawn_or_escaped(chinese, tmp_path, caplog):
    write_curves(tmp_path, NAME)
    expected = NAME if chinese else r"lenet-\u6211\u7684\u6570\u636e"
    assert titles.spell(NAME) == expected
    with warnings.catch_warnings(), style.context(plot.STYLE):
        warnings.filterwarnings("error", "Glyph")  # missing from font; other libraries warn too
        drawn = 0
        for file, draw in plot.list_figures(read(tmp_path), [], dataset.DATA_DIR):
            if file == "samples.png" or (figure := draw()) is None:
                continue
            plot.save(figure, tmp_path / "x.png")
            assert file.startswith((NAME, "model_comparison"))
            named = [text for text in figure.findobj(Text) if expected in text.get_text()]
            assert named
            for text in named:
                assert ("Test Han" in text.get_fontfamily()) == chinese
            drawn += 1
    assert drawn == 5
    assert caplog.messages == []  # matplotlib logs what font it misses


def test_other_texts_keep_the_font_that_they_have():
    assert {titles.find_font(character) for character in "Label 0→9, ± 12°\xa0"} == {titles.OURS}


@pytest.mark.parametrize(("names", "stems"), [
    (["lenet", "mlp", "lenet-lr0.2"], ["LeNet", "CustomMLP", "lenet-lr0.2"]),
    (["LeNet", "lenet"], ["LeNet_2", "LeNet"]),  # whatever their order
    (["LENET", "LeNet", "LeNet_2", "lenet"], ["LENET_2", "LeNet_2_2", "LeNet_2_2_2", "LeNet"]),
    (["a", "A", "ß", "SS"], ["a", "A_2", "ß", "SS_2"])])
def test_no_two_series_have_the_same_files(names, stems):
    assert titles.name_files(names) == dict(zip(names, stems, strict=True))


def test_titles_are_in_words():
    """A file name is no title: no underscores, and no title twice."""
    assert titles.FILES.keys() <= titles.TITLES.keys()
    assert len(set(titles.TITLES.values())) == len(titles.TITLES)
    assert not any("_" in title for title in titles.TITLES.values())


@pytest.mark.parametrize(("name", "title"), [
    ("lenet_reg", "LeNet-5, regularised"), ("lenet_reg-bf16", "LeNet-5, regularised, in bfloat16"),
    ("lenet-lr0.05", "LeNet-5 (lenet-lr0.05)"), ("mlp-validate", "CustomMLP (mlp-validate)"),
    ("lenets-lr0.05", "lenets-lr0.05"), ("my_net", "my_net")])
def test_a_series_of_the_users_keeps_its_name(name, title):
    assert titles.find_title(name) == title


@pytest.mark.parametrize(("title", "lines"), [
    ("LeNet-5 (lenet-lr0.05-momentum0.8)", ["LeNet-5 (lenet", "-lr0.05", "-momentum0.8)"]),
    ("lenet-lr1e-06-dropout0.1", ["lenet-lr1e-06", "-dropout0.1"]), ("LeNet-5", ["LeNet-5"])])
def test_titles_break_at_spaces_and_before_a_setting(title, lines):
    assert titles.wrap(title, 14).split("\n") == lines
