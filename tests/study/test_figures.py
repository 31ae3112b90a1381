"""study/figures.py: the figures of the report, compared with the logs and the tables."""

import json
import statistics

import numpy as np
import pytest
from conftest import ROOT
from made_up import legend_labels, read, read_dots, texts, write_curves

from lab import charts
from lab.compare import accuracies
from study import effects, figures


def draw(folder):
    """Draws the figures of the runs in a folder: {file name: Figure}."""
    return {name: function() for name, function in figures.list_figures(read(folder))}


def test_ablation_shows_every_seed_the_mean_and_the_extremes(tmp_path):
    names = ["lenet", "lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg", "lenet_heavy",
             "lenet_record"]
    finals = {name: [100 * history[-1]["test_accuracy"]
                     for history in write_curves(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(names, start=1)}
    write_curves(tmp_path, "mlp")  # not part of it
    write_curves(tmp_path, "lenet-lr0.2", lr=0.2)  # nor this
    figure = figures.draw_ablation(read(tmp_path))
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
                     for history in write_curves(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(steps, start=1)}
    write_curves(tmp_path, "mlp")  # not part of it
    rows = read_dots(draw(tmp_path)["road.png"])
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
        write_curves(tmp_path, name)
    assert "road.png" not in draw(tmp_path)


def test_effects_have_their_interval_and_are_filled_where_they_count(tmp_path):
    """Each effect is a point with two ends, as `effects.answer` has them; a panel per measure."""
    for (dropout, decay, augmented), name in effects.NETS.items():
        changes = {"dropout": 0.1 if dropout else None, "weight_decay": 5e-4 * decay,
                   "augment": bool(augmented)}
        write_curves(tmp_path, name, seeds=3, **changes)
        for seed in range(3):
            path = tmp_path / f"{name}-seed{seed}.json"
            log = json.loads(path.read_text("utf-8"))
            chance = np.random.default_rng((seed, dropout, decay, augmented)).random(2)
            log["final"]["test_accuracy"] = 0.99 + 0.003 * decay + 1e-4 * chance[0]
            log["final"]["test_loss"] = 0.04 - 0.01 * augmented + 1e-4 * chance[1]
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
    assert figure.axes[0].yaxis_inverted()  # the first question stands at the top


def test_legends_of_the_report_say_what_its_tables_say():
    for name, series in read(ROOT / "logs/report").items():
        figure = charts.draw_curves(name, series, "accuracy")
        test = next(label for label in legend_labels(figure) if label.startswith("test"))
        assert test == f"test: {accuracies(series).mean():.2f} %", name
