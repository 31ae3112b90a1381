"""predict.py: real test digits through files of every kind, and files that are no digits."""

import io
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import own_digits

import main
import predict
from dataset import DATA_DIR, MNIST, make_loader, make_transform
from lab import evaluate

WEIGHTS = predict.WEIGHTS  # committed: a fresh clone predicts without training
ROOT = Path(predict.__file__).parent
LINE = re.compile(r"(.+): (\d)  \((\d+\.\d) %, then (\d) with (\d+\.\d) %\)")


@pytest.fixture(scope="session")
def net():
    return evaluate.read_net(WEIGHTS)


@pytest.fixture(scope="session")
def raw_digits():
    """The test set, raw: uint8 (10000, 1, 28, 28) and labels (10000,)."""
    return MNIST(DATA_DIR, train=False)[:]


@pytest.fixture(scope="session")
def answers(net):
    """What main.py's own measurement answers: predictions (1000,) and probabilities (1000, 10)."""
    test_set = MNIST(DATA_DIR, train=False, transform=make_transform(net.image_size))
    subset = test_set.select(torch.arange(1000))
    logits, _ = evaluate.predict(net, make_loader(subset, 1000, shuffle=False))
    return logits.argmax(1).tolist(), logits.softmax(1)


@pytest.fixture
def seven(raw_digits):
    """The first test image, a 7, as a picture."""
    return Image.fromarray(raw_digits[0][0, 0].numpy())


def run(*argv):
    return predict.main([str(arg) for arg in argv])


def ask(capsys, *argv):
    """Status, [(path, digit, percent, runner-up, its percent), ...] and the lines on stderr."""
    status = run(*argv)
    out, err = capsys.readouterr()
    lines = [LINE.fullmatch(line).groups() for line in out.splitlines()]
    return status, [(path, int(a), float(b), int(c), float(d)) for path, a, b, c, d in lines], \
        err.splitlines()


def enlarge(picture, chance):
    """Ten times as large, black on white, off centre, light mildly uneven, through a JPEG."""
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


# Answers


def test_mnist_digits_as_png_get_the_answer_of_main(raw_digits, answers, tmp_path, capsys):
    paths = [tmp_path / f"{i}.png" for i in range(300)]
    for path, pixels in zip(paths, raw_digits[0], strict=False):
        Image.fromarray(pixels[0].numpy()).save(path)
    status, lines, _ = ask(capsys, *paths)
    assert status == 0
    assert [line[0] for line in lines] == [str(path) for path in paths]
    predictions, probabilities = answers
    assert [line[1] for line in lines] == predictions[:300]
    for line, row in zip(lines, probabilities, strict=False):
        top = row.sort(descending=True)
        assert line[2] == pytest.approx(100 * top.values[0].item(), abs=0.06)
        assert line[4] == pytest.approx(100 * top.values[1].item(), abs=0.06)
        assert row[line[3]].item() == pytest.approx(top.values[1].item(), abs=1e-6)


def test_every_mnist_digit_passes_unchanged(raw_digits):
    # A hundred of them touch the border.
    for pixels in raw_digits[0]:
        picture = Image.fromarray(pixels[0].numpy())
        assert same_picture(predict.prepare(picture), picture)


def test_enlarged_inverted_off_centre_unevenly_lit_jpegs(net, raw_digits):
    chance = np.random.default_rng(0)
    right = 0
    for pixels, label in zip(raw_digits[0][:50], raw_digits[1], strict=False):
        picture = enlarge(Image.fromarray(pixels[0].numpy()), chance)
        prepared = predict.prepare(predict.to_grey(picture))
        right += int(predict.classify(net, prepared).argmax()) == label
    assert right >= 49  # all of the first 100 when this was written


# Preparation


@pytest.fixture
def drawing():
    """A 4 in thin black pen strokes on white, off centre, 300x400."""
    image = Image.new("RGB", (300, 400), "white")
    for line in ([(120, 60), (60, 180), (190, 175)], [(160, 110), (150, 260)]):
        ImageDraw.Draw(image).line(line, "black", 5, joint="curve")
    return image


def test_prepared_as_nist_did(drawing):
    pixels = np.asarray(predict.prepare(predict.to_grey(drawing)), dtype=float)
    assert pixels.shape == (28, 28)
    rows, columns = np.nonzero(pixels)
    assert 1 + max(np.ptp(rows), np.ptp(columns)) == 20
    # As wide for its height as the drawing is: 130 to 200, and the strokes grow by the same.
    assert 1 + np.ptp(columns) == pytest.approx(20 * 130 / 200, abs=1.5)
    for axis in (0, 1):
        centre = (pixels.sum(1 - axis) * np.arange(28)).sum() / pixels.sum()
        assert centre == pytest.approx(14, abs=0.51)
    assert pixels.max() >= 250  # full contrast, though the stroke is half a pixel wide at this size
    assert pixels[0].max() == 0  # and the paper is black
    assert len(np.unique(pixels)) > 10  # antialiased


@pytest.mark.parametrize("change", [
    ImageOps.invert,
    lambda image: image.point(lambda value: 120 + value // 4),  # little contrast, grey paper
    lambda image: ImageOps.expand(image, 150, "white"),
    lambda image: image.resize((600, 800), Image.Resampling.BICUBIC),
], ids=["white on black", "faint", "wide margin", "twice as large"])
def test_the_net_sees_the_same_whatever_the_paper(drawing, change):
    one, other = (np.asarray(predict.prepare(predict.to_grey(image)), dtype=float)
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
    one, other = (np.asarray(predict.prepare(predict.to_grey(image)), dtype=float)
                  for image in (drawing, photo))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    assert predict.classify(net, Image.fromarray(np.uint8(other))).argmax() == 4


def test_thin_strokes_become_as_wide_as_mnists(raw_digits):
    def share(pixels):  # of pixels that hold ink
        return np.mean(np.asarray(pixels) > 127)

    ones = raw_digits[0][raw_digits[1] == 0][:100, 0].numpy()
    ring = Image.new("L", (800, 800))
    ImageDraw.Draw(ring).ellipse([200, 150, 600, 650], outline=255, width=6)
    assert np.quantile([share(one) for one in ones], 0.02) < share(predict.prepare(ring)) \
        < np.quantile([share(one) for one in ones], 0.98)


@pytest.fixture(scope="session")
def drawn():
    """The digits 0 to 9 in a hand, as masks."""
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
    chance = np.random.default_rng(4)  # the thirteenth shadow ends in a wedge at the border
    answers = {own_digits.read(net, own_digits.shade(chance)) for _ in range(13)}
    assert answers == {predict.BLANK}


@pytest.mark.parametrize("count", [2, 3])
def test_several_digits_are_said(net, count):
    chance = np.random.default_rng(0)
    page = Image.new("L", (400 * count + 200, 500))
    for place, digit in enumerate((3, 7, 0)[:count]):
        mark = own_digits.draw(digit, 1, 16, chance)
        page.paste(mark.crop(mark.getbbox()), (100 + 400 * place, 100))
    answer = own_digits.read(net, ImageOps.invert(page))
    assert answer == f"{count} separate marks; one digit a picture, please"


def test_a_digit_in_pieces_is_one(net):
    five = Image.new("L", (400, 400), "white")
    pen = ImageDraw.Draw(five)
    pen.line([(150, 100), (145, 190), (200, 180), (240, 220), (220, 280), (145, 290)], 0, 14,
             joint="curve")
    pen.line([(176, 96), (260, 92)], 0, 14)
    assert own_digits.read(net, five) == 5


# File formats


def variants(picture):
    """(name, save) pairs: the same digit, black on white, in many a format."""
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
def test_formats(seven, tmp_path, capsys, name):
    path = tmp_path / name
    image = variants(seven)[name]
    image.save(path, **{key: value for key, value in image.info.items() if key == "transparency"})
    status, lines, errors = ask(capsys, path)
    assert (status, errors) == (0, [])
    assert lines[0][1] == 7
    prepared = np.asarray(predict.prepare(predict.read_picture(path)), dtype=float)
    # Two to sixteen shades make the strokes a little wider or thinner.
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
    one, other = (np.asarray(predict.prepare(predict.read_picture(tmp_path / f"{x}.{suffix}")))
                  for x in "ab")
    assert np.abs(one.astype(int) - other).max() <= 24
    turned.save(tmp_path / f"c.{suffix}")
    other = np.asarray(predict.prepare(predict.read_picture(tmp_path / f"c.{suffix}")))
    assert np.abs(one.astype(int) - other).max() > 100


# --show


def test_show_writes_what_the_net_saw(net, seven, tmp_path, capsys, monkeypatch):
    path = tmp_path / "my.photo.jpg"
    enlarge(seven, np.random.default_rng(0)).save(path)
    seen = []
    monkeypatch.setattr(evaluate, "read_net", lambda path: net)
    hook = net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        assert run(path, "--show") == 0
    finally:
        hook.remove()
    written = Image.open(tmp_path / "my.photo.jpg.mnist.png")
    assert (written.mode, written.size) == ("L", (28, 28))
    padded = np.pad(np.asarray(written) / 255, 2)  # the net takes 32x32
    assert np.allclose(seen[0][0, 0], (padded - 0.1307) / 0.3081, atol=1e-5)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["my.photo.jpg", "my.photo.jpg.mnist.png"]
    # And it is read as the picture itself is.
    first = capsys.readouterr().out.split(": ")[1]
    assert run(written.filename) == 0
    assert capsys.readouterr().out.split(": ")[1] == first


def test_pictures_of_one_stem_do_not_share_a_file(seven, raw_digits, tmp_path):
    seven.save(tmp_path / "a.png")
    Image.fromarray(raw_digits[0][1, 0].numpy()).save(tmp_path / "a.bmp")
    assert run(tmp_path / "a.png", tmp_path / "a.bmp", "--show") == 0
    for name in ("a.png", "a.bmp"):
        assert same_picture(Image.open(tmp_path / f"{name}.mnist.png"), Image.open(tmp_path / name))


def test_without_show_nothing_is_written(seven, tmp_path):
    seven.save(tmp_path / "7.png")
    assert run(tmp_path / "7.png") == 0
    assert [file.name for file in tmp_path.iterdir()] == ["7.png"]


def test_show_that_cannot_be_written(seven, tmp_path, capsys):
    seven.save(tmp_path / "7.png")
    (tmp_path / "7.png.mnist.png").mkdir()
    status, lines, errors = ask(capsys, tmp_path / "7.png", "--show")
    assert status == 1
    assert lines[0][1] == 7
    assert len(errors) == 1
    assert "7.png.mnist.png: cannot be written" in errors[0]


# Faults


def make_png(width, height):
    """A PNG header that announces a size, and no pixels."""
    Image.new("L", (1, 1)).save(file := io.BytesIO(), "PNG")
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    content = bytearray(file.getvalue())
    content[12:29] = header
    content[29:33] = zlib.crc32(header).to_bytes(4, "big")
    return bytes(content)


def make_noise():
    noise = np.random.default_rng(0).normal(180, 4, (400, 300))
    Image.fromarray(np.uint8(noise)).save(file := io.BytesIO(), "JPEG")
    return file.getvalue()


def make_dust():
    dust = Image.new("L", (400, 300), "white")
    for x, y in np.random.default_rng(0).uniform(10, 290, (8, 2)):
        ImageDraw.Draw(dust).ellipse([x, y, x + 2, y + 2], fill=0)
    dust.save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def plain(grey, size):
    Image.new("L", size, grey).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


FAULTS = {
    "white.png": (plain(255, (200, 100)), "blank"),
    "black.png": (plain(0, (28, 28)), "blank"),
    "dot.png": (plain(128, (1, 1)), "blank"),
    "paper.jpg": (make_noise(), "blank"),
    "dust.png": (make_dust(), "blank"),
    "empty.png": (b"", "an empty file"),
    "text.png": (b"seven\n" * 50, "not an image"),
    "cut.png": (plain(255, (200, 100))[:60], "not readable"),
    "huge.png": (make_png(10_000, 10_000), "too many pixels"),
    "vast.png": (make_png(100_000, 100_000), "too many pixels"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_one_line_and_the_others_are_answered(seven, tmp_path, capsys, name):
    content, words = FAULTS[name]
    (tmp_path / name).write_bytes(content)
    seven.save(tmp_path / "a.png")
    seven.save(tmp_path / "z.png")
    status, lines, errors = ask(
        capsys, tmp_path / "a.png", tmp_path / name, tmp_path / "z.png", "--show")
    assert status == 1
    assert [line[:2] for line in lines] == [(f"{tmp_path / x}.png", 7) for x in "az"]
    assert len(errors) == 1
    assert errors[0].startswith(f"predict.py: {tmp_path / name}: {words}")
    assert not (tmp_path / f"{name}.mnist.png").exists()


def test_missing_folder_pipe_and_large_file(tmp_path, capsys, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.png").write_bytes(plain(255, (28, 28)))
    monkeypatch.setattr(predict, "MAX_BYTES", 50)
    names = ["missing.png", ".", "pipe", "large.png", "x" * 300]
    status, lines, errors = ask(capsys, *(tmp_path / name for name in names))
    assert (status, lines, len(errors)) == (1, [], 5)
    for line, words in zip(errors, ["no such file", "not a file", "not a file", "too large", ""],
                           strict=True):
        assert words in line


@pytest.mark.parametrize("argv", [[], ["a.png", "--wieghts", "b.pt"], ["a.png", "--weights"]])
def test_usage(capsys, argv):
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"predict\.py: error: .+\n", err)


@pytest.mark.parametrize("content", [None, b"", b"junk" * 99, "cut", {"model": {}}, [1, 2],
                                     {"recipe": {"net": "Dataset", "dropout": None}, "model": {}},
                                     {"recipe": {"net": "LeNet5", "dropout": None}, "model": {}}])
def test_bad_weights(seven, tmp_path, capsys, content):
    seven.save(tmp_path / "7.png")
    path = tmp_path / "weights.pt"
    if content == "cut":
        content = WEIGHTS.read_bytes()[:5000]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    assert run(tmp_path / "7.png", "--weights", path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"predict\.py: {path}: .+\n", err)


# Weights


@pytest.mark.parametrize("name", ["lenet", "lenet_reg", "mlp", "lenet_wide", "mlp_wide"])
def test_checkpoints_of_main_work_as_they_are(raw_digits, small_idx, tmp_path, capsys, name):
    assert main.main(["--model", name, "--epochs", "1", "--name", "short",
                      "--data-dir", str(small_idx), "--log-dir", str(tmp_path / "logs"),
                      "--checkpoint-dir", str(tmp_path)]) == 0
    weights = next(tmp_path.glob("*.pt"))
    recipe = main.RECIPES[name]
    model = recipe.net() if recipe.dropout is None else recipe.net(recipe.dropout)
    model.load_state_dict(torch.load(weights)["model"])
    few = MNIST(DATA_DIR, train=False, transform=make_transform(recipe.net.image_size))
    loader = make_loader(few.select(torch.arange(30)), 30, shuffle=False)
    logits, _ = evaluate.predict(model, loader)
    paths = [tmp_path / f"{i}.png" for i in range(30)]
    for path, pixels in zip(paths, raw_digits[0], strict=False):
        Image.fromarray(pixels[0].numpy()).save(path)
    capsys.readouterr()
    status, lines, _ = ask(capsys, "--weights", weights, *paths)
    assert status == 0
    assert [line[1] for line in lines] == logits.argmax(1).tolist()


def test_as_a_command_from_another_folder(seven, tmp_path):
    seven.save(tmp_path / "7.png")
    script = ROOT / "predict.py"
    done = subprocess.run([sys.executable, script, "7.png", "none.png"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert LINE.fullmatch(done.stdout.strip())[2] == "7"
    assert done.stderr == "predict.py: none.png: no such file\n"
    assert [file.name for file in tmp_path.iterdir()] == ["7.png"]


# Limits that are easily lost

def measure_stroke(glyph):
    """The width of a line, in pixels, by its area and half its outline."""
    across, down = np.gradient(np.pad(glyph, 2))
    return 2 * glyph.sum() / np.hypot(across, down).sum()


@pytest.mark.parametrize("width", [8, 55])  # of a ring 200 across: far too thin, far too fat
def test_strokes_are_brought_to_the_width_of_mnists(width):
    radius = np.hypot(*np.mgrid[-120:120, -120:120])
    ink = np.float64((radius < 100) & (radius > 100 - width))
    low, high = predict.STROKE
    assert low - 0.3 < measure_stroke(predict.fit(ink)) < high + 0.3


def test_a_piece_of_a_digit_is_kept_and_a_crumb_is_not():
    page, ink = np.full((300, 300), 255.0), np.zeros((300, 300))
    ink[80:240, 140:160] = 1  # 3,200 pixels of ink
    ink[60:70, 150:190] = 1  # an eighth of it
    ink[262:270, 150:166] = 1  # a twenty-fifth
    page[ink > 0] = 20
    kept = predict.keep_digit(ink, page)
    assert kept[80:240, 140:160].all()
    assert kept[60:70, 150:190].all()
    assert not kept[262:270, 150:166].any()
