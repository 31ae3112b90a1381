"""Tar archives of pictures, in class folders or named `{index}_{label}.png`; plain or packed.

They are read without being unpacked: nothing is written.
"""

import re
import tarfile
from pathlib import Path

from readers.common import DataError, blaming, choose, is_clutter, list_files, open_file
from readers.pngs import LABELS, read_pictures

FORM = "tar archives"
EXPECTED = ("train.tar and test.tar, or .tar.gz, .tar.xz, ..., of the same pictures",)
NAME = re.compile(r"(?P<split>train|test)\.(tar(\.(gz|bz2|xz))?|t[gbx]z|tbz2)")


def lies_in(folder):
    """Tells whether there is such an archive."""
    return bool(list_files(folder, NAME))


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the archive.

    Raises DataError if it is missing or damaged, or if a picture in it is.
    """
    path = choose(list_files(folder, NAME), NAME, split)
    return *read_pictures(list_members(path)), path


def list_members(path):
    """The files of an archive, as `read_pictures` takes them.

    Of the folders inside the archive, only those of a class matter. Hidden files, links and the
    like do not count. Raises DataError if the archive is damaged, or a name leads out of it.
    """
    # Fewer times than elsewhere: tarfile makes up to 50 bytes of one in a header.
    with (blaming(path, tarfile.TarError, RecursionError, ValueError),
          open_file(path, times=30) as file, tarfile.open(fileobj=file, mode="r:") as tar):
        for member in tar:
            name, where = Path(member.name), f"{path}: {member.name[-200:]}"
            if member.name.startswith("/") or ".." in name.parts:
                raise DataError(f"{where}: a name that leads out of the archive")
            if any(map(is_clutter, name.parts)) or not member.isreg():
                continue
            label = name.parent.name if name.parent.name in LABELS else ""
            yield label, name.name, where, member.size, tar.extractfile(member).read
        # tarfile takes a damaged header for the end. The true end is a block of zeros.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise DataError(f"{path}: truncated or damaged after member {len(tar.members)}")
