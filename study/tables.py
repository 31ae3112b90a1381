"""The tables and paragraphs of this repository's own report, as Markdown.

`series` is always {name: [finished run, ...]}, the runs in logs/report/.
"""

import math

import numpy as np

from lab.runs import compare
from lab.runs.identity import find_differences
from lab.runs.series import accuracies, extent, fixed, spread
from lab.runs.titles import TITLES
from main import RECIPES
from study import effects

ABLATION = (*effects.NETS.values(), "lenet_heavy", "lenet_record")
# From LeNet-5 as published to the best that this net reaches. Each step adds to the one before.
ROAD = {
    "lenet_1998": "as published", "lenet_1998_linear": "linear output; with it, today's rate",
    "lenet_1998_dense": "every map of C3 reads all six", "lenet_1998_max": "maximum pooling",
    "lenet_1998_relu": "ReLU, and PyTorch's initial weights", "lenet": "30 epochs instead of 20",
    "lenet_reg": "dropout, weight decay, augmentation",
    "lenet_record": "120 epochs, thickened, without dropout",
}
# Test errors of LeNet-5 in percent: LeCun et al. 1998, figure 9, where each is ± 0.1.
PUBLISHED = {"lenet_1998": ("60,000 images", 0.95),
             "lenet_1998-augment": ("distorted images too", 0.8)}
PUBLISHED_WITHIN = 0.1
SMALL = (  # published nets: parameters, test error in percent, source
    ("LeNet-1", 2_600, "1.7", "LeCun et al. 1998, III.C"),
    ("LeNet-4", 17_000, "1.1", "LeCun et al. 1998, III.C"),
    ("three LeNet-4, boosted, distorted images", 51_000, "0.7", "LeCun et al. 1998, III.C"),
    ("LeNet-5", 60_000, "0.95", "LeCun et al. 1998, III.B"),
    ("LeNet-5, distorted images", 60_000, "0.8", "LeCun et al. 1998, III.B"),
    ("two convolutions, elastic distortions", 132_540, "0.4", "Simard et al. 2003"),
)
SMALL_OURS = ("lenet_1998", "lenet", "lenet_record", "modern")


def table(header, rows):
    """Makes a Markdown table. The first column is aligned left, the others right.

    No line is broken beside a ±.
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = ["| " + " | ".join(row) + " |" for row in [header, rule, *rows]]
    return "\n".join(lines).replace(" ± ", "&nbsp;±&nbsp;")


def count_seeds(series):
    """How many seeds each series has, in words: "10", or "2 to 10"."""
    counts = [len(runs) for runs in series.values()]
    return f"{min(counts)}" + f" to {max(counts)}" * (min(counts) < max(counts))


def label(name):
    """The words for a series and its name, as Markdown; its name alone if it has no words."""
    return f"{TITLES[name]} (`{name}`)" if name in TITLES else f"`{name}`"


def judge(series, pairs):
    """Judges the first series of each pair against the second, as `compare.judge_all` does."""
    return compare.judge_all([compare.measure_difference(series, *pair) for pair in pairs])


def results_table(series):
    """Tabulates all series: by model in the order of RECIPES (others last), then by name."""
    rows = []
    for name, chosen in sorted(series.items(), key=lambda item: (
            [*RECIPES, item[1][0]["model"]].index(item[1][0]["model"]), item[0])):
        train = 100 * np.mean([run["final"]["train_accuracy"] for run in chosen])
        rows.append([f"{label(name)}: {chosen[0]['parameters']:,}",
                     f"**{spread(accuracies(chosen))}**",
                     extent(chosen), fixed(train)])
    return table(["net: parameters", "accu&shy;racy, %", "errors (min to max)",
                  "train accu&shy;racy, %"], rows) + f"\n\nOver {count_seeds(series)} seeds each."


def difference_table(series, pairs, header, describe):
    """Tabulates differences: how large, the verdict, and the p of each that is undecided.

    pairs: (name, base) for each row; the base of the first row is None.
    header: the titles of the first columns. describe(name): their cells.
    """
    (first, _), *others = pairs
    differences = [compare.measure_difference(series, *pair) for pair in others]
    judged = compare.judge_all(differences)
    ps = iter(compare.correct([difference.p for difference in differences if difference]))
    rows = [[*describe(first), ""]]
    tests = {difference.test for difference in differences if difference}
    for (name, _), difference, (verdict, _) in zip(others, differences, judged, strict=True):
        cell = verdict
        if difference:
            cell = (f"{fixed(difference.mean, '+.2f')} ({difference.interval}"
                    + f"; {difference.test}" * (len(tests) > 1) + f"): {verdict}"
                    + f" (p&nbsp;=&nbsp;{next(ps):.2g})" * (verdict == "undecided"))
        rows.append([*describe(name), cell])
    text = table([*header, "gain in points (95 % interval)"], rows)
    test = f"Each gain: {tests.pop()}. " if len(tests) == 1 else ""
    compared = sum(map(bool, differences))
    return f"{text}\n\n{test}Each p is corrected for {compared} comparisons (Holm)."


def ablation_table(series):
    """Compares each regularised LeNet-5 with the plain one."""
    base, *others = (name for name in ABLATION if name in series)
    return difference_table(
        series, [(base, None), *((name, base) for name in others)],
        ["net", "accu&shy;racy, %"],
        lambda name: (label(name), spread(accuracies(series[name]))))


def effects_table(series):
    """Answers every question of effects.py, in accuracy and in test loss."""
    answers = effects.answer(series)
    if not answers:
        return "(needs two seeds of each of the eight nets)"
    header, columns = ["effect"], []
    for (measure, (unit, *_)), digits in zip(effects.MEASURES.items(), (2, 4), strict=True):
        header += [f"{measure}, {unit} (95 % interval)", "p"]
        columns.append([describe_effect(effect, digits) for effect in answers[measure]])
    rows = [[effect.question, *one, *other]
            for effect, one, other in zip(answers["accuracy"], *columns, strict=True)]
    dropout = answers["accuracy"][0]
    loss = np.log(effects.gather(series, "test loss"))
    weights = effects.list_questions()[" x ".join(effects.PARTS)]
    *_, p = compare.t_test(np.tensordot(weights, loss, 3))
    words = (
        f"Over {loss.shape[-1]} seeds. Each p is corrected for all "
        f"{sum(map(len, answers.values()))} answers (Holm 1979), the intervals are not; bold: "
        "beyond chance. What is said of an interaction holds for points and nats: in the logarithm "
        f"of the test loss, that of all three has a p of {p:.2g}, uncorrected.")
    if dropout.low < dropout.high:
        most = math.ceil(1000 * max(abs(dropout.low), abs(dropout.high))) / 1000  # a bound
        words += (" By its interval, any effect of dropout on accuracy, on average, is below "
                  f"{most:.3f} points.")
    return f"{table(header, rows)}\n\n{words}"


def describe_effect(effect, digits):
    """Two cells of a table: how large an effect is, and its p. Neither is broken."""
    interval = (f"{fixed(effect.low, f'+.{digits}f')} to {fixed(effect.high, f'+.{digits}f')}"
                if effect.low < effect.high else "same in every seed")
    size = f"{fixed(effect.mean, f'+.{digits}f')} ({interval})".replace(" ", "&nbsp;")
    p = f"{effect.p:.2g}" if effect.p >= 0.001 else "&lt;&nbsp;0.001"
    return size, p if effect.verdict == "undecided" else f"**{p}**"


def robustness_table(series, again):
    """Compares runs that should be equal: repeated on another machine, or trained in bfloat16."""
    def content(members):
        return [([{**row, "seconds": None} for row in run["history"]], run["errors"])
                for run in members]

    pairs = {}
    for name, members in again.items():
        seeds = [run["seed"] for run in members]
        pairs[f"`{name}` once more, {members[0]['environment']['cpu']}"] = (
            members, [run for run in series[name] if run["seed"] in seeds])
    if "lenet_reg-bf16" in series:
        pairs["`lenet_reg-bf16`, with bfloat16"] = series["lenet_reg-bf16"], series["lenet_reg"]
    judged = compare.judge_all([compare.measure_difference(
        {"ours": ours, "theirs": theirs}, "ours", "theirs") for ours, theirs in pairs.values()])
    rows, lines = [], []
    for (words, pair), (verdict, numbers) in zip(pairs.items(), judged, strict=True):
        same = content(pair[0]) == content(pair[1])
        rows.append([words, "equal in every digit of every epoch" if same else verdict,
                     str(len(pair[0])), *(spread(accuracies(each)) for each in pair)])
        lines += [] if same else [f"- {words}: {verdict}, {numbers}."]
    return "\n".join([table(["runs", "verdict", "n", "accu&shy;racy, %", "before"], rows), "",
                      *lines]).rstrip()


def road_table(series):
    """Compares each step from LeNet-5 as published to the best with the step before."""
    names = [name for name in ROAD if name in series]
    return difference_table(
        series, list(zip(names, [None, *names[:-1]], strict=True)),
        ["net: what changes", "accu&shy;racy, %"],
        lambda name: (f"`{name}`: {ROAD[name]}", f"**{spread(accuracies(series[name]))}**"))


def published_table(series):
    """Compares our test errors with the published ones, as rounded to what the table shows."""
    rows = []
    for name, (images, published) in PUBLISHED.items():
        if name in series:
            ours = 100 - accuracies(series[name])
            gaps = np.round([ours.mean() - published, *ours - published], 2)
            inside = abs(gaps) <= PUBLISHED_WITHIN
            words = "inside" if inside[0] else (
                f"outside, {abs(gaps[0]):.2f} points {'worse' if gaps[0] > 0 else 'better'}")
            rows.append([f"{images} (`{name}`)", f"{published:.2f} ± {PUBLISHED_WITHIN:.2f}",
                         f"**{spread(ours)}**", extent(series[name]),
                         f"{words}; {inside[1:].sum()} of {len(ours)} seeds are inside"])
    return table(["test error, %, trained on", "the paper", "here", "errors (min to max)",
                  "our mean is"], rows)


def held_out_table(series):
    """Tabulates the runs measured on held-out images. A reader unfolds it."""
    rows = [[f"`{name}`", spread(accuracies(chosen)), str(len(chosen))]
            for name, chosen in series.items()]
    return ("<details>\n<summary>The accuracy of every series</summary>\n\n"
            f"{table(['series', 'accuracy, %', 'seeds'], rows)}\n\n</details>")


def small_nets_table(series):
    """Tabulates small nets, the published ones and ours, by their parameters."""
    ours = [(label(name), series[name][0]["parameters"],
             f"**{spread(100 - accuracies(series[name]))}**", "here")
            for name in SMALL_OURS if name in series]
    return table(["net", "parameters", "test error, %", "source"], [
        [net, f"{count:,}", error, source]
        for net, count, error, source in sorted([*SMALL, *ours], key=lambda row: row[1])])


def find_tuned(series):
    """The series of `lenet` on held-out images that differ in rate and epochs alone."""
    base = series["lenet-validate"][0]
    return {name: runs for name, runs in series.items() if runs[0]["model"] == "lenet"
            and find_differences(runs[0], base).keys() <= {"lr", "epochs"}}


def tuning_table(held_out):
    """Tabulates the accuracy of `lenet` on held-out images by rate and epochs."""
    found = {(runs[0]["recipe"]["lr"], runs[0]["recipe"]["epochs"]): spread(accuracies(runs))
             for runs in find_tuned(held_out).values()}
    columns = sorted({epochs for _, epochs in found})
    return table(["lr \\ epochs", *map(str, columns)], [
        [str(rate), *(found.get((rate, epochs), "") for epochs in columns)]
        for rate in sorted({rate for rate, _ in found})])


def cost(series, held_out):
    """Adds up the time of all runs: the seconds of their epochs, training and evaluation."""
    counted = []
    for chosen in (series, held_out):
        all_runs = [run for each in chosen.values() for run in each]
        seconds = sum(row["seconds"] for run in all_runs for row in run["history"])
        counted.append(f"{len(all_runs)} runs, {seconds / 3600:.1f} hours")
    return f"By their logs: on the test set {counted[0]}; on held-out images {counted[1]}."
