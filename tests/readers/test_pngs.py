"""readers/pngs.py with files broken in every way."""

import pytest
from conftest import png_bytes
from six_digits import PICTURES, PNG, PNGS, check_bad_files, flip, png_of

# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("png", {"train/0_5.png": b"not a PNG"}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": b""}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": PNG[:-40]}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": flip(PNG, 46, 4)}, "train/0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": png_bytes(PICTURES[0], "JPEG")}, "0_5.png: not a readable PNG"),
    ("png", {"train/0_5.png": png_of(32, 32)}, "train/0_5.png: 32x32 pixels, expected 28x28"),
    ("png", {"train/0_5.png": png_of(28, 27)}, "train/0_5.png: 27x28 pixels, expected 28x28"),
    ("png", {"train/0_5.png": bytes(1_000_001)}, "train/0_5.png: 1,000,001 bytes"),
    ("png", {"test/five.png": PNG}, "test/five.png: not named {index}_{label}.png"),
    ("png", {"test/5.png": PNG}, "test/5.png: not named {index}_{label}.png"),
    ("png", {"test/-7_5.png": PNG}, "test/-7_5.png: not named {index}_{label}.png"),
    ("png", {"test/7_5_1.png": PNG}, "test/7_5_1.png: not named {index}_{label}.png"),
    ("png", {"test/٧_5.png": PNG}, "test/٧_5.png: not named {index}_{label}.png"),
    ("png", {f"test/{'9' * 19}_5.png": PNG}, "9_5.png: not named {index}_{label}.png"),
    ("png", {"test/a\nb.png": PNG}, "b.png: not named {index}_{label}.png"),
    ("png", {"test/7_10.png": PNG}, "test/7_10.png: label 10, expected 0 to 9"),
    ("png", {"train/00_5.png": PNG}, "_5.png: a second image with index 0"),
    ("png", dict.fromkeys(PNGS), "train: no PNG files in it"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_pngs_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)
