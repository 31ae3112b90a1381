"""The scripts in a notebook, with a real kernel: `%run main.py` and `!python main.py`.

    python -m pytest tests/test_notebook.py
"""

import shutil
import sys

import nbclient
import nbformat
import pytest
from conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SIGNALS = "import signal; print([signal.getsignal(n) for n in (signal.SIGPIPE, signal.SIGTERM)])"


def run_cells(cells, folder):
    """Runs {name: code} as the cells of a notebook: {name: (what it prints, names of errors)}."""
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells.values())))
    nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120,
                            resources={"metadata": {"path": folder}}).execute()
    return {name: ("".join(out.get("text", "") or str(out.get("data", "")) for out in cell.outputs),
                   [out.ename for out in cell.outputs if out.output_type == "error"])
            for name, cell in zip(cells, notebook.cells, strict=True)}


EDIT = """from pathlib import Path
def edit(name, old, new):
    path = Path({folder!r}, name)
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
edit("model.py", "400, 120)", "400, 121)")
edit("model.py", "120, 84)", "121, 84)")
"""
TINY = """edit("main.py", 'RECIPES = {', 'RECIPES = {"tiny": Recipe(nets.Tiny, epochs=1),')
edit("model.py", "class CustomMLP", "class Tiny(nn.Sequential):\\n    image_size = 28\\n\\n"
     "    def __init__(self):\\n        super().__init__(nn.Flatten(), nn.Linear(784, 10))\\n\\n\\n"
     "class CustomMLP")
"""


def test_the_scripts_in_a_notebook(small_idx, tmp_path):
    """One test, since a kernel and its torch take seconds to start."""
    house = tmp_path / "house"
    for name in ("lab", "readers"):
        shutil.copytree(ROOT / name, house / name)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, house)
    python, data = f'"{sys.executable}"', f'--data-dir "{small_idx}"'
    figure = f"img/lenet-epochs1-{small_idx.name}_loss_plot.png"
    outputs = run_cells({
        "signals": SIGNALS,
        "main": f'%run "{house}/main.py" --epochs 1 {data}',
        "plot": f'%run "{house}/plot.py" {data}',
        "backend": "import matplotlib; print(matplotlib.get_backend())",
        "report": f'%run "{house}/report.py"',
        "dataset": f'%run "{house}/dataset.py" "{small_idx}"',
        "model": f'%run "{house}/model.py"',
        "edit": EDIT.format(folder=str(house)),
        "edited": f'%run "{house}/main.py" --epochs 1 {data}',
        "edited, named": f'%run "{house}/main.py" --epochs 1 --name wider {data}',
        "new class": TINY,
        "new net": f'%run "{house}/main.py" --model tiny {data}',
        "signals after": SIGNALS,
        "failed": f'%run "{ROOT}/main.py" --epochs 0',
        "!main": f'!{python} "{ROOT}/main.py" --epochs 2 {data}',
        "!plot": f'!MPLBACKEND=nonsense {python} "{ROOT}/plot.py" {data}',
        "!bar": f'!cd "{ROOT}" && {python} -c "import sys; from lab.command import hide_bar; '
                'print(sys.stderr.isatty(), hide_bar())"',
        "shown": f'from IPython.display import Image; Image("{figure}")',
    }, tmp_path)
    for cell, words in {"main": "finished, test accuracy", "plot": "model_comparison.png",
                        "report": "of 200", "dataset": "train: 600 images", "!main": "-epochs2-",
                        "!plot": "model_comparison.png", "model": "61,706",
                        "edited, named": "62,191 parameters", "new net": "7,850 parameters",
                        "shown": "image/png"}.items():
        text, errors = outputs[cell]
        assert words in text, cell
        assert not errors, cell
    # What runs is what the files say by now, and it does not pass for what they said before.
    assert "was trained by other code (LeNet5 in model.py has changed)" in outputs["edited"][0]
    # A fault is one line there too. The notebook shows SystemExit without a traceback.
    text, errors = outputs["failed"]
    assert "main.py: error: --epochs 0: must be a whole number of at least 1" in text
    assert "Traceback" not in text
    assert errors == ["SystemExit"]
    # The notebook keeps its signals and its backend. It would keep each refresh of a bar.
    assert outputs["signals after"] == outputs["signals"]
    assert "inline" in outputs["backend"][0]
    assert outputs["!bar"][0].strip() == "True True"
