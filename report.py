"""Statistics over runs: fills the README's result tables, or compares two series of runs.

    python report.py                            rewrites the README's tables from logs/report/
    python report.py lenet lenet-lr0.05         is there a difference? (runs in logs/)
    python report.py lenet other_logs/lenet     a series in another folder
    python report.py lenet lenet_reg --log-dir logs/report

A series is all runs of one name, a run a seed. Differences are paired: seed by seed, since runs of
one seed share the initial weights (where the nets are alike) and the order of the images.
"""

import argparse
import math
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import model
import runs
from main import RECIPES
from runs import RunError

HERE = Path(__file__).parent
README, REPORT = HERE / "README.md", HERE / "logs" / "report"
ABLATION = ("lenet", "lenet_dropout", "lenet_decay", "lenet_augment", "lenet_reg", "lenet_heavy",
            "lenet_record")
# Test images whose given label fewer than 3 of 5 reviewers kept: Northcutt, Athalye and Mueller
# 2021, "Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks".
DOUBTFUL_LABELS = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527,
                   9679, 9729)


def t_quantile(freedom):
    """The 97.5 % quantile of Student's t with `freedom` degrees: 12.71 for 1, 1.96 for many."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    x = np.linspace(0, 20, 200_001)
    density = scale / math.sqrt(freedom * math.pi) * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    area = np.cumsum((density[1:] + density[:-1]) / 2 * (x[1] - x[0]))  # from 0, trapezoids
    return float(np.interp(0.475, area, x[1:]))


def paired_difference(a, b):
    """Mean of a - b over paired samples, and the ends of its 95 % t interval (needs n >= 2)."""
    difference = np.asarray(a) - np.asarray(b)
    mean = difference.mean()
    half = t_quantile(len(difference) - 1) * difference.std(ddof=1) / math.sqrt(len(difference))
    return mean, mean - half, mean + half


def mcnemar(errors_a, errors_b):
    """McNemar's exact test on the images that two nets misread (two sets of indices).

    Returns how many only the first misreads, how many only the second, and the two-sided p: the
    chance of so uneven a split, or a more uneven one, were each of those images a coin toss.
    """
    only_a, only_b = len(errors_a - errors_b), len(errors_b - errors_a)
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return only_a, only_b, min(1.0, 2 * tail / 2**n)


def wilson(fraction, n):
    """Wilson's 95 % interval for a probability that was seen as `fraction` of n trials."""
    z = 1.959964
    centre = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(fraction * (1 - fraction) / n + (z / (2 * n)) ** 2)
    return centre - half, centre + half


def accuracies(series):
    """Last epoch's accuracy of each run, in percent."""
    return np.array([100 * run["final"]["test_accuracy"] for run in series])


def examples(run):
    """How many images a run was measured on (of the training images, a sixth is held out)."""
    size = run["data"][run["evaluated_on"]]["size"]
    return size // 6 if run["evaluated_on"] == "validation" else size


def error_counts(series):
    """Last epoch's misread images of each run."""
    return [runs.count_errors(run["final"], examples(run)) for run in series]


def spread(values, digits=2):
    """Mean ± standard deviation (n - 1) in words."""
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}"


def pair_up(series_a, series_b):
    """The runs of two series that share their seeds, in order, as two lists.

    Raises RunError if there are none, or if they were measured on different data.
    """
    a, b = ({run["seed"]: run for run in series} for series in (series_a, series_b))
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise RunError(f"no seed in common: {sorted(a)} and {sorted(b)}")
    for key in ("evaluated_on", "data"):
        one, other = a[seeds[0]][key], b[seeds[0]][key]
        if one != other:
            difference = runs.describe_difference(one, other)
            raise RunError(f"not comparable, {key} differs: {difference}")
    return [a[seed] for seed in seeds], [b[seed] for seed in seeds]


def judge(name_a, name_b, series_a, series_b):
    """One sentence: which series is better, by how much, and how sure that is."""
    a, b = (accuracies(series) for series in pair_up(series_a, series_b))
    n = len(a)
    if n == 1:
        return (f"{name_a} {a[0]:.2f} %, {name_b} {b[0]:.2f} %: one seed cannot tell a difference "
                "from chance.")
    mean, low, high = paired_difference(a, b)
    interval = f"95 % interval {low:+.2f} to {high:+.2f} points, {n} seeds"
    if low <= 0 <= high:
        return (f"No difference between {name_a} and {name_b} that {n} seeds could show "
                f"({mean:+.2f} points, {interval}).")
    better = "better" if mean > 0 else "worse"
    return f"{name_a} is {better} than {name_b} by {abs(mean):.2f} points ({interval})."


def compare(name_a, name_b, series_a, series_b):
    """Two series side by side, as text: accuracy, errors, paired difference and verdict."""
    a, b = pair_up(series_a, series_b)
    lines = []
    for name, chosen in ((name_a, a), (name_b, b)):
        errors = error_counts(chosen)
        lines.append(f"{name}: {spread(accuracies(chosen))} %, errors of {examples(chosen[0]):,}: "
                     f"{np.mean(errors):g} ({min(errors)} to {max(errors)}), {len(chosen)} seed(s)")
    if a[0]["recipe"] != b[0]["recipe"]:
        difference = runs.describe_difference(a[0]["recipe"], b[0]["recipe"])
        lines.append(f"recipes differ in {difference}")
    for run, one, other in zip(a, accuracies(a), accuracies(b), strict=True):
        lines.append(f"  seed {run['seed']}: {one:.2f} % and {other:.2f} %, {one - other:+.2f}")
    return "\n".join([*lines, judge(name_a, name_b, a, b)])


def table(header, rows):
    """Markdown; the first column is text, the others are set right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def results_table(series):
    rows = []
    for name, chosen in series.items():
        errors = error_counts(chosen)
        train = np.array([100 * run["final"]["train_accuracy"] for run in chosen])
        seconds = [row["seconds"] for run in chosen for row in run["history"]]
        rows.append([f"`{name}`", f"{chosen[0]['parameters']:,}",
                     f"**{spread(accuracies(chosen))}** ({len(chosen)})",
                     f"{np.mean(errors):.1f} ({min(errors)} to {max(errors)})",
                     f"{train.mean():.2f}", f"{np.median(seconds):.1f}"])
    return table(["model", "parameters", "accuracy, %, mean ± std (n)",
                  "errors of 10,000, mean (min to max)", "train accuracy, %",
                  "seconds an epoch"], rows)


def ablation_table(series):
    rows, unsupported = [["`lenet`", spread(accuracies(series["lenet"])), "", "", ""]], []
    for name in ABLATION[1:]:
        if name not in series:
            continue
        pairs = pair_up(series[name], series["lenet"])
        a, b = map(accuracies, pairs)
        row = [f"`{name}`", spread(accuracies(series[name])), "", "", str(len(a))]
        if len(a) > 1:
            mean, low, high = paired_difference(a, b)
            row[2:4] = f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}"
        if len(a) == 1 or low <= 0 <= high:
            unsupported.append(judge(f"`{name}`", "`lenet`", *pairs))
        rows.append(row)
    text = table(["model", "accuracy, %", "paired difference to `lenet`, points",
                  "95 % interval", "n"], rows)
    return "\n".join([text, "", *(f"- {sentence}" for sentence in unsupported)]).rstrip()


def misread(run):
    return {index for index, *_ in run["errors"]}


def paired_tests(series):
    """LeNet-5 against the MLP, and regularised against plain: the images of seed 0, all seeds."""
    lines = []
    for one, other in (("lenet", "mlp"), ("lenet_reg", "lenet")):
        a, b = pair_up(series[one], series[other])
        only_a, only_b, p = mcnemar(misread(a[0]), misread(b[0]))
        lines.append(
            f"- `{one}` against `{other}`, the nets of seed {a[0]['seed']}: `{one}` alone misreads "
            f"{only_a} images, `{other}` alone {only_b}; McNemar's exact p = {p:.2g}. "
            f"Over the seeds: {judge(f'`{one}`', f'`{other}`', a, b)}")
    return "\n".join(lines)


def sampling_error(series):
    name = "lenet_record" if "lenet_record" in series else "lenet_reg"
    fraction = accuracies(series[name]).mean() / 100
    low, high = wilson(fraction, 10_000)
    sets = [misread(run) for run in series[name]]
    found = len(sets[0] & set(DOUBTFUL_LABELS))
    times = Counter(index for each in sets for index in each)
    by_most = {index for index, count in times.items() if 2 * count > len(sets)}
    return (
        f"The test set is a sample too: {100 * fraction:.2f} % of 10,000 images (`{name}`) leave a "
        f"95 % interval (Wilson) of {100 * low:.2f} to {100 * high:.2f} % for digits of the same "
        f"kind. {len(DOUBTFUL_LABELS)} of its labels are doubtful (fewer than 3 of 5 reviewers kept"
        f" them: Northcutt et al. 2021), so a net that reads as those reviewers do scores about "
        f"{100 - len(DOUBTFUL_LABELS) / 100:.2f} %, and what lies above that is no merit. Seed "
        f"{series[name][0]['seed']} of `{name}` misreads {found} of the {len(DOUBTFUL_LABELS)}. "
        f"{len(by_most)} images are misread by more than half of its {len(sets)} nets, "
        f"{len(by_most & set(DOUBTFUL_LABELS))} of the doubtful among them; {len(times)} by one or "
        "more.")


def parameter_tables():
    nets = (model.LeNet5(), model.CustomMLP(), model.LeNetWide(0.5), model.MLPWide(0.5))
    return "\n\n".join("\n".join(model.markdown_table(net)) for net in nets)


def validation_table(series):
    rows = [[f"`{name}`", f"{spread(accuracies(chosen))}", str(len(chosen))]
            for name, chosen in sorted(series.items())]
    return table(["run", "accuracy on the 10,000 held-out images, %", "n"], rows)


def cost(series, held_out):
    """What the runs took: the seconds of all their epochs, training and evaluation."""
    counted = []
    for chosen in (series, held_out):
        all_runs = [run for each in chosen.values() for run in each]
        seconds = sum(row["seconds"] for run in all_runs for row in run["history"])
        counted.append(f"{len(all_runs)} runs, {seconds / 3600:.1f} hours")
    return f"By their logs: on the test set {counted[0]}; on held-out images {counted[1]}."


def example(series):
    """What `python report.py` prints for the README's example."""
    names = "mlp-validate", "mlp-lr0.1-validate"
    return f"```\n{compare(*names, *(series[name] for name in names))}\n```"


def fill(text, blocks):
    """`text` with all between `<!-- name -->` and `<!-- /name -->` replaced, for each block."""
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text,
                              flags=re.DOTALL)
        if count != 1:
            raise RunError(f"README.md: needs one pair of markers <!-- {name} -->, has {count}")
    return text


def render(text, log_dir=REPORT):
    """The README's text with every table made anew from the logs in `log_dir`."""
    series = runs.read_series(log_dir)
    series = {name: series[name] for name in RECIPES if name in series}
    held_out = runs.read_series(log_dir / "validation")
    return fill(text, {
        "example": example(held_out),
        "parameters": parameter_tables(),
        "results": results_table(series),
        "ablation": ablation_table(series),
        "tests": paired_tests(series),
        "sampling": sampling_error(series),
        "validation": validation_table(held_out),
        "cost": cost(series, held_out),
    })


def find_series(name, log_dir):
    """A series by name, or by folder/name."""
    folder = Path(name).parent if "/" in name else log_dir
    series = runs.read_series(folder)
    if Path(name).name not in series:
        raise RunError(f"{folder}: no series {Path(name).name}; there are {', '.join(series)}")
    return series[Path(name).name]


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="report.py", description=__doc__.split("\n\n")[0], allow_abbrev=False,
        epilog="without names: rewrites the tables of README.md from logs/report/")
    parser.error = lambda message: parser.exit(2, f"report.py: error: {message}\n")
    parser.add_argument("names", nargs="*", metavar="NAME", help="two series to compare")
    parser.add_argument("--log-dir", type=Path, default="logs", metavar="DIR", help="default: logs")
    try:
        args = parser.parse_args(argv)
        if len(args.names) not in (0, 2):
            parser.error(f"{len(args.names)} name(s): give two series to compare, or none")
        if args.names:
            pair = [find_series(name, args.log_dir) for name in args.names]
            print(compare(*args.names, *pair))
        else:
            runs.write_atomically(README, render(README.read_text("utf-8")).encode())
            print(f"{README.name}: tables made from {REPORT.relative_to(HERE)}")
    except SystemExit as stop:
        return stop.code
    except RunError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
