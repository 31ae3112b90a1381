"""Draws digits as pen strokes, in forms that people write and MNIST hardly has.

Nets that know MNIST alone misread many a 1 with a long upstroke, and most 4s and 9s that are one
stroke with a loop. `draw_digits` writes such forms beside the usual ones, each time a little
different. main.py adds them to the training images of a recipe that says so (`synthetic`).
"""

import numpy as np
import torch

from readers.common import SIDE

BOX = 20  # pixels along the longer edge of NIST's digits
CENTRE = 14  # the pixel on which their centre of mass lies (measured: 14.0 ± 0.3)
STROKE = (2.0, 3.7)  # pixels: MNIST's lower quartile and 95th percentile of the stroke's width
JITTER = 0.05  # of the digit's height; the standard deviation of each point
WIDTH = (0.4, 1.1)  # of the height
SLANT = (-0.15, 0.35)  # of the height, from bottom to top

# The ways to write each digit: strokes, separated by "|", through points "x,y" in percent of the
# digit's width and height, y downwards.
FORMS = {
    0: ["52,0 14,22 4,58 34,100 78,90 96,48 78,8 48,2",
        "78,14 44,0 8,36 12,82 52,100 92,70 84,22 56,2",
        "66,2 22,10 2,50 26,96 74,94 98,52 72,6 36,0 20,14",
        "60,4 20,14 4,58 34,98 80,88 94,44 66,4 32,16 52,44"],
    1: ["22,28 40,15 52,0|52,0 52,50 52,100",
        "2,46 30,24 56,0|56,0 56,50 56,100",
        "0,60 32,34 60,0|60,0 60,50 58,100",
        "0,36 34,26 58,0|58,0 54,50 50,100",
        "0,32 50,20 88,0|88,0 78,50 66,100",
        "0,76 30,40 54,0|54,0 56,50 58,100",
        "12,22 42,9 55,0|55,0 55,50 55,100|18,100 54,98 92,100",
        "4,40 32,24 55,0|55,0 55,50 55,100|20,100 54,98 92,100",
        "4,80 28,40 50,0|50,0 66,50 78,100",
        "20,24 38,19 58,4|58,0 58,50 58,100"],
    2: ["8,28 36,0 80,10 76,42 40,76 8,98|8,98 48,96 92,98",
        "12,18 48,0 82,26 54,66 14,96 18,76 46,86 92,96",
        "8,6 50,6 86,4|86,4 50,50 8,98|8,98 50,97 92,96",
        "8,32 42,0 78,24 52,72 8,98 8,78 40,84 68,100 96,86"],
    3: ["8,12 48,0 84,20 48,46|48,46 92,66 62,100 4,88",
        "12,3 50,4 86,2|86,2 64,20 40,40|40,40 88,58 72,96 6,94",
        "14,16 52,0 80,20 46,44 34,52 48,46 92,66 58,100 8,84",
        "10,8 46,2 84,2|84,2 66,18 46,36|46,36 92,58 74,94 24,100 4,82",
        "46,42 26,26 38,4 66,6 68,28 44,42|44,42 94,54 82,92 30,100 2,72"],
    4: ["62,0 36,34 6,66|6,66 48,67 94,65|68,36 67,68 66,100",
        "22,0 17,24 14,50|14,50 48,50 88,46|76,6 74,52 70,100",
        "66,0 38,34 8,70|8,70 50,70 94,68|66,0 66,50 64,100",
        "24,0 8,38 34,58 82,44|86,4 80,48 74,100",
        "72,0 26,40 4,62 32,66 96,58|62,36 56,68 50,100",
        "36,0 6,36 24,66 64,60 94,32 76,6 54,36 42,100",
        "72,0 40,20 4,38|4,38 40,46 74,48|74,0 74,50 74,100"],
    5: ["86,3 56,3 24,4|24,4 20,24 17,44|17,44 62,36 92,66 64,98 6,90",
        "26,2 22,24 19,46|19,46 70,40 88,74 46,100 6,86|25,3 58,3 90,0",
        "92,4 36,6 16,38 52,42 76,66 48,98 8,88",
        "86,3 62,2 36,2|36,2 36,14 36,28|36,28 74,26 98,58 72,92 34,98 6,80 2,58"],
    6: ["72,0 30,26 6,64 28,98 76,92 84,64 46,52 10,72",
        "82,6 36,14 8,60 38,100 86,76 56,50 14,70",
        "88,18 68,0 28,20 6,66 36,100 82,84 68,54 34,54 10,72",
        "74,20 84,6 54,0 18,26 4,66 36,100 80,82 66,56 12,70",
        "100,26 60,4 24,18 4,60 30,100 66,84 54,48 18,46 6,62",
        "84,2 50,2 14,2|14,2 14,50 14,97|14,97 50,98 90,97|90,97 89,72 88,48|88,48 50,47 14,48"],
    7: ["6,4 48,3 92,3|92,3 58,44 38,100",
        "6,4 48,3 92,3|92,3 62,50 34,100|28,52 54,51 80,48",
        "6,20 8,11 10,3|10,3 50,3 92,2|92,2 62,42 44,100",
        "4,16 24,2 56,12 92,2|92,2 58,50 42,100",
        "4,16 24,2 56,12 92,2|92,2 58,50 36,100|24,54 54,52 82,48",
        "4,26 6,14 8,3|8,3 50,3 92,3|92,3 90,52 76,100"],
    8: ["76,12 42,0 18,24 56,48 86,76 50,100 14,76 46,50 82,22 74,10",
        "50,48 16,24 50,0 84,24 50,48|50,48 8,76 50,100 92,76 50,48",
        "92,8 50,0 28,24 56,48 76,76 40,100 14,78 50,50 82,28 88,4",
        "30,42 14,18 50,0 82,16 56,44 18,76 44,100 86,78 50,52 20,26",
        "92,12 62,0 40,20 58,48 52,80 18,100 4,84 32,64 96,44"],
    9: ["86,14 46,0 10,28 40,52 80,34 86,12|86,12 82,60 70,100",
        "82,20 42,0 14,30 50,50 84,18|84,18 82,76 52,100 14,90",
        "86,8 42,0 8,28 40,48 82,30 86,8|86,8 92,66 70,96 30,100 4,84",
        "80,16 46,0 10,22 40,46 82,26|80,14 79,56 78,100",
        "0,42 40,46 86,26 70,0 40,8 42,46 56,100",
        "74,2 34,6 10,28 38,48 98,12|98,12 72,56 40,100"],
}


def draw_digits(count):
    """Draws `count` digits: images uint8 (count, 1, 28, 28), labels int64 (count,), in any order.

    As in MNIST, they are white on black. Every digit, and of a digit every form, comes equally
    often. The same count gives the same images.
    """
    chance = np.random.default_rng(0)
    images, labels = [], []
    for digit, forms in FORMS.items():
        for i, form in enumerate(forms):
            n = len(range(10 * i + digit, count, 10 * len(forms)))
            images.append(draw_form(form, n, chance))
            labels.append(torch.full((n,), digit))
    return torch.cat(images), torch.cat(labels)


def draw_form(form, n, chance):
    """Draws one of FORMS n times: uint8 (n, 1, 28, 28). No two are alike.

    chance: a numpy Generator.
    """
    lines = write(form, n, chance)
    return place(paint(lines, chance.uniform(*STROKE, n) / 2))


def read_form(form):
    """The points (N, 2) of each stroke of a form, in a text as in FORMS, from 0 to 1."""
    return [np.array([pair.split(",") for pair in stroke.split()], dtype=float) / 100
            for stroke in form.split("|")]


def write(form, n, chance):
    """Writes a form n times: the points x, y along its lines, (n, P, 2), about 1 tall."""
    strokes = [spline(points + chance.normal(0, JITTER, (n, *points.shape)), steps=10)
               for points in read_form(form)]
    x, y = np.moveaxis(np.concatenate(strokes, axis=1), 2, 0)  # (n, P) each
    x = chance.uniform(*WIDTH, (n, 1)) * x - chance.uniform(*SLANT, (n, 1)) * y
    return np.stack([x, y], axis=2)


def paint(lines, radius):
    """Draws lines (n, P, 2) with round pens of a radius (n,) in pixels: ink (n, 28, 28), 0 to 1.

    Pen and soft edge included, each fits into a box of BOX pixels in the middle.
    """
    radius = radius[:, None, None]
    lines = lines - lines.min(1, keepdims=True)
    lines *= (BOX - 1 - 2 * radius) / lines.max((1, 2), keepdims=True)
    lines += (SIDE - 1 - lines.max(1, keepdims=True)) / 2
    side = torch.arange(SIDE, dtype=torch.double)
    pixels = torch.cartesian_prod(side, side).flip(1)  # (784, 2): x, y
    # Without matrix products, whose rounding differs from one machine to the next.
    away = torch.cdist(pixels.expand(len(lines), -1, -1), torch.from_numpy(lines),
                       compute_mode="donot_use_mm_for_euclid_dist").amin(2)  # (n, 784), in pixels
    return (torch.from_numpy(radius[:, 0]) + 0.5 - away).clamp(0, 1).view(-1, SIDE, SIDE)


def place(ink):
    """Brings the centre of mass of ink (n, 28, 28) to the middle, as NIST did: uint8 images.

    It moves by whole pixels, as far as a digit in a box of BOX pixels has room.
    """
    side, room = torch.arange(SIDE), (SIDE - BOX) // 2
    y, x = (  # (n, 28) each: where a row or column comes from
        (side + (centre - CENTRE).round().clamp(-room, room).long()[:, None]) % SIDE
        for centre in (ink.sum(axis) @ side.to(ink) / ink.sum((1, 2)) for axis in (2, 1)))
    ink = ink[torch.arange(len(ink))[:, None, None], y[:, :, None], x[:, None]]
    return (255 * ink).round().to(torch.uint8)[:, None]  # (n, 1, 28, 28)


def spline(points, steps):
    """Catmull-Rom splines through points (..., N, 2): (..., steps * (N - 1), 2)."""
    first, last = points[..., :1, :], points[..., -1:, :]
    ends = np.concatenate([2 * first - points[..., 1:2, :], points,
                           2 * last - points[..., -2:-1, :]], axis=-2)
    t = np.linspace(0, 1, steps)[:, None]
    a, b, c, d = (ends[..., i:ends.shape[-2] - 3 + i, None, :] for i in range(4))
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.reshape(*points.shape[:-2], steps * (points.shape[-2] - 1), 2)
