"""lab/digits/ink.py: ruled lines, shadows and empty sheets are not taken for ink."""

import numpy as np
import own_digits
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from lab.digits.ink import find_ink, is_edge
from lab.digits.marks import BLANK


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


def test_a_printed_box_that_the_digit_touches_is_taken_out(net, drawn):
    right = 0
    for digit, mask in enumerate(drawn):
        mask = mask.crop(mask.getbbox()).resize((90, 130))
        box = Image.new("L", (210, 166), 250)
        box.paste(0, (60, 24), mask)
        for line in ([0, 10, 209, 10], [0, 154, 209, 154], [10, 0, 10, 165], [198, 0, 198, 165]):
            ImageDraw.Draw(box).line(line, 20, 7)
        right += own_digits.read(net, box) == digit
    assert right >= 9


def test_an_empty_sheet_with_a_shadow_is_blank(net):
    chance = np.random.default_rng(4)  # the 13th shadow ends in a wedge at the border
    answers = {own_digits.read(net, own_digits.shade(chance)) for _ in range(13)}
    assert answers == {BLANK}


@pytest.mark.parametrize("tones", [(255, 0), (0, 255), (60, 145)])
def test_on_an_even_sheet_a_fat_digit_that_reaches_the_border_is_ink(tones):
    fat = np.full((28, 28), tones[0])
    fat[0:28, 8:20] = tones[1]  # broader than WINDOW, from border to border
    fat[10:18, 11:16] = tones[0]
    ink, _ = find_ink(as_picture(fat))
    assert np.array_equal(ink, fat == tones[1])


@pytest.mark.parametrize("way", [own_digits.screen, own_digits.scan])
def test_the_negative_of_a_picture_gives_the_same_ink(drawn, way):
    for mask in (drawn[3], drawn[8].filter(ImageFilter.MaxFilter(61))):  # also a fat digit
        picture = way(mask, np.random.default_rng(0)).convert("L")
        ink, _ = find_ink(picture)
        assert np.allclose(find_ink(ImageOps.invert(picture))[0], ink, atol=0.03)


def as_picture(grey):
    return Image.fromarray(np.uint8(np.clip(grey, 0, 255)))


@pytest.mark.parametrize(("size", "depth"), [(190, 105), (400, 45)])  # 7.5 and 3.2 deviations
def test_noise_is_no_ink_and_a_stroke_little_above_it_is(size, depth):
    noise = np.random.default_rng(0).normal(170, 14, (size, size))
    assert not find_ink(as_picture(noise))[0].any()
    noise[40:150, 90:100] -= depth  # large pictures are smoothed, which shows fainter strokes
    ink, _ = find_ink(as_picture(noise))
    assert (ink[40:150, 90:100] > 0).mean() > 0.9
    ink[37:153, 87:103] = 0
    assert (ink > 0).sum() < 10


def test_a_broad_stroke_is_ink_and_a_broader_shade_is_paper():
    x = np.tile(np.arange(192), (192, 1))
    stroke = np.where((x >= 80) & (x < 104), 30, 230)  # an eighth of the picture
    stroke[:30] = stroke[160:] = 230
    ink, _ = find_ink(as_picture(stroke))
    assert ((ink > 0.5) == (stroke == 30)).all()
    shade = 230 - 110 * np.exp(-((x - 96) / 38) ** 2 / 2)  # a quarter of it is half as deep
    assert not (find_ink(as_picture(shade))[0] > 0.5).any()


@pytest.mark.parametrize("noise", [0, 4, 8, 16])
def test_the_edge_of_a_shadow_is_told_from_a_stroke(noise):
    grain = np.random.default_rng(0).normal(0, noise, (300, 300))
    ink = np.zeros((300, 300))
    ink[:, 150:156] = 1
    edge = np.where(np.arange(300) < 150, 200, 140) + grain
    assert is_edge(ink, edge, reach=3)
    assert not is_edge(ink, 200 - 100 * ink + grain, reach=3)


@pytest.mark.parametrize(("paper", "stroke", "found"), [
    (230, 203, True), (230, 218, False),  # 0.12 and 0.05 of the paper's brightness
    (80, 71, True), (80, 76, False),  # the same in the shade
    (40, 67, True), (40, 52, False), (200, 212, False)])  # on dark paper, of 255
def test_faint_strokes(paper, stroke, found):
    grey = np.full((150, 150), paper)
    grey[30:120, 70:76] = stroke
    ink, _ = find_ink(as_picture(grey))
    assert (ink[30:120, 70:76] > 0.9).all() == ink.any() == found


def test_a_ruled_line_is_erased_and_a_darker_stroke_on_it_is_not():
    grey = np.full((190, 190), 230)
    grey[20::40] = grey[21::40] = 190
    grey[100:102, 60:130] = 50
    ink, _ = find_ink(as_picture(grey))
    assert (ink > 0.5).sum() == (ink[100:102, 60:130] > 0.5).sum() == 140


def test_a_bar_from_side_to_side_is_too_thick_for_a_ruled_line():
    grey = np.full((190, 190), 230)
    grey[80:104] = 50
    ink, _ = find_ink(as_picture(grey))
    assert (ink[84:100] > 0.5).all()


@pytest.mark.parametrize(("size", "found"), [(28, True), (60, True), (61, False)])
def test_pale_lines_are_ink_on_small_pictures(size, found):
    grey = np.full((size, size), 250)
    grey[6:22, 10] = 250 - 10
    assert find_ink(as_picture(grey))[0].any() == found
