"""Digits drawn by strokes, for machines without MNIST: 28×28 grey pictures, any number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xaieval.digest import rng

SIDE = 28
"""Height and width in px, as MNIST's."""
VERSION = 1
"""Raised by hand whenever the same arguments give other pixels."""

Points = npt.NDArray[np.float64]
Stroke = tuple[tuple[float, float], ...]
Glyph = tuple[Stroke, ...]

_STEPS = 6  # pieces of a curve between two of its points
_SOFT = 0.9  # px over which the border of a stroke fades
_SPACING = 0.5  # px; distances near a border are then at most 0.04 px too long


def _arc(
    x: float, y: float, width: float, height: float, start: float, turn: float, points: int = 9
) -> Stroke:
    """Return points on an ellipse; angles in degrees, 0 is right, 90 is down."""
    angles = np.radians(np.linspace(start, start + turn, points))
    return tuple(
        (x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles.tolist()
    )


# Ways to write each digit, in a box from (0, 0), upper left, to (1, 1). Points (x, y) are joined by
# a smooth curve; a point named twice in a row makes a corner.
_A, _B = (0.12, 0.95), (0.9, 0.95)
GLYPHS: tuple[tuple[Glyph, ...], ...] = (
    (  # 0
        (_arc(0.5, 0.5, 0.38, 0.5, -90, -360, 13),),
        (_arc(0.5, 0.5, 0.3, 0.5, -70, -350, 13),),
    ),
    (  # 1
        (((0.5, 0.0), (0.5, 0.5), (0.5, 1.0)),),
        (((0.28, 0.25), (0.54, 0.0), (0.54, 0.0), (0.54, 0.5), (0.54, 1.0)),),
        (
            ((0.3, 0.22), (0.54, 0.0), (0.54, 0.0), (0.54, 1.0)),
            ((0.28, 1.0), (0.8, 1.0)),
        ),
    ),
    (  # 2
        (((0.12, 0.22), (0.3, 0.03), (0.65, 0.02), (0.84, 0.25), (0.6, 0.58), _A, _A, _B),),
        (
            (
                *((0.15, 0.2), (0.4, 0.0), (0.75, 0.12), (0.72, 0.42), (0.4, 0.8), (0.15, 0.92)),
                *((0.12, 0.76), (0.34, 0.76), (0.6, 0.94), (0.95, 0.88)),
            ),
        ),
    ),
    (  # 3
        (
            (
                *((0.15, 0.12), (0.45, 0.0), (0.78, 0.16), (0.68, 0.4), (0.4, 0.47), (0.4, 0.47)),
                *((0.75, 0.56), (0.84, 0.78), (0.55, 1.0), (0.12, 0.9)),
            ),
        ),
        (
            (
                *((0.15, 0.03), (0.8, 0.03), (0.8, 0.03), (0.45, 0.42), (0.45, 0.42)),
                *((0.8, 0.55), (0.8, 0.88), (0.5, 1.0), (0.14, 0.9)),
            ),
        ),
    ),
    (  # 4
        (
            ((0.22, 0.0), (0.16, 0.3), (0.14, 0.55), (0.14, 0.55), (0.5, 0.56), (0.9, 0.52)),
            ((0.74, 0.02), (0.72, 0.5), (0.7, 1.0)),
        ),
        (((0.66, 1.0), (0.66, 0.0), (0.66, 0.0), (0.08, 0.66), (0.08, 0.66), (0.95, 0.66)),),
    ),
    (  # 5
        (
            (
                *((0.85, 0.02), (0.28, 0.02), (0.28, 0.02), (0.22, 0.45), (0.22, 0.45)),
                *((0.55, 0.38), (0.84, 0.56), (0.8, 0.85), (0.5, 1.0), (0.12, 0.9)),
            ),
        ),
        (
            ((0.3, 0.05), (0.25, 0.42), (0.6, 0.42), (0.8, 0.68), (0.55, 0.98), (0.15, 0.93)),
            ((0.3, 0.05), (0.55, 0.07), (0.88, 0.0)),
        ),
    ),
    (  # 6
        (
            (
                *((0.7, 0.0), (0.36, 0.25), (0.18, 0.65), (0.32, 0.95), (0.62, 0.97)),
                *((0.8, 0.75), (0.62, 0.52), (0.36, 0.58), (0.22, 0.78)),
            ),
        ),
        (
            (
                *((0.45, 0.0), (0.2, 0.4), (0.16, 0.75), (0.4, 1.0), (0.75, 0.9)),
                *((0.76, 0.62), (0.5, 0.52), (0.2, 0.7)),
            ),
        ),
    ),
    (  # 7
        (((0.1, 0.05), (0.86, 0.05), (0.86, 0.05), (0.6, 0.5), (0.42, 1.0)),),
        (
            ((0.1, 0.16), (0.15, 0.03), (0.85, 0.05), (0.85, 0.05), (0.52, 0.5), (0.4, 1.0)),
            ((0.3, 0.52), (0.8, 0.48)),
        ),
    ),
    (  # 8
        (
            (
                *((0.76, 0.15), (0.5, 0.0), (0.24, 0.14), (0.32, 0.36), (0.66, 0.6)),
                *((0.8, 0.82), (0.5, 1.0), (0.2, 0.84), (0.34, 0.6), (0.68, 0.36), (0.76, 0.15)),
            ),
        ),
        (_arc(0.5, 0.24, 0.25, 0.24, 90, 360, 11), _arc(0.5, 0.74, 0.32, 0.26, -90, 360, 11)),
    ),
    (  # 9
        (
            (
                *((0.8, 0.2), (0.55, 0.0), (0.22, 0.16), (0.26, 0.44), (0.56, 0.46), (0.8, 0.2)),
                *((0.8, 0.2), (0.76, 0.6), (0.68, 1.0)),
            ),
        ),
        (_arc(0.48, 0.26, 0.3, 0.26, 0, -360, 11), ((0.78, 0.24), (0.76, 0.65), (0.42, 1.0))),
    ),
)


def draw_digit(digit: int, index: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Draw a digit, uint8 (28, 28): 0 is ground, 255 the middle of a stroke.

    One of two or three ways to write it, with its points moved, slanted by up to 20°, turned by up
    to 9°, 15 to 20 px high, 1.6 to 3.6 px thick, its centre of mass within 1.5 px of the middle.
    The same arguments give the same pixels.

    >>> draw_digit(1, 0, seed=0).shape, int(draw_digit(8, 3, seed=1).max())
    ((28, 28), 255)
    """
    random = rng("digits", seed, digit, index)
    glyphs = GLYPHS[digit]
    glyph = glyphs[int(random.integers(len(glyphs)))]
    height = random.uniform(15, 20)
    width = height * random.uniform(0.5, 0.85)
    slant = math.tan(math.radians(min(max(random.normal(6, 7), -20), 20)))
    turn = math.radians(random.uniform(-9, 9))
    thickness = random.uniform(1.6, 3.6)
    about = np.array(((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))))
    matrix = about @ np.array(((width, -slant * height), (0, height)))
    lines = []
    for stroke in glyph:
        points = np.array(stroke)
        moved = points + random.normal(0, 0.025, points.shape)
        same = (points[1:] == points[:-1]).all(1)
        moved[1:][same] = moved[:-1][same]  # a corner stays one
        lines.append((_curve(moved) - 0.5) @ matrix.T)
    centre = np.concatenate([(line[1:] + line[:-1]) / 2 for line in lines])
    length = np.concatenate([np.hypot(*(line[1:] - line[:-1]).T) for line in lines])
    middle = SIDE / 2 + random.uniform(-1.5, 1.5, 2) - np.average(centre, axis=0, weights=length)
    inside = _fit([line + middle for line in lines], margin=thickness / 2 + 1)
    ink = np.clip((thickness / 2 - _distance(inside)) / _SOFT + 0.5, 0, 1)
    drawn: npt.NDArray[np.uint8] = np.round(255 * ink / ink.max()).astype(np.uint8)
    return drawn


def _curve(points: Points) -> Points:
    """Return a Catmull-Rom curve through some points (n, 2); straight where there are two."""
    before = np.concatenate([points[:1], points[:-1]])[:-1, None]
    start, end = points[:-1, None], points[1:, None]
    after = np.concatenate([points[1:], points[-1:]])[1:, None]
    t = np.linspace(0, 1, _STEPS, endpoint=False)[None, :, None]
    curve: Points = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def _fit(lines: Sequence[Points], *, margin: float) -> list[Points]:
    """Move lines that leave the picture back inside, by as little as possible."""
    every = np.concatenate(lines)
    low, high = every.min(0), every.max(0)
    shift = np.maximum(margin - low, 0) + np.minimum(SIDE - margin - high, 0)
    return [line + shift for line in lines]


def _distance(lines: Sequence[Points]) -> npt.NDArray[np.float64]:
    """Return the distance (px) of each pixel's centre to the nearest line, (28, 28)."""
    points = np.concatenate([_dense(line) for line in lines])
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1) + 0.5
    # |c - p|² = |c|² + |p|² - 2 c·p, many times faster than all differences
    products = points @ np.stack([x, y])
    nearest = (np.square(points).sum(1)[:, None] - 2 * products).min(0)
    distance: npt.NDArray[np.float64] = np.sqrt(np.maximum(nearest + x**2 + y**2, 0))
    return distance.reshape(SIDE, SIDE)


def _dense(line: Points) -> Points:
    """Return points at most ``_SPACING`` px apart on a line of straight pieces."""
    along = np.concatenate([[0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    places = np.linspace(0, along[-1], math.ceil(along[-1] / _SPACING) + 1)
    return np.stack([np.interp(places, along, line[:, axis]) for axis in (0, 1)], axis=1)
