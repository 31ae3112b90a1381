"""What can be read as a checkpoint.

    python -m pytest tests/lab/test_checkpoints.py
"""

import tracemalloc
import zipfile

import pytest
import torch

from lab import checkpoints


def test_compressed_checkpoint_is_refused_before_it_fills_the_memory(tmp_path):
    path, packed = tmp_path / "run.pt", tmp_path / "packed.pt"
    torch.save({"model": torch.zeros(2**24)}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in whole.namelist():
            copy.writestr(name, whole.read(name))
    assert checkpoints.load_checkpoint(path)["model"].shape == (2**24,)
    assert packed.stat().st_size < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="compressed"):
            checkpoints.load_checkpoint(packed)
        assert tracemalloc.get_traced_memory()[1] < 2**20, "bytes at the peak"
    finally:
        tracemalloc.stop()
