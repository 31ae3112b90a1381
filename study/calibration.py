"""How sure the nets are of their answers, and whether they may be.

A net is calibrated if it is right as often as it says: in nine of ten answers of which it is sure
by 0.9. `series` is always {name: [finished run, ...]}.
"""

import numpy as np

from lab.runs.series import count_examples, fixed, spread
from study.tables import label, table

CALIBRATED = ("lenet", "lenet_reg", "lenet_record")
DRAWS = 10_000  # of a calibrated net, for each run


def calibration_error(calibration):
    """The expected calibration error, a fraction, of the counts that `answers.examine` makes.

    It is the sum over the bins of |B| / N |accuracy(B) - confidence(B)|, where confidence is the
    mean probability of the predictions: Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of
    Modern Neural Networks", section 2 (after Naeini et al. 2015).
    """
    examples, right, probability = np.array(calibration)
    return abs(right - probability).sum() / examples.sum()


def chance_gaps(calibration):
    """The calibration error that chance alone makes of a calibrated net: fractions (DRAWS,).

    A log has, for each bin of confidence, how many answers fall into it, how many of them are
    right, and the sum of their confidences. If the net were calibrated, an answer would be right
    with a probability of its confidence. So of the answers of a bin, a binomial number would be
    right, here with their mean confidence; the number that is right in the log is not used.
    """
    examples, _, probability = np.array(calibration)
    confidence = probability / np.maximum(examples, 1)
    right = np.random.default_rng(0).binomial(
        examples.astype(int), np.minimum(confidence, 1), (DRAWS, len(examples)))
    return abs(right - probability).sum(1) / examples.sum()


def curves(runs, column):
    """A column of the logs of a series: float (seeds, epochs)."""
    return np.array([[row[column] for row in run["history"]] for run in runs])


def overfitting(series):
    """Says when the mean test loss of LeNet-5 is lowest, and what becomes of the errors."""
    runs = series["lenet"]
    train = np.round((1 - curves(runs, "train_accuracy")) * runs[0]["images"])  # misread
    test = np.round((1 - curves(runs, "test_accuracy")) * count_examples(runs[0]))
    lowest = curves(runs, "test_loss").mean(0).argmin()
    perfect = [(errors == 0).argmax() + 1 for errors in train if errors[-1] == 0]
    return (
        f"The mean test loss of `lenet` is lowest in epoch {lowest + 1}. There it still misreads "
        f"{train[:, lowest].mean():.0f} of the {runs[0]['images']:,} training images, on average, "
        f"and {test[:, lowest].mean():.0f} test images. At the end it misreads "
        f"{fixed(test[:, -1].mean(), '.1f')} test images. {len(perfect)} of {len(runs)} seeds end "
        f"with every training image right, which the first of them does in epoch {min(perfect)}.")


def calibration_table(series, again):
    """Tabulates the test loss, and how sure the nets are of their answers.

    Logs from before calibration was logged say nothing of the latter; `again`, the repeated runs,
    adds logs that do.
    """
    rows = []
    for name in (name for name in CALIBRATED if name in series):
        losses = curves(series[name], "test_loss").mean(0)
        lowest = losses.argmin()
        known = [run["calibration"] for run in (*series[name], *again.get(name, []))
                 if run.get("calibration")]
        cells = [""] * 5
        if known:
            examples, right, probability = np.sum(known, axis=(0, 2))
            chance = 100 * np.concatenate([chance_gaps(each) for each in known])
            cells = [str(len(known)), fixed(100 * probability / examples),
                     fixed(100 * right / examples),
                     f"**{spread([100 * calibration_error(each) for each in known])}**",
                     f"{fixed(chance.mean())} (to {fixed(np.percentile(chance, 95))})"]
        rows.append([label(name), f"{losses[lowest]:.4f} ({lowest + 1})",
                     f"{losses[-1]:.4f}", *cells])
    return table(["net", "lowest test loss (epoch)", "last", "n", "sure, %", "right, %",
                  "gap, points", "by chance (95 % below)"], rows)
