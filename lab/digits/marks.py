"""Tells the marks that make up a digit from specks, edges, stamps and further digits."""

import numpy as np
from scipy import ndimage

from lab.digits.boxes import erase_boxes
from lab.digits.ink import INKED, is_edge, is_even

SPECK = 1 / 24  # of the longer edge; a shorter mark, with 1/128 added on each side, is no digit
# Of 6,000 training digits, 37 are in several pieces: 44 pieces beside the heaviest ones.
PIECE = 1 / 12  # of the heaviest piece's ink; 33 of the 44 have less, most of them a few pixels
MARK = 1 / 3  # of the longest piece; only 10 of the 44 are longer. It may be a second digit
GAP = 0.25  # of the longest mark; nearer marks are one digit
HEAVY = 10  # times the ink of all marks within; a mark at the border that has more is the digit
FLAT = 2  # a mark that is so many times as wide as tall is no digit, beside one that is not
CORE = 0.5  # of full ink; two touching digits come apart there. At 0.6, four in pencil do, too
ALIKE = 1.5  # marks whose sizes differ by a smaller factor may be two digits of one hand
BLANK = "blank, or too faint, too small or too broad to read"


class PictureError(Exception):
    """The picture cannot be read, or shows no digit, or several. The message is one line."""


def keep_digit(ink, page):
    """Erases specks, and edges and shadows that reach in from the border.

    ink, page: what `find_ink` returns. Returns ink (H, W). Raises PictureError if nothing is left,
    or several marks are.
    """
    edge = max(ink.shape)
    reach = -(-edge // 128)  # pixels; ink is widened by so much, which closes small gaps
    labels, count = label_marks(ink, reach)
    left = erase_boxes(ink, labels, reach)
    if left is not ink:
        ink, (labels, count) = left, label_marks(left, reach)
    numbers, boxes = np.arange(1, count + 1), ndimage.find_objects(labels)  # connected regions
    spans = find_spans(boxes)
    sizes = np.ptp(spans, axis=2)  # (count, 2): height and width
    lengths = sizes.max(1, initial=0)
    amounts = ndimage.sum_labels(ink, labels, numbers)
    inner = is_inner(spans, ink.shape)
    # At the border, the edge of a shadow may end in a wedge: what counts there is longer.
    parts = lengths >= np.where(inner, SPECK, 2 * SPECK) * edge
    even = is_even(page)
    for i in np.flatnonzero(parts):
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in boxes[i])
        alone = ink[around] * (labels[around] == numbers[i])
        parts[i] = not is_edge(alone, page[around], reach)
    if not parts.any():
        raise PictureError(BLANK)
    # A mark at the border counts as the digit only if no other mark is large enough to be one. But
    # what is close to the digit, about as long, and no line, is a part of it, or a second digit.
    large = (lengths > 2 * SPECK * edge) | (amounts > PIECE * amounts[parts].max())
    if even:  # no shadow reaches in: what outweighs everything within is the digit
        inner |= amounts > HEAVY * amounts[parts & inner].sum()
    flat = sizes[:, 1] - 2 * reach > FLAT * (sizes[:, 0] - 2 * reach)
    if (parts & inner & large).any():
        main = ((parts & inner) * (lengths + edge * ~flat)).argmax()  # the longest that is not flat
        apart = np.maximum(spans[:, :, 0] - spans[main, :, 1], spans[main, :, 0] - spans[:, :, 1])
        close, line = apart.max(1) < GAP * lengths[main], sizes.min(1) <= lengths / 5
        alike = np.maximum(lengths / lengths[main], lengths[main] / lengths) < ALIKE
        parts &= inner | (close & alike & ~line)
        # A flat mark beside a digit is a stamp or a dash. Above or below, it is a piece of it, or
        # the bar of a fraction, which joins two digits.
        flat &= ~flat[main]
        beside = apart[:, 1] > 0
        parts &= ~(flat & beside & (lengths < lengths[main]))
        flat &= ~beside
    parts &= amounts > PIECE * amounts[parts].max()
    tall = parts & ~flat if (parts & ~flat).any() else parts
    longest = lengths[tall].max() - 2 * reach
    marks = tall & (lengths - 2 * reach > MARK * longest)
    count = count_digits(ink * np.isin(labels, numbers[marks]), marks.sum(), longest)
    kept = np.isin(labels, numbers[parts])
    if even and (ink[~kept] > 0).any():  # without light and shadow, what is pale is ink, too
        pale, _ = label_marks(ink, reach, 0)
        # Beside the digit of a thick pen, a hair-thin one is pale.
        long = find_long(pale)
        count = max(count, count_columns(long[is_inner(long, ink.shape)]))
        # And a digit's own strokes may be, where the pen hardly touched the paper.
        kept |= np.isin(pale, pale[kept & (ink > 0)])
    if count > 1:
        raise PictureError(f"{count} separate marks; one digit a picture, please, "
                           "its strokes joined")
    return ink * kept


def count_digits(ink, marks, longest):
    """How many digits (H, W) shows, in so many marks.

    longest: pixels; the length of the longest of them.
    """
    # On 28x28 pixels, two digits often touch with their soft edges.
    cores = find_long(ndimage.label(ink > CORE, np.ones((3, 3)))[0])
    whole = (np.ptp(cores, axis=2) == ink.shape).any(1)  # from border to border: a ruled line
    count = count_columns(cores[~whole])
    if marks > 1:
        far = ndimage.distance_transform_cdt(ink <= INKED)
        count = max(count, ndimage.label(far <= GAP * longest / 2)[1])
    return count


def find_long(labels):
    """The spans (see `find_spans`) of the regions that are at least MARK times the longest."""
    spans = find_spans(ndimage.find_objects(labels))
    lengths = np.ptp(spans, axis=2).max(1, initial=0)
    return spans[lengths > MARK * lengths.max(initial=0)]


def find_spans(boxes):
    """Where regions lie: (count, 2, 2), the first and past the last row, then the columns.

    boxes: a pair of slices for each region.
    """
    return np.array([[(side.start, side.stop) for side in box] for box in boxes]).reshape(-1, 2, 2)


def is_inner(spans, shape):
    """Which of the spans, (count,), do not touch the border of a picture of that shape."""
    return (spans[:, :, 0] > 0).all(1) & (spans[:, :, 1] < shape).all(1)


def label_marks(ink, reach, level=INKED):
    """Numbers the connected regions of ink above `level`, widened by `reach`: (labels, count)."""
    return ndimage.label(ndimage.maximum_filter(ink > level, 2 * reach + 1))


def count_columns(spans):
    """How many of the marks stand side by side on the same rows. spans: see `find_spans`.

    So stand two digits, however close, but hardly ever the pieces of one.
    """
    rows, columns = spans[spans[:, 1, 0].argsort()].swapaxes(0, 1)  # from left to right
    apart = columns[1:, 0] >= columns[:-1, 1]
    shared = np.minimum(rows[1:, 1], rows[:-1, 1]) - np.maximum(rows[1:, 0], rows[:-1, 0])
    either = np.maximum(rows[1:, 1], rows[:-1, 1]) - np.minimum(rows[1:, 0], rows[:-1, 0])
    return 1 + (apart & (shared * ALIKE > either)).sum()
