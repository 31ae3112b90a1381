"""Draws the figures: from the logs of a folder, and from the data and the best net's weights.

    python plot.py                            logs/ -> img/
    python plot.py --log-dir logs/report      the figures of the report

Writes, and names, one PNG a figure:
  <Name>_accuracy_plot.png, <Name>_loss_plot.png   the curves of each series of runs, over its seeds
  model_comparison.png                             accuracy of each series measured on the test set
  ablation.png                                     what each part of the regularisation does
  samples.png                                      what the net sees of the training images
  confusion_matrix.png, misclassified.png          the errors of lenet_record, seed 0, if there
  filters.png                                      its first layer, if <log-dir> holds its weights
The same logs and library versions give the same bytes.
"""

import argparse
import io
import math
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.scale import FuncScale

import runs
from dataset import CLASSES, DATA_DIR, MNIST, DataError, Distortion, make_transform
from main import RECIPES
from model import LeNet5
from report import ABLATION, DOUBTFUL_LABELS, accuracies
from runs import RunError

NAMES = {  # of series, in files and titles; any other series goes by its own name
    "lenet": "LeNet", "mlp": "CustomMLP", "lenet_dropout": "LeNet_dropout",
    "lenet_decay": "LeNet_weight_decay", "lenet_augment": "LeNet_augmentation",
    "lenet_reg": "LeNet_regularization", "lenet_heavy": "LeNet_heavy",
    "lenet_record": "LeNet_record", "lenet_fast": "LeNet_fast",
    "lenet_wide": "LeNet_wide", "mlp_wide": "CustomMLP_wide",
}

# Colours that colour-blind readers can tell apart (Okabe and Ito 2008).
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#666666"
STYLE = ["default", {  # not the user's matplotlibrc, which would change the bytes
    "savefig.facecolor": "white", "savefig.dpi": 150, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlelocation": "left", "axes.titleweight": "bold"}]
WIDTH = 8.3  # inches: 830 pixels in a README, at 100 to the inch
MAX_GALLERY = 400  # errors shown; only a net that learnt nothing has more


def stretch_accuracy(ax, which, low, high):
    """Makes the `which` ("x" or "y") axis of accuracies in percent show 98 and 99.5 well apart.

    It is logarithmic in the error, with 0.1 % added so that 100 % still has a place.
    """
    def forward(accuracy):
        return -np.log10(np.maximum(100.1 - accuracy, 1e-6))

    def inverse(stretched):
        return 100.1 - 10.0 ** -stretched

    ticks = []
    for tick in (99, 98, 99.5, 95, 100, 99.8, 90, 97, 80, 50, 99.3, 98.5, 99.1, 99.2, 99.4, 99.6,
                 99.7, 98.8, 98.2, 96, 20):  # the rounder first, the others where there is room
        room = min((abs(forward(tick) - forward(other)) for other in ticks), default=math.inf)
        if low <= tick <= high and room > 0.08 * (forward(high) - forward(low)):
            ticks.append(tick)
    ax.set(**{f"{which}scale": FuncScale(None, (forward, inverse)), f"{which}lim": (low, high)})
    ax.set(**{f"{which}ticks": ticks})
    getattr(ax, f"{which}axis").set_major_formatter("{x:g}")


def describe(run):
    """Everything the run depends on but its seed, in words."""
    recipe = dict(run["recipe"])
    words = [f"{recipe.pop('net')}, {run['parameters']:,} parameters"]
    if not recipe["augment"]:
        for bound in Distortion.bounds:
            recipe.pop(bound, None)
    for field, value in recipe.items():
        field = field.replace("_", " ")
        words.append(f"no {field}" if not value else field if value is True else f"{field} {value}")
    # Lines break between the words, not within one.
    return textwrap.fill(", ".join(word.replace(" ", "\xa0") for word in words), 116)


def draw_curves(name, series, quantity):
    """Train and test curves of a series; `quantity` is "accuracy" or "loss". Returns a Figure."""
    run, unit = series[0], {"accuracy": " (%)", "loss": " (cross entropy, nats)"}[quantity]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()
    epochs = [row["epoch"] for row in run["history"]]
    factor = 100 if quantity == "accuracy" else 1
    handicaps = [words for words, holds in (
        ("distorted images", run["recipe"]["augment"]), ("dropout", run["recipe"]["dropout"]))
        if holds]
    train = f"train (with {' and '.join(handicaps)})" if handicaps else "train"
    for column, label, colour, line in (("train", train, VERMILLION, "--"),
                                        ("test", run["evaluated_on"], BLUE, "-")):
        values = factor * np.array([[row[f"{column}_{quantity}"] for row in run["history"]]
                                    for run in series])  # (seeds, epochs)
        mean = values.mean(axis=0)
        last = values[:, -1].mean()  # summed in the order of report.py: ties round alike
        last = f"{last:.2f} %" if quantity == "accuracy" else f"{last:.3g}"
        ax.plot(epochs, mean, line, color=colour, marker=".", markersize=4,
                label=f"{label}: {last}")
        if len(series) > 1:
            ax.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour,
                            alpha=0.25, linewidth=0, label="lowest to highest seed")
    if quantity == "accuracy":
        # All of the test curve; a train curve may start below. 100 % keeps clear of the edge.
        stretch_accuracy(ax, "y", min(95, 0.99 * values.min()), 100.01)
    else:
        ax.set_yscale("log")
    ax.set(title=NAMES.get(name, name), xlabel="epoch", ylabel=quantity + unit)
    ax.xaxis.get_major_locator().set_params(integer=True)
    seeds = f"seed {run['seed']}" if len(series) == 1 else f"mean of {len(series)} seeds"
    ax.legend(title=f"last epoch, {seeds}", alignment="left")
    figure.supxlabel(describe(run), fontsize=7.5, color=GREY)
    return figure


def draw_dots(rows, title):
    """Last test accuracies, a row a series; rows: [(label, [run, ...]), ...]. Returns a Figure."""
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * len(rows)), layout="constrained")
    ax = figure.subplots()
    ends = []
    for y, (_, series) in enumerate(rows):
        values = accuracies(series)
        mean, n = np.mean(values), len(values)
        spread = np.std(values, ddof=1) if n > 1 else 0
        ax.plot(values, np.full(n, y + 0.22), "o", color=VERMILLION, alpha=0.6, markersize=4,
                markeredgewidth=0, label="one seed" if y == 0 else None)
        ax.errorbar(mean, y, xerr=spread, fmt="D", color=BLUE, markersize=6, capsize=4,
                    label="mean ± standard deviation" if y == 0 else None)
        text = f"{mean:.2f} ± {spread:.2f} %  (n = {n})" if n > 1 else f"{mean:.2f} %  (n = 1)"
        ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center")
        ends += [mean - spread, mean + spread, *values]
    low, high = min(ends), min(max(ends), 100)
    stretch_accuracy(ax, "x", max(low - 0.1 * (100.1 - low), 0), high + 0.1 * (100 - high))
    ax.set(title=title, xlabel="test accuracy after the last epoch (%)",
           ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)))
    ax.set_yticklabels([label for label, _ in rows], fontsize=9)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def draw_comparison(series):
    """Every series measured on the test set, with its parameters, best at the top; a Figure."""
    rows = sorted(series.items(), reverse=True,
                  key=lambda row: accuracies(row[1]).mean())
    return draw_dots([(f"{NAMES.get(name, name)}\n{members[0]['parameters']:,} parameters", members)
                      for name, members in rows], "Accuracy and size of the nets")


def draw_ablation(series):
    """LeNet-5 without regularisation, with each part of it, and with all of them; a Figure."""
    def parts(recipe):
        return ", ".join(words for words, holds in (
            (f"dropout {recipe['dropout']}", recipe["dropout"]),
            (f"decay {recipe['weight_decay']}", recipe["weight_decay"]),
            ("augmented", recipe["augment"]), ("thickened", recipe.get("thickening")))
            if holds) or "no regularisation"

    rows = [(f"{NAMES[name]}, {series[name][0]['recipe']['epochs']} epochs\n"
             f"{parts(series[name][0]['recipe'])}", series[name])
            for name in ABLATION if name in series]
    return draw_dots(rows, "What regularisation does to LeNet-5")


def make_mosaic(columns, rows, caption):
    """A Figure and its only Axes for images of 1 x 1 on a sheet of columns x rows, y downwards."""
    head = 0.25 + 0.2 * caption.count("\n")  # inches
    figure = Figure(figsize=(WIDTH, rows * WIDTH / columns + head))
    ax = figure.add_axes((0, 0, 1, rows * WIDTH / columns / figure.get_figheight()))
    ax.set_axis_off()
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    figure.text(0.01, 1 - 0.05 / figure.get_figheight(), caption, va="top")
    return figure, ax


def show_image(ax, image, x, y, limit=None):
    """Draws `image` (H, W) into a unit square: grey, or in colours from -limit to limit."""
    colours = {"cmap": "gray"} if limit is None else {"cmap": "PuOr", "vmin": -limit, "vmax": limit}
    box = (x + 0.04, x + 0.96, y + 0.96, y + 0.04)  # left, right, bottom, top
    ax.imshow(np.asarray(image), extent=box, **colours)


def draw_samples(images, labels):
    """The first of each class beside six of its distortions. Returns a Figure.

    images: uint8 (N, 1, 28, 28); labels: int64 (N,)
    """
    recipe = RECIPES["lenet_reg"]
    distortion = Distortion(*(getattr(recipe, bound) for bound in Distortion.bounds))
    firsts = [images[labels == digit][:1] for digit in range(CLASSES)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        figure, ax = make_mosaic(15, 5, (
            "Training images, each beside what the net sees of it in six epochs: within rotation "
            f"± {recipe.rotation:g}°,\ntranslation ± {recipe.translation:g} pixels, scaling "
            f"± {100 * recipe.scaling:g} %, shear ± {recipe.shear:g}°"))
        for digit, image in enumerate(firsts):
            x, y = 7.8 * (digit // 5), digit % 5
            show_image(ax, make_transform(32)(image)[0, 0], x, y)
            batch = make_transform(32, distortion)(image.expand(6, -1, -1, -1))
            for position, distorted in enumerate(batch[:, 0]):
                show_image(ax, distorted, x + 1.2 + position, y)
    return figure


def draw_confusion(run, labels):
    """What the last epoch took for what; labels: int64 (N,) of the test set. Returns a Figure."""
    figure = Figure(figsize=(WIDTH, 7), layout="constrained")
    ax = figure.subplots()
    confusion = np.diag(np.bincount(labels, minlength=CLASSES))  # [label, prediction]
    for _, label, prediction, _ in run["errors"]:
        confusion[label, label] -= 1
        confusion[label, prediction] += 1
    errors = confusion * (1 - np.eye(CLASSES, dtype=int))  # the diagonal has no colour
    picture = ax.imshow(np.ma.masked_equal(errors, 0), cmap="YlOrRd", vmin=0)
    ax.set_xticks(np.arange(0.5, CLASSES), minor=True)  # the grid runs between the cells
    ax.set_yticks(np.arange(0.5, CLASSES), minor=True)
    ax.grid(False)
    ax.grid(which="minor")
    ax.tick_params(which="minor", length=0)
    for (label, prediction), count in np.ndenumerate(confusion):
        if label == prediction or count:
            dark = label != prediction and count > 0.6 * errors.max()
            ax.text(prediction, label, f"{count:,}", ha="center", va="center", color=(
                GREY if label == prediction else "white" if dark else "black"))
    ax.set(title=f"LeNet_record, seed {run['seed']}: {errors.sum()} errors of {len(labels):,}",
           xlabel="prediction", ylabel="label", xticks=range(CLASSES), yticks=range(CLASSES))
    figure.colorbar(picture, label="errors (images)")
    return figure


def draw_misclassified(run, images):
    """Every error of the last epoch, the most confident first. Returns a Figure.

    images: uint8 (N, 1, 28, 28), the test set
    """
    errors = sorted(run["errors"], key=lambda error: -error[3])
    shown = errors[:MAX_GALLERY]
    columns, pitch = 10, 1.45
    figure, ax = make_mosaic(columns, pitch * max(1, -(-len(shown) // columns)), (
        f"LeNet_record, seed {run['seed']}: {len(errors)} errors of {len(images):,} test images"
        f"{f', the first {MAX_GALLERY}' if len(errors) > MAX_GALLERY else ''}. Label → prediction, "
        "its probability, index.\nFramed: fewer than 3 of 5 reviewers kept the label "
        "(Northcutt et al. 2021)"))
    for position, (index, label, prediction, probability) in enumerate(shown):
        row, x = divmod(position, columns)
        y = row * pitch
        show_image(ax, images[index, 0], x, y)
        ax.text(x + 0.5, y + 1, f"{label} → {prediction}, {100 * probability:.1f} %\n{index}",
                ha="center", va="top", fontsize=8)
        if index in DOUBTFUL_LABELS:
            ax.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False,
                                   edgecolor=VERMILLION, linewidth=3))
    return figure


def draw_filters(path, image):
    """The first layer: kernels, and what they make of an image uint8 (1, 28, 28). A Figure.

    Raises RunError if `path` does not hold the weights of a LeNet-5.
    """
    model = LeNet5()
    try:
        content = runs.load_checkpoint(path)
        model.load_state_dict(content.get("model", content))
    except Exception as error:  # a file that is not ours fails anywhere, in any way
        raise RunError(f"{path}: no weights of LeNet-5 ({type(error).__name__})") from None
    with torch.inference_mode():
        inputs = make_transform(32)(image[None])  # (1, 1, 32, 32)
        maps = model.conv1(inputs)  # (1, 6, 28, 28)
        pooled = F.relu(F.max_pool2d(maps, 2))  # (1, 6, 14, 14)
    figure, ax = make_mosaic(8, 3, (
        "The first layer of LeNet_record, seed 0. Purple is above zero, orange below; each row has "
        "its own scale"))
    show_image(ax, inputs[0, 0], 1, 0)
    rows = (model.conv1.weight.detach()[:, 0], maps[0], pooled[0])
    words = ("kernels\n5 x 5", "feature maps\n28 x 28", "pooled, ReLU\n14 x 14")
    for y, (row, text) in enumerate(zip(rows, words, strict=True)):
        ax.text(0.04, y + 0.5, text, va="center")
        for x, square in enumerate(row):
            show_image(ax, square, x + 2, y, row.abs().max())
    return figure


def draw_all(series, log_dir):
    """Yields (file name, Figure) of every figure that these series allow."""
    for name, members in series.items():
        for quantity in ("accuracy", "loss"):
            yield (f"{NAMES.get(name, name)}_{quantity}_plot.png",
                   draw_curves(name, members, quantity))
    tested = {name: members for name, members in series.items()
              if members[0]["evaluated_on"] == "test"}
    if tested:
        yield "model_comparison.png", draw_comparison(tested)
    if any(name in series for name in ABLATION):
        yield "ablation.png", draw_ablation(series)
    yield "samples.png", draw_samples(*MNIST(DATA_DIR, train=True)[:])
    for run in series.get("lenet_record", []):
        if run["seed"] == 0:
            images, labels = MNIST(DATA_DIR, train=False)[:]
            yield "confusion_matrix.png", draw_confusion(run, labels)
            yield "misclassified.png", draw_misclassified(run, images)
            weights = log_dir / "lenet_record-seed0.pt"
            if weights.exists():
                yield "filters.png", draw_filters(weights, images[0])


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__.split("\n\n")[0],
                                     allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"plot.py: error: {message}\n")  # no usage lines
    parser.add_argument("--log-dir", type=Path, default=Path("logs"), metavar="DIR",
                        help="default: logs")
    parser.add_argument("--out", type=Path, default=Path("img"), metavar="DIR",
                        help="default: img")
    try:
        args = parser.parse_args(argv)
        series = runs.read_series(args.log_dir)
        runs.make_folder(args.out)
        with style.context(STYLE):
            for name, figure in draw_all(series, args.log_dir):
                buffer = io.BytesIO()
                figure.savefig(buffer, metadata={"Software": None})  # no version in the file
                runs.write_atomically(args.out / name, buffer.getvalue())
                print(args.out / name)
    except SystemExit as stop:
        return stop.code
    except (DataError, RunError) as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
