"""Folders that are not read: what they hold instead, and what to do."""

import contextlib
import re

from readers.common import DATA_DIR, DataError, find_opener


def explain_refusal(folder, expected):
    """A DataError: why nothing is read from `folder`. expected: what could be, a list of lines."""
    if not folder.is_dir():
        return DataError(f"{folder}: a file; give the folder that it is in" if folder.exists() else
                         f"{folder}: no such folder (--data-dir {DATA_DIR} works)")
    for path in sorted(folder.iterdir()):
        head = b""
        with contextlib.suppress(Exception), find_opener(path)(path, "rb") as file:
            head = file.read(4)
        if head == b"PAR1":
            return DataError(
                f"{path}: Parquet is not read; save its pictures as PNGs: of each row that "
                "pandas.read_parquet gives, write image['bytes'] to train/{index}_{label}.png or "
                "test/{index}_{label}.png")
        # Pickles begin with 0x80 and their version, but for the oldest, which are text.
        if ".pkl" in path.suffixes or re.match(b"\x80[\x02-\x05]", head):
            return DataError(f"{path}: a pickle is not read, because it can run any code; take the "
                             "data in another form")
        if re.search(r"\.(zip|7z|rar|tgz|tar(\.\w+)?)$", path.name.lower()):
            return DataError(f"{path}: an archive of this name is not read; unpack it, and give "
                             "the folder that it unpacks to")
    return DataError(f"{folder}: no MNIST here; what is read (--data-dir {DATA_DIR} works):",
                     *(f"  {line}" for line in expected))
