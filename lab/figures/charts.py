"""Charts of logs: curves over the epochs, and final accuracies as dots."""

import math
import textwrap

import numpy as np

from dataset import Distortion
from lab.figures import titles
from lab.figures.canvas import Figure, FuncScale, MaxNLocator, Rectangle
from lab.figures.pictures import BLUE, GREY, VERMILLION, WIDTH
from lab.runs.identity import describe_codes, describe_setting
from lab.runs.series import accuracies, finished, fixed, mean_errors, progress, spread

# Ticks of a stretched axis: the first ones have precedence, the others fill the room that is left.
PERCENT = (99, 98, 99.5, 95, 100, 99.8, 90, 97, 80, 50, 99.3, 98.5, 99.1, 99.2, 99.4, 99.6, 99.7,
           99.9, 98.8, 98.2, 96, 20, 60, 70, 40, 10, 0)


def choose_ends(steps, lowest, highest):
    """The last of `steps` below `lowest`, and the first above `highest`; else the outermost."""
    return (max((step for step in steps if step < lowest), default=min(steps)),
            min((step for step in steps if step > highest), default=max(steps)))


def stretch_accuracy(ax, which, lowest, highest):
    """Stretches an axis of accuracies in percent so that 98 and 99.5 are well apart.

    It becomes logarithmic in the error, plus 0.1 so that 100 % has a place. Its first tick is below
    `lowest`, its last one above `highest`. which: "x" or "y".
    """
    def forward(accuracy):
        return -np.log10(np.maximum(100.1 - accuracy, 1e-6))

    def inverse(stretched):
        return 100.1 - 10.0 ** -stretched

    low, high = ticks = [*choose_ends(PERCENT, lowest, highest)]
    length = forward(high) - forward(low)
    for tick in PERCENT:
        room = min(abs(forward(tick) - forward(other)) for other in ticks)
        if low < tick < high and room > (0.11 if which == "x" else 0.08) * length:
            ticks.append(tick)
    ends = inverse(forward(low) - 0.02 * length), inverse(forward(high) + 0.02 * length)
    ax.set(**{f"{which}scale": FuncScale(None, (forward, inverse)), f"{which}lim": ends,
              f"{which}ticks": ticks})
    getattr(ax, f"{which}axis").set_major_formatter("{x:g}")


def scale_loss(ax, lowest, highest):
    """Makes the y axis logarithmic, with round ticks from below `lowest` to above `highest`."""
    for digits in ((1, 2, 5), (1,)):
        steps = [float(f"{digit}e{power}") for power in range(-12, 13) for digit in digits]
        low, high = choose_ends(steps, lowest, highest)
        ticks = [step for step in steps if low <= step <= high]
        if len(ticks) <= 10:
            break
    ax.set(yscale="log", ylim=(low, high))
    ax.set_yticks(ticks)
    ax.set_yticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")


def describe(run):
    """Describes the recipe of a run in words, broken into lines; what is off is not named."""
    recipe = {field: value for field, value in run["recipe"].items()
              if run["recipe"]["augment"] or field not in Distortion.bounds}
    words = [recipe.pop("net"), f"{run['parameters']:,} parameters"]
    for field, value in recipe.items():
        if value:
            words.append(describe_setting(field, value))
        elif field == "warmup" and value is None:
            words.append("constant rate")
    # Spaces within a setting must not break a line.
    return textwrap.fill(titles.spell(", ".join(word.replace(" ", "\xa0") for word in words)), 85)


def draw_curves(title, series, quantity):
    """Draws the training and test curves of a series. Returns a Figure.

    It shows the mean of the finished runs and their range; if none is finished, the run with the
    most epochs. The other runs are thin lines. quantity: "accuracy" or "loss".
    """
    shown = finished(series) or [max(series, key=lambda run: len(run["history"]))]
    others = [run for run in series if run not in shown]
    run = shown[0]
    factor = 100 if quantity == "accuracy" else 1
    # Small, with many dots to the inch: so it can be read at half the width of a page.
    title, caption = titles.wrap(title, 45), describe(run)
    if run["recipe"]["net"] == "LeNet1998":  # one seed does so for half of the distorted images
        caption += '\nIn training, it may also answer "none of them", which is an error.'
    if codes := describe_codes(series):
        caption += f"\nThe runs were trained by {codes}."
    lines = 3 + min(len(others), 3) + title.count("\n") + caption.count("\n")
    figure = Figure(figsize=(5, 3.7 + 0.16 * lines), dpi=200, layout="constrained")
    ax = figure.subplots()
    handles, everything = [], []

    def values(run, column):
        return factor * np.array([row[f"{column}_{quantity}"] for row in run["history"]])

    handicaps = " and ".join(["distorted images"] * bool(run["recipe"]["augment"])
                             + ["dropout"] * bool(run["recipe"]["dropout"]))
    train = f"train (with {handicaps})" if handicaps else "train"
    for column, label, colour, line in (("train", train, VERMILLION, "--"),
                                        ("test", run["evaluated_on"], BLUE, "-")):
        curves = np.array([values(each, column) for each in shown])  # (seeds, epochs)
        epochs = range(1, curves.shape[1] + 1)
        last = curves[:, -1].mean()
        last = f"{fixed(last)} %" if quantity == "accuracy" else f"{last:.3g}"
        handles += ax.plot(epochs, curves.mean(axis=0), line, color=colour, marker=".",
                           markersize=max(4, 10 - len(epochs)), label=f"{label}: {last}")
        if len(shown) > 1:
            ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=colour,
                            alpha=0.25, linewidth=0)
        everything += curves.ravel().tolist()
    if len(shown) > 1:
        handles.append(Rectangle((0, 0), 1, 1, color=GREY, alpha=0.3, linewidth=0,
                                 label="shaded: lowest to highest seed"))
    left_out = ", not in the mean" if run["complete"] else ""
    for other in others:
        curve = values(other, "test")
        label = f"seed {other['seed']}: {progress(other)}"
        handles += ax.plot(range(1, len(curve) + 1), curve, color=GREY, linewidth=1, marker=".",
                           markersize=max(2, 8 - len(curve)),
                           label=f"{run['evaluated_on']}, {label}{left_out}")
        everything += curve.tolist()
    if len(others) > 3:
        del handles[-len(others) + 1:]
        handles[-1].set_label(f"{run['evaluated_on']}, {len(others)} unfinished runs{left_out}")
    finite = [value for value in everything if math.isfinite(value)] or [1]
    if quantity == "accuracy":
        stretch_accuracy(ax, "y", min(finite), 100)
        ax.set_ylabel("accuracy (%), stretched near 100")
    else:
        scale_loss(ax, min((value for value in finite if value > 0), default=1), max(finite))
        ax.set_ylabel("loss (cross entropy), log scale")
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    seeds = f"seed {run['seed']}" if len(shown) == 1 else f"mean of {len(shown)} seeds"
    state = "last epoch" if run["complete"] else progress(run)
    # Above the axes, where it hides no curve.
    ax.legend(handles=handles, title=f"{state}, {seeds}", alignment="left", loc="lower left",
              bbox_to_anchor=(0, 1), borderpad=0, frameon=False, fontsize=9)
    figure.suptitle(title, x=0.015, ha="left", weight="bold")
    figure.supxlabel(caption, fontsize=8, color=GREY)
    return figure


def draw_dots(panels, width=WIDTH, stretched=True):
    """Draws the final accuracies of series: a dot for each seed, the mean and the range.

    panels: [(title, [(label, [finished run, ...]), ...]), ...]. width: in inches.
    stretched: whether an accuracy axis is, see `stretch_accuracy`. Returns a Figure.
    """
    lines = max(label.count("\n") for _, rows in panels for label, _ in rows) + 1
    heights = [1.2 + (0.2 + 0.15 * lines) * len(rows) for _, rows in panels]  # inches
    dpi = min(WIDTH * 150 / width, 60_000 / sum(heights))  # matplotlib draws at most 65,535 rows
    figure = Figure(figsize=(width, sum(heights)), dpi=dpi, layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, rows) in zip(axes, panels, strict=True):
        names = ("one seed", "mean, lowest to highest seed (on the right: mean ± std)")
        for y, (_, series) in enumerate(rows):
            values = accuracies(series)
            mean, n = np.mean(values), len(values)
            ax.plot(values, np.full(n, y + 0.22), "o", color=VERMILLION, alpha=0.6, markersize=4,
                    markeredgewidth=0, label=names[0] if y == 0 else None)
            ax.errorbar(mean, y, xerr=[[mean - values.min()], [values.max() - mean]], fmt="D",
                        color=BLUE, markersize=6, capsize=4, label=names[1] if y == 0 else None)
            errors = mean_errors(series)
            ax.text(1.02, y, f"{spread(values)} %\n{errors} error{'s' * (errors != '1')}, "
                    f"{n} seed{'s' * (n > 1)}", va="center", fontsize=9,
                    transform=ax.get_yaxis_transform())
        low, high = ax.dataLim.intervalx
        if stretched:
            stretch_accuracy(ax, "x", low, high)
        else:
            low, *_, high = ticks = MaxNLocator(6, steps=(1, 2, 5, 10)).tick_values(low, high)
            margin = 0.02 * (high - low)
            ax.set(xticks=ticks, xlim=(low - margin, high + margin))
        note = ", stretched near 100" if stretched else ""
        ax.set(title=title, xlabel=f"accuracy after the last epoch (%){note}",
               ylim=(len(rows) - 0.4, -0.6))
        ax.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
