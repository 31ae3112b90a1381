"""What runs are called, by whatever way a user comes to the same settings or to others.

    python -m pytest tests/lab/training/test_names.py

The digests of the code are chosen by the tests here.
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
import report
from lab.runs.identity import as_dict, describe_code, describe_differences, find_differences
from lab.runs.series import find_logs, read_log
from lab.runs.series import read_series as read_paths
from lab.training import names, run
from lab.training.names import name_series


@pytest.fixture
def train(small_idx, tmp_path, monkeypatch):
    """Runs main.py for one epoch; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    use_as_bundled(monkeypatch, small_idx)
    edit_code(monkeypatch, "1")
    edit(monkeypatch, epochs=1)
    return lambda *argv: main.main(["--device", "cpu", *argv])


def raise_interrupt(*_):
    raise KeyboardInterrupt


def edit(monkeypatch, model="lenet", **changes):
    """What a user does at the top of main.py."""
    monkeypatch.setitem(main.RECIPES, model,
                        dataclasses.replace(main.RECIPES[model], **changes))


def edit_code(monkeypatch, train, **more):
    """As if `train` in main.py had been edited, so that it has this digest; more: other digests."""
    code = {"main.train": train, "main.test": "1", **more}
    monkeypatch.setattr(main, "digest_code", lambda *roots: code)


def read_names():
    return {path.stem for path in Path("logs").glob("*.json")}


def read_series(name):
    return read_paths(find_logs("logs")[0][name])


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


REFUSED = (r"main.py: lenet-seed[01] was trained by other code \(train in main.py has changed\): "
           r"--name WORD keeps both, --restart replaces it, --same-code says that it trains the "
           r"same\n")


def test_other_code_is_refused_named_or_replaced(train, monkeypatch, capsys):
    assert train("--seeds", "2") == 0
    files = read_files()
    edit_code(monkeypatch, "2")
    for argv in ([], ["--seed", "1"], ["--seed", "7"]):
        capsys.readouterr()
        assert train(*argv) == 1
        assert re.fullmatch(REFUSED, capsys.readouterr().err)
    assert read_files() == files
    assert train("--name", "mine") == 0
    assert files.items() <= read_files().items()
    assert train("--seed", "1") == 0  # this code has a name now
    assert read_names() == {"lenet-seed0", "lenet-seed1", "lenet-mine-seed0", "lenet-mine-seed1"}
    for path in Path().glob("*/*mine*"):
        path.unlink()
    assert train("--restart") == 0
    assert json.loads(Path("logs/lenet-seed0.json").read_text())["code"]["main.train"] == "2"
    capsys.readouterr()
    assert train("--seed", "1") == 1  # which is still the other code's
    assert re.fullmatch(REFUSED, capsys.readouterr().err)


def test_code_that_trains_the_same_joins_by_the_users_word_and_that_is_told(
        train, monkeypatch, capsys):
    assert train("--seeds", "2") == 0
    files = read_files()
    edit_code(monkeypatch, "2", **{"main.clip": "1"})
    capsys.readouterr()
    assert train("--seeds", "3", "--same-code") == 0
    out = capsys.readouterr().out
    told = "trained by 2 codes (train in main.py and clip in main.py have changed)"
    assert re.search(rf"^lenet: test accuracy .*, {re.escape(told)}, 3 seeds$", out, re.MULTILINE)
    assert files.items() <= read_files().items()
    assert read_names() == {"lenet-seed0", "lenet-seed1", "lenet-seed2"}
    codes = [run["code"] for run in read_series("lenet")]
    assert codes[0] == codes[1] == {"main.train": "1", "main.test": "1"}
    assert codes[2] == {"main.train": "2", "main.test": "1", "main.clip": "1"}
    assert train("--seed", "0") == 1  # the word is for one command
    capsys.readouterr()
    assert report.main([]) == 0
    assert f"\nlenet: {told}" in capsys.readouterr().out


def test_an_unfinished_run_that_other_code_goes_on_with_tells_both(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        edit(patch, epochs=2)
        epochs = iter([main.train])
        patch.setattr(main, "train", lambda *args: next(epochs, raise_interrupt)(*args))
        assert train() == 130
    edit(monkeypatch, epochs=2)
    edit_code(monkeypatch, "2")
    assert train() == 1
    capsys.readouterr()
    assert train("--same-code") == 0
    out = capsys.readouterr().out
    assert ("lenet-seed0: resumes after epoch 1 of 2; with other code (train in main.py has "
            "changed)\n") in out
    assert "trained by 2 codes (train in main.py has changed)" in out
    (run,) = read_series("lenet")
    assert run["code"]["main.train"] == "1"
    assert [each["code"]["main.train"] for each in run["resumed"]] == ["2"]


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
    assert capsys.readouterr().err == ("main.py: lenet-seed1 was trained with other settings: lr "
                                       "(0.05 and 0.1); --name WORD keeps both\n")
    assert read_names() == {"lenet-seed1"}
    assert train() == 0
    assert read_names() == {"lenet-seed1", "lenet-lr0.1-seed0"}


# Logs of other times

def rewrite(path, change):
    summary = json.loads(path.read_text())
    change(summary)
    path.write_text(json.dumps(summary))


def test_a_field_that_a_log_lacks_is_not_todays_default(train, monkeypatch, capsys):
    """Nobody knows what the code of that time did instead."""
    assert train() == 0
    rewrite(Path("logs/lenet-seed0.json"), lambda log: log["recipe"].pop("bf16"))
    saved = torch.load("checkpoints/lenet-seed0.pt")
    del saved["recipe"]["bf16"]
    torch.save(saved, "checkpoints/lenet-seed0.pt")
    files = read_files()
    assert train() == 0
    assert files.items() <= read_files().items()
    assert read_names() == {"lenet-seed0", "lenet-no_bf16-seed0"}
    assert find_differences(*(read_log(path) for path in sorted(Path("logs").glob("*.json"))[::-1])
                            ) == {"bf16": ("unknown", False)}


@pytest.mark.parametrize("code", [None, "4f1a"])  # none, or one of another form
def test_code_that_a_log_does_not_tell_is_no_code_of_today(train, monkeypatch, capsys, code):
    """Three nets by one name once were averaged: a missing digest agreed with any other."""
    assert train("--seeds", "2") == 0
    for seed in (0, 1):
        rewrite(Path(f"logs/lenet-seed{seed}.json"), lambda log: log.update(code=code))
    files = read_files()
    capsys.readouterr()
    assert train("--seeds", "3") == 1
    assert capsys.readouterr().err == (
        "main.py: lenet-seed0 was trained by code that its log does not tell: --name WORD keeps "
        "both, --restart replaces it, --same-code says that it trains the same\n")
    assert read_files() == files
    assert train("--seeds", "3", "--same-code") == 0
    assert "2 codes (unknown)" in capsys.readouterr().out


def test_bounds_of_the_distortion_do_not_count_without_it(train, monkeypatch, capsys):
    assert train() == 0
    files = read_files()
    edit(monkeypatch, rotation=30.0, thickening=0.5)
    assert train() == 0
    assert read_files() == files
    edit(monkeypatch, rotation=30.0, augment=True)
    assert train() == 0
    assert len(read_names()) == 2


def make_log(**recipe):
    return {"recipe": {"net": "A", "augment": False, **recipe}, "data": {}, "evaluated_on": "test",
            "code": {"main.train": "1", "model.A": "1"}}


def test_the_code_that_two_runs_share_is_compared_where_their_settings_differ():
    one, other = make_log(), make_log(net="B")
    other["code"] = {"main.train": "1", "model.B": "2"}
    assert find_differences(one, other) == {"net": ("A", "B")}
    other["code"]["main.train"] = "2"
    found = find_differences(one, other)
    assert describe_differences(found) == "net (A and B) and in the code"
    other = make_log()
    del other["code"]["model.A"]  # of equal settings, all counts
    assert find_differences(one, other).keys() == {"code"}


def test_numbers_of_images_and_parameters_count_once_they_are_known():
    one = {**make_log(), "images": 60_000, "parameters": 61_706}
    assert find_differences(one, make_log()) == {}  # ours has not begun yet
    assert find_differences(make_log(), one) == {
        "images": ("unknown", 60_000), "parameters": ("unknown", 61_706)}
    assert describe_differences(find_differences({**one, "images": 800}, one)) == (
        "images (800 and 60,000)")


@pytest.mark.parametrize(("one", "other", "words"), [
    ({"main.train": "1"}, {"main.train": "2"}, "train in main.py has changed"),
    ({"a.b.C": "1", "main.x": "1"}, {"a.b.C": "2"}, "C in a/b.py and x in main.py have changed"),
    ({}, {f"m.{name}": "1" for name in "abcde"}, "a in m.py, b in m.py, c in m.py and 2 more have "
     "changed")])
def test_what_has_changed_in_the_code_is_named(one, other, words):
    assert describe_code(one, other) == words


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
             "train": ({"size": 60_000}, {"size": 6}), "test": ({}, None), "code": ({}, {})}
    assert describe_differences(found) == (
        "lr (0.05 and 0.1), weight decay (0 and 1), augment (yes and no), dropout (none and 0.1), "
        "evaluated on (test and validation), the training images, the test images and in the code")


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


def test_a_new_field_and_a_removed_one_count(train, monkeypatch, capsys):
    recipe = main.RECIPES["lenet"]
    assert train() == 0
    files = read_files()
    monkeypatch.setitem(main.RECIPES, "lenet", WithSchedule(**vars(recipe)))
    assert train() == 0
    assert read_names() == {"lenet-seed0", "lenet-schedulecos_1_2-seed0"}
    assert files.items() <= read_files().items()
    for path in Path().glob("*/lenet-seed0.*"):
        path.unlink()
    for path in Path().glob("*/lenet-schedule*"):
        path.rename(path.with_name(path.name.replace("-schedulecos_1_2", "")))
    monkeypatch.setitem(main.RECIPES, "lenet", recipe)
    capsys.readouterr()
    assert train() == 1
    assert ("lenet-seed0 was trained with other settings: schedule (cos:1/2 and unknown); --name "
            "WORD keeps both\n") in capsys.readouterr().err


def test_restart_replaces_no_checkpoint_of_other_settings(train, monkeypatch, capsys):
    """Which lies there because the log folder is another one."""
    assert train("--log-dir", "other") == 0
    for path in Path("checkpoints").iterdir():
        path.unlink()
    edit(monkeypatch, lr=0.05)
    assert train() == 0
    files = read_files()
    edit(monkeypatch, lr=0.1)
    capsys.readouterr()
    assert train("--log-dir", "other", "--restart") == 1
    assert capsys.readouterr().err == (
        "main.py: checkpoints/lenet-seed0.pt was trained with other settings: lr (0.05 and 0.1); "
        "--name WORD keeps both\n")
    assert read_files() == files


@pytest.mark.parametrize("changed", ["images", "parameters"])
def test_runs_of_other_numbers_of_images_or_parameters_do_not_join(train, capsys, changed):
    assert train() == 0
    rewrite(Path("logs/lenet-seed0.json"), lambda log: log.update({changed: 7}))
    capsys.readouterr()
    assert train("--seed", "1", "--same-code") == 1
    assert re.fullmatch(rf"main.py: lenet-seed0 was trained with other settings: {changed} "
                        r"\(7 and [\d,]+\); --name WORD keeps both\n",
                        (said := capsys.readouterr()).err)
    assert "\nepoch" not in said.out  # before it trains
    assert read_names() == {"lenet-seed0"}


def test_the_reports_runs_count_as_they_are(monkeypatch, tmp_path):
    """By their digests, which are those of the code as it stands."""
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
    monkeypatch.setattr(names, "read_log", lambda path: read.append(path.stem) or read_log(path))
    assert train("--seed", "4") == 0
    assert read == [*(f"lenet-seed{seed}" for seed in range(4)), "lenet-lr0.2-seed0",
                    *(f"lenet-x-seed{seed}" for seed in range(4))]


def test_two_codes_that_nobody_knows_are_not_the_same():
    one = make_log()
    del one["code"]
    assert find_differences(one, {**one}) == {"code": (None, None)}


def test_bounds_of_the_distortion_count_with_it():
    one, other = (make_log(augment=True, rotation=rotation) for rotation in (12.0, 30.0))
    assert find_differences(one, other) == {"rotation": (12.0, 30.0)}
