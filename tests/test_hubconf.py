"""hubconf.py: the published weights, as torch.hub loads them from a folder."""

import json
import re
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

import hubconf
from dataset import DATA_DIR, MNIST, Transform

NAMES = sorted(path.stem.removesuffix("-seed0") for path in ROOT.glob("logs/report/*.pt"))


def test_every_published_net_is_listed():
    """The hub offers whatever can be called and has no underscore, and shows what it says."""
    offered = {name: each for name, each in vars(hubconf).items()
               if callable(each) and not name.startswith("_")}
    assert sorted(offered) == NAMES
    assert all(each.__doc__.startswith(("LeNet-5", "A net of today")) for each in offered.values())


def find_wrong(logits, labels):
    """Which images these logits misread: a list of places."""
    return (logits.argmax(1) != labels).nonzero().squeeze(1).tolist()


def read_wrong(name):
    """Which test images the log of a published net says it misreads."""
    log = json.loads((ROOT / f"logs/report/{name}-seed0.json").read_text("utf-8"))
    return [index for index, *_ in log["errors"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_net_misreads_what_its_log_says(name):
    net = torch.hub.load(str(ROOT), name, source="local")
    images, labels = MNIST(DATA_DIR, train=False, transform=Transform(net.image_size))[:]
    with torch.inference_mode():
        assert find_wrong(net(images), labels) == read_wrong(name)


def test_the_onnx_of_the_docs_misreads_what_the_log_says(tmp_path, monkeypatch, capsys):
    """By another program. Any number of images goes in, though two were shown."""
    onnxruntime = pytest.importorskip("onnxruntime")
    page = (ROOT / "docs/using.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n([^`]*onnx\.export[^`]*)^```$", page, re.MULTILINE)
    assert block.count('"."') == 1
    monkeypatch.chdir(tmp_path)
    exec(block.replace('"."', repr(str(ROOT))))
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.onnx"]
    images, labels = MNIST(DATA_DIR, train=False, transform=Transform(32))[:]
    session = onnxruntime.InferenceSession("lenet.onnx")
    logits, = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert find_wrong(torch.from_numpy(logits), labels) == read_wrong("lenet_hands")


def test_it_needs_no_more_than_it_says(tmp_path):
    """In a process of its own, in another folder, with nothing else of ours on the path."""
    code = ("import sys, torch; before = {*sys.modules}\n"
            f"net = torch.hub.load({str(ROOT)!r}, 'lenet_hands', source='local')\n"
            "print(type(net).__name__, net(torch.zeros(2, 1, 32, 32)).shape[1], net.training)\n"
            "print(*{name.partition('.')[0] for name in {*sys.modules} - before} & {\n"
            "    'scipy', 'matplotlib', 'PIL', 'tqdm', 'filelock', 'torchvision'})")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["LeNet5 10 False", ""]
