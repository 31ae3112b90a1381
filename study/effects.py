"""What each part of the regularisation does to LeNet-5, alone and together: a 2x2x2 factorial.

Eight nets have every combination of dropout, weight decay and augmentation. A question is a
contrast: a weighted sum over the eight nets of one seed. The mean of these sums over the seeds, its
95 % interval and its p are Student's t, which assumes nothing of what the nets of a seed have in
common. If the sum is the same in every seed, the sign test takes its place, without an interval.
Effects and interactions are defined as in Box, Hunter and Hunter 2005, "Statistics for
Experimenters", chapter 5: the mean over four nets less the mean over the other four.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lab.runs import compare

PARTS = ("dropout", "weight decay", "augmentation")
NETS = {  # the series that has these PARTS
    (0, 0, 0): "lenet",
    (1, 0, 0): "lenet_dropout", (0, 1, 0): "lenet_decay", (0, 0, 1): "lenet_augment",
    (1, 1, 0): "lenet_reg-no_augment", (1, 0, 1): "lenet_reg-weight_decay0.0",
    (0, 1, 1): "lenet_reg-dropout0.0",
    (1, 1, 1): "lenet_reg",
}
# The name of a measure: its unit, its value in a run, and whether more of it is better.
MEASURES = {
    "accuracy": ("points", lambda run: 100 * run["final"]["test_accuracy"], True),
    "test loss": ("nats", lambda run: run["final"]["test_loss"], False),
}


def list_questions():
    """Lists the questions: {words: weights (2, 2, 2)}. Each axis is one of PARTS: without, with."""
    has = np.indices((2, 2, 2))  # (3, 2, 2, 2)
    questions = {}
    for which in (which for size in (1, 2, 3) for which in combinations(range(3), size)):
        words = " x ".join(PARTS[part] for part in which)
        words += ", on average" if len(which) == 1 else ""
        questions[words] = np.prod(2 * has[list(which)] - 1, axis=0) / 4
    for part, words in enumerate(PARTS):
        weights = np.zeros((2, 2, 2))
        weights[1, 1, 1] = 1
        weights[tuple(int(other != part) for other in range(3))] = -1
        questions[f"{words}, added to the other two"] = weights
    # y(all) - y(none) less the sum over the parts of y(part) - y(none)
    questions["all three, less the sum of each alone"] = np.choose(has.sum(0), (2.0, -1, 0, 1))
    return questions


def gather(series, measure):
    """Collects a measure of all nets over the seeds that all have: float (2, 2, 2, seeds)."""
    value = MEASURES[measure][1]
    nets = {parts: {run["seed"]: value(run) for run in series[name]}
            for parts, name in NETS.items()}
    seeds = sorted(set.intersection(*map(set, nets.values())))
    values = [[nets[parts][seed] for seed in seeds] for parts in np.ndindex(2, 2, 2)]
    return np.reshape(values, (2, 2, 2, -1))


@dataclass(frozen=True)
class Effect:
    """The answer to a question in one measure, in the unit of the measure."""

    question: str
    mean: float
    low: float  # lower end of the 95 % interval; the mean if it is the same in every seed
    high: float  # upper end, likewise
    p: float  # two-sided, corrected for the number of all questions in all measures
    verdict: str  # "undecided", or what `say` makes of it


def say(question, good):
    """What an effect beyond chance says of its question. good: whether it is for the better.

    Of an interaction it holds for this measure alone: of its logarithm, it may be none.
    """
    parts = question.split(" x ")
    if question.split(",")[0] in PARTS:
        return "helps" if good else "hurts"
    if len(parts) == len(PARTS):
        return "two depend on the third"
    return f"{'more' if good else 'less'} than the sum"


def answer(series):
    """Answers all questions: {measure: [Effect, ...]}. series: {name: [finished run, ...]}.

    Returns {} if one of the eight nets is missing, or if they have fewer than two seeds in common.
    """
    if not series.keys() >= set(NETS.values()):
        return {}
    gathered = {measure: gather(series, measure) for measure in MEASURES}
    if min(values.shape[-1] for values in gathered.values()) < 2:
        return {}
    # Rounded, so that sums which differ by the rounding of floats alone have no spread.
    rows = [(measure, words, compare.t_test(np.tensordot(weights, gathered[measure], 3).round(10)))
            for measure in MEASURES for words, weights in list_questions().items()]
    corrected = compare.correct([p for *_, (*_, p) in rows])
    answers = {measure: [] for measure in MEASURES}
    for (measure, words, (mean, low, high, _)), p in zip(rows, corrected, strict=True):
        verdict = "undecided"
        if p < compare.LEVEL:
            verdict = say(words, (mean > 0) == MEASURES[measure][2])
        answers[measure].append(Effect(words, mean, low, high, p, verdict))
    return answers
