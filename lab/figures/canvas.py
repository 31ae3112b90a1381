"""The parts of matplotlib that the figures need. They are written to files: no window is opened.

So MPLBACKEND does not matter. A notebook hands it down to the programs that it starts, and if they
lack the backend that it names, matplotlib cannot even be imported.
"""

import os

from lab.command import in_notebook

if not in_notebook():  # the notebook itself has its backend, and needs it
    os.environ.pop("MPLBACKEND", None)

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.patches import Rectangle
from matplotlib.scale import FuncScale
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

__all__ = ["Figure", "FigureCanvasAgg", "FontProperties", "FuncScale", "LinearSegmentedColormap",
           "MaxNLocator", "Rectangle", "Text", "findfont", "fontManager", "get_font", "style"]
