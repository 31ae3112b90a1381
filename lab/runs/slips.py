"""Which digits the nets of a series misread, and as what.

labels: int64 (N,), those of the images that the series was measured on. A net is a run of it.
"""

from collections import Counter

from lab.runs.series import fixed


def count_slips(series):
    """How often a net takes a digit for another, on average, the commonest first.

    Returns {(label, prediction): times}.
    """
    counts = Counter((label, prediction) for run in series
                     for _, label, prediction, _ in run["errors"])
    return {pair: count / len(series)
            for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def rate_digits(series, labels):
    """The accuracy on each digit that is there, the mean over the nets: {digit: percent}."""
    slips = count_slips(series)
    return {digit: 100 - 100 * sum(times for (label, _), times in slips.items() if label == digit)
            / count for digit, count in sorted(Counter(labels.tolist()).items())}


def name_slips(series, most):
    """The commonest slips, at most so many, and how often a net makes them: "9 as 4 (3.2), ..."."""
    return ", ".join(f"{label} as {other} ({fixed(times, '.1f')})"
                     for (label, other), times in [*count_slips(series).items()][:most])


def describe(series, labels):
    """Tells the accuracy on each digit, and the commonest slips, as lines of text."""
    slips, counts = count_slips(series), Counter(labels.tolist())
    lines = ["  digit  images  right, %  most often read as (times a net)"]
    for digit, rate in rate_digits(series, labels).items():
        read_as = ", ".join([f"{other} ({fixed(times, '.1f')})" for (label, other), times
                             in slips.items() if label == digit][:3])
        lines.append(f"  {digit:5}  {counts[digit]:6,}  {fixed(rate):>8}  {read_as}".rstrip())
    return [*lines, f"The commonest slips of a net: {name_slips(series, 5) or 'none'}"]
