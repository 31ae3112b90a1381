"""The house: which file may import which, how long a file may be, and what a start may load.

    python -m pytest tests/test_house.py
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up: a file imports what stands below it, and its neighbours in a room, but never
# from another room of its floor.
FLOORS = (("readers", "lenet1998"), ("dataset", "model"), ("lab",), ("lab.runs", "lab.digits"),
          ("lab.training", "lab.figures", "lab.page"), ("main", "predict", "draw", "hubconf"),
          ("plot", "report", "benchmarks"), ("study",))
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = sorted([*ROOT.glob("*.py"), *(path for room in FLOOR for path in (
    ROOT / room.replace(".", "/")).glob("*.py"))])


def name_module(path):
    """lab/files.py -> lab.files, lab/__init__.py -> lab."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def find_room(module):
    """The room of a module: lab.runs.series -> lab.runs, lab.files -> lab, main -> main."""
    return max((room for room in FLOOR if f"{module}.".startswith(f"{room}.")), key=len)


NAMES = {name_module(path) for path in MODULES}


def find_imports(path):
    """The modules of ours that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            parts = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES
            found |= parts or {node.module}
    return found & NAMES


def test_every_file_has_its_floor():
    everything = {path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in (
        ".venv", "tests")}
    assert everything == set(MODULES)
    assert {find_room(name) for name in NAMES} == FLOOR.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_imports_point_downwards(path):
    own = find_room(name_module(path))
    for imported in find_imports(path):
        other = find_room(imported)
        assert other == own or FLOOR[other] < FLOOR[own], f"{path.name} imports {imported}"


def test_no_modules_import_each_other_in_a_circle():
    order = TopologicalSorter({name_module(path): find_imports(path) for path in MODULES})
    assert len(list(order.static_order())) == len(MODULES)


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_a_module_can_be_read_in_one_sitting(path):
    most = 220 if path.name == "main.py" else 280
    assert len(path.read_text("utf-8").splitlines()) <= most


@pytest.mark.parametrize(("script", "unwanted"), [
    ("main", {"torchvision", "scipy", "matplotlib", "PIL.ImageDraw"}),
    ("report", {"torchvision", "scipy.stats", "matplotlib"}),
    ("predict", {"torchvision", "scipy.stats", "matplotlib"}),
    ("draw", {"torchvision", "scipy.stats", "matplotlib"}),
    ("plot", {"torchvision", "scipy.stats", "matplotlib.pyplot"}),
    ("dataset", {"torchvision", "scipy", "matplotlib"})])
def test_a_start_loads_no_more_than_it_needs(script, unwanted):
    """Seconds of every start: torchvision takes 1.1, scipy.stats 0.5, pyplot 0.3."""
    code = f"import sys, {script}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split()
    assert not unwanted & set(found)
