"""The files of a run: whole at any instant, and read back for all seeds.

    python -m pytest tests/test_runs.py
"""

import dataclasses
import errno
import gzip
import inspect
import json
import os
import re
import shutil
import statistics
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

import main
from lab import command, runs
from lab.command import RunError


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
    runs.Run(runs.Place(folder, folder, {}), f"{name}-seed{seed}", summary, history,
             {"errors": [[3, 1, 7, 0.5]]}).write_log()


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


def test_compressed_checkpoint_is_refused_before_it_fills_the_memory(tmp_path):
    path, packed = tmp_path / "run.pt", tmp_path / "packed.pt"
    torch.save({"model": torch.zeros(2**24)}, path)
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
    command.make_folder(tmp_path / "a" / "b")
    command.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file.c: "):
        command.make_folder(tmp_path / "file" / "c")
    assert (tmp_path / "a" / "b").is_dir()


# Names. The probe is a number that the tests choose, but for those of the probe itself.

@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py for one epoch; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "DATA_DIR", small_idx)
    monkeypatch.setattr(main, "probe", lambda recipe: 1.5)
    edit(monkeypatch, epochs=1)
    return lambda *argv: main.main(["--device", "cpu", *argv])


def edit(monkeypatch, model="lenet", **changes):
    """What a user does at the top of main.py."""
    monkeypatch.setitem(main.RECIPES, model,
                        dataclasses.replace(main.RECIPES[model], **changes))


def read_names():
    return {path.stem for path in Path("logs").glob("*.json")}


def read_files():
    return {path: path.read_bytes() for path in Path().glob("*/*")}


@pytest.mark.parametrize(("argv", "changes"), [
    (["--lr", "0.05"], {"lr": 0.05}),
    (["--augment"], {"augment": True}),
    (["--batch-size", "64", "--lr", "0.2"], {"lr": 0.2, "batch_size": 64}),
    (["--bf16"], {"bf16": True}),
])
def test_same_identity_has_one_name_by_flag_and_by_editing(train, monkeypatch, argv, changes):
    assert train() == 0
    assert train(*argv) == 0
    by_flag, files = read_names(), read_files()
    with monkeypatch.context() as patch:
        edit(patch, **changes)
        assert train() == 0  # finished already
        assert read_files() == files
        for path in Path().glob("*/*-*-*"):
            path.unlink()
        assert train() == 0  # and by itself it takes the same name
        assert read_names() == by_flag
        assert len(by_flag) == 2
    assert train(*argv) == 0
    assert read_names() == by_flag


def test_a_name_is_one_on_any_file_system():
    """A field that a user added may hold what Windows forbids, or what leads into a folder."""
    identity = {"model": "lenet", "evaluated_on": "test",
                "recipe": {"lr": 1e30, "schedule": "cos:1/2", "betas": (0.9, 0.99)}}
    assert runs.name_series(identity, identity["recipe"], None, "größer") == (
        "lenet-lr1e+30-schedulecos_1_2-betas_0.9__0.99_-größer")


def test_finished_run_stays_byte_for_byte_when_the_recipe_is_edited(train, monkeypatch, capsys):
    assert train("--seeds", "2") == 0
    files = read_files()
    edit(monkeypatch, lr=0.05, momentum=0.8)
    assert train() == 0
    assert read_names() == {"lenet-seed0", "lenet-seed1", "lenet-lr0.05-momentum0.8-seed0"}
    assert files.items() <= read_files().items()
    edit(monkeypatch, lr=0.1, momentum=0.9)
    capsys.readouterr()
    assert train() == 0
    assert capsys.readouterr().out.startswith("lenet-seed0: finished, ")
    assert len(read_names()) == 3


def test_name_grows_until_it_is_free(train, monkeypatch):
    assert train() == 0
    edit(monkeypatch, lr=0.05)
    assert train() == 0
    edit(monkeypatch, warmup=None)  # differs from `lenet` in two fields
    assert train() == 0
    edit(monkeypatch, nesterov=False)
    assert train("--lr", "0.1") == 0
    edit(monkeypatch, lr=0.1, warmup=0.15, nesterov=True, momentum=0.5)
    assert train("--lr", "0.05") == 0  # that name is taken
    assert read_names() == {
        "lenet-seed0", "lenet-lr0.05-seed0", "lenet-lr0.05-warmupNone-seed0",
        "lenet-lr0.1-seed0", "lenet-lr0.05-momentum0.5-seed0"}


def test_editing_while_a_run_is_unfinished_leaves_it_to_go_on(train, monkeypatch):
    with monkeypatch.context() as patch:
        edit(patch, epochs=2)
        epochs = iter([main.train])
        patch.setattr(main, "train", lambda *args: next(epochs, raise_interrupt)(*args))
        assert train() == 130
    assert train() == 0
    assert read_names() == {"lenet-seed0", "lenet-epochs1-seed0"}
    edit(monkeypatch, epochs=2)
    assert train() == 0
    assert json.loads(Path("logs/lenet-seed0.json").read_text())["complete"]


def test_a_word_joins_the_name_and_is_its_own(train):
    assert train("--name", "wider") == 0
    assert train("--name", "wider", "--lr", "0.05", "--validate") == 0
    assert read_names() == {"lenet-wider-seed0", "lenet-wider-lr0.05-validate-seed0"}
    files = read_files()
    assert train() == 0  # the same identity without a word: it has a name already
    assert read_files() == files
    assert train("--name", "again") == 0  # a word that is given is used
    assert read_names() == {"lenet-wider-seed0", "lenet-wider-lr0.05-validate-seed0",
                            "lenet-again-seed0"}


def test_recipes_that_come_to_the_same_share_their_runs(train, monkeypatch, capsys):
    edit(monkeypatch, "lenet_augment", epochs=1)
    assert train("--model", "lenet_augment") == 0
    capsys.readouterr()
    assert train("--augment", "--seeds", "2") == 0
    assert "lenet_augment-seed0: finished" in capsys.readouterr().out
    assert read_names() == {"lenet_augment-seed0", "lenet_augment-seed1"}


def test_checkpoints_of_another_log_folder_are_not_overwritten(train, monkeypatch):
    assert train() == 0
    files = read_files()
    edit(monkeypatch, lr=0.05)
    assert train("--log-dir", "other") == 0
    assert {path.name for path in Path("other").iterdir()} == {
        "lenet-lr0.05-seed0.csv", "lenet-lr0.05-seed0.json"}
    assert files.items() <= read_files().items()


@pytest.mark.parametrize(("stem", "folder"), [("train", "mnist"), ("t10k", "mnist"),
                                              ("train", None)])
def test_other_data_under_the_same_name_get_digits(train, small_idx, monkeypatch, stem, folder):
    data = Path("mnist").absolute()
    shutil.copytree(small_idx, data)
    if folder is None:  # the repository's own data, changed
        monkeypatch.setattr(main, "DATA_DIR", data)
    assert train("--data-dir", "mnist", "--seeds", "2") == 0
    files = read_files()
    path = data / f"{stem}-images-idx3-ubyte.gz"
    images = bytearray(gzip.decompress(path.read_bytes()))
    images[-1] ^= 1  # one pixel, by the least amount
    path.write_bytes(gzip.compress(images))
    files.pop(Path("mnist") / path.name)
    assert train("--data-dir", "mnist") == 0
    assert files.items() <= read_files().items()
    plain = f"lenet-{folder}" if folder else "lenet"
    (name,) = read_names() - {f"{plain}-seed0", f"{plain}-seed1"}
    assert re.fullmatch(rf"lenet-{folder or 'data'}_[0-9a-f]{{6}}-seed0", name)
    assert train("--data-dir", "mnist") == 0
    assert len(read_names()) == 3


def test_other_code_is_refused_named_or_replaced(train, monkeypatch, capsys):
    assert train("--seeds", "2") == 0
    files = read_files()
    monkeypatch.setattr(main, "probe", lambda recipe: 1.5001)
    for argv in ([], ["--seed", "1"], ["--seed", "7"]):
        capsys.readouterr()
        assert train(*argv) == 1
        assert re.fullmatch(
            r"main.py: lenet-seed[01] was trained by other code; --name WORD keeps both, "
            r"--restart replaces it\n", capsys.readouterr().err)
    assert read_files() == files
    assert train("--name", "mine") == 0
    assert files.items() <= read_files().items()
    assert train("--seed", "1") == 0  # this code has a name now
    assert read_names() == {"lenet-seed0", "lenet-seed1", "lenet-mine-seed0", "lenet-mine-seed1"}
    for path in Path().glob("*/*mine*"):
        path.unlink()
    assert train("--restart") == 0
    assert json.loads(Path("logs/lenet-seed0.json").read_text())["probe"] == 1.5001
    capsys.readouterr()
    assert train("--seed", "1") == 1  # which is still the other code's
    assert "lenet-seed1 was trained by other code" in capsys.readouterr().err
    with pytest.raises(RunError, match=r"lenet-seed1 and lenet-seed0 differ in probe"):
        runs.read_series("logs", "lenet", main.DEFAULTS)


def test_rounding_is_not_other_code(train, monkeypatch):
    assert train() == 0
    files = read_files()
    monkeypatch.setattr(main, "probe", lambda recipe: 1.5 * (1 + 2e-6))
    assert train() == 0
    assert read_files() == files


def test_name_that_another_recipe_took_in_the_meantime_is_left_to_it(train, monkeypatch, capsys):
    original = main.train

    def edited_and_run_elsewhere(*args):
        with monkeypatch.context() as patch:
            patch.setattr(main, "train", original)
            edit(patch, lr=0.05)
            assert train("--seed", "1") == 0
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(main, "train", edited_and_run_elsewhere)
        assert train() == 1
    assert "lenet-seed0: another recipe has taken this name" in capsys.readouterr().err
    assert read_names() == {"lenet-seed1"}
    assert train() == 0
    assert read_names() == {"lenet-seed1", "lenet-lr0.1-seed0"}


# Logs of other times

def rewrite(path, change):
    summary = json.loads(path.read_text())
    change(summary)
    path.write_text(json.dumps(summary))


def test_log_without_a_probe_and_a_later_field_counts(train, monkeypatch, capsys):
    assert train() == 0

    def age(summary):
        del summary["probe"], summary["recipe"]["bf16"], summary["recipe"]["thickening"]

    rewrite(Path("logs/lenet-seed0.json"), age)
    checkpoint = torch.load("checkpoints/lenet-seed0.pt")
    age(checkpoint)
    torch.save(checkpoint, "checkpoints/lenet-seed0.pt")
    capsys.readouterr()
    assert train() == 0
    assert "lenet-seed0: finished" in capsys.readouterr().out
    assert train("--seed", "1") == 0
    assert [run["seed"] for run in runs.read_series("logs", "lenet", main.DEFAULTS)] == [0, 1]
    Path("logs/lenet-seed0.json").unlink()
    assert train() == 0
    assert "lenet-seed0: is whole in checkpoints" in capsys.readouterr().out
    edit(monkeypatch, thickening=0.5)  # not what it was made with
    assert train() == 0
    assert "lenet-thickening0.5-seed0" in read_names()


def test_field_that_was_removed_counts_where_the_code_does_not_do_as_it_said(
        train, monkeypatch, capsys):
    assert train() == 0
    path = Path("logs/lenet-seed0.json")
    rewrite(path, lambda summary: summary["recipe"].update(smoothing=0.1))
    assert train() == 0  # the probe says: the code does the same without
    rewrite(path, lambda summary: summary.pop("probe"))
    capsys.readouterr()
    assert train() == 1
    assert "was trained with other settings: smoothing (0.1 and None)" in capsys.readouterr().err


def test_the_reports_runs_count_as_they_are(monkeypatch, tmp_path):
    """Logs that were made before names, probes and some fields were as now."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "train_run", raise_interrupt)
    report = str(Path(main.__file__).parent / "logs/report")
    for argv in (["--seeds", "10"], ["--model", "lenet_reg"],
                 ["--model", "mlp", "--validate", "--log-dir", f"{report}/validation"]):
        assert main.main(["--log-dir", report, *argv]) == 0


# The probe

def test_probe_is_the_same_each_time_and_changes_nothing():
    recipe = main.RECIPES["lenet_reg"]
    first = main.probe(recipe)
    torch.manual_seed(3)
    torch.rand(5)
    assert main.probe(recipe) == first
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)
    assert main.probe(recipe) == pytest.approx(first, rel=runs.PROBE_TOLERANCE / 10)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


class Deeper(main.nets.RegularizedLeNet5):
    def __init__(self, dropout):
        super().__init__(dropout)
        self.fc4 = torch.nn.Linear(10, 10)

    def forward(self, images):
        return self.fc4(super().forward(images))


def edit_sgd(monkeypatch, **changes):
    sgd = torch.optim.SGD
    monkeypatch.setattr(torch.optim, "SGD", lambda *args, **kwargs: sgd(
        *args, **{**kwargs, **changes}))


def replace_in(monkeypatch, function, old, new):
    """Edits the source of one of main.py's functions."""
    source = inspect.getsource(getattr(main, function))
    assert old in source
    exec(source.replace(old, new), edited := dict(vars(main)))
    monkeypatch.setattr(main, function, edited[function])


EDITS = {
    "a layer": lambda patch: edit(patch, "lenet_reg", net=Deeper),
    "no Nesterov": lambda patch: edit_sgd(patch, nesterov=False),
    "weight decay": lambda patch: edit_sgd(patch, weight_decay=1e-3),
    "rates half a step late": lambda patch: replace_in(patch, "train_epoch", "step + 0.5", "step"),
    "no warmup": lambda patch: replace_in(patch, "learning_rate", "recipe.warmup:", "0:"),
    "evaluation mode": lambda patch: replace_in(patch, "train", "model.train()", "model.eval()"),
    "shear": lambda patch: edit(patch, "lenet_reg", shear=12.0),
    "normalisation": lambda patch: patch.setattr("dataset.STD", 0.4),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_code_shows_in_the_probe(monkeypatch, name):
    before = main.probe(main.RECIPES["lenet_reg"])
    EDITS[name](monkeypatch)
    after = main.probe(main.RECIPES["lenet_reg"])
    assert abs(after / before - 1) > 3 * runs.PROBE_TOLERANCE


def test_the_code_does_what_it_did_when_the_reports_runs_were_made():
    """Equal to the last bit in torch 2.10, 2.14 and 2.15 on one machine (AMD EPYC, AVX2)."""
    probes = {"lenet": 4.4769177, "mlp": 2.0858990, "lenet_dropout": 4.5013359,
              "lenet_decay": 4.4773059, "lenet_augment": 4.5337799, "lenet_reg": 4.5398104,
              "lenet_heavy": 4.5593531, "lenet_record": 4.5101399, "lenet_fast": 4.5767698,
              "lenet_1998": 91.9144220, "lenet_wide": 4.5753891, "mlp_wide": 4.4124721}
    for name, expected in probes.items():
        probe = main.probe(main.RECIPES[name])
        assert probe == pytest.approx(expected, rel=runs.PROBE_TOLERANCE), name


def test_a_rewrite_does_not_show_in_the_probe(monkeypatch):
    before = main.probe(main.RECIPES["lenet_reg"])
    replace_in(monkeypatch, "train", "loss.backward()", "torch.Tensor.backward(loss)  # the same")
    assert main.probe(main.RECIPES["lenet_reg"]) == pytest.approx(before, rel=1e-9)


# Reading

def test_series_are_gathered_by_name_and_seed(tmp_path):
    accuracies = {seed: 0.9 + seed / 1000 for seed in (0, 1, 2, 10)}  # "10" sorts before "2"
    for seed, accuracy in accuracies.items():
        write_run(tmp_path, "lenet-epochs2", seed, [0.5, accuracy])
    write_run(tmp_path, "mlp", 0, [0.25])
    (tmp_path / "notes.json").write_text("not a run")
    assert runs.list_series(tmp_path) == ["lenet-epochs2", "mlp"]
    series = {name: runs.read_series(tmp_path, name, {}) for name in ("lenet-epochs2", "mlp")}
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


def test_unfinished_runs_are_there_as_far_as_they_go(tmp_path):
    write_run(tmp_path, "lenet", 0, [0.5, 0.6])
    recipe = main.as_dict(dataclasses.replace(main.RECIPES["lenet"], epochs=2))
    write_run(tmp_path, "lenet", 1, [0.5], recipe=recipe)
    series = runs.read_series(tmp_path, "lenet", {})
    assert [(run["complete"], len(run["history"])) for run in series] == [(True, 2), (False, 1)]
    with open(tmp_path / "lenet-seed1.csv", "a") as file:  # it goes on; its JSON comes next
        file.write("2,0.1,0.2,0.9,0.3,0.6,1.5\n")
    assert len(runs.read_series(tmp_path, "lenet", {})[1]["history"]) == 1


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
        runs.read_series(tmp_path, "lenet", {})
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "epochs" not in message  # what agrees is not blamed
    assert "\n" not in message


def test_folder_without_runs(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match="no run in it"):
            runs.list_series(folder)
    write_run(tmp_path, "lenet-lr0.2", 0, [0.5])
    with pytest.raises(RunError, match=r"no series lenet; there are lenet-lr0\.2"):
        runs.read_series(tmp_path, "lenet", {})


def test_only_the_series_asked_for_is_read(tmp_path):
    write_run(tmp_path, "lenet", 0, [0.5])
    write_run(tmp_path, "mlp", 0, [0.5])
    (tmp_path / "mlp-seed0.csv").write_text("")
    (tmp_path / "old-seed0.json").write_text("")
    assert len(runs.read_series(tmp_path, "lenet", {})) == 1


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
        runs.read_series(tmp_path, "lenet", {})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_summary_of_a_missing_or_foreign_file_is_empty(tmp_path):
    path = tmp_path / "lenet-seed0.json"
    assert runs.read_summary(path, {}) == {}
    for content in ("", "{", "3", json.dumps({"model": "lenet"})):
        path.write_text(content)
        assert runs.read_summary(path, {}) == {}
