"""Every command that the README shows is run here, on few images and for one epoch."""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import dataset
import draw
import main
import plot
import predict
import report
from study import __main__ as study

ROOT = Path(main.__file__).parent
README = (ROOT / "README.md").read_text("utf-8")
# Loops are unrolled; the two commands that set everything up are .ci/run's to try.
LOOPS = re.findall(r"^for model in (.+?); do (?:\S+ )?(python .+?); done$", README, re.MULTILINE)
SHOWN = re.findall(r"(?:^|`)(?:OMP_NUM_THREADS=1 )?"
                   r"(python (?:(?:main|plot|report|predict|draw|model|dataset)\.py|-m study)"
                   r"[^`&\n]*)",
                   README, re.MULTILINE)
COMMANDS = sorted({*(command.strip() for command in SHOWN), *(
    command.replace("$model", model) for models, command in LOOPS for model in models.split())})


@pytest.fixture
def workplace(tmp_path, monkeypatch, small_idx, digits):
    """A folder in which each command finds what it needs, and where it may write."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "logs/report", "logs/report")
    for pattern in ("lenet-seed[0-4]*", "validation/mlp-validate*", "validation/mlp-lr0.1*"):
        for path in Path("logs/report").glob(pattern):
            for name in (path.name, path.name.replace("lenet-seed", "lenet-lr0.05-seed")):
                shutil.copy(path, Path("logs") / name)
    for name in ("photo.png", "scan.jpg"):
        Image.fromarray(digits["test"][0][0]).save(name)
    shutil.copy(ROOT / "README.md", "README.md")
    return small_idx


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme(command, workplace, monkeypatch, capsys):
    _, script, *argv = shlex.split(command.replace("-m ", "").replace("$INDEX", "1"))
    if script == "main.py":
        shutil.rmtree("logs/report")  # so that no seed counts as complete
        few = ["--epochs", "1", "--data-dir", str(workplace), "--device", "cpu"]
        seeds = "1" if "--jobs" in argv else "2"  # each takes seconds to start there
        assert main.main([*argv, *few, *(["--seeds", seeds] if "--seeds" in argv else [])]) == 0
    elif script == "model.py":
        monkeypatch.setattr(sys, "argv", [script])
        runpy.run_path(str(ROOT / script), run_name="__main__")
    else:
        modules = {"plot.py": plot, "report.py": report, "predict.py": predict,
                   "dataset.py": dataset, "draw.py": draw, "study": study}
        if script == "study":  # all figures of the report would take half a minute
            monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
        argv += ["--help"] if script == "draw.py" else []  # else it would serve for ever
        assert modules[script].main(argv) == 0
    captured = capsys.readouterr()
    assert captured.out
    assert captured.err == ""


def test_there_are_commands_to_run():
    scripts = {command.replace("-m ", "").split()[1] for command in COMMANDS}
    assert scripts == {"main.py", "model.py", "dataset.py", "plot.py", "report.py", "predict.py",
                       "draw.py", "study"}
    assert len(LOOPS) == 3


def test_python_of_the_readme(workplace, monkeypatch):
    """The snippets that load weights, and that use the Dataset with torchvision's transforms."""
    assert main.main(["--epochs", "1", "--data-dir", str(workplace)]) == 0
    trained = next(Path("checkpoints").glob("*.pt"))
    loading, using = re.findall(r"```python\n(import torch\n.+?)```", README, re.DOTALL)
    shutil.copy(trained, "checkpoints/lenet-seed0.pt")
    namespace = {}
    exec(loading, namespace)
    assert sum(p.numel() for p in namespace["net"].parameters()) == 61_706
    exec(using, namespace)
    images, labels = namespace["images"], namespace["labels"]  # the last batch
    assert images.shape == (60_000 % 128, 1, 32, 32)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.mean() == pytest.approx(0, abs=0.3)
