"""The digests of the code: what is followed, what counts, and that what runs is what is digested.

    python -m pytest tests/lab/training/test_code.py
"""

import ast
import importlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

import main
from lab.digits.strokes import draw_digits
from lab.files import RunError
from lab.training import code
from lab.training.code import digest_code

NUMBERS = itertools.count()
FILES = {
    "top": '''"""A program."""
import math
from {shapes} import SIDE, Net
import {shapes} as nets
from {tools} import *

RATE = 0.1  # at its peak
UNUSED = 7


def train(x):
    """Trains."""
    return helper(x) + step(x, RATE)


def step(x, rate):
    from {late} import last
    return nets.grow(x) * rate + last() + SIDE + math.pi


def other():
    return UNUSED


class Recipe:
    rate = RATE


if __name__ == "__main__":
    train(1)
''',
    "shapes": '''SIDE = 28
torch_like = {{}}
torch_like["precision"] = "high"


class Base:
    size = 3


class Net(Base):
    def forward(self, x):
        return grow(x)


def grow(x):
    return x * len(TABLE)


try:
    TABLE = [1, 2]
except ValueError:
    TABLE = []
''',
    "tools": '''def helper(x):
    return x + 1


def idle():
    return 0
''',
    "late": '''def last():
    return 1
''',
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes FILES as modules, one text of them changed, and returns `top`.

    What is changed: (file, old, new).
    """
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []

    def write(changed=None):
        for name in loaded:
            del sys.modules[name]
        for path in tmp_path.glob("*.py"):
            code.SOURCES.pop(path.resolve(), None)
        names = {name: f"made_{name}_{number}" for name in FILES}
        loaded[:] = names.values()
        for name, text in FILES.items():
            text = text.format(**names)
            if changed and changed[0] == name:
                assert changed[1] in text
                text = text.replace(*changed[1:])
            (tmp_path / f"{names[name]}.py").write_text(text)
        importlib.invalidate_caches()
        for name in loaded:
            importlib.import_module(name)
        return sys.modules[names["top"]]

    number = next(NUMBERS)
    yield write
    for name in loaded:
        del sys.modules[name]


def digest(top):
    """{short name: digest}: without the number of the test."""
    found = digest_code(top.train, top.Net)
    return {"_".join(name.split(".")[0].split("_")[1:-1]) + "." + name.split(".", 1)[1]: value
            for name, value in found.items()}


def test_all_that_is_reached_is_there_by_name_and_nothing_else(write):
    assert set(digest(write())) == {
        "top.train", "top.step", "top.RATE", "shapes.SIDE", "shapes.Net", "shapes.Base",
        "shapes.grow", "shapes.TABLE", "shapes.(top level)", "shapes.torch_like", "tools.helper",
        "late.last"}


@pytest.mark.parametrize(("file", "old", "new", "name"), [
    ("top", "helper(x) +", "helper(x) -", "top.train"),
    ("top", "0.1", "0.2", "top.RATE"),
    ("top", "* rate", "/ rate", "top.step"),
    ("shapes", "size = 3", "size = 4", "shapes.Base"),
    ("shapes", "[1, 2]", "[1, 2, 3]", "shapes.TABLE"),
    ("shapes", "= 28", "= 32", "shapes.SIDE"),
    ("shapes", '"high"', '"low"', "shapes.(top level)"),
    ("tools", "x + 1", "x + 2", "tools.helper"),
    ("late", "return 1", "return 2", "late.last")])
def test_an_edit_shows_in_the_digest_of_what_was_edited(write, file, old, new, name):
    before = digest(write())
    after = digest(write((file, old, new)))
    assert {key for key in before if before[key] != after[key]} == {name}


@pytest.mark.parametrize(("file", "old", "new"), [
    ("top", '"""Trains."""', '"""Trains a net."""'),
    ("top", "# at its peak", "# otherwise"),
    ("top", "helper(x) + step(x, RATE)", "(helper(x)\n            + step(x, RATE))  # both"),
    ("top", "UNUSED = 7", "UNUSED = 8"),
    ("top", "train(1)", "train(2)"),
    ("tools", "return 0", "return 9"),
    ("top", "0.1 ", "1e-1 ")])
def test_words_layout_and_what_is_not_reached_do_not_count(write, file, old, new):
    before = digest(write())
    assert digest(write((file, old, new))) == before


def test_a_file_that_was_edited_after_it_was_loaded_is_refused(write):
    """Else the digest would be of other code than what runs."""
    top = write()
    digest(top)
    path = Path(sys.modules[top.Net.__module__].__file__)
    text = path.read_text()
    path.write_text(text + "\n# later\n")
    with pytest.raises(RunError, match=rf"{path.name} has been edited since it was loaded; start"):
        digest(top)
    path.write_text(text)
    digest(top)


def test_what_no_file_defines_is_refused():
    made = type("Made", (main.nets.LeNet5,), {})
    with pytest.raises(RunError, match=r"^Made: no file defines it, so its runs could not be told"):
        digest_code(main.execute, made)


def test_the_code_of_a_run_of_main():
    """Other nets, the recipes, the readers and what keeps a run do not belong to it."""
    found = digest_code(main.execute, main.RECIPES["mlp"].net)
    assert {"main.execute", "main.train_run", "main.train", "main.test", "main.learning_rate",
            "main.seed_everything", "main.make_transforms", "main.EVALUATION_BATCH",
            "model.CustomMLP", "model.make_net", "dataset.MNIST", "dataset.Transform",
            "dataset.Distortion", "dataset.MEAN", "dataset.STD", "dataset.make_loader",
            "dataset.load_data", "dataset.hold_out"} <= found.keys()
    assert {name.split(".")[0] for name in found} == {"main", "model", "dataset"}
    assert not found.keys() & {"main.RECIPES", "main.Recipe", "model.LeNet5", "main.main"}
    drawn = digest_code(main.execute, main.RECIPES["mlp"].net, draw_digits)
    assert drawn.items() > found.items()
    assert "lab.digits.strokes.FORMS" in drawn
    published = digest_code(main.execute, main.RECIPES["lenet_1998"].net)
    assert {"lenet1998.LeNet1998", "lenet1998.TABLE_I", "lenet1998.squash"} <= published.keys()


OTHERS = [path for version in ("3.12", "3.13", "3.14")
          for path in sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python"))]


@pytest.mark.skipif(not OTHERS, reason="no other version of Python beside this one")
def test_the_digests_are_the_same_in_every_version_of_python():
    """As far as others lie beside this one. They have no torch, which the digests do not need."""
    source = Path(code.__file__).read_text()
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.FunctionDef))
                 or (isinstance(node, ast.Assign) and "DEFINITIONS" in ast.unparse(node))]
    program = ast.unparse(tree) + '''
from pathlib import Path
texts = [Path(path).read_bytes() for path in sys.argv[1:]]
texts.append('x = f"a{1}" "b" f"c{x!r:>{w}}"')
print([digest(strip(ast.parse(text)).body) for text in texts])
'''
    paths = sorted(code.ROOT.glob("*.py")) + sorted(code.ROOT.glob("lab/*/*.py"))
    said = {subprocess.run([python, "-c", program, *paths], capture_output=True, text=True,
                           check=True).stdout for python in [sys.executable, *OTHERS]}
    assert len(said) == 1
