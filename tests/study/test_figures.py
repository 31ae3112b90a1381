"""study/figures.py: the figures of the report, compared with the logs and the tables."""

import json
import statistics

import numpy as np
import pytest
from conftest import ROOT
from made_up import legend_labels, read, read_dots, texts, write_curves, write_series

from lab.digits.strokes import FORMS
from lab.figures import charts
from lab.runs.series import accuracies, spread
from study import effects, figures


def draw(folder):
    """Draws the figures of the runs in a folder: {file name: Figure}, but for the misread digits.

    These need runs that were measured on real images.
    """
    return {name: function() for name, function in figures.list_figures(read(folder))
            if name != "misread.png"}


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
        "LeNet-5\n1 epochs, no regularisation", "LeNet-5 with dropout\n2 epochs, dropout 0.1",
        "LeNet-5 with weight decay\n3 epochs, decay 0.0005",
        "LeNet-5 with augmentation\n4 epochs, augmented",
        "LeNet-5, regularised\n5 epochs, dropout 0.1, decay 0.0005, augmented",
        "LeNet-5, regularised too strongly\n6 epochs, dropout 0.5, decay 0.01, augmented",
        "LeNet-5, trained longest\n7 epochs, decay 0.0005, augmented, thickened"]
    low, high = figure.axes[0].get_xlim()
    for name, (_, dots, mean, ends) in zip(names, rows, strict=True):
        assert dots == pytest.approx(finals[name])
        assert mean == pytest.approx(statistics.mean(finals[name]))
        assert ends == pytest.approx((min(finals[name]), max(finals[name])))
        assert low < min(*dots, *ends)
        assert high > max(*dots, *ends)
    assert texts(figure)[0] == "96.90 %\n310 errors, 1 seed"
    assert "± 0.08 %" in texts(figure)[1]  # 0.11 / sqrt(2)
    assert texts(figure)[1].endswith(" 2 seeds")


def test_the_overview_shows_three_nets_and_the_paper(tmp_path):
    for name in figures.OVERVIEW:
        assert "overview.png" not in draw(tmp_path)
        write_series(tmp_path, name, [0.97, 0.975, 0.992], model=name)
    figure = draw(tmp_path)["overview.png"]
    rows = read_dots(figure)
    assert [label for label, *_ in rows] == [
        "LeNet-5\n61,706 parameters", "CustomMLP\n61,706 parameters",
        "LeNet-5, regularised\n61,706 parameters"]
    assert all(dots == pytest.approx([97, 97.5, 99.2]) for _, dots, *_ in rows)
    line, = (line for line in figure.axes[0].lines if line.get_linestyle() == ":")
    assert list(line.get_xdata()) == pytest.approx([99.05] * 2)  # 0.95 % error in the paper
    assert "LeNet-5 in 1998\n(LeCun et al.):\n99.05 %" in texts(figure)
    assert texts(figure)[0].endswith(" 3 seeds")
    assert figure.axes[0].get_xscale() == "linear"
    assert figure.get_figwidth() == 6  # inches, so that its words can be read on a phone


def test_regularisation_has_five_rows(tmp_path):
    finals = {}
    for seeds, name in enumerate(figures.REGULARISATION, start=1):
        finals[name] = [0.99 + 0.001 * seeds - 0.0002 * seed for seed in range(seeds)]
        write_series(tmp_path, name, finals[name], model=name)
    figure = draw(tmp_path)["regularisation.png"]
    rows = read_dots(figure)
    assert figure.get_figwidth() == 6
    assert [label for label, *_ in rows] == [
        "LeNet-5", "LeNet-5 with dropout", "LeNet-5 with weight decay",
        "LeNet-5 with augmentation", "LeNet-5, regularised\n(all three)"]
    for (_, dots, mean, _), expected in zip(rows, finals.values(), strict=True):
        assert dots == pytest.approx([100 * each for each in expected])
        assert mean == pytest.approx(100 * statistics.mean(expected))


def test_the_road_leads_from_1998_to_the_record(tmp_path):
    # Written in another order; each has as many seeds as epochs.
    steps = ["lenet_record", "lenet", "lenet_1998_dense", "lenet_1998"]
    finals = {name: [100 * history[-1]["test_accuracy"]
                     for history in write_curves(tmp_path, name, seeds, epochs=seeds)]
              for seeds, name in enumerate(steps, start=1)}
    write_curves(tmp_path, "mlp")  # not part of it
    rows = read_dots(draw(tmp_path)["road.png"])
    assert [label for label, *_ in rows] == [
        "LeNet-5 as published in 1998",
        "LeNet-5 of 1998, step 2\nevery map of C3 reads all six",
        "LeNet-5\n30 epochs instead of 20",
        "LeNet-5, trained longest\n120 epochs, thickened, without dropout"]
    for name, (_, dots, mean, _) in zip(reversed(steps), rows, strict=True):
        assert dots == pytest.approx(finals[name])
        assert mean == pytest.approx(statistics.mean(finals[name]))


def test_the_surest_errors_of_the_regularised_net_are_shown(tmp_path):
    write_curves(tmp_path, "lenet_reg", errors=[[index, 0, 1, index / 100] for index in range(30)])
    assert "misread.png" in dict(figures.list_figures(read(tmp_path)))
    shown = [int(text.split("\n")[1]) for text in texts(figures.draw_misread(read(tmp_path)))]
    assert shown == [*range(29, 9, -1)]


def test_every_form_of_the_drawn_digits_is_shown(tmp_path):
    assert "forms.png" not in draw(tmp_path)
    write_curves(tmp_path, "lenet_hands")
    images = draw(tmp_path)["forms.png"].axes[0].images
    rows = [int(image.get_extent()[3]) for image in images]  # its top
    assert rows == [digit % 5 for digit, forms in FORMS.items() for _ in forms]
    assert len({image.get_array().tobytes() for image in images}) == len(images)
    assert len({tuple(image.get_extent()) for image in images}) == len(images)


@pytest.mark.parametrize(("names", "drawn"), [([], 0), (["lenet"], 0), (["lenet", "lenet_reg"], 1)])
def test_no_ablation_of_one_net_alone(tmp_path, names, drawn):
    for name in ("mlp", *names):
        write_curves(tmp_path, name)
    assert ("ablation.png" in draw(tmp_path)) == drawn


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
        assert [0, 0] in [list(line.get_xdata()) for line in ax.lines]  # the line of no effect
    assert any(effect.verdict != "undecided" for effect in answers["accuracy"])
    assert [ax.get_title() for ax in figure.axes] == [
        "Change in accuracy, points", "Change in test loss, nats"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["better \N{RIGHTWARDS ARROW}",
                                                       "\N{LEFTWARDS ARROW} better"]
    assert not any(ax.xaxis_inverted() for ax in figure.axes)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(effects.list_questions())
    assert figure.axes[0].yaxis_inverted()  # the first question stands at the top
    main = draw(tmp_path)["effects_main.png"]
    assert [label.get_text() for label in main.axes[0].get_yticklabels()] == [
        "dropout, on average", "weight decay, on average", "augmentation, on average",
        "all three, less the sum of each alone"]
    for ax, rows in zip(main.axes, answers.values(), strict=True):
        points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
        assert points == [rows[place].mean for place in (0, 1, 2, 10)]


def test_an_effect_that_is_the_same_in_every_seed_has_no_bar(tmp_path):
    """Weight decay gains 0.2 points in each of three seeds, and dropout is left to chance."""
    for (dropout, decay, _), name in effects.NETS.items():
        write_series(tmp_path, name, [0.99 + 0.002 * decay + 1e-4 * dropout * seed**2
                                      for seed in range(3)], model=name)
    answers = effects.answer(read(tmp_path))
    ax, _ = figures.draw_effects(answers, list(effects.list_questions())[:2]).axes
    ends = [segment[:, 0] for bar in ax.collections for segment in bar.get_segments()]
    dropout, decay = answers["accuracy"][:2]
    np.testing.assert_allclose(ends, [(dropout.low, dropout.high)])
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"] == [
        dropout.mean, decay.mean]


def test_legends_of_the_report_say_what_its_tables_say():
    for name, series in read(ROOT / "logs/report").items():
        figure = charts.draw_curves(name, series, "accuracy")
        test = next(label for label in legend_labels(figure) if label.startswith("test"))
        assert test == f"test: {spread(accuracies(series)).partition(' ')[0]} %", name
