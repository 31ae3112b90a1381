"""lab/figures/pictures.py: the pictures, compared with the data and with sums by hand."""

import io
import itertools
import re

import numpy as np
import pytest
import torch
from conftest import write_idx_folder
from made_up import (
    ERRORS,
    fingerprint,
    gallery,
    images,
    make_history,
    read,
    texts,
    write_curves,
    write_weights,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg

import dataset
from lab.figures import pictures
from lab.runs import measured
from lab.runs.identity import as_dict
from lab.training import run
from lenet1998 import FIGURE_3, squash
from main import RECIPES
from model import CustomMLP, LeNet5, LeNet1998, LeNetWide, LinearLeNet1998

LENET = as_dict(RECIPES["lenet"])


@pytest.fixture
def record(tmp_path):
    """A log folder with a run of lenet_record and its weights; returns folder and weights."""
    write_curves(tmp_path / "logs", "lenet_record", errors=ERRORS)
    return tmp_path / "logs", write_weights(tmp_path / "logs", "lenet_record", LeNet5)


def draw_net(draw, folder, name, data_dir=dataset.DATA_DIR):
    """Draws seed 0 of a series, with its weights in the same folder, by the function `draw`."""
    run = read(folder)[name][0]
    net = pictures.find_net(run, [folder / f"{name}-seed0.pt"])
    return draw(name, run, net, data_dir)


def test_images_that_were_turned_are_found(small_digits, tmp_path):
    """The data lie there black on white, and the run was trained with --invert."""
    folder = write_idx_folder(tmp_path, {
        split: (255 - images, labels) for split, (images, labels) in small_digits.items()})
    for invert in (True, False):
        data = {split: dataset.MNIST(folder, split == "train", invert=invert).fingerprint()
                for split in small_digits}
        run = {"data": data, "evaluated_on": "test"}
        found, _ = measured.measured_images(run, folder)
        stored = small_digits["test"][0]
        np.testing.assert_array_equal(found[:, 0], stored if invert else 255 - stored)
        samples = images(pictures.draw_samples({"any": [run]}, folder, LENET))
        corner = samples[min(samples)][2, 2]  # of the digit, which has a margin of 2
        assert corner == pytest.approx(((0 if invert else 1) - 0.1307) / 0.3081, abs=1e-4)


def test_samples_are_training_digits_and_their_distortions(digits):
    train_images, labels = digits["train"]
    torch.manual_seed(123)  # a state that no drawing leaves behind
    state = torch.get_rng_state()
    shown = images(pictures.draw_samples(
        {"any": [{"data": {"train": fingerprint(True)}}]}, dataset.DATA_DIR, LENET))
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


def test_the_samples_say_what_was_done_and_whose_they_are():
    runs = [{"data": {"train": fingerprint(True)}}]
    names = ["lenet_reg", "mine", "lenet-augment", "b", "c"]
    for count, words in ((1, "LeNet-5, regularised."), (2, "LeNet-5, regularised and mine."),
                         (4, "LeNet-5, regularised; mine; LeNet-5 (lenet-augment) and b."),
                         (5, "LeNet-5, regularised; mine; LeNet-5 (lenet-augment) and 2 more.")):
        figure = pictures.draw_samples(dict.fromkeys(names[:count], runs), dataset.DATA_DIR,
                                       {**LENET, "rotation": 33.0, "thickening": 0.5})
        caption = figure.texts[0].get_text()
        assert "rotation ± 33°, translation ± 2 pixels, scaling ± 12 %, shear ± 10°" in caption
        assert "thickening up to 0.5" in caption
        assert caption.endswith(f"Trained on them: {words}")
        assert caption.startswith("Training images")


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
    assert figure.axes[0].get_title() == "LeNet_record, seed 0\n7 errors of 10,000 test images"
    colours = figure.axes[0].images[0].get_array()
    assert colours.mask.diagonal().all()  # the diagonal has no say in the colours
    assert colours.max() == 1
    assert figure.axes[0].images[0].get_clim() == (0, 5)  # so that a single error is not dark
    assert {text.get_color() for text in figure.axes[0].texts} == {"black", pictures.GREY}


def test_numbers_on_dark_cells_are_white(digits):
    labels = digits["test"][1]
    eights = [[int(index), 8, 9, 0.5] for index in np.flatnonzero(labels == 8)[:10]]
    sevens = [[int(index), 7, 1, 0.5] for index in np.flatnonzero(labels == 7)[:6]]
    run = {"seed": 0, "evaluated_on": "test", "data": {"test": fingerprint(False)},
           "errors": eights + sevens}
    written = {text.get_position(): text.get_color() for text in pictures.draw_confusion(
        "x", run, dataset.DATA_DIR).axes[0].texts}
    assert written.pop((9, 8)) == "white"
    assert written.pop((1, 7)) == "black"
    assert set(written.values()) == {pictures.GREY}


def test_misclassified_shows_every_error_the_most_confident_first(digits, record):
    test_images = digits["test"][0]
    run = read(record[0])["lenet_record"][0]
    figure = pictures.draw_misclassified("LeNet_record", run, dataset.DATA_DIR)
    ranked = [[9729, 5, 6, "99"], [4176, 2, 7, "98"], [674, 5, 3, "90"], [2130, 4, 9, "75"],
              [582, 8, 2, "70"], [947, 8, 9, "62"], [9642, 9, 7, "51"]]
    assert texts(figure) == [f"{label} → {prediction}, {percent} %\n{index}"
                             for index, label, prediction, percent in ranked]
    for (index, *_), image in zip(ranked, gallery(figure), strict=True):
        assert np.array_equal(image, test_images[index])
    frames = figure.axes[0].patches  # 9729, 2130, 947
    assert sorted(round(frame.get_x(), 2) for frame in frames) == [0.06, 3.06, 5.06]
    assert "7 errors of 10,000 test images" in figure.texts[0].get_text()


def test_a_gallery_can_be_short_and_large(digits, record):
    """Two columns of the three surest errors, at half the width: so they are 2.5 times as large."""
    run = read(record[0])["lenet_record"][0]
    figure = pictures.draw_misclassified("LeNet_record", run, dataset.DATA_DIR, 3, 2, 4.15)
    assert [text.split("\n")[1] for text in texts(figure)] == ["9729", "4176", "674"]
    for index, image in zip((9729, 4176, 674), gallery(figure), strict=True):
        assert np.array_equal(image, digits["test"][0][index])
    assert figure.get_figwidth() * figure.dpi == pytest.approx(1245)
    assert "7 errors of 10,000 test images, the surest 3." in figure.texts[0].get_text().replace(
        "\n", " ")
    FigureCanvasAgg(figure).draw()
    assert figure.texts[0].get_window_extent().x1 < 1245


def test_above_and_below_zero_are_one_pair_of_colours():
    """White and orange, as on the page of draw.py."""
    expected = {0.0: (1, 0.5, 0), 0.25: (0.5, 0.25, 0), 0.5: (0, 0, 0), 1.0: (1, 1, 1)}
    for where, colour in expected.items():
        assert pictures.SIGNED(where)[:3] == pytest.approx(colour, abs=0.01)


@pytest.mark.parametrize("first", [0, 59_900])
def test_captions_of_errors_do_not_collide(digits, monkeypatch, first):
    """Also with the widest ones: 100 %, and numbers of five digits."""
    split = "train" if first else "test"
    labels = digits[split][1][first:first + 30].astype(int).tolist()
    monkeypatch.setattr(pictures, "measured_images", lambda run, data_dir: map(
        torch.tensor, (digits[split][0][:, None], digits[split][1].astype(int))))
    run = {"seed": 0, "evaluated_on": "test", "data": {"test": fingerprint(False)},
           "errors": [[first + i, label, (label + 4) % 10, 1.0] for i, label in enumerate(labels)]}
    figure = pictures.draw_misclassified("x", run, dataset.DATA_DIR)
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 30
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_held_out_images_are_those_of_the_held_out_sixth(digits, tmp_path):
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:10_000]
    labels = digits["train"][1][order]
    write_curves(tmp_path, "lenet-validate", evaluated_on="validation",
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
    assert sorted(pictures.DOUBTFUL_LABELS) == [947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558,
                                              5937, 6651, 6783, 8527, 9679, 9729]


@pytest.mark.parametrize("count", [0, 1000])
def test_a_perfect_net_and_a_hopeless_one_can_be_drawn(digits, count):
    labels = digits["test"][1].astype(int).tolist()
    run = {"seed": 0, "evaluated_on": "test", "data": {"test": fingerprint(False)},
           "errors": [[i, labels[i], (labels[i] + 1) % 10, 0.5] for i in range(count)]}
    errors = pictures.draw_misclassified("x", run, dataset.DATA_DIR)
    assert len(errors.axes[0].texts) == min(count, 100)
    assert (", the surest 100." in errors.texts[0].get_text()) == (count > 100)
    for figure in (errors, pictures.draw_confusion("x", run, dataset.DATA_DIR)):
        figure.savefig(buffer := io.BytesIO(), dpi=20)
        assert len(buffer.getvalue()) > 500


def test_filters_are_the_first_layer_at_work(digits, record):
    folder, weights = record
    image = digits["test"][0][0]
    shown = images(draw_net(pictures.draw_filters, folder, "lenet_record"))
    inputs = (np.pad(image / 255, 2) - 0.1307) / 0.3081
    np.testing.assert_allclose(shown.pop((1.3, 1.0)), inputs, atol=1e-5)
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (5, 5))  # (28, 28, 5, 5)
    for channel in range(6):
        kernel = weights["conv1.weight"][channel, 0].numpy()
        bias = float(weights["conv1.bias"][channel])
        response = (windows * kernel).sum((2, 3)) + bias
        pooled = response.reshape(14, 2, 14, 2).max((1, 3)).clip(0)
        for row, expected in enumerate((kernel, response, pooled)):
            np.testing.assert_allclose(shown.pop((channel + 2.4, float(row))), expected, atol=1e-4)
    assert not shown


def test_of_many_feature_maps_the_first_six_are_shown(record):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 5), torch.nn.Conv2d(8, 9, 3))
    net.image_size = 28
    run = read(record[0])["lenet_record"][0]
    shown = images(pictures.draw_filters("x", run, net, dataset.DATA_DIR))
    assert shown.keys() == {(1.3, 1), *((x + 2.4, y) for x in range(6) for y in range(3))}


def test_the_squares_of_a_row_share_a_scale_which_is_its_extreme(record):
    figure = draw_net(pictures.draw_filters, record[0], "lenet_record")
    rows = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        if left > 2:  # not the digit
            rows.setdefault(round(top), []).append(image)
    assert sorted(map(len, rows.values())) == [6, 6, 6]
    for row in rows.values():
        extreme = max(abs(np.asarray(image.get_array())).max() for image in row)
        assert {image.get_clim() for image in row} == {(-extreme, extreme)}


def test_filters_of_any_net_with_a_convolution(digits, tmp_path):
    write_curves(tmp_path, "lenet_wide")
    weights = write_weights(tmp_path, "lenet_wide", lambda: LeNetWide(0.5))
    write_curves(tmp_path, "mlp")
    write_weights(tmp_path, "mlp", CustomMLP)
    assert draw_net(pictures.draw_filters, tmp_path, "mlp") is None
    shown = images(draw_net(pictures.draw_filters, tmp_path, "lenet_wide"))
    inputs = np.pad((digits["test"][0][0] / 255 - 0.1307) / 0.3081, 2)
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (5, 5))
    response = (windows * weights["conv1.weight"][0, 0].numpy()).sum((2, 3))
    response = np.tanh(response + float(weights["conv1.bias"][0]))
    expected = response.reshape(14, 2, 14, 2).mean((1, 3))
    np.testing.assert_allclose(shown[2.4, 2.0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["lenet_1998", "lenet_1998-augment"])
def test_bitmaps_and_what_f6_answers(digits, tmp_path, name):
    test_images, labels = digits["test"]
    write_curves(tmp_path, name, augment="augment" in name)
    write_weights(tmp_path, name, LeNet1998)
    net = LeNet1998()
    net.load_state_dict(torch.load(tmp_path / f"{name}-seed0.pt")["model"])
    figure = draw_net(pictures.draw_bitmaps, tmp_path, name)
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
        assert own == f"to {digit}: {distances[digit]:.1f}"
        distances[digit] = np.inf
        assert nearest == f"to {distances.argmin()}: {distances.min():.1f}"


@pytest.mark.parametrize(("name", "kind"), [
    ("lenet", LeNet5), ("mlp", CustomMLP), ("lenet_1998_linear", LinearLeNet1998)])
def test_no_bitmaps_of_a_net_without(tmp_path, name, kind):
    write_curves(tmp_path, name)
    write_weights(tmp_path, name, kind)
    assert draw_net(pictures.draw_bitmaps, tmp_path, name) is None


def test_digits_that_the_data_lack_have_no_bitmap(digits, tmp_path):
    labels = digits["test"][1]
    some = {split: (array[:20], labels[:20] % 3) for split, (array, labels) in digits.items()}
    data_dir = write_idx_folder(tmp_path / "data", some)
    data = dataset.MNIST(data_dir, False).fingerprint()
    write_curves(tmp_path / "logs", "lenet_1998", data=data)
    write_weights(tmp_path / "logs", "lenet_1998", LeNet1998)
    figure = draw_net(pictures.draw_bitmaps, tmp_path / "logs", "lenet_1998", data_dir)
    assert len(images(figure)) == 3 * len(set(labels[:20] % 3))


@pytest.mark.parametrize("changes", [
    {"seed": 1}, {"evaluated_on": "validation"}, {"data": {}}, {"recipe": {"net": "LeNet5"}},
    {"history": make_history(1, 3)}])
def test_weights_of_another_run_are_not_shown(record, changes):
    paths, run = [record[0] / "lenet_record-seed0.pt"], read(record[0])["lenet_record"][0]
    assert pictures.find_net(run, paths)
    write_weights(record[0], "lenet_record", LeNet5, **changes)
    assert pictures.find_net(run, paths) is None


@pytest.mark.parametrize("content", [b"", b"not weights", {"model": {"fc1": torch.zeros(2)}}, [1]])
def test_broken_weights_are_named(record, content):
    path = record[0] / "lenet_record-seed0.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    fault = f"^{re.escape(str(path))}: damaged, or not a checkpoint of main.py \\("
    with pytest.raises(run.RunError, match=fault):
        pictures.find_net(read(record[0])["lenet_record"][0], [path])
