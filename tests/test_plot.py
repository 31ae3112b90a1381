"""plot.py: which figures it draws, whether they show what the logs say, and its files."""

import json
import struct
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from made_up import (
    ERRORS,
    gallery,
    read,
    read_dots,
    texts,
    write_curves,
    write_series,
    write_weights,
)
from PIL import Image

import dataset
import main
import model as nets
import plot
from lab.figures import pictures
from main import RECIPES
from model import LeNet5, LeNet1998


def draw(folder, data_dir=dataset.DATA_DIR, word=""):
    """Draws the figures of a log folder that have `word` in their names: {file name: Figure}."""
    listed = plot.list_figures(read(folder), [folder], data_dir)
    return {name: figure for name, function in listed if word in name and (figure := function())}


def run_plot(log_dir, out, capsys, *argv):
    """Runs plot.py; returns the exit status, the lines of stdout and those of stderr."""
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


@pytest.fixture
def record(tmp_path):
    """A log folder with a run of lenet_record and its weights; returns folder and weights."""
    write_curves(tmp_path / "logs", "lenet_record", errors=ERRORS)
    return tmp_path / "logs", write_weights(tmp_path / "logs", "lenet_record", LeNet5)


@pytest.fixture
def unsaved(monkeypatch):
    """Leaves the files empty: rendering takes longest, and other tests do it."""
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())


# Files

def test_every_series_has_its_figures(tmp_path):
    names = {"lenet": "LeNet", "mlp": "CustomMLP", "lenet_dropout": "LeNet_dropout",
             "lenet_decay": "LeNet_weight_decay", "lenet_augment": "LeNet_augmentation",
             "lenet_reg": "LeNet_regularization", "lenet_heavy": "LeNet_heavy",
             "lenet_record": "LeNet_record", "lenet_hands": "LeNet_hands",
             "lenet_fast": "LeNet_fast",
             "lenet_1998": "LeNet_1998", "lenet_1998_linear": "LeNet_1998_linear",
             "lenet_1998_dense": "LeNet_1998_dense", "lenet_1998_max": "LeNet_1998_max",
             "lenet_1998_relu": "LeNet_1998_relu",
             "lenet_wide": "LeNet_wide", "mlp_28": "mlp_28", "mlp_wide": "CustomMLP_wide",
             "modern": "modern"}
    assert names.keys() == RECIPES.keys()
    for model in names:
        write_curves(tmp_path, model)
    kinds = ("accuracy_plot", "loss_plot", "confusion_matrix", "misclassified")
    assert draw(tmp_path).keys() == {
        *(f"{name}_{kind}.png" for name in names.values() for kind in kinds),
        "model_comparison.png", "samples.png", "LeNet_record_samples.png"}


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
        write_curves(tmp_path / "logs", name)
    status, lines, complaints = run_plot(
        tmp_path / "logs", tmp_path, capsys, "lenet-lr0.05", "missing", "lenet")
    assert status == 1
    assert complaints == [f"plot.py: {tmp_path / 'logs'}: no series missing; there are lenet, "
                          "lenet-lr0.05, mlp"]
    assert {Path(line).parent for line in lines} == {tmp_path}
    drawn = {Path(line).name.rpartition("_")[0] for line in lines}
    assert not any(name.startswith("CustomMLP") for name in drawn)
    assert {"lenet-lr0.05_accuracy", "LeNet_accuracy", "LeNet_confusion"} <= drawn


def test_names_that_differ_in_case_have_files_of_their_own(tmp_path, capsys, unsaved):
    for name in ("LENET", "LeNet", "lenet"):
        write_curves(tmp_path / "logs", "lenet")
        for path in list((tmp_path / "logs").glob("lenet-*")):
            path.rename(path.with_name(path.name.replace("lenet", name)))
    status, lines, _ = run_plot(tmp_path / "logs", tmp_path / "img", capsys)
    assert (status, len({line.casefold() for line in lines})) == (0, 13)
    assert {name: Path(line).name for line in lines for name in ("LENET", "LeNet_2", "LeNet_a")
            if name in line and "accuracy" in line} == {
        "LENET": "LENET_2_accuracy_plot.png", "LeNet_2": "LeNet_2_2_accuracy_plot.png",
        "LeNet_a": "LeNet_accuracy_plot.png"}


def test_recipes_and_nets_can_be_renamed_and_removed(tmp_path, capsys, unsaved, monkeypatch):
    """The logs hold all that the figures need."""
    write_curves(tmp_path / "logs", "lenet_1998", augment=True, rotation=33.0)
    write_weights(tmp_path / "logs", "lenet_1998", LeNet1998)
    monkeypatch.delattr(nets, "LeNet1998")
    monkeypatch.setattr(plot, "RECIPES", {}, raising=False)
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys)
    assert (status, len(lines), len(complaints)) == (1, 6, 1)  # no weights without their net
    assert "lenet_1998-seed0.pt" in complaints[0]
    assert "rotation ± 33°" in draw(tmp_path / "logs", word="samples")["samples.png"].texts[0
        ].get_text()


def test_each_way_to_distort_has_its_samples_and_no_way_has_none(tmp_path):
    write_curves(tmp_path, "lenet")
    assert not draw(tmp_path, word="samples")
    write_curves(tmp_path, "lenet_reg", seeds=2)
    write_curves(tmp_path, "lenet_augment-rotation30", augment=True, rotation=30.0)
    write_curves(tmp_path, "lenet_augment")
    captions = {name: figure.texts[0].get_text().replace("\n", " ")
                for name, figure in draw(tmp_path, word="samples").items()}
    assert captions.keys() == {"samples.png", "lenet_augment-rotation30_samples.png"}
    assert "rotation ± 12°" in captions["samples.png"]
    assert "on them: LeNet-5 with augmentation and LeNet-5, regularised." in captions["samples.png"]
    assert "rotation ± 30°" in captions["lenet_augment-rotation30_samples.png"]


def test_series_of_other_training_images_have_their_own_samples(tmp_path):
    for name in ("lenet_augment", "lenet_augment-theirs", "lenet_reg"):
        write_curves(tmp_path, name)
    path = tmp_path / "lenet_augment-theirs-seed0.json"
    log = json.loads(path.read_text("utf-8"))
    log["data"]["train"]["images_crc32"] = 1
    path.write_text(json.dumps(log), "utf-8")
    listed = [name for name, _ in plot.list_figures(read(tmp_path), [], dataset.DATA_DIR)]
    assert listed[-2:] == ["samples.png", "lenet_augment-theirs_samples.png"]
    (caption, figure), = draw(tmp_path, word="samples").items()  # theirs are not at hand
    assert caption == "samples.png"
    assert figure.texts[0].get_text().endswith(
        "Trained on them: LeNet-5 with augmentation and LeNet-5, regularised.")


@pytest.mark.parametrize(("log_dir", "out"), [
    ("logs", "img"), ("logs/report", "img/report"), ("other", "img"), ("./logs/a/b", "img/a/b")])
def test_a_folder_in_logs_has_its_figures_in_img(log_dir, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plot.parse(["--log-dir", log_dir]).out == Path(out)
    assert plot.parse(["--log-dir", log_dir, "--out", "x"]).out == Path("x")
    assert plot.parse(["a", "b", "--log-dir", log_dir, "--out", "x"]).out == Path("x")
    assert plot.parse(["a", "b", "--log-dir", log_dir]).out == Path(out)


def test_the_errors_are_those_of_the_lowest_finished_seed(tmp_path):
    write_curves(tmp_path, "lenet", first=1, done=2)
    write_curves(tmp_path, "lenet", first=4, seeds=2, errors=ERRORS)
    title = draw(tmp_path, word="LeNet_confusion")["LeNet_confusion_matrix.png"].axes[0].get_title()
    assert title == "LeNet-5, seed 4\n7 errors of 10,000 test images"


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


# Comparison

def test_comparison_ranks_what_was_measured_on_the_test_set(tmp_path):
    write_curves(tmp_path, "mlp", seeds=2, epochs=1)
    write_curves(tmp_path, "lenet-lr0.2", seeds=2, lr=0.2, epochs=9)
    write_curves(tmp_path, "lenet_reg", epochs=4)
    write_curves(tmp_path, "lenet_reg-validate", evaluated_on="validation", epochs=20)
    drawn = draw(tmp_path, word="comparison")
    assert [label for label, *_ in read_dots(drawn["model_comparison.png"])] == [
        "LeNet-5 (lenet-lr0.2)\n61,706 parameters", "LeNet-5, regularised\n61,706 parameters",
        "CustomMLP\n61,706 parameters"]


def test_the_mean_ranks_not_the_best_seed(tmp_path):
    write_series(tmp_path, "lenet", [0.985, 0.985, 0.985])
    write_series(tmp_path, "mlp", [0.999, 0.93, 0.93])
    figure = draw(tmp_path, word="comparison")["model_comparison.png"]
    assert [label for label, *_ in read_dots(figure)] == [
        "LeNet-5\n61,706 parameters", "CustomMLP\n61,706 parameters"]
    assert figure.axes[0].yaxis_inverted()  # the first of them stands at the top


def test_a_long_name_goes_on_in_a_second_line(tmp_path):
    name = "lenet_reg-lr0.05-momentum0.85-weight_decay0.0001-dropout0.2-augment-validate"
    write_series(tmp_path, name, [0.98], model="lenet_reg")
    (label, *_), = read_dots(draw(tmp_path, word="comparison")["model_comparison.png"])
    *lines, parameters = label.split("\n")
    assert " ".join(lines).replace(" -", "-") == f"LeNet-5, regularised ({name})"
    assert max(map(len, lines)) <= 48 < len(name)
    assert lines[-1].startswith("-")
    assert parameters == "61,706 parameters"


def test_other_images_have_a_panel_of_their_own(tmp_path):
    write_curves(tmp_path, "lenet")
    write_curves(tmp_path, "lenet-validate", evaluated_on="validation", seeds=2)
    write_curves(tmp_path, "lenet-lr0.2-validate", evaluated_on="validation", lr=0.2, epochs=9)
    write_curves(tmp_path, "lenet-fashion", data={"size": 10_000, "images_crc32": 1})
    figure = draw(tmp_path, word="comparison")["model_comparison.png"]
    assert sorted((ax.get_title(), *(label.get_text().split("\n")[0]
                                     for label in ax.get_yticklabels())) for ax in figure.axes) == [
        ("Accuracy on 10,000 held-out images", "LeNet-5 (lenet-lr0.2-validate)",
         "LeNet-5 (lenet-validate)"),
        ("Accuracy on 10,000 test images", "LeNet-5"),
        ("Accuracy on 10,000 test images", "LeNet-5 (lenet-fashion)")]


@pytest.mark.parametrize("place", ["logs", "checkpoints"])
def test_weights_are_looked_for_beside_the_logs_and_in_the_checkpoint_folder(
        place, record, tmp_path, unsaved):
    (tmp_path / "checkpoints").mkdir()
    weights, elsewhere = record[0] / "lenet_record-seed0.pt", tmp_path / "lenet_record-seed0.pt"
    weights.rename(elsewhere)
    argv = ["--log-dir", str(record[0]), "--checkpoint-dir", str(tmp_path / "checkpoints"),
            "--out", str(tmp_path)]
    assert plot.main(argv) == 0
    assert not (tmp_path / "LeNet_record_filters.png").exists()
    elsewhere.rename(tmp_path / place / elsewhere.name)
    assert plot.main(argv) == 0
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
    write_curves(tmp_path / "logs", "lenet", seeds=2)
    write_curves(tmp_path / "logs", "lenet", lr=0.3)  # seed 0 again, with another recipe
    write_curves(tmp_path / "logs", "mlp")
    (tmp_path / "logs/x-seed0.json").write_text("{")
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys)
    assert (status, complaints) == (1, [
        f"plot.py: {tmp_path / 'logs'}: lenet-seed1 and lenet-seed0 differ in lr (0.1 and 0.3): "
        "not averaged",
        f"plot.py: {tmp_path / 'logs/x-seed0.json'}: damaged, or not a log of main.py"])
    assert {path.name for path in (tmp_path / "img").iterdir()} == {
        "CustomMLP_accuracy_plot.png", "CustomMLP_loss_plot.png", "CustomMLP_confusion_matrix.png",
        "CustomMLP_misclassified.png", "model_comparison.png"}
    assert len(lines) == 5


@pytest.mark.parametrize("kind", ["gone", "other"])
def test_pictures_of_data_that_are_not_there_are_left_out_in_one_line(
        tmp_path, kind, small_idx, capsys, unsaved):
    for name in ("lenet", "mlp"):
        write_curves(tmp_path / "logs", name, errors=ERRORS)
    data = small_idx if kind == "other" else tmp_path / "nowhere"
    status, lines, complaints = run_plot(tmp_path / "logs", tmp_path / "img", capsys,
                                         "--data-dir", data)
    assert (status, len(complaints)) == (1, 1)
    fault = "not the images that these were measured on" if kind == "other" else "no such folder"
    assert complaints[0].startswith(f"plot.py: {data}: {fault}")
    assert "--data-dir" in complaints[0]
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
    assert (out, err) == (
        "", "plot.py: error: unrecognized arguments: --logs; did you mean --log-dir?\n")
    assert plot.main(["--help"]) == 0
    assert "--log-dir" in capsys.readouterr().out


def test_as_a_command(run_script):
    assert run_script("plot.py", "--log-dir", "nothing") == (
        1, "", "plot.py: nothing: no run in it; python main.py makes one\n")
