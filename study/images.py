"""What the misread images tell: how sure the results are, beside what the seeds say of it.

Seeds tell how much a result varies with the random numbers of training. That the test set is only a
sample of all digits, and has wrong labels, only its images can tell. `series` is always
{name: [finished run, ...]}.
"""

from collections import Counter

import numpy as np
from scipy import stats

from lab.figures.pictures import DOUBTFUL_LABELS
from lab.files import RunError
from lab.runs import compare
from lab.runs.series import accuracies, count_examples, fixed
from study.tables import judge, table

SOURCES = (("lenet", "mlp"), ("lenet_reg", "lenet"), ("lenet_record", "lenet_reg"),
           ("modern", "lenet_record"))


def misread(run):
    """The indices of the images that a net misreads: a set."""
    return {index for index, *_ in run["errors"]}


def mcnemar(errors_a, errors_b):
    """McNemar's exact test (1947) of the images that two nets misread, given as sets of indices.

    Returns how many only the first misreads, how many only the second, and the two-sided p: the
    probability of a split at least as uneven if each of those images were a coin toss.
    """
    only_a, only_b = len(errors_a - errors_b), len(errors_b - errors_a)
    n = only_a + only_b
    return only_a, only_b, stats.binomtest(only_a, n).pvalue if n else 1.0


def share_misread(runs):
    """The share of the nets of a series that misread each image: float (images,)."""
    counts = Counter(index for run in runs for index in misread(run))
    return np.array([counts[index] for index in range(count_examples(runs[0]))]) / len(runs)


def reach_over_images(series, one, other):
    """Half the 95 % interval of the difference of two series over the images, in points.

    Of each image, the difference is that of the shares of nets that misread it. Their mean is the
    difference of the mean accuracies; this is 1.96 times its standard error over the images.
    """
    differences = share_misread(series[one]) - share_misread(series[other])
    return 100 * stats.norm.ppf(0.975) * stats.sem(differences)


def paired_tests(series):
    """Compares LeNet-5 with the MLP and with its regularised form, by images and by seeds."""
    pairs, lines = SOURCES[:2], []
    for (one, other), (verdict, words) in zip(pairs, judge(series, pairs), strict=True):
        a, b = ({run["seed"]: misread(run) for run in series[name]} for name in (one, other))
        if not (seeds := a.keys() & b.keys()):
            raise RunError(f"{one} and {other} have no seed in common")
        only_a, only_b, ps = zip(*(mcnemar(a[seed], b[seed]) for seed in seeds), strict=True)
        lines += [
            f"- `{one}` is {compare.relate(verdict, f'`{other}`')}, over the seeds: {words}.",
            f"- Of two nets of one seed, `{one}` alone misreads {min(only_a)} to {max(only_a)} "
            f"images, and `{other}` alone {min(only_b)} to {max(only_b)}. Over the {len(seeds)} "
            f"seeds, p is {min(ps):.2g} to {max(ps):.2g} (McNemar's exact test)."]
    return "\n".join(lines)


def sources_table(series):
    """Tabulates how sure some differences are, over the seeds and over the images."""
    rows = []
    for one, other in SOURCES:
        if one in series and (found := compare.measure_difference(series, one, other)):
            reach = reach_over_images(series, one, other)
            rows.append([f"`{one}` less `{other}`", fixed(found.mean, "+.3f"), *(
                f"± {fixed(each, '.3f')}" for each in ((found.high - found.low) / 2, reach))])
    return table(["points", "difference", "over the seeds", "over the images"], rows) + (
        "\n\nHalf of the 95 % interval: over the seeds, for other runs on these test images; over "
        "the images, for these runs on other test images.")


def sampling_error(series):
    """Tells how much chance and doubtful labels there are in the result of the best net."""
    name = max(series, key=lambda name: accuracies(series[name]).mean())
    accuracy = accuracies(series[name]).mean()
    ends = stats.binomtest(round(100 * accuracy), 10_000).proportion_ci(method="wilson")
    doubtful, shares = list(DOUBTFUL_LABELS), share_misread(series[name])
    found = len(misread(series[name][0]) & set(doubtful))
    by_most = shares > 0.5
    return (
        f"- The best net (`{name}`) reads {fixed(accuracy)} % of the 10,000 test images right. For "
        f"all digits of this kind, that leaves {100 * ends.low:.2f} to {100 * ends.high:.2f} % "
        "(95 % interval, Wilson). The doubt is larger than that: each writer wrote many digits.\n"
        f"- At least {len(doubtful)} labels of the test set are doubtful: fewer than 3 of 5 "
        "reviewers kept them (Northcutt et al. 2021). Who reads as those reviewers do scores about "
        f"{100 - len(doubtful) / 100:.2f} %; more than that is no merit.\n"
        f"- Seed {series[name][0]['seed']} of `{name}` misreads {found} of these "
        f"{len(doubtful)}.\n"
        f"- {by_most.sum()} images are misread by more than half of its {len(series[name])} nets, "
        f"{by_most[doubtful].sum()} of the doubtful among them; {np.count_nonzero(shares)} by one "
        "or more.")
