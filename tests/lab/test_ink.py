"""lab/ink.py: ruled lines, shadows and empty sheets are not taken for ink."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import own_digits

from lab import checkpoints
from lab.digit import BLANK, WEIGHTS


@pytest.fixture(scope="module")
def net():
    return checkpoints.read_net(WEIGHTS)


@pytest.fixture(scope="session")
def drawn():
    """Masks of the digits 0 to 9, drawn in one hand."""
    chance = np.random.default_rng(0)
    return [own_digits.draw(digit, 3, 16, chance) for digit in range(10)]


@pytest.mark.parametrize(("squared", "strength", "ground"), [
    (False, 0.3, own_digits.chalk), (False, 0.9, own_digits.scan),
    (True, 0.3, own_digits.scan), (True, 0.9, own_digits.chalk)])
def test_ruling_is_taken_out(net, drawn, squared, strength, ground):
    chance = np.random.default_rng(0)
    answers = [own_digits.read(net, ground(own_digits.rule(
        mask, chance, squared, strength), chance)) for mask in drawn]
    assert sum(answer == digit for digit, answer in enumerate(answers)) >= 9


def test_a_single_line_is_taken_out_and_a_one_that_fills_the_picture_is_not(net, drawn):
    pages = [ImageOps.invert(mask) for mask in drawn]
    for page in pages:
        ImageDraw.Draw(page).line([(0, 420), (800, 412)], 60, 6)
    right = sum(own_digits.read(net, page) == digit for digit, page in enumerate(pages))
    assert right >= 9
    one = Image.new("L", (300, 400), "white")
    ImageDraw.Draw(one).line([(150, 0), (146, 400)], 0, 12)
    assert own_digits.read(net, one) == 1


def test_an_empty_sheet_with_a_shadow_is_blank(net):
    chance = np.random.default_rng(4)  # the 13th shadow ends in a wedge at the border
    answers = {own_digits.read(net, own_digits.shade(chance)) for _ in range(13)}
    assert answers == {BLANK}
