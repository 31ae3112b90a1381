"""What several test files share. `from conftest import write_idx` works in each of them."""

import contextlib
import gzip
import io
import multiprocessing
import os
import runpy
import signal
import struct
import sys
import tarfile
import tracemalloc
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, and for the processes tests start

import numpy as np
import pytest
import torch
from PIL import Image

import dataset
from lab.digits.prepare import WEIGHTS
from lab.runs import checkpoints
from lab.training import names, options

torch.set_num_threads(1)  # small batches: more threads cost more than they give
# Ignored where the tests are a shell's background job, and so in the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
DATA = ROOT / "data"
SPLITS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}  # stem of the files, images


def use_as_bundled(patch, folder):
    """Makes a folder stand for the repository's own data. patch: a MonkeyPatch."""
    for module in (options, names):
        patch.setattr(module, "DATA_DIR", folder)


def idx_bytes(array):
    """A uint8 array in LeCun's IDX format: 0, 0, type 8, dimensions, each size, the bytes."""
    array = np.ascontiguousarray(array, dtype=np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(path, array):
    """Writes a uint8 array as an IDX file, gzipped when the name ends in .gz; returns the path."""
    content = idx_bytes(array)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_idx_folder(folder, splits, suffix=".gz"):
    """The four IDX files of {"train": (images, labels), "test": ...}; returns the folder.

    images: uint8 (N, 28, 28); labels: (N,).
    """
    for split, (images, labels) in splits.items():
        stem, _ = SPLITS[split]
        write_idx(folder / f"{stem}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte{suffix}", labels)
    return folder


def png_bytes(image, kind="PNG"):
    """A uint8 image (H, W) as the content of a file."""
    Image.fromarray(image).save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


def tar_bytes(members, mode="w"):
    """A tar of {name: bytes, or the type of an entry without content, such as tarfile.SYMTYPE}."""
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode=mode) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if len(content) == 1:
                entry.type, entry.linkname = content, "train/0_5.png"
                content = b""
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def write_files(folder, files):
    """Writes {name: bytes}, in folders as the names say; None removes. Returns the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _bundled_digits_are_read_once():
    """The bundled 60,000 images take a quarter of a second, in many tests; none changes them."""
    read, kept = dataset.read_split, {}

    def read_once(data_dir, split):
        if data_dir != dataset.DATA_DIR:
            return read(data_dir, split)
        if split not in kept:
            kept[split] = read(data_dir, split)
        return kept[split]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "read_split", read_once)
        yield


# Scripts in processes of their own

@pytest.fixture(scope="session")
def begin():
    """Begins `python script *argv` in `folder`; returns the process.

    Forked from one that has imported what takes seconds, and not used it yet. Stdout and stderr go
    into the files out and err in `output`; `prepare` is called in the process, before the script.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("forked processes of POSIX")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "tqdm", "pytest", "filelock", "scipy.special",
                                    "scipy.stats", "matplotlib.figure", "PIL.Image"])

    def start(script, *argv, folder, output=None, prepare=int):
        folder.mkdir(exist_ok=True)
        process = context.Process(target=execute, args=(
            folder, output or folder, ROOT / script, argv, prepare))
        process.start()
        return process
    return start


def execute(folder, output, script, argv, prepare):
    """What such a process does."""
    os.chdir(folder)
    for descriptor, name in ((1, "out"), (2, "err")):
        with open(output / name, "w") as file:
            os.dup2(file.fileno(), descriptor)
    # The old one took what it was made for to be a file that can be sought in, and still does.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    torch.set_num_threads(1)
    prepare()
    sys.argv = [str(script), *argv]
    runpy.run_path(str(script), run_name="__main__")


@pytest.fixture
def run_script(begin, tmp_path):
    """Does the same to its end, in `tmp_path`; returns exit status, stdout and stderr."""
    def run(script, *argv, folder=tmp_path, prepare=int):
        process = begin(script, *argv, folder=folder, prepare=prepare)
        process.join()
        return process.exitcode, *((folder / name).read_text("utf-8") for name in ("out", "err"))
    return run


def without_reader():
    """For `prepare`: stdout is a pipe, line by line, whose reader has gone away."""
    reader, writer = os.pipe()
    os.close(reader)
    sys.stdout = open(writer, "w", 1)  # noqa: SIM115


@contextlib.contextmanager
def filling_no_memory(most=2**20):
    """Fails if the block takes `most` bytes at its peak, as Python counts it."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most, "bytes at the peak"
    finally:
        tracemalloc.stop()


# Digits

@pytest.fixture(scope="session")
def net():
    """The net that reads digits of the user's."""
    return checkpoints.read_net(WEIGHTS)


@pytest.fixture(scope="session")
def digits():
    """The bundled data, read without dataset.py: {split: (images, labels)}, numpy uint8."""
    found = {}
    for split, (stem, count) in SPLITS.items():
        images = gzip.decompress((DATA / f"{stem}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((DATA / f"{stem}-labels-idx1-ubyte.gz").read_bytes())[8:]
        found[split] = (np.frombuffer(images, np.uint8).reshape(count, 28, 28),
                        np.frombuffer(labels, np.uint8))
    return found


@pytest.fixture(scope="session")
def small_digits(digits):
    """The first 600 training and 200 test digits: {split: (images, labels)}, numpy uint8."""
    return {split: tuple(array[:count] for array in digits[split])
            for split, count in (("train", 600), ("test", 200))}


@pytest.fixture(scope="session")
def small_idx(small_digits, tmp_path_factory):
    """A folder of gzipped IDX files with the first 600 training and 200 test digits."""
    return write_idx_folder(tmp_path_factory.mktemp("small_idx"), small_digits)
