"""How good a series of runs is, what it differs by from another, and how sure that is.

A series is all runs of one name, a run a seed; its finished runs count. The statistics are scipy's.

A difference is paired, seed by seed, where both series have the same seeds: runs of one seed start
from the same weights (where the nets are alike) and take the images in the same order, so what a
seed brings to both cancels out. Where it brings nothing, pairing only costs degrees of freedom.
Where one side lacks seeds of the other, all seeds of both count, by Welch's test. The seeds alone
decide which of the two is used, never the outcome; it is said beside every result.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtr, stdtrit

from lab import runs
from lab.command import RunError
from lab.runs import count_examples, spread

LEVEL = 0.05  # a difference counts where its p, corrected for the number of them, is below this
MANY = 1000  # seeds; what would take more is not worth a number


def read_all(log_dir, names, defaults):
    """The series named, or all of a folder, as {name: [run, ...]}, and a line for each left out."""
    found, complaints = {}, []
    there = runs.list_series(log_dir)
    for name in names or there:
        try:
            if name not in there:
                raise RunError(f"{log_dir}: no series {name}; there are {', '.join(there)}")
            found[name] = runs.read_series(log_dir, name, defaults)
        except RunError as error:
            complaints.append(str(error))
    return found, complaints


def finished(series):
    return [run for run in series if run["complete"]]


def finished_series(found):
    """The finished runs of every series of `found` that has any: {name: [run, ...]}."""
    return {name: done for name, series in found.items() if (done := finished(series))}


def progress(run):
    return f"{len(run['history'])} of {run['recipe']['epochs']} epochs so far"


def accuracies(series):
    """Last epoch's accuracy of each run, in percent."""
    return np.array([100 * run["final"]["test_accuracy"] for run in series])


def error_counts(series):
    """Last epoch's misread images of each run."""
    return np.array([runs.count_errors(run["final"], count_examples(run)) for run in series])


def extent(values):
    """Mean, lowest and highest of whole numbers in words."""
    return f"{values.mean():.1f} ({values.min()} to {values.max()})"


@dataclass(frozen=True)
class Difference:
    """What the accuracy of one series has over another's, in points."""

    mean: float
    low: float  # the ends of the 95 % interval
    high: float
    p: float  # two-sided, of this comparison alone
    paired: bool
    test: str  # which, and over how many seeds, in words
    deviation: float  # standard deviation of one seed's difference


def measure_difference(found, name, base):
    """The Difference of two series in `found`, {name: [finished run, ...], ...}.

    None where nothing tells it from chance: one seed on either side, or no spread among the seeds.
    Raises RunError if the series were measured on different data.
    """
    differing = runs.find_differences(found[name][0], found[base][0])
    if images := {key: pair for key, pair in differing.items()
                  if key in ("evaluated_on", "train", "test", "validation")}:
        raise RunError(f"{name} and {base} cannot be compared, they differ in "
                       f"{runs.describe_differences(images)}")
    if min(len(found[name]), len(found[base])) < 2:
        return None
    a, b = ({run["seed"]: run for run in found[which]} for which in (name, base))
    paired = a.keys() == b.keys()
    # In images, which are whole numbers: equal runs have a spread of exactly 0.
    a, b = (error_counts([each[seed] for seed in sorted(each)]) for each in (a, b))
    test = f"paired, {len(a)} seeds" if paired else f"Welch, {len(a)} and {len(b)} seeds"
    # Fewer errors are more accuracy: base minus series.
    samples = [b - a] if paired else [b, a]
    deviation = np.sqrt(sum(sample.var(ddof=1) for sample in samples))
    if deviation == 0:
        return None
    mean, low, high, p = student(*samples)
    point = 100 / count_examples(found[base][0])  # one image, in points
    return Difference(mean * point, low * point, high * point, p, paired, test, deviation * point)


def student(sample, *other):
    """Student's t of the mean of a sample, or of its difference to the mean of another (Welch).

    Returns the mean or difference, the ends of its 95 % interval, and the two-sided p.
    """
    # scipy.stats has these tests too, but report.py would spend half a second on importing it.
    samples = sample, *other
    mean = sample.mean() - sum(each.mean() for each in other)
    squares = np.array([each.var(ddof=1) / len(each) for each in samples])  # of standard errors
    error = np.sqrt(squares.sum())
    # Welch and Satterthwaite; n - 1 where there is one sample.
    freedom = error**4 / sum(square**2 / (len(each) - 1)
                             for square, each in zip(squares, samples, strict=True))
    reach = stdtrit(freedom, 0.975) * error
    return mean, mean - reach, mean + reach, 2 * stdtr(freedom, -abs(mean) / error)


def correct(ps):
    """Holm's p values (1979): each corrected for the number of comparisons made together."""
    order = np.argsort(ps)
    steps = np.maximum.accumulate(np.array(ps)[order] * np.arange(len(ps), 0, -1))
    return np.minimum(steps, 1)[np.argsort(order)]


def seeds_to_decide(difference, comparisons):
    """The seeds a series that would decide 4 times in 5, were what was seen the truth; or None.

    The usual normal-theory estimate: both quantiles from Student's t, at the level that is left to
    the strictest of the `comparisons`.
    """
    n = np.arange(2, MANY + 1)
    freedom = (1 if difference.paired else 2) * (n - 1)
    needed = stdtrit(freedom, 1 - LEVEL / comparisons / 2) + stdtrit(freedom, 0.8)
    enough = abs(difference.mean) * np.sqrt(n) >= needed * difference.deviation
    return int(n[enough.argmax()]) if enough.any() else None


def judge_all(differences):
    """(verdict, how sure) of each Difference or None, corrected for their number, in words.

    The verdict is "better", "worse" or "undecided".
    """
    ps = [difference.p for difference in differences if difference]
    corrected = iter(correct(ps))
    return [judge(difference, next(corrected), len(ps)) if difference else
            ("undecided", "one seed, or seeds without spread, cannot tell it from chance")
            for difference in differences]


def judge(difference, p, comparisons):
    holm = f" (Holm, {comparisons} comparisons)" if comparisons > 1 else ""
    words = (f"{difference.mean:+.2f} points, 95 % interval {difference.low:+.2f} to "
             f"{difference.high:+.2f} ({difference.test}), p = {p:.2g}{holm}")
    if p < LEVEL:
        return "better" if difference.mean > 0 else "worse", words
    n = seeds_to_decide(difference, comparisons)
    more = f"about {n} seeds each would" if n else f"not even {MANY:,} seeds each would"
    return "undecided", f"{words}; {more} probably decide it"


def compare(found):
    """Every later series of `found` against the first, as text: accuracy, errors, verdict."""
    base, *others = found
    verdicts = judge_all([measure_difference(found, name, base) for name in others])
    lines = [summarise(base, found[base])]
    for name, (verdict, words) in zip(others, verdicts, strict=True):
        series = found[name]
        lines.append(summarise(name, series))
        differing = runs.find_differences(series[0], found[base][0])
        if recipe := {key: pair for key, pair in differing.items() if key != "probe"}:
            lines.append(f"  differs in {runs.describe_differences(recipe)}")
        elif differing:
            lines.append("  differs in the code")
        by_seed = {run["seed"]: run for run in found[base]}
        for run in series:
            if run["seed"] in by_seed:
                one, other = accuracies([run, by_seed[run["seed"]]])
                lines.append(f"  seed {run['seed']}: {one:.2f} and {other:.2f} %, "
                             f"{one - other:+.2f}")
        lines.append(f"  {relate(verdict, base)}: {words}")
    return "\n".join(lines)


def relate(verdict, base):
    return f"{verdict} {'against' if verdict == 'undecided' else 'than'} {base}"


def summarise(name, series):
    return (f"{name}: {spread(accuracies(series))} %, errors of {count_examples(series[0]):,}: "
            f"{extent(error_counts(series))}, {len(series)} seed(s)")


def find_plain(name, found):
    """The series that `name` is a variation of, by its name; None if it is not there.

    lenet-validate is it to lenet-lr0.05-validate: the same model and data, and fewer words.
    """
    def of(series):
        return [series[0][key] for key in ("model", "evaluated_on", "data")]

    words = set(name.split("-"))
    plainer = [other for other in found
               if set(other.split("-")) < words and of(found[other]) == of(found[name])]
    return min(plainer, key=len, default=None)


def overview(everything):
    """A table of every series that has a finished run, and the unfinished runs below it; text."""
    found = finished_series(everything)
    plain = {name: base for name in found if (base := find_plain(name, found))}
    differences = [measure_difference(found, name, base) for name, base in plain.items()]
    judged = dict(zip(plain, zip(differences, judge_all(differences), strict=True), strict=True))
    rows = [["series", "n", "accuracy, %", "errors, mean (min to max)", "epochs",
             "difference in points (95 % interval)"]] if found else []
    for name, series in found.items():
        against = ""
        if name in plain:
            difference, (verdict, _) = judged[name]
            against = relate(verdict, plain[name])
            if difference:
                against += (f": {difference.mean:+.2f} ({difference.low:+.2f} to "
                            f"{difference.high:+.2f}), {difference.test}")
        rows.append([name, str(len(series)), spread(accuracies(series)),
                     f"{extent(error_counts(series))} of {count_examples(series[0]):,}",
                     str(series[0]["recipe"]["epochs"]), against])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if sum(difference is not None for difference in differences) > 1:
        lines.append("The verdicts are corrected for their number (Holm), the intervals are not.")
    lines += [f"unfinished: {name}-seed{run['seed']}, {progress(run)}, "
              f"{100 * run['final']['test_accuracy']:.2f} %"
              for name, series in everything.items() for run in series if not run["complete"]]
    return "\n".join(lines)


def find_series(name, log_dir, defaults):
    """The finished runs of a series, given as its name or as folder/name. Raises RunError."""
    path = Path(name)
    folder = log_dir if path.name == name else path.parent
    found, complaints = read_all(folder, [path.name], defaults)
    if complaints:
        raise RunError(complaints[0])
    series = finished(found[path.name])
    if not series:
        states = ", ".join(f"seed {run['seed']}: {progress(run)}" for run in found[path.name])
        raise RunError(f"{folder}: {path.name} has no finished run ({states})")
    return series
