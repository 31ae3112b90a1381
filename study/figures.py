"""The figures that only this repository's own report needs."""

from functools import partial

import numpy as np

from dataset import DATA_DIR
from lab.digits.strokes import FORMS, draw_form
from lab.figures.canvas import Figure
from lab.figures.charts import draw_dots
from lab.figures.pictures import (
    BLUE,
    GREY,
    WIDTH,
    draw_misclassified,
    make_mosaic,
    show_image,
)
from lab.figures.titles import find_title
from lab.runs.compare import LEVEL
from study import effects
from study.tables import ABLATION, PUBLISHED, ROAD

OVERVIEW = ("lenet", "mlp", "lenet_reg")
REGULARISATION = ("lenet", "lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg")
SMALL = 6.0  # inches: readable on a phone, too


def draw_overview(series):
    """Draws the three nets of the assignment, and what LeNet-5 reached in 1998. A Figure."""
    rows = [(f"{find_title(name)}\n{series[name][0]['parameters']:,} parameters", series[name])
            for name in OVERVIEW]
    published = 100 - PUBLISHED["lenet_1998"][1]
    figure = draw_dots([("Accuracy on MNIST's 10,000 test images", rows)], SMALL, stretched=False)
    ax = figure.axes[0]
    ax.axvline(published, color=GREY, linestyle=":")
    ax.annotate(f"LeNet-5 in 1998\n(LeCun et al.):\n{published:.2f} %", (published, 1), (-6, 0),
                textcoords="offset points", ha="right", va="center", fontsize=9, color=GREY,
                bbox={"color": "white", "pad": 1})
    return figure


def draw_regularisation(series):
    """Draws LeNet-5 without regularisation, with each part of it alone, and with all. A Figure."""
    def words(name):
        return find_title(name) + "\n(all three)" * (name == REGULARISATION[-1])

    return draw_dots([("What regularisation does to LeNet-5", [
        (words(name), series[name]) for name in REGULARISATION])], SMALL, stretched=False)


def draw_ablation(series):
    """Draws LeNet-5 without regularisation, with each part of it, and with all. A Figure."""
    def parts(recipe):
        return ", ".join(words for words, holds in (
            (f"dropout {recipe['dropout']}", recipe["dropout"]),
            (f"decay {recipe['weight_decay']}", recipe["weight_decay"]),
            ("augmented", recipe["augment"]), ("thickened", recipe["thickening"]))
            if holds) or "no regularisation"

    rows = [(f"{find_title(name)}\n{series[name][0]['recipe']['epochs']} epochs, "
             f"{parts(series[name][0]['recipe'])}", series[name])
            for name in ABLATION if name in series]
    return draw_dots([("What regularisation does to LeNet-5", rows)])


def draw_effects(answers, questions):
    """Draws the answers of `effects.answer` to `questions`, with their 95 % intervals. A Figure."""
    figure = Figure(figsize=(WIDTH, 1.3 + 0.3 * len(questions)), layout="constrained")
    axes = figure.subplots(1, len(answers), sharey=True)
    for ax, (measure, rows) in zip(axes, answers.items(), strict=True):
        unit, _, more_is_better = effects.MEASURES[measure]
        rows = [effect for effect in rows if effect.question in questions]
        ax.axvline(0, color=GREY, linewidth=1)
        for y, effect in enumerate(rows):
            sure = effect.verdict != "undecided"
            reach = (effect.high - effect.low) / 2 or None  # none if it is the same in every seed
            ax.errorbar(effect.mean, y, xerr=reach, fmt="o", capsize=3,
                        color=BLUE if sure else GREY, markerfacecolor=BLUE if sure else "white")
        ax.set(title=f"Change in {measure}, {unit}", ylim=(len(rows) - 0.5, -0.5),
               xlabel="better \N{RIGHTWARDS ARROW}" if more_is_better else
               "\N{LEFTWARDS ARROW} better")
        ax.set_yticks(range(len(rows)), [effect.question for effect in rows])
    figure.supxlabel("Mean and 95 % interval; filled where the effect is beyond chance (p below "
                     f"{LEVEL:g}, corrected for the number of questions)", fontsize=9, color=GREY)
    return figure


def draw_road(names, series):
    """Draws the series `names` of ROAD, from LeNet-5 as published to today's. A Figure."""
    labels = [f"{find_title(name).partition(':')[0]}\n{ROAD[name]}" for name in names]
    labels[0] = find_title(names[0])
    rows = [(label, series[name]) for label, name in zip(labels, names, strict=True)]
    return draw_dots([("From LeNet-5 as published to today's, step by step", rows)])


def draw_misread(series):
    """Draws the errors of which the regularised LeNet-5 is surest. A Figure."""
    return draw_misclassified(find_title("lenet_reg"), series["lenet_reg"][0], DATA_DIR, most=20,
                              columns=7, width=6.5)


def draw_forms():
    """Draws each form of lab/digits/ once, as `lenet_hands` is trained with it. A Figure."""
    most = max(map(len, FORMS.values()))
    figure, ax = make_mosaic(2 * most + 1, 5, "The forms of digits that lab/digits/ knows, each "
                             "drawn once. Every drawing differs in shape, width, slant and pen.")
    chance = np.random.default_rng(0)
    for digit, forms in FORMS.items():
        for i, form in enumerate(forms):
            image = draw_form(form, 1, chance)[0, 0]
            show_image(ax, image, (most + 1) * (digit // 5) + i, digit % 5)
    return figure


def list_figures(series):
    """Yields the file name of each figure, and a function that draws it: see plot.list_figures.

    series: {name: [finished run, ...]}. A figure whose series are missing is left out.
    """
    if series.keys() >= set(OVERVIEW):
        yield "overview.png", partial(draw_overview, series)
    if series.keys() >= set(REGULARISATION):
        yield "regularisation.png", partial(draw_regularisation, series)
    if len(series.keys() & set(ABLATION)) > 1:
        yield "ablation.png", partial(draw_ablation, series)
    if answers := effects.answer(series):
        every = [*effects.list_questions()]
        yield "effects.png", partial(draw_effects, answers, every)
        yield "effects_main.png", partial(draw_effects, answers, [*every[:3], every[-1]])
    if "lenet_reg" in series:
        yield "misread.png", partial(draw_misread, series)
    if "lenet_hands" in series:
        yield "forms.png", draw_forms
    road = [name for name in ROAD if name in series]
    if len(road) > 1 and "1998" in road[0]:  # ablation.png shows the rest of it
        yield "road.png", partial(draw_road, road, series)
