"""The files of a run: whole at any instant, and read back for all seeds.

    python -m pytest tests/test_runs.py
"""

import dataclasses
import errno
import json
import os
import statistics
import tracemalloc
import zipfile

import pytest
import torch

import main
import runs
from runs import RunError


@pytest.fixture
def target(tmp_path):
    """A file that has content already."""
    path = tmp_path / "run.csv"
    path.write_bytes(b"old")
    return path


def raise_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raise_interrupt(*_):
    raise KeyboardInterrupt


def write_run(folder, name, seed, accuracies, **changed):
    """A complete run as main.py logs it; `changed` overrides parts of its summary."""
    recipe = main.as_dict(dataclasses.replace(main.RECIPES["lenet"], epochs=len(accuracies)))
    summary = {"model": "lenet", "seed": seed, "recipe": recipe, "evaluated_on": "test",
               "parameters": 61_706, "data": {"train": {"size": 600}, "test": {"size": 200}},
               **changed}
    history = [{"epoch": epoch, "learning_rate": 0.1, "train_loss": 0.2, "train_accuracy": 0.9,
                "test_loss": 0.3, "test_accuracy": accuracy, "seconds": 1.5}
               for epoch, accuracy in enumerate(accuracies, 1)]
    runs.write_log(folder, f"{name}-seed{seed}", summary, history, [[3, 1, 7, 0.5]])


# Writing

def test_write_replaces_the_whole_file(target):
    runs.write_atomically(target, b"new and longer")
    assert target.read_bytes() == b"new and longer"
    runs.write_atomically(target, b"x")
    assert target.read_bytes() == b"x"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(("fault", "expected"), [
    (raise_full, RunError), (raise_interrupt, KeyboardInterrupt)])
def test_failed_write_leaves_the_old_file_and_nothing_else(
        target, monkeypatch, function, fault, expected):
    monkeypatch.setattr(os, function, fault)
    with pytest.raises(expected) as caught:
        runs.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]
    if expected is RunError:
        assert str(target) in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_interrupt_after_the_replacement_leaves_the_new_file(target, monkeypatch):
    replace = os.replace

    def replace_and_stop(*args):
        replace(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    with pytest.raises(KeyboardInterrupt):
        runs.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == [target.name]


def test_content_is_on_the_disk_before_it_takes_the_name(target, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def spy_fsync(descriptor):
        fsync(descriptor)
        order.append(("fsync", os.fstat(descriptor).st_size))

    def spy_replace(source, destination):
        order.append(("replace", os.path.getsize(source)))
        assert os.path.dirname(source) == os.path.dirname(destination)  # one file system
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    runs.write_atomically(target, b"12345")
    assert order[:2] == [("fsync", 5), ("replace", 5)]


def test_leftover_of_a_kill_is_overwritten(target):
    leftover = target.with_name(target.name + ".tmp")
    leftover.write_bytes(b"half of something longer")
    runs.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert not leftover.exists()


def test_write_into_a_missing_folder(tmp_path):
    with pytest.raises(RunError, match=r"run\.csv: .*No such file"):
        runs.write_atomically(tmp_path / "gone" / "run.csv", b"new")


def test_failed_checkpoint_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    runs.save_checkpoint(path, {"epoch": 1})
    monkeypatch.setattr(os, "fsync", raise_full)
    with pytest.raises(RunError, match=r"run\.pt"):
        runs.save_checkpoint(path, {"epoch": 2})
    assert torch.load(path, weights_only=True) == {"epoch": 1}


def test_compressed_checkpoint_is_refused_before_it_fills_the_memory(tmp_path):
    path, packed = tmp_path / "run.pt", tmp_path / "packed.pt"
    runs.save_checkpoint(path, {"model": torch.zeros(2**24)})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in whole.namelist():
            copy.writestr(name, whole.read(name))
    assert runs.load_checkpoint(path)["model"].shape == (2**24,)
    assert packed.stat().st_size < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="compressed"):
            runs.load_checkpoint(packed)
        assert tracemalloc.get_traced_memory()[1] < 2**20, "bytes at the peak"
    finally:
        tracemalloc.stop()


def test_folder_is_made_with_its_parents(tmp_path):
    runs.make_folder(tmp_path / "a" / "b")
    runs.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file.c: "):
        runs.make_folder(tmp_path / "file" / "c")
    assert (tmp_path / "a" / "b").is_dir()


# Names

@pytest.mark.parametrize(("changed", "validate", "folder", "name"), [
    ({}, False, None, "lenet"),
    ({"epochs": 1}, False, None, "lenet-epochs1"),
    ({"lr": 0.05, "batch_size": 64}, True, None, "lenet-lr0.05-batch_size64-validate"),
    ({"augment": True}, False, None, "lenet-augment"),
    ({"augment": False}, False, None, "lenet-no_augment"),
    ({"epochs": 3}, True, "my digits.v2", "lenet-epochs3-validate-my_digits_v2"),
    ({}, False, "digits/../other", "lenet-other"),
])
def test_name_says_what_differs(tmp_path, changed, validate, folder, name):
    data_dir = folder and tmp_path / folder
    assert runs.name_series("lenet", changed, validate, data_dir) == name


# Reading

def test_series_are_gathered_by_name_and_seed(tmp_path):
    accuracies = {seed: 0.9 + seed / 1000 for seed in (0, 1, 2, 10)}  # "10" sorts before "2"
    for seed, accuracy in accuracies.items():
        write_run(tmp_path, "lenet-epochs2", seed, [0.5, accuracy])
    write_run(tmp_path, "mlp", 0, [0.25])
    (tmp_path / "notes.json").write_text("not a run")
    series = runs.read_series(tmp_path)
    assert set(series) == {"lenet-epochs2", "mlp"}
    assert [run["seed"] for run in series["lenet-epochs2"]] == [0, 1, 2, 10]
    last = [run["history"][-1]["test_accuracy"] for run in series["lenet-epochs2"]]
    assert last == list(accuracies.values())
    assert statistics.mean(last) == pytest.approx(0.90325)
    (run,) = series["mlp"]
    assert run["final"]["test_accuracy"] == run["history"][0]["test_accuracy"] == 0.25
    assert run["history"] == [{"epoch": 1, "learning_rate": 0.1, "train_loss": 0.2,
                               "train_accuracy": 0.9, "test_loss": 0.3, "test_accuracy": 0.25,
                               "seconds": 1.5}]
    assert run["errors"] == [[3, 1, 7, 0.5]]


def test_unfinished_runs_do_not_count(tmp_path):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    recipe = main.as_dict(dataclasses.replace(main.RECIPES["lenet"], epochs=9))
    write_run(tmp_path, "lenet", 1, [0.5, 0.6], recipe=recipe)
    assert [run["seed"] for run in runs.read_series(tmp_path)["lenet"]] == [0]


@pytest.mark.parametrize(("changed", "words"), [
    ({"recipe": {**main.as_dict(main.RECIPES["lenet"]), "epochs": 2, "lr": 0.05}},
     ["lenet-seed0", "lenet-seed1", "lr", "0.05", "0.1"]),
    ({"data": {"train": {"size": 600}, "test": {"size": 199}}}, ["lenet-seed1", "test", "199"]),
    ({"evaluated_on": "validation"}, ["lenet-seed1", "validation"]),
])
def test_runs_that_differ_are_not_averaged(tmp_path, changed, words):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    write_run(tmp_path, "lenet", 1, [0.5, 0.6], **changed)
    with pytest.raises(RunError) as caught:
        runs.read_series(tmp_path)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "epochs" not in message  # what agrees is not blamed
    assert "\n" not in message


def test_folder_without_runs(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match="no complete run"):
            runs.read_series(folder)


@pytest.mark.parametrize(("suffix", "damage"), [
    ("json", lambda content: b""),
    ("json", lambda content: content[:100]),
    ("json", lambda content: b"[1, 2]"),
    ("json", lambda content: b'{"some": "other file"}'),
    ("json", lambda content: b'{"final": {}}'),
    ("json", lambda content: b"\xff" + content),
    ("csv", lambda content: content.replace(b"0.5", b"half")),
    ("csv", lambda content: b""),
    ("csv", lambda content: content[: content.index(b"2,0.1")]),  # a row is gone
    ("csv", lambda content: content[:-12]),  # within the last row
    ("csv", lambda content: content[:-1] + b",7\n"),
    ("csv", lambda content: b"\xff" + content),
    ("csv", None),
])
def test_broken_log_is_named(tmp_path, suffix, damage):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    path = tmp_path / f"lenet-seed0.{suffix}"
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(RunError) as caught:
        runs.read_series(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_summary_of_a_missing_or_foreign_file_is_empty(tmp_path):
    path = tmp_path / "lenet-seed0.json"
    assert runs.read_summary(path) == {}
    for content in ("", "{", "3", json.dumps({"model": "lenet"})):
        path.write_text(content)
        assert runs.read_summary(path) == {}
