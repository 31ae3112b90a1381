"""readers/pngs.py with files broken in every way, and what becomes of transparent images."""

import io

import numpy as np
import pytest
from conftest import png_bytes, write_files
from PIL import Image
from six_digits import PICTURES, PNG, PNGS, check_bad_files, flip, png_of

from dataset import MNIST

# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("png", {"train/0_5.png": b"not a PNG"}, "train/0_5.png: not a readable picture"),
    ("png", {"train/0_5.png": b""}, "train/0_5.png: not a readable picture"),
    ("png", {"train/0_5.png": PNG[:-40]}, "train/0_5.png: not a readable picture"),
    ("png", {"train/0_5.png": flip(PNG, 46, 4)}, "train/0_5.png: not a readable picture"),
    ("png", {"train/0_5.png": png_bytes(PICTURES[0], "GIF")}, "0_5.png: not a readable picture"),
    ("png", {"train/0_5.png": png_of(32, 32)}, "train/0_5.png: 32x32 pixels, expected 28x28"),
    ("png", {"train/0_5.png": png_of(28, 27)}, "train/0_5.png: 27x28 pixels, expected 28x28"),
    ("png", {"train/0_5.png": bytes(1_000_001)}, "train/0_5.png: 1,000,001 bytes"),
    ("png", {"test/five.png": PNG}, "test/five.png: neither a picture (.png, .jpg,"),
    ("png", {"test/5.png": PNG}, "test/5.png: neither a picture (.png, .jpg,"),
    ("png", {"test/-7_5.png": PNG}, "test/-7_5.png: neither a picture (.png, .jpg,"),
    ("png", {"test/7_5_1.png": PNG}, "test/7_5_1.png: neither a picture (.png, .jpg,"),
    ("png", {"test/٧_5.png": PNG}, "test/٧_5.png: neither a picture (.png, .jpg,"),
    ("png", {f"test/{'9' * 19}_5.png": PNG}, "9_5.png: neither a picture (.png, .jpg,"),
    ("png", {"test/a\nb.png": PNG}, "b.png: neither a picture (.png, .jpg,"),
    ("png", {"test/7_10.png": PNG}, "test/7_10.png: label 10, expected 0 to 9"),
    ("png", {"train/00_5.png": PNG}, "_5.png: a second image with index 0"),
    ("png", dict.fromkeys(PNGS), "train: 0 images, expected 1 to"),
    ("png", {f"train/{i}_5.gif": PNG for i in range(2000, 1000, -5)},
     "train/1005_5.gif: neither a picture (.png, .jpg, .jpeg, .bmp) in a class folder nor named "
     "{index}_{label}.png (such files: 200); rename, convert or remove them"),
    ("png", {"train/notes.txt": b"notes"}, "train/notes.txt: neither a picture"),
    ("png", {"train/more/7_5.png": PNG}, "train/more/7_5.png: its folder's name is no digit"),
    ("png", {"train/0_5.png": png_bytes(257 * PICTURES[0].astype(np.uint16))},
     "train/0_5.png: 16 bits a pixel, expected 8"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_pngs_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


def make_png(grey, alpha, kind):
    """A transparent image as a PNG file. grey, alpha: uint8 (28, 28)."""
    if kind == "RGBA":
        image = Image.fromarray(np.dstack([grey, grey, grey, alpha]))
    elif kind == "LA":
        image = Image.fromarray(np.dstack([grey, alpha]), "LA")
    else:  # a palette: each pixel has an entry of its own, as far as 256 of them go
        pairs, places = np.unique(np.stack([grey, alpha], -1).reshape(-1, 2), axis=0,
                                  return_inverse=True)
        image = Image.fromarray(places.reshape(28, 28).astype(np.uint8), "P")
        image.putpalette(np.repeat(pairs[:, 0], 3).astype(np.uint8).tobytes())
        image.info["transparency"] = pairs[:, 1].astype(np.uint8).tobytes()
    image.save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["LA", "RGBA", "P"])
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (29, 255), (226, 0)])
def test_ink_in_the_alpha_channel_stays_visible(kind, ink, paper, tmp_path):
    """Ink of one colour on nothing: over black, or over white where that shows it better."""
    alpha = PICTURES[0]
    write_files(tmp_path, {"train/0_5.png": make_png(np.full_like(alpha, ink), alpha, kind)})
    weight = alpha / 255
    expected = np.rint(weight * ink + (1 - weight) * paper)
    found = MNIST(tmp_path, True).images[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1)
    assert np.ptp(found) > 190


@pytest.mark.parametrize("kind", ["LA", "RGBA", "P"])
def test_a_digit_on_paper_with_transparent_corners_is_laid_over_black(kind, tmp_path):
    """Both colours leave the same contrast then. What is opaque stays as it was."""
    alpha = np.full((28, 28), 255, np.uint8)
    alpha[:3, :3] = 0
    write_files(tmp_path, {"train/0_5.png": make_png(PICTURES[0], alpha, kind)})
    expected = np.where(alpha, PICTURES[0], 0)
    np.testing.assert_array_equal(MNIST(tmp_path, True).images[0, 0].numpy(), expected)


def test_a_transparent_colour_is_seen_too(tmp_path):
    """PNG can name one grey that is transparent, without an alpha channel."""
    ink = PICTURES[0] // 128  # nearly black
    Image.fromarray(ink).save(buffer := io.BytesIO(), "PNG", transparency=0)
    write_files(tmp_path, {"train/0_5.png": buffer.getvalue()})
    found = MNIST(tmp_path, True).images[0, 0].numpy()
    np.testing.assert_array_equal(found, np.where(ink, 1, 255))
