"""Digits that are kept with their labels: names, numbers, limits, faults, and reading them again.

    python -m pytest tests/lab/page/test_kept.py
"""

import os
import re
import shutil

import numpy as np
import pytest
from conftest import png_bytes
from PIL import Image

import predict
from lab.digits.prepare import WEIGHTS, PictureError
from lab.files import RunError
from lab.page import kept

DRAWN = 255 - 180 * np.pad(np.ones((40, 8), np.uint8), ((20, 20), (36, 36)))  # (80, 80), a 1


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_digits_are_numbered_and_keep_their_pixels(tmp_path):
    paths = [kept.keep(png_bytes(DRAWN), label) for label in (1, 7, 1)]
    assert [str(path) for path in paths] == [os.path.join("drawn", name) for name in (
        "1_1.png", "2_7.png", "3_1.png")]
    for path in paths:
        with Image.open(tmp_path / path) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.asarray(image), DRAWN)
    assert kept.list_kept() == [(1, 1, paths[0]), (2, 7, paths[1]), (3, 1, paths[2])]
    assert names(tmp_path) == ["drawn"]
    assert names(tmp_path / "drawn") == ["1_1.png", "2_7.png", "3_1.png"]


def test_the_number_is_above_all_others_and_nothing_is_overwritten(tmp_path, monkeypatch):
    folder = tmp_path / "drawn"
    folder.mkdir()
    for name in ("9_3.png", "10_3.png", "x_1.png", "12_33.png", "99_1.jpg", "-50_1.png"):
        (folder / name).write_bytes(b"mine")
    assert kept.keep(png_bytes(DRAWN), 4).name == "11_4.png"
    monkeypatch.setattr(kept, "list_kept", lambda: [])  # as another draw.py has seen it before
    (folder / "1_4.png").write_bytes(b"mine")
    assert kept.keep(png_bytes(DRAWN), 4).name == "2_4.png"
    assert (folder / "1_4.png").read_bytes() == b"mine"


def test_a_digit_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 2)
    for label in (0, 9):
        kept.keep(png_bytes(DRAWN), label)
    with pytest.raises(RunError, match=r"^drawn: holds 2 digits, which is the most"):
        kept.keep(png_bytes(DRAWN), 5)
    assert names(tmp_path / "drawn") == ["1_0.png", "2_9.png"]


@pytest.mark.parametrize(("content", "words"), [
    (b"", "not a PNG"), (png_bytes(DRAWN, "JPEG"), "not a PNG"), (b"<html>", "not a PNG"),
    (png_bytes(DRAWN)[:60], "not readable"), (kept.PNG + b"<script>", "not an image")])
def test_only_a_png_is_kept(content, words, tmp_path):
    with pytest.raises(PictureError, match=words):
        kept.keep(content, 1)
    assert names(tmp_path) == []


def test_nothing_but_pixels_is_kept(tmp_path):
    path = kept.keep(png_bytes(DRAWN) + b"<script>", 1)
    assert b"script" not in path.read_bytes()


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "drawn").write_bytes(b"a file")
    with pytest.raises(RunError, match=r"^drawn: cannot be made"):
        kept.keep(png_bytes(DRAWN), 1)
    (tmp_path / "drawn").unlink()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=re.escape("1_1.png: cannot be written: No space left")):
        kept.keep(png_bytes(DRAWN), 1)
    assert names(tmp_path / "drawn") == []


def test_predict_reads_what_was_kept(digits, capsys):
    large = np.asarray(Image.fromarray(255 - digits["test"][0][0]).resize((336, 336)))
    path = kept.keep(png_bytes(large), 7)
    assert predict.main([str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: 7 ")
    assert kept.read_kept(path, WEIGHTS) == 7


def test_a_digit_is_read_again_only_if_it_or_the_weights_changed(digits, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(kept, "ask", lambda *args, ask=kept.ask: asked.append(1) or ask(*args))
    weights = tmp_path / "mine.pt"
    shutil.copy(WEIGHTS, weights)
    path = kept.keep(png_bytes(digits["test"][0][0]), 7)
    assert [kept.read_kept(path, weights) for _ in range(3)] == [7, 7, 7]
    assert len(asked) == 1
    path.write_bytes(png_bytes(digits["test"][0][1]))
    os.utime(path, ns=(1, 1))
    assert kept.read_kept(path, weights) == 2
    shutil.copy(WEIGHTS.with_name("lenet_1998-seed0.pt"), weights)
    os.utime(weights, ns=(1, 1))
    assert kept.read_kept(path, weights) == 2
    assert len(asked) == 3


def test_a_digit_that_is_refused_or_gone(tmp_path):
    path = kept.keep(png_bytes(np.full((90, 90), 255, np.uint8)), 8)
    assert kept.read_kept(path, WEIGHTS) is None
    path.unlink()
    with pytest.raises(RunError, match=r"1_8\.png: cannot be read"):
        kept.read_kept(path, WEIGHTS)
