"""What the pages claim in words that stand still, compared with the logs.

A new claim is a line here: a verdict in VERDICTS, or words of a page in FACTS.
"""

from itertools import chain

from lab.files import RunError
from lab.runs import compare
from lab.runs.series import accuracies, error_counts
from study import effects
from study.calibration import curves
from study.front import DROPOUT, EXAMPLE, LIMIT_PAIRS, TODAY
from study.images import SOURCES
from study.tables import ABLATION, PUBLISHED, PUBLISHED_WITHIN, ROAD, find_tuned, judge

# {(series, base): verdict}. The p values of one group are corrected together, as in the table of
# the pages that shows them.
VERDICTS = (
    dict.fromkeys(SOURCES[:2], "better"),
    {**{(name, ABLATION[0]): "better" for name in ABLATION[1:]},
     ("lenet_dropout", "lenet"): "undecided", ("lenet_heavy", "lenet"): "worse"},
    {**dict.fromkeys(zip([*ROAD][1:], ROAD, strict=False), "undecided"),
     ("lenet_1998_relu", "lenet_1998_max"): "better", ("lenet_reg", "lenet"): "better"},
    {("mlp_28", "mlp"): "better"},
    {**dict.fromkeys(LIMIT_PAIRS, "better"), LIMIT_PAIRS[-1]: "undecided"},
    {DROPOUT: "undecided"},
    {EXAMPLE: "undecided"},
)
JUDGED = {*chain.from_iterable(chain.from_iterable(VERDICTS))}  # series of ten seeds, but:
FIVE = {*EXAMPLE, *TODAY[:2]}
NEEDED = {*JUDGED, "lenet_wide", "mlp_wide", "lenet-validate"}


def accuracy(series, name):
    """The mean accuracy of a series in percent."""
    return accuracies(series[name]).mean()


def mean_curve(runs, column):
    """A column of the logs, the mean over the runs: float (epochs,)."""
    return curves(runs, column).mean(0)


def says(series, measure, question):
    """The verdict of effects.py."""
    return next(effect.verdict for effect in effects.answer(series)[measure]
                if effect.question == question)


def judge_tuning(series):
    """The verdicts on `lenet` with other rates and epochs, on held-out images, as one family."""
    base = "lenet-validate"
    pairs = [(name, base) for name in find_tuned(series) if name != base]
    return [verdict for verdict, _ in judge(series, pairs)]


# Words that stand in a page just like this, and whether they hold in {name: [finished run, ...]}.
FACTS = {
    "LeNet-5 is as good as known":
        lambda series: 100 - accuracy(series, "lenet_1998")
        <= PUBLISHED["lenet_1998"][1] + PUBLISHED_WITHIN,
    # On the test set; VERDICTS has the held-out images.
    "Ten seeds cannot tell whether dropout adds anything":
        lambda series: says(series, "accuracy", "dropout, added to the other two") == "undecided",
    "**Weight decay and augmentation help**, on average and added to the other two":
        lambda series: all(says(series, measure, f"{part}, {how}") == "helps"
                           for measure in effects.MEASURES for part in effects.PARTS[1:]
                           for how in ("on average", "added to the other two")),
    "In accuracy, that is undecided. In test loss it is":
        lambda series: [says(series, measure, "all three, less the sum of each alone")
                        for measure in effects.MEASURES] == ["undecided", "less than the sum"],
    "lowest in epoch 14":
        lambda series: mean_curve(series["lenet"], "test_loss").argmin() + 1 == 14,
    "seeds end with every training image right":
        lambda series: any(run["final"]["train_accuracy"] == 1 for run in series["lenet"]),
    "With them the loss falls to the end":
        lambda series: mean_curve(series["lenet_reg"], "test_loss")[-1]
        < 1.01 * mean_curve(series["lenet_reg"], "test_loss").min(),
    "is better (`mlp_28`), though far from LeNet-5":  # VERDICTS has the first half
        lambda series: accuracy(series, "lenet") - accuracy(series, "mlp_28") > 1,
    "no other rate or number of epochs that was tried is better":
        lambda series: "better" not in judge_tuning(series),
    "misread more ([results]":
        lambda series: all(accuracy(series, f"{name}_wide") < accuracy(series, name)
                           for name in ("lenet", "mlp")),
    "A net of today, no larger than LeNet-5, misreads 33 of the 10,000 test images":
        lambda series: round(error_counts(series["modern"]).mean()) == 33,
    "comes close to the regularised LeNet-5":  # much closer than the plain LeNet-5
        lambda series: 0 <= accuracy(series, "lenet_reg") - accuracy(series, TODAY[0])
        < 0.2 * (accuracy(series, "lenet_reg") - accuracy(series, "lenet")),
    "it is less than a tenth of a point":
        lambda series: 0 < accuracy(series, "lenet") - accuracy(series, "lenet_1998") < 0.1,
}


def check_claims(series):
    """Raises RunError if the logs do not bear out what the pages say."""
    for name in sorted(JUDGED):
        seeds = 5 if name in FIVE else 10
        if len(series[name]) != seeds:
            raise RunError(f"the pages say that {name} has {seeds} seeds; the logs have "
                           f"{len(series[name])}")
    for claims in VERDICTS:
        judged = judge(series, claims)
        for ((name, base), claim), (verdict, words) in zip(claims.items(), judged, strict=True):
            if verdict != claim:
                raise RunError(f"the pages say that {name} is {compare.relate(claim, base)}; the "
                               f"logs say {verdict}: {words}")
    for words, holds in FACTS.items():
        if not holds(series):
            raise RunError(f"the pages say {words!r}; the logs do not bear that out")
