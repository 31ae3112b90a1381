"""Charts of logs: curves over the epochs, and final accuracies as dots."""

import math
import textwrap

import numpy as np

from dataset import Distortion
from lab import titles
from lab.canvas import Figure, FuncScale
from lab.compare import accuracies, finished, progress
from lab.logs import spread
from lab.pictures import BLUE, GREY, VERMILLION, WIDTH


def stretch_accuracy(ax, which, low, high):
    """Stretches an axis of accuracies in percent so that 98 and 99.5 are well apart.

    It becomes logarithmic in the error, plus 0.1 so that 100 % has a place. which: "x" or "y".
    """
    def forward(accuracy):
        return -np.log10(np.maximum(100.1 - accuracy, 1e-6))

    def inverse(stretched):
        return 100.1 - 10.0 ** -stretched

    ticks = []  # round values come first, others fill the room that is left
    for tick in (99, 98, 99.5, 95, 100, 99.8, 90, 97, 80, 50, 99.3, 98.5, 99.1, 99.2, 99.4, 99.6,
                 99.7, 98.8, 98.2, 96, 20, 60, 70, 40, 10):
        room = min((abs(forward(tick) - forward(other)) for other in ticks), default=math.inf)
        if low <= tick <= high and room > 0.08 * (forward(high) - forward(low)):
            ticks.append(tick)
    ax.set(**{f"{which}scale": FuncScale(None, (forward, inverse)), f"{which}lim": (low, high),
              f"{which}ticks": ticks})
    getattr(ax, f"{which}axis").set_major_formatter("{x:g}")


def describe(run):
    """Describes the recipe of a run in words, broken into lines."""
    recipe = {field: value for field, value in run["recipe"].items()
              if run["recipe"]["augment"] or field not in Distortion.bounds}
    words = [f"{recipe.pop('net')}, {run['parameters']:,} parameters"]
    for field, value in recipe.items():
        field = field.replace("_", " ")
        words.append(f"no {field}" if not value else field if value is True else f"{field} {value}")
    # Spaces within a setting must not break a line.
    return textwrap.fill(titles.spell(", ".join(word.replace(" ", "\xa0") for word in words)), 110)


def draw_curves(title, series, quantity):
    """Draws the training and test curves of a series. Returns a Figure.

    It shows the mean of the finished runs and their range; if none is finished, the run with the
    most epochs. The other runs are thin lines. quantity: "accuracy" or "loss".
    """
    shown = finished(series) or [max(series, key=lambda run: len(run["history"]))]
    others = [run for run in series if run not in shown]
    run = shown[0]
    factor, unit, form = ((100, "%", "{:.2f} %") if quantity == "accuracy"
                          else (1, "cross entropy, nats", "{:.3g}"))
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()

    def values(run, column):
        return factor * np.array([row[f"{column}_{quantity}"] for row in run["history"]])

    handicaps = " and ".join(["distorted images"] * bool(run["recipe"]["augment"])
                             + ["dropout"] * bool(run["recipe"]["dropout"]))
    train = f"train (with {handicaps})" if handicaps else "train"
    for column, label, colour, line in (("train", train, VERMILLION, "--"),
                                        ("test", run["evaluated_on"], BLUE, "-")):
        curves = np.array([values(each, column) for each in shown])  # (seeds, epochs)
        epochs = range(1, curves.shape[1] + 1)
        last = form.format(curves[:, -1].mean())  # summed as in report.py, to round alike
        ax.plot(epochs, curves.mean(axis=0), line, color=colour, marker=".", markersize=4,
                label=f"{label}: {last}")
        if len(shown) > 1:
            ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=colour,
                            alpha=0.25, linewidth=0, label="lowest to highest seed")
    lowest = curves.min()
    for other in others:
        curve = values(other, "test")
        lowest = min(lowest, curve.min())
        left_out = ", not in the mean" if run["complete"] else ""
        ax.plot(range(1, len(curve) + 1), curve, color=GREY, linewidth=1, marker=".", markersize=2,
                label=f"{run['evaluated_on']}, seed {other['seed']}: {progress(other)}{left_out}")
    if quantity == "accuracy":
        # The test curve is shown whole, the training curve may start below. 100 % is not the edge.
        stretch_accuracy(ax, "y", min(95, 0.99 * lowest), 100.01)
    else:
        ax.set_yscale("log")
    ax.set(title=title, xlabel="epoch", ylabel=f"{quantity} ({unit})")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    seeds = f"seed {run['seed']}" if len(shown) == 1 else f"mean of {len(shown)} seeds"
    state = "last epoch" if run["complete"] else progress(run)
    ax.legend(title=f"{state}, {seeds}", alignment="left")
    figure.supxlabel(describe(run), fontsize=7.5, color=GREY)
    return figure


def draw_dots(panels):
    """Draws the final accuracies of series: a dot for each seed, the mean and the range.

    panels: [(title, [(label, [finished run, ...]), ...]), ...]. Returns a Figure.
    """
    heights = [1.3 + 0.5 * len(rows) for _, rows in panels]  # inches
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, rows) in zip(axes, panels, strict=True):
        names = ("one seed", "mean, lowest to highest seed; on the right mean ± std")
        for y, (_, series) in enumerate(rows):
            values = accuracies(series)
            mean, n = np.mean(values), len(values)
            ax.plot(values, np.full(n, y + 0.22), "o", color=VERMILLION, alpha=0.6, markersize=4,
                    markeredgewidth=0, label=names[0] if y == 0 else None)
            ax.errorbar(mean, y, xerr=[[mean - values.min()], [values.max() - mean]], fmt="D",
                        color=BLUE, markersize=6, capsize=4, label=names[1] if y == 0 else None)
            ax.text(1.02, y, f"{spread(values)} %  (n = {n})", va="center",
                    transform=ax.get_yaxis_transform())
        low, high = ax.dataLim.intervalx
        stretch_accuracy(ax, "x", max(low - 0.1 * (100.1 - low), 0), high + 0.1 * (100 - high))
        ax.set(title=title, xlabel="accuracy after the last epoch (%)",
               ylim=(len(rows) - 0.4, -0.6))
        ax.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
