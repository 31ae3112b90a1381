"""What can be read as a checkpoint, and what is said of what cannot.

    python -m pytest tests/lab/runs/test_checkpoints.py
"""

import re
import zipfile

import pytest
import torch
from conftest import filling_no_memory
from torch import nn

import model
from dataset import DATA_DIR, MNIST
from lab.digits.prepare import WEIGHTS
from lab.files import RunError
from lab.runs import checkpoints
from model import LeNet5


@pytest.fixture
def save(tmp_path):
    """A function that saves weights of LeNet5 as a checkpoint. Returns its path."""
    def save(weights=None, net="LeNet5", **more):
        path = tmp_path / "run.pt"
        torch.save({"recipe": {"net": net, "dropout": None},
                    "model": LeNet5().state_dict() if weights is None else weights, **more}, path)
        return path
    return save


@pytest.mark.parametrize("packs", [
    pytest.param(lambda name: True, id="all entries"),
    pytest.param(lambda name: name.endswith("data/0"), id="the weights"),
    pytest.param(lambda name: name.endswith("version"), id="a small one")])
def test_compressed_checkpoint_is_refused_before_it_fills_the_memory(tmp_path, packs):
    path, packed = tmp_path / "run.pt", tmp_path / "packed.pt"
    torch.save({"model": torch.zeros(2**20)}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w") as copy:
        for name in whole.namelist():
            kind = zipfile.ZIP_DEFLATED if packs(name) else zipfile.ZIP_STORED
            copy.writestr(name, whole.read(name), kind)
    assert checkpoints.load_checkpoint(path)["model"].shape == (2**20,)
    with filling_no_memory(), pytest.raises(ValueError, match="compressed"):
        checkpoints.load_checkpoint(packed)


def test_what_is_wrong_with_a_file_is_said(save, tmp_path):
    def cause(path):
        with pytest.raises(RunError) as caught:
            checkpoints.read_checkpoint(path)
        fault = re.escape(f"{path}: damaged, or not a checkpoint of main.py ")
        return re.fullmatch(rf"{fault}\((.+)\)", str(caught.value))[1]  # one line

    assert cause(save()) == "ValueError: no data, evaluated_on, seed in it"
    assert cause(save(data=print)) == "UnpicklingError: Weights only load failed"
    path = save({"mark": torch.tensor([123456789])})
    path.write_bytes(path.read_bytes().replace((123456789).to_bytes(4, "little"), b"1234"))
    assert cause(path) == "ValueError: wrong checksum of 'run/data/0' in it"
    path.write_bytes(path.read_bytes()[:-9])
    assert cause(path) == "BadZipFile: File is not a zip file"
    torch.save([1, 2], path)
    assert "'list'" in cause(path)
    assert cause(tmp_path) == "IsADirectoryError"


def test_the_net_has_the_weights_of_the_file(save):
    weights = LeNet5().state_dict()
    read = checkpoints.read_net(save(weights)).state_dict()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_no_file_and_no_key_are_said(tmp_path):
    with pytest.raises(RunError, match=r"none\.pt: no such file$"):
        checkpoints.read_net(tmp_path / "none.pt")
    torch.save({"model": {}}, tmp_path / "run.pt")
    with pytest.raises(RunError, match=r"\(KeyError: 'recipe'\)$"):
        checkpoints.read_net(tmp_path / "run.pt")


def test_a_file_that_may_not_be_read_is_not_called_damaged(save):
    with pytest.raises(RunError) as caught, checkpoints.blaming("run.pt"):
        raise PermissionError(13, "Permission denied", "run.pt")
    assert str(caught.value) == "run.pt: cannot be read: Permission denied"
    assert checkpoints.read_net(save())  # nothing else is wrong with this


# model.py has been edited


class Widened(LeNet5):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)


class Grown(LeNet5):
    def __init__(self):
        super().__init__()
        self.conv3 = nn.Conv2d(16, 16, 3)


class Shrunk(LeNet5):
    def __init__(self):
        super().__init__()
        del self.fc2


class Asking(LeNet5):
    def __init__(self, width):
        super().__init__()


@pytest.mark.parametrize(("edited", "words"), [
    (Widened, "model.py's LeNet5 no longer fits it: conv1.weight is 8x1x5x5 there, "
              "6x1x5x5 in the file"),
    (Grown, "model.py's LeNet5 no longer fits it: conv3.weight is 16x16x3x3 there, missing in the "
            "file"),
    (Shrunk, "model.py's LeNet5 no longer fits it: fc2.weight is missing there, 84x120 in the "
             "file"),
    (Asking, "model.py's LeNet5 cannot be made with dropout None (TypeError: Asking.__init__() "
             "missing 1 required positional argument: 'width')"),
    (None, "model.py has no class 'LeNet5'"),
    (dict, "model.py has no class 'LeNet5'")])
def test_what_no_longer_fits_is_said(edited, words, save, monkeypatch):
    path = save()
    monkeypatch.delattr(model, "LeNet5")
    if edited:
        monkeypatch.setattr(model, "LeNet5", edited, raising=False)
    with pytest.raises(RunError) as caught:
        checkpoints.read_net(path)
    assert str(caught.value) == f"{path}: {words}"


def test_what_does_not_fit_is_said_when_a_run_resumes():
    with pytest.raises(RunError) as caught, checkpoints.blaming("run.pt"):
        Widened().load_state_dict(LeNet5().state_dict())  # as Run.restore does
    assert "\n" not in str(caught.value)
    assert "size mismatch for conv1.weight: " in str(caught.value)


# Data


def test_the_data_are_mnist_the_others_are_not(save):
    assert MNIST(DATA_DIR, True).fingerprint() == checkpoints.MNIST_TRAIN
    assert checkpoints.read_weights(WEIGHTS)[1] == ""
    mnist, other = checkpoints.MNIST_TRAIN, {**checkpoints.MNIST_TRAIN, "images_crc32": 1}
    for data, known in ((None, True), ({"train": mnist, "validation": mnist}, True),
                        ({"train": other, "test": mnist}, False)):
        path = save(**({"data": data} if data else {}))
        net, caution = checkpoints.read_weights(path)
        assert isinstance(net, LeNet5)
        assert not net.training
        assert caution == ("" if known else checkpoints.OTHER_DATA)
