"""study/effects.py: its contrasts, compared with a fitted linear model and sums by hand."""

import itertools
import statistics

import numpy as np
import pytest
from scipy import stats

from study import effects

PAIRS = tuple(itertools.combinations(range(3), 2))
SEEDS = (0, 1, 2, 3, 5)


def make_up(seed, parts):
    """Accuracy (a fraction) and loss of a made-up run; decay helps less where it is augmented."""
    chance = np.random.default_rng((seed, *parts)).normal(scale=2e-5, size=2)
    dropout, decay, augmented = parts
    accuracy = 0.992 + 0.0014 * decay + 0.0024 * augmented - 0.0006 * decay * augmented
    loss = 0.04 - 0.015 * decay - 0.012 * augmented + 0.008 * decay * augmented + 0.001 * dropout
    return accuracy + chance[0], loss + chance[1]


@pytest.fixture
def series():
    """Runs of the eight nets; one net has a seed more, which the others lack."""
    found = {}
    for parts, name in effects.NETS.items():
        seeds = (*SEEDS, 7) if sum(parts) == 3 else SEEDS
        found[name] = [{"seed": seed, "final": dict(zip(
            ("test_accuracy", "test_loss"), make_up(seed, parts), strict=True))} for seed in seeds]
    return found


def by_question(answers, measure):
    return {effect.question: effect for effect in answers[measure]}


def test_effects_are_those_of_a_linear_model(series):
    """With levels coded -1 and 1, an effect is twice the coefficient of the product of its parts.

    The design is orthogonal: the means over the seeds fit as the seeds do.
    """
    levels = np.array(list(effects.NETS))  # (8, 3)
    coded = 2 * levels - 1
    subsets = [(0,), (1,), (2,), *PAIRS, (0, 1, 2)]
    design = np.stack([np.ones(8), *(coded[:, list(each)].prod(1) for each in subsets)], axis=1)
    for index, measure in enumerate(effects.MEASURES):
        factor = 100 if index == 0 else 1
        values = np.array([factor * np.mean([make_up(seed, parts)[index] for seed in SEEDS])
                           for parts in effects.NETS])
        _, *coefficients = np.linalg.lstsq(design, values)[0]
        found = [effect.mean for effect in effects.answer(series)[measure][:7]]
        np.testing.assert_allclose(found, 2 * np.array(coefficients), rtol=1e-6, atol=1e-9)


def test_interval_and_p_by_hand(series):
    """Of one question of a main effect, one of a part added last, and the whole against the sum."""
    def accuracy(seed, *parts):
        return 100 * make_up(seed, parts)[0]

    by_hand = {
        "weight decay, on average": lambda seed: statistics.mean(
            accuracy(seed, i, 1, k) - accuracy(seed, i, 0, k) for i in (0, 1) for k in (0, 1)),
        "dropout, added to the other two":
            lambda seed: accuracy(seed, 1, 1, 1) - accuracy(seed, 0, 1, 1),
        "all three, less the sum of each alone":
            lambda seed: (accuracy(seed, 1, 1, 1) - accuracy(seed, 0, 0, 0) - sum(
                accuracy(seed, *parts) - accuracy(seed, 0, 0, 0)
                for parts in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))),
    }
    found = by_question(effects.answer(series), "accuracy")
    for question, value in by_hand.items():
        values = [value(seed) for seed in SEEDS]
        mean, error = statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5
        reach = stats.t.ppf(0.975, len(values) - 1) * error
        effect = found[question]
        assert (effect.low, effect.mean, effect.high) == pytest.approx(
            (mean - reach, mean, mean + reach))


def test_verdicts_follow_the_sign_and_the_measure(series):
    accuracy, loss = (by_question(effects.answer(series), measure) for measure in effects.MEASURES)
    for found in (accuracy, loss):
        assert found["weight decay, on average"].verdict == "helps"
        assert found["augmentation, added to the other two"].verdict == "helps"
        assert found["weight decay x augmentation"].verdict == "less than the sum"
        assert found["all three, less the sum of each alone"].verdict == "less than the sum"
    assert accuracy["dropout, on average"].verdict == "undecided"
    assert loss["dropout, on average"].verdict == "hurts"


@pytest.mark.parametrize(("question", "good", "bad"), [
    ("dropout, on average", "helps", "hurts"),
    ("dropout, added to the other two", "helps", "hurts"),
    ("dropout x weight decay", "more than the sum", "less than the sum"),
    ("all three, less the sum of each alone", "more than the sum", "less than the sum"),
    ("dropout x weight decay x augmentation", *["two depend on the third"] * 2)])
def test_a_verdict_says_no_more_than_its_question(question, good, bad):
    assert question in effects.list_questions()
    assert (effects.say(question, True), effects.say(question, False)) == (good, bad)


def test_p_is_corrected_for_all_questions_in_all_measures(series):
    answers = effects.answer(series)
    count = sum(map(len, answers.values()))
    assert count == 22
    every = [effect for each in answers.values() for effect in each]
    smallest = min(every, key=lambda effect: effect.p)
    measure = next(measure for measure, each in answers.items() if smallest in each)
    weights = effects.list_questions()[smallest.question]
    values = np.tensordot(weights, effects.gather(series, measure), 3)
    assert smallest.p == pytest.approx(count * stats.ttest_1samp(values, 0).pvalue)


@pytest.mark.filterwarnings("error")
def test_what_is_the_same_in_every_seed_is_a_matter_of_signs():
    """A seed moves all nets alike, in steps that a float cannot hold: the sums differ by rounding.

    Weight decay helps in each of nine seeds, and nothing else does anything.
    """
    series = {name: [{"seed": seed, "final": {"test_accuracy": 0.99 + 0.0013 * decay + seed / 3000,
                                              "test_loss": 0.04 - 0.007 * decay + seed / 300}}
                     for seed in range(9)] for (_, decay, _), name in effects.NETS.items()}
    values = [np.tensordot(weights, effects.gather(series, "accuracy"), 3)
              for weights in effects.list_questions().values()]
    assert any(np.ptp(sums) > 0 for sums in values)
    for measure, effect in (("accuracy", 0.13), ("test loss", -0.007)):
        for question, found in by_question(effects.answer(series), measure).items():
            helps = question in ("weight decay, on average", "weight decay, added to the other two")
            assert found.low == found.mean == found.high == pytest.approx(effect * helps)
            p = min(1, 22 * stats.binomtest(9, 9).pvalue) if helps else 1
            assert (found.p, found.verdict) == (pytest.approx(p), "undecided"), question


def test_no_answer_without_all_eight_nets_and_two_seeds(series):
    del series["lenet_reg-no_augment"]
    assert effects.answer(series) == {}


def test_no_answer_from_one_seed(series):
    series["lenet_decay"] = [run for run in series["lenet_decay"] if run["seed"] in (0, 9)]
    assert effects.answer(series) == {}
