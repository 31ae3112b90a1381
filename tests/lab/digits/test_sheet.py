"""lab/digits/sheet.py: sheets that lie on a ground are cut out upright, and nothing else is."""

import numpy as np
import own_digits
import pytest
import real_digits
from PIL import Image, ImageDraw, ImageOps

from lab.digits.sheet import cut_sheet


@pytest.fixture(scope="module")
def drawn():
    """Pictures (L, 400x400) of the digits 0 to 9, drawn in one hand, black on white."""
    chance = np.random.default_rng(0)
    masks = [own_digits.draw(digit, 3, 16, chance) for digit in range(10)]
    return [ImageOps.invert(mask.crop((200, 200, 600, 600))) for mask in masks]


@pytest.mark.parametrize("turn", [0, 2, 10, 30])
@pytest.mark.parametrize("negative", [False, True])
def test_sheets_on_a_table_are_read(net, drawn, turn, negative):
    chance = np.random.default_rng(turn)
    sheets = [ImageOps.invert(picture) if negative else picture for picture in drawn]
    tables = [real_digits.lay_out(sheet, (0.05, 0.1, 0.2, 0.4)[digit % 4], turn, chance)
              for digit, sheet in enumerate(sheets)]
    assert all(cut_sheet(table) is not table for table in tables)
    assert sum(own_digits.read(net, table) == digit for digit, table in enumerate(tables)) >= 9


def lay(corners, paper=230, ground=90, size=(400, 300)):
    table = Image.new("L", size, ground)
    ImageDraw.Draw(table).polygon(corners, fill=paper)
    return table


def test_a_sheet_askew_in_perspective_becomes_a_rectangle():
    corners = [(90, 60), (70, 250), (300, 280), (280, 40)]  # 191 and 232 by 191 and 241
    table = lay(corners)
    middle = np.mean(corners, axis=0)
    for corner in corners:  # a spot near to each corner
        x, y = middle + 0.8 * (corner - middle)
        ImageDraw.Draw(table).ellipse([x - 5, y - 5, x + 5, y + 5], fill=0)
    sheet = cut_sheet(table)
    assert sheet.size == pytest.approx((211 * 0.95, 216 * 0.95), rel=0.03)
    pixels = np.asarray(sheet) / 230
    assert (pixels[[0, -1]] > 0.9).all()
    assert (pixels[:, [0, -1]] > 0.9).all()
    rows, columns = np.nonzero(pixels < 0.3)
    for axis, edge in ((rows, sheet.height), (columns, sheet.width)):
        near, far = axis[axis < edge / 2], axis[axis >= edge / 2]
        assert near.mean() / edge == pytest.approx(0.08, abs=0.02)
        assert far.mean() / edge == pytest.approx(0.92, abs=0.02)


@pytest.mark.parametrize(("width", "tone"), [(14, 20), (60, 180)])
def test_a_pen_or_a_finger_may_lie_on_the_edge(net, drawn, width, tone):
    table = Image.new("L", (560, 560), 60)
    table.paste(drawn[3], (80, 80))
    ImageDraw.Draw(table).line([(540, 300), (440, 280)], tone, width)
    ImageDraw.Draw(table).line([(560, 304), (540, 300)], tone, width)
    sheet = cut_sheet(table)
    assert sheet.width == pytest.approx(400, abs=30)
    assert own_digits.read(net, table) == 3


def test_a_square_of_squared_paper_is_no_sheet():
    paper = Image.new("L", (120, 120), 230)
    for at in (30, 85):  # a square in the middle, a fifth of the picture
        ImageDraw.Draw(paper).line([(at, 0), (at, 120)], 120, 3)
        ImageDraw.Draw(paper).line([(0, at), (120, at)], 120, 3)
    assert cut_sheet(paper) is paper


def test_a_frame_on_a_sheet_is_cut_off_too(net, drawn):
    card = ImageOps.expand(drawn[6], 24, 20)
    table = ImageOps.expand(ImageOps.expand(card, 20, 240), 120, 100)
    assert max(cut_sheet(table).size) < 400
    assert own_digits.read(net, table.rotate(8, fillcolor=100)) == 6


def test_a_stroke_that_runs_off_the_sheet_does_not_cut_it_up(net):
    seven = lay([(100, 60), (100, 360), (300, 360), (300, 60)], 255, 60, (400, 420))
    ImageDraw.Draw(seven).line([(130, 110), (270, 110), (180, 364)], 30, 18)
    assert cut_sheet(seven).size == pytest.approx((200, 300), abs=20)
    assert own_digits.read(net, seven) == 7


@pytest.mark.parametrize("picture", [
    lay([(0, 0), (0, 300), (220, 300), (150, 0)]),  # a shadow, or a sheet that leaves the picture
    lay([(0, 0), (0, 250), (300, 0)]),  # a corner in the light
    lay([(200, 20), (60, 280), (340, 280)]),  # three corners
    lay([(150, 120), (150, 200), (230, 200), (230, 120)]),  # a mark
    lay([(80, 60), (80, 240), (320, 240), (320, 60)], 100),  # of the ground's tone
    Image.new("L", (400, 300), 255), Image.new("L", (640, 1), 7)])
def test_what_is_no_sheet_is_left_alone(picture):
    assert cut_sheet(picture) is picture


@pytest.mark.parametrize("pen", [3, 16, 60])
def test_digits_and_shadows_are_no_sheets(drawn, pen):
    chance = np.random.default_rng(0)
    for digit in range(10):
        mask = own_digits.draw(digit, 3, pen, chance)
        for way in (own_digits.screen, own_digits.scan, own_digits.chalk, own_digits.photo):
            picture = own_digits.to_grey(way(mask, chance))
            assert cut_sheet(picture) is picture
        shade = own_digits.shade(chance)
        assert cut_sheet(shade) is shade


def test_every_mnist_digit_is_no_sheet(digits):
    for pixels in digits["test"][0][:300]:
        picture = ImageOps.invert(Image.fromarray(pixels))
        assert cut_sheet(picture) is picture
