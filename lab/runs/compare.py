"""Compares series of runs: how good each is, whether two differ, and how sure that is.

A series is all runs of one name, one run per seed. Only finished runs count.

Two series that have the same seeds are compared in pairs. Runs of one seed start from the same
weights (if the nets are alike) and see the images in the same order, so what the seed does to both
cancels out. If it does nothing to them, pairing only costs degrees of freedom. If the seeds are not
the same, Welch's test compares all runs of one series with all runs of the other. The seeds alone
decide which test is used, never its outcome, and every result names its test.

Student's t needs some spread. If the difference is the same in every seed, an exact test takes its
place: the sign test for pairs, the permutation test otherwise. Then there is no interval.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from lab.files import RunError
from lab.runs.identity import describe_codes, describe_differences, find_differences
from lab.runs.series import accuracies, count_examples, error_counts, extent, fixed, spread

LEVEL = 0.05  # a difference counts if its p, corrected for all comparisons, is below this
MANY = 1000  # seeds; if a decision needs more, their number is not worth telling


@dataclass(frozen=True)
class Difference:
    """By how much the accuracy of one series is above that of another, in points."""

    mean: float
    low: float  # lower end of the 95 % interval
    high: float  # upper end
    p: float  # two-sided, not yet corrected for other comparisons
    paired: bool
    test: str  # its name and the number of seeds, in words
    deviation: float  # standard deviation of the difference of one seed

    @property
    def interval(self):
        """The ends of the interval, in words."""
        return (f"{fixed(self.low, '+.2f')} to {fixed(self.high, '+.2f')}" if self.deviation
                else "same in every seed")


def measure_difference(found, name, base):
    """Measures the Difference of two series in `found`, {name: [finished run, ...]}.

    Returns None if there is nothing to test: a series has only one seed, or all runs are equal.
    Raises RunError if the series were measured on different data.
    """
    differing = find_differences(found[name][0], found[base][0])
    if images := {key: pair for key, pair in differing.items()
                  if key in ("evaluated_on", "train", "test", "validation")}:
        raise RunError(f"{name} and {base} cannot be compared, they differ in "
                       f"{describe_differences(images)}")
    if min(len(found[name]), len(found[base])) < 2:
        return None
    a, b = ({run["seed"]: run for run in found[which]} for which in (name, base))
    paired = a.keys() == b.keys()
    # Counted in images, which are whole numbers, so that equal runs have a spread of exactly 0.
    a, b = (error_counts([each[seed] for seed in sorted(each)]) for each in (a, b))
    samples = [b - a] if paired else [b, a]  # fewer errors are more accuracy: base minus series
    deviation = np.sqrt(sum(sample.var(ddof=1) for sample in samples))
    mean, low, high, p = t_test(*samples)
    if not (mean or deviation):
        return None
    test = (("paired" if paired else "Welch") if deviation else
            ("sign test" if paired else "permutation test"))
    test += f", {len(a)} seeds" if paired else f", {len(a)} and {len(b)} seeds"
    point = 100 / count_examples(found[base][0])  # one image, in points
    return Difference(mean * point, low * point, high * point, p, paired, test, deviation * point)


def t_test(sample, *other):
    """Tests with Student's t whether the mean of a sample is 0, or that of another (Welch 1947).

    Returns the mean or the difference, the ends of its 95 % interval, and the two-sided p. Without
    any spread, the p is that of an exact test, and both ends are the mean: there is no interval.
    """
    # scipy.stats has these tests, but report.py would start half a second later if it imported it.
    samples = sample, *other
    mean = sample.mean() - sum(each.mean() for each in other)
    if not any(map(np.ptp, samples)):
        # By chance, all signs, or all ways to deal the runs out, are as likely. Two are so extreme.
        ways = math.comb(sum(map(len, samples)), len(sample)) if other else 2 ** len(sample)
        return mean, mean, mean, 2 / ways if mean else 1.0
    squares = [each.var(ddof=1) / len(each) for each in samples]  # standard errors, squared
    error = np.sqrt(sum(squares))
    # Welch and Satterthwaite's degrees of freedom; for a single sample they are n - 1.
    freedom = error**4 / sum(square**2 / (len(each) - 1)
                             for square, each in zip(squares, samples, strict=True))
    reach = stdtrit(freedom, 0.975) * error
    return mean, mean - reach, mean + reach, 2 * stdtr(freedom, -abs(mean) / error)


def correct(ps):
    """Corrects p values for the number of comparisons made together, by Holm's method (1979)."""
    order = np.argsort(ps)
    steps = np.maximum.accumulate(np.array(ps)[order] * np.arange(len(ps), 0, -1))
    return np.minimum(steps, 1)[np.argsort(order)]


def seeds_to_decide(difference, comparisons):
    """Estimates how many seeds each series needs to decide this difference with a power of 80 %.

    It takes the measured mean and deviation for the true ones, both quantiles from Student's t, and
    the level of the strictest of so many `comparisons` (Holm). Without any deviation, it takes the
    sign test. Returns None if MANY are too few.
    """
    n = np.arange(2, MANY + 1)
    freedom = (1 if difference.paired else 2) * (n - 1)
    needed = stdtrit(freedom, 1 - LEVEL / comparisons / 2) + stdtrit(freedom, 0.8)
    enough = (abs(difference.mean) * np.sqrt(n) >= needed * difference.deviation
              if difference.deviation else 2 * 0.5**n < LEVEL / comparisons)
    return int(n[enough.argmax()]) if enough.any() else None


def round_roughly(n):
    """A number of seeds with one digit, since the interval of what it rests on is wide."""
    return round(n, 1 - len(str(n)))


def judge_all(differences):
    """Judges each Difference, or None, with its p corrected for the number of differences.

    Returns (verdict, words) for each: the verdict is "better", "worse" or "undecided", and the
    words tell the numbers behind it.
    """
    ps = [difference.p for difference in differences if difference]
    corrected = iter(correct(ps))
    return [judge(difference, next(corrected), len(ps)) if difference else
            ("undecided", "one seed, or no difference in any seed, so there is nothing to test")
            for difference in differences]


def judge(difference, p, comparisons):
    """Judges one of so many `comparisons` by its corrected p: (verdict, words)."""
    holm = f" (Holm, {comparisons} comparisons)" if comparisons > 1 else " (one comparison)"
    interval = (f"95 % interval {difference.interval}" if difference.deviation
                else "the same difference in every seed")
    words = (f"{fixed(difference.mean, '+.2f')} points, {interval} ({difference.test}), "
             f"p = {p:.2g}{holm}")
    if p < LEVEL:
        return "better" if difference.mean > 0 else "worse", words
    n = seeds_to_decide(difference, comparisons)
    more = f"about {round_roughly(n)}" if n else f"not even {MANY:,}"
    return "undecided", (f"{words}; if it is as large as it looks, {more} seeds each would "
                         "probably decide it")


def compare(found):
    """Compares each later series of `found` with the first: {name: [finished run, ...]} -> text."""
    base, *others = found
    verdicts = judge_all([measure_difference(found, name, base) for name in others])
    lines = [summarise(base, found[base])]
    for name, (verdict, words) in zip(others, verdicts, strict=True):
        series = found[name]
        lines.append(summarise(name, series))
        if differing := find_differences(series[0], found[base][0]):
            lines.append(f"  differs in {describe_differences(differing)}")
        by_seed = {run["seed"]: run for run in found[base]}
        for run in series:
            if run["seed"] in by_seed:
                one, other = accuracies([run, by_seed[run["seed"]]])
                lines.append(f"  seed {run['seed']}: {fixed(one)} and {fixed(other)} %, "
                             f"{fixed(one - other, '+.2f')}")
        lines.append(f"  {relate(verdict, base)}: {words}")
    lines.append("Only the comparisons of this command count: name all that you try.")
    return "\n".join(lines)


def relate(verdict, base):
    """Joins a verdict and what it refers to: "better than lenet", "undecided against lenet"."""
    return f"{verdict} {'against' if verdict == 'undecided' else 'than'} {base}"


def summarise(name, series):
    """The accuracy and the errors of a series, as one line."""
    line = (f"{name}: {spread(accuracies(series))} %, errors of {count_examples(series[0]):,}: "
            f"{extent(series)}, {len(series)} seed{'s' if len(series) > 1 else ''}")
    codes = describe_codes(series)
    return f"{line}, trained by {codes}" if codes else line
