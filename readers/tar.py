"""Tar archives of pictures `{index}_{label}.png`, plain or gzipped.

They are read without being unpacked: nothing is written.
"""

import tarfile
from pathlib import Path

from readers.common import MAX_PICTURE_BYTES, DataError, blaming, is_clutter, missing, open_file
from readers.pngs import read_named

FORM = "tar archives"
EXPECTED = ("train.tar and test.tar, or .tar.gz, of pictures named {index}_{label}.png",)
MAX_HEADER_BYTES = 2**16  # of one member; a long name counts too


def lies_in(folder):
    """Tells whether there is such an archive."""
    return any(folder.glob("train.tar*")) or any(folder.glob("test.tar*"))


def read(folder, split):
    """Reads a split: images uint8 (N, 28, 28), labels (N,), and the path of the archive.

    Raises DataError if it is missing or damaged, or if a picture in it is.
    """
    names = [f"{split}.tar", f"{split}.tar.gz", f"{split}.tgz"]
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if not path:
        raise missing(folder / names[0], split, names[1])
    return *read_named(tar_members(path), path), path


class _Metered:
    """A file of which only `left` more bytes can be read.

    tarfile reads the whole header of a member at once, however long it is. This keeps a broken or
    malicious archive from filling the memory.
    """

    def __init__(self, file):
        self.file, self.seek, self.tell, self.left = file, file.seek, file.tell, MAX_HEADER_BYTES

    def read(self, size):
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"a member with more than {MAX_HEADER_BYTES:,} bytes of header")
        return self.file.read(size)


def tar_members(path):
    """The files of an archive, as `read_named` takes them.

    The folders inside the archive do not matter. Hidden files, links and the like do not count.
    Raises DataError if the archive is damaged, or a name leads out of it.
    """
    try:
        with (blaming(path, RecursionError, ValueError), open_file(path) as file,
              tarfile.open(fileobj=(metered := _Metered(file)), mode="r:") as tar):
            for member in tar:
                metered.left = MAX_HEADER_BYTES  # for the header of the next member
                parts = Path(member.name).parts
                where = f"{path}: {member.name}"
                if member.name.startswith("/") or ".." in parts:
                    raise DataError(f"{where}: a name that leads out of the archive")
                if any(map(is_clutter, parts)) or not member.isreg():
                    continue
                metered.left += min(member.size, MAX_PICTURE_BYTES)
                yield parts[-1], where, member.size, tar.extractfile(member).read
            # tarfile takes a damaged header for the end. The true end is a block of zeros.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{path}: truncated or damaged after member {len(tar.members)}")
            while file.read(2**20):  # to the end, where gzip compares its checksum
                pass
    except tarfile.TarError as error:
        reason = str(error).partition(":\n")[0]  # tarfile adds a line for each compression
        raise DataError(f"{path}: cannot be read: {reason}") from None
