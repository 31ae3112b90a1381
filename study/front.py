"""The tables and sentences of README.md, which answer in few words what docs/ tell in full.

The sentences are fixed, apart from their numbers; claims.py compares what they say with the logs.
`series` is always {name: [finished run, ...]}, those measured on held-out images among them.
"""

import statistics
import textwrap

import model
from dataset import DATA_DIR
from lab.files import RunError
from lab.runs import compare, slips
from lab.runs.measured import measured_images
from lab.runs.series import (
    accuracies,
    describe_runs,
    error_counts,
    fixed,
    mean_errors,
    spread,
)
from study.tables import PUBLISHED, judge, label, table

NETS = ("lenet", "mlp", "lenet_reg")
PARTS = {"lenet": "none", "lenet_dropout": "dropout", "lenet_decay": "weight decay",
         "lenet_augment": "augmentation", "lenet_reg": "all three together"}
LIMIT = {  # how a net is regularised: LeNet-5 so trained, and a net of today
    "none, 30 epochs": ("lenet", "modern-epochs30-weight_decay0.0-dropout0.0-no_augment"),
    "all three, 30 epochs": ("lenet_reg", "modern-epochs30-dropout0.1-thickening0.0"),
    "each net's own recipe": ("lenet_record", "modern"),
}
TODAY = [ours for _, ours in LIMIT.values()]
# The net of today against LeNet-5, and each way to regularise it against the one before.
LIMIT_PAIRS = [*((ours, lenet) for lenet, ours in LIMIT.values()),
               *zip(TODAY[1:], TODAY, strict=False)]
EXAMPLE = ("mlp-lr0.1-validate", "mlp-validate")  # the pages show how these are compared
DROPOUT = ("lenet_reg-validate", "lenet_reg-dropout0.0-validate")  # with dropout, and without


def mean(runs):
    """The mean accuracy of a series in percent, as text."""
    return fixed(accuracies(runs).mean())


def measure_time(runs):
    """The median training of a series in seconds, evaluation included."""
    return statistics.median(sum(row["seconds"] for row in run["history"]) for run in runs)


def nets_table(series):
    """Tabulates the three nets of the task."""
    rows = [[label(name), f"{series[name][0]['parameters']:,}",
             f"**{spread(accuracies(series[name]))}**", mean_errors(series[name]),
             f"{measure_time(series[name]):.0f}"] for name in NETS]
    header = ["net", "para&shy;meters", "accu&shy;racy, %", "errors", "seconds"]
    return (f"{table(header, rows)}\n\n"
            "Mean ± standard deviation over ten seeds. Errors: misread test images of 10,000. "
            "Seconds: the median training on one thread, by the logs.")


def last_line(series):
    """Says what `python main.py --model lenet` ends with."""
    first, counts = series["lenet"][0], error_counts(series["lenet"])
    return (f"After one to two minutes of training, you read `lenet-seed{first['seed']}: finished, "
            f"{describe_runs([first])}`. Another machine rounds differently, and may end "
            f"elsewhere: ten seeds have {counts.min()} to {counts.max()} errors. Then "
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
    ours, mlp, again = (series[name] for name in ("lenet", "mlp", "lenet_1998"))
    error = PUBLISHED["lenet_1998"][1]
    return (
        f"LeNet-5, by far. LeCun et al. 1998 report {error:.2f} % test error for it, which is "
        f"{100 - error:.2f} % accuracy.\n\n"
    ) + table(["test accuracy, %", "LeCun et al. 1998", "here"], [
        ["LeNet-5 as published (`lenet_1998`)", f"{100 - error:.2f}", spread(accuracies(again))],
        ["LeNet-5 of today (`lenet`)", "", spread(accuracies(ours))],
        ["MLP: 300 hidden units there, 59 here (`mlp`)", "95.3", spread(accuracies(mlp))]])


def digits(series):
    """Tabulates how well the regularised LeNet-5 reads each digit; its commonest slips."""
    runs = series["lenet_reg"]
    _, labels = measured_images(runs[0], DATA_DIR)
    rates = slips.rate_digits(runs, labels)
    return (
        f"{table(['digit', *map(str, rates)], [['right, %', *map(fixed, rates.values())]])}\n\n"
        f"Mean of {len(runs)} nets. Commonest slips (times a net): {slips.name_slips(runs, 4)}.")


def regularisation(series):
    """Tabulates LeNet-5 plain, with each technique and with all, and says which of them help."""
    plain = accuracies(series["lenet"]).mean()
    rows = [[words, spread(accuracies(series[name])), mean_errors(series[name]),
             "" if name == "lenet" else fixed(accuracies(series[name]).mean() - plain, "+.2f")]
            for name, words in PARTS.items()]
    return (
        f"{table(['regular&shy;isation', 'accu&shy;racy, %', 'errors', 'gain, points'], rows)}\n\n"
        "Better than none: weight decay, augmentation and all three together. Too close to none to "
        "tell: dropout.\n\n"
        "Stronger is not better. Dropout 0.5 with weight decay 0.01 is worse than no "
        f"regularisation: {mean(series['lenet_heavy'])} % (`lenet_heavy`).")


def limit(series):
    """Tabulates the errors of LeNet-5 and of a net of today, regularised alike."""
    return table(["regularisation", "LeNet-5", "net of today"], [
        [words, *(mean_errors(series[name]) for name in pair)] for words, pair in LIMIT.items()])


def limit_evidence(series):
    """Tells the numbers behind `limit`, as one family of comparisons."""
    judged = judge(series, LIMIT_PAIRS)
    return "\n".join(
        f"- `{ours}` is {compare.relate(verdict, f'`{base}`')}: {words}."
        for (ours, base), (verdict, words) in zip(LIMIT_PAIRS, judged, strict=True))


def dropout(series):
    """Says whether dropout is worth it beside the other two."""
    with_it, without = (mean(series[name]) for name in DROPOUT)
    return ("Ten seeds cannot tell whether dropout adds anything to the other two. On held-out "
            f"images, which alone may decide that, the net reads {with_it} % right with it and "
            f"{without} % without. So take it or leave it out (`--dropout 0`).")


def dropout_evidence(series):
    """Tells the numbers behind `dropout` on held-out images, which alone may decide."""
    (verdict, words), = judge(series, [DROPOUT])
    return f"On held-out training images: {verdict}, {words}."


def outcome(series):
    """Says in plain words how the two series of EXAMPLE compare.

    Raises RunError if no number of seeds would decide it.
    """
    ours, theirs = (series[name] for name in EXAMPLE)
    difference = compare.measure_difference(series, *EXAMPLE)
    n = difference and compare.seeds_to_decide(difference, 1)
    if not n:
        raise RunError(f"the pages say how many seeds would decide {' against '.join(EXAMPLE)}; "
                       "the logs say that no number would")
    return (f"The MLP reaches {mean(theirs)} % with a rate of {theirs[0]['recipe']['lr']:g}, and "
            f"{mean(ours)} % with {ours[0]['recipe']['lr']:g}. Five seeds cannot tell whether that "
            "difference is real. If it is as large as it looks, about "
            f"{compare.round_roughly(n)} would.")


def example(series):
    """Shows what report.py says of EXAMPLE: a block of Markdown, its long lines broken."""
    text = compare.compare({name: series[name] for name in reversed(EXAMPLE)})
    lines = [piece for line in text.splitlines() for piece in textwrap.wrap(
        line, 60, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4))]
    return "\n".join(["```", *lines, "```"])
