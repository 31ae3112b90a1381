"""lab/figures/charts.py: whether curves and dots show what the logs say, and can be read."""

import math
import statistics
from dataclasses import asdict, replace
from itertools import combinations

import pytest
from made_up import legend_labels, read, read_dots, write_curves, write_series
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import main
import plot
from lab.figures import charts
from main import RECIPES


def render(draw, *args, **options):
    """Draws a figure in plot.py's style, and lays it out."""
    with style.context(plot.STYLE):
        figure = draw(*args, **options)
        FigureCanvasAgg(figure).draw()
    return figure


def boxes(figure):
    """Where the texts of a figure stand, in pixels: [(text, box), ...]."""
    unseen = [tick.label1 for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)
              for tick in axis.get_major_ticks()
              if not min(axis.get_view_interval()) <= tick.get_loc() <= max(
                  axis.get_view_interval())]
    return [(text.get_text(), text.get_window_extent()) for text in figure.findobj(Text)
            if text.get_text() and text.get_visible() and text not in unseen]


def check_layout(figure):
    """Every text lies within the figure, and none on another."""
    shown = boxes(figure)
    assert len(shown) > 5
    for words, box in shown:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, words
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, words
    for (words, one), (others, other) in combinations(shown, 2):
        overlap = (min(one.x1, other.x1) - max(one.x0, other.x0),
                   min(one.y1, other.y1) - max(one.y0, other.y0))
        assert min(overlap) < 2, (words, others)


@pytest.mark.parametrize(("quantity", "factor"), [("accuracy", 100), ("loss", 1)])
def test_curves_are_the_mean_and_the_band_the_extremes(tmp_path, quantity, factor):
    histories = write_curves(tmp_path, "lenet", seeds=3)
    figure = charts.draw_curves("lenet", read(tmp_path)["lenet"], quantity)
    ax = figure.axes[0]
    lines, bands = ax.get_lines(), ax.collections
    assert len(lines) == len(bands) == 2
    for column, line, band in zip(("train", "test"), lines, bands, strict=True):
        by_epoch = [[factor * history[epoch][f"{column}_{quantity}"] for history in histories]
                    for epoch in range(3)]
        assert list(line.get_xdata()) == [1, 2, 3]
        expected = [statistics.mean(values) for values in by_epoch]
        assert list(line.get_ydata()) == pytest.approx(expected, rel=1e-5)
        corners = band.get_paths()[0].vertices
        for epoch, values in enumerate(by_epoch, start=1):
            ys = corners[corners[:, 0] == epoch][:, 1]
            assert (ys.min(), ys.max()) == pytest.approx((min(values), max(values)), rel=1e-5)
    assert ax.get_legend().get_title().get_text() == "last epoch, mean of 3 seeds"
    last = statistics.mean(factor * history[-1][f"test_{quantity}"] for history in histories)
    words = f"test: {last:.2f} %" if quantity == "accuracy" else f"test: {last:.3g}"
    assert legend_labels(figure)[1:] == [words, "shaded: lowest to highest seed"]
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel() == {"accuracy": "accuracy (%), stretched near 100",
                               "loss": "loss (cross entropy), log scale"}[quantity]
    assert ax.get_yscale() == {"accuracy": "function", "loss": "log"}[quantity]


def test_one_seed_far_off_moves_the_mean(tmp_path):
    """Made-up seeds are as far apart as their numbers: 0, 1 and 8 have a mean of 3."""
    histories = [write_curves(tmp_path, "lenet", first=seed)[0] for seed in (0, 1, 8)]
    for quantity, factor in (("accuracy", 100), ("loss", 1)):
        _, test = charts.draw_curves("x", read(tmp_path)["lenet"], quantity).axes[0].get_lines()
        assert list(test.get_ydata()) == pytest.approx(
            [factor * statistics.mean(row[f"test_{quantity}"] for row in rows)
             for rows in zip(*histories, strict=True)], rel=1e-5)


def test_one_seed_has_no_band(tmp_path):
    write_curves(tmp_path, "mlp", epochs=1)
    figure = charts.draw_curves("mlp", read(tmp_path)["mlp"], "accuracy")
    assert len(figure.axes[0].collections) == 0
    assert legend_labels(figure) == ["train: 69.00 %", "test: 96.90 %"]
    assert figure.axes[0].get_legend().get_title().get_text() == "last epoch, seed 0"


def test_unfinished_runs_beside_finished_seeds_are_not_in_the_mean(tmp_path):
    finished = write_curves(tmp_path, "lenet", seeds=2, epochs=30)
    (part,) = write_curves(tmp_path, "lenet", first=2, epochs=30, done=12)
    for quantity, factor in (("accuracy", 100), ("loss", 1)):
        figure = charts.draw_curves("lenet", read(tmp_path)["lenet"], quantity)
        _, test, thin = figure.axes[0].get_lines()
        mean = [factor * statistics.mean(row[f"test_{quantity}"] for row in rows)
                for rows in zip(*finished, strict=True)]
        assert list(test.get_ydata()) == pytest.approx(mean, rel=1e-5)
        assert list(thin.get_xdata()) == list(range(1, 13))
        assert list(thin.get_ydata()) == pytest.approx(
            [factor * row[f"test_{quantity}"] for row in part], rel=1e-5)
        assert thin.get_label() == "test, seed 2: 12 of 30 epochs so far, not in the mean"
        assert figure.axes[0].get_legend().get_title().get_text() == "last epoch, mean of 2 seeds"


def test_an_unfinished_run_is_shown_whole_however_bad_it_is(tmp_path):
    write_curves(tmp_path, "lenet", epochs=30)
    write_curves(tmp_path, "lenet", first=1, epochs=30, done=2)
    series = read(tmp_path)["lenet"]
    series[1]["history"][0]["test_accuracy"] = 0.3
    low, _ = charts.draw_curves("x", series, "accuracy").axes[0].get_ylim()
    assert low < 30


def test_an_unfinished_series_is_drawn_as_far_as_it_goes(tmp_path):
    write_curves(tmp_path, "lenet", epochs=30, done=5)
    write_curves(tmp_path, "lenet", first=1, epochs=30, done=12)
    figure = charts.draw_curves("lenet", read(tmp_path)["lenet"], "accuracy")
    title = figure.axes[0].get_legend().get_title().get_text()
    assert title == "12 of 30 epochs so far, seed 1"
    assert [len(line.get_xdata()) for line in figure.axes[0].get_lines()] == [12, 12, 5]
    assert legend_labels(figure)[2] == "test, seed 0: 5 of 30 epochs so far"


def test_validation_is_called_so(tmp_path):
    write_curves(tmp_path, "lenet-validate", evaluated_on="validation")
    for quantity in ("accuracy", "loss"):
        figure = charts.draw_curves("x", read(tmp_path)["lenet-validate"], quantity)
        assert legend_labels(figure)[1].startswith("validation: ")
        assert "test" not in " ".join(legend_labels(figure))


@pytest.mark.parametrize(("model", "words"), [
    ("lenet", "train: "), ("lenet_decay", "train: "), ("lenet_dropout", "train (with dropout): "),
    ("lenet_augment", "train (with distorted images): "),
    ("lenet_reg", "train (with distorted images and dropout): ")])
def test_the_legend_says_why_train_may_lie_below_test(tmp_path, model, words):
    write_curves(tmp_path, model)
    figure = charts.draw_curves(model, read(tmp_path)[model], "accuracy")
    assert legend_labels(figure)[0].startswith(words)


def test_98_and_99_5_are_well_apart_and_nothing_of_test_is_cut_off(tmp_path):
    write_curves(tmp_path, "lenet", seeds=2)
    series = read(tmp_path)["lenet"]
    series[1]["history"][0]["test_accuracy"] = 0.4
    for lowest in (0.4, 0.97):
        series[1]["history"][0]["test_accuracy"] = lowest
        ax = charts.draw_curves("lenet", series, "accuracy").axes[0]

        def height(accuracy, ax=ax):
            return ax.transAxes.inverted().transform(ax.transData.transform((1, accuracy)))[1]

        assert height(99.5) - height(98) > 0.15
        assert 0 <= height(100 * lowest) < height(98) < height(99.5) < height(100) < 1
        inverse = ax.yaxis.get_transform().inverted()
        assert inverse.transform(ax.yaxis.get_transform().transform(99.5)) == pytest.approx(99.5)


def test_an_edited_recipe_shows_in_log_and_plot(small_idx, tmp_path, monkeypatch, capsys):
    def train_and_plot(folder):
        where = ["--log-dir", str(tmp_path / folder), "--checkpoint-dir", str(tmp_path)]
        assert main.main(["--epochs", "1", "--data-dir", str(small_idx), *where]) == 0
        (name, series), = read(tmp_path / folder).items()
        return series, charts.draw_curves(name, series, "loss").get_supxlabel()

    before, caption_before = train_and_plot("before")
    edited = replace(RECIPES["lenet"], lr=0.0123, momentum=0.87)
    monkeypatch.setitem(RECIPES, "lenet", edited)
    after, caption_after = train_and_plot("after")
    assert after[0]["recipe"] == {**asdict(edited), "net": "LeNet5", "epochs": 1}
    assert after[0]["final"]["train_loss"] != before[0]["final"]["train_loss"]
    flat = caption_after.replace("\xa0", " ").replace("\n", " ")
    assert "lr 0.0123, " in flat
    assert "momentum 0.87, " in flat
    assert "0.0123" not in caption_before


def test_why_the_training_accuracy_of_the_published_net_is_low_is_told(tmp_path):
    for name in ("lenet_1998", "lenet_1998_linear"):
        write_curves(tmp_path, name)
    captions = {name: charts.draw_curves(name, series, "accuracy").findobj(Text)
                for name, series in read(tmp_path).items()}
    assert {name: any('answer "none of them"' in text.get_text() for text in found)
            for name, found in captions.items()} == {"lenet_1998": True, "lenet_1998_linear": False}


def test_the_caption_names_every_setting_that_does_something(tmp_path):
    write_curves(tmp_path, "lenet_reg")
    caption = charts.describe(read(tmp_path)["lenet_reg"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "RegularizedLeNet5, 61,706 parameters, epochs 3, batch size 128, lr 0.1, warmup 0.15, "
        "momentum 0.9, nesterov, weight decay 0.0005, dropout 0.1, augment, "
        "rotation 12, translation 2, scaling 0.12, shear 10")
    write_curves(tmp_path, "mlp_wide")
    caption = charts.describe(read(tmp_path)["mlp_wide"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "MLPWide, 61,706 parameters, epochs 3, batch size 256, lr 0.01, constant rate, "
        "momentum 0.9, weight decay 0.001, dropout 0.5")


# How it looks

@pytest.mark.parametrize("quantity", ["accuracy", "loss"])
@pytest.mark.parametrize(("name", "seeds", "epochs", "unfinished", "entries"), [
    ("lenet", 1, 1, 0, 2), ("lenet_reg", 3, 2, 1, 4), ("lenet_1998-augment", 2, 3, 3, 6),
    ("mlp", 0, 30, 4, 5), ("lenet_record", 10, 120, 9, 4),
    ("lenet_reg-epochs30-lr0.05-momentum0.85-weight_decay0.0001-dropout0.2-validate", 1, 9, 0, 2)])
def test_nothing_hides_anything(
        tmp_path, quantity, name, seeds, epochs, unfinished, entries):
    """A legend on the axes once hid the curves of short runs."""
    write_curves(tmp_path, name, seeds=seeds, epochs=epochs)
    write_curves(tmp_path, name, seeds=unfinished, first=seeds, epochs=epochs, done=epochs - 1)
    (series,) = read(tmp_path).values()
    figure = render(charts.draw_curves, charts.titles.find_title(name), series, quantity)
    check_layout(figure)
    ax = figure.axes[0]
    assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1
    assert ax.bbox.height > 0.45 * figure.bbox.height
    ticks = ax.get_yticks()
    for line in ax.get_lines():
        low, high = line.get_ydata().min(), line.get_ydata().max()
        assert ax.get_ylim()[0] <= min(ticks) <= low <= high <= max(ticks) <= ax.get_ylim()[1]
    assert len(legend_labels(figure)) == entries


@pytest.mark.parametrize("model", ["lenet", "mlp", "lenet_reg"])
@pytest.mark.parametrize(("width", "least"), [(490, 10), (358, 7)])
def test_curves_can_be_read_at_half_a_page_and_on_a_phone(tmp_path, model, width, least):
    """The size of a font in pixels, when the figure is shown so many pixels wide."""
    write_curves(tmp_path, model, seeds=2, epochs=30)
    figure = render(charts.draw_curves, model, read(tmp_path)[model], "accuracy")
    shown = width / figure.bbox.width * figure.dpi / 72  # pixels a point
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) * shown > (
        least)
    assert figure.axes[0].yaxis.label.get_fontsize() * shown > 1.2 * least
    assert figure.bbox.width >= 2 * 490  # sharp on a screen of two dots a pixel


@pytest.mark.parametrize(("lowest", "highest", "ends"), [
    (99.1, 99.34, (99, 99.4)), (97.85, 100, (97, 100)), (0, 0, (0, 10)), (100, 100, (99.9, 100)),
    (5, 98.3, (0, 98.5))])
def test_the_ticks_of_accuracies_embrace_the_points(lowest, highest, ends):
    figure = render(lambda: charts.Figure(figsize=(5, 4)))
    ax = figure.subplots()
    charts.stretch_accuracy(ax, "x", lowest, highest)
    ticks = ax.get_xticks()
    assert (min(ticks), max(ticks)) == ends
    left, right = ax.get_xlim()
    assert left < ends[0] < ends[1] < right
    assert math.isfinite(left)
    assert math.isfinite(right)


@pytest.mark.parametrize(("lowest", "highest", "ticks"), [
    (0.03, 0.7, [0.02, 0.05, 0.1, 0.2, 0.5, 1]), (0.3, 0.3, [0.2, 0.5]),
    (5.1e-5, 0.8, [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]), (0, 0.6, None), (1e-9, 1e20, None)])
def test_the_ticks_of_losses_embrace_the_points(lowest, highest, ticks):
    ax = charts.Figure().subplots()
    charts.scale_loss(ax, lowest, highest)
    assert ticks is None or list(ax.get_yticks()) == ticks
    assert ax.get_ylim() == (min(ax.get_yticks()), max(ax.get_yticks()))


def test_losses_that_have_no_logarithm_are_passed_over(tmp_path):
    write_curves(tmp_path, "lenet", seeds=2)
    series = read(tmp_path)["lenet"]
    for row in series[0]["history"]:
        row["train_loss"] = row["test_loss"] = float("nan")
    series[1]["history"][1]["test_loss"] = float("inf")
    series[1]["history"][2]["train_loss"] = 0.0
    figure = render(charts.draw_curves, "x", series, "loss")
    rest = [row[f"{column}_loss"] for row in series[1]["history"] for column in ("train", "test")]
    rest = [loss for loss in rest if 0 < loss < math.inf]
    low, high = figure.axes[0].get_ylim()
    assert min(rest) / 5 < low < min(rest) < max(rest) < high < 5 * max(rest)


def test_a_figure_is_never_higher_than_matplotlib_can_draw(tmp_path):
    write_series(tmp_path, "lenet", [0.99])
    runs = read(tmp_path)["lenet"]
    for lines, reduced in ((2, False), (4000, True)):
        figure = charts.draw_dots([("A", [("line\n" * lines, runs)])])
        assert figure.bbox.height < 2**16
        assert (figure.dpi < 150) == reduced  # dots to the inch


@pytest.mark.parametrize("stretched", [True, False])
def test_dots_tell_mean_deviation_and_errors(tmp_path, stretched):
    write_series(tmp_path, "lenet", [0.9910, 0.9913, 0.9915])
    write_series(tmp_path, "mlp", [0.9999], model="mlp")
    found = read(tmp_path)
    figure = render(charts.draw_dots, [("A", [("one\nof two lines", found["lenet"]),
                                              ("two", found["mlp"])])], stretched=stretched)
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "99.13 ± 0.03 %\n87.3 errors, 3 seeds", "99.99 %\n1 error, 1 seed"]
    assert [dots for _, dots, *_ in read_dots(figure)] == [
        pytest.approx([99.10, 99.13, 99.15]), pytest.approx([99.99])]
    ends = [ends for *_, ends in read_dots(figure)]  # the mean is nearer to the upper one
    assert ends == [pytest.approx((99.10, 99.15)), pytest.approx((99.99, 99.99))]
    ax = figure.axes[0]
    assert ("stretched" in ax.get_xlabel()) == stretched == (ax.get_xscale() != "linear")
    assert min(ax.get_xticks()) <= 99.1
    assert max(ax.get_xticks()) >= 99.99
    check_layout(figure)
