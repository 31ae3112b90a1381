"""The probe: edited code shows in it, and a rewrite that does the same does not.

    python -m pytest tests/lab/training/test_probe.py
"""

import dataclasses
import inspect
import json
from pathlib import Path

import pytest
import torch

import main
from lab.digits import strokes
from lab.runs.identity import PROBE_TOLERANCE
from lab.training import probe as probes


def probe(name):
    recipe = main.RECIPES[name]
    return main.probe(recipe, main.make_transforms(recipe), main.train_run)


def edit(monkeypatch, model="lenet", **changes):
    """What a user does at the top of main.py."""
    monkeypatch.setitem(main.RECIPES, model,
                        dataclasses.replace(main.RECIPES[model], **changes))


def test_probe_is_the_same_each_time_and_changes_nothing():
    first = probe("lenet_reg")
    torch.manual_seed(3)
    torch.rand(5)
    assert probe("lenet_reg") == first
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)
    assert probe("lenet_reg") == pytest.approx(first, rel=PROBE_TOLERANCE / 10)
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
    "rates half a step late": lambda patch: replace_in(patch, "train_run", "step + 0.5", "step"),
    "no warmup": lambda patch: replace_in(patch, "learning_rate", "recipe.warmup:", "0:"),
    "evaluation mode": lambda patch: replace_in(patch, "train", "model.train()", "model.eval()"),
    "shear": lambda patch: edit(patch, "lenet_reg", shear=12.0),
    "normalisation": lambda patch: patch.setattr("dataset.STD", 0.4),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_code_shows_in_the_probe(monkeypatch, name):
    before = probe("lenet_reg")
    EDITS[name](monkeypatch)
    after = probe("lenet_reg")
    assert abs(after / before - 1) > 3 * PROBE_TOLERANCE


def test_edited_strokes_show_in_the_probe_of_the_recipe_that_has_them(monkeypatch):
    before = probe("lenet_reg"), probe("lenet_hands")
    monkeypatch.setitem(strokes.FORMS, 1, [*strokes.FORMS[1], strokes.FORMS[7][0]])
    after = probe("lenet_reg"), probe("lenet_hands")
    assert after[0] == before[0]
    assert abs(after[1] / before[1] - 1) > 3 * PROBE_TOLERANCE


def test_the_code_does_what_it_did_when_the_reports_runs_were_made():
    """Equal to the last bit in torch 2.10, 2.14 and 2.15 on one machine (AMD EPYC, AVX2)."""
    probes = {"lenet": 4.4769177, "mlp": 2.0858990, "lenet_dropout": 4.5013359,
              "lenet_decay": 4.4773059, "lenet_augment": 4.5337799, "lenet_reg": 4.5398104,
              "lenet_heavy": 4.5593531, "lenet_record": 4.5101399, "lenet_fast": 4.5767698,
              "lenet_hands": 2.0113713, "lenet_1998": 91.9144220, "lenet_wide": 4.5753891,
              "mlp_wide": 4.4124721}
    for name, expected in probes.items():
        assert probe(name) == pytest.approx(expected, rel=PROBE_TOLERANCE), name


def test_a_rewrite_does_not_show_in_the_probe(monkeypatch):
    before = probe("lenet_reg")
    replace_in(monkeypatch, "train", "loss.backward()", "torch.Tensor.backward(loss)  # the same")
    assert probe("lenet_reg") == pytest.approx(before, rel=1e-9)


def test_probe_is_of_float32_whatever_the_recipe_says(monkeypatch):
    before = probe("lenet")
    edit(monkeypatch, bf16=True, epochs=7, batch_size=3)
    assert probe("lenet") == before


def test_probe_that_is_not_finite_is_none(monkeypatch):
    edit(monkeypatch, lr=1e30)
    assert probe("lenet") is None


def test_probe_without_the_bundled_digits_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(probes, "DATA_DIR", tmp_path / "gone")
    assert probe("lenet") is None


# The digest

@pytest.fixture
def digest_after(monkeypatch, tmp_path):
    """The digest after `old` became `new` in one of the files, once."""
    def change(name="main.py", old="", new=""):
        sources = []
        for path in probes.SOURCES:
            text = path.read_text("utf-8")
            if path.name == name:
                assert old in text
                text = text.replace(old, new, 1)
            sources.append(tmp_path / path.name)
            sources[-1].write_text(text, "utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(probes, "SOURCES", sources)
            return probes.digest_code()
    return change


@pytest.mark.parametrize(("name", "old", "new"), [
    ("dataset.py", "manual_seed(0))\n    rest", "manual_seed(1))\n    rest"),  # the held-out split
    ("dataset.py", "sampler=order.split(batch_size)", "sampler=order.split(batch_size)[:-1]"),
    ("main.py", "seed_everything(run.seed, epoch)", "seed_everything(run.seed, epoch); "
     "train_set.transform = test_set.transform if epoch > 2 else train_set.transform"),
    ("main.py", "torch.bfloat16, enabled", "torch.float16, enabled"),
    ("main.py", "logits.argmax(1) == labels).sum()\n    return", "logits.topk(2)[1] == "
     "labels[:, None]).sum()\n    return"),
    ("model.py", "F.relu(self.fc1(x))", "F.sigmoid(self.fc1(x))"),
    ("strokes.py", "default_rng(0)", "default_rng(1)"),
])
def test_what_the_probe_passes_shows_in_the_digest(digest_after, name, old, new):
    assert digest_after(name, old, new) != digest_after() == probes.digest_code()


@pytest.mark.parametrize(("name", "old", "new"), [
    ("main.py", "# One epoch", "# An epoch"),
    ("main.py", "Trains for one epoch", "Trains once"),
    ("main.py", "    model.train()\n", "\n    model.train()  # here\n"),
    ("main.py", '"mlp": Recipe(nets.CustomMLP, lr=0.05)', '"mlp": Recipe(nets.CustomMLP, lr=0.1)'),
    ("model.py", "LeNet-5 as it is taught today", "Today's LeNet-5"),
])
def test_words_layout_and_the_table_of_recipes_do_not_show_in_it(digest_after, name, old, new):
    assert digest_after(name, old, new) == digest_after()


def test_equal_code_takes_no_probe(small_idx, tmp_path, monkeypatch, capsys):
    """It would import torch's compiler, a second, to say of a finished run that it is finished."""
    monkeypatch.chdir(tmp_path)
    argv = ["--epochs", "1", "--data-dir", str(small_idx), "--device", "cpu"]
    assert main.main(argv) == 0
    monkeypatch.setattr(main, "probe", None)
    for seed in ("0", "1"):
        assert main.main([*argv, "--seed", seed]) == 0
    first, second = (json.loads(path.read_text()) for path in sorted(Path("logs").glob("*.json")))
    assert first["probe"] == second["probe"] > 1
    assert first["code"] == second["code"]
    for path in Path("logs").glob("*.json"):
        path.write_text(json.dumps({key: value for key, value in json.loads(
            path.read_text()).items() if key != "probe"}))
    monkeypatch.setattr(main, "probe", lambda *_: first["probe"])  # of a log that lacks it, it is
    assert main.main([*argv, "--seed", "2"]) == 0  # computed again
    assert json.loads(max(Path("logs").glob("*.json")).read_text())["probe"] == first["probe"]
