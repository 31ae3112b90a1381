"""lab/digits/boxes.py: digits in printed boxes are read, or refused if there are several.

    python -m pytest tests/lab/digits/test_boxes.py
"""

import numpy as np
import own_digits
import pytest
from PIL import Image, ImageDraw, ImageOps


def boxes(count, digits, size=(150, 198)):
    """A form (L) of adjacent printed boxes, with a digit in each. At 198 pixels it touches them."""
    chance = np.random.default_rng(0)
    form = Image.new("L", (120 + 200 * count, 320))
    for place, digit in zip(range(count), digits, strict=False):
        if digit is not None:
            ink = own_digits.draw(digit, 1, 16, chance)
            ink = ink.crop(ink.getbbox()).resize(size)
            form.paste(ink, (160 + 200 * place - size[0] // 2, 160 - size[1] // 2), ink)
        ImageDraw.Draw(form).rectangle([60 + 200 * place, 60, 260 + 200 * place, 260],
                                       outline=200, width=5)
    return ImageOps.invert(form)


@pytest.mark.parametrize("angle", [0, 0.7])
def test_printed_boxes_are_no_part_of_the_digits(net, angle):
    def read(form):
        return own_digits.read(net, form.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255))

    assert [read(boxes(1, [digit])) for digit in range(10)] == list(range(10))
    assert read(boxes(4, [2, 0, 4, 7])).startswith("4 separate marks")


@pytest.mark.parametrize("angle", [1.5, 3, -8])
def test_boxes_askew_are_no_part_of_the_digits_that_they_enclose(net, angle):
    def read(form):
        turned = form.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
        return own_digits.read(net, turned)

    assert [read(boxes(1, [digit], (90, 130))) for digit in range(10)] == list(range(10))
    assert read(boxes(4, [2, 0, 4, 7], (90, 130))).startswith("4 separate marks")
    assert read(boxes(10, range(10), (110, 160))).startswith("10 separate marks")


@pytest.mark.parametrize("mark", [
    [(140, 190), (160, 210)], [(125, 240), (175, 160)], [(115, 250), (185, 150)]])
def test_a_zero_with_a_dot_or_a_slash_is_no_box(net, mark):
    zero = Image.new("L", (300, 400), 255)
    ImageDraw.Draw(zero).ellipse((70, 80, 230, 320), outline=0, width=12)
    ImageDraw.Draw(zero).line(mark, 0, 12)
    assert own_digits.read(net, zero) == 0


@pytest.mark.parametrize("digit", [0, 2, 3, 4, 5, 6, 7, 8, 9])  # a 1 may be the slash of a 0
def test_a_circle_around_a_digit_is_no_part_of_it(net, digit):
    ink = own_digits.draw(digit, 1, 16, np.random.default_rng(0))
    ink = ink.crop(ink.getbbox()).resize((110, 150))
    sheet = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(sheet).ellipse([60, 60, 340, 340], outline=0, width=8)
    sheet.paste(0, (145, 125), ink)
    assert own_digits.read(net, sheet) == digit


def test_what_stands_beside_a_box_askew_stays(net):
    """A mark just above it goes as too small; a second digit beside it is counted."""
    box = boxes(1, [5], (90, 130))
    ImageDraw.Draw(box).line([(200, 54), (216, 54)], 0, 4)
    box = box.rotate(8, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert own_digits.read(net, box) == 5
    row = ImageOps.invert(boxes(4, [5, None, None, None], (90, 130)))
    row = row.rotate(8, Image.Resampling.BICUBIC, expand=True)
    digit = own_digits.draw(7, 1, 16, np.random.default_rng(0))
    row.paste(digit.crop(digit.getbbox()).resize((50, 68)), (150, 80))
    assert own_digits.read(net, ImageOps.invert(row)).startswith("2 separate marks")


def test_a_square_zero_askew_with_a_dot_is_no_box(net):
    zero = Image.new("L", (300, 400), 255)
    ImageDraw.Draw(zero).rectangle((70, 80, 230, 320), outline=0, width=16)
    ImageDraw.Draw(zero).ellipse((138, 188, 162, 212), fill=0)
    assert own_digits.read(net, zero.rotate(5, Image.Resampling.BICUBIC, fillcolor=255)) == 0


def test_a_square_eight_is_no_box(net):
    eight = Image.new("L", (200, 300), 255)
    for line in ([50, 50, 150, 150], [50, 150, 150, 250]):
        ImageDraw.Draw(eight).rectangle(line, outline=0, width=9)
    assert own_digits.read(net, eight) == 8
