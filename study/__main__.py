"""Fills the README's blocks from logs/report/."""

import re
from pathlib import Path

from lab import compare
from lab.command import RunError
from lab.compare import finished
from study.tables import (
    ablation_table,
    calibration_table,
    cost,
    effects_table,
    paired_tests,
    parameter_tables,
    published_table,
    results_table,
    road_table,
    robustness_table,
    sampling_error,
    seeds_table,
)

HERE = Path(__file__).parent.parent
README, REPORT = HERE / "README.md", HERE / "logs" / "report"
EXAMPLE = ("mlp-validate", "mlp-lr0.1-validate")  # the README compares these


def fill(text, blocks):
    """`text` with all between `<!-- name -->` and `<!-- /name -->` replaced, for each block."""
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text,
                              flags=re.DOTALL)
        if count != 1:
            raise RunError(f"README.md: needs one pair of markers <!-- {name} -->, has {count}")
    return text


def read_report(log_dir):
    """The finished runs of every series in a folder; raises RunError if any cannot be read."""
    found, complaints = compare.read_all(log_dir)
    if complaints:
        raise RunError(complaints[0])
    return {name: done for name, series in found.items() if (done := finished(series))}


def render(text, log_dir=REPORT):
    """The README's text with every table made anew from the logs in `log_dir`."""
    series, held_out, again = (read_report(log_dir / folder)
                               for folder in ("", "validation", "again"))
    example = compare.compare({name: held_out[name] for name in EXAMPLE})
    return fill(text, {
        "example": f"```\n{example}\n```",
        "parameters": parameter_tables(),
        "results": results_table(series),
        "published": published_table(series),
        "road": road_table(series),
        "ablation": ablation_table(series),
        "effects": effects_table(series),
        "calibration": calibration_table(series, again),
        "robustness": robustness_table(series, again),
        "tests": paired_tests(series),
        "sampling": sampling_error(series),
        "seeds": seeds_table(series),
        "validation": seeds_table(held_out),
        "cost": cost(series, held_out),
    })
