"""Makes tables of your runs: all series of a folder, or some series compared with each other.

    python report.py                        every series in logs/, and which of them differ
    python report.py lenet lenet-lr0.05     compares each later series with the first
    python report.py lenet other/lenet      one of the series is in another folder
    python report.py --log-dir logs/report  reads another folder than logs/

lab/compare.py explains the statistics.
"""

import re
from pathlib import Path

from lab import command, compare
from lab.command import RunError
from lab.logs import count_examples, spread
from main import DEFAULTS


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


def overview(everything):
    """Tabulates every series that has a finished run, and lists the unfinished runs below, as text.

    everything: {name: [run, ...]}.
    """
    found = compare.finished_series(everything)
    plain = find_plain(found)
    differences = {name: compare.measure_difference(found, name, base)
                   for name, base in plain.items()}
    verdicts = dict(zip(plain, compare.judge_all(differences.values()), strict=True))
    rows = [["series", "n", "accuracy, %", "errors, mean (min to max)", "epochs",
             "difference in points (95 % interval)"]] if found else []
    for name, series in found.items():
        against = compare.relate(verdicts[name][0], plain[name]) if name in plain else ""
        if difference := differences.get(name):
            against += f": {difference.mean:+.2f} ({difference.interval}), {difference.test}"
        rows.append([name, str(len(series)), spread(compare.accuracies(series)),
                     f"{compare.extent(series)} of {count_examples(series[0]):,}",
                     str(series[0]["recipe"]["epochs"]), against])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if sum(map(bool, differences.values())) > 1:
        lines.append("The verdicts are corrected for their number (Holm), the intervals are not.")
    lines += [f"unfinished: {name}-seed{run['seed']}, {compare.progress(run)}, "
              f"{100 * run['final']['test_accuracy']:.2f} %"
              for name, series in everything.items() for run in series if not run["complete"]]
    return "\n".join(lines)


def parse(argv):
    """Parses and checks the command line; bad usage is one line and SystemExit(2)."""
    parser = command.Parser("report.py", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="series: each later one is compared with the first; default: all")
    parser.add_argument("--log-dir", type=command.path, default=Path("logs"), metavar="DIR",
                        help="default: logs")
    args = parser.parse_args(argv)
    if len(args.names) == 1:
        parser.error(f"{args.names[0]} alone: give two series or more to compare, or none")
    places = [compare.locate(name, args.log_dir) for name in args.names]
    if len({(folder.resolve(), name) for folder, name in places}) < len(places):
        parser.error(f"{' '.join(args.names)}: a series cannot be compared with itself")
    return args


def execute(argv):
    """Prints the table or the comparison. Yields a line for each series that is left out."""
    args = parse(argv)
    if args.names:
        print(compare.compare({name: compare.find_series(name, args.log_dir, DEFAULTS)
                               for name in args.names}))
    else:
        found, complaints = compare.read_all(args.log_dir, args.names, DEFAULTS)
        if found:
            print(overview(found))
        yield from complaints


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("report.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
