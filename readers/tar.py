"""Tars of PNG files, read without unpacking."""

import gzip
import tarfile
import zlib
from pathlib import Path

from readers.common import MAX_PNG_BYTES, DataError

MAX_HEADER_BYTES = 2**16  # of one member of a tar, its long name and the like included


class _Metered:
    """A file of which `left` bytes can be read: tarfile reads headers of any length, at once."""

    def __init__(self, file):
        self.file, self.seek, self.tell, self.left = file, file.seek, file.tell, MAX_HEADER_BYTES

    def read(self, size):
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"a member with more than {MAX_HEADER_BYTES:,} bytes of header")
        return self.file.read(size)


def tar_members(path):
    """Nothing is written: of a member's name only the last part counts, links are passed over."""
    try:
        with ((gzip.open if path.suffix == ".gz" else open)(path, "rb") as file,
              tarfile.open(fileobj=(metered := _Metered(file)), mode="r:") as tar):
            for member in tar:
                metered.left = MAX_HEADER_BYTES  # of the next
                parts = Path(member.name).parts
                where = f"{path}: {member.name}"
                if member.name.startswith("/") or ".." in parts:
                    raise DataError(f"{where}: a name that leads out of the archive")
                hidden = any(part.startswith(".") for part in parts)
                if hidden or not member.isreg() or member.issparse():
                    continue
                metered.left += min(member.size, MAX_PNG_BYTES)
                yield parts[-1], where, member.size, tar.extractfile(member).read
            # tarfile takes a cut or damaged header for the end of the archive.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{path}: truncated or damaged after member {len(tar.members)}")
            while file.read(2**20):  # up to gzip's checksum
                pass
    except (OSError, EOFError, RecursionError, ValueError, zlib.error, tarfile.TarError) as error:
        reason = str(error).partition(":\n")[0]  # tarfile goes on with a line for each compression
        raise DataError(f"{path}: cannot be read: {reason}") from None
