"""Takes digits out of printed boxes: those of a form, or a frame around a digit."""

import numpy as np
from scipy import ndimage

from lab.digits.ink import COLUMNS, INKED

FILLED = 1 / 12  # of a box's ink; with less inside, it is a square 0 or 8
TALL = 0.4  # of a ring's height; a shorter mark inside is the dot of a 0
STRAIGHT = 0.2  # width by length, as standard deviations; a narrower mark inside is its slash


def erase_boxes(ink, labels, reach):
    """Erases printed boxes from (H, W) that have digits inside. Returns `ink` itself if none has.

    labels (H, W): the number of each connected region of ink, which is widened by `reach`.
    """
    left, boxes = ink, ndimage.find_objects(labels)
    for number, box in enumerate(boxes, 1):
        region = labels[box] == number
        if min(region.shape) < COLUMNS:  # too small to have digits inside
            continue
        rest = without_lines(left[box], region, reach)
        if rest is None:
            rest = without_outline(left[box], region)
        if rest is None and len(boxes) > 1:  # what a ring surrounds is a region of its own
            rest = without_ring(left[box], region)
        if rest is not None:
            left = left.copy()
            left[box] = rest
    return left


def without_lines(ink, region, reach):
    """What is left of (h, w) without the lines of an upright box. None if `region` is no such box.

    A box has ink along all four sides. Its lines, and those between its cells, run through most of
    it. So a digit may touch them.
    """
    near = max(region.shape) // 48 + reach  # a box may be a little askew
    sides = (region[:near].any(0), region[-near:].any(0),
             region[:, :near].any(1), region[:, -near:].any(1))
    if min(side.mean() for side in sides) < 0.95:
        return None
    rest = ink * ~(open_along(region, 0) | open_along(region, 1))
    return rest if rest[near:-near, near:-near].sum() > FILLED * ink.sum() else None


def open_along(region, axis):
    """What of (H, W) lies on lines along the axis that run through four fifths of it."""
    size = int(0.8 * region.shape[axis]) | 1
    lines = ndimage.minimum_filter1d(region, size, axis, mode="constant")
    return ndimage.maximum_filter1d(lines, size, axis, mode="constant")


def without_outline(ink, region):
    """What is left of (h, w) without the outline of boxes that stand askew, with marks inside.

    None if there is no such outline. It is the largest connected part of `region`, and straight
    below: a 0 with a slash inside is not. What touches it goes with it.
    """
    parts, _ = ndimage.label(region & (ink > INKED), np.ones((3, 3)))
    areas = [np.prod([side.stop - side.start for side in part])
             for part in ndimage.find_objects(parts)]
    outline = parts == 1 + np.argmax(areas)
    height, width = outline.shape
    x = np.arange(width // 5, width - width // 5)  # without the corners
    above = outline[::-1, x].argmax(0)  # rows between the outline and the lower edge
    if np.std(above - np.polyval(np.polyfit(x, above, 1), x)) > max(1, height / 100):
        return None
    hole = ndimage.binary_fill_holes(outline) & ~outline
    return ink * (hole | ~region) if (ink * hole).sum() > FILLED * ink.sum() else None


def without_ring(ink, region):
    """What is left of (h, w) without a ring around a digit that does not touch it.

    None if there is no such ring. The dot or the slash of a 0 makes none: it is short or straight.
    """
    hole = ndimage.binary_fill_holes(region) & ~region
    points = np.argwhere(hole & (ink > INKED))
    if not len(points) or np.ptp(points[:, 0]) < TALL * len(ink):
        return None
    along, across = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return ink * (hole | ~region) if across > STRAIGHT * along else None
