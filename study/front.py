"""The tables and sentences of README.md, which answer in few words what docs/ tell in full.

`series` is always {name: [finished run, ...]}, as in study/tables.py.
"""

import textwrap

import model
from lab.runs import compare
from lab.runs.series import accuracies, error_counts, mean_errors, spread
from lab.training.jobs import describe
from study.tables import PUBLISHED, label, table

NETS = ("lenet", "mlp", "lenet_reg")
PARTS = {"lenet": "none", "lenet_dropout": "dropout", "lenet_decay": "weight decay",
         "lenet_augment": "augmentation", "lenet_reg": "all three together"}
NEEDS = "(needs lenet_reg with and without dropout, on the test set and on held-out images)"
WITH, WITHOUT = "lenet_reg", "lenet_reg-dropout0.0"
VERDICTS = {"better": "Better than none", "worse": "Worse than none",
            "undecided": "Too close to none to tell"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def count_seeds(*chosen):
    """How many seeds each of several series has, in words: "ten seeds", "two and 12 seeds"."""
    counts = sorted({len(runs) for runs in chosen})
    return join([NUMBERS[n] if n < len(NUMBERS) else str(n) for n in counts]) + " seeds"


def join(words):
    """Joins words: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def fence(text):
    """A block of Markdown with the lines of `text`, broken where they would be too long."""
    lines = [piece for line in text.splitlines() for piece in textwrap.wrap(
        line, 60, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4))]
    return "\n".join(["```", *lines, "```"])


def mean(runs):
    """The mean accuracy of a series in percent, as text."""
    return f"{accuracies(runs).mean():.2f}"


def nets_table(series):
    """Tabulates the three nets of the task."""
    rows = [[label(name), f"{series[name][0]['parameters']:,}",
             f"**{spread(accuracies(series[name]))}**", mean_errors(series[name])]
            for name in NETS]
    seeds = count_seeds(*(series[name] for name in NETS))
    return (f"{table(['net', 'para&shy;meters', 'accu&shy;racy, %', 'errors'], rows)}\n\n"
            f"Accuracy on the test images: mean ± standard deviation over {seeds}. Errors: misread "
            "images of 10,000, on average.")


def parameter_tables():
    """Tabulates the parameters of each layer of the main nets, as far as model.py has them."""
    nets = (("LeNet5", None), ("CustomMLP", None), ("LeNet1998", None), ("LeNetWide", 0.5),
            ("MLPWide", 0.5))
    return "\n\n".join("\n".join(model.markdown_table(model.make_net(vars(model)[net], dropout)))
                       for net, dropout in nets if net in vars(model))


def last_line(series):
    """Says what `python main.py --model lenet` ends with."""
    first = min(series["lenet"], key=lambda run: run["seed"])
    counts = error_counts(series["lenet"])
    return (f"After one to two minutes of training, you read `lenet-seed{first['seed']}: finished, "
            f"{describe([first])}`. Another machine rounds differently, and may end elsewhere: "
            f"{count_seeds(series['lenet'])} have {counts.min()} to {counts.max()} errors. Then "
            "`python plot.py` draws the curves and the errors into `img/`.")


def count_parameters(net):
    """How the parameters of each layer are counted, and their sum: {layer: text}."""
    cells = {}
    for name, layer in net.named_children():
        one = " x ".join(f"{size:,}" for size in layer.weight.shape[1:])
        count = sum(each.numel() for each in layer.parameters())
        cells[f"`{name}`"] = f"({one} + 1) x {len(layer.bias)} = {count:,}"
    return {**cells, "all": f"**{sum(each.numel() for each in net.parameters()):,}**"}


def arithmetic():
    """Tabulates how the parameters of LeNet-5 and the MLP are counted."""
    lenet, mlp = count_parameters(model.LeNet5()), count_parameters(model.CustomMLP())
    return table(["layer", "LeNet-5", "CustomMLP"],
                 [[layer, cell, mlp.get(layer, "")] for layer, cell in lenet.items()])


def comparison(series):
    """Compares LeNet-5 with the MLP, and both with LeCun et al. 1998."""
    ours, theirs = series["lenet"], series["mlp"]
    (verdict, _), = compare.judge_all([compare.measure_difference(series, "lenet", "mlp")])
    words = {"better": "LeNet-5: it", "worse": "The MLP: LeNet-5",
             "undecided": "Undecided: LeNet-5"}[verdict]
    text = (f"{words} reads {mean(ours)} % of the test images right, the MLP {mean(theirs)} %. "
            f"That is {mean_errors(ours)} errors against {mean_errors(theirs)}.")
    rows = [["LeNet-5 of today (`lenet`)", "", spread(accuracies(ours))],
            ["MLP: 300 hidden units there, 59 here (`mlp`)", "95.3", spread(accuracies(theirs))]]
    if "lenet_1998" in series:
        _, error = PUBLISHED["lenet_1998"]
        again = series["lenet_1998"]
        text += (f" LeCun et al. 1998 report {error:.2f} % test error for LeNet-5, which is "
                 f"{100 - error:.2f} % accuracy. Trained as published, it has {mean(again)} % "
                 "here.")
        rows.insert(0, ["LeNet-5 as published (`lenet_1998`)", f"{100 - error:.2f}",
                        spread(accuracies(again))])
    return f"{text}\n\n{table(['test accuracy, %', 'LeCun et al. 1998', 'here'], rows)}"


def regularisation(series):
    """Tabulates LeNet-5 plain, with each technique and with all, and says which of them help."""
    base, *others = (name for name in PARTS if name in series)
    differences = [compare.measure_difference(series, name, base) for name in others]
    verdicts = [verdict for verdict, _ in compare.judge_all(differences)]
    gains = ["", *(f"{difference.mean:+.2f}" if difference else "" for difference in differences)]
    rows = [[PARTS[name], spread(accuracies(series[name])), mean_errors(series[name]), gain]
            for name, gain in zip([base, *others], gains, strict=True)]
    text = table(["regular&shy;isation", "accu&shy;racy, %", "errors", "gain, points"], rows)
    text += "\n\n" + " ".join(
        f"{words}: {join(which)}."
        for verdict, words in VERDICTS.items() if (which := [
            PARTS[name] for name, each in zip(others, verdicts, strict=True) if each == verdict]))
    if "lenet_heavy" not in series:
        return text
    (verdict, _), = compare.judge_all([compare.measure_difference(series, "lenet_heavy", base)])
    words = {"better": "better than", "worse": "worse than", "undecided": "not clearly unlike"}
    return (f"{text}\n\nStronger is not better. Dropout 0.5 with weight decay 0.01, as often "
            f"handed in, is {words[verdict]} no regularisation: {mean(series['lenet_heavy'])} % "
            "(`lenet_heavy`).")


def judge_dropout(series, held_out):
    """Judges what dropout adds to the other two: on held-out images, and on the test set.

    Yields (where, found, verdict, words); found: {WITH: runs, WITHOUT: runs}. Nothing if one of the
    four series is missing.
    """
    places = {"held-out training images": (held_out, "-validate"), "the test set": (series, "")}
    both = [{name: runs[name + suffix] for name in (WITH, WITHOUT) if name + suffix in runs}
            for runs, suffix in places.values()]
    if all(len(found) == 2 for found in both):
        judged = compare.judge_all([compare.measure_difference(found, WITH, WITHOUT)
                                    for found in both])
        for where, found, (verdict, words) in zip(places, both, judged, strict=True):
            yield where, found, verdict, words


def dropout(series, held_out):
    """Says whether dropout is worth it beside the other two. The held-out images decide."""
    lines, verdicts = [], []
    for where, found, verdict, _ in judge_dropout(series, held_out):
        seeds = count_seeds(found[WITH], found[WITHOUT])
        words = {"better": "Dropout helps.", "worse": "Dropout harms.",
                 "undecided": f"{seeds.capitalize()} cannot tell these apart."}[verdict]
        lines.append(f"- On {where}: {mean(found[WITH])} % with dropout, {mean(found[WITHOUT])} % "
                     f"without. {words}")
        verdicts.append(verdict)
    if not lines:
        return NEEDS
    advice = {"better": "So keep dropout.", "worse": "So leave it out, with `--dropout 0`.",
              "undecided": "So take it or leave it out (`--dropout 0`)."}[verdicts[0]]
    return "\n".join([*lines, "", f"Only held-out images may decide such a choice. {advice}"])


def dropout_evidence(series, held_out):
    """Tells the numbers behind `dropout`."""
    return "\n".join(f"- On {where}: {verdict}, {words}." for where, _, verdict, words
                     in judge_dropout(series, held_out)) or NEEDS


def outcome(held_out, base, name):
    """Says in plain words how two series of held-out runs compare."""
    difference = compare.measure_difference(held_out, name, base)
    ours, theirs = held_out[name], held_out[base]
    words = (f"The MLP reaches {mean(theirs)} % with a rate of {theirs[0]['recipe']['lr']:g}, and "
             f"{mean(ours)} % with {ours[0]['recipe']['lr']:g}")
    if difference is None:
        return f"{words}. Nothing can be said of the difference."
    (verdict, _), = compare.judge_all([difference])
    if verdict != "undecided":
        return f"{words}: that is {verdict}, by {abs(difference.mean):.2f} points."
    n = compare.seeds_to_decide(difference, 1)
    more = f"about {n}" if n else f"more than {compare.MANY:,}"
    return (f"{words}. {count_seeds(ours, theirs).capitalize()} cannot tell whether that "
            f"difference is real; {more} would.")
