"""Nets as people write them go through main.py, predict.py, draw.py and plot.py.

    python -m pytest tests/test_any_net.py
"""

import http.client
import json
import re
import threading
from pathlib import Path

import pytest
import torch.nn.functional as F
from conftest import png_bytes, write_idx_folder
from torch import nn

import main
import model
import plot
import predict
from lab.page.server import Server


class Halves(nn.Module):
    """`features` and `classifier`, as in torchvision's AlexNet."""
    image_size = 32
    maps = (("features.0", (6, 28, 28)), ("features.4", (16, 10, 10)))

    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(400, 60), nn.ReLU(inplace=True),
                                        nn.Linear(60, 10))
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2))

    def forward(self, images):
        return self.classifier(self.features(images).flatten(1))


class OneSequential(nn.Sequential):
    image_size = 28
    maps = (("0", (20, 24, 24)), ("3", (40, 8, 8)))

    def __init__(self):
        super().__init__(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 40, 5),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2),
                         nn.Linear(640, 10))


class GlobalPooling(nn.Module):
    image_size = 28
    maps = (("block.0", (12, 14, 14)), ("block.2", (10, 7, 7)))

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(),
                                   nn.Conv2d(12, 10, 3, stride=2, padding=1))
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        return self.pool(self.block(images)).flatten(1)


class Rows(nn.Module):
    """An LSTM that reads an image row by row."""
    image_size = 28
    maps = ()

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 20, batch_first=True)
        self.output = nn.Linear(20, 10)

    def forward(self, images):
        states, _ = self.lstm(images.squeeze(1))
        return self.output(states[:, -1])


class Eights(nn.Module):
    """Two convolutions of eight maps. The one that is called first is made last."""
    image_size = 28
    maps = (("first", (8, 26, 26)), ("second", (8, 11, 11)))

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(200, 10)
        self.second = nn.Conv2d(8, 8, 3)
        self.first = nn.Conv2d(1, 8, 3)

    def forward(self, images):
        x = F.max_pool2d(self.first(images).relu(), 2)
        return self.output(F.max_pool2d(self.second(x).relu(), 2).flatten(1))


class Functional(nn.Module):
    image_size = 28
    maps = (("conv1", (4, 28, 28)), ("conv2", (9, 14, 14)))

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 9, 3, padding="same", groups=1)
        self.norm2 = nn.BatchNorm2d(9)
        self.fc = nn.Linear(441, 10)

    def forward(self, images):
        x = F.max_pool2d(F.leaky_relu(self.norm1(self.conv1(images)), inplace=True), 2)
        x = F.max_pool2d(F.leaky_relu(self.norm2(self.conv2(x)), inplace=True), 2)
        x = F.dropout(x.flatten(1), 0.1, self.training)
        return F.log_softmax(self.fc(x), dim=1)


def list_of_nets(*args, listed=plot.list_figures):
    """The figures that depend on the net. The others are drawn from logs and images alone."""
    return [(name, draw) for name, draw in listed(*args) if name.startswith("mine-few_")
            and "_plot" not in name]


@pytest.fixture
def mine(monkeypatch, tmp_path, small_digits):
    """A function that trains a net for an epoch, as `--model mine`; returns main.py's status."""
    monkeypatch.chdir(tmp_path)
    write_idx_folder(tmp_path / "few", {split: (images[:count], labels[:count]) for count, (
        split, (images, labels)) in zip((200, 30), small_digits.items(), strict=True)})
    monkeypatch.setitem(plot.STYLE[1], "figure.dpi", 40)  # which saves seconds
    monkeypatch.setattr(plot, "list_figures", list_of_nets)

    def train(kind):
        monkeypatch.setattr(model, kind.__name__, kind, raising=False)
        monkeypatch.setitem(main.RECIPES, "mine", main.Recipe(kind, epochs=1, batch_size=20))
        return main.main(["--model", "mine", "--data-dir", "few"])
    return train


WEIGHTS = "checkpoints/mine-few-seed0.pt"


def ask_page(content):
    """What the page gets for the bytes of a picture: the status and the JSON."""
    with Server(0, Path(WEIGHTS)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address, timeout=60)
        connection.request("POST", "/read", content)
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        server.shutdown()
        thread.join()
    return found


def save_picture(digits, folder):
    content = png_bytes(digits["test"][0][0])
    (folder / "seven.png").write_bytes(content)
    return content


@pytest.mark.parametrize("kind", [Halves, OneSequential, GlobalPooling, Rows, Eights, Functional])
def test_a_net_that_trains_is_read_shown_and_drawn(kind, mine, digits, tmp_path, capsys):
    assert mine(kind) == 0
    content = save_picture(digits, tmp_path)
    capsys.readouterr()

    assert predict.main(["seven.png", "--weights", WEIGHTS]) == 0
    said = capsys.readouterr()
    digit, share = re.fullmatch(
        r"seven\.png: (\d)  \(([\d.]+) %, then \d with [\d.]+ %\)(?:, doubtful)?\n",
        said.out).groups()
    assert said.err.count("\n") == 1  # the weights were trained on other data

    status, answer = ask_page(content)
    assert (status, answer["digit"], len(answer["probabilities"])) == (200, int(digit), 10)
    assert f"{100 * answer['probabilities'][int(digit)]:.1f}" == share
    assert tuple((maps["name"], tuple(maps["size"])) for maps in answer["maps"]) == kind.maps

    assert plot.main(["--data-dir", "few"]) == 0
    assert capsys.readouterr().err == ""
    drawn = {path.name for path in (tmp_path / "img").iterdir()}
    kinds = ["confusion_matrix", "misclassified", *["filters"] * bool(kind.maps)]
    assert drawn == {f"mine-few_{kind}.png" for kind in kinds}


class Hundred(OneSequential):
    """A net that trains, as cross entropy asks for no certain number of classes."""

    def __init__(self):
        super().__init__()
        self[-1] = nn.Linear(640, 100)


class Squeezed(OneSequential):
    """Of a batch of one it makes an image without a batch."""

    def forward(self, images):
        return super().forward(images).squeeze()


@pytest.mark.parametrize(("kind", "returned"), [
    (Hundred, "(1, 100)"), (Squeezed, "(10,)")])
def test_a_net_that_returns_something_else_is_refused_before_it_trains(
        kind, returned, mine, tmp_path, capsys):
    assert mine(kind) == 1
    assert capsys.readouterr().err == (
        f"main.py: {kind.__name__} returns {returned} for one image; logits of the shape (1, 10) "
        "are needed\n")
    assert {path.name for path in tmp_path.iterdir()} == {"few"}


class Edited:
    """What may become of a net after it was trained."""

    def few(self, images):
        return nn.Sequential.forward(self, images)[:, :7]

    def nothing(self, images):
        return nn.Sequential.forward(self, images) * float("nan")

    def fault(self, images):
        raise KeyError("two\nlines")


@pytest.mark.parametrize(("edited", "words"), [
    (Edited.few, "ValueError: OneSequential returns 7 values for a picture, not 10"),
    (Edited.nothing, "ValueError: OneSequential returns values that are not finite"),
    (Edited.fault, r"KeyError: 'two\nlines'")], ids=lambda value: getattr(value, "__name__", ""))
def test_a_net_that_was_edited_is_one_line_everywhere(
        edited, words, mine, digits, tmp_path, monkeypatch, capfd):
    assert mine(OneSequential) == 0
    content = save_picture(digits, tmp_path)
    capfd.readouterr()
    monkeypatch.setattr(OneSequential, "forward", edited)

    assert predict.main(["seven.png", "--weights", WEIGHTS]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[1:] == [
        f"predict.py: {WEIGHTS}: cannot read seven.png ({words})"]

    status, answer = ask_page(content)
    line = f"{tmp_path / WEIGHTS}: cannot read the picture ({words})"
    assert (status, answer) == (500, {"error": line})
    assert capfd.readouterr().err == f"draw.py: {line}\n"

    failed = edited is Edited.fault
    assert plot.main(["--data-dir", "few"]) == failed
    assert capfd.readouterr().err == failed * (
        f"plot.py: OneSequential cannot read an image ({words}); left out: mine-few_filters.png\n")
