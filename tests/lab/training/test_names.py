"""What runs are called, by whatever way a user comes to the same settings or to others.

    python -m pytest tests/lab/training/test_names.py

The probe is a number that the tests choose here.
"""

import dataclasses
import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import use_as_bundled

import dataset
import main
from lab.files import RunError
from lab.runs.identity import as_dict, describe_differences, find_differences
from lab.runs.series import find_logs, read_log
from lab.runs.series import read_series as read_paths
from lab.training import names, options, run
from lab.training.names import name_series


@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py for one epoch; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
    edit_code(monkeypatch, 1.5)
    edit(monkeypatch, epochs=1)
    return lambda *argv: main.main(["--device", "cpu", *argv])


def raise_interrupt(*_):
    raise KeyboardInterrupt


def edit(monkeypatch, model="lenet", **changes):
    """What a user does at the top of main.py."""
    monkeypatch.setitem(main.RECIPES, model,
                        dataclasses.replace(main.RECIPES[model], **changes))


def edit_code(monkeypatch, probe):
    """As if model.py, dataset.py or main.py had been edited, with this probe afterwards."""
    monkeypatch.setattr(main, "digest_code", lambda: f"code of {probe}")
    monkeypatch.setattr(main, "probe", lambda *_: probe)


def read_names():
    return {path.stem for path in Path("logs").glob("*.json")}


def read_series(name):
    return read_paths(find_logs("logs")[0][name], main.DEFAULTS)


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
    assert name_series(identity, identity["recipe"], None, "größer") == (
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


def test_one_foreign_checkpoint_is_enough_for_another_name(train, monkeypatch):
    """Whichever seed it has: all seeds of a command get one name."""
    assert train() == 0
    with monkeypatch.context() as patch:
        edit(patch, lr=0.05)
        assert train("--seed", "1", "--log-dir", "other", "--checkpoint-dir", "weights") == 0
    (foreign,) = Path("weights").glob("*.pt")
    foreign.rename("checkpoints/lenet-seed1.pt")
    assert train("--seeds", "2", "--log-dir", "fresh") == 0
    assert {path.name for path in Path("fresh").glob("*.json")} == {
        "lenet-lr0.1-seed0.json", "lenet-lr0.1-seed1.json"}


def test_of_two_names_of_an_identity_the_plain_one_is_used(train, capsys):
    for word in ("again", "wider"):
        assert train("--name", word) == 0
    capsys.readouterr()
    assert train() == 0
    assert capsys.readouterr().out.startswith("lenet-again-seed0: finished")
    for kind in ("json", "csv"):
        shutil.copy(f"logs/lenet-wider-seed0.{kind}", f"logs/lenet-seed0.{kind}")
    assert train() == 0
    assert capsys.readouterr().out.startswith("lenet-seed0: finished")


@pytest.mark.parametrize(("stem", "folder"), [("train", "mnist"), ("t10k", "mnist"),
                                              ("train", None)])
def test_other_data_under_the_same_name_get_digits(train, small_idx, monkeypatch, stem, folder):
    data = Path("mnist").absolute()
    shutil.copytree(small_idx, data)
    if folder is None:  # the repository's own data, changed
        use_as_bundled(monkeypatch, data)
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
    edit_code(monkeypatch, 1.5001)
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
    with pytest.raises(RunError, match=r"lenet-seed1 and lenet-seed0 differ in the code"):
        read_series("lenet")


def test_code_with_an_equal_probe_counts_and_is_said(train, monkeypatch, capsys):
    assert train() == 0
    files = read_files()
    edit_code(monkeypatch, 1.5 * (1 + 2e-6))
    capsys.readouterr()
    assert train() == 0
    assert read_files() == files
    assert capsys.readouterr().out.count(f"lenet-seed0: {run.EDITED}\n") == 1


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


def test_log_older_than_a_field_and_the_digest_counts(train, monkeypatch, capsys):
    assert train() == 0

    def age(summary):
        del summary["code"], summary["recipe"]["bf16"], summary["recipe"]["thickening"]

    rewrite(Path("logs/lenet-seed0.json"), age)
    checkpoint = torch.load("checkpoints/lenet-seed0.pt")
    age(checkpoint)
    torch.save(checkpoint, "checkpoints/lenet-seed0.pt")
    capsys.readouterr()
    assert train() == 0
    assert "lenet-seed0: finished" in capsys.readouterr().out
    assert train("--seed", "1") == 0
    assert [run["seed"] for run in read_series("lenet")] == [0, 1]
    Path("logs/lenet-seed0.json").unlink()
    assert train() == 0
    assert "lenet-seed0: all epochs are in checkpoints" in capsys.readouterr().out
    edit(monkeypatch, thickening=0.5, augment=True)  # not what it was made with
    assert train() == 0
    assert any("thickening0.5" in name for name in read_names())


def test_unknown_code_is_no_code_of_today(train, monkeypatch, capsys):
    """Three nets by one name once were averaged: a missing probe agreed with any other."""
    assert train("--seeds", "2") == 0
    for seed in (0, 1):
        rewrite(Path(f"logs/lenet-seed{seed}.json"),
                lambda summary: [summary.pop(key) for key in ("code", "probe")])
    assert len(read_series("lenet")) == 2  # their settings are all that is known of both
    files = read_files()
    for probe in (1.5, 1.7):
        edit_code(monkeypatch, probe)
        capsys.readouterr()
        assert train("--seeds", "3") == 1
        assert capsys.readouterr().err == (
            "main.py: lenet-seed0 was trained by code that its log does not tell; --name WORD "
            "keeps both, --restart replaces it\n")
        assert read_files() == files


def test_every_pair_of_a_series_is_compared(train, monkeypatch):
    """Probes that creep, each as good as equal to the one before."""
    assert train("--seeds", "3") == 0
    for seed in (0, 1, 2):
        rewrite(Path(f"logs/lenet-seed{seed}.json"), lambda summary, seed=seed: summary.update(
            code=f"{seed}", probe=1.5 * (1 + 0.8e-5 * (seed - 1 if seed else 0))))
    rewrite(Path("logs/lenet-seed0.json"), lambda summary: summary.update(probe=1.5 * (1 - 0.8e-5)))
    with pytest.raises(RunError, match=r"lenet-seed2 and lenet-seed0 differ in the code"):
        read_series("lenet")


def test_what_does_nothing_does_not_count(train, monkeypatch, capsys):
    assert train() == 0
    files = read_files()
    edit(monkeypatch, rotation=30.0, thickening=0.5)  # without augmentation
    assert train() == 0
    edit(monkeypatch, net=type("MyLeNet", (main.nets.LeNet5,), {}))  # renamed, and nothing else
    assert train() == 0
    assert read_files() == files
    edit(monkeypatch, rotation=30.0, augment=True)
    assert train() == 0
    assert len(read_names()) == 2


def test_a_net_of_the_same_settings_is_another_run_though_the_code_is_the_same():
    one, other = ({"recipe": {"net": net, "epochs": 20}, "data": {}, "evaluated_on": "test",
                   "code": "same", "probe": probe} for net, probe in (("A", 1.5), ("B", 1.7)))
    assert find_differences(one, other) == {"net": ("A", "B")}


def test_probes_tell_logs_without_a_digest_apart():
    one, other = ({"recipe": {}, "data": {}, "evaluated_on": "test", "probe": probe}
                  for probe in (1.5, 1.7))
    assert find_differences(one, other) == {"probe": (1.5, 1.7)}


@dataclasses.dataclass(frozen=True)
class WithBetas(main.Recipe):
    betas: tuple = (0.9, 0.99)


def test_a_tuple_in_a_recipe_comes_back_from_its_log(train, monkeypatch, capsys):
    recipe = WithBetas(main.nets.LeNet5, epochs=1)
    monkeypatch.setitem(main.RECIPES, "lenet", recipe)
    assert train() == 0
    capsys.readouterr()
    assert train() == 0
    assert "lenet-seed0: finished" in capsys.readouterr().out
    assert read_names() == {"lenet-seed0"}
    assert as_dict(recipe)["betas"] == [0.9, 0.99]


@dataclasses.dataclass(frozen=True)
class WithSchedule(main.Recipe):
    schedule: str = "cos:1/2"


@pytest.mark.parametrize("kind", ["a field was removed", "two values give one name"])
def test_restart_is_offered_only_where_it_replaces(train, monkeypatch, capsys, kind):
    recipe = main.RECIPES["lenet"]
    monkeypatch.setitem(main.RECIPES, "lenet", WithSchedule(**vars(recipe)))
    assert train() == 0
    if kind == "a field was removed":
        monkeypatch.setitem(main.RECIPES, "lenet", recipe)
        edit_code(monkeypatch, 1.7)
    else:
        edit(monkeypatch, schedule="cos/1/2")
        assert train() == 0
        assert "lenet-schedulecos_1_2-seed0" in read_names()
        edit(monkeypatch, schedule="cos:1:2")
    for argv in ([], ["--restart"]):
        capsys.readouterr()
        assert train(*argv) == 1
        err = capsys.readouterr().err
        assert "other settings: schedule" in err
        assert "--name WORD keeps both" in err
        assert "--restart" not in err


def test_differences_are_told_in_words():
    found = {"lr": (0.05, 0.1), "weight_decay": (0.0, 1.0), "augment": (True, False),
             "dropout": (None, 0.1), "evaluated_on": ("test", "validation"),
             "train": ({"size": 60_000}, {"size": 6}), "test": ({}, None), "probe": (0.1, 0.2)}
    assert describe_differences(found) == (
        "lr (0.05 and 0.1), weight decay (0 and 1), augment (yes and no), dropout (none and 0.1), "
        "evaluated on (test and validation), the training images, the test images, the code")


def test_longer_training_says_that_it_continues_nothing(train, monkeypatch, capsys):
    assert train("--epochs", "2") == 0
    assert "does not continue" not in capsys.readouterr().out
    assert train("--epochs", "3") == 0
    assert capsys.readouterr().out.startswith(
        "lenet-epochs3: begins anew and does not continue ")
    assert train("--epochs", "3") == 0
    assert train("--epochs", "4", "--lr", "0.2") == 0  # nobody takes that for more of the same
    assert "does not continue" not in capsys.readouterr().out


@pytest.mark.parametrize(("folder", "name"), [
    ("FashionMNIST/raw", "FashionMNIST"), ("MNIST/RAW", "MNIST"), ("digits/data", "digits"),
    ("my digits", "my_digits"), ("raw_digits", "raw_digits")])
def test_a_folder_is_named_by_its_parent_where_its_own_name_says_nothing(folder, name, tmp_path):
    assert names.name_folder(tmp_path / folder) == name
    assert names.name_folder(dataset.DATA_DIR) == ""


def test_field_that_was_removed_counts_where_the_code_does_not_do_as_it_said(
        train, monkeypatch, capsys):
    assert train() == 0
    path = Path("logs/lenet-seed0.json")
    rewrite(path, lambda summary: summary["recipe"].update(smoothing=0.1))
    assert train() == 0  # the probe says: the code does the same without
    rewrite(path, lambda summary: summary.pop("probe"))
    capsys.readouterr()
    assert train() == 1
    assert "was trained with other settings: smoothing (0.1 and none)" in capsys.readouterr().err


def test_the_reports_runs_count_as_they_are(monkeypatch, tmp_path):
    """Logs that were made before names, probes and some fields were as now."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run.Run, "begin", raise_interrupt)
    report = str(Path(main.__file__).parent / "logs/report")
    for argv in (["--seeds", "10"], ["--model", "lenet_reg"],
                 ["--model", "mlp", "--validate", "--log-dir", f"{report}/validation"]):
        assert main.main(["--log-dir", report, *argv]) == 0


def test_a_start_reads_one_log_of_each_other_series(train, monkeypatch):
    """A folder may hold thousands. Of its own settings it reads all, which code may tell apart."""
    assert train() == 0
    log = json.loads(Path("logs/lenet-seed0.json").read_text())
    for series, lr in (("lenet", 0.1), ("lenet-lr0.2", 0.2), ("lenet-x", 0.1)):
        for seed in range(4):
            log["seed"], log["recipe"]["lr"] = seed, lr
            Path(f"logs/{series}-seed{seed}.json").write_text(json.dumps(log))
    read = []
    monkeypatch.setattr(names, "read_log",
                        lambda path, defaults: read.append(path.stem) or read_log(path, defaults))
    args, recipe, changed = options.parse(["--seed", "3"], main.__doc__, main.RECIPES)
    identity = {**read_log(Path("logs/lenet-seed0.json"), {}), "recipe": as_dict(recipe)}
    found = names.find_runs(args, identity, changed, main.DEFAULTS, lambda: 1.5)
    assert [run.name for run in found] == ["lenet-seed3"]
    assert read == [*(f"lenet-seed{seed}" for seed in range(4)), "lenet-lr0.2-seed0",
                    *(f"lenet-x-seed{seed}" for seed in range(4))]
