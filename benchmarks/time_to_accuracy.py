"""Seconds from the start of a process to 99.0 % test accuracy: ours and the usual pipeline.

    python benchmarks/time_to_accuracy.py         takes some minutes; use an otherwise idle machine
    python benchmarks/time_to_accuracy.py --jobs  compares one process and two on four seeds instead

*ours* is `python main.py --model lenet_fast --seed S` in a fresh interpreter, for five seeds. Its
number of epochs is fixed. A seed that ends below 99.0 % counts as a miss. *torchvision* reads
torchvision.datasets.MNIST image by image. It trains the same net in the usual order of layers and
with the usual settings (SGD 0.01, momentum 0.9, batch 64), and stops after the first epoch that
reaches 99.0 %, which favours it. Prints a Markdown table of the total times and their parts.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
TARGET = 0.99
MOST_EPOCHS = 30  # of the usual pipeline
PARTS = ("import", "data", "train", "evaluation")


class Stopwatch:
    """Adds up seconds by name."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextlib.contextmanager
    def __call__(self, part):
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started


def ours(seed, folder, model="lenet_fast"):
    """Trains with main.py as a user does. Returns seconds by part, test accuracy and epochs."""
    watch = Stopwatch()
    with watch("import"):
        import main

    def timed(part, function):
        def call(*args):
            with watch(part):
                return function(*args)
        return call

    main.load_data = timed("data", main.load_data)
    main.train = timed("train", main.train)
    main.test = timed("evaluation", main.test)
    with contextlib.redirect_stdout(io.StringIO()):
        status = main.main(["--model", model, "--seed", str(seed), "--device", "cpu",
                            "--log-dir", folder, "--checkpoint-dir", folder])
    if status:
        sys.exit(status)
    final = json.loads((Path(folder) / f"{model}-seed{seed}.json").read_text())["final"]
    return watch.seconds, final["test_accuracy"], final["epoch"]


def torchvision(seed, folder, most_epochs=MOST_EPOCHS):
    """Trains with the usual pipeline on the raw files in `folder`. Returns what `ours` returns."""
    watch = Stopwatch()
    with watch("import"):
        import torch
        import torch.nn.functional as F
        from speed import PlainOrderLeNet5, usual_transform
        from torch.utils.data import DataLoader
        from torchvision import datasets
    with watch("data"):
        train_set, test_set = (
            datasets.MNIST(folder, train, transform=usual_transform()) for train in (True, False))
    torch.manual_seed(seed)
    model = PlainOrderLeNet5()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=1000)
    accuracy = epochs = 0
    while accuracy < TARGET and epochs < most_epochs:
        epochs += 1
        with watch("train"):
            model.train()
            for images, labels in train_loader:
                optimizer.zero_grad()
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()
        with watch("evaluation"), torch.no_grad():
            model.eval()
            correct = sum((model(images).argmax(1) == labels).sum().item()
                          for images, labels in test_loader)
        accuracy = correct / len(test_set)
    return watch.seconds, accuracy, epochs


def send(connection, function, args):
    connection.send(function(*args))


def time_process(function, *args):
    """Calls `function(*args)`, which returns a tuple, in a fresh interpreter.

    Returns its result, followed by the seconds from before the start until the result is here.
    """
    context = multiprocessing.get_context("spawn")  # unlike a fork, it has imported nothing yet
    receiver, sender = context.Pipe(duplex=False)
    started = time.perf_counter()
    process = context.Process(target=send, args=(sender, function, args))
    process.start()
    sender.close()  # so that recv() ends if the child fails
    try:
        result = receiver.recv()
    except EOFError:
        sys.exit(f"time_to_accuracy.py: {function.__name__} failed")
    seconds = time.perf_counter() - started
    process.join()
    return *result, seconds


def time_jobs(jobs, *argv):
    """Seconds that `main.py --seeds 4 --jobs N` takes as a process, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        status = subprocess.run(
            [sys.executable, Path(__file__).parents[1] / "main.py", "--seeds", "4", "--jobs",
             str(jobs), "--device", "cpu", "--log-dir", folder, "--checkpoint-dir", folder, *argv],
            stdout=subprocess.DEVNULL).returncode
        seconds = time.perf_counter() - started
    if status:
        sys.exit(status)  # main.py has said why
    return seconds


def compare_jobs():
    """Prints a table: the median of three interleaved repetitions, and the ratio."""
    from speed import describe_machine
    times = [(time_jobs(1, "--model", "lenet_fast"), time_jobs(2, "--model", "lenet_fast"))
             for _ in range(3)]
    one, two = (statistics.median(column) for column in zip(*times, strict=True))
    print("| four seeds of lenet_fast | seconds | times as fast |\n|---|---:|---:|")
    print(f"| `--jobs 1` | {one:.1f} | 1.00 |\n| `--jobs 2` | {two:.1f} | {one / two:.2f} |")
    print(f"\n{describe_machine()}.")


def row(name, parts, accuracy, epochs, seconds):
    """A row of the table. Its column `other` is the interpreter's start, logs and checkpoints."""
    reached = "" if accuracy >= TARGET else ", a miss"
    spent = [seconds, *(parts[part] for part in PARTS), seconds - sum(parts.values())]
    cells = [*(f"{value:.1f}" for value in spent), str(epochs), f"{100 * accuracy:.2f} %{reached}"]
    return f"| {name} | {' | '.join(cells)} |"


def print_table(argv=None):
    parser = argparse.ArgumentParser(
        prog="time_to_accuracy.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--jobs", action="store_true", help="compare main.py's --jobs 1 and 2")
    if parser.parse_args(argv).jobs:
        return compare_jobs()
    print(f"| seconds to {100 * TARGET:.1f} % | in all | {' | '.join(PARTS)} | other | epochs | "
          "test accuracy |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        from speed import describe_machine, write_raw
        write_raw(Path(folder))  # not counted: torchvision's user has these files already
        for function, seeds in ((ours, 5), (torchvision, 3)):
            times, reached = [], 0
            for seed in range(seeds):
                parts, accuracy, epochs, seconds = time_process(function, seed, folder)
                times.append(seconds)
                reached += accuracy >= TARGET
                print(row(f"{function.__name__}, seed {seed}", parts, accuracy, epochs, seconds),
                      flush=True)
            medians[function] = statistics.median(times)
            print(f"| **{function.__name__}, median** | **{medians[function]:.1f}** | | | | | | | "
                  f"{reached} of {seeds} reached it |", flush=True)
    print(f"\nOurs is {medians[torchvision] / medians[ours]:.1f}x as fast. {describe_machine()}.")


if __name__ == "__main__":
    print_table()
