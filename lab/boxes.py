"""Takes digits out of printed boxes: of a form, or a frame around a digit."""

from scipy import ndimage

from lab.ink import COLUMNS

FILLED = 1 / 12  # of a box's ink; with less inside, it is a square 0 or 8


def erase_boxes(ink, labels, reach):
    """Erases printed boxes from (H, W) that have digits inside. Returns `ink` itself if none has.

    labels (H, W): the number of each connected region of ink, which is widened by `reach`. A region
    is a box if it has ink along all four sides of the rectangle around it. Its lines, and those
    between its cells, run through most of that.
    """
    left = ink
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        region = labels[box] == number
        near = max(region.shape) // 24 + reach  # a box may be a little askew
        sides = (region[:near].any(0), region[-near:].any(0),
                 region[:, :near].any(1), region[:, -near:].any(1))
        if min(region.shape) < COLUMNS or min(side.mean() for side in sides) < 0.95:
            continue
        rest = left[box] * ~(open_along(region, 0) | open_along(region, 1))
        # Without anything inside, it is a square 0 or 8.
        if rest[near:-near, near:-near].sum() > FILLED * ink[box].sum():
            left = left.copy()
            left[box] = rest
    return left


def open_along(region, axis):
    """What of (H, W) lies on lines along the axis that run through four fifths of it."""
    size = int(0.8 * region.shape[axis]) | 1
    lines = ndimage.minimum_filter1d(region, size, axis, mode="constant")
    return ndimage.maximum_filter1d(lines, size, axis, mode="constant")
