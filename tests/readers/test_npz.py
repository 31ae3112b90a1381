"""readers/npz.py with files broken in every way."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from conftest import filling_no_memory, write_files
from forms import npz_bytes
from hypothesis import given
from numpy.lib import format as npy
from six_digits import (
    DIGITS,
    GOOD,
    PICTURES,
    assert_equal,
    at_random,
    check_bad_files,
    cuts,
    damage,
    fault,
    flips,
    read_damaged,
)

NPZ = GOOD["npz"]["mnist.npz"]
ARRAYS = {"x_train": PICTURES, "y_train": DIGITS, "x_test": PICTURES, "y_test": DIGITS}


class Trap:
    """A pickle that leaves a trace if it is loaded."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was loaded')",)


def changed(**arrays):
    return {"mnist.npz": npz_bytes(**ARRAYS | arrays)}


def announcing(shape, body=b"", dtype="|u1", name="x_train"):
    """An npz of which an array announces a shape."""
    npy.write_array_header_1_0(buffer := io.BytesIO(), {
        "descr": dtype, "fortran_order": False, "shape": shape})
    return zipped({f"{name}.npy": buffer.getvalue() + body})


def zipped(members):
    with zipfile.ZipFile(buffer := io.BytesIO(NPZ), "a", zipfile.ZIP_DEFLATED) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (old | members).items():
            archive.writestr(name, content)
    return {"mnist.npz": buffer.getvalue()}


TRAPS = np.array([Trap()] * 6)
FILE = "mnist.npz: "
LABELS = "kmnist-train-labels.npz"
# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("npz", {"mnist.npz": b""}, f"{FILE}cannot be read: File is not a zip file"),
    ("npz", {"mnist.npz": NPZ[:-30]}, f"{FILE}cannot be read: File is not a zip file"),
    ("npz", {"mnist.npz": NPZ[:200] + bytes(50) + NPZ[250:]}, f"{FILE}cannot be read: "),
    ("npz", {"mnist.npz": npz_bytes(images=PICTURES, labels=DIGITS)},
     f"{FILE}no x_train in it, but images, labels"),
    ("npz", {"mnist.npz": npz_bytes(x_train=PICTURES, y_train=DIGITS)}, f"{FILE}no x_test in it"),
    ("npz", changed(x_train=TRAPS), f"{FILE}cannot be read: Object arrays"),
    ("npz", changed(y_test=TRAPS), f"{FILE}cannot be read: Object arrays"),
    ("npz", zipped({"x_train.npy": pickle.dumps(Trap())}), f"{FILE}cannot be read: "),
    ("npz", changed(x_train=PICTURES / 255), f"{FILE}x_train holds float64, expected uint8"),
    ("npz", changed(x_train=PICTURES[:, 1:]), f"{FILE}x_train has the shape (6, 27, 28), exp"),
    ("npz", changed(x_train=np.int64(3)), f"{FILE}x_train has the shape (), expected (N, 28, 28)"),
    ("npz", changed(x_train=np.stack([PICTURES] * 3, -1)), "has the shape (6, 28, 28, 3), expect"),
    ("npz", changed(y_train=np.eye(10, dtype=int)[DIGITS]), "y_train has the shape (6, 10), exp"),
    ("npz", changed(x_train=PICTURES[:5]), f"{FILE}6 labels for 5 images"),
    ("npz", changed(x_train=PICTURES[:0]), f"{FILE}6 labels for 0 images"),
    ("npz", changed(y_train=DIGITS + 1), f"{FILE}label 10 at position 4"),
    ("npz", changed(y_train=DIGITS - 1), f"{FILE}label -1 at position 1"),
    ("npz", changed(x_train=PICTURES + np.int64(300)), f"{FILE}x_train has 300, expected 0 to 255"),
    ("npz", changed(x_train=PICTURES - np.int16(1)), f"{FILE}x_train has -1, expected 0 to 255"),
    ("npz", changed(x_train=PICTURES[[3] * 6]), f"{FILE}all 6 images are alike"),
    ("npz", announcing((2**40, 28, 28)), f"{FILE}cannot be read: Unable to allocate"),
    ("npz", changed(x_train=np.array(["5"] * 6)), f"{FILE}x_train holds <U1, expected uint8"),
    ("npz", changed(y_train=DIGITS / 2), f"{FILE}y_train holds float64, expected whole numbers"),
    ("npz", announcing((7, 28, 28), PICTURES.tobytes()), f"{FILE}cannot be read: "),
    ("npz", announcing((5, 28, 28), PICTURES.tobytes()), f"{FILE}6 labels for 5 images"),
    ("npz", announcing((-1, 28, 28)), f"{FILE}cannot be read: "),
    ("kmnist", {LABELS: None}, f"{LABELS}: missing, though other parts are there"),
    ("kmnist", {LABELS: npz_bytes(labels=DIGITS)}, f"{LABELS}: no arr_0 in it, but labels"),
    ("kmnist", {LABELS: npz_bytes(arr_0=DIGITS[:5])}, f"{LABELS}: 5 labels for 6 images"),
    ("kmnist", {"mnist.npz": NPZ}, "has kmnist-*.npz and mnist.npz; move all but one of these"),
    ("npz", {"other.npz": NPZ}, "has mnist.npz and other.npz; move all but one of these"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_npz_files_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


def test_the_file_is_named_once(tmp_path):
    write_files(tmp_path, {"mnist.npz": npz_bytes(a=DIGITS)})
    assert fault(tmp_path) == (f"{tmp_path / 'mnist.npz'}: no x_train in it, but a")


@pytest.mark.parametrize("name", ["x_train", "notes"])
def test_what_unpacks_to_too_much_fills_no_memory(name, tmp_path):
    write_files(tmp_path, announcing((2**25,), bytes(2**25), name=name))
    with filling_no_memory():
        assert "mnist.npz: unpacks to more than 100 times its size" in fault(tmp_path)


@at_random
@given(cut=cuts, flips=flips)
def test_damage_to_npz_is_noticed_or_harmless(cut, flips):
    found = read_damaged(GOOD["npz"], "mnist.npz", damage(NPZ, cut, flips))
    if found:
        assert_equal({"train": found}, {"train": (PICTURES, DIGITS)})
