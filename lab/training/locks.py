"""Locks that keep the processes that train the runs of a folder apart, on one computer or several.

They are those of the file system. Some network file systems have none. There a file stands for the
lock; a computer that crashes leaves it behind.
"""

import contextlib
import errno
import socket

from filelock import FileLock, SoftFileLock, Timeout

from lab.files import RunError, remove

NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}  # of some NFS and FUSE file systems


BUSY = "another process is training it"


class Busy(RunError):
    """Another process is training the run."""


@contextlib.contextmanager
def lock(name, folders):
    """Keeps other processes off the run `name` until the block or this process ends.

    folders: where its files are; each gets a lock. A line is printed where there are no real locks.
    Raises Busy if another process has the lock, RunError if there can be none.
    """
    with contextlib.ExitStack() as stack:
        # Sorted: two processes that took them crosswise would both find the run busy.
        for folder in sorted({folder.resolve() for folder in folders}):
            try:
                path, held = acquire(name, folder)
            except Timeout:
                raise Busy(f"{name}: {BUSY}") from None
            except OSError as error:
                raise RunError(f"{folder / name}.lock: cannot be locked: "
                               f"{error.strerror}") from None
            stack.enter_context(held)
            stack.callback(remove, path)  # before it is released: then it is still ours
        yield


def acquire(name, folder):
    """The path of a lock, and the lock, acquired. Raises Busy, filelock.Timeout or OSError."""
    path = folder / f"{name}.lock"
    try:
        return path, FileLock(path).acquire(timeout=0)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    remove(path)
    path = folder / f"{name}.softlock"
    try:
        # Not 0: the first look may only remove what a process of this computer left behind.
        held = SoftFileLock(path).acquire(timeout=0.2)
    except Timeout:
        with contextlib.suppress(OSError):  # it may just have been released
            _, host, *_ = [*path.read_text("utf-8").splitlines(), "", ""]
            if host not in ("", socket.gethostname()):
                raise Busy(f"{name}: {BUSY}, on {host}; if that has "
                           f"crashed, remove {path}") from None
        raise
    print(f"{folder}: this file system has no locks; a file stands for the lock of a run")
    return path, held
