"""lab/strokes.py: the drawn digits are like MNIST's, and each is the digit that its label says.

    python -m pytest tests/lab/digits/test_strokes.py
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import interpolate

from dataset import MEAN, Transform
from lab.digits.prepare import is_prepared
from lab.digits.strokes import FORMS, draw_digits, paint, spline
from lab.runs import checkpoints

RECORD = Path(__file__).parents[3] / "logs/report/lenet_record-seed0.pt"  # trained without these


@pytest.fixture(scope="module")
def drawn():
    """2,000 drawn digits."""
    return draw_digits(2000)


@pytest.mark.parametrize("count", [1, 7, 64, 450])
def test_every_digit_comes_equally_often(count):
    images, labels = draw_digits(count)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(np.bincount(labels, minlength=10),
                                  np.bincount(np.arange(count) % 10, minlength=10))


def test_every_form_comes_equally_often(monkeypatch):
    """The forms of a digit here are a tall line and a broad one."""
    monkeypatch.setitem(FORMS, 3, ["0,0 0,50 0,100", "0,0 900,0 1800,0"])
    images, labels = draw_digits(900)
    tall = (images[labels == 3] > 0).any(3).sum(2) > 14  # in more than 14 rows
    assert tall.sum() == 45
    assert len(tall) == 90


def test_the_same_count_draws_the_same_and_leaves_chance_alone(drawn):
    torch.manual_seed(0)
    np.random.seed(0)
    again = draw_digits(2000)
    assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))
    after = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    assert after == (torch.rand(1), np.random.rand())


def test_no_two_drawings_are_the_same(drawn, monkeypatch):
    assert len(drawn[0].flatten(1).unique(dim=0)) == 2000
    for setting, value in (("WIDTH", 0.5), ("SLANT", 0), ("STROKE", 3)):  # the shape still differs
        monkeypatch.setattr(f"lab.digits.strokes.{setting}", (value, value))
    assert len(draw_digits(200)[0].flatten(1).unique(dim=0)) == 200


def test_drawn_digits_have_mnists_size_place_and_ink(drawn):
    pixels = drawn[0][:, 0].numpy()
    assert all(is_prepared(image.astype(float)) for image in pixels)  # 20 pixels tall, centred
    assert pixels.mean() / 255 == pytest.approx(MEAN, rel=0.1)


def test_a_net_that_never_saw_them_reads_most_of_them(drawn):
    """What it misreads are the forms that MNIST hardly has: some 1s with an upstroke, say."""
    images, labels = drawn
    with torch.inference_mode():
        read = checkpoints.read_net(RECORD)(Transform(32)(images)).argmax(1)
    right = read == labels
    assert right.float().mean() > 0.9
    assert all(right[labels == digit].float().mean() > 0.6 for digit in range(10))


def test_a_spline_runs_through_its_points_and_is_scipys():
    points = np.random.default_rng(1).normal(size=(3, 5, 2))
    curves = spline(points, steps=10)
    assert curves.shape == (3, 40, 2)
    for curve, given in zip(curves, points, strict=True):
        # Catmull-Rom: at each point, the slope is half the way from the point before to the next.
        ends = np.vstack([2 * given[0] - given[1], given, 2 * given[-1] - given[-2]])
        oracle = interpolate.CubicHermiteSpline(range(5), given, (ends[2:] - ends[:-2]) / 2)
        at = np.add.outer(np.arange(4), np.linspace(0, 1, 10)).ravel()
        np.testing.assert_allclose(curve, oracle(at), atol=1e-12)


@pytest.mark.parametrize("width", [2.0, 3.0, 3.7])
def test_a_drawn_line_is_as_thick_as_its_pen(width):
    """A vertical line, 20 pixels tall: its ink is its area, a rectangle with two round ends."""
    line = np.stack([np.zeros(50), np.linspace(0, 1, 50)], axis=1)
    ink = paint(line[None], np.array([width / 2]))
    assert ink.sum() == pytest.approx(width * (19 - width) + np.pi * width ** 2 / 4, rel=0.05)
