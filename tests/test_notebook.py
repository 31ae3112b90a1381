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


def run_cells(cells, folder):
    """Runs {name: code} as the cells of a notebook: {name: (what it prints, names of errors)}."""
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells.values())))
    nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120,
                            resources={"metadata": {"path": folder}}).execute()
    return {name: ("".join(out.get("text", "") or str(out.get("data", "")) for out in cell.outputs),
                   [out.ename for out in cell.outputs if out.output_type == "error"])
            for name, cell in zip(cells, notebook.cells, strict=True)}


def test_the_scripts_in_a_notebook(small_idx, tmp_path):
    """One test, since a kernel and its torch take seconds to start."""
    python, data = f'"{sys.executable}"', f'--data-dir "{small_idx}"'
    figure = f"img/lenet-epochs1-{small_idx.name}_loss_plot.png"
    outputs = run_cells({
        "signals": SIGNALS,
        "main": f'%run "{ROOT}/main.py" --epochs 1 {data}',
        "plot": f'%run "{ROOT}/plot.py" {data}',
        "backend": "import matplotlib; print(matplotlib.get_backend())",
        "report": f'%run "{ROOT}/report.py"',
        "dataset": f'%run "{ROOT}/dataset.py" "{small_idx}"',
        "model": f'%run "{ROOT}/model.py"',
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
                        "shown": "image/png"}.items():
        text, errors = outputs[cell]
        assert words in text, cell
        assert not errors, cell
    # A fault is one line there too. The notebook shows SystemExit without a traceback.
    text, errors = outputs["failed"]
    assert "main.py: error: --epochs 0: must be a whole number of at least 1" in text
    assert "Traceback" not in text
    assert errors == ["SystemExit"]
    # The notebook keeps its signals and its backend. It would keep each refresh of a bar.
    assert outputs["signals after"] == outputs["signals"]
    assert "inline" in outputs["backend"][0]
    assert outputs["!bar"][0].strip() == "True True"
