"""predict.py: real test digits, files that are no digits, and weights of every kind."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

import main
import predict
from dataset import DATA_DIR, MNIST, Transform
from lab.runs import checkpoints

WEIGHTS = predict.WEIGHTS  # committed: a fresh clone predicts without training
ROOT = Path(predict.__file__).parent
LINE = re.compile(r"(.+): (\d)  \((\d+\.\d) %, then (\d) with (\d+\.\d) %\)(?:, doubtful)?")


@pytest.fixture(scope="session")
def raw_digits():
    """The test set as stored: uint8 (10000, 1, 28, 28) and labels (10000,)."""
    return MNIST(DATA_DIR, train=False)[:]


def look_nine_times(net, images):
    """Probabilities (B, 10): means over turned and scaled images, which torchvision makes."""
    views = [affine(images.float(), angle, [0, 0], scale, [0, 0], InterpolationMode.BILINEAR)
             for angle in (0, -12, 12) for scale in (1, 0.85, 1.15)]
    transform = Transform(net.image_size)
    with torch.inference_mode():
        return torch.stack([
            net(transform(view.round().to(torch.uint8))).softmax(1) for view in views]).mean(0)


@pytest.fixture
def seven(raw_digits):
    """The first test image, a 7, as a picture."""
    return Image.fromarray(raw_digits[0][0, 0].numpy())


def run(*argv):
    return predict.main([str(arg) for arg in argv])


def ask(capsys, *argv):
    """Exit status, [(path, digit, percent, runner-up, its percent), ...] and lines of stderr."""
    status = run(*argv)
    out, err = capsys.readouterr()
    lines = [LINE.fullmatch(line).groups() for line in out.splitlines()]
    return status, [(path, int(a), float(b), int(c), float(d)) for path, a, b, c, d in lines], \
        err.splitlines()


def same_picture(one, other):
    return one.size == other.size and one.mode == other.mode and one.tobytes() == other.tobytes()


# Answers


def test_mnist_digits_as_png_are_read_nine_times(net, raw_digits, tmp_path, capsys):
    paths = [tmp_path / f"{i}.png" for i in range(300)]
    for path, pixels in zip(paths, raw_digits[0], strict=False):
        Image.fromarray(pixels[0].numpy()).save(path)
    status, lines, _ = ask(capsys, *paths)
    assert status == 0
    assert [line[0] for line in lines] == [str(path) for path in paths]
    probabilities = look_nine_times(net, raw_digits[0][:300])
    assert [line[1] for line in lines] == probabilities.argmax(1).tolist()
    for line, row in zip(lines, probabilities, strict=True):
        top = row.sort(descending=True)
        assert line[2] == pytest.approx(100 * top.values[0].item(), abs=0.06)
        assert line[4] == pytest.approx(100 * top.values[1].item(), abs=0.06)
        assert row[line[3]].item() == pytest.approx(top.values[1].item(), abs=1e-6)


@pytest.mark.parametrize(("first", "word"), [(0.599, ", doubtful"), (0.601, "")])
def test_a_low_probability_is_called_doubtful(seven, tmp_path, capsys, monkeypatch, first, word):
    seven.save(tmp_path / "7.png")
    answer = torch.zeros(10).index_put((torch.tensor([7, 1]),), torch.tensor([first, 1 - first]))
    monkeypatch.setattr(predict, "ask", lambda net, picture: answer)
    assert run(tmp_path / "7.png") == 0
    assert capsys.readouterr().out == (f"{tmp_path / '7.png'}: 7  ({100 * first:.1f} %, then 1 "
                                       f"with {100 - 100 * first:.1f} %){word}\n")


def test_a_folder_stands_for_the_pictures_in_it(seven, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine/e.bmp", "mine/b.png", "mine/d.png", "mine/a.JPG", "mine/.hidden.png",
                 "mine/sub/c.png", "z/10_7.webp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(seven.resize((280, 280))).save(name)
    Path("mine/notes.txt").write_text("7")
    Path("mine/c.heic").write_bytes(FAULTS["phone.heic"][0])
    Path("empty").mkdir()
    for options in ([], ["--show"], []):  # what --show writes is not read
        status, lines, errors = ask(capsys, "mine", "empty", "?", *options)
        assert status == 1
        assert [line[:2] for line in lines] == [
            (str(Path(name)), 7) for name in ("mine/a.JPG", "mine/b.png", "mine/d.png",
                                              "mine/e.bmp", "z/10_7.webp")]
        assert [line.split("; ")[0] for line in errors] == [
            f"predict.py: {os.path.join('mine', 'c.heic')}: a HEIC picture, as iPhones take them",
            "predict.py: empty: a folder without pictures"]
    assert Path("mine/b.png.mnist.png").exists()
    assert run("mine/sub") == 0


def test_patterns_that_the_shell_has_left_are_expanded(seven, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.png", "c.bmp", "[a].png"):  # the last is no pattern: it exists
        seven.save(name)
    status, lines, errors = ask(capsys, "[a].png", "?.png", "*.gif", "*.bmp")
    assert status == 1
    assert [line[0] for line in lines] == ["[a].png", "a.png", "b.png", "c.bmp"]
    assert errors == ["predict.py: *.gif: no such file"]


# --show


def test_show_writes_what_the_net_saw(net, seven, tmp_path, capsys, monkeypatch):
    path = tmp_path / "my.photo.jpg"
    ImageOps.invert(seven.resize((280, 280))).save(path)
    seen = []
    monkeypatch.setattr(checkpoints, "read_weights", lambda path: (net, ""))
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
    # What was written is read as the picture itself is.
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
    """A PNG whose header announces a size, and which has no pixels."""
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


def pack(kind):
    """The bytes of an archive of a drawing."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in").mkdir()
        Path(folder, "in", "a.svg").write_text("<svg/>")
        return Path(shutil.make_archive(f"{folder}/out", kind, f"{folder}/in")).read_bytes()


FAULTS = {
    "white.png": (plain(255, (200, 100)), "blank"),
    "black.png": (plain(0, (28, 28)), "blank"),
    "dot.png": (plain(128, (1, 1)), "blank"),
    "paper.jpg": (make_noise(), "blank"),
    "dust.png": (make_dust(), "blank"),
    "empty.png": (b"", "an empty file"),
    "text.png": (b"seven\n" * 50, "not an image"),
    "phone.heic": (b"\0\0\0\x28ftypheic" + bytes(50), "a HEIC picture, as iPhones take them; save"),
    "scan.pdf": (b"%PDF-1.7\n" + bytes(50), "a PDF; save the page as PNG first"),
    "seven.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
                  "an SVG drawing; save it as PNG first"),
    "seven.zip": (pack("zip"), "an archive or an office document; take the picture out of it"),
    "seven.tar": (pack("tar"), "an archive"),
    "seven.tgz": (pack("gztar"), "an archive"),
    "seven.tbz": (pack("bztar"), "an archive"),
    "seven.txz": (pack("xztar"), "an archive"),
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
    monkeypatch.setattr("lab.digits.prepare.MAX_BYTES", 50)
    (tmp_path / "folder").mkdir()
    names = ["missing.png", "folder", "pipe", "large.png", "x" * 300]
    status, lines, errors = ask(capsys, *(tmp_path / name for name in names))
    assert (status, lines, len(errors)) == (1, [], 5)
    for line, words in zip(errors, ["no such file", "a folder without pictures", "not a file",
                                    "too large", ""],
                           strict=True):
        assert words in line


@pytest.mark.parametrize("argv", [[], ["a.png", "--wieghts", "b.pt"], ["a.png", "--weights"]])
def test_usage(capsys, argv):
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"predict\.py: error: .+\n", err)


def test_a_url_keeps_its_slashes_and_is_told_what_to_do(capsys):
    url = "https://example.org//a.png"
    assert run(url) == 2
    assert capsys.readouterr().err == (
        f"predict.py: error: argument PICTURE: {url}: a URL; download the picture first\n")


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
    wanted = look_nine_times(model.eval(), raw_digits[0][:30]).argmax(1).tolist()
    paths = [tmp_path / f"{i}.png" for i in range(30)]
    for path, pixels in zip(paths, raw_digits[0], strict=False):
        Image.fromarray(pixels[0].numpy()).save(path)
    capsys.readouterr()
    status, lines, _ = ask(capsys, "--weights", weights, *paths)
    assert status == 0
    assert [line[1] for line in lines] == wanted


@pytest.mark.parametrize(("train", "validate"), [("mnist", []), ("mnist", ["--validate"]),
                                                 ("small", [])])
def test_weights_of_other_data_are_pointed_out(seven, small_idx, tmp_path, capsys, monkeypatch,
                                               train, validate):
    if train == "mnist":  # in name only, which is faster
        monkeypatch.setattr(MNIST, "fingerprint", lambda self: checkpoints.MNIST_TRAIN)
    assert main.main(["--epochs", "1", "--data-dir", str(small_idx), *validate,
                      "--log-dir", str(tmp_path), "--checkpoint-dir", str(tmp_path)]) == 0
    weights = next(tmp_path.glob("*.pt"))
    seven.save(tmp_path / "7.png")
    capsys.readouterr()
    status, lines, errors = ask(capsys, tmp_path / "7.png", "--weights", weights)
    assert (status, len(lines)) == (0, 1)
    said = [f"predict.py: {weights}: {checkpoints.OTHER_DATA}"]
    assert errors == ([] if train == "mnist" else said)


def test_the_caution_is_said_before_the_answers(seven, net, tmp_path, monkeypatch):
    seven.save(tmp_path / "7.png")
    monkeypatch.setattr(checkpoints, "read_weights", lambda path: (net, "other data"))
    monkeypatch.setattr(sys, "stdout", both := io.StringIO())
    monkeypatch.setattr(sys, "stderr", both)
    assert run(tmp_path / "7.png") == 0
    assert both.getvalue().startswith(f"predict.py: {WEIGHTS}: other data\n{tmp_path}")


def test_as_a_command_from_another_folder(seven, tmp_path):
    seven.save(tmp_path / "7.png")
    script = ROOT / "predict.py"
    done = subprocess.run([sys.executable, script, "7.png", "none.png"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert LINE.fullmatch(done.stdout.strip())[2] == "7"
    assert done.stderr == "predict.py: none.png: no such file\n"
    assert [file.name for file in tmp_path.iterdir()] == ["7.png"]
