"""Draws figures of your runs.

    python plot.py                            all series in logs/ -> img/
    python plot.py lenet lenet-lr0.05         only these two
    python plot.py --log-dir logs/report      another folder -> img/report/

Writes these files, and prints their paths:
  <Name>_accuracy_plot.png, <Name>_loss_plot.png   curves of a series, the mean over its seeds
  <Name>_confusion_matrix.png                      which digits its net takes for which
  <Name>_misclassified.png                         the images that the net misreads, at most 100
  <Name>_filters.png                               its first convolution, if the weights are there
  <Name>_bitmaps.png                               what F6 answers, for LeNet-5 as published
  model_comparison.png                             all series: each seed, and the mean
  samples.png                                      training images, and distortions of them
"Its net" is that of the finished run with the lowest seed. If a figure cannot be drawn, a line says
why, and the exit status is 1. The same logs and library versions give the same bytes.
"""

import io
import math
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dataset import DATA_DIR, DataError, Distortion
from lab import command, pictures, titles
from lab.canvas import Figure, FigureCanvasAgg, FuncScale, style
from lab.command import RunError, make_folder, write_atomically
from lab.compare import accuracies, finished, finished_series, progress, read_all
from lab.logs import count_examples, spread
from lab.pictures import BLUE, GREY, VERMILLION, WIDTH, WORDS
from main import DEFAULTS

STYLE = ["default", {  # not the matplotlibrc of the user, which would change the bytes
    "figure.facecolor": "white", "figure.dpi": 150, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlelocation": "left", "axes.titleweight": "bold"}]


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


def draw_comparison(series):
    """Draws all series, the best at the top, in a panel for each set of images. A Figure."""
    panels = {}
    for name, members in sorted(series.items(), reverse=True,
                                key=lambda row: accuracies(row[1]).mean()):
        run = members[0]
        title = f"Accuracy on {count_examples(run):,} {WORDS[run['evaluated_on']]}"
        # Long names continue on a second line.
        words = textwrap.fill(name.replace("-", " -"), 48).replace(" -", "-")
        panels.setdefault((title, str(run["data"])), []).append(
            (f"{words}\n{run['parameters']:,} parameters", members))
    return draw_dots([(title, rows) for (title, _), rows in sorted(panels.items(), reverse=True)])


def draw_net(draw, paths, title, run, data_dir):
    """Draws the net of a run with `draw`; None if no file of `paths` holds its weights."""
    net = pictures.find_net(run, paths, DEFAULTS)
    return None if net is None else draw(title, run, net, data_dir)


def list_figures(everything, weight_dirs, data_dir):
    """Yields the file name of each figure, and a function that draws it.

    everything: {name: [run, ...]}; weight_dirs: the folders in which to look for their weights.
    The function returns a Figure, or None if it has none. It may raise DataError and RunError.
    """
    stems = titles.name_files(everything)
    for name, series in everything.items():
        stem, title = stems[name], titles.spell(stems[name])
        for quantity in ("accuracy", "loss"):
            yield f"{stem}_{quantity}_plot.png", partial(draw_curves, title, series, quantity)
        for run in finished(series)[:1]:
            paths = [folder / f"{name}-seed{run['seed']}.pt" for folder in weight_dirs]
            for kind, draw in (("confusion_matrix", pictures.draw_confusion),
                               ("misclassified", pictures.draw_misclassified),
                               ("filters", partial(draw_net, pictures.draw_filters, paths)),
                               ("bitmaps", partial(draw_net, pictures.draw_bitmaps, paths))):
                yield f"{stem}_{kind}.png", partial(draw, title, run, data_dir)
    if done := finished_series(everything):
        yield "model_comparison.png", partial(
            draw_comparison, {titles.spell(stems[name]): series for name, series in done.items()})
    augmented = [run["recipe"] for series in everything.values() for run in series
                 if run["recipe"]["augment"]]
    yield "samples.png", partial(
        pictures.draw_samples, everything, data_dir, [*augmented, DEFAULTS][0])


def save(figure, path):
    """Writes a PNG with a palette of 256 colours: a third of the bytes. Raises RunError."""
    titles.choose_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(dither=Image.Dither.NONE).save(buffer := io.BytesIO(), "PNG")
    write_atomically(path, buffer.getvalue())


def draw_all(figures, out):
    """Draws figures, as `list_figures` yields them, into the folder `out` and prints their paths.

    Returns a line for each reason why figures were left out. Raises RunError if it cannot write.
    """
    make_folder(out)
    left_out = {}  # reason: [file name, ...]
    with style.context(STYLE):
        for name, draw in figures:
            try:
                figure = draw()
            except (DataError, RunError) as error:
                left_out.setdefault(str(error).splitlines()[0], []).append(name)
                continue
            if figure:
                save(figure, out / name)
                print(out / name)
    return [f"{reason}; left out: {', '.join(names)}" for reason, names in left_out.items()]


def parse(argv):
    """Parses the command line; bad usage is one line and SystemExit(2)."""
    parser = command.Parser("plot.py", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="series; default: all")
    for flag, default, words in (
            ("--log-dir", Path("logs"), "default: logs"),
            ("--checkpoint-dir", Path("checkpoints"), "default: checkpoints"),
            ("--data-dir", DATA_DIR, "default: MNIST, in data/"),
            ("--out", None, "default: img; for a folder in logs, the same folder in img")):
        parser.add_argument(flag, type=command.path, default=default, metavar="DIR", help=words)
    args = parser.parse_args(argv)
    if args.out is None:
        logs, ours = Path("logs").resolve(), args.log_dir.resolve()
        args.out = Path("img", ours.relative_to(logs) if ours.is_relative_to(logs) else "")
    return args


def execute(argv):
    """Draws the figures. Yields a line for each reason why something is left out."""
    args = parse(argv)
    everything, complaints = read_all(args.log_dir, args.names, DEFAULTS)
    if everything:
        complaints += draw_all(list_figures(
            everything, [args.log_dir, args.checkpoint_dir], args.data_dir), args.out)
    yield from complaints


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("plot.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
