"""Writes logs and weights of made-up runs, and reads figures. Several test files use it."""

import functools
import re
from dataclasses import replace

import numpy as np
import torch

import dataset
from lab.runs.identity import as_dict
from lab.runs.series import find_logs, name_run, read_series
from lab.training.run import Run
from main import RECIPES

ERRORS = [[947, 8, 9, 0.62], [582, 8, 2, 0.7], [9729, 5, 6, 0.99], [9642, 9, 7, 0.51],
          [4176, 2, 7, 0.985], [674, 5, 3, 0.9], [2130, 4, 9, 0.75]]  # real labels of MNIST


def make_history(seed, epochs):
    """A history whose every number is its own, so that none can be taken for another."""
    return [{"epoch": epoch, "learning_rate": 0.1,
             "train_loss": 0.9 / epoch + 0.013 * seed, "train_accuracy": 1 - 0.31 / epoch**3,
             "test_loss": 0.2 / epoch + 0.017 * seed,
             "test_accuracy": 1 - 0.031 / epoch - 0.0011 * seed, "seconds": 1.5}
            for epoch in range(1, epochs + 1)]


@functools.cache
def fingerprint(train):
    """The fingerprint of MNIST's training or test images."""
    return dataset.MNIST(dataset.DATA_DIR, train).fingerprint()


def write_runs(folder, name, histories, recipe, data, evaluated_on="test", model=None, first=0,
               errors=(), **more):
    """Writes the logs of a run for each of `histories`, with seeds from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, history in enumerate(histories, start=first):
        write_log(folder, name, seed, history, as_dict(recipe), data, evaluated_on, model or name,
                  errors, **more)


def write_log(folder, name, seed, history, recipe, data, evaluated_on="test", model="lenet",
              errors=(), **more):
    """Writes CSV and JSON of a run, as main.py does. more: in its identity."""
    identity = {"model": model, "seed": seed, "recipe": recipe, "data": data, "images": 60_000,
                "code": {"main.train": "1"}, "parameters": 61_706, "evaluated_on": evaluated_on,
                **more}
    run = Run(folder, folder, name_run(name, seed), identity, history=history,
              answers={"errors": list(errors)}, environments=[{}],
              complete=len(history) == recipe["epochs"])
    run.write_log()


def write_series(folder, name, accuracies, recipe=RECIPES["lenet"], size=10_000, epochs=1,
                 evaluated_on="test", **options):
    """Writes a log of one epoch for each accuracy; unfinished where `epochs` is more than 1.

    size: of the data that were measured on. options: of `write_runs`.
    """
    histories = [[{"epoch": 1, "learning_rate": 0.1, "train_loss": 0.5, "train_accuracy": 0.9,
                   "test_loss": 0.4, "test_accuracy": accuracy, "seconds": 450.0}]
                 for accuracy in accuracies]
    data = {"train": {"size": 60_000}, evaluated_on: {"size": size}}
    write_runs(folder, name, histories, replace(recipe, epochs=epochs), data, evaluated_on,
               **options)


def write_curves(folder, name, seeds=1, evaluated_on="test", epochs=3, done=None, first=0,
                 data=None, errors=(), **changes):
    """Writes logs of several epochs, of the model that `name` begins with; returns the histories.

    done: the number of epochs so far, if not all. data: the fingerprint of what was measured on, if
    not MNIST's. changes: of the recipe.
    """
    model = re.match(r"\w+", name)[0]
    histories = [make_history(seed, epochs)[:done] for seed in range(first, first + seeds)]
    data = {"train": fingerprint(True),
            evaluated_on: data or fingerprint(evaluated_on == "validation")}
    write_runs(folder, name, histories, replace(RECIPES[model], epochs=epochs, **changes), data,
               evaluated_on, model, first, errors)
    return histories


def write_weights(folder, name, kind, **changes):
    """Writes a checkpoint of seed 0 beside its log; returns the weights."""
    torch.manual_seed(5)
    weights = kind().state_dict()
    run = read(folder)[name][0]
    content = {**run, "history": [run["final"]], "model": weights, **changes}
    torch.save(content, folder / f"{name}-seed0.pt")
    return weights


def read(folder):
    """All series of a folder: {name: [run, ...]}."""
    return {name: read_series(paths) for name, paths in find_logs(folder)[0].items()}


def rows_of(text):
    """The cells of a Markdown table's rows, without its header."""
    return [row.replace("&nbsp;", " ")[2:-2].split(" | ")
            for row in text.splitlines() if row.startswith("| ")][2:]


def texts(figure):
    """The texts in the Axes of a figure."""
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def images(figure):
    """The images of a mosaic by their place: {(x, y): array}."""
    found = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        found[round(left, 1), round(top, 1)] = np.asarray(image.get_array())
    return found


def read_dots(figure):
    """Reads each row of dots: its label, the dots, the mean, and the ends of its error bar."""
    ax, found = figure.axes[0], []
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    for label, line, bar in zip(ax.get_yticklabels(), dots, ax.containers, strict=True):
        ends = bar.lines[2][0].get_segments()[0][:, 0]
        found.append((label.get_text(), list(line.get_xdata()), bar.lines[0].get_xdata()[0],
                      tuple(ends)))
    return found


def legend_labels(figure):
    """The labels in the legend of the first Axes."""
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def gallery(figure):
    """Cuts a gallery of errors into its images, in the order of their captions."""
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    found = []
    for text in figure.axes[0].texts:
        x, y = text.get_position()
        bottom, centre = round(32 * y - 1.28), round(32 * x)  # 0.04 above its caption
        found.append(sheet[bottom - 28:bottom, centre - 14:centre + 14])
    return found
