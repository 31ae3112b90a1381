"""Whatever is wrong with flags, recipes, files or disk: one line that names it, and no traceback.

    python -m pytest tests/test_faults.py

Each table is (input, words of the message); to add a case, add a line.
"""

import contextlib
import dataclasses
import errno
import gzip
import os
import pickle
import shutil
import time
from pathlib import Path

import pytest
import torch
from conftest import use_as_bundled, write_idx_folder
from torch import nn

import main
from lab.runs.series import find_logs, read_series
from model import LeNet5

try:
    import resource
except ImportError:  # Windows
    resource = None


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def prepare(patch, small_idx):
    """Makes main.py run on 600 digits in place of the repository's."""
    use_as_bundled(patch, small_idx)
    return lambda *argv: main.main(["--device", "cpu", *argv])


@pytest.fixture
def train(small_idx, monkeypatch):
    """Runs main.py; returns the exit status."""
    return prepare(monkeypatch, small_idx)


@pytest.fixture(scope="module")
def stopped(small_idx, tmp_path_factory):
    """A folder with checkpoint and log of a run of two epochs, stopped in the second."""
    epochs, folder = iter([main.train]), tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train = prepare(patch, small_idx)
        patch.setattr(main, "train", lambda *args: next(epochs, interrupt)(*args))
        assert train("--epochs", "2") == 130
    return folder


@pytest.fixture
def unfinished(stopped, train, capsys):
    """The same here; its checkpoint."""
    shutil.copytree(stopped, ".", dirs_exist_ok=True)
    capsys.readouterr()
    return Path("checkpoints/lenet-epochs2-seed0.pt")


@pytest.fixture
def fails(capsys, recwarn):
    """Checks a failure: the status, and one line on stderr with all these words; returns it."""
    def check(status, expected_status, *words):
        line = capsys.readouterr().err
        assert status == expected_status, line
        assert line.startswith("main.py: ")
        assert line.count("\n") == 1
        assert line.endswith("\n")
        for word in words:
            assert str(word) in line
        assert not recwarn.list  # a warning would be another line
        return line
    return check


@pytest.fixture
def no_data(monkeypatch):
    """Reading any data fails the test."""
    def explode(*_, **__):
        raise AssertionError("data were read")
    monkeypatch.setattr(main, "load_data", explode)


def interrupt(*_):
    raise KeyboardInterrupt


def edit_recipe(monkeypatch, model, **changes):
    monkeypatch.setitem(main.RECIPES, model,
                        dataclasses.replace(main.RECIPES[model], **changes))


def list_files():
    return sorted(str(path) for path in Path().rglob("*"))


@contextlib.contextmanager
def disk_full_beyond(size):
    """No file can grow beyond `size` bytes, as if the disk were full; this holds for root too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# Flags

@pytest.mark.parametrize(("argv", "words"), [
    ("--model lenet6", ["--model", "lenet6", "lenet_reg"]),
    ("--model", ["--model", "argument"]),
    ("--epochs 0", ["--epochs", "0", "at least 1"]),
    ("--epochs -3", ["--epochs", "-3", "at least 1"]),
    ("--epochs 1.5", ["--epochs", "1.5"]),
    ("--epochs many", ["--epochs", "many"]),
    ("--batch-size 0", ["--batch-size", "0", "at least 1"]),
    ("--batch-size -1", ["--batch-size", "-1", "at least 1"]),
    ("--batch-size 1e3", ["--batch-size", "1e3"]),
    ("--lr 0", ["--lr", "0", "above 0"]),
    ("--lr -0.1", ["--lr", "-0.1", "above 0"]),
    ("--lr nan", ["--lr", "nan", "finite"]),
    ("--lr inf", ["--lr", "inf", "finite"]),
    ("--lr 1e999", ["--lr", "inf", "finite"]),
    ("--lr fast", ["--lr", "fast"]),
    ("--momentum 1", ["--momentum", "1", "below 1"]),
    ("--momentum -0.1", ["--momentum", "-0.1", "at least 0"]),
    ("--momentum nan", ["--momentum", "nan"]),
    ("--weight-decay -0.0001", ["--weight-decay", "-0.0001", "at least 0"]),
    ("--weight-decay nan", ["--weight-decay", "nan", "finite"]),
    ("--weight-decay inf", ["--weight-decay", "inf", "finite"]),
    ("--model lenet_reg --dropout 1", ["--dropout", "1", "below 1"]),
    ("--model lenet_reg --dropout -0.1", ["--dropout", "-0.1", "at least 0"]),
    ("--model lenet_reg --dropout nan", ["--dropout", "nan"]),
    ("--model mlp_wide --dropout 1.5", ["--dropout", "1.5", "below 1"]),
    ("--dropout 0.1", ["--dropout", "0.1", "LeNet5 has no dropout"]),
    ("--model mlp --dropout 0", ["--dropout", "0", "CustomMLP has no dropout"]),
    ("--model mlp_wide --dropout none", ["--dropout none", "MLPWide needs a number"]),
    ("--dropout few", ["--dropout: few", "a number or none"]),
    ("--warmup 1", ["--warmup 1", "below 1"]),
    ("--warmup -0.1", ["--warmup -0.1", "at least 0"]),
    ("--warmup cosine", ["--warmup: cosine", "a number or none"]),
    ("--nesterov=yes", ["--nesterov", "yes"]),
    ("--augment --rotation inf", ["--rotation inf", "finite"]),
    ("--augment --translation -1", ["--translation -1", "at least 0"]),
    ("--augment --scaling 1", ["--scaling 1", "below 1"]),
    ("--augment --shear nan", ["--shear nan", "finite"]),
    ("--augment --thickening 1.1", ["--thickening 1.1", "at most 1"]),
    ("--rotation 20", ["--rotation needs --augment"]),
    ("--model lenet_reg --no-augment --shear 2", ["--shear needs --augment"]),
    ("--synthetic -1", ["--synthetic -1", "whole number, 0 to 1,000,000"]),
    ("--synthetic 1000001", ["--synthetic 1,000,001", "whole number, 0 to 1,000,000"]),
    ("--synthetic 0.5", ["--synthetic: 0.5", "whole number"]),
    ("--seed -1", ["--seed", "-1"]),
    ("--seed 4294967296", ["--seed", "4294967296"]),
    ("--seed 99999999999999999999999", ["--seed", "99999999999999999999999"]),
    ("--seed one", ["--seed", "one"]),
    ("--seeds 0", ["--seeds", "0"]),
    ("--seeds -2", ["--seeds", "-2"]),
    ("--seeds 99999999999", ["--seeds", "99999999999"]),
    ("--seeds 2 --seed 3", ["--seeds", "--seed"]),
    ("--seeds 2 --seed 0", ["--seeds", "--seed"]),
    ("--jobs 0", ["--jobs", "0"]),
    ("--jobs 2", ["--jobs", "--seeds"]),
    ("--jobs 2 --seed 3", ["--jobs", "--seeds"]),
    ("--batch-size 99999999999999999999", ["--batch-size", "below"]),
    ("--epochs 99999999999999999999", ["--epochs", "below"]),
    (f"--name {'x' * 300}", ["--name", "at most 60"]),
    ("--seeds 2 --jobs two", ["--jobs", "two"]),
    ("--name a/b", ["--name", "a/b"]),
    ("--name", ["--name", "argument"]),
    ("--no-cuda", ["--no-cuda: use --device cpu"]),
    ("--no-accel", ["--no-accel: use --device cpu"]),
    ("--no-mps", ["--no-mps: use --device cpu"]),
    ("--dry-run", ["--dry-run: use --epochs 1"]),
    ("--save-model", ["--save-model: not needed", "always saved"]),
    ("--resume checkpoints/lenet-seed0.pt", ["--resume: not needed", "same command"]),
    ("--log-interval=10", ["--log-interval=10: not needed", "every epoch"]),
    ("--learning-rate 0.1", ["--learning-rate: use --lr"]),
    ("--epochs 3 --gamma 0.7", ["--gamma: ", "one cycle", "--warmup"]),
    ("--amp", ["--amp: use --bf16"]),
    ("--test-batch-size 1000", ["--test-batch-size: not needed"]),
    ("--device cuda", ["--device", "cuda", "not available"]),
    ("--device mps", ["--device", "mps", "not available"]),
    ("--device tpu", ["--device", "tpu"]),
    ("--frobnicate", ["--frobnicate"]),
    ("--epo 3", ["--epo"]),  # an abbreviation could come to mean another flag
    ("lenet", ["lenet"]),
])
def test_usage_error(argv, words, no_data, fails, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    fails(main.main(argv.split()), 2, *words)
    assert list_files() == []


@pytest.mark.parametrize(("field", "value"), [
    ("epochs", 0), ("epochs", -3), ("batch_size", 0), ("lr", 0.0), ("lr", -0.1),
    ("lr", float("nan")), ("lr", float("inf")), ("momentum", 1.0), ("momentum", -0.1),
    ("weight_decay", -1e-4), ("weight_decay", float("nan")), ("dropout", 1.0), ("dropout", -0.1),
    ("dropout", None), ("warmup", -0.5), ("scaling", 1.0), ("thickening", -1.0), ("synthetic", -5),
])
def test_same_value_written_into_the_recipe(field, value, no_data, fails, monkeypatch):
    argv = ["--model", "lenet_reg"]
    line = fails(main.main([*argv, f"--{field.replace('_', '-')}", str(value)]), 2)
    words = line.rpartition(": ")[2]
    edit_recipe(monkeypatch, "lenet_reg", **{field: value})
    line = fails(main.main(argv), 1)
    assert line == f"main.py: recipe lenet_reg: {field}={value}: {words}"
    assert list_files() == []


@pytest.mark.parametrize(("field", "value", "words"), [
    ("epochs", 2.5, "epochs=2.5: must be a whole number"),
    ("epochs", True, "epochs=True: must be a whole number"),
    ("lr", "0.05", "lr='0.05': must be a number"),
    ("lr", None, "lr=None: must be a number"),
    ("warmup", "cosine", "warmup='cosine': must be a number or None"),
    ("rotation", None, "rotation=None: must be a number"),
    ("augment", 1, "augment=1: must be True or False"),
    ("nesterov", None, "nesterov=None: must be True or False"),
    ("dropout", 0.1, "dropout=0.1: LeNet5 has no dropout"),
    ("net", LeNet5(), "net=LeNet5( (conv1): Conv2d(1, 6, kernel_size=(5, 5), [...]: "
     "must be a class, without brackets"),
    ("net", None, "net=None: must be a class, without brackets"),
    ("net", nn.Linear, "net=Linear: the class needs image_size = 28, or 32 for padded images"),
    ("net", type("Large", (LeNet5,), {"image_size": 64}),
     "net=Large: the class needs image_size = 28, or 32 for padded images"),
])
def test_value_that_no_flag_can_have(field, value, words, no_data, fails, monkeypatch):
    edit_recipe(monkeypatch, "lenet", **{field: value})
    assert fails(main.main([]), 1) == f"main.py: recipe lenet: {words}\n"


def test_flag_in_place_of_a_faulty_value(train, monkeypatch):
    edit_recipe(monkeypatch, "lenet", epochs="many")
    assert train("--epochs", "1") == 0


def test_flag_that_repeats_a_faulty_value(no_data, fails, monkeypatch):
    edit_recipe(monkeypatch, "lenet", augment=1)
    fails(main.main(["--augment"]), 1, "recipe lenet: augment=1: must be True or False")


# Training that diverges

def test_loss_that_is_not_finite_stops_the_run(train, fails):
    status = train("--lr", "1e30", "--epochs", "2")
    fails(status, 1, "lenet-epochs2-lr1e+30-seed0", "not finite", "epoch 1", "learning rate",
          "1e+30")
    assert [path for path in list_files() if "seed0" in path] == []


@pytest.mark.parametrize("losing", ["train", "test"])
def test_neither_loss_may_be_infinite(losing, train, fails, monkeypatch):
    original = getattr(main, losing)
    monkeypatch.setattr(main, losing, lambda *args: (float("inf"), *original(*args)[1:]))
    fails(train("--epochs", "1"), 1, "lenet-epochs1-seed0", "not finite", "epoch 1")
    assert [path for path in list_files() if "seed0" in path] == []


def test_last_good_checkpoint_is_kept(train, fails, monkeypatch, capsys):
    original, epochs = main.train, []

    def poison(model, *args):
        epochs.append(1)
        if len(epochs) == 3:
            with torch.no_grad():
                next(model.parameters())[0] = float("nan")
        return original(model, *args)

    monkeypatch.setattr(main, "train", poison)
    fails(train("--epochs", "5"), 1, "not finite", "epoch 3", "learning rate",
          Path("checkpoints/lenet-epochs5-seed0.pt"))
    assert len(epochs) == 3
    checkpoint = torch.load("checkpoints/lenet-epochs5-seed0.pt", weights_only=True)
    assert checkpoint["epoch"] == len(checkpoint["history"]) == 2
    assert all(weight.isfinite().all() for weight in checkpoint["model"].values())
    assert train("--epochs", "5") == 0  # and it can be used


# The disk

def test_name_that_is_too_long_for_a_file(train, small_idx, fails):
    data = Path("x" * 250)
    shutil.copytree(small_idx, data)
    fails(train("--epochs", "1", "--data-dir", str(data)), 1, "File name too long")


@pytest.mark.parametrize("flag", ["--log-dir", "--checkpoint-dir"])
def test_folder_that_cannot_be_made(flag, train, fails):
    Path("file").write_text("mine")
    for folder in (Path("file"), Path("file/below")):
        fails(train("--epochs", "1", flag, str(folder)), 1, folder)
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize("name", ["logs/lenet-epochs1-seed0.csv", "logs/lenet-epochs1-seed0.json",
                                  "checkpoints/lenet-epochs1-seed0.pt"])
def test_file_that_cannot_be_replaced(name, train, fails):
    Path(name).mkdir(parents=True)
    fails(train("--epochs", "1"), 1, Path(name))
    assert not list(Path().rglob("*.tmp"))


@pytest.mark.parametrize("last", [2, 4])  # it is held open up to the last epoch but one, or longer
def test_table_that_another_program_holds_open_is_completed_later(
        last, train, fails, monkeypatch, capsys):
    """As Excel does on Windows, simulated: training goes on, and the table follows."""
    table = Path("logs/lenet-epochs3-seed0.csv")
    checkpoint = Path("checkpoints/lenet-epochs3-seed0.pt")
    replace, comings = os.replace, []

    def refuse(source, target):
        comings.append(target.suffix)
        if target.suffix == ".csv" and comings.count(".pt") <= last:
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        patch.setattr(time, "sleep", lambda seconds: None)
        status = train("--epochs", "3")
        out = capsys.readouterr()
        assert out.out.count(f"{table}: cannot be written: Access is denied; training cont") == 1
        if last == 4:
            assert (status, out.err) == (
                1, f"main.py: {table}: cannot be written: Access is denied\n")
        else:
            assert (status, out.err) == (0, "")
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 3
    assert not list(Path().rglob("*.tmp"))
    assert train("--epochs", "3") == 0
    (run,) = read_series(find_logs("logs")[0]["lenet-epochs3"])
    assert run["complete"]
    assert [row["epoch"] for row in run["history"]] == [1, 2, 3]
    assert run["final"] == torch.load(checkpoint, weights_only=True)["history"][-1]


def test_table_that_does_not_fit_on_the_disk_ends_the_training(train, fails, monkeypatch):
    """Only a file that somebody holds open is waited for."""
    fsync = os.fsync

    def fill(descriptor):
        if os.fstat(descriptor).st_size < 1000:  # the table
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    fails(train("--epochs", "2"), 1, "lenet-epochs2-seed0.csv: cannot be written: No space left")


def test_restart_waits_for_a_log_that_cannot_be_removed(train, fails, monkeypatch):
    """Else it would go on to say "complete" of a checkpoint that is not."""
    assert train("--epochs", "1") == 0
    files = {path: path.read_bytes() for path in Path().rglob("*.*")}
    unlink, log = Path.unlink, Path("logs/lenet-epochs1-seed0.json")

    def refuse(path, missing_ok=False):
        if path == log:
            raise PermissionError(13, "Access is denied")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        fails(train("--epochs", "1", "--restart"), 1, f"{log}: cannot be written: Access is denied")
    assert files == {path: path.read_bytes() for path in Path().rglob("*.*")}
    assert train("--epochs", "1", "--restart") == 0


@pytest.mark.skipif(resource is None, reason="a full disk is played by POSIX's resource limits")
@pytest.mark.parametrize(("size", "name"), [
    (100_000, "checkpoints/lenet-epochs2-seed0.pt"),  # has about 500,000 bytes
    (150, "logs/lenet-epochs2-seed0.csv"),  # about 220
    (400, "logs/lenet-epochs2-seed0.json"),  # about 10,000
])
def test_full_disk_leaves_the_previous_files(size, name, train, unfinished, fails, capsys):
    assert torch.load(unfinished, weights_only=True)["epoch"] == 1
    if "logs" in name:  # of a finished run, only what is missing is written
        assert train("--epochs", "2") == 0
        Path(name).unlink()
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path != Path(name)}
    capsys.readouterr()
    with disk_full_beyond(size):
        status = train("--epochs", "2")
    fails(status, 1, name, "cannot be written", "File too large")
    assert before == {path: path.read_bytes() for path in before}
    assert {path for path in Path().rglob("*.*") if path.suffix in (".tmp", ".lock")} == set()
    assert train("--epochs", "2") == 0


# Data

def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def raise_label(path):
    labels = bytearray(gzip.decompress(path.read_bytes()))
    labels[8 + 7] = 10
    path.write_bytes(gzip.compress(labels))


@pytest.mark.parametrize(("name", "spoil", "words"), [
    ("", shutil.rmtree, ["no such folder", "data"]),
    ("train-images-idx3-ubyte.gz", truncate, []),
    ("t10k-images-idx3-ubyte.gz", lambda path: path.write_bytes(b""), []),
    ("t10k-labels-idx1-ubyte", lambda path: path.with_suffix(".gz").unlink(), ["missing"]),
    ("train-labels-idx1-ubyte.gz", raise_label, ["label 10", "7"]),
])
def test_bad_data(name, spoil, words, train, small_digits, fails):
    write_idx_folder(Path("mnist").absolute(), small_digits)
    spoil(Path("mnist", name))
    fails(train("--epochs", "1", "--data-dir", "mnist"), 1, Path("mnist", name), *words)
    assert not list(Path().rglob("*.pt"))


def test_a_folder_without_data_is_told_what_is_read(train, capsys):
    """A line for the fault, and one for each form: the only error of more than one line."""
    Path("mnist").mkdir()
    assert train("--epochs", "1", "--data-dir", "mnist") == 1
    fault, *forms = capsys.readouterr().err.splitlines()
    assert fault.startswith("main.py: mnist: no MNIST here; what is read")
    assert [form for form in forms if "train.csv" in form]
    assert all(form.startswith("  ") for form in forms)
    assert not list(Path().rglob("*.pt"))


def test_too_few_images_to_validate(train, small_digits, fails):
    few = {split: (images[:5], labels[:5]) for split, (images, labels) in small_digits.items()}
    write_idx_folder(Path("mnist").absolute(), few)
    fails(train("--epochs", "1", "--validate", "--data-dir", "mnist"), 1, "mnist", "too few")


# Checkpoints

class Attack:
    """Unpickled without care, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("attacked",)


def cut(fraction):
    def spoil(path):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * fraction)])
    return spoil


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def write(content):
    return lambda path: path.write_bytes(content)


def save(content):
    return lambda path: torch.save(content, path)


def drop(key):
    def spoil(path):
        checkpoint = torch.load(path, weights_only=True)
        del checkpoint[key]
        torch.save(checkpoint, path)
    return spoil


def edit(key, value):
    def spoil(path):
        checkpoint = torch.load(path, weights_only=True)
        torch.save({**checkpoint, key: value}, path)
    return spoil


@pytest.mark.parametrize("spoil", [
    pytest.param(cut(0), id="empty"),
    pytest.param(cut(0.01), id="cut early"),
    pytest.param(cut(0.5), id="cut in the middle"),
    pytest.param(cut(0.9999), id="cut at the end"),
    pytest.param(flip_a_bit, id="one bit of the weights"),
    pytest.param(write(b"not a checkpoint\n" * 9), id="text"),
    pytest.param(write(gzip.compress(b"digits")), id="gzip"),
    pytest.param(write(pickle.dumps(Attack())), id="attack by pickle"),
    pytest.param(write(pickle.dumps({"model": {}})), id="pickle"),
    pytest.param(save(Attack()), id="attack by torch.save"),
    pytest.param(save({"model": {}, "recipe": {}, "data": Attack()}), id="attack within"),
    pytest.param(save([1, 2, 3]), id="list"),
    pytest.param(save({"conv1.weight": torch.zeros(6, 1, 5, 5)}), id="bare weights"),
    pytest.param(save({"recipe": 1, "data": 2, "seed": 0}), id="wrong types"),
    pytest.param(edit("model", {}), id="no weights"),
    pytest.param(edit("model", {"fc1.weight": torch.zeros(1)}), id="other weights"),
    pytest.param(edit("history", []), id="no history"),
    pytest.param(edit("state", {"optimizer": {}}), id="no optimizer state"),
    pytest.param(drop("errors"), id="no errors"),
    pytest.param(lambda path: (path.unlink(), path.mkdir()), id="folder"),
])
def test_checkpoint_that_is_not_ours_is_refused_unharmed(spoil, train, unfinished, fails, capsys):
    spoil(unfinished)
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    files = list_files()
    fails(train("--epochs", "2"), 1, unfinished, "not a checkpoint of main.py")
    assert list_files() == files  # nothing made, by an attack or by us
    assert before == {path: path.read_bytes() for path in before}
    if unfinished.is_file():
        assert train("--epochs", "2", "--restart") == 0
        assert torch.load(unfinished, weights_only=True)["epoch"] == 2


def test_attack_would_have_worked():
    pickle.loads(pickle.dumps(Attack()))
    assert Path("attacked").is_dir()


def test_checkpoint_of_another_seed_is_refused(train, unfinished, fails):
    unfinished.rename("checkpoints/lenet-epochs2-seed1.pt")
    fails(train("--epochs", "2", "--seed", "1"), 1, "seed 0", "1")


# The same from outside

def no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def test_one_line_from_a_real_process(run_script, small_idx, tmp_path, capsys):
    argv = ["--device", "cpu", "--data-dir", str(small_idx), "--epochs", "1"]
    for seed in ("0", "1"):
        assert main.main([*argv, "--seed", seed]) == 0
    saved, attack = sorted(tmp_path.glob("checkpoints/*.pt"))
    torch.save(Attack(), attack)
    for path in tmp_path.glob("logs/*.json"):
        path.unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for flags, expected, words, prepare in (
            (["--lr", "nan"], 2, "--lr nan", int),
            ([*argv, "--seed", "1"], 1, f"checkpoints/{attack.name}", int),
            ([*argv, "--restart"], 1, f"checkpoints/{saved.name}: cannot be written", no_room)):
        status, _, err = run_script("main.py", *flags, prepare=prepare)
        assert status == expected, err
        assert err.startswith("main.py: ")
        assert words in err
        assert err.count("\n") == 1, err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert not Path("attacked").exists()
