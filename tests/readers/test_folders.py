"""readers/folders.py: class folders broken in every way, and names in either order."""

import io

import numpy as np
import pytest
from conftest import png_bytes, write_files
from forms import class_folders, named_pictures
from PIL import ExifTags, Image
from six_digits import (
    DIGITS,
    PICTURES,
    PNG,
    SIX,
    assert_equal,
    check_bad_files,
    fault,
    png_of,
    read_both,
)

from dataset import MNIST

FIVE = "train/5/0.png"  # of the class folders
JPEG = png_bytes(PICTURES[0], "JPEG")

# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("classes", {FIVE: b"not a picture"}, f"{FIVE}: not a readable picture"),
    ("classes", {FIVE: b""}, f"{FIVE}: not a readable picture"),
    ("classes", {FIVE: PNG[:-40]}, f"{FIVE}: not a readable picture"),
    ("classes", {FIVE: JPEG[:-200]}, f"{FIVE}: not a readable picture"),
    ("classes", {FIVE: png_bytes(PICTURES[0], "GIF")}, f"{FIVE}: not a readable picture"),
    ("classes", {FIVE: png_of(32, 32)}, f"{FIVE}: 32x32 pixels, expected 28x28"),
    ("classes", {FIVE: bytes(1_000_001)}, f"{FIVE}: 1,000,001 bytes, too large for a digit"),
    ("classes", {FIVE: png_bytes(257 * PICTURES[0].astype(np.uint16))}, f"{FIVE}: 16 bits"),
    ("classes", {"test/5/notes.txt": b""}, "test/5/notes.txt: neither a picture (.png,"),
    ("classes", {"test/5/more/0.png": PNG}, "test/5/more: cannot be read: not a regular fi"),
    ("classes", {"test/10/0.png": PNG}, "test/10/0.png: its folder's name is no digit; a class"),
    ("classes", {"test/five/0.png": PNG}, "test/five/0.png: its folder's name is no"),
    ("classes", {"test/05/0.png": PNG}, "test/05/0.png: its folder's name is no digit"),
    ("classes", {"test/7_5.png": PNG}, "test/7_5.png: beside class folders; expected either the"),
    ("classes", {"training/5/0.png": PNG}, "has train and training; move all but one of these"),
    ("classes", {"a/notes.txt": b"", "mnist_train.csv": b""}, "folders train/, test/ and CSV file"),
    ("classes", {f"train/{digit}/{i}.png": None for i, digit in enumerate(DIGITS)},
     "train: 0 images, expected 1 to"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_class_folders_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


def test_clutter_and_fewer_classes_are_fine(tmp_path):
    write_files(tmp_path, class_folders(SIX) | {
        "train/5/Thumbs.db": b"", "train/.DS_Store": b"", "test/5/._0.png": b"AppleDouble",
        "train/__MACOSX/5/0.png": b"", "train/5/__MACOSX/0.png": b"",
        "train/5/0.png:Zone.Identifier": b"[ZoneTransfer]"})
    (tmp_path / "train" / "7").mkdir()  # without a picture
    order = np.argsort(DIGITS)
    assert_equal(read_both(tmp_path), dict.fromkeys(SIX, (PICTURES[order], DIGITS[order])))


@pytest.mark.parametrize(("orientation", "turn"), [  # of EXIF: what shows the picture upright
    (1, lambda stored: stored), (2, np.fliplr), (3, lambda stored: np.rot90(stored, 2)),
    (4, np.flipud), (5, np.transpose), (6, lambda stored: np.rot90(stored, -1)),
    (7, lambda stored: np.rot90(stored, 2).T), (8, np.rot90)])
def test_a_photograph_is_turned_as_its_camera_says(orientation, turn, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(PICTURES[0]).save(buffer := io.BytesIO(), "JPEG", exif=exif)
    write_files(tmp_path, {"train/5/0.jpg": buffer.getvalue()})
    stored = np.asarray(Image.open(buffer))
    np.testing.assert_array_equal(MNIST(tmp_path, True).images[0, 0], turn(stored))


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    write_files(tmp_path, class_folders(SIX))
    look = type(tmp_path).iterdir

    def refuse(path):
        if path.name == "5":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    assert fault(tmp_path) == f"{tmp_path / 'train' / '5'}: cannot be read: Permission denied"


@pytest.mark.parametrize(("names", "words"), [
    # An index repeats, but nothing says that these are labels.
    (["1_5", "01_6"], "1_5.png: a second image with index 1 (names are read as {index}_{label})"),
    # None repeats: these can be indices.
    (["0_10", "1_11"], "0_10.png: label 10, expected 0 to 9 (names are read as {index}_{label})"),
    # A number is too high for a label, wherever it stands.
    (["0_10", "0_5", "10_5"], "0_10.png: label 10, expected 0 to 9 (names are read as {index}_"),
    # Labels come first, but an index has two of them.
    (["3_17", "5_17", "3_18"], "5_17.png: a second image with index 17 (names are read as {label"),
    (["3_17", "3_018", "3_18"], "3_18.png: a second image with index 18 (names are read as {labe"),
])
def test_names_that_leave_doubt_are_refused_with_a_hint(names, words, tmp_path):
    write_files(tmp_path, {f"train/{name}.png": PNG for name in names})
    assert words in fault(tmp_path)


def test_few_pictures_are_read_as_always(tmp_path):
    """Where both orders are possible, the index comes first: six digits with indices 0 to 5."""
    write_files(tmp_path, named_pictures(SIX))
    assert MNIST(tmp_path, True).labels.tolist() == DIGITS.tolist()
