"""predict.py: MNIST's own digits as a reference, and what phones and drawing programs hand over."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

import main
import predict
from dataset import DATA_DIR, MNIST, make_loader, make_transform


@pytest.fixture(scope="module")
def test_set():
    return MNIST(DATA_DIR, train=False, transform=make_transform(32))


@pytest.fixture(scope="module")
def digit(test_set):
    """The first test image, a 7, as a picture."""
    return Image.fromarray(test_set.images[0, 0].numpy())


def answers(capsys, argv):
    """Exit status, the digits that were answered, and the lines on stderr."""
    status = predict.main([str(arg) for arg in argv])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    pattern = r".+: (\d)  \((\d+\.\d) %, then (\d) with (\d+\.\d) %\)"
    found = [re.fullmatch(pattern, line) for line in lines]
    assert all(found), lines
    assert all(float(match[2]) >= float(match[4]) for match in found)
    return status, [int(match[1]) for match in found], captured.err.splitlines()


def paper(image, chance, size=10):
    """A digit (L, 28x28) black on white, enlarged, off centre and unevenly lit: uint8 (H, W)."""
    ink = image.resize((28 * size, 28 * size), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (420, 400))
    sheet.paste(ink, (int(chance.integers(0, 140)), int(chance.integers(0, 120))))
    light = np.linspace(0.8, 1.0, 420)[None, :] * np.linspace(0.9, 1.0, 400)[:, None]
    return np.uint8((255 - 0.9 * np.asarray(sheet)) * light)


def test_mnist_digits_get_the_nets_own_answer(tmp_path, capsys, test_set):
    net = predict.load_net(predict.WEIGHTS)
    count = 300
    loader = make_loader(torch.utils.data.Subset(test_set, torch.arange(count)), 100, shuffle=False)
    logits, _ = main.predict(net, loader)
    paths = [tmp_path / f"{index}.png" for index in range(count)]
    for path, image in zip(paths, test_set.images[:, 0].numpy(), strict=False):
        Image.fromarray(image).save(path)
    status, found, err = answers(capsys, paths)
    assert (status, err) == (0, [])
    assert found == logits.argmax(1).tolist()


def test_digits_on_paper(tmp_path, capsys, test_set):
    chance = np.random.default_rng(0)
    paths = []
    for index in range(100):
        image = Image.fromarray(test_set.images[index, 0].numpy())
        paths.append(tmp_path / f"{index}.jpg")
        Image.fromarray(paper(image, chance)).save(paths[-1], quality=75)
    status, found, _ = answers(capsys, paths)
    right = (torch.tensor(found) == test_set.labels[:100]).sum().item()
    assert status == 0
    assert right >= 95


def test_a_picture_like_mnists_passes_unchanged(digit):
    assert predict.prepare(digit).tobytes() == digit.tobytes()


def test_every_kind_of_image_file(tmp_path, capsys, digit):
    sheet = Image.fromarray(paper(digit, np.random.default_rng(1)))
    alpha = Image.merge("LA", (Image.new("L", sheet.size), Image.eval(sheet, lambda v: 255 - v)))
    turned = Image.Exif()
    turned[0x0112] = 6  # "to be turned right by 90 degrees to be seen upright"
    deep = Image.fromarray(np.asarray(sheet, dtype=np.uint16) * 200)
    files = {
        "plain.png": (sheet, {}), "white_on_black.bmp": (Image.eval(sheet, lambda v: 255 - v), {}),
        "colour.webp": (sheet.convert("RGB"), {}), "palette.gif": (sheet.convert("P"), {}),
        "cmyk.jpg": (sheet.convert("CMYK"), {}), "transparent.png": (alpha, {}),
        "deep.png": (deep, {}), "bilevel.tiff": (sheet.convert("1"), {}),
        "phone.jpg": (sheet.transpose(Image.Transpose.ROTATE_90), {"exif": turned}),
    }
    for name, (image, options) in files.items():
        image.save(tmp_path / name, **options)
    status, found, err = answers(capsys, [tmp_path / name for name in files])
    assert (status, err) == (0, [])
    assert dict(zip(files, found, strict=True)) == dict.fromkeys(files, 7)


def test_show_writes_what_the_net_saw(tmp_path, capsys, digit):
    sheet = Image.fromarray(paper(digit, np.random.default_rng(2)))
    sheet.save(tmp_path / "photo.png")
    assert answers(capsys, [tmp_path / "photo.png", "--show"])[:2] == (0, [7])
    with Image.open(tmp_path / "photo.mnist.png") as seen:
        assert (seen.size, seen.mode) == ((28, 28), "L")
        assert seen.tobytes() == predict.prepare(sheet).tobytes()
        rows, columns = np.nonzero(np.asarray(seen))
        mass = np.asarray(seen, dtype=float)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    centre = [(mass.sum(1 - axis) * np.arange(28)).sum() / mass.sum() for axis in (0, 1)]
    assert centre == pytest.approx([14, 14], abs=0.75)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.mnist.png", "photo.png"]


def png(size):
    Image.new("1", size).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (None, "no such file"),
    (b"", "empty"),
    (b"no image at all" * 99, "not an image"),
    (png((28, 28)), "blank"),
    (png((400, 300)), "blank"),
    (png((20_000, 9_000)), "too many pixels"),
    (png((300, 300))[:60], "not"),
    ("folder", "not a file"),
])
def test_a_bad_picture_is_one_line_and_the_others_are_answered(tmp_path, capsys, digit, content,
                                                                words):
    digit.save(tmp_path / "good.png")
    bad = tmp_path / "bad.png"
    if content == "folder":
        bad.mkdir()
    elif content is not None:
        bad.write_bytes(content)
    status, found, err = answers(capsys, [bad, tmp_path / "good.png"])
    assert (status, found) == (1, [7])
    assert len(err) == 1
    assert words in err[0]
    assert "bad.png" in err[0]


def test_weights_of_main_work_and_others_are_refused(tmp_path, capsys, digit, small_idx):
    digit.save(tmp_path / "7.png")
    folders = ["--log-dir", str(tmp_path), "--checkpoint-dir", str(tmp_path)]
    for model in ("lenet_wide", "mlp", "lenet_reg"):
        assert main.main(["--model", model, "--epochs", "1", "--data-dir", str(small_idx),
                          *folders]) == 0
        weights = next(tmp_path.glob(f"{model}-*.pt"))
        capsys.readouterr()
        assert answers(capsys, [tmp_path / "7.png", "--weights", weights])[0] == 0
    weights.write_bytes(weights.read_bytes()[:5000])
    for broken in (weights, tmp_path / "missing.pt"):
        status, found, err = answers(capsys, [tmp_path / "7.png", "--weights", broken])
        assert (status, found, len(err)) == (1, [], 1)
        assert broken.name in err[0]


def test_no_picture_is_a_usage_error(capsys):
    status, _, err = answers(capsys, [])
    assert (status, len(err)) == (2, 1)
