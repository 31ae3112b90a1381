"""Digits drawn on the page of draw.py and kept with their right labels: drawn/<n>_<label>.png.

predict.py reads them like any other pictures. So you measure a net on your own hand.
"""

import functools
import io
import re
from pathlib import Path

from lab import files
from lab.digits.prepare import PictureError, ask, decode, prepare, read_picture
from lab.files import RunError
from lab.page.weights import load_once, when_changed

FOLDER = Path("drawn")  # in the current folder
MOST = 10_000  # digits in it
COUNTED = 300  # the newest so many are read again, to count which are read right
PNG = b"\x89PNG\r\n\x1a\n"  # the first bytes of every PNG


def list_kept():
    """The kept digits: [(number, label, path), ...], the oldest first."""
    found = []
    for path in FOLDER.glob("*.png"):
        if name := re.fullmatch("([0-9]{1,9})_([0-9])", path.stem):
            found.append((int(name[1]), int(name[2]), path))
    return sorted(found)


def keep(content, label):
    """Keeps a picture, the bytes of a PNG, under the next free number. Returns its path.

    Raises PictureError if it is no PNG that can be read, RunError if it cannot be written or if
    there are too many.
    """
    if not content.startswith(PNG):
        raise PictureError("not a PNG")
    decode(io.BytesIO(content)).save(buffer := io.BytesIO(), "PNG")  # grey, and nothing but pixels
    files.make_folder(FOLDER)
    kept = list_kept()
    if len(kept) >= MOST:
        raise RunError(f"{FOLDER}: holds {len(kept):,} digits, which is the most; move some away")
    number = kept[-1][0] + 1 if kept else 1
    while True:
        path = FOLDER / f"{number}_{label}.png"
        try:
            path.open("xb").close()  # takes the name, also if another draw.py wants it now
            break
        except FileExistsError:
            number += 1
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        files.write_atomically(path, buffer.getvalue())
    except RunError:
        files.remove(path)
        raise
    return path


def read_kept(path, weights):
    """What the net of a checkpoint reads in a kept digit: 0 to 9, or None if it is refused.

    Both files are read again only if they have changed. Raises RunError, and what `ask` raises.
    """
    return read_once(path, when_changed(path), weights, when_changed(weights))


@functools.lru_cache(maxsize=8 * COUNTED)
def read_once(path, changed, weights, trained):
    picture = prepare_once(path, changed)
    net, _ = load_once(weights, trained)
    return None if picture is None else int(ask(net, picture).argmax())


@functools.lru_cache(maxsize=2 * COUNTED)
def prepare_once(path, changed):
    try:
        return prepare(read_picture(path))
    except PictureError:
        return None
