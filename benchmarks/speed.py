"""Training speed in images per second, ours and the usual pipelines side by side.

    python benchmarks/speed.py           takes a few minutes; use an otherwise idle machine
    python benchmarks/speed.py --quick   takes less than a minute, and is less precise

Prints two Markdown tables. The first has medians over interleaved repetitions, their spread, and
how many times as fast our pipeline is. The second compares batch sizes. All pipelines train the
same 61,706 parameters with the same optimizer. The Keras row needs
`pip install keras tensorflow-cpu`. benchmarks/README.md lists what else was tried.
"""

import argparse
import datetime
import gzip
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms

sys.path.insert(0, str(Path(__file__).parents[1]))
import main
from dataset import DATA_DIR, MEAN, MNIST, STD, load_data, make_loader
from lab.machine import environment
from model import LeNet5

BATCH = 256
LR, MOMENTUM = 0.01, 0.9
WORKERS = (0, 2)

# Multiply-adds of LeNet-5 for one image, forward: 28 x 28 x 6 x 25 = 117,600 (first convolution),
# 10 x 10 x 16 x 150 = 240,000 (second), 400 x 120 + 120 x 84 + 84 x 10 = 58,920 (the rest).
# Backward takes the same number for the gradients of the weights, and again for the gradients of
# the inputs, except that the images need no gradient.
FORWARD = 117_600 + 240_000 + 58_920  # 416,520
FLOP = 2 * (3 * FORWARD - 117_600)  # 2,263,920: 1.13 million multiply-adds


@dataclass
class Pipeline:
    """One row of a table: `work()` trains on `images` images."""

    name: str
    images: int  # in a repetition
    work: Callable
    comparable: tuple = ("plain",)  # which of our two rows it is compared with


class PlainOrderLeNet5(LeNet5):
    """The same function as LeNet5, in the usual order: convolution, ReLU, pooling."""

    def features(self, images):
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)
        return F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)


class PngFiles(Dataset):
    """The usual solution of this task: each image is a PNG file, opened and transformed alone."""

    def __init__(self, folder, transform):
        self.paths, self.transform = sorted(folder.glob("*.png")), transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        return self.transform(Image.open(path)), int(path.stem.split("_")[1])


def write_pngs(folder, images, labels):
    """Writes images, uint8 (N, 1, 28, 28), as `{index}_{label}.png`."""
    folder.mkdir()
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image[0].numpy()).save(folder / f"{index}_{label}.png")


def write_raw(folder):
    """Writes the four IDX files to where torchvision.datasets.MNIST(folder) looks for them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in DATA_DIR.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))


def usual_transform(*first):
    """The transform of a single image: PIL 28x28 -> float32 (1, 32, 32), normalised."""
    steps = [*first, transforms.Pad(2), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose(steps)


def make_net(net, layout):
    """Net and optimizer, as main.train_run() makes them."""
    model = net().to(memory_format=layout)
    return model, torch.optim.SGD(
        model.parameters(), lr=LR, momentum=MOMENTUM, nesterov=True, fused=True)


def train(model, optimizer, loader, **options):
    main.train(model, loader, optimizer, [LR] * len(loader), **options)


def make_usual(name, dataset, workers, comparable=("plain",)):
    trained = make_net(PlainOrderLeNet5, torch.contiguous_format)
    # The workers persist, since starting them takes longer than a repetition should.
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers,
                        persistent_workers=workers > 0)
    return Pipeline(f"{name}, {workers} workers", len(dataset),
                    lambda: train(*trained, loader), comparable)


def make_ours(name, train_set, batch_size=BATCH, net=LeNet5, layout=torch.channels_last,
              comparable=("plain",), **options):
    trained = make_net(net, layout)
    return Pipeline(name, len(train_set), lambda: train(
        *trained, make_loader(train_set, batch_size, shuffle=True), **options), comparable)


def make_step(images, labels, steps):
    """Forward, backward and optimizer on the same batch again and again: loading costs nothing."""
    model, optimizer = make_net(LeNet5, torch.channels_last)

    def repeat():
        for _ in range(steps):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return Pipeline("step alone, on one batch in memory", steps * len(images), repeat,
                    ("plain", "augmented"))


def make_ceiling(side):
    """A float32 matrix product, counted as the images that its arithmetic would train."""
    one, other = torch.rand(2, side, side)
    return Pipeline("ceiling: matrix product, float32", 2 * side**3 / FLOP, lambda: one @ other)


def make_keras(images, labels):
    """The same net, trained by Keras on arrays (N, 32, 32, 1). None if Keras is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
        from keras import layers
    except ImportError:
        return None
    model = keras.Sequential([
        keras.Input((32, 32, 1)),
        layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(120, "relu"), layers.Dense(84, "relu"), layers.Dense(10)])
    assert model.count_params() == 61_706
    model.compile(
        keras.optimizers.SGD(LR, MOMENTUM, nesterov=True), metrics=["accuracy"],
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pixels, classes = images.permute(0, 2, 3, 1).numpy(), labels.numpy()
    return Pipeline(
        f"Keras {keras.__version__} on {keras.backend.backend()}, arrays in memory", len(labels),
        lambda: model.fit(pixels, classes, batch_size=BATCH, verbose=0))


def make_pipelines(folder, slow, fast):
    """Returns the rows of the first table, and those of the second as {(batch size, kind): row}.

    folder: receives the files of the usual pipelines.
    slow, fast: images in a repetition, for pipelines that load single images and for all others.
    """
    few, many = torch.randperm(60_000)[:slow], torch.randperm(60_000)[:fast]
    write_pngs(folder / "png", *MNIST(DATA_DIR, train=True)[few])
    write_raw(folder)
    ours = {}
    for kind, model in {"plain": "lenet", "augmented": "lenet_augment"}.items():
        recipe = main.RECIPES[model]
        train_set, _, _ = load_data(DATA_DIR, *main.make_transforms(recipe))
        ours[kind] = train_set.select(many)
    shift = recipe.translation / 28
    affine = transforms.RandomAffine(
        recipe.rotation, (shift, shift), (1 - recipe.scaling, 1 + recipe.scaling), recipe.shear)

    files = PngFiles(folder / "png", usual_transform())
    distorted = PngFiles(folder / "png", usual_transform(affine))
    single = Subset(datasets.MNIST(folder, transform=usual_transform()), few.tolist())
    first = [make_usual("classic: PNG files", files, workers) for workers in WORKERS]
    first += [make_usual("classic with RandomAffine", distorted, workers, ("augmented",))
              for workers in WORKERS]
    first += [make_usual("torchvision.datasets.MNIST", single, workers) for workers in WORKERS]
    first.append(make_keras(*ours["plain"][:]))
    first.append(make_ours("in memory: ours, net in plain order and layout", ours["plain"],
                           net=PlainOrderLeNet5, layout=torch.contiguous_format))
    for kind, train_set in ours.items():
        first.append(make_ours(f"**ours, {kind}**", train_set, comparable=(kind,)))
        first.append(make_ours(f"ours, {kind}, --bf16", train_set, comparable=(kind,), bf16=True))
    images, labels = ours["plain"][:BATCH]
    first.append(make_step(images, labels, steps=fast // BATCH))
    first.append(make_ceiling(2048))
    second = {(size, kind): make_ours(f"{size}, {kind}", train_set, size)
              for size in (64, 128, 256, 512) for kind, train_set in ours.items()}
    return first, second


def measure(pipelines, repetitions):
    """Images per second, {name: [one a repetition]}. Each repetition runs every pipeline once."""
    rates = {pipeline.name: [] for pipeline in pipelines}
    for repetition in range(repetitions + 1):
        print(f"repetition {repetition} of {repetitions}" if repetition else "warm-up",
              file=sys.stderr)
        for pipeline in pipelines:
            started = time.perf_counter()
            pipeline.work()
            seconds = time.perf_counter() - started
            if repetition:
                rates[pipeline.name].append(pipeline.images / seconds)
    return rates


def first_table(pipelines, rates):
    """The lines of a Markdown table. A ratio is our median divided by the row's median."""
    ours = {kind: statistics.median(rates[f"**ours, {kind}**"]) for kind in ("plain", "augmented")}
    lines = [f"| batch {BATCH} | images/s | min to max | ours is, plain | augmented |",
             "|---|---:|---:|---:|---:|"]
    for pipeline in pipelines:
        if pipeline is None:
            lines.append("| Keras: not installed | | | | |")
            continue
        values = rates[pipeline.name]
        median = statistics.median(values)
        ratios = [f"{ours[kind] / median:.2f}x" if kind in pipeline.comparable else ""
                  for kind in ours]
        lines.append(f"| {pipeline.name} | {median:,.0f} | {min(values):,.0f} to "
                     f"{max(values):,.0f} | {' | '.join(ratios)} |")
    return lines


def second_table(pipelines, rates):
    lines = ["| ours, batch size | plain, images/s | min to max | augmented, images/s | "
             "min to max |", "|---|---:|---:|---:|---:|"]
    for size in dict.fromkeys(size for size, _ in pipelines):
        cells = []
        for kind in ("plain", "augmented"):
            values = rates[pipelines[size, kind].name]
            cells += [f"{statistics.median(values):,.0f}",
                      f"{min(values):,.0f} to {max(values):,.0f}"]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return lines


def describe_machine():
    machine = environment("cpu")
    return (f"{os.cpu_count()} cores, {machine['cpu']}, torch {machine['torch']}, "
            f"threads: {machine['threads']}, Python {platform.python_version()}, "
            f"{datetime.date.today()}")


def print_tables(argv=None):
    parser = argparse.ArgumentParser(prog="speed.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and repetitions")
    quick = parser.parse_args(argv).quick
    slow, fast, repetitions = (1_000, 6_000, 3) if quick else (6_000, 60_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        first, second = make_pipelines(Path(folder), slow, fast)
        pipelines = [pipeline for pipeline in (*first, *second.values()) if pipeline]
        rates = measure(pipelines, repetitions)
    print("\n".join([*first_table(first, rates), "", *second_table(second, rates), ""]))
    print(f"Median of {repetitions} repetitions. {describe_machine()}.")


if __name__ == "__main__":
    print_tables()
