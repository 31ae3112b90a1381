"""The figures that only this repository's own report needs."""

from functools import partial

from lab.canvas import Figure
from lab.charts import draw_dots
from lab.compare import LEVEL
from lab.pictures import BLUE, GREY, WIDTH
from lab.titles import NAMES
from study import effects
from study.tables import ABLATION, ROAD


def draw_ablation(series):
    """Draws LeNet-5 without regularisation, with each part of it, and with all. A Figure."""
    def parts(recipe):
        return ", ".join(words for words, holds in (
            (f"dropout {recipe['dropout']}", recipe["dropout"]),
            (f"decay {recipe['weight_decay']}", recipe["weight_decay"]),
            ("augmented", recipe["augment"]), ("thickened", recipe["thickening"]))
            if holds) or "no regularisation"

    rows = [(f"{NAMES.get(name, name)}, {series[name][0]['recipe']['epochs']} epochs\n"
             f"{parts(series[name][0]['recipe'])}", series[name])
            for name in ABLATION if name in series]
    return draw_dots([("What regularisation does to LeNet-5", rows)])


def draw_effects(answers):
    """Draws the answers of `effects.answer`, each with its 95 % interval. A Figure."""
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots(1, len(answers), sharey=True)
    for ax, (measure, rows) in zip(axes, answers.items(), strict=True):
        unit, _, more_is_better = effects.MEASURES[measure]
        ax.axvline(0, color=GREY, linewidth=1)
        for y, effect in enumerate(rows):
            sure = effect.verdict != "undecided"
            ax.errorbar(effect.mean, y, xerr=(effect.high - effect.low) / 2, fmt="o", capsize=3,
                        color=BLUE if sure else GREY, markerfacecolor=BLUE if sure else "white")
        ax.set(title=f"{measure.capitalize()}, {unit}", ylim=(len(rows) - 0.5, -0.5),
               xlabel=f"{'better' if more_is_better else 'worse'} \N{RIGHTWARDS ARROW}")
        ax.set_yticks(range(len(rows)), [effect.question for effect in rows])
    figure.supxlabel("Mean and 95 % interval; filled where p, corrected for all of them, is below "
                     f"{LEVEL:g}", fontsize=8, color=GREY)
    return figure


def draw_road(names, series):
    """Draws the series `names` of ROAD, from LeNet-5 as published to today's. A Figure."""
    rows = [(f"{NAMES[name]}\n{ROAD[name]}", series[name]) for name in names]
    return draw_dots([("From LeNet-5 as published to today's, step by step", rows)])


def list_figures(series):
    """Yields the file name of each figure, and a function that draws it: see plot.list_figures.

    series: {name: [finished run, ...]}. A figure whose series are missing is left out.
    """
    if len(series.keys() & set(ABLATION)) > 1:
        yield "ablation.png", partial(draw_ablation, series)
    if answers := effects.answer(series):
        yield "effects.png", partial(draw_effects, answers)
    road = [name for name in ROAD if name in series]
    if len(road) > 1 and "1998" in road[0]:  # ablation.png shows the rest of it
        yield "road.png", partial(draw_road, road, series)
