"""Makes tables of your runs: all series of a folder, or some series compared with each other.

    python report.py                        every series in logs/, and which of them differ
    python report.py lenet lenet-lr0.05     compares each later series with the first
    python report.py lenet other/lenet      one of the series is in another folder
    python report.py --log-dir logs/report  reads another folder than logs/

lab/compare.py explains the statistics.
"""

from pathlib import Path

from lab import command, compare
from lab.command import RunError
from main import DEFAULTS


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
    if len(set(args.names)) < len(args.names):
        parser.error("a series cannot be compared with itself")
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
            print(compare.overview(found))
        yield from complaints


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("report.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
