"""What all formats share: the size of MNIST's images, limits, clutter, and the error."""

from pathlib import Path

DATA_DIR = Path(__file__).parents[1] / "data"  # the MNIST that comes with the repository
SIDE = 28  # pixels along the edge of a stored image
CLASSES = 10  # the digits 0 to 9
MAX_IMAGES = 1_000_000  # in one split; MNIST has 60,000. With more than this, a file is broken
MAX_PNG_BYTES = 1_000_000  # a 28x28 PNG has about 300


def is_clutter(name):
    """Tells whether a system makes a file of this name on its own. Hidden files count as such."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


class DataError(Exception):
    """The data are missing or broken. The message is one line with the file and the fault."""

    def __init__(self, message):
        # The name of a file can hold anything, even line breaks: escape what cannot be printed.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))
