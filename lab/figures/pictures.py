"""Pictures of digits and of nets at work: samples, errors, filters, bitmaps.

The digits are those that a run was measured on. Each function takes their folder, `data_dir`, and
raises what `measured.measured_images` does.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dataset import CLASSES, SIDE, Distortion, Transform
from lab.figures.canvas import Figure, LinearSegmentedColormap, Rectangle
from lab.figures.titles import find_title, wrap
from lab.files import RunError
from lab.runs import watch
from lab.runs.checkpoints import blaming, build_net, describe, read_checkpoint
from lab.runs.identity import find_differences
from lab.runs.measured import find_images, measured_images

# Colour-blind readers can tell these colours apart (Okabe and Ito 2008).
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#666666"
SIGNED = LinearSegmentedColormap.from_list("signed", ["#FF8000", "black", "white"])  # as draw.py
WIDTH = 8.3  # inches: 830 pixels in a README, at 100 to the inch
MAX_GALLERY = 100  # errors shown
MAX_MAPS = 6  # feature maps shown of a layer
WORDS = {"test": "test images", "validation": "held-out images"}  # what a run is measured on
# Test images of MNIST whose given label fewer than 3 of 5 reviewers kept: Northcutt, Athalye and
# Mueller 2021, "Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks".
DOUBTFUL_LABELS = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527,
                   9679, 9729)
MNIST_TEST = {"size": 10_000, "images_crc32": 3838467927, "labels_crc32": 152820446}


def count_errors(count, run, measured):
    """So many errors of the images measured, in words."""
    errors = "error" if count == 1 else "errors"
    return f"{count:,} {errors} of {len(measured):,} {WORDS[run['evaluated_on']]}"


def make_mosaic(columns, rows, caption, width=WIDTH):
    """Makes a Figure and its Axes: a sheet of columns x rows unit squares, y downwards."""
    head = 0.25 + 0.2 * caption.count("\n")  # inches
    figure = Figure(figsize=(width, rows * width / columns + head), dpi=150 * WIDTH / width)
    ax = figure.add_axes((0, 0, 1, rows * width / columns / figure.get_figheight()))
    ax.set_axis_off()
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    figure.text(0.01, 1 - 0.05 / figure.get_figheight(), caption, va="top")
    return figure, ax


def show_image(ax, image, x, y, limit=None):
    """Draws `image` (H, W) into the unit square at x, y: grey, or coloured from -limit to limit."""
    colours = {"cmap": "gray"} if limit is None else {"cmap": SIGNED, "vmin": -limit, "vmax": limit}
    box = (x + 0.04, x + 0.96, y + 0.96, y + 0.04)  # left, right, bottom, top
    ax.imshow(np.asarray(image), extent=box, **colours)


def draw_samples(series, data_dir, recipe):
    """Draws the first training image of each class beside six distortions of it. Returns a Figure.

    series: {name: [run, ...]}, those trained on such distortions. recipe: has their bounds.
    Returns None if no series was trained on the images in `data_dir`.
    """
    dataset = find_images(data_dir, True, [runs[0]["data"]["train"] for runs in series.values()])
    if dataset is None:
        return None
    distortion = Distortion(*(recipe[bound] for bound in Distortion.bounds))
    names = [find_title(name) for name in series]
    if len(names) > 4:
        names[3:] = [f"{len(names) - 3} more"]
    seen_by = " and ".join(filter(None, ["; ".join(names[:-1]), names[-1]]))
    bounds = (f"rotation ± {recipe['rotation']:g}°, translation ± {recipe['translation']:g} "
              f"pixels, scaling ± {100 * recipe['scaling']:g} %, shear ± {recipe['shear']:g}°")
    bounds += f", thickening up to {recipe['thickening']:g}" if recipe["thickening"] else ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        figure, ax = make_mosaic(15, 5, "\n".join((
            "Training images, each beside what augmentation makes of it in six epochs.",
            f"At random within {bounds}.", wrap(f"Trained on them: {seen_by}.", 110))))
        for digit in range(CLASSES):
            x, y = 7.8 * (digit // 5), digit % 5
            image = dataset.images[dataset.labels == digit][:1]
            if len(image) == 0:  # the data lack this class
                continue
            show_image(ax, Transform(32)(image)[0, 0], x, y)
            batch = Transform(32, distortion)(image.expand(6, -1, -1, -1))
            for position, distorted in enumerate(batch[:, 0]):
                show_image(ax, distorted, x + 1.2 + position, y)
    return figure


def draw_confusion(name, run, data_dir):
    """Draws how often the net of `run` took which digit for which. Returns a Figure."""
    _, labels = measured_images(run, data_dir)
    # Small, with many dots to the inch: so it can be read at half the width of a page.
    figure = Figure(figsize=(5, 4.9), dpi=200, layout="constrained")
    ax = figure.subplots()
    confusion = np.diag(np.bincount(labels, minlength=CLASSES))  # [label, prediction]
    for _, label, prediction, _ in run["errors"]:
        confusion[label, label] -= 1
        confusion[label, prediction] += 1
    errors = confusion * (1 - np.eye(CLASSES, dtype=int))  # without the diagonal
    darkest = max(errors.max(), 5)  # a single error is never dark
    ax.imshow(np.ma.masked_equal(errors, 0), cmap="YlOrRd", vmin=0, vmax=darkest)
    ax.set_xticks(np.arange(0.5, CLASSES), minor=True)  # grid lines between the cells
    ax.set_yticks(np.arange(0.5, CLASSES), minor=True)
    ax.grid(False)
    ax.grid(which="minor")
    ax.tick_params(which="minor", length=0)
    for (label, prediction), count in np.ndenumerate(confusion):
        if label == prediction or count:
            dark = label != prediction and count > 0.6 * darkest
            ax.text(prediction, label, f"{count:,}", ha="center", va="center", fontsize=9, color=(
                GREY if label == prediction else "white" if dark else "black"))
    ax.set(title=f"{wrap(name, 40)}, seed {run['seed']}\n"
                 f"{count_errors(errors.sum(), run, labels)}",
           xlabel="prediction", ylabel="label", xticks=range(CLASSES), yticks=range(CLASSES))
    return figure


def draw_misclassified(name, run, data_dir, most=MAX_GALLERY, columns=10, width=WIDTH):
    """Draws the images that the net of `run` misread, the most confident first. Returns a Figure.

    Doubtful labels of MNIST's test set are framed. most: images shown. width: in inches.
    """
    images, _ = measured_images(run, data_dir)
    errors = sorted(run["errors"], key=lambda error: -error[3])
    shown = errors[:most]
    cell, pitch = SIDE + 4, SIDE + 18  # pixels, across and down with a caption
    rows = max(1, -(-len(shown) // columns))
    reviewed = run["data"].get("test") == MNIST_TEST
    caption = [f"{name}, seed {run['seed']}: {count_errors(len(errors), run, images)}"
               f"{f', the surest {most}' if len(errors) > most else ''}.",
               "Below each: label → what the net reads, and how sure it is; then the index of the "
               "image.", *["Framed: fewer than 3 of 5 reviewers kept the label (Northcutt et al. "
                           "2021)"] * reviewed]
    figure, ax = make_mosaic(columns, rows * pitch / cell, "\n".join(
        wrap(line, int(12 * width)) for line in caption), width)
    # A single picture of all images: to draw hundreds of small ones takes seconds.
    sheet = np.full((rows * pitch, columns * cell), 255, np.uint8)
    for position, (index, label, prediction, probability) in enumerate(shown):
        row, column = divmod(position, columns)
        top, left = row * pitch + 2, column * cell + 2
        sheet[top:top + SIDE, left:left + SIDE] = images[index, 0].numpy()
        ax.text(column + 0.5, (top + SIDE) / cell + 0.04,
                f"{label} → {prediction}, {100 * probability:.0f} %\n{index}",
                ha="center", va="top", fontsize=8)
        if reviewed and index in DOUBTFUL_LABELS:
            ax.add_patch(Rectangle((left / cell, top / cell), SIDE / cell, SIDE / cell, fill=False,
                                   edgecolor=VERMILLION, linewidth=3))
    ax.imshow(sheet, cmap="gray", extent=(0, columns, rows * pitch / cell, 0))
    return figure


def find_net(run, paths):
    """Loads the net of a run from the first file of `paths` that is a checkpoint of this run.

    Returns None if there is no such file. Raises RunError if a file is damaged.
    """
    for path in paths:
        if path.exists():
            saved = read_checkpoint(path)
            last = saved.get("history", [run["final"]])[-1]  # published weights have no history
            same = saved["seed"] == run["seed"] and last == run["final"]
            if same and not find_differences(saved, run).keys() - {"code"}:
                with blaming(path):
                    return build_net(saved)
    return None


@torch.inference_mode()
def run_net(net, inputs):
    """What a net answers. Raises RunError: a net of the user's may raise anything."""
    try:
        return net(inputs)
    except Exception as error:
        raise RunError(f"{type(net).__name__} cannot read an image ({describe(error)})") from None


def draw_filters(name, run, net, data_dir):
    """Draws the first convolution: its kernels, and what they make of the first image measured.

    Returns a Figure, or None if the net has no convolution.
    """
    images, _ = measured_images(run, data_dir)
    inputs = Transform(net.image_size)(images[:1])  # (1, 1, side, side)
    with watch.watch(net) as convolutions:
        run_net(net, inputs)
    if not convolutions or not isinstance(convolutions[0].layer, nn.Conv2d):
        return None
    first, *second = convolutions
    kernels = first.layer.weight.detach()[:MAX_MAPS, 0]  # (maps, height, width)
    rows = {"filters": kernels, "what they make\nof the image": first.maps}
    if second:
        rows["what the next\nconvolution gets"] = second[0].received
    figure, ax = make_mosaic(2.4 + len(kernels), len(rows), (
        f"{wrap(name, 80)}, seed {run['seed']}: the filters of the first convolution, and their "
        "work.\nWhite is above zero, orange below; each row has its own scale."))
    ax.text(1.8, 0.94, "the image\n\N{DOWNWARDS ARROW}", ha="center", va="bottom")
    show_image(ax, inputs[0, 0], 1.3, 1)
    for y, (words, row) in enumerate(rows.items()):
        ax.text(0.04, y + 0.5, f"{words}\n{row.shape[1]} x {row.shape[2]}", va="center")
        for x, square in enumerate(row[:MAX_MAPS]):
            show_image(ax, square, x + 2.4, y, row.abs().max())
    return figure


def draw_bitmaps(name, run, net, data_dir):
    """Draws what F6 answers for the first digit of each class, and the bitmap it should answer.

    Returns a Figure, or None if the output of the net is not the distance to bitmaps.
    """
    output = getattr(net, "output", None)
    if not hasattr(output, "bitmaps"):
        return None
    seen = {}
    output.register_forward_pre_hook(lambda _, inputs: seen.update(answers=inputs[0]))
    images, labels = measured_images(run, data_dir)
    firsts = [(labels == digit).nonzero()[0].item() for digit in labels.unique()]  # at most 10
    distances = -run_net(net, Transform(net.image_size)(images[firsts]))  # (digits, 10)
    figure, ax = make_mosaic(2 + CLASSES, 3.6, (
        f"{wrap(name, 80)}, seed {run['seed']}: the first digit of each class among the "
        f"{WORDS[run['evaluated_on']]}.\n"
        "The net answers with 84 numbers, and reads the digit whose bitmap is nearest to them.\n"
        "White is 1 and above, orange -1 and below; an answer may be anything from -1.7 to 1.7."))
    for y, words in enumerate(("bitmap\n12 x 7", "digit", "answer of F6\n84 units")):
        ax.text(0.04, y + 0.5, words, va="center")
    ax.text(0.04, 3.3, "squared distance to\nthe right bitmap, and\nto the nearest other",
            va="center", fontsize=8)
    for x, (first, answer, distance) in enumerate(
            zip(firsts, seen["answers"], distances, strict=True), start=2):
        image, label = images[first], labels[first].item()
        show_image(ax, image[0], x, 1)
        for y, units in ((0, output.bitmaps[label]), (2, answer)):
            # Padded with black to a square, so that pixels are square.
            square = F.pad(units.view(12, 7), (3, 3, 0, 1))
            show_image(ax, square, x, y, 1)
        other = min(set(range(CLASSES)) - {label}, key=distance.__getitem__)
        words = (f"to {each}: {distance[each]:.1f}" for each in (label, other))
        ax.text(x + 0.5, 3.3, "\n".join(words), ha="center", va="center", fontsize=8)
    return figure
