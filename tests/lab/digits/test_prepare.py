"""prepare.py: test digits in files of every format, and drawings, become what NIST made."""

import io
import itertools

import numpy as np
import own_digits
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

from dataset import Transform
from lab.digits.marks import keep_digit
from lab.digits.prepare import (
    STROKE,
    PictureError,
    classify,
    fit,
    prepare,
    read_picture,
    to_grey,
)


@pytest.fixture
def seven(digits):
    """The first test image, a 7, as a picture."""
    return Image.fromarray(digits["test"][0][0])


def test_ink_as_light_as_the_paper_is_found_by_its_colour(net):
    mask = own_digits.draw(2, 3, 16, np.random.default_rng(0))
    paper, ink = (154, 217, 234), (255, 201, 14)  # light blue and yellow, a pixel of 199 and of 196
    sheet = Image.new("RGB", mask.size, paper)
    sheet.paste(ink, mask=mask)
    assert np.ptp(sheet.convert("L")) < 20
    assert own_digits.read(net, to_grey(sheet)) == 2


def enlarge(picture, chance):
    """A test digit ten times as large, black on white, off centre, unevenly lit, as a JPEG."""
    big = picture.resize((280, 280), Image.Resampling.BICUBIC)
    width, height = chance.integers(300, 500, 2).tolist()
    page = Image.new("L", (width, height))
    page.paste(big, (int(chance.integers(width - 280)), int(chance.integers(height - 280))))
    light = np.linspace(150, 235, width) + np.linspace(-20, 20, height)[:, None]
    page = light * (1 - np.asarray(page) / 300)
    Image.fromarray(np.uint8(page.clip(0, 255))).save(file := io.BytesIO(), "JPEG", quality=80)
    return Image.open(file)


def same_picture(one, other):
    return one.size == other.size and one.mode == other.mode and one.tobytes() == other.tobytes()


def test_every_mnist_digit_passes_unchanged(digits):
    # A hundred of them touch the border.
    for pixels in digits["test"][0]:
        picture = Image.fromarray(pixels)
        assert same_picture(prepare(picture), picture)


@pytest.mark.parametrize("change", ["small", "off centre", "noise"])
def test_28x28_that_is_not_as_mnist_promises_is_prepared(net, digits, change):
    right = 0
    for pixels, label in zip(*(array[:20] for array in digits["test"]), strict=True):
        picture = Image.fromarray(pixels)
        changed = Image.new("L", (28, 28))
        if change == "small":
            changed.paste(picture.resize((14, 14), Image.Resampling.BOX), (2, 3))
        elif change == "off centre":
            changed.paste(picture.crop(picture.getbbox()), (1, 7))
        else:  # JPEG's, to the border
            picture.save(file := io.BytesIO(), "JPEG", quality=50)
            changed = Image.open(file)
        prepared = prepare(changed)
        left, top, right_edge, bottom = prepared.getbbox()
        assert max(right_edge - left, bottom - top) == 20
        right += int(classify(net, prepared).argmax()) == label
    assert right >= 19


def test_a_digit_that_fills_28x28_pixels_is_not_one_of_mnists(net, digits):
    picture = Image.fromarray(digits["test"][0][17])  # a 7
    full = picture.crop(picture.getbbox()).resize((28, 28))
    prepared = prepare(full)
    left, top, right, bottom = prepared.getbbox()
    assert max(right - left, bottom - top) == 20
    assert classify(net, prepared).argmax() == 7


def test_a_small_picture_that_is_cropped_to_its_digit_is_read(net, digits):
    right = 0
    for pixels, label in zip(*(array[:60] for array in digits["test"]), strict=True):
        picture = Image.fromarray(pixels)
        tight = ImageOps.invert(picture.crop(picture.getbbox()).resize((28, 28)))
        right += own_digits.read(net, tight) == label
    assert right >= 56  # on so few pixels, no stroke is taken for a ruled line


def test_enlarged_inverted_off_centre_unevenly_lit_jpegs(net, digits):
    chance = np.random.default_rng(0)
    right = 0
    for pixels, label in zip(*(array[:50] for array in digits["test"]), strict=True):
        picture = enlarge(Image.fromarray(pixels), chance)
        prepared = prepare(to_grey(picture))
        right += int(classify(net, prepared).argmax()) == label
    assert right >= 49  # all of the first 100 when this was written


# Preparation


@pytest.fixture
def drawing():
    """A 4 in thin black pen strokes on white, off centre, 300x400."""
    image = Image.new("RGB", (300, 400), "white")
    for line in ([(120, 60), (60, 180), (190, 175)], [(160, 110), (150, 260)]):
        ImageDraw.Draw(image).line(line, "black", 5, joint="curve")
    return image


@pytest.mark.parametrize("pen", [4, 10, 20])
def test_a_1_with_a_long_upstroke_is_no_7(net, pen):
    """MNIST hardly has such: lenet_record, which has seen nothing else, reads four as 7."""
    def read(*points):
        image = Image.new("L", (300, 400), "white")
        ImageDraw.Draw(image).line(points, 0, pen, joint="curve")
        return int(classify(net, prepare(image)).argmax())

    ones = [read((x, y), (160, 80), (155, 320)) for x, y in (
        (110, 160), (80, 160), (60, 160), (80, 200), (60, 200), (80, 240), (60, 240))]
    assert ones == [1] * 7
    assert [read((x, 90), (220, 85), (150, 320)) for x in (60, 80, 100)] == [7] * 3


def test_prepared_as_nist_did(drawing):
    pixels = np.asarray(prepare(to_grey(drawing)), dtype=float)
    assert pixels.shape == (28, 28)
    rows, columns = np.nonzero(pixels)
    assert 1 + max(np.ptp(rows), np.ptp(columns)) == 20
    # As wide for its height as the drawing is: 130 to 200, and the strokes grow by the same.
    assert 1 + np.ptp(columns) == pytest.approx(20 * 130 / 200, abs=1.5)
    for axis in (0, 1):
        centre = (pixels.sum(1 - axis) * np.arange(28)).sum() / pixels.sum()
        assert centre == pytest.approx(14, abs=0.51)
    assert pixels.max() >= 250  # full contrast, though the stroke would be half a pixel wide here
    assert pixels[0].max() == 0  # the paper is black
    assert len(np.unique(pixels)) > 10  # antialiased


@pytest.mark.parametrize("change", [
    ImageOps.invert,
    lambda image: image.point(lambda value: 120 + value // 4),  # little contrast, grey paper
    lambda image: ImageOps.expand(image, 150, "white"),
    lambda image: image.resize((600, 800), Image.Resampling.BICUBIC),
], ids=["white on black", "faint", "wide margin", "twice as large"])
def test_the_net_sees_the_same_whatever_the_paper(drawing, change):
    one, other = (np.asarray(prepare(to_grey(image)), dtype=float)
                  for image in (drawing, change(drawing)))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97


def test_shadow_noise_and_specks_are_removed(net, drawing):
    chance = np.random.default_rng(0)
    photo = ImageOps.expand(drawing.convert("L"), 100, "white")
    for x, y in chance.uniform(20, 480, (10, 2)):
        ImageDraw.Draw(photo).ellipse([x, y, x + 2, y + 2], fill=60)
    light = np.linspace(120, 230, photo.width) + chance.normal(0, 6, photo.size[::-1])
    light[:, 350:] *= 0.6  # a shadow with a hard edge
    photo = Image.fromarray(np.uint8((light * (0.3 + 0.7 * np.asarray(photo) / 255)).clip(0, 255)))
    one, other = (np.asarray(prepare(to_grey(image)), dtype=float)
                  for image in (drawing, photo))
    # Both are centred by whole pixels, so one may lie a pixel beside the other.
    moved = [np.roll(other, by, axis=(0, 1)) for by in itertools.product((-1, 0, 1), repeat=2)]
    assert max(np.corrcoef(one.ravel(), each.ravel())[0, 1] for each in moved) > 0.95
    assert classify(net, Image.fromarray(np.uint8(other))).argmax() == 4


def test_thin_strokes_become_as_wide_as_mnists(digits):
    def share(pixels):  # of pixels that hold ink
        return np.mean(np.asarray(pixels) > 127)

    images, labels = digits["test"]
    ring = Image.new("L", (800, 800))
    ImageDraw.Draw(ring).ellipse([200, 150, 600, 650], outline=255, width=6)
    low, high = np.quantile([share(zero) for zero in images[labels == 0][:100]], [0.02, 0.98])
    assert low < share(prepare(ring)) < high


@pytest.mark.parametrize("count", [2, 3])
def test_several_digits_are_said(net, count):
    chance = np.random.default_rng(0)
    page = Image.new("L", (400 * count + 200, 500))
    for place, digit in enumerate((3, 7, 0)[:count]):
        mark = own_digits.draw(digit, 1, 16, chance)
        page.paste(mark.crop(mark.getbbox()), (100 + 400 * place, 100))
    answer = own_digits.read(net, ImageOps.invert(page))
    assert answer == f"{count} separate marks; one digit a picture, please, its strokes joined"


@pytest.mark.parametrize(("count", "size"), [(2, 0.05), (2, 0.06), (13, 0.06)])
def test_several_small_digits_on_a_large_sheet_are_said(net, count, size):
    edge, chance = 1000, np.random.default_rng(0)
    sheet = Image.new("L", (edge, edge))
    for place in range(count):
        mark = own_digits.draw(place % 10, 1, 30, chance)
        mark = mark.crop(mark.getbbox())
        mark = mark.resize((round(edge * size * mark.width / mark.height), round(edge * size)))
        sheet.paste(mark, (200 + place % 5 * 90, 200 + place // 5 * 100))
    answer = own_digits.read(net, ImageOps.invert(sheet))
    assert answer == f"{count} separate marks; one digit a picture, please, its strokes joined"


def test_a_digit_in_pieces_is_one(net):
    five = Image.new("L", (400, 400), "white")
    pen = ImageDraw.Draw(five)
    pen.line([(150, 100), (145, 190), (200, 180), (240, 220), (220, 280), (145, 290)], 0, 14,
             joint="curve")
    pen.line([(176, 96), (260, 92)], 0, 14)
    assert own_digits.read(net, five) == 5


def test_the_net_sees_the_picture_as_it_is_first_and_then_versions_of_it(net, seven):
    seen = []
    hook = net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        probabilities = classify(net, seven)
    finally:
        hook.remove()
    assert [batch.shape for batch in seen] == [(9, 1, 32, 32)]
    as_it_is = Transform(32)(torch.from_numpy(np.array(seven))[None, None])
    assert torch.equal(seen[0][:1], as_it_is)
    assert len(torch.unique(seen[0], dim=0)) == 9
    assert probabilities.shape == (10,)
    assert probabilities.sum().item() == pytest.approx(1)


def test_slanted_digits_are_read_better_than_at_one_look(net, digits):
    images, labels = digits["test"]
    slanted = [Image.fromarray(image).rotate(-24, Image.Resampling.BICUBIC)
               for image in images[:1000]]
    with torch.inference_mode():
        once = net(Transform(32)(torch.tensor(np.array(slanted))[:, None])).argmax(1).numpy()
    read = np.array([classify(net, picture).argmax() for picture in slanted])
    assert (read != labels[:1000]).sum() < 0.8 * (once != labels[:1000]).sum()  # 16 and 26 errors


# File formats


def variants(picture):
    """{name of a file: picture}: the same digit, black on white, in many formats."""
    grey = ImageOps.invert(picture.resize((280, 280), Image.Resampling.BICUBIC))
    ink = Image.new("RGBA", grey.size, "black")
    ink.putalpha(ImageOps.invert(grey))
    palette = grey.convert("RGB").quantize(16)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 16 + 500)  # 12 of 16 bits
    sheer = ImageOps.invert(grey).quantize(8)
    sheer.info["transparency"] = sheer.getpixel((0, 0))
    sheer.putpalette([0, 0, 0] * 256)
    return {
        "rgb.png": grey.convert("RGB"), "transparent.png": ink, "transparent.webp": ink,
        "grey_alpha.png": ink.convert("LA"), "palette.png": palette, "palette.gif": palette,
        "transparent_palette.png": sheer, "deep.png": deep, "deep.tif": deep,
        "float.tif": Image.fromarray(np.asarray(grey, dtype=np.float32) / 255),
        "bilevel.png": grey.convert("1", dither=Image.Dither.NONE), "plain.bmp": grey,
        "cmyk.jpg": grey.convert("RGB").convert("CMYK"), "cmyk.tif": grey.convert("CMYK"),
    }


@pytest.mark.parametrize("name", list(variants(Image.new("L", (28, 28), 9))))
def test_formats(net, seven, tmp_path, name):
    path = tmp_path / name
    image = variants(seven)[name]
    image.save(path, **{key: value for key, value in image.info.items() if key == "transparency"})
    picture = prepare(read_picture(path))
    assert classify(net, picture).argmax() == 7
    prepared = np.asarray(picture, dtype=float)
    # With only two to sixteen shades, the strokes become a little wider or thinner.
    likeness = np.corrcoef(prepared.ravel(), np.asarray(seven).ravel())[0, 1]
    assert likeness > (0.8 if "palette" in name or "bilevel" in name else 0.95)


@pytest.mark.parametrize(("orientation", "undo"), [
    (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90),
    (8, Image.Transpose.ROTATE_270)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientation(seven, tmp_path, suffix, orientation, undo):
    upright = ImageOps.invert(seven.resize((280, 280)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = upright.transpose(undo)
    turned.save(tmp_path / f"a.{suffix}", exif=exif)
    upright.save(tmp_path / f"b.{suffix}")
    one, other = (np.asarray(prepare(read_picture(tmp_path / f"{x}.{suffix}")))
                  for x in "ab")
    assert np.abs(one.astype(int) - other).max() <= 24
    turned.save(tmp_path / f"c.{suffix}")
    other = np.asarray(prepare(read_picture(tmp_path / f"c.{suffix}")))
    assert np.abs(one.astype(int) - other).max() > 100


# Limits

def measure_stroke(glyph):
    """The width of a line in pixels: its area divided by half its outline."""
    across, down = np.gradient(np.pad(glyph, 2))
    return 2 * glyph.sum() / np.hypot(across, down).sum()


@pytest.mark.parametrize("width", [8, 55])  # of a ring of diameter 200: too thin, too thick
def test_strokes_are_brought_to_the_width_of_mnists(width):
    radius = np.hypot(*np.mgrid[-120:120, -120:120])
    ink = np.float64((radius < 100) & (radius > 100 - width))
    low, high = STROKE
    assert low - 0.3 < measure_stroke(fit(ink)) < high + 0.3


def test_a_piece_of_a_digit_is_kept_and_a_crumb_is_not():
    page, ink = np.full((300, 300), 255.0), np.zeros((300, 300))
    ink[80:240, 140:160] = 1  # 3,200 pixels of ink
    ink[60:70, 150:190] = 1  # an eighth of it
    ink[262:270, 150:166] = 1  # a twenty-fifth
    page[ink > 0] = 20
    kept = keep_digit(ink, page)
    assert kept[80:240, 140:160].all()
    assert kept[60:70, 150:190].all()
    assert not kept[262:270, 150:166].any()


def mark(*boxes):
    """Ink and page (300, 300) with filled boxes: (top, bottom, left, right)."""
    ink = np.zeros((300, 300))
    for top, bottom, left, right in boxes:
        ink[top:bottom, left:right] = 1
    return ink, 255 - 235 * ink


def test_a_stroke_that_is_faint_in_the_middle_is_one_mark():
    ink, page = mark((8, 15, 16, 18), (15, 18, 16, 18), (18, 25, 16, 18))
    ink[15:18] *= 0.4  # as pencil on rough paper
    page[15:18] += 0.6 * (255 - page[15:18])
    ink, page = ink[:32, :32], page[:32, :32]
    assert np.array_equal(keep_digit(ink, page), ink)


def test_a_distant_mark_is_a_digit_if_it_is_long_enough():
    ink, page = mark((80, 240, 100, 120), (80, 125, 200, 220))  # 28 % as long
    assert np.array_equal(keep_digit(ink, page), ink)
    with pytest.raises(PictureError, match="2 separate marks"):
        keep_digit(*mark((80, 240, 100, 120), (80, 152, 200, 220)))  # 45 %


def test_a_part_of_the_digit_that_touches_the_border_is_kept(net):
    torn = Image.new("L", (300, 320), "white")
    for half in ([(70, 20), (15, 90), (6, 200), (55, 285)], [(105, 30), (135, 110), (75, 270)]):
        ImageDraw.Draw(torn).line(half, 0, 16, joint="curve")
    assert own_digits.read(net, torn) == 0
    assert own_digits.read(net, ImageOps.expand(torn, 40, "white")) == 0


@pytest.mark.parametrize("left", [60, 118])  # the 0 touches the border
def test_two_digits_that_nearly_touch_are_said(net, left):
    ten = Image.new("L", (240, 240), "white")
    ImageDraw.Draw(ten).line([(left - 20, 30), (left - 22, 210)], 0, 20)
    ImageDraw.Draw(ten).ellipse([left, 40, left + 121, 190], outline=0, width=24)
    with pytest.raises(PictureError, match="2 separate marks"):
        prepare(ten)


def test_a_line_at_the_border_is_no_part_of_the_digit():
    one, line = (80, 240, 140, 160), (60, 260, 112, 118)
    ink, page = mark(one, line)
    assert np.array_equal(keep_digit(ink[:, 112:], page[:, 112:]), mark(one)[0][:, 112:])


@pytest.mark.parametrize(("bottom", "kept"), [(20, False), (40, True)])
def test_at_the_border_only_a_longer_mark_counts(bottom, kept):
    ink, page = mark((0, bottom, 100, 110))  # in the middle, both are long enough
    inner = np.roll(ink, 50, 0), np.roll(page, 50, 0)
    assert np.array_equal(keep_digit(*inner), inner[0])
    if kept:
        assert np.array_equal(keep_digit(ink, page), ink)
    else:
        with pytest.raises(PictureError, match="blank"):
            keep_digit(ink, page)


def test_a_mark_at_the_border_is_a_digit_only_if_it_is_alone():
    one, edge = (80, 240, 140, 160), (0, 300, 0, 30)
    assert np.array_equal(keep_digit(*mark(one, edge)), mark(one)[0])
    assert np.array_equal(keep_digit(*mark(edge)), mark(edge)[0])


def test_a_stamp_or_a_dash_beside_the_digit_is_no_part_of_it(net, drawing):
    ImageDraw.Draw(drawing).rectangle([210, 360, 280, 385], fill="grey")
    assert own_digits.read(net, drawing) == 4


def test_a_fraction_is_several_digits(net):
    chance = np.random.default_rng(0)
    page = Image.new("L", (300, 500))
    for digit, top in ((8, 40), (2, 270)):
        mark = own_digits.draw(digit, 1, 16, chance)
        page.paste(mark.crop(mark.getbbox()).resize((100, 160)), (100, top))
    ImageDraw.Draw(page).line([(20, 235), (280, 235)], 255, 10)
    with pytest.raises(PictureError, match="2 separate marks"):
        prepare(ImageOps.invert(page))


def test_dashes_alone_are_no_stamps():
    ink, page = mark((100, 106, 20, 80), (100, 106, 200, 250))
    with pytest.raises(PictureError, match="2 separate marks"):
        keep_digit(ink, page)


def test_two_digits_that_touch_with_soft_edges_are_said_and_a_faint_stroke_is_not():
    ink = np.zeros((28, 28))
    ink[5:23, 5:8] = ink[5:23, 11:14] = 1
    ink[10:18, 8:11] = 0.45  # between them
    with pytest.raises(PictureError, match="2 separate marks"):
        keep_digit(ink, 255 - 200 * ink)
    ink[10:18, 8:11] = 0.7
    assert np.array_equal(keep_digit(ink, 255 - 200 * ink), ink)


def test_two_digits_of_which_one_reaches_below_the_other_are_said():
    ink = np.zeros((28, 28))
    ink[4:22, 3:5] = ink[20:22, 3:12] = 1  # its foot ends before the other
    ink[4:17, 13:15] = 1
    with pytest.raises(PictureError, match="2 separate marks"):
        keep_digit(ink, 255 - 200 * ink)
    ink[4:17, 13:15], ink[4:17, 10:12] = 0, 1  # above the foot, it is a part of a digit
    assert np.array_equal(keep_digit(ink, 255 - 200 * ink), ink)


def test_a_far_heavier_mark_at_the_border_is_the_digit_on_even_paper():
    digit, stamp = (0, 200, 60, 160), (240, 260, 200, 212)
    ink, page = mark(digit, stamp)
    assert np.array_equal(keep_digit(ink, page), mark(digit)[0])
    shaded = page * np.linspace(0.5, 1, 300)  # there, it may be a shadow's
    assert np.array_equal(keep_digit(ink, shaded), mark(stamp)[0])


def test_a_pale_digit_beside_a_dark_one_is_a_second_and_a_ring_or_a_dash_is_none():
    digit = (80, 240, 60, 90)
    ink, page = mark(digit)

    def add(*boxes, tone=0.2):  # paler than what is a mark of its own
        return (np.maximum(ink, tone * mark(*boxes)[0]), page - tone * (255 - mark(*boxes)[1]))

    hairline = (90, 230, 180, 182)
    with pytest.raises(PictureError, match="2 separate marks"):
        keep_digit(*add(hairline))
    for others in ([(40, 42, 30, 260), (260, 262, 30, 260), (40, 262, 30, 32), (40, 262, 258, 260)],
                   [(265, 268, 60, 200)], [(90, 230, 298, 300)],
                   [(90, 110, 180, 182), (90, 110, 200, 202)]):
        assert np.array_equal(keep_digit(*add(*others)), ink)
    shade = np.linspace(0.5, 1, 300)  # on uneven paper, it may be a trace of a shadow
    pale, page = add(hairline)
    assert np.array_equal(keep_digit(pale, page * shade), ink)


def test_a_stroke_of_the_digit_that_is_pale_is_kept_on_even_paper():
    ink, page = mark((80, 240, 60, 80), (220, 240, 80, 200), (80, 220, 180, 200))
    pale = np.zeros(ink.shape, dtype=bool)
    pale[100:215, 180:200] = True
    ink[pale], page[pale] = 0.2, 255 - 0.2 * 235
    assert np.array_equal(keep_digit(ink, page), ink)
    lost = keep_digit(ink, page * np.linspace(0.5, 1, 300))
    assert not lost[120:200, 180:200].any()
