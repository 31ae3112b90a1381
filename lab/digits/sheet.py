"""Cuts out a sheet of paper, a card or a framed picture that lies on some ground, upright.

benchmarks/real_digits.py measures what the constants below are good for. Lengths in pixels are
those of a copy with COARSE pixels along its longer edge.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from lab.digits.ink import COARSE, border, close

SMALLEST = 1 / 8  # of the picture's area; a smaller part is a mark. Margins of 40 % leave a fifth
TOUCHING = 0.3  # of the picture's border, where a sheet's corners may be cut off. Shadows reach it
PLAIN = 0.6  # of a sheet has its tone; the strokes of a thick digit leave so much
ALIKE = 0.5  # of what lies around a sheet may have its tone; of squared paper around a square, more
FILLED = 0.92  # of what sheet and four straight sides cover, both do. Thick digits: at most 0.91
CONTRAST = 20  # of 255; a smaller difference of tones is noise
STROKE = 9  # pixels; narrower strokes that run off the sheet do not cut it up
TURNS = np.radians(np.arange(-45, 45))  # by which a sheet may be turned
MIDDLE = 0.4  # of a side counts: its ends may be round, or outside the picture
STEEP = 0.3  # slope of a side to the sheet's direction, for perspective; triangles have more
INSET = 0.015  # of the picture's longer edge; the sheet's blurred edge stays outside


def cut_sheet(image):
    """The sheet that lies on a picture (mode L), turned upright. `image` itself if it shows none.

    A sheet is a part of one tone that hardly touches the border and has four straight sides. It may
    show a frame, which is cut off in turn.
    """
    scale = COARSE / max(image.size)
    size = [max(8, round(edge * scale)) for edge in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.BOX), dtype=int)
    sheets = []
    for threshold in thresholds(small):
        for tone in (small > threshold, small <= threshold):
            for part in find_parts(tone):
                corners, inside = find_corners(part)
                middles = (corners + np.roll(corners, 1, 0)) / 2  # of its sides
                on = ((middles > 1) & (middles < np.array(size) - 1)).all()  # on the picture
                straight = (part & inside).sum() > FILLED * (part | inside).sum()
                if on and straight and tone[~part].mean() < ALIKE:
                    sheets.append((part.sum(), corners, np.median(small[part])))
    if not sheets:
        return image
    _, corners, paper = max(sheets, key=lambda sheet: sheet[0])  # the largest
    return cut_sheet(turn_upright(image, corners / scale, round(paper)))


def thresholds(values):
    """Up to three, which split the values into four tones, such as ink, ground and paper."""
    middle = split(values)
    if middle is None:
        return set()
    return {middle, split(values[values <= middle]), split(values[values > middle])} - {None}


def split(values):
    """The threshold between the two classes that differ most (Otsu 1979). None if all are alike."""
    if np.ptp(values) < CONTRAST:
        return None
    counts = np.bincount(values.ravel(), minlength=256)
    below, total = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):  # a class may be empty
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return int(np.nan_to_num(between).argmax())


def find_parts(tone):
    """Yields the largest connected region of (h, w), without its holes, if it may be a sheet.

    Then yields it once more with narrow cuts closed: strokes that run off the sheet.
    """
    for stroke in (0, STROKE):  # closing takes most of the time, and hardly a picture needs it
        labels, _ = ndimage.label(close(tone, stroke) if stroke else tone)
        part = labels == 1 + np.bincount(labels.ravel(), minlength=2)[1:].argmax()
        if part.mean() < PLAIN * SMALLEST or border(part).mean() > TOUCHING:
            return
        part = ndimage.binary_fill_holes(part)
        if part.mean() > SMALLEST and (part & tone).sum() > PLAIN * part.sum():
            yield part


def find_corners(part):
    """Fits four straight sides to a region (h, w), which may be turned and seen in perspective.

    Returns (corners, inside). corners: (4, 2), x and y of the upper left, lower left, lower right
    and upper right. inside (h, w): what lies between the sides.
    """
    points = np.argwhere(part & ~ndimage.binary_erosion(part))[:, ::-1] + 0.5  # its outline
    turns = np.array([[np.cos(TURNS), np.sin(TURNS)], [-np.sin(TURNS), np.cos(TURNS)]])
    turns = np.moveaxis(turns, 2, 0)
    boxes = np.ptp(points @ turns.swapaxes(1, 2), axis=1).prod(1)
    turn = turns[boxes.argmin()]  # the smallest box lies along the sheet's sides
    x, y = (points @ turn.T).T
    (top, bottom), (left, right) = fit_sides(x, y), fit_sides(y, x)
    corners = []
    for (a, b), (c, d) in ((top, left), (bottom, left), (bottom, right), (top, right)):
        y = (a * d + b) / (1 - a * c)  # where y = a * x + b meets x = c * y + d
        corners.append((c * y + d, y))
    y, x = np.indices(part.shape) + 0.5
    x, y = np.tensordot(turn, (x, y), 1)
    inside = ((y >= np.polyval(top, x)) & (y <= np.polyval(bottom, x))
              & (x >= np.polyval(left, y)) & (x <= np.polyval(right, y)))
    return np.array(corners) @ turn, inside


def fit_sides(along, across):
    """Straight lines across = a * along + b through the outermost points on either side.

    Returns ((a, b), (a, b)). The median slope between any two points (Theil 1950, Sen 1968) keeps
    to the sheet where a finger or a pen lies on its edge.
    """
    places = np.rint(along)
    low, high = np.quantile([along.min(), along.max()], [(1 - MIDDLE) / 2, (1 + MIDDLE) / 2])
    at = np.unique(places[(along > low) & (along < high)])
    i, j = np.triu_indices(len(at), 1)
    for outermost in (ndimage.minimum, ndimage.maximum):
        ends = outermost(across, places, at)
        slope = np.clip(np.median((ends[j] - ends[i]) / (at[j] - at[i])), -STEEP, STEEP)
        yield slope, np.median(ends - slope * at)


def turn_upright(image, corners, paper):
    """What lies between the corners, made a rectangle. paper: the tone outside the picture."""
    left, lower, right, upper = np.hypot(*(corners - np.roll(corners, -1, 0)).T)
    size = np.array([upper + lower, left + right]) / 2
    inset = 1 - 2 * INSET * max(image.size) / size.mean()
    inner = corners.mean(0) + inset * (corners - corners.mean(0))
    return image.transform(tuple(np.rint(np.maximum(inset * size, 1)).astype(int).tolist()),
                           Image.Transform.QUAD, inner.ravel(), Image.Resampling.BICUBIC,
                           fillcolor=paper)
