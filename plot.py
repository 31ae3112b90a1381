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
  samples.png                                      training images as augmentation distorts them
  <Name>_samples.png                               the same, for series with other distortions
"Its net" is that of the finished run with the lowest seed. If a figure cannot be drawn, a line says
why, and the exit status is 1. The same logs and library versions give the same bytes.
"""

from lab.start import start

import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dataset import DATA_DIR, DataError, Distortion
from lab import command
from lab.figures import pictures, titles
from lab.figures.canvas import FigureCanvasAgg, style
from lab.figures.charts import draw_curves, draw_dots
from lab.figures.pictures import WORDS
from lab.files import RunError, make_folder, write_atomically
from lab.runs.identity import describe_codes
from lab.runs.series import (
    accuracies,
    count_examples,
    finished,
    finished_series,
    name_run,
    read_all,
)

STYLE = ["default", {  # not the matplotlibrc of the user, which would change the bytes
    "figure.facecolor": "white", "figure.dpi": 150, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlelocation": "left", "axes.titleweight": "bold"}]


def draw_comparison(series):
    """Draws all series, the best at the top, in a panel for each set of images. A Figure."""
    panels = {}
    for name, members in sorted(series.items(), reverse=True,
                                key=lambda row: accuracies(row[1]).mean()):
        run = members[0]
        title = f"Accuracy on {count_examples(run):,} {WORDS[run['evaluated_on']]}"
        panels.setdefault((title, str(run["data"])), []).append(
            (f"{titles.wrap(titles.find_title(name), 48)}\n{run['parameters']:,} parameters"
             + describe_codes(members).partition(" (")[0].join([", ", ""]).rstrip(", "), members))
    return draw_dots([(title, rows) for (title, _), rows in sorted(panels.items(), reverse=True)])


def draw_net(draw, paths, title, run, data_dir):
    """Draws the net of a run with `draw`; None if no file of `paths` holds its weights."""
    net = pictures.find_net(run, paths)
    return None if net is None else draw(title, run, net, data_dir)


def list_figures(everything, weight_dirs, data_dir):
    """Yields the file name of each figure, and a function that draws it.

    everything: {name: [run, ...]}; weight_dirs: the folders in which to look for their weights.
    The function returns a Figure, or None if it has none. It may raise DataError and RunError.
    """
    stems = titles.name_files(everything)
    for name, series in everything.items():
        stem, title = stems[name], titles.find_title(name)
        for quantity in ("accuracy", "loss"):
            yield f"{stem}_{quantity}_plot.png", partial(draw_curves, title, series, quantity)
        for run in finished(series)[:1]:
            paths = [folder / f"{name_run(name, run['seed'])}.pt" for folder in weight_dirs]
            for kind, draw in (("confusion_matrix", pictures.draw_confusion),
                               ("misclassified", pictures.draw_misclassified),
                               ("filters", partial(draw_net, pictures.draw_filters, paths)),
                               ("bitmaps", partial(draw_net, pictures.draw_bitmaps, paths))):
                yield f"{stem}_{kind}.png", partial(draw, title, run, data_dir)
    if done := finished_series(everything):
        yield "model_comparison.png", partial(draw_comparison, done)
    alike = {}  # the series that are trained on the same images, distorted in the same way
    for name, (run, *_) in everything.items():
        if run["recipe"]["augment"] and not run["recipe"]["synthetic"]:  # these see more than that
            settings = [run["recipe"][field] for field in Distortion.bounds]
            alike.setdefault(str((settings, run["data"]["train"])), []).append(name)
    for number, names in enumerate(sorted(alike.values(), key=len, reverse=True)):
        yield f"{stems[names[0]]}_samples.png" if number else "samples.png", partial(
            pictures.draw_samples, {name: everything[name] for name in names}, data_dir,
            everything[names[0]][0]["recipe"])


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
    everything, complaints = read_all(args.log_dir, args.names)
    if everything:
        complaints += draw_all(list_figures(
            everything, [args.log_dir, args.checkpoint_dir], args.data_dir), args.out)
    yield from complaints


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("plot.py", execute, argv, RunError)


if __name__ == "__main__":
    start(main)
