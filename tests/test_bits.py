"""A change of the code that should change no training changes none: tiny runs of each recipe.

    python -m pytest tests/test_bits.py

The numbers were computed by the code that trained the report's runs.
"""

from dataclasses import replace

import pytest

import main
from dataset import DATA_DIR, MNIST

LOSSES = {  # nats, in the second epoch plus after it; equal to the last digit in torch 2.10 to 2.15
    "lenet": 4.4769177, "mlp": 2.0858990, "mlp_28": 1.8529146,
    "lenet_dropout": 4.5013359, "lenet_decay": 4.4773059,
    "lenet_augment": 4.5337799, "lenet_reg": 4.5398104, "lenet_heavy": 4.5593531,
    "lenet_record": 4.5101399, "lenet_hands": 2.7224602, "lenet_fast": 4.5767698,
    "lenet_1998": 91.9144220, "lenet_1998_linear": 4.5749841, "lenet_1998_dense": 4.5750899,
    "lenet_1998_max": 4.5763290, "lenet_1998_relu": 4.4769177, "lenet_wide": 4.5753891,
    "mlp_wide": 4.4124720, "modern": 4.6536944}
IMAGES = 64


class Rehearsal:
    """Stands in for a Run: it resumes nothing and leaves nothing behind."""

    seed, measured = 0, "test"

    def __init__(self):
        self.history = []

    def begin(self, images, **parts):
        pass

    def record(self, logits, labels, **row):
        self.history.append(row)


@pytest.mark.parametrize("name", LOSSES)
def test_two_epochs_on_few_digits_end_in_the_same_loss(name):
    recipe = main.RECIPES[name]
    recipe = replace(recipe, epochs=2, batch_size=16,
                     synthetic=10 * IMAGES if recipe.synthetic else 0)
    digits = MNIST(DATA_DIR, train=False)
    sets = digits.select(slice(IMAGES)), digits.select(slice(IMAGES))
    for each, transform in zip(sets, main.make_transforms(recipe), strict=True):
        each.transform = transform
    rehearsal = Rehearsal()
    main.train_run(rehearsal, recipe, *sets, "cpu")
    row = rehearsal.history[-1]
    # Another processor rounds otherwise, by some 1e-7 of it.
    assert row["train_loss"] + row["test_loss"] == pytest.approx(LOSSES[name], rel=1e-5)
