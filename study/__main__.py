"""Makes the report from logs/report/: the tables in README.md and docs/*.md, and img/report/.

    python -m study

Run it in the folder of the repository. It replaces what stands between `<!-- name -->` and
`<!-- /name -->` in the pages. The same logs and library versions give the same bytes.
"""

from lab.start import start

import re
from pathlib import Path

import plot
from dataset import DATA_DIR
from lab import command
from lab.files import RunError, write_atomically
from lab.runs.series import finished_series, read_all
from study import calibration, claims, figures, front, images, tables

LOGS, FIGURES = Path("logs/report"), Path("img/report")


def read_logs():
    """Reads the runs measured on the test set, those on held-out images, and the repeated ones.

    Returns a {name: [run, ...]} for each of the three. Raises RunError if a run cannot be read.
    """
    found = []
    for folder in (LOGS, LOGS / "validation", LOGS / "again"):
        series, complaints = read_all(folder, [])
        if complaints:
            raise RunError(complaints[0])
        found.append(series)
    return found


def read_pages():
    """Reads README.md and docs/*.md: {path: text}."""
    paths = [*Path().glob("README.md"), *sorted(Path().glob("docs/*.md"))]
    return {path: path.read_text("utf-8") for path in paths}


def fill(pages, blocks):
    """Puts each of `blocks` ({name: text}) between its markers in `pages` ({path: text}).

    Raises RunError if a block does not stand exactly once over all pages.
    """
    for name, block in blocks.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
        places = [str(path) for path, text in pages.items() for _ in pattern.findall(text)]
        if len(places) != 1:
            raise RunError(f"{', '.join(places) or 'README.md, docs/'}: the block <!-- {name} --> "
                           f"must stand exactly once, not {len(places)} times")
        whole = f"<!-- {name} -->\n{block}\n<!-- /{name} -->"
        pages = {path: pattern.sub(lambda _, whole=whole: whole, text)
                 for path, text in pages.items()}
    return pages


def find_shown(pages):
    """The names of the figures that `pages` ({path: text}) show: a set."""
    return {*re.findall(rf"{FIGURES.as_posix()}/([\w.-]+)", "".join(pages.values()))}


def make_blocks(series, held_out, again):
    """Makes every table and paragraph that the pages take from the logs: {name: Markdown}.

    Each argument is {name: [finished run, ...]}: of runs measured on the test set, of runs measured
    on held-out images, and of runs that repeat some of `series`.
    Raises RunError if one that cannot be done without is missing, or if a claim does not hold.
    """
    runs = {**series, **held_out}
    if missing := ", ".join(sorted({*claims.NEEDED, *again} - runs.keys())):
        raise RunError(f"{LOGS}: no finished run of {missing}, which the report needs")
    claims.check_claims(runs)
    tuned = tables.find_tuned(held_out)
    return {
        "nets": front.nets_table(series),
        "last_line": front.last_line(series),
        "outcome": front.outcome(runs),
        "arithmetic": front.arithmetic(),
        "comparison": front.comparison(series),
        "digits": front.digits(series),
        "regularisation": front.regularisation(series),
        "limit": front.limit(series),
        "limit_evidence": front.limit_evidence(series),
        "dropout": front.dropout(runs),
        "dropout_evidence": front.dropout_evidence(runs),
        "example": front.example(runs),
        "results": tables.results_table(series),
        "published": tables.published_table(series),
        "small": tables.small_nets_table(series),
        "road": tables.road_table(series),
        "ablation": tables.ablation_table(series),
        "effects": tables.effects_table(series),
        "overfitting": calibration.overfitting(series),
        "calibration": calibration.calibration_table(series, again),
        "robustness": tables.robustness_table(series, again),
        "tests": images.paired_tests(series),
        "sources": images.sources_table(series),
        "sampling": images.sampling_error(series),
        "tuning": tables.tuning_table(held_out),
        "validation": tables.held_out_table({
            name: runs for name, runs in held_out.items() if name not in tuned}),
        "cost": tables.cost(series, held_out),
    }


def execute(argv):
    """Fills the pages and draws the figures that they show.

    Yields a line for each reason to leave one out, and for each picture that is missing or that no
    page shows. It deletes none.
    """
    command.Parser("study", __doc__).parse_args(argv)
    everything, held_out, again = read_logs()
    finished = finished_series(everything)
    blocks = make_blocks(finished, *map(finished_series, (held_out, again)))
    pages = fill(read_pages(), blocks)
    for path, text in pages.items():
        write_atomically(path, text.encode())
        print(path)
    shown = find_shown(pages)
    listed = [*plot.list_figures(everything, [LOGS], DATA_DIR), *figures.list_figures(finished)]
    yield from plot.draw_all([(name, draw) for name, draw in listed if name in shown], FIGURES)
    there = {path.name for path in FIGURES.iterdir()}
    for names, words in ((there - shown, "no page shows"),
                         (shown - there, "the pages show, but there is no")):
        if names:
            yield f"{FIGURES}: {words} {', '.join(sorted(names))}"


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.exit_status("study", execute, argv, RunError)


if __name__ == "__main__":
    start(main)
