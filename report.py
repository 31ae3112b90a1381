"""Tables of runs: an overview of a folder, series against each other, and the README's blocks.

    python report.py                        every series in logs/, and what differs from what
    python report.py lenet lenet-lr0.05     is there a difference? Each later one against the first
    python report.py lenet other/lenet      a series in another folder
    python report.py --log-dir logs/report  another folder than logs/
    python report.py --readme               fills the README's tables from logs/report/

How differences are measured is said in compare.py.
"""

import sys
from pathlib import Path

from lab import command, compare
from lab.command import RunError, write_atomically
from study.__main__ import HERE, README, REPORT, render


def parse(argv):
    """The command line, checked; ends in SystemExit(2) where it cannot be, with one line."""
    parser = command.Parser("report.py", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="series: each later one is compared with the first; default: all")
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="default: logs")
    parser.add_argument("--readme", action="store_true",
                        help="fill the README's tables from logs/report")
    args = parser.parse_args(argv)
    if args.readme and (args.names or args.log_dir):
        parser.error("--readme takes all of logs/report: no names, no --log-dir")
    if len(args.names) == 1:
        parser.error(f"{args.names[0]} alone: give two series or more to compare, or none")
    if len(set(args.names)) < len(args.names):
        parser.error("a series cannot be compared with itself")
    args.log_dir = args.log_dir or Path("logs")
    return args


def execute(argv):
    """Does what a command line asks for; returns the exit status: 1 if anything was left out."""
    args, complaints = parse(argv), []
    if args.readme:
        write_atomically(README, render(README.read_text("utf-8")).encode())
        print(f"{README.name}: tables made from {REPORT.relative_to(HERE)}")
    elif args.names:
        print(compare.compare({name: compare.find_series(name, args.log_dir)
                               for name in args.names}))
    else:
        found, complaints = compare.read_all(args.log_dir)
        if found:
            print(compare.overview(found))
    for complaint in complaints:
        print(f"report.py: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.run("report.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
