"""The figures: which are drawn, what stands in them against the logs, and the files they make."""

import functools
import io
import json
import re
import statistics
import struct
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from conftest import write_idx_folder
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import dataset
import main
import plot
import report
from lab import pictures, runs
from main import RECIPES
from model import FIGURE_3, CustomMLP, LeNet5, LeNet1998, LeNetWide, LinearLeNet1998, squash
from study import effects

ERRORS = [[947, 8, 9, 0.62], [582, 8, 2, 0.7], [9729, 5, 6, 0.99], [9642, 9, 7, 0.51],
          [4176, 2, 7, 0.985], [674, 5, 3, 0.9], [2130, 4, 9, 0.75]]  # real labels of MNIST


def made_up(seed, epochs):
    """A history whose every number is its own, so that none can be taken for another."""
    return [{"epoch": epoch, "learning_rate": 0.1,
             "train_loss": 0.9 / epoch + 0.013 * seed, "train_accuracy": 1 - 0.31 / epoch**3,
             "test_loss": 0.2 / epoch + 0.017 * seed,
             "test_accuracy": 1 - 0.031 / epoch - 0.0011 * seed, "seconds": 1.5}
            for epoch in range(1, epochs + 1)]


@functools.cache
def fingerprint(train):
    return dataset.MNIST(dataset.DATA_DIR, train).fingerprint()


def write_series(folder, name, seeds=1, evaluated_on="test", epochs=3, errors=(), done=None,
                 first=0, data=None, **changes):
    """Logs of made-up runs, in the format's own writer; returns the histories.

    done: the epochs that there are so far; data: of what they were measured on, else MNIST's.
    """
    folder.mkdir(exist_ok=True)
    model = re.match(r"\w+", name)[0]
    recipe = replace(RECIPES[model], epochs=epochs, **changes)
    histories = [made_up(seed, epochs)[:done] for seed in range(first, first + seeds)]
    data = data or fingerprint(evaluated_on == "validation")
    for seed, history in enumerate(histories, start=first):
        runs.Run(runs.Place(folder, folder, {}), f"{name}-seed{seed}", {
            "model": model, "seed": seed, "recipe": main.as_dict(recipe),
            "evaluated_on": evaluated_on, "data": {"train": fingerprint(True), evaluated_on: data},
            "parameters": 61_706, "environment": {}}, history, {"errors": list(errors)}).write_log()
    return histories


def read(folder):
    return {name: runs.read_series(folder, name, main.DEFAULTS)
            for name in runs.list_series(folder)}


def draw(folder, data_dir=dataset.DATA_DIR, word=""):
    """{file name: Figure} of all that can be drawn of a log folder and has `word` in its name."""
    listed = plot.list_figures(read(folder), folder, folder / "none", data_dir)
    return {name: figure for name, function in listed if word in name and (figure := function())}


def run_plot(log_dir, out, capsys, *argv):
    """Exit status, lines of output and lines of complaint."""
    status = plot.main(["--log-dir", str(log_dir), "--out", str(out), *map(str, argv),
                        "--checkpoint-dir", str(log_dir)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def chunks(png):
    """The chunk types of a PNG file, from its bytes."""
    position, found = 8, set()
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position:position + 8])
        found.add(kind.decode())
        position += 12 + length
    return found


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def legend_labels(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def images(figure):
    """The pixels of a mosaic's images by their place: {(x, y): array}."""
    found = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        found[round(left, 1), round(top, 1)] = np.asarray(image.get_array())
    return found


def write_weights(folder, name, kind, **changes):
    """A checkpoint of seed 0 beside its log; returns the weights."""
    torch.manual_seed(5)
    weights = kind().state_dict()
    run = read(folder)[name][0]
    content = {**run, "history": [run["final"]], "model": weights, **changes}
    torch.save(content, folder / f"{name}-seed0.pt")
    return weights


@pytest.fixture
def record(tmp_path):
    """A log folder with a run of lenet_record and its weights; returns folder and weights."""
    write_series(tmp_path / "logs", "lenet_record", errors=ERRORS)
    return tmp_path / "logs", write_weights(tmp_path / "logs", "lenet_record", LeNet5)


@pytest.fixture
def unsaved(monkeypatch):
    """The files are empty: to compose a figure takes longest, and other tests do."""
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())


# Files

def test_every_series_has_its_figures(tmp_path):
    names = {"lenet": "LeNet", "mlp": "CustomMLP", "lenet_dropout": "LeNet_dropout",
             "lenet_decay": "LeNet_weight_decay", "lenet_augment": "LeNet_augmentation",
             "lenet_reg": "LeNet_regularization", "lenet_heavy": "LeNet_heavy",
             "lenet_record": "LeNet_record", "lenet_fast": "LeNet_fast",
             "lenet_1998": "LeNet_1998", "lenet_1998_linear": "LeNet_1998_linear",
             "lenet_1998_dense": "LeNet_1998_dense", "lenet_1998_max": "LeNet_1998_max",
             "lenet_1998_relu": "LeNet_1998_relu",
             "lenet_wide": "LeNet_wide", "mlp_wide": "CustomMLP_wide"}
    assert names.keys() == RECIPES.keys()
    for model in names:
        write_series(tmp_path, model)
    kinds = ("accuracy_plot", "loss_plot", "confusion_matrix", "misclassified")
    assert draw(tmp_path).keys() == {
        *(f"{name}_{kind}.png" for name in names.values() for kind in kinds),
        "model_comparison.png", "ablation.png", "road.png", "samples.png"}


def test_every_figure_becomes_a_file_and_is_named(record, tmp_path, capsys):
    expected = {*(f"LeNet_record_{kind}.png" for kind in (
        "accuracy_plot", "loss_plot", "confusion_matrix", "misclassified", "filters")),
        "model_comparison.png", "samples.png"}
    status, lines, complaints = run_plot(record[0], tmp_path / "deep/img", capsys)
    assert (status, complaints) == (0, [])
    assert {path.name for path in (tmp_path / "deep/img").iterdir()} == expected
    assert sorted(lines) == sorted(str(tmp_path / "deep/img" / name) for name in expected)
    for name in expected:
        with Image.open(tmp_path / "deep/img" / name) as picture:
            assert picture.width >= 830, name
            assert "transparency" not in picture.info, name  # readable in dark mode too
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255), name
            assert len(picture.convert("RGB").getcolors()) > 20, name


def test_the_named_series_alone_are_drawn(tmp_path, capsys, unsaved):
    for name in ("lenet", "mlp", "lenet-lr0.05"):
        write_series(tmp_path / "logs", name)
    status, lines, complaints = run_plot(
        tmp_path / "logs", tmp_path, capsys, "lenet-lr0.05", "missing", "lenet")
    assert status == 1
    assert complaints == [f"plot.py: {tmp_path / 'logs'}: no series missing; there are lenet, "
                          "lenet-lr0.05, mlp"]
    drawn = {Path(line).name.rpartition("_")[0] for line in lines}
    assert not any(name.startswith("CustomMLP") for name in drawn)
    assert {"lenet-lr0.05_accuracy", "LeNet_accuracy", "LeNet_confusion"} <= drawn


@pytest.mark.parametrize(("log_dir", "out"), [
    ("logs", "img"), ("logs/report", "img/report"), ("other", "img"), ("./logs/a/b", "img/a/b")])
def test_a_folder_in_logs_has_its_figures_in_img(log_dir, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plot.parse(["--log-dir", log_dir]).out == Path(out)
    assert plot.parse(["--log-dir", log_dir, "--out", "x"]).out == Path("x")


def test_the_errors_are_those_of_the_lowest_finished_seed(tmp_path):
    write_series(tmp_path, "lenet", first=1, done=2)
    write_series(tmp_path, "lenet", first=4, seeds=2, errors=ERRORS)
    title = draw(tmp_path, word="LeNet_confusion")["LeNet_confusion_matrix.png"].axes[0].get_title()
    assert title == "LeNet, seed 4: 7 errors of 10,000 test images"


def test_same_logs_same_bytes_and_nothing_of_the_moment_in_them(record, tmp_path, capsys):
    run_plot(record[0], tmp_path / "a", capsys)
    torch.manual_seed(99)
    with matplotlib.rc_context({"font.size": 30, "figure.dpi": 40}):  # a user's matplotlibrc
        run_plot(record[0], tmp_path / "b", capsys)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert len(first) == 7
    for name, png in first.items():
        assert chunks(png) == {"IHDR", "PLTE", "IDAT", "IEND"}, name


def test_importing_does_nothing(run_script, tmp_path):
    (tmp_path / "code.py").write_text(
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); import plot\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n")
    assert run_script(tmp_path / "code.py") == (0, "", "")


# Curves

@pytest.mark.parametrize(("quantity", "factor"), [("accuracy", 100), ("loss", 1)])
def test_curves_are_the_mean_and_the_band_the_extremes(tmp_path, quantity, factor):
    histories = write_series(tmp_path, "lenet", seeds=3)
    figure = plot.draw_curves("lenet", read(tmp_path)["lenet"], quantity)
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
    assert legend_labels(figure)[1:] == ["lowest to highest seed", words, "lowest to highest seed"]
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel() == {"accuracy": "accuracy (%)",
                               "loss": "loss (cross entropy, nats)"}[quantity]
    assert ax.get_yscale() == {"accuracy": "function", "loss": "log"}[quantity]


def test_legends_of_the_report_say_what_its_tables_say():
    for name, series in read(report.REPORT).items():
        figure = plot.draw_curves(name, series, "accuracy")
        test = next(label for label in legend_labels(figure) if label.startswith("test"))
        assert test == f"test: {report.accuracies(series).mean():.2f} %", name


def test_one_seed_has_no_band(tmp_path):
    write_series(tmp_path, "mlp", epochs=1)
    figure = plot.draw_curves("mlp", read(tmp_path)["mlp"], "accuracy")
    assert len(figure.axes[0].collections) == 0
    assert legend_labels(figure) == ["train: 69.00 %", "test: 96.90 %"]
    assert figure.axes[0].get_legend().get_title().get_text() == "last epoch, seed 0"


def test_unfinished_runs_beside_finished_seeds_are_not_in_the_mean(tmp_path):
    finished = write_series(tmp_path, "lenet", seeds=2, epochs=30)
    (part,) = write_series(tmp_path, "lenet", first=2, epochs=30, done=12)
    for quantity, factor in (("accuracy", 100), ("loss", 1)):
        figure = plot.draw_curves("lenet", read(tmp_path)["lenet"], quantity)
        _, test, thin = figure.axes[0].get_lines()
        mean = [factor * statistics.mean(row[f"test_{quantity}"] for row in rows)
                for rows in zip(*finished, strict=True)]
        assert list(test.get_ydata()) == pytest.approx(mean, rel=1e-5)
        assert list(thin.get_xdata()) == list(range(1, 13))
        assert list(thin.get_ydata()) == pytest.approx(
            [factor * row[f"test_{quantity}"] for row in part], rel=1e-5)
        assert thin.get_label() == "test, seed 2: 12 of 30 epochs so far, not in the mean"
        assert figure.axes[0].get_legend().get_title().get_text() == "last epoch, mean of 2 seeds"


def test_an_unfinished_series_is_drawn_as_far_as_it_goes(tmp_path):
    write_series(tmp_path, "lenet", epochs=30, done=5)
    write_series(tmp_path, "lenet", first=1, epochs=30, done=12)
    figure = plot.draw_curves("lenet", read(tmp_path)["lenet"], "accuracy")
    title = figure.axes[0].get_legend().get_title().get_text()
    assert title == "12 of 30 epochs so far, seed 1"
    assert [len(line.get_xdata()) for line in figure.axes[0].get_lines()] == [12, 12, 5]
    assert legend_labels(figure)[2] == "test, seed 0: 5 of 30 epochs so far"
    assert draw(tmp_path).keys() == {"LeNet_accuracy_plot.png", "LeNet_loss_plot.png",
                                     "samples.png"}


def test_validation_is_called_so(tmp_path):
    write_series(tmp_path, "lenet-validate", evaluated_on="validation")
    for quantity in ("accuracy", "loss"):
        figure = plot.draw_curves("x", read(tmp_path)["lenet-validate"], quantity)
        assert legend_labels(figure)[1].startswith("validation: ")
        assert "test" not in " ".join(legend_labels(figure))


@pytest.mark.parametrize(("model", "words"), [
    ("lenet", "train: "), ("lenet_decay", "train: "), ("lenet_dropout", "train (with dropout): "),
    ("lenet_augment", "train (with distorted images): "),
    ("lenet_reg", "train (with distorted images and dropout): ")])
def test_the_legend_says_why_train_may_lie_below_test(tmp_path, model, words):
    write_series(tmp_path, model)
    figure = plot.draw_curves(model, read(tmp_path)[model], "accuracy")
    assert legend_labels(figure)[0].startswith(words)


def test_98_and_99_5_are_well_apart_and_nothing_of_test_is_cut_off(tmp_path):
    write_series(tmp_path, "lenet", seeds=2)
    series = read(tmp_path)["lenet"]
    series[1]["history"][0]["test_accuracy"] = 0.4
    for lowest in (0.4, 0.97):
        series[1]["history"][0]["test_accuracy"] = lowest
        ax = plot.draw_curves("lenet", series, "accuracy").axes[0]

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
        return series, plot.draw_curves(name, series, "loss").get_supxlabel()

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


def test_the_caption_names_every_setting(tmp_path):
    write_series(tmp_path, "lenet_reg")
    caption = plot.describe(read(tmp_path)["lenet_reg"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "RegularizedLeNet5, 61,706 parameters, epochs 3, batch size 128, lr 0.1, warmup 0.15, "
        "momentum 0.9, nesterov, no bf16, weight decay 0.0005, dropout 0.1, augment, "
        "rotation 12.0, translation 2.0, scaling 0.12, shear 10.0, no thickening")
    write_series(tmp_path, "mlp_wide")
    caption = plot.describe(read(tmp_path)["mlp_wide"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "MLPWide, 61,706 parameters, epochs 3, batch size 256, lr 0.01, no warmup, momentum 0.9, "
        "no nesterov, no bf16, weight decay 0.001, dropout 0.5, no augment")


@pytest.mark.parametrize("model", RECIPES)
def test_the_caption_is_not_wider_than_the_figure(tmp_path, model):
    write_series(tmp_path, model, epochs=RECIPES[model].epochs)
    with style.context(plot.STYLE):
        figure = plot.draw_curves(model, read(tmp_path)[model], "loss")
        FigureCanvasAgg(figure).draw()
    caption, = (text for text in figure.texts if text.get_text() == figure.get_supxlabel())
    box = caption.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


# Comparison and ablation

def read_dots(figure):
    """Per row: label, the seeds' dots, mean and the ends of its error bar; from the artists."""
    ax, found = figure.axes[0], []
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    for label, line, bar in zip(ax.get_yticklabels(), dots, ax.containers, strict=True):
        ends = bar.lines[2][0].get_segments()[0][:, 0]
        found.append((label.get_text(), list(line.get_xdata()), bar.lines[0].get_xdata()[0],
                      tuple(ends)))
    return found


def test_ablation_shows_every_seed_the_mean_and_the_extremes(tmp_path):
    names = ["lenet", "lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg", "lenet_heavy",
             "lenet_record"]
    finals = {name: [100 * history[-1]["test_accuracy"]
                     for history in write_series(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(names, start=1)}
    write_series(tmp_path, "mlp")  # not part of it
    write_series(tmp_path, "lenet-lr0.2", lr=0.2)  # nor this
    figure = plot.draw_ablation(read(tmp_path))
    rows = read_dots(figure)
    assert [label for label, *_ in rows] == [
        "LeNet, 1 epochs\nno regularisation", "LeNet_dropout, 2 epochs\ndropout 0.1",
        "LeNet_weight_decay, 3 epochs\ndecay 0.0005", "LeNet_augmentation, 4 epochs\naugmented",
        "LeNet_regularization, 5 epochs\ndropout 0.1, decay 0.0005, augmented",
        "LeNet_heavy, 6 epochs\ndropout 0.5, decay 0.01, augmented",
        "LeNet_record, 7 epochs\ndecay 0.0005, augmented, thickened"]
    low, high = figure.axes[0].get_xlim()
    for name, (_, dots, mean, ends) in zip(names, rows, strict=True):
        assert dots == pytest.approx(finals[name])
        assert mean == pytest.approx(statistics.mean(finals[name]))
        assert ends == pytest.approx((min(finals[name]), max(finals[name])))
        assert low < min(*dots, *ends)
        assert high > max(*dots, *ends)
    assert texts(figure)[0] == "96.90 %  (n = 1)"
    assert texts(figure)[1].endswith("± 0.08 %  (n = 2)")  # 0.11 / sqrt(2)


def test_the_road_leads_from_1998_to_the_record(tmp_path):
    # Written in another order; each has as many seeds as epochs.
    steps = ["lenet_record", "lenet", "lenet_1998_dense", "lenet_1998"]
    finals = {name: [100 * history[-1]["test_accuracy"]
                     for history in write_series(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(steps, start=1)}
    write_series(tmp_path, "mlp")  # not part of it
    rows = read_dots(draw(tmp_path, word="road")["road.png"])
    assert [label for label, *_ in rows] == [
        "LeNet_1998\nas published", "LeNet_1998_dense\nevery map of C3 reads all six",
        "LeNet\n30 epochs instead of 20",
        "LeNet_record\n120 epochs, thickened, without dropout"]
    for name, (_, dots, mean, _) in zip(reversed(steps), rows, strict=True):
        assert dots == pytest.approx(finals[name])
        assert mean == pytest.approx(statistics.mean(finals[name]))


@pytest.mark.parametrize("names", [["lenet_1998"], ["lenet", "lenet_reg"], ["lenet_1998", "mlp"]])
def test_no_road_without_two_of_its_nets_and_one_of_1998(tmp_path, names):
    for name in names:
        write_series(tmp_path, name)
    assert draw(tmp_path, word="road") == {}


def test_comparison_ranks_what_was_measured_on_the_test_set(tmp_path):
    write_series(tmp_path, "mlp", seeds=2, epochs=1)
    write_series(tmp_path, "lenet-lr0.2", seeds=2, lr=0.2, epochs=9)
    write_series(tmp_path, "lenet_reg", epochs=4)
    write_series(tmp_path, "lenet_reg-validate", evaluated_on="validation", epochs=20)
    drawn = draw(tmp_path, word="comparison")
    assert [label for label, *_ in read_dots(drawn["model_comparison.png"])] == [
        "lenet-lr0.2\n61,706 parameters", "LeNet_regularization\n61,706 parameters",
        "CustomMLP\n61,706 parameters"]


def test_other_images_have_a_panel_of_their_own(tmp_path):
    write_series(tmp_path, "lenet")
    write_series(tmp_path, "lenet-validate", evaluated_on="validation", seeds=2)
    write_series(tmp_path, "lenet-lr0.2-validate", evaluated_on="validation", lr=0.2, epochs=9)
    write_series(tmp_path, "lenet-fashion", data={"size": 10_000, "images_crc32": 1})
    figure = plot.draw_comparison(read(tmp_path))
    assert sorted((ax.get_title(), *(label.get_text().split("\n")[0]
                                     for label in ax.get_yticklabels())) for ax in figure.axes) == [
        ("Accuracy on 10,000 held-out images", "lenet-lr0.2-validate", "lenet-validate"),
        ("Accuracy on 10,000 test images", "LeNet"),
        ("Accuracy on 10,000 test images", "lenet-fashion")]


# Pictures of the data and of the best net

def test_samples_are_training_digits_and_their_distortions(digits):
    train_images, labels = digits["train"]
    torch.manual_seed(123)  # a state that no drawing leaves behind
    state = torch.get_rng_state()
    shown = images(pictures.draw_samples(
        {"any": [{"data": {"train": fingerprint(True)}}]}, dataset.DATA_DIR))
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's chance is touched
    assert len(shown) == 70
    for digit in range(10):
        x, y = (7.8 if digit >= 5 else 0), digit % 5
        original = shown.pop((round(x + 0.04, 1), round(y + 0.04, 1)))
        stored = train_images[labels.tolist().index(digit)] / 255
        expected = (np.pad(stored, 2) - 0.1307) / 0.3081
        np.testing.assert_allclose(original, expected, atol=1e-5)
        mine = [image for (left, top), image in shown.items()
                if (left >= 7.8) == (digit >= 5) and round(top - 0.04) == y]
        assert len(mine) == 6
        ink = (original > 1).sum()
        for image in mine:  # the same digit, moved: another picture with about as much ink
            assert not np.allclose(image, original, atol=0.1)
            assert 0.6 < (image > 1).sum() / ink < 1.5
        assert len({image.tobytes() for image in mine}) == 6


def test_confusion_matrix_counts_by_hand(digits, record):
    labels = digits["test"][1]
    run = read(record[0])["lenet_record"][0]
    figure = pictures.draw_confusion("LeNet_record", run, dataset.DATA_DIR)
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    for label in range(10):  # x is the prediction, y the label
        wrong = sum(error[1] == label for error in ERRORS)
        assert written.pop((label, label)) == f"{(labels == label).sum() - wrong:,}"
    assert written == {(9, 8): "1", (2, 8): "1", (6, 5): "1", (7, 9): "1", (7, 2): "1",
                       (3, 5): "1", (9, 4): "1"}
    assert figure.axes[0].get_title() == "LeNet_record, seed 0: 7 errors of 10,000 test images"
    colours = figure.axes[0].images[0].get_array()
    assert colours.mask.diagonal().all()  # the diagonal has no say in the colours
    assert colours.max() == 1


def gallery(figure):
    """The sheet of a gallery of errors cut into its images, in the order of its words."""
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    found = []
    for text in figure.axes[0].texts:
        x, y = text.get_position()
        bottom, centre = round(32 * y - 1.28), round(32 * x)  # 0.04 above the words; cells of 32
        found.append(sheet[bottom - 28:bottom, centre - 14:centre + 14])
    return found


def test_misclassified_shows_every_error_the_most_confident_first(digits, record):
    test_images = digits["test"][0]
    run = read(record[0])["lenet_record"][0]
    figure = pictures.draw_misclassified("LeNet_record", run, dataset.DATA_DIR)
    ranked = [[9729, 5, 6, "99.0"], [4176, 2, 7, "98.5"], [674, 5, 3, "90.0"],
              [2130, 4, 9, "75.0"], [582, 8, 2, "70.0"], [947, 8, 9, "62.0"],
              [9642, 9, 7, "51.0"]]
    assert texts(figure) == [f"{label} → {prediction}, {percent} %\n{index}"
                             for index, label, prediction, percent in ranked]
    for (index, *_), image in zip(ranked, gallery(figure), strict=True):
        assert np.array_equal(image, test_images[index])
    frames = figure.axes[0].patches  # 9729, 2130, 947
    assert sorted(round(frame.get_x(), 2) for frame in frames) == [0.06, 3.06, 5.06]
    assert "7 errors of 10,000 test images" in figure.texts[0].get_text()


def test_held_out_images_are_those_of_the_held_out_sixth(digits, tmp_path):
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:10_000]
    labels = digits["train"][1][order]
    write_series(tmp_path, "lenet-validate", evaluated_on="validation",
                 errors=[[947, int(labels[947]), 0, 0.9], [3, int(labels[3]), 0, 0.8]])
    run = read(tmp_path)["lenet-validate"][0]
    figure = pictures.draw_misclassified("x", run, dataset.DATA_DIR)
    for index, image in zip((947, 3), gallery(figure), strict=True):
        assert np.array_equal(image, digits["train"][0][order[index]])
    assert "of 10,000 held-out images" in figure.texts[0].get_text()
    assert "reviewers" not in figure.texts[0].get_text()
    assert not figure.axes[0].patches  # 947 is a doubtful label of the test set, not of these
    confusion = texts(pictures.draw_confusion("x", run, dataset.DATA_DIR))
    assert sum(int(text.replace(",", "")) for text in confusion) == 10_000


def test_the_doubtful_labels_are_those_published():
    assert sorted(report.DOUBTFUL_LABELS) == [947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558,
                                              5937, 6651, 6783, 8527, 9679, 9729]


@pytest.mark.parametrize("count", [0, 1000])
def test_a_perfect_net_and_a_hopeless_one_can_be_drawn(digits, count):
    labels = digits["test"][1].astype(int).tolist()
    run = {"seed": 0, "evaluated_on": "test", "data": {"test": fingerprint(False)},
           "errors": [[i, labels[i], (labels[i] + 1) % 10, 0.5] for i in range(count)]}
    errors = pictures.draw_misclassified("x", run, dataset.DATA_DIR)
    assert len(errors.axes[0].texts) == min(count, 100)
    assert (", the first 100." in errors.texts[0].get_text()) == (count > 100)
    for figure in (errors, pictures.draw_confusion("x", run, dataset.DATA_DIR)):
        figure.savefig(buffer := io.BytesIO(), dpi=20)
        assert len(buffer.getvalue()) > 500


def test_filters_are_the_first_layer_at_work(digits, record):
    folder, weights = record
    image = digits["test"][0][0]
    shown = images(draw(folder, word="filters")["LeNet_record_filters.png"])
    inputs = (np.pad(image / 255, 2) - 0.1307) / 0.3081
    np.testing.assert_allclose(shown.pop((1.0, 0.0)), inputs, atol=1e-5)
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (5, 5))  # (28, 28, 5, 5)
    for channel in range(6):
        kernel = weights["conv1.weight"][channel, 0].numpy()
        bias = float(weights["conv1.bias"][channel])
        response = (windows * kernel).sum((2, 3)) + bias
        pooled = response.reshape(14, 2, 14, 2).max((1, 3)).clip(0)
        for row, expected in enumerate((kernel, response, pooled)):
            np.testing.assert_allclose(shown.pop((channel + 2.0, float(row))), expected, atol=1e-4)
    assert not shown


def test_filters_of_any_net_with_a_convolution(digits, tmp_path):
    write_series(tmp_path, "lenet_wide")
    weights = write_weights(tmp_path, "lenet_wide", lambda: LeNetWide(0.5))
    write_series(tmp_path, "mlp")
    write_weights(tmp_path, "mlp", CustomMLP)
    drawn = draw(tmp_path, word="filters")
    assert list(drawn) == ["LeNet_wide_filters.png"]
    shown = images(drawn["LeNet_wide_filters.png"])
    inputs = np.pad((digits["test"][0][0] / 255 - 0.1307) / 0.3081, 2)
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (5, 5))
    response = (windows * weights["conv1.weight"][0, 0].numpy()).sum((2, 3))
    response = np.tanh(response + float(weights["conv1.bias"][0]))
    expected = response.reshape(14, 2, 14, 2).mean((1, 3))
    np.testing.assert_allclose(shown[2.0, 2.0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["lenet_1998", "lenet_1998-augment"])
def test_bitmaps_and_what_f6_answers(digits, tmp_path, name):
    test_images, labels = digits["test"]
    write_series(tmp_path, name, augment="augment" in name)
    write_weights(tmp_path, name, LeNet1998)
    net = LeNet1998()
    net.load_state_dict(torch.load(tmp_path / f"{name}-seed0.pt")["model"])
    figure = draw(tmp_path, word="bitmaps")[f"{plot.NAMES[name]}_bitmaps.png"]
    shown, words = images(figure), texts(figure)[4:]
    assert len(shown) == 30
    for digit in range(10):
        first = test_images[list(labels).index(digit)]
        np.testing.assert_array_equal(shown[digit + 2.0, 1.0], first)
        x = torch.from_numpy((np.pad(first / 255, 2) - 0.1307) / 0.3081).float()[None, None]
        with torch.no_grad():  # F6 by its layers, the distance by numpy
            x = net.s4(squash(net.c3(net.s2(squash(net.c1(x))))))
            answer = squash(net.f6(squash(net.c5(x.flatten(1)))))[0].numpy()
        bitmap, drawn = (shown[digit + 2.0, row][:12, 3:10] for row in (0.0, 2.0))
        ink = [row.split()[digit] for row in FIGURE_3.strip().splitlines()]
        assert ["".join("#" if unit > 0 else "." for unit in row) for row in bitmap] == ink
        np.testing.assert_allclose(drawn, answer.reshape(12, 7), atol=1e-5)
        distances = ((net.output.bitmaps.numpy() - answer) ** 2).sum(1)
        own, nearest = words[digit].split("\n")
        assert own == f"{digit}: {distances[digit]:.1f}"
        distances[digit] = np.inf
        assert nearest == f"{distances.argmin()}: {distances.min():.1f}"


@pytest.mark.parametrize(("name", "kind"), [
    ("lenet", LeNet5), ("mlp", CustomMLP), ("lenet_1998_linear", LinearLeNet1998)])
def test_no_bitmaps_of_a_net_without(tmp_path, name, kind):
    write_series(tmp_path, name)
    write_weights(tmp_path, name, kind)
    assert draw(tmp_path, word="bitmaps") == {}


def test_digits_that_the_data_lack_have_no_bitmap(digits, tmp_path):
    labels = digits["test"][1]
    some = {split: (array[:20], labels[:20] % 3) for split, (array, labels) in digits.items()}
    data_dir = write_idx_folder(tmp_path / "data", some)
    data = dataset.MNIST(data_dir, False).fingerprint()
    write_series(tmp_path / "logs", "lenet_1998", data=data)
    write_weights(tmp_path / "logs", "lenet_1998", LeNet1998)
    figure = draw(tmp_path / "logs", data_dir, "bitmaps")["LeNet_1998_bitmaps.png"]
    assert len(images(figure)) == 3 * len(set(labels[:20] % 3))


@pytest.mark.parametrize("changes", [
    {"seed": 1}, {"evaluated_on": "validation"}, {"data": {}}, {"recipe": {"net": "LeNet5"}},
    {"history": made_up(1, 3)}])
def test_weights_of_another_run_are_not_shown(record, changes):
    assert draw(record[0], word="filters")
    write_weights(record[0], "lenet_record", LeNet5, **changes)
    assert draw(record[0], word="filters") == {}


def test_weights_are_looked_for_in_the_checkpoint_folder_too(record, tmp_path, unsaved):
    (tmp_path / "checkpoints").mkdir()
    (record[0] / "lenet_record-seed0.pt").rename(tmp_path / "checkpoints/lenet_record-seed0.pt")
    argv = ["--log-dir", str(record[0]), "--out", str(tmp_path), "--checkpoint-dir"]
    assert plot.main([*argv, str(tmp_path)]) == 0
    assert not (tmp_path / "LeNet_record_filters.png").exists()
    assert plot.main([*argv, str(tmp_path / "checkpoints")]) == 0
    assert (tmp_path / "LeNet_record_filters.png").exists()


# Faults: one line, and which

@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_no_log_is_one_line(tmp_path, kind, capsys):
    folder = tmp_path / "logs"
    if kind != "missing":
        folder.mkdir()
    assert run_plot(folder, tmp_path / "img", capsys) == (
        1, [], [f"plot.py: {folder}: no run in it; python main.py makes one"])
    assert not (tmp_path / "img").exists()


def test_what_cannot_be_drawn_is_named_and_the_rest_drawn(tmp_path, capsys, unsaved):
    write_series(tmp_path / "logs", "lenet", seeds=2)
    write_series(tmp_path / "logs", "lenet", lr=0.3)  # seed 0 again, with another recipe
    write_series(tmp_path / "logs", "mlp")
    (tmp_path / "logs/x-seed0.json").write_text("{")
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys)
    assert (status, complaints) == (1, [
        f"plot.py: {tmp_path / 'logs'}: lenet-seed1 and lenet-seed0 differ in lr (0.1 and 0.3): "
        "not averaged",
        f"plot.py: {tmp_path / 'logs/x-seed0.json'}: damaged, or not a log of main.py"])
    assert {path.name for path in (tmp_path / "img").iterdir()} == {
        "CustomMLP_accuracy_plot.png", "CustomMLP_loss_plot.png", "CustomMLP_confusion_matrix.png",
        "CustomMLP_misclassified.png", "model_comparison.png", "samples.png"}
    assert len(lines) == 6


@pytest.mark.parametrize("kind", ["gone", "other"])
def test_pictures_of_data_that_are_not_there_are_left_out_in_one_line(
        tmp_path, kind, small_idx, capsys, unsaved):
    for name in ("lenet", "mlp"):
        write_series(tmp_path / "logs", name, errors=ERRORS)
    data = small_idx if kind == "other" else tmp_path / "nowhere"
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys,
                                         "--data-dir", data)
    assert (status, len(complaints)) == (1, 1)
    fault = "not the images that these were measured on" if kind == "other" else "no such folder"
    assert complaints[0].startswith(f"plot.py: {data}: {fault}")
    for name in ("LeNet", "CustomMLP"):
        for picture in ("confusion_matrix", "misclassified"):
            assert f"{name}_{picture}.png" in complaints[0]
    assert {Path(line).name for line in lines} == {
        "LeNet_accuracy_plot.png", "LeNet_loss_plot.png", "CustomMLP_accuracy_plot.png",
        "CustomMLP_loss_plot.png", "model_comparison.png"}


def test_a_users_run_on_their_own_data(small_digits, small_idx, tmp_path, capsys):
    """Trained, stopped and drawn: the confusion matrix counts this folder's labels."""
    where = ["--log-dir", str(tmp_path / "logs"), "--checkpoint-dir", str(tmp_path / "logs")]
    assert main.main(["--epochs", "1", "--data-dir", str(small_idx), *where]) == 0
    capsys.readouterr()
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys,
                                         "--data-dir", small_idx)
    assert (status, complaints) == (0, [])
    for picture in ("accuracy_plot", "confusion_matrix", "misclassified", "filters"):
        assert sum(line.endswith(f"_{picture}.png") for line in lines) == 1
    (series,) = read(tmp_path / "logs").values()
    counts = texts(pictures.draw_confusion("x", series[0], small_idx))
    assert sum(map(int, counts)) == len(small_digits["test"][1]) == 200
    figure = pictures.draw_misclassified("x", series[0], small_idx)
    first = max(series[0]["errors"], key=lambda error: error[3])[0]
    assert np.array_equal(gallery(figure)[0], small_digits["test"][0][first])
    assert not figure.axes[0].patches


def test_out_below_a_file_is_one_line(record, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/img"):
        status, lines, complaints = run_plot(record[0], out, capsys)
        assert (status, lines, len(complaints)) == (1, [], 1)
        assert complaints[0].startswith(f"plot.py: {out}: cannot be made: ")


@pytest.mark.parametrize("content", [b"", b"not weights", {"model": {"fc1": torch.zeros(2)}}, [1]])
def test_broken_weights_are_named(record, content):
    path = record[0] / "lenet_record-seed0.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    fault = f"^{re.escape(str(path))}: damaged, or not a checkpoint of main.py \\("
    with pytest.raises(runs.RunError, match=fault):
        pictures.find_net(read(record[0])["lenet_record"][0], [path])


def test_broken_weights_are_one_line(record, tmp_path, capsys, unsaved):
    path = record[0] / "lenet_record-seed0.pt"
    path.write_bytes(path.read_bytes()[:1000])
    status, lines, complaints = run_plot(record[0], tmp_path / "img", capsys)
    assert (status, len(complaints), len(lines)) == (1, 1, 6)
    assert complaints[0].startswith(f"plot.py: {path}: damaged, or not a checkpoint of main.py (")
    assert complaints[0].endswith(
        "; left out: LeNet_record_filters.png, LeNet_record_bitmaps.png")


def test_usage(capsys):
    assert plot.main(["--logs"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "plot.py: error: unrecognized arguments: --logs\n")
    assert plot.main(["--help"]) == 0
    assert "--log-dir" in capsys.readouterr().out


def test_as_a_command(run_script):
    assert run_script("plot.py", "--log-dir", "nothing") == (
        1, "", "plot.py: nothing: no run in it; python main.py makes one\n")


def test_effects_have_their_interval_and_are_filled_where_they_count(tmp_path):
    """The figure against effects.answer: a point and two ends an effect, panels side by side."""
    for (dropout, decay, augmented), name in effects.NETS.items():
        changes = {"dropout": 0.1 if dropout else None, "weight_decay": 5e-4 * decay,
                   "augment": bool(augmented)}
        write_series(tmp_path, name, seeds=3, **changes)
        for seed in range(3):
            path = tmp_path / f"{name}-seed{seed}.json"
            log = json.loads(path.read_text("utf-8"))
            log["final"]["test_accuracy"] = 0.99 + 0.003 * decay + 1e-4 * ((seed + dropout) % 3)
            log["final"]["test_loss"] = 0.04 - 0.01 * augmented + 1e-4 * ((seed + decay) % 3)
            path.write_text(json.dumps(log), "utf-8")
    figure = draw(tmp_path)["effects.png"]
    answers = effects.answer(read(tmp_path))
    assert len(figure.axes) == 2
    for ax, rows in zip(figure.axes, answers.values(), strict=True):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        assert [point.get_xdata()[0] for point in points] == [effect.mean for effect in rows]
        assert [point.get_ydata()[0] for point in points] == list(range(11))
        assert [point.get_markerfacecolor() != "white" for point in points] == [
            effect.verdict != "undecided" for effect in rows]
        ends = [segment[:, 0] for bar in ax.collections for segment in bar.get_segments()]
        np.testing.assert_allclose(ends, [(effect.low, effect.high) for effect in rows])
    assert any(effect.verdict != "undecided" for effect in answers["accuracy"])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(effects.list_questions())
