"""A net that could not train, or not be used afterwards, is refused in one line before it trains.

    python -m pytest tests/lab/training/test_check.py

Each class is a net with one fault, as people write it; to add a fault, add a class and a row.
"""

import inspect
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_any_net import Eights, Functional, GlobalPooling, Halves, OneSequential, Rows
from torch import nn

import main
from dataset import Transform
from lab.files import RunError
from lab.training.check import check_net, describe_fault


class Small(nn.Module):
    """A net without a fault."""
    image_size = 28

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5, stride=3)
        self.fc = nn.Linear(256, 10)

    def features(self, images):
        return self.conv(images).relu().flatten(1)

    def forward(self, images):
        return self.fc(self.features(images))


@pytest.fixture
def check(digits):
    """Checks a class with the first test digits; returns the cautions."""
    def run(kind, dropout=None, last_batch=2):
        images = Transform(kind.image_size)(torch.from_numpy(digits["test"][0][:4, None].copy()))
        given = images.clone()
        try:
            return check_net(kind, dropout, images, last_batch)
        finally:
            assert torch.equal(images, given)
    return run


def place(function, line):
    """The place of a line of a function, counted from its def."""
    path = Path(__file__).relative_to(Path(main.__file__).parent)
    return f"({path}, line {inspect.getsourcelines(function)[1] + line})"


# What trains, and is of no use

class AlwaysDropped(Small):
    def forward(self, images):
        return self.fc(F.dropout(self.features(images)))


class SoftmaxOverBatch(Small):
    def forward(self, images):
        return F.log_softmax(super().forward(images), dim=0)


class ScaledOverBatch(Small):
    def forward(self, images):
        return super().forward((images - images.mean()) / images.std())


class MixedALittle(Small):
    """A fault of a hundredth, in logits that are small themselves."""

    def forward(self, images):
        logits = super().forward(images) / 1000
        return logits - logits.mean(0) / 100


class BatchAsTime(Rows):
    """Without batch_first, the LSTM reads the images one after the other."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 20)


class LayersInList(Small):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(256, 256)]

    def forward(self, images):
        return self.fc(self.hidden[0](self.features(images)))


class NormsInList(LayersInList):
    """A second one starts with the same weights."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.BatchNorm1d(256)]


class LayerMadeInForward(Small):
    def forward(self, images):
        return nn.Linear(10, 10)(super().forward(images))


class TensorOutside(Small):
    def __init__(self):
        super().__init__()
        self.mask = torch.rand(10)

    def forward(self, images):
        return super().forward(images) * self.mask


# What cannot train

class Lazy(Small):
    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(10)


class NothingToTrain(nn.Module):
    image_size = 28

    def forward(self, images):
        return images.flatten(1)[:, 300:310]


class Frozen(Small):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class WrongSize(Small):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(300, 10)

    def forward(self, images):
        x = self.features(images)
        return self.fc(x)


class NoSuper(Small):
    def __init__(self):
        self.conv = nn.Conv2d(1, 4, 5, stride=3)


class OtherArguments(Small):
    def __init__(self, width, depth):
        super().__init__()


class FixedBatch(Small):
    def forward(self, images):
        return self.fc(self.features(images).view(100, -1))


class Detached(Small):
    def forward(self, images):
        return super().forward(images).detach()


class GradientInForward(Small):
    """There is none when the net is tested."""

    def forward(self, images):
        logits = super().forward(images)
        torch.autograd.grad(logits.sum(), self.conv.bias, retain_graph=True)
        return logits


class InPlace(Small):
    def forward(self, images):
        x = self.features(images).sigmoid()
        x += 1
        return self.fc(x)


class NormedVectors(Small):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(10)

    def forward(self, images):
        return self.norm(super().forward(images))


# What returns something else

class Hundred(Small):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(256, 100)


class Seven(Small):
    def forward(self, images):
        return super().forward(images)[:, :7]


class Squeezed(Small):
    def forward(self, images):
        return super().forward(images).squeeze()


class PairInTraining(Small):
    def forward(self, images):
        logits = super().forward(images)
        return (logits, logits) if self.training else logits


class Whole(Small):
    def forward(self, images):
        return super().forward(images).long()


class Infinite(Small):
    def forward(self, images):
        return super().forward(images).abs().neg().log()


IN_LIST = "neither trained nor saved; keep layers in nn.ModuleList"


@pytest.mark.parametrize(("kind", "line"), [
    (AlwaysDropped, "AlwaysDropped answers differently for the same images; .* F.dropout "
     "training=self.training"),
    (SoftmaxOverBatch, "SoftmaxOverBatch answers differently for an image alone than in a batch; "),
    (ScaledOverBatch, "answers differently for an image alone"),
    (MixedALittle, "answers differently for an image alone"),
    (BatchAsTime, "answers differently for an image alone"),
    (LayersInList, rf"LayersInList has weights \(256, 256\) that are {IN_LIST}"),
    (NormsInList, IN_LIST),
    (LayerMadeInForward, IN_LIST),
    (TensorOutside, "answers differently once its weights are saved and loaded; .*nn.ModuleList"),
    (Lazy, "Lazy has a LazyLinear, .*; write its sizes out"),
    (NothingToTrain, "NothingToTrain has no parameters to train; "),
    (Frozen, "Frozen has no parameters to train; "),
    (OtherArguments, r"OtherArguments cannot be made by OtherArguments\(\): TypeError: .*__init__"
     r"\(\) missing 2 required positional arguments: 'width' and 'depth' \(model.py, line \d+\)$"),
    (FixedBatch, r"FixedBatch: RuntimeError: shape '\[100, -1\]' is invalid for input of size "),
    (Detached, "Detached: RuntimeError: element 0 of tensors does not require grad.*grad_fn$"),
    (GradientInForward, r"GradientInForward: RuntimeError: .* \(tests.*test_check.py, line \d+\)$"),
    (InPlace, "InPlace: RuntimeError: one of the variables needed for gradient .* inplace"),
    (Hundred, r"Hundred returns \(1, 100\) for one image; logits of the shape \(1, 10\) are need"),
    (Seven, r"Seven returns \(4, 7\) for 4 images; logits of the shape \(4, 10\) are needed$"),
    (Squeezed, r"Squeezed returns \(10,\) for one image; logits of the shape \(1, 10\) are need"),
    (PairInTraining, "PairInTraining returns tuple for 4 images; "),
    (Whole, "Whole returns torch.int64 for 4 images; "),
    (Infinite, "Infinite returns values that are not finite$"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_net_with_a_fault_is_refused(kind, line, check):
    with pytest.raises(RunError, match=line) as caught:
        check(kind)
    assert str(caught.value).startswith(kind.__name__)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_net_is_told_with_its_place(check):
    with pytest.raises(RunError) as caught:
        check(WrongSize)
    assert str(caught.value) == (
        "WrongSize: RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x256 and 300x10) "
        + place(WrongSize.forward, 2))
    with pytest.raises(RunError) as caught:
        check(NoSuper)
    assert str(caught.value) == (
        "NoSuper cannot be made by NoSuper(): AttributeError: cannot assign module before "
        "Module.__init__() call " + place(NoSuper.__init__, 1))
    with pytest.raises(RunError, match=r"^Small cannot be made by Small\(0.5\): TypeError: "):
        check(Small, dropout=0.5)


def test_batch_norm_is_refused_only_where_the_last_batch_is_one_image(check):
    assert check(NormedVectors, last_batch=2) == []
    with pytest.raises(RunError, match=r"cannot train on one image, .* another --batch-size \(Val"):
        check(NormedVectors, last_batch=1)


# What passes

class Probabilities(Small):
    def forward(self, images):
        return super().forward(images).softmax(1)


def test_probabilities_get_a_caution(check):
    assert check(Probabilities) == ["Probabilities returns probabilities; leave its softmax out, "
                                    "as cross entropy has one"]


class StartGiven(Rows):
    """As in tutorials: it asks for the gradient of a constant that each batch makes anew."""

    def forward(self, images):
        start = torch.zeros(1, len(images), 20).requires_grad_()
        states, _ = self.lstm(images.squeeze(1), (start.detach(), start))
        return self.output(states[:, -1])


class Positive(Small):
    def forward(self, images):
        return super().forward(images).exp()


class SumOfOne(Small):
    def forward(self, images):
        logits = super().forward(images)
        return logits - logits.mean(1, keepdim=True) + 0.1


class InputChanged(Small):
    def forward(self, images):
        images *= 2
        return super().forward(images)


class Viewed(Small):
    """As an old tutorial has it: a view, which needs the values in the order of the shape."""

    def features(self, images):
        return self.conv(images).relu().view(-1, 256)


class ListBeside(Small):
    def __init__(self):
        super().__init__()
        self.order = [self.conv, nn.ReLU(), nn.Flatten(), self.fc]

    def forward(self, images):
        for step in self.order:
            images = step(images)
        return images


@pytest.mark.parametrize("kind", [
    Small, Eights, Functional, GlobalPooling, Halves, OneSequential, Rows, StartGiven, Positive,
    SumOfOne, InputChanged, Viewed, ListBeside])
def test_a_net_without_a_fault_passes_in_silence(kind, check):
    assert check(kind) == []


@pytest.mark.parametrize("name", main.RECIPES)
def test_so_does_every_recipe(name, check):
    recipe = main.RECIPES[name]
    if recipe.net is main.nets.ModernNet:  # it normalises a single pixel by the batch
        with pytest.raises(RunError, match=r"^ModernNet cannot train on one image"):
            check(recipe.net, recipe.dropout, 1)
    else:
        assert check(recipe.net, recipe.dropout, 1) == []
    assert check(recipe.net, recipe.dropout, 96) == []


@pytest.mark.parametrize("kind", [OneSequential, AlwaysDropped, WrongSize])
def test_the_check_leaves_torch_as_it_was(kind, check):
    def settings():
        return (torch.get_rng_state().tolist(), torch.initial_seed(), torch.get_num_threads(),
                torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled())

    before = settings()
    try:
        check(kind)
    except RunError:
        assert kind is not OneSequential
    assert settings() == before


# The fault in a line

def fault_of(source, filename, **names):
    """What is said of the error that the source of a file raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        exec(compile(source, filename, "exec"), names)
    return describe_fault(caught.value)


def test_the_place_is_named_from_the_repository_or_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path(main.__file__).parent
    for filename, shown in ((root / "model.py", "model.py"), (root / "lab/x.py", "lab/x.py"),
                            (tmp_path / "my/net.py", "my/net.py"), ("/elsewhere/far/n.py", "n.py")):
        assert fault_of("\n\nnew_name", str(filename)) == (
            f"NameError: name 'new_name' is not defined ({Path(shown)}, line 3)")


def test_the_place_is_the_same_behind_a_link(tmp_path):
    root = Path(main.__file__).parent
    for name, folder in (("linked", root), ("python", Path(json.__file__).parents[1])):
        (tmp_path / name).symlink_to(folder)
    assert fault_of("new_name", str(tmp_path / "linked/lab/x.py")).endswith(
        f" ({Path('lab/x.py')}, line 1)")
    library = {}
    exec(compile("def fail():\n    new_name", str(tmp_path / "python/far.py"), "exec"), library)
    assert fault_of("\nfail()", str(root / "model.py"), **library).endswith(" (model.py, line 2)")


def test_the_place_is_the_innermost_one_that_is_not_a_librarys():
    assert fault_of("\nF.relu(3)", "net.py", F=F).endswith(" (net.py, line 2)")
    assert fault_of("\njson.loads('{')", "net.py", json=json) == (
        "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1) (net.py, line 2)")


@pytest.mark.parametrize(("error", "line"), [
    (ValueError("few\nmany"), "ValueError: few"), (ValueError("\nfew"), "ValueError: few"),
    (KeyError("few\nmany"), r"KeyError: 'few\nmany'"), (ValueError(), "ValueError")])
def test_the_fault_is_the_first_line_of_the_message(error, line):
    assert describe_fault(error) == line
