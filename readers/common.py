"""What every format has to hold."""

from pathlib import Path

DATA_DIR = Path(__file__).parents[1] / "data"  # the MNIST that travels with the repository
SIDE = 28  # pixels along the edge of a stored image
CLASSES = 10
MAX_IMAGES = 1_000_000  # MNIST has 60,000; a header that announces more than this is broken
MAX_PNG_BYTES = 1_000_000  # a 28x28 PNG has about 300


class DataError(Exception):
    """The data are missing or broken. The message is one line: the file, and what is wrong."""

    def __init__(self, message):  # names of files can hold anything, line breaks included
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))
