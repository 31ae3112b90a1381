"""Edit, run, compare: what a user does to the files between two runs, in a copy of this folder.

    python -m pytest tests/test_edit.py

Each edit once ended in two different trainings averaged under one name, or in a traceback.
"""

import csv
import io
import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import ROOT

REFUSED = ("main.py: lenet-epochs1-{data}-seed0 was trained by other code ({what} has changed): "
           "--name WORD keeps both, --restart replaces it, --same-code says that it trains the "
           "same\n")
STEP = "        optimizer.step()\n"
CLIP = "        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
DRAW = "    seed_everything(run.seed, epoch=0)\n"
RECORD = "test_accuracy=test_accuracy, seconds=seconds)\n"
LENET = '    "lenet": Recipe(nets.LeNet5),\n'
TINY = '''from torch import nn

class Tiny(nn.Sequential):
    image_size = 32

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(1024, 6), nn.ReLU(), nn.Linear(6, 10))
'''


@pytest.fixture
def house(tmp_path, begin, small_idx):
    """A copy of the files. house.run runs a script of it, house.edit changes a file."""
    return House(tmp_path / "house", begin, small_idx)


class House:
    def __init__(self, folder, begin, data):
        self.folder, self.begin, self.data = folder, begin, data
        self.out = folder.parent / "out"
        self.out.mkdir()
        ours = shutil.ignore_patterns("__pycache__")
        for name in ("lab", "readers"):
            shutil.copytree(ROOT / name, folder / name, ignore=ours)
        for path in ROOT.glob("*.py"):
            shutil.copy(path, folder)

    def edit(self, name, old, new):
        path = self.folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    def run(self, *argv, script="main.py", prepare=int):
        """Returns exit status, stdout and stderr."""
        if script == "main.py":
            argv = "--epochs", "1", "--device", "cpu", "--data-dir", str(self.data), *argv
        if script == "plot.py":
            argv = "--data-dir", str(self.data), *argv
        process = self.begin(self.folder / script, *argv, folder=self.folder, output=self.out,
                             prepare=partial(enter, str(self.folder), prepare))
        process.join()
        return process.exitcode, *((self.out / name).read_text("utf-8") for name in ("out", "err"))

    def read(self):
        return {path: path.read_bytes() for path in self.folder.glob("[lc]*[gs]/*-seed*")}

    def log(self, seed=0, name="lenet"):
        path, = self.folder.glob(f"logs/{name}*-seed{seed}.json")
        return json.loads(path.read_text())


def enter(folder, prepare):
    """For the process: its files are those of the copy, also those that the tests have loaded."""
    for name in {"dataset", "model", "lenet1998", "readers", "lab"}:
        for loaded in [loaded for loaded in sys.modules if f"{loaded}.".startswith(f"{name}.")]:
            del sys.modules[loaded]
    sys.path.insert(0, folder)
    prepare()


@pytest.mark.parametrize(("file", "old", "new", "what"), [
    ("main.py", STEP, CLIP + STEP, "train in main.py"),
    ("main.py", DRAW, DRAW + "    train_set = train_set.select(slice(100))\n",
     "train_run in main.py"),
    ("main.py", "    if progress < recipe.warmup:", "    if progress > 0.95:\n        return 0.0\n"
     "    if progress < recipe.warmup:", "learning_rate in main.py"),
    ("dataset.py", "manual_seed(0))\n    rest", "manual_seed(1))\n    rest",
     "hold_out in dataset.py"),
    ("dataset.py", "MEAN, STD = 0.1307, 0.3081", "MEAN, STD = 0.5, 0.5",
     "MEAN in dataset.py and STD in dataset.py have changed"),
    ("model.py", "x = F.relu(self.fc1(x))", "x = torch.tanh(self.fc1(x))", "LeNet5 in model.py")])
def test_an_edit_that_trains_otherwise_is_refused_by_name(house, file, old, new, what):
    assert house.run()[0] == 0
    files = house.read()
    house.edit(file, old, new)
    status, _, err = house.run("--seeds", "3")
    expected = REFUSED.format(data=house.data.name, what=what)
    assert (status, err) == (1, expected.replace("have changed has changed", "have changed"))
    assert house.read() == files


def test_an_edit_that_concerns_no_run_refuses_nothing(house):
    """Another net beside the others, another recipe, a reader, a message, a comment."""
    assert house.run()[0] == 0
    files = house.read()
    house.edit("model.py", "class CustomMLP", TINY.partition("\n\n")[2] + "\n\nclass CustomMLP")
    house.edit("main.py", LENET, LENET + '    "tiny": Recipe(nets.Tiny, lr=0.01),\n')
    house.edit("main.py", "    model.train()\n", "    model.train()  # dropout on\n")
    house.edit("readers/table.py", "FORM = ", "OTHER = 1\nFORM = ")
    house.edit("lab/training/run.py", "loss is not finite", "loss is infinite")
    status, out, err = house.run()
    assert (status, err) == (0, "")
    assert "finished" in out
    assert house.read() == files
    assert house.run("--model", "tiny")[0] == 0


def test_a_net_in_a_file_of_the_users_own_counts(house):
    (house.folder / "mine.py").write_text(TINY)
    house.edit("model.py", "from lenet1998 import", "from mine import Tiny\nfrom lenet1998 import")
    house.edit("main.py", LENET, '    "lenet": Recipe(nets.Tiny),\n')
    assert house.run()[0] == 0
    assert house.log()["code"].keys() >= {"mine.Tiny"}
    house.edit("mine.py", "1024, 6), nn.ReLU(), nn.Linear(6,", "1024, 7), nn.ReLU(), nn.Linear(7,")
    status, _, err = house.run("--seed", "1")
    assert status == 1
    assert "(Tiny in mine.py has changed)" in err
    # Nor does the user's word join nets of other sizes.
    status, _, err = house.run("--seed", "1", "--same-code")
    assert status == 1
    assert "other settings: parameters (6,220 and 7,255)" in err
    assert len(list(house.folder.glob("logs/*.json"))) == 1


def test_a_run_on_fewer_images_does_not_join_even_by_the_users_word(house):
    assert house.run()[0] == 0
    house.edit("main.py", DRAW, DRAW + "    train_set = train_set.select(slice(100))\n")
    status, _, err = house.run("--seed", "1", "--same-code")
    assert status == 1
    assert "other settings: images (600 and 100)" in err


def edit_after_start(folder):
    """As if a file were saved while torch is imported."""
    import lab.start  # noqa: F401
    path = Path(folder, "model.py")
    path.write_text(path.read_text().replace("400, 120", "400, 121").replace("120, 84", "121, 84"))


def test_a_file_that_is_saved_while_others_are_imported_ends_it(house):
    status, _, err = house.run(prepare=partial(edit_after_start, house.folder))
    assert (status, err) == (1, "main.py: model.py has been edited since it was loaded; start "
                             "again\n")
    assert house.read() == {}
    assert house.run()[0] == 0


def test_a_process_of_jobs_that_would_run_other_code_trains_nothing(house):
    status, _, err = house.run("--seed", "2", "--child", "lenet", "0123abcd")
    assert (status, err) == (1, "main.py: lenet-seed2: the code has been edited since this command "
                             "began; start again\n")
    assert house.read() == {}


def test_stopping_early_is_two_lines_and_is_finished(house):
    house.edit("main.py", "        print(f\"epoch {epoch:",
               "        if epoch == 2:\n            break\n        print(f\"epoch {epoch:")
    assert house.run("--epochs", "9")[0] == 0
    assert house.log()["complete"]
    assert house.log()["final"]["epoch"] == 2
    files = house.read()
    status, out, _ = house.run("--epochs", "9")
    assert status == 0
    assert "--restart trains it again" in out
    assert house.read() == files
    for path in house.folder.glob("logs/*"):
        path.unlink()
    assert house.run("--epochs", "9")[0] == 0  # the checkpoint knows it, too
    assert house.read() == files
    status, out, err = house.run(script="report.py")
    assert (status, err) == (0, "")
    assert "unfinished" not in out


def stop_in_epoch(number):
    """The process is stopped as that epoch begins."""
    from lab.training.run import Run
    record = Run.record

    def stop(run, *args, **row):
        if row["epoch"] == number:
            raise KeyboardInterrupt
        return record(run, *args, **row)
    Run.record = stop


def test_a_new_column_stays_empty_in_the_rows_before_it(house):
    assert house.run("--epochs", "3", prepare=partial(stop_in_epoch, 2))[0] == 130
    house.edit("main.py", RECORD, "test_accuracy=test_accuracy, seconds=seconds,\n"
               "                   gap=logits.max())\n")
    status, _, err = house.run("--epochs", "3", "--same-code")
    assert (status, err) == (0, "")
    (table,) = house.folder.glob("logs/*.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [bool(row["gap"]) for row in rows] == [False, True, True]
    status, out, err = house.run(script="report.py")
    assert (status, err) == (0, "")
    assert "trained by 2 codes (train_run in main.py has changed)" in out
    assert house.run(script="plot.py")[0] == 0


@pytest.fixture
def keeping(house):
    """The copy, with Adam, batch norm, an average of the weights and a scheduler with a memory."""
    house.edit("model.py", "        self.fc3 = nn.Linear(84, 10)\n",
               "        self.fc3 = nn.Sequential(nn.BatchNorm1d(84), nn.Linear(84, 10))\n")
    text = (house.folder / "main.py").read_text()
    sgd = text[text.index("    optimizer = torch.optim.SGD("):text.index("    # Loads the checkp")]
    house.edit("main.py", sgd, "    optimizer = torch.optim.Adam(model.parameters(), 1e-3)\n"
               "    ema = torch.optim.swa_utils.AveragedModel(\n        model, multi_avg_fn="
               "torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))\n    plan = torch.optim."
               "lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, mode='max')\n")
    house.edit("main.py", "optimizer=optimizer)", "optimizer=optimizer, ema=ema, plan=plan)")
    house.edit("main.py", '            group["lr"] = rate\n', "            pass\n")
    house.edit("main.py", "        test_loss, test_accuracy, logits = test(model, test_loader)\n",
               "        ema.update_parameters(model)\n        plan.step(-train_loss * -1)\n"
               "        test_loss, test_accuracy, logits = test(ema, test_loader)\n")
    return house


def spell(value):
    """Plain values and tensors as a text that differs where a bit does."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {value.numpy().tobytes().hex()}"
    if isinstance(value, dict):
        return {key: spell(each) for key, each in value.items()}
    return [*map(spell, value)] if isinstance(value, (list, tuple)) else repr(value)


def test_a_resumed_run_has_all_that_it_was_given_to_keep(keeping):
    def read(folder):
        (path,) = folder.glob("*.pt")
        saved = torch.load(path, weights_only=True)
        for row in saved["history"]:
            del row["seconds"]
        return saved

    argv = "--epochs", "4", "--batch-size", "64"
    assert keeping.run(*argv, "--checkpoint-dir", "whole", "--log-dir", "whole")[0] == 0
    assert keeping.run(*argv, prepare=partial(stop_in_epoch, 3))[0] == 130
    status, out, err = keeping.run(*argv)
    assert (status, err) == (0, "")
    assert "resumes after epoch 2 of 4\n" in out
    whole, resumed = read(keeping.folder / "whole"), read(keeping.folder / "checkpoints")
    assert set(whole["state"]) == {"optimizer", "ema", "plan"}
    for key in ("model", "state", "history", "errors"):
        assert spell(whole[key]) == spell(resumed[key])


@pytest.mark.parametrize("wrapped", ["torch.nn.DataParallel(model)",
                                     "torch.compile(model, backend='eager')"])
def test_weights_are_saved_without_what_is_around_the_net(house, wrapped):
    house.edit("main.py", "recipe.dropout).to(device)\n",
               f"recipe.dropout).to(device)\n    model = {wrapped}\n")
    assert house.run("--epochs", "2", prepare=partial(stop_in_epoch, 2))[0] == 130
    status, out, err = house.run("--epochs", "2")
    assert (status, err) == (0, "")
    assert "resumes after epoch 1 of 2\n" in out
    (path,) = house.folder.glob("checkpoints/*.pt")
    assert set(torch.load(path, weights_only=True)["model"]) == {
        f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3")
        for kind in ("weight", "bias")}


@pytest.mark.parametrize(("field", "words"), [
    ("    betas: tuple = (0.9, 0.99)\n", "betas"), ("    kind: type = torch.optim.SGD\n", "kind")])
def test_a_field_of_any_kind_gives_a_training_one_name(house, field, words):
    assert house.run()[0] == 0
    house.edit("main.py", "    bf16: bool", field + "    bf16: bool")
    for _ in range(2):
        status, out, err = house.run()
        assert (status, err) == (0, "")
    assert "--restart trains it again" in out
    assert len(list(house.folder.glob("logs/*.json"))) == 2
    assert len(list(house.folder.glob(f"logs/*-{words}*.json"))) == 1
    for script in ("report.py", "plot.py"):
        status, _, err = house.run(script=script)
        assert (status, err) == (0, "")
