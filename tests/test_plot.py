"""The figures: which are drawn, what stands in them against the logs, and the files they make."""

import io
import re
import statistics
import struct
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

import main
import plot
import report
import runs
from main import RECIPES
from model import LeNet5

ROOT = Path(__file__).parent.parent
ERRORS = [[947, 8, 9, 0.62], [582, 8, 2, 0.7], [9729, 5, 6, 0.99], [9642, 9, 7, 0.51],
          [4176, 2, 7, 0.985], [674, 5, 3, 0.9], [2130, 4, 9, 0.75]]  # real labels of MNIST


def made_up(seed, epochs):
    """A history whose every number is its own, so that none can be taken for another."""
    return [{"epoch": epoch, "learning_rate": 0.1,
             "train_loss": 0.9 / epoch + 0.013 * seed, "train_accuracy": 1 - 0.31 / epoch**3,
             "test_loss": 0.2 / epoch + 0.017 * seed,
             "test_accuracy": 1 - 0.031 / epoch - 0.0011 * seed, "seconds": 1.5}
            for epoch in range(1, epochs + 1)]


def write_series(folder, name, seeds=1, evaluated_on="test", epochs=3, errors=(), **changes):
    """Logs of made-up runs, in the format's own writer; returns the histories."""
    folder.mkdir(exist_ok=True)
    model = re.match(r"\w+", name)[0]
    recipe = replace(RECIPES[model], epochs=epochs, **changes)
    histories = [made_up(seed, epochs) for seed in range(seeds)]
    for seed, history in enumerate(histories):
        runs.write_log(folder, f"{name}-seed{seed}", {
            "model": model, "seed": seed, "recipe": main.as_dict(recipe),
            "evaluated_on": evaluated_on, "data": {"train": {}, evaluated_on: {}},
            "parameters": 61_706, "environment": {}}, history, list(errors))
    return histories


def run_plot(log_dir, out, capsys):
    """Exit status, lines of output and lines of complaint."""
    status = plot.main(["--log-dir", str(log_dir), "--out", str(out)])
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


@pytest.fixture
def record(tmp_path):
    """A log folder with a run of lenet_record and its weights; returns folder and weights."""
    write_series(tmp_path / "logs", "lenet_record", errors=ERRORS)
    torch.manual_seed(5)
    weights = LeNet5().state_dict()
    torch.save({"model": weights, "seed": 0}, tmp_path / "logs/lenet_record-seed0.pt")
    return tmp_path / "logs", weights


# Files

def test_every_series_has_its_two_figures(tmp_path):
    names = {"lenet": "LeNet", "mlp": "CustomMLP", "lenet_dropout": "LeNet_dropout",
             "lenet_decay": "LeNet_weight_decay", "lenet_augment": "LeNet_augmentation",
             "lenet_reg": "LeNet_regularization", "lenet_heavy": "LeNet_heavy",
             "lenet_record": "LeNet_record", "lenet_fast": "LeNet_fast",
             "lenet_wide": "LeNet_wide", "mlp_wide": "CustomMLP_wide"}
    assert names.keys() == RECIPES.keys()
    for model in names:
        write_series(tmp_path, model)
    drawn = {file for file, _ in plot.draw_all(runs.read_series(tmp_path), tmp_path)}
    curves = {f"{name}_{quantity}_plot.png" for name in names.values()
              for quantity in ("accuracy", "loss")}
    assert drawn == curves | {"model_comparison.png", "ablation.png", "samples.png",
                              "confusion_matrix.png", "misclassified.png"}


def test_every_figure_becomes_a_file_and_is_named(record, tmp_path, capsys):
    expected = {"LeNet_record_accuracy_plot.png", "LeNet_record_loss_plot.png",
                "model_comparison.png", "ablation.png", "samples.png", "confusion_matrix.png",
                "misclassified.png", "filters.png"}
    status, lines, complaints = run_plot(record[0], tmp_path / "deep/img", capsys)
    assert (status, complaints) == (0, [])
    assert {path.name for path in (tmp_path / "deep/img").iterdir()} == expected
    assert sorted(lines) == sorted(str(tmp_path / "deep/img" / name) for name in expected)
    for name in expected:
        with Image.open(tmp_path / "deep/img" / name) as picture:
            assert picture.width >= 830, name
            *_, alpha = picture.convert("RGBA").split()
            assert alpha.getextrema() == (255, 255), name  # opaque: readable in dark mode too
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255), name
            assert len(picture.getcolors(2**24)) > 20, name


def test_pictures_that_need_lenet_record_wait_for_it(tmp_path, capsys):
    write_series(tmp_path / "logs", "lenet-lr0.05", seeds=2, lr=0.05)
    _, lines, _ = run_plot(tmp_path / "logs", tmp_path, capsys)
    assert [Path(line).name for line in lines] == [
        "lenet-lr0.05_accuracy_plot.png", "lenet-lr0.05_loss_plot.png", "model_comparison.png",
        "samples.png"]


def test_without_weights_no_filters_and_without_seed_0_no_errors(record, tmp_path, capsys):
    (record[0] / "lenet_record-seed0.pt").unlink()
    run_plot(record[0], tmp_path / "a", capsys)
    assert (tmp_path / "a/confusion_matrix.png").exists()
    assert not (tmp_path / "a/filters.png").exists()
    for suffix in ("json", "csv"):
        content = (record[0] / f"lenet_record-seed0.{suffix}").read_text()
        (record[0] / f"lenet_record-seed1.{suffix}").write_text(
            content.replace('"seed": 0', '"seed": 1'))
        (record[0] / f"lenet_record-seed0.{suffix}").unlink()
    run_plot(record[0], tmp_path / "b", capsys)
    assert {path.name for path in (tmp_path / "b").iterdir()} == {
        "LeNet_record_accuracy_plot.png", "LeNet_record_loss_plot.png", "model_comparison.png",
        "ablation.png", "samples.png"}


def test_same_logs_same_bytes_and_nothing_of_the_moment_in_them(record, tmp_path, capsys):
    write_series(record[0], "lenet", seeds=2)
    run_plot(record[0], tmp_path / "a", capsys)
    torch.manual_seed(99)
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 40}):  # a user's matplotlibrc
        run_plot(record[0], tmp_path / "b", capsys)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert len(first) == 10
    for name, png in first.items():
        assert chunks(png) == {"IHDR", "pHYs", "IDAT", "IEND"}, name


def test_importing_does_nothing():
    code = ("import sys, matplotlib; before = matplotlib.rcParams.copy(); import plot;"
            "assert matplotlib.rcParams.copy() == before;"
            "assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# Curves

@pytest.mark.parametrize(("quantity", "factor"), [("accuracy", 100), ("loss", 1)])
def test_curves_are_the_mean_and_the_band_the_extremes(tmp_path, quantity, factor):
    histories = write_series(tmp_path, "lenet", seeds=3)
    figure = plot.draw_curves("lenet", runs.read_series(tmp_path)["lenet"], quantity)
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
    for name, series in runs.read_series(report.REPORT).items():
        figure = plot.draw_curves(name, series, "accuracy")
        test = next(label for label in legend_labels(figure) if label.startswith("test"))
        assert test == f"test: {report.accuracies(series).mean():.2f} %", name


def test_one_seed_has_no_band(tmp_path):
    write_series(tmp_path, "mlp", epochs=1)
    figure = plot.draw_curves("mlp", runs.read_series(tmp_path)["mlp"], "accuracy")
    assert len(figure.axes[0].collections) == 0
    assert legend_labels(figure) == ["train: 69.00 %", "test: 96.90 %"]
    assert figure.axes[0].get_legend().get_title().get_text() == "last epoch, seed 0"


def test_validation_is_called_so(tmp_path):
    write_series(tmp_path, "lenet-validate", evaluated_on="validation")
    for quantity in ("accuracy", "loss"):
        figure = plot.draw_curves("x", runs.read_series(tmp_path)["lenet-validate"], quantity)
        assert legend_labels(figure)[1].startswith("validation: ")
        assert "test" not in " ".join(legend_labels(figure))


@pytest.mark.parametrize(("model", "words"), [
    ("lenet", "train: "), ("lenet_decay", "train: "), ("lenet_dropout", "train (with dropout): "),
    ("lenet_augment", "train (with distorted images): "),
    ("lenet_reg", "train (with distorted images and dropout): ")])
def test_the_legend_says_why_train_may_lie_below_test(tmp_path, model, words):
    write_series(tmp_path, model)
    figure = plot.draw_curves(model, runs.read_series(tmp_path)[model], "accuracy")
    assert legend_labels(figure)[0].startswith(words)


def test_98_and_99_5_are_well_apart_and_nothing_of_test_is_cut_off(tmp_path):
    write_series(tmp_path, "lenet", seeds=2)
    series = runs.read_series(tmp_path)["lenet"]
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
        (name, series), = runs.read_series(tmp_path / folder).items()
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
    caption = plot.describe(runs.read_series(tmp_path)["lenet_reg"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "RegularizedLeNet5, 61,706 parameters, dropout 0.1, weight decay 0.0005, augment, "
        "rotation 12.0, translation 2.0, scaling 0.12, shear 10.0, no thickening, epochs 3, "
        "batch size 128, lr 0.1, warmup 0.15, momentum 0.9, nesterov")
    write_series(tmp_path, "mlp_wide")
    caption = plot.describe(runs.read_series(tmp_path)["mlp_wide"][0])
    assert caption.replace("\xa0", " ").replace("\n", " ") == (
        "MLPWide, 61,706 parameters, dropout 0.5, weight decay 0.001, no augment, epochs 3, "
        "batch size 256, lr 0.01, no warmup, momentum 0.9, no nesterov")


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


def test_ablation_shows_every_seed_the_mean_and_the_deviation(tmp_path):
    names = ["lenet", "lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg", "lenet_heavy",
             "lenet_record"]
    finals = {name: [100 * history[-1]["test_accuracy"]
                     for history in write_series(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(names, start=1)}
    write_series(tmp_path, "mlp")  # not part of it
    write_series(tmp_path, "lenet-lr0.2", lr=0.2)  # nor this
    figure = plot.draw_ablation(runs.read_series(tmp_path))
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
        spread = statistics.stdev(finals[name]) if len(dots) > 1 else 0
        assert ends == pytest.approx((mean - spread, mean + spread))
        assert low < min(*dots, *ends)
        assert high > max(*dots, *ends)
    assert texts(figure)[0] == "96.90 %  (n = 1)"
    assert texts(figure)[1].endswith("± 0.08 %  (n = 2)")  # 0.11 / sqrt(2)


def test_comparison_ranks_what_was_measured_on_the_test_set(tmp_path):
    write_series(tmp_path, "mlp", seeds=2, epochs=1)
    write_series(tmp_path, "lenet-lr0.2", seeds=2, lr=0.2, epochs=9)
    write_series(tmp_path, "lenet_reg", epochs=4)
    write_series(tmp_path, "lenet_reg-validate", evaluated_on="validation", epochs=20)
    drawn = dict(plot.draw_all(runs.read_series(tmp_path), tmp_path))
    assert [label for label, *_ in read_dots(drawn["model_comparison.png"])] == [
        "lenet-lr0.2\n61,706 parameters", "LeNet_regularization\n61,706 parameters",
        "CustomMLP\n61,706 parameters"]


def test_validation_runs_alone_make_no_comparison(tmp_path):
    write_series(tmp_path, "lenet-validate", evaluated_on="validation")
    assert [name for name, _ in plot.draw_all(runs.read_series(tmp_path), tmp_path)] == [
        "lenet-validate_accuracy_plot.png", "lenet-validate_loss_plot.png", "samples.png"]


# Pictures of the data and of the best net

def test_samples_are_training_digits_and_their_distortions(digits):
    train_images, labels = digits["train"]
    torch.manual_seed(123)  # a state that no drawing leaves behind
    state = torch.get_rng_state()
    shown = images(plot.draw_samples(
        torch.tensor(train_images).unsqueeze(1), torch.tensor(labels).long()))
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
    run = runs.read_series(record[0])["lenet_record"][0]
    figure = plot.draw_confusion(run, torch.tensor(labels).long())
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    for label in range(10):  # x is the prediction, y the label
        wrong = sum(error[1] == label for error in ERRORS)
        assert written.pop((label, label)) == f"{(labels == label).sum() - wrong:,}"
    assert written == {(9, 8): "1", (2, 8): "1", (6, 5): "1", (7, 9): "1", (7, 2): "1",
                       (3, 5): "1", (9, 4): "1"}
    assert figure.axes[0].get_title() == "LeNet_record, seed 0: 7 errors of 10,000"
    colours = figure.axes[0].images[0].get_array()
    assert colours.mask.diagonal().all()  # the diagonal has no say in the colours
    assert colours.max() == 1


def test_misclassified_shows_every_error_the_most_confident_first(digits, record):
    test_images = digits["test"][0]
    run = runs.read_series(record[0])["lenet_record"][0]
    figure = plot.draw_misclassified(run, torch.tensor(test_images).unsqueeze(1))
    ax = figure.axes[0]
    ranked = [[9729, 5, 6, "99.0"], [4176, 2, 7, "98.5"], [674, 5, 3, "90.0"],
              [2130, 4, 9, "75.0"], [582, 8, 2, "70.0"], [947, 8, 9, "62.0"],
              [9642, 9, 7, "51.0"]]
    assert texts(figure) == [f"{label} → {prediction}, {percent} %\n{index}"
                             for index, label, prediction, percent in ranked]
    for (index, *_), image in zip(ranked, ax.images, strict=True):
        assert np.array_equal(image.get_array(), test_images[index])
    assert sorted(round(frame.get_x()) for frame in ax.patches) == [0, 3, 5]  # 9729, 2130, 947
    assert "7 errors of 10,000 test images" in figure.texts[0].get_text()


def test_the_doubtful_labels_are_those_published():
    assert sorted(plot.DOUBTFUL_LABELS) == [947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558,
                                            5937, 6651, 6783, 8527, 9679, 9729]


@pytest.mark.parametrize("count", [0, 1000])
def test_a_perfect_net_and_a_hopeless_one_can_be_drawn(digits, count):
    test_images, labels = (torch.tensor(array) for array in digits["test"])
    run = {"seed": 0, "errors": [[i, int(labels[i]), (int(labels[i]) + 1) % 10, 0.5]
                                 for i in range(count)]}
    gallery = plot.draw_misclassified(run, test_images.unsqueeze(1))
    assert len(gallery.axes[0].images) == min(count, plot.MAX_GALLERY)
    assert (", the first 400." in gallery.texts[0].get_text()) == (count > 400)
    for figure in (gallery, plot.draw_confusion(run, labels.long())):
        figure.savefig(buffer := io.BytesIO(), dpi=20)
        assert len(buffer.getvalue()) > 500


def test_filters_are_the_first_layer_at_work(digits, record):
    folder, weights = record
    image = digits["test"][0][0]
    shown = images(plot.draw_filters(folder / "lenet_record-seed0.pt", torch.tensor(image)[None]))
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


def test_weights_may_lie_bare_in_their_file(digits, record, tmp_path):
    torch.save(record[1], tmp_path / "bare.pt")
    figure = plot.draw_filters(tmp_path / "bare.pt", torch.tensor(digits["test"][0][0])[None])
    assert len(figure.axes[0].images) == 19


# Faults: one line, and which

@pytest.mark.parametrize("kind", ["missing", "empty", "unfinished"])
def test_no_log_is_one_line(tmp_path, kind, capsys):
    folder = tmp_path / "logs"
    if kind != "missing":
        folder.mkdir()
    if kind == "unfinished":
        write_series(folder, "lenet")
        path = folder / "lenet-seed0.json"
        path.write_text(path.read_text().replace('"complete": true', '"complete": false'))
    assert run_plot(folder, tmp_path / "img", capsys) == (
        1, [], [f"plot.py: {folder}: no complete run in it; python main.py makes one"])
    assert not (tmp_path / "img").exists()


def test_differing_recipes_of_one_name_are_not_averaged(tmp_path, capsys):
    write_series(tmp_path / "logs", "lenet", seeds=2)
    write_series(tmp_path / "logs", "lenet", lr=0.3)  # seed 0 again, with another recipe
    assert run_plot(tmp_path / "logs", tmp_path, capsys) == (
        1, [], [f"plot.py: {tmp_path / 'logs'}: lenet-seed1 and lenet-seed0 differ in "
                "lr (0.1 and 0.3): not averaged"])


def test_out_below_a_file_is_one_line(record, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/img"):
        status, lines, complaints = run_plot(record[0], out, capsys)
        assert (status, lines, len(complaints)) == (1, [], 1)
        assert complaints[0].startswith(f"plot.py: {out}: cannot be made: ")


@pytest.mark.parametrize("content", [b"", b"not weights", {"model": {"fc1": torch.zeros(2)}}, [1]])
def test_broken_weights_are_named(tmp_path, content):
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(runs.RunError, match=rf"^{re.escape(str(path))}: no weights of LeNet-5 \("):
        plot.draw_filters(path, torch.zeros(1, 28, 28, dtype=torch.uint8))


def test_broken_weights_are_one_line(record, tmp_path, capsys):
    path = record[0] / "lenet_record-seed0.pt"
    path.write_bytes(path.read_bytes()[:1000])
    status, _, complaints = run_plot(record[0], tmp_path / "img", capsys)
    assert (status, len(complaints)) == (1, 1)
    assert complaints[0].startswith(f"plot.py: {path}: no weights of LeNet-5 (")


def test_missing_data_are_one_line(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plot, "DATA_DIR", tmp_path / "nowhere")
    status, _, complaints = run_plot(record[0], tmp_path / "img", capsys)
    assert (status, len(complaints)) == (1, 1)
    assert complaints[0].startswith(f"plot.py: {tmp_path / 'nowhere'}: no such folder")


def test_usage(capsys):
    assert plot.main(["--logs", "x"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "plot.py: error: unrecognized arguments: --logs x\n")
    assert plot.main(["--help"]) == 0
    assert "--log-dir" in capsys.readouterr().out


def test_as_a_command(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "plot.py", "--log-dir", "nothing"],
                          cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "plot.py: nothing: no complete run in it; python main.py makes one\n"
