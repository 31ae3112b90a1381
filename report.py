"""Makes tables of your runs: all series of a folder, or one series by digit, or some compared.

    python report.py                        every series in logs/: how good, how trained
    python report.py lenet                  this series: which digits it misreads, and as what
    python report.py lenet lenet-lr0.05     compares each later series with the first
    python report.py lenet other/lenet      one of the series is in another folder
    python report.py --log-dir logs/report  reads another folder than logs/

lab/runs/compare.py explains the statistics.
"""

from lab.start import start

import re
import textwrap
from collections import Counter
from pathlib import Path

from dataset import DATA_DIR, DataError, Distortion
from lab import command
from lab.files import RunError
from lab.runs import compare, slips
from lab.runs.identity import describe_codes, describe_setting, find_differences
from lab.runs.measured import measured_images
from lab.runs.series import (
    accuracies,
    count_examples,
    extent,
    find_series,
    finished_series,
    fixed,
    locate,
    name_run,
    progress,
    read_all,
    spread,
)

SETTINGS_WIDTH = 60  # characters of the column that tells the settings of a series

def find_plain(found):
    """Finds for each series in `found` the one of which it is a variation, if any: {name: name}.

    For lenet-lr0.05-validate it is lenet-validate: it has the same model and data, and its name has
    the same parts but fewer.
    """
    # The minus in 1e-06 is no border. Split once: of a thousand names, each is compared with all.
    words = {name: frozenset(re.split(r"(?<!\de)-|-(?!\d)", name)) for name in found}
    plain = {}
    for name, ours in words.items():
        plainer = [other for other, theirs in words.items() if theirs < ours and all(
            found[other][0][key] == found[name][0][key]
            for key in ("model", "evaluated_on", "data"))]
        if plainer:
            plain[name] = min(plainer, key=len)
    return plain


def find_settings(found):
    """Finds the settings that tell the series in `found` apart: {name: {field: words}}.

    Every series has every setting in which two of them differ, such as "lr 0.05" or "no augment".
    Series that differ in nothing but the code have "code" there. The class of the net counts only
    where series of one model differ in it, since the name has the model.
    """
    runs = {name: series[0] for name, series in found.items()}
    first, *others = runs.values()
    differing = set().union(*(find_differences(run, first) for run in others))
    nets = {(run["model"], run["recipe"]["net"]) for run in runs.values()}
    if len(nets) == len({run["model"] for run in runs.values()}):
        differing.discard("net")
    fields = [field for field in dict.fromkeys(field for run in runs.values()
                                               for field in run["recipe"]) if field in differing]
    settings = {name: {field: describe_setting(field, run["recipe"].get(field)) for field in fields
                       if run["recipe"]["augment"] or field not in Distortion.bounds}
                for name, run in runs.items()}
    alike = {}
    for name, run in runs.items():
        what = settings[name], run["model"], run["evaluated_on"], run["data"]
        alike.setdefault(str(what), []).append(name)
    for base, *names in alike.values():
        if any(find_differences(runs[name], runs[base]) for name in names):
            for name in (base, *names):
                settings[name]["code"] = "code"
    return settings


def shorten(settings):
    """Leaves out what most series share, if one of the lists of `find_settings` is too long.

    Returns {name: words}, and a line that tells what was left out, or "".
    """
    usual = {}
    if any(len(", ".join(ours.values())) > SETTINGS_WIDTH for ours in settings.values()):
        fields = dict.fromkeys(field for ours in settings.values() for field in ours)
        usual = {field: Counter(ours[field] for ours in settings.values() if field in ours)
                 .most_common(1)[0][0] for field in fields if field != "code"}
    line = f"Unless a row tells others: {', '.join(usual.values())}." if usual else ""
    return {name: ", ".join(words for field, words in ours.items() if usual.get(field) != words)
            for name, ours in settings.items()}, line


def overview(everything):
    """Tabulates every series that has a finished run, and lists the unfinished runs below, as text.

    everything: {name: [run, ...]}.
    """
    found = finished_series(everything)
    plain = find_plain(found)
    differences = {name: compare.measure_difference(found, name, base)
                   for name, base in plain.items()}
    verdicts = dict(zip(plain, compare.judge_all(differences.values()), strict=True))
    settings, usual = shorten(find_settings(found)) if found else ({}, "")
    rows = [["series", "n", "accuracy, %", "errors, mean (min to max)", "settings that differ",
             "difference in points (95 % interval)"]] if found else []
    for name, series in found.items():
        against = compare.relate(verdicts[name][0], plain[name]) if name in plain else ""
        if difference := differences.get(name):
            against += (f": {fixed(difference.mean, '+.2f')} ({difference.interval}), "
                        f"{difference.test}")
        row = [name, str(len(series)), spread(accuracies(series)),
               f"{extent(series)} of {count_examples(series[0]):,}"]
        first, *others = textwrap.wrap(settings[name], SETTINGS_WIDTH) or [""]
        rows += [[*row, first, against], *([*[""] * len(row), line, ""] for line in others)]
    if not any(settings.values()):
        rows = [[*row[:4], row[5]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += [usual] if usual else []
    if sum(map(bool, differences.values())) > 1:
        lines.append("The verdicts are corrected for their number (Holm), the intervals are not.")
    lines += [f"{name}: trained by {codes}"
              for name, series in found.items() if (codes := describe_codes(series))]
    lines += [f"unfinished: {name_run(name, run['seed'])}, {progress(run)}, "
              f"{spread(accuracies([run]))} %"
              for name, series in everything.items() for run in series if not run["complete"]]
    return "\n".join(lines)


def parse(argv):
    """Parses and checks the command line; bad usage is one line and SystemExit(2)."""
    parser = command.Parser("report.py", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="series: each later one is compared with the first; default: all")
    parser.add_argument("--log-dir", type=command.path, default=Path("logs"), metavar="DIR",
                        help="default: logs")
    parser.add_argument("--data-dir", type=command.path, default=DATA_DIR, metavar="DIR",
                        help="the images that one series was measured on; default: MNIST, in data/")
    args = parser.parse_args(argv)
    places = [locate(name, args.log_dir) for name in args.names]
    if len({(folder.resolve(), name) for folder, name in places}) < len(places):
        parser.error(f"{' '.join(args.names)}: a series cannot be compared with itself")
    return args


def execute(argv):
    """Prints what is asked for. Yields a line for each series that is left out."""
    args = parse(argv)
    if len(args.names) == 1:
        series = find_series(args.names[0], args.log_dir)
        _, labels = measured_images(series[0], args.data_dir)
        print(compare.summarise(locate(args.names[0], args.log_dir)[1], series))
        print("\n".join(slips.describe(series, labels)))
    elif args.names:
        print(compare.compare({name: find_series(name, args.log_dir)
                               for name in args.names}))
    else:
        found, complaints = read_all(args.log_dir, args.names)
        if found:
            print(overview(found))
        yield from complaints


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("report.py", execute, argv, (DataError, RunError))


if __name__ == "__main__":
    start(main)
