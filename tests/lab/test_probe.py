"""The probe: edited code shows in it, and a rewrite that does the same does not.

    python -m pytest tests/lab/test_probe.py
"""

import dataclasses
import inspect

import pytest
import torch

import main
from lab.identity import PROBE_TOLERANCE


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


def test_the_code_does_what_it_did_when_the_reports_runs_were_made():
    """Equal to the last bit in torch 2.10, 2.14 and 2.15 on one machine (AMD EPYC, AVX2)."""
    probes = {"lenet": 4.4769177, "mlp": 2.0858990, "lenet_dropout": 4.5013359,
              "lenet_decay": 4.4773059, "lenet_augment": 4.5337799, "lenet_reg": 4.5398104,
              "lenet_heavy": 4.5593531, "lenet_record": 4.5101399, "lenet_fast": 4.5767698,
              "lenet_1998": 91.9144220, "lenet_wide": 4.5753891, "mlp_wide": 4.4124721}
    for name, expected in probes.items():
        assert probe(name) == pytest.approx(expected, rel=PROBE_TOLERANCE), name


def test_a_rewrite_does_not_show_in_the_probe(monkeypatch):
    before = probe("lenet_reg")
    replace_in(monkeypatch, "train", "loss.backward()", "torch.Tensor.backward(loss)  # the same")
    assert probe("lenet_reg") == pytest.approx(before, rel=1e-9)
