"""What the answers of a net come to, by hand.

    python -m pytest tests/lab/training/test_answers.py
"""

import math

import torch

from lab.training.answers import examine


def test_a_net_that_is_sure_has_its_place_in_the_last_bin():
    """The bins are (0, 1/15], ..., (14/15, 1]; 0.79 and 0.81 lie around 12/15."""
    probabilities = torch.tensor([1.0, 0.79, 0.81], dtype=torch.float64)
    logits = torch.full((3, 10), -math.inf, dtype=torch.float64)
    logits[:, 3] = probabilities.log()
    logits[:, 7] = (1 - probabilities).log()
    found = examine(logits, torch.tensor([3, 3, 7]))
    assert found["errors"] == [[2, 7, 3, found["errors"][0][3]]]
    assert math.isclose(found["errors"][0][3], 0.81, rel_tol=1e-6)
    counts, right, sums = found["calibration"]
    assert [len(column) for column in found["calibration"]] == [15, 15, 15]
    assert {i: count for i, count in enumerate(counts) if count} == {11: 1, 12: 1, 14: 1}
    assert {i: count for i, count in enumerate(right) if count} == {11: 1, 14: 1}
    assert math.isclose(sum(sums), 1 + 0.79 + 0.81, rel_tol=1e-6)


def test_a_net_that_is_always_wrong_and_one_that_never_is():
    logits = torch.eye(10)
    assert len(examine(logits, torch.arange(10).roll(1))["errors"]) == 10
    assert examine(logits, torch.arange(10))["errors"] == []
