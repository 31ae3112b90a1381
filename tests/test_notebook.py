"""The scripts in a notebook, with a real kernel: `%run main.py` and `!python main.py`.

    python -m pytest tests/test_notebook.py
"""

import sys

import nbclient
import nbformat
import pytest
from conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SIGNALS = "import signal; print([signal.getsignal(n) for n in (signal.SIGPIPE, signal.SIGTERM)])"


@pytest.fixture(scope="module")
def outputs(small_idx, tmp_path_factory):
    """What the cells of a notebook print, and the names of their errors: {cell: (text, [name])}."""
    python, data = f'"{sys.executable}"', f'--data-dir "{small_idx}"'
    cells = {
        "signals": SIGNALS,
        "main": f'%run "{ROOT}/main.py" --epochs 1 {data}',
        "plot": f'%run "{ROOT}/plot.py" {data}',
        "backend": "import matplotlib; print(matplotlib.get_backend())",
        "report": f'%run "{ROOT}/report.py"',
        "dataset": f'%run "{ROOT}/dataset.py" "{small_idx}"',
        "signals after": SIGNALS,
        "failed": f'%run "{ROOT}/main.py" --epochs 0',
        "!main": f'!{python} "{ROOT}/main.py" --epochs 2 {data}',
        "!plot": f'!MPLBACKEND=nonsense {python} "{ROOT}/plot.py" {data}',
        "shown": f'from IPython.display import Image; Image("img/lenet-epochs1-{small_idx.name}'
                 '_loss_plot.png")',
    }
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells.values())))
    folder = tmp_path_factory.mktemp("notebook")
    nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120,
                            resources={"metadata": {"path": folder}}).execute()
    return {name: ("".join(out.get("text", "") or str(out.get("data", "")) for out in cell.outputs),
                   [out.ename for out in cell.outputs if out.output_type == "error"])
            for name, cell in zip(cells, notebook.cells, strict=True)}


@pytest.mark.parametrize(("cell", "words"), [
    ("main", "finished, test accuracy"), ("plot", "model_comparison.png"), ("report", "of 200"),
    ("dataset", "train: 600 images"), ("!main", "-epochs2-"), ("!plot", "model_comparison.png"),
    ("shown", "image/png")])
def test_a_script_does_its_work(outputs, cell, words):
    text, errors = outputs[cell]
    assert words in text
    assert not errors


def test_a_fault_is_one_line_there_too(outputs):
    text, errors = outputs["failed"]
    assert "main.py: error: --epochs 0: must be a whole number of at least 1" in text
    assert "Traceback" not in text
    assert errors == ["SystemExit"]  # which the notebook shows without a traceback


def test_the_notebook_keeps_its_signals_and_its_backend(outputs):
    assert outputs["signals after"] == outputs["signals"]
    assert "inline" in outputs["backend"][0]


def test_no_refresh_of_a_bar_stays_in_the_notebook(outputs):
    assert "%|" not in outputs["!main"][0]
