"""Tells the ink on a picture from its paper: uneven light, shadows, noise and ruling go.

predict.py begins with this. Of 88 pictures of benchmarks/own_digits.py (ruled, squared, finest and
fattest lines photographed, empty sheets) all are read right with the constants below, and also with
DARKER 1.2 or 2.5, SOFT 0.05 or 0.4, THROUGH 15 or 50, COLUMNS 24, WINDOW 1/12, FAINT 40/255.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

FAINT = 20 / 255  # of the paper's light; what differs by less is not ink (10/255: 83 of the 88)
COARSE = 96  # pixels along the longer edge, on which slow changes of light are looked for
WINDOW = 1 / 6  # of the longer edge; narrower strokes vanish from the paper (1/3: 82 of the 88)
NOISE = 5  # standard deviations that ink differs by: less than one pixel in a million of paper
SLOPES = np.tan(np.radians(np.arange(-10, 10.5, 0.5)))  # of ruling: held askew by up to 10 degrees
COLUMNS = 48  # that ruling is looked for in: enough, and cheap
THROUGH = 30  # percentile of a line's columns: it shows in more than two thirds of them
DARKER = 1.6  # than a line, by so many times: ink
SPARE = 6  # pixels of a line beyond its thickness: blur, and what it is widened by here
SOFT = 0.15  # of full ink: the soft edge of a stroke begins here
THICKEST = 1 / 20  # of the height: twice as thick as 0.25 mm are on 10 mm of paper


def find_ink(image):
    """How much ink is where, from 0 (paper) to 1; and the page without ruling, dark where inked.

    Both float (H, W).
    """
    pixels = np.asarray(image, dtype=float)
    small = image.copy()
    small.thumbnail((COARSE, COARSE), Image.Resampling.BOX)
    small = np.asarray(small, dtype=float)
    # Strokes differ more from their surroundings than the paper does, so the differences are
    # skewed towards the ink. A shadow or light from one side makes about as many up as down, if
    # the border goes on ("nearest"): mirrored, it took 4 of 200 fine digits for light ink.
    around = ndimage.gaussian_filter(small, COARSE / 8, mode="nearest")
    light = np.mean((pixels - enlarge(around, image.size)) ** 3) < 0
    if max(image.size) > 200:  # large enough not to lose anything but noise
        pixels = ndimage.gaussian_filter(pixels, 1)
    if not light:
        pixels, small = 255 - pixels, 255 - small
    # The paper, without the digit: closing erases all that is dark and narrower than the window
    # and keeps slow changes of light, even the edge of a shadow.
    closed = close(small, round(WINDOW * max(small.shape)) | 1)
    paper = np.maximum(enlarge(ndimage.gaussian_filter(closed, 1), image.size), 1)
    # Where less light falls on paper, dark ink differs less from it, in proportion.
    scale = paper if light else 255
    ink = (paper - pixels) / scale
    erase_lines(ink, fewest=1)
    erase_lines(ink.T, fewest=2)  # one that runs up and down may well be a 1
    # Noise lifts the closing above the paper. Its level and standard deviation come from the
    # lowest quarter, which is paper even where a fat digit fills the picture; 0.67 and 1.64 are
    # those percentiles of a normal distribution.
    lowest, low = np.percentile(ink, [5, 25])
    noise = (low - lowest) / (1.64 - 0.67)
    level = low + 0.67 * noise
    page = paper - ink * scale
    ink = ink - level
    floor = max(NOISE * noise, FAINT)
    if ink.max() <= floor:
        return np.zeros(ink.shape), page
    full = np.percentile(ink[ink > floor], 90)
    low = max(floor, SOFT * full)
    return np.clip((ink - low) / (full - low), 0, 1), page


def enlarge(values, size):
    """(h, w) -> (H, W), smoothly; `size` is (W, H), as Pillow has it."""
    return np.asarray(Image.fromarray(np.float32(values)).resize(size))


def close(values, window):
    """Grey closing by a square, as if the border went on for ever. (H, W) -> (H, W).

    Else shadows that end at the border leave wedges: 8 of 100 empty sheets were read, now 1.
    """
    padded = np.pad(values, window, mode="edge")
    return ndimage.grey_closing(padded, window)[window:-window, window:-window]


def erase_lines(ink, fewest):
    """Takes ruling out of (H, W), in place: `fewest` straight lines, or more, from left to right.

    What is clearly darker than a line stays; the rest of it becomes what is above and below it, so
    that strokes that cross it go on.
    """
    height, width = ink.shape
    if not (ink[:, [0, -1]] > FAINT).any(0).all():
        return  # nothing runs through
    y, x = np.ogrid[:height, :width]

    def straighten(slope, x):
        """The rows that lines of this slope pass through: row y is the line's, at each x."""
        return (y + np.rint(slope * (x - width / 2)).astype(int)) % height

    few = x[:, ::-(-width // COLUMNS)]
    thick = ndimage.maximum_filter1d(ink[:, few[0]], 3, axis=0)  # lines are not quite straight
    profiles = np.array([
        np.percentile(np.take_along_axis(thick, straighten(slope, few), 0), THROUGH, axis=1)
        for slope in SLOPES])
    best = profiles.std(1).argmax()  # at their slope, lines stand out
    profile = profiles[best] - np.median(profiles[best])
    line = ndimage.maximum_filter1d(profile, 3) > FAINT / 2
    labels, count = ndimage.label(line)
    full = (ink[[0, -1]] > FAINT).any(1).all()  # one line may be a stroke that fills the picture
    if count < fewest + full or np.bincount(labels)[1:].max() > THICKEST * height + SPARE:
        return
    level = ndimage.maximum(profile, labels, range(count + 1))[labels]
    rows = straighten(SLOPES[best], x)
    sheet = np.take_along_axis(ink, rows, 0)
    free, inked = sheet[~line], sheet[line]
    # Linearly between the nearest rows off the lines; beyond the last of them, it goes on.
    at = np.interp(np.flatnonzero(line), np.flatnonzero(~line), np.arange(len(free)))
    above, below = free[np.floor(at).astype(int)], free[np.ceil(at).astype(int)]
    erased = np.minimum(inked, above + (at % 1)[:, None] * (below - above))
    stays = inked > DARKER * level[line, None]
    np.put_along_axis(ink, rows[line], np.where(stays, inked, erased), 0)


def is_edge(ink, page, reach):
    """Whether a region of ink is no more than an edge of light on the page. Both (H, W).

    Closing fills a stroke, which has paper on both of its sides, and leaves an edge as it is.
    """
    inked = ink > 0.5
    width = 2 * int(ndimage.distance_transform_edt(inked).max()) + 2 * reach + 1
    filled = ndimage.grey_closing(page, width, mode="nearest")
    around = ndimage.maximum_filter(inked, 4 * reach + 1) & ~inked
    depth = 1 - page / np.maximum(filled, 1)  # noise, too, is filled: on the paper around as here
    return np.median(depth[inked]) - np.median(depth[around]) < FAINT
