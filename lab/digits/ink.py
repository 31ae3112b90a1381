"""Tells the ink on a picture from the paper. Removes uneven light, shadows, noise and ruled lines.

benchmarks/own_digits.py and real_digits.py measure what the constants below are good for.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

FAINT = 20 / 255  # of the paper's brightness; a smaller difference is not ink
PALE, SMALL = 8 / 255, 60  # the same up to so many pixels, where a pale line falls apart at FAINT
EVEN = 3  # of 255; a border within so much of one tone shows paper without light and shadow
COARSE = 96  # pixels along the longer edge of the small copy that shows slow changes of light
WINDOW = 1 / 6  # of the longer edge; closing erases narrower strokes
NOISE = 5  # standard deviations; noise on paper exceeds this in less than one pixel in a million
SLOPES = np.tan(np.radians(np.arange(-10, 10.5, 0.5)))  # of ruled lines: up to 10 degrees askew
COLUMNS = 48  # ruled lines are searched in so many columns: enough, and cheap
THROUGH = 30  # percentile along a line: it must show in more than two thirds of the columns
DARKER = 1.6  # what is so many times as dark as a ruled line is ink
SPARE = 8  # pixels that blur and the filters here add to the thickness of a ruled line
SOFT = 0.15  # of full ink; the soft edge of a stroke begins here
INKED = 0.3  # of full ink; more belongs to a mark. At 0.5, pencil strokes fall apart
THICKEST = 1 / 20  # of the height, for a ruled line: twice as thick as 0.25 mm on 10 mm of paper


def find_ink(image):
    """Finds the ink on a grey picture (mode L). Returns (ink, page), both float (H, W).

    ink: from 0 (paper) to 1 (full ink). page: brightness without ruled lines, inverted if the
    picture is light on dark, so that ink is always the darker part.
    """
    pixels = np.asarray(image, dtype=float)
    if max(image.size) > 200:  # large enough to lose nothing but noise
        pixels = ndimage.gaussian_filter(pixels, 1)
    # On a drawing or a clean scan, whatever differs from the paper is ink, however wide its stroke.
    if is_even(pixels):
        tone = np.median(border(pixels))
        light = tone >= pixels.mean()
        paper = np.full(pixels.shape, max(tone if light else 255 - tone, 1))
    else:
        light, paper = find_paper(image)
    if not light:
        pixels = 255 - pixels
    # Where less light falls on the paper, dark ink differs from it less, in proportion. Light ink
    # gets the same: what is the negative of a picture gives the same ink.
    ink = 1 - pixels / paper
    if min(ink.shape) >= COLUMNS:  # on smaller ones, what looks like lines is strokes
        erase_lines(ink, fewest=1)
        erase_lines(ink.T, fewest=2)  # a single vertical line may well be a 1
    # Noise lifts the closing above the paper. The noise's level and standard deviation come from
    # the lowest quarter of the pixels, which is paper even if a thick digit fills the picture.
    # A normal distribution has its 25th percentile at -0.67 and its 5th at -1.64.
    lowest, low = np.percentile(ink, [5, 25])
    noise = (low - lowest) / (1.64 - 0.67)
    level = low + 0.67 * noise
    page = paper * (1 - ink)
    ink = ink - level
    # An inverted light sheet is dark: the least shine on it would be many times as light.
    faint = PALE if max(ink.shape) <= SMALL else FAINT
    floor = max(NOISE * noise, faint if light else faint * 255 / paper.max())
    if ink.max() <= floor:
        return np.zeros(ink.shape), page
    full = np.percentile(ink[ink > floor], 90)
    low = max(floor, SOFT * full)
    return np.clip((ink - low) / (full - low), 0, 1), page


def border(pixels):
    """The outermost pixels of (H, W), all four sides in a row; the corners count twice."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def is_even(pixels):
    """Whether (H, W) shows paper of one tone around its ink, which may reach the border."""
    edge = border(pixels)
    return np.mean(np.abs(edge - np.median(edge)) <= EVEN) > 0.75


def find_paper(image):
    """Finds unevenly lit paper. image: mode L.

    Returns (light, paper): whether the paper is lighter than the ink, and its brightness (H, W)
    without the digit, inverted if it is not.
    """
    small = image.copy()
    small.thumbnail((COARSE, COARSE), Image.Resampling.BOX)
    small = np.asarray(small, dtype=float)
    # Strokes differ from their surroundings more than paper does, so the differences are skewed
    # towards the ink. Shadows and light from one side cause about as many differences up as down,
    # if the border is repeated ("nearest"). With a mirrored border, 4 of 200 thin digits were taken
    # for light ink.
    around = ndimage.gaussian_filter(small, COARSE / 8, mode="nearest")
    light = np.mean((np.asarray(image) - enlarge(around, image.size)) ** 3) < 0
    # Closing erases whatever is dark and narrower than the window. It keeps slow changes of light,
    # and even the edge of a shadow.
    closed = close(small if light else 255 - small, round(WINDOW * max(small.shape)) | 1)
    return light, np.maximum(enlarge(ndimage.gaussian_filter(closed, 1), image.size), 1)


def enlarge(values, size):
    """Scales (h, w) to (H, W), bicubically. size: (W, H), as in Pillow."""
    return np.asarray(Image.fromarray(np.float32(values)).resize(size))


def close(values, window):
    """Grey closing of (H, W) by a square, with the border repeated outwards.

    Otherwise, shadows that end at the border leave dark wedges: of 100 empty sheets, 8 were read
    as a digit, and now 1 is.
    """
    padded = np.pad(values, window, mode="edge")
    return ndimage.grey_closing(padded, window)[window:-window, window:-window]


def erase_lines(ink, fewest):
    """Erases ruled lines from left to right in (H, W), in place, if there are `fewest` or more.

    Pixels clearly darker than a line stay, as ink. The line's other pixels are interpolated between
    the rows above and below, so that strokes across the line stay whole.
    """
    height, width = ink.shape
    if not (ink[:, [0, -1]] > FAINT).any(0).all():
        return  # nothing reaches both sides
    y, x = np.ogrid[:height, :width]

    def straighten(slope, x):
        """For lines of this slope: the row that the line through row y of the middle has at x."""
        return (y + np.rint(slope * (x - width / 2)).astype(int)) % height

    few = x[:, ::-(-width // COLUMNS)]
    thick = ndimage.maximum_filter1d(ink[:, few[0]], 3, axis=0)  # lines are never quite straight
    profiles = np.array([
        np.percentile(np.take_along_axis(thick, straighten(slope, few), 0), THROUGH, axis=1)
        for slope in SLOPES])
    best = profiles.std(1).argmax()  # lines stand out at their own slope
    profile = profiles[best] - np.median(profiles[best])
    line = ndimage.maximum_filter1d(profile, 3) > FAINT / 2
    labels, count = ndimage.label(line)
    full = (ink[[0, -1]] > FAINT).any(1).all()  # then one line may be a stroke of a large digit
    if count < fewest + full or np.bincount(labels)[1:].max() > THICKEST * height + SPARE:
        return
    level = ndimage.maximum(profile, labels, range(count + 1))[labels]
    rows = straighten(SLOPES[best], x)
    sheet = np.take_along_axis(ink, rows, 0)
    free, inked = sheet[~line], sheet[line]
    # Interpolate linearly between the nearest rows without a line; repeat the outermost of them.
    at = np.interp(np.flatnonzero(line), np.flatnonzero(~line), np.arange(len(free)))
    above, below = free[np.floor(at).astype(int)], free[np.ceil(at).astype(int)]
    erased = np.minimum(inked, above + (at % 1)[:, None] * (below - above))
    stays = inked > DARKER * level[line, None]
    np.put_along_axis(ink, rows[line], np.where(stays, inked, erased), 0)


def is_edge(ink, page, reach):
    """Whether a region of ink is only an edge between light and shadow. ink, page: (H, W).

    Closing the page fills a stroke, which has paper on both sides, but leaves an edge as it is.
    reach: pixels; how far the surroundings extend.
    """
    inked = ink > INKED
    width = 2 * int(ndimage.distance_transform_cdt(inked).max()) + 2 * reach + 1
    filled = ndimage.grey_closing(page, width, mode="nearest")
    around = ndimage.maximum_filter(inked, 4 * reach + 1) & ~inked
    depth = 1 - page / np.maximum(filled, 1)  # of noise, too, so compare with the paper around
    return np.median(depth[inked]) - np.median(depth[around]) < FAINT
