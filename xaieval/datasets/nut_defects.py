"""Shapes of the defects of the synthetic hazelnut: strokes and pits on the shell's tangent plane.

Lengths are in units of the nut's radius; a shape is a list of strokes whose half width may change
from end to end. The signed distance to a shape (negative inside) decides mask and appearance, so
the mask is exact by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]

# Letters and digits as strokes on a grid 4 wide and 6 high (x right, y down); own drawings.
GLYPHS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "A": (((0, 6), (2, 0), (4, 6)), ((0.8, 4), (3.2, 4))),
    "B": (((0, 3), (3, 3), (4, 4), (4, 5), (3, 6), (0, 6), (0, 0), (3, 0), (3.6, 1.5), (3, 3)),),
    "E": (((4, 0), (0, 0), (0, 6), (4, 6)), ((0, 3), (3, 3))),
    "F": (((4, 0), (0, 0), (0, 6)), ((0, 3), (3, 3))),
    "H": (((0, 0), (0, 6)), ((4, 0), (4, 6)), ((0, 3), (4, 3))),
    "K": (((0, 0), (0, 6)), ((4, 0), (0, 3.4), (4, 6))),
    "L": (((0, 0), (0, 6), (4, 6)),),
    "M": (((0, 6), (0, 0), (2, 3.4), (4, 0), (4, 6)),),
    "N": (((0, 6), (0, 0), (4, 6), (4, 0)),),
    "R": (((0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)), ((2, 3), (4, 6))),
    "T": (((0, 0), (4, 0)), ((2, 0), (2, 6))),
    "X": (((0, 0), (4, 6)), ((4, 0), (0, 6))),
    "Z": (((0, 0), (4, 0), (0, 6), (4, 6)),),
    "2": (((0, 1), (1, 0), (3, 0), (4, 1), (4, 2), (0, 6), (4, 6)),),
    "4": (((3, 6), (3, 0), (0, 4), (4, 4)),),
    "7": (((0, 0), (4, 0), (1.4, 6)),),
    "8": (((2, 3), (0.3, 1.5), (2, 0), (3.7, 1.5), (2, 3), (0, 4.5), (2, 6), (4, 4.5), (2, 3)),),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Strokes:
    """Segments from ``start`` to ``end`` (M, 2) with half widths ``width`` (M, 2) at both ends."""

    start: Field
    end: Field
    width: Field

    def distances(self, u: Field, v: Field) -> tuple[Field, Field]:
        """Return distance (M, N) from each point to each segment and the half width there."""
        delta = self.end - self.start
        length2 = np.maximum((delta**2).sum(1), 1e-12)[:, None]
        du, dv = u[None] - self.start[:, :1], v[None] - self.start[:, 1:]
        t = np.clip((du * delta[:, :1] + dv * delta[:, 1:]) / length2, 0, 1)
        distance = np.hypot(du - t * delta[:, :1], dv - t * delta[:, 1:])
        return distance, self.width[:, :1] + t * (self.width[:, 1:] - self.width[:, :1])


def _strokes(lines: list[tuple[list[tuple[float, float]], list[float]]]) -> Strokes:
    start = [point for points, _ in lines for point in points[:-1]]
    end = [point for points, _ in lines for point in points[1:]]
    width = [pair for _, widths in lines for pair in pairwise(widths)]
    return Strokes(
        np.array(start, np.float32), np.array(end, np.float32), np.array(width, np.float32)
    )


def _walk(
    r: np.random.Generator, x: float, y: float, heading: float, length: float, steps: int
) -> tuple[list[tuple[float, float]], list[float]]:
    """Return the points of a jagged line and the heading at each of them."""
    points, headings, wander = [(x, y)], [heading], 0.0
    for k in range(steps):
        wander = 0.6 * wander + r.uniform(-0.28, 0.28)
        zigzag = (0.55 if k % 2 else -0.55) * r.uniform(0.25, 1.15)
        step = length / steps * r.uniform(0.6, 1.4)
        x += step * math.cos(heading + wander + zigzag)
        y += step * math.sin(heading + wander + zigzag)
        points.append((x, y))
        headings.append(heading + wander)
    return points, headings


def crack(r: np.random.Generator) -> Strokes:
    """A jagged line that tapers to both ends, with one to three thinner branches."""
    length, heading, steps = r.uniform(0.95, 1.45), r.uniform(0, 2 * math.pi), 15
    points, headings = _walk(
        r,
        -length / 2 * math.cos(heading),
        -length / 2 * math.sin(heading),
        heading,
        length,
        steps,
    )
    widest, peak = r.uniform(0.030, 0.052), r.uniform(0.35, 0.65)
    along = np.linspace(0, 1, steps + 1)
    swell = np.where(along < peak, along / peak, (1 - along) / (1 - peak)) ** 0.7
    widths = (0.006 + widest * swell * r.uniform(0.65, 1.1, steps + 1)).tolist()
    lines = [(points, widths)]
    for at in r.choice(np.arange(3, steps - 2), size=int(r.integers(1, 4)), replace=False):
        side = float(r.choice((-1.0, 1.0)))
        branch, _ = _walk(
            r,
            points[at][0],
            points[at][1],
            headings[at] + side * r.uniform(0.6, 1.15),
            r.uniform(0.18, 0.42),
            5,
        )
        taper = np.linspace(0.55, 0.12, 6) * widths[at]
        lines.append((branch, taper.tolist()))
    return _strokes(lines)


def cut(r: np.random.Generator) -> Strokes:
    """One or two straight slits, hardly bent, pointed at the ends."""
    lines = []
    angle, count = r.uniform(0, math.pi), 1 + int(r.random() < 0.35)
    for k in range(count):
        length = r.uniform(0.75, 1.15) if k == 0 else r.uniform(0.4, 0.7)
        half, bend = r.uniform(0.028, 0.042), r.uniform(-0.05, 0.05)
        tilt = angle + r.uniform(-0.25, 0.25) * k
        offset = k * r.uniform(0.16, 0.26) * float(r.choice((-1.0, 1.0)))
        points, widths = [], []
        for t in np.linspace(-1, 1, 9):
            along, across = t * length / 2, offset + bend * (1 - t * t)
            points.append(
                (
                    along * math.cos(tilt) - across * math.sin(tilt),
                    along * math.sin(tilt) + across * math.cos(tilt),
                )
            )
            widths.append(0.004 + half * (1 - abs(t) ** 2.6))
        lines.append((points, widths))
    return _strokes(lines)


def hole(r: np.random.Generator) -> Strokes:
    """A round pit: a few short thick strokes about one centre make its edge uneven."""
    radius = r.uniform(0.13, 0.21)
    lines = []
    for angle in np.arange(5) * 2 * math.pi / 5 + r.uniform(0, 1):
        reach = radius * r.uniform(0.10, 0.26)
        tip = (reach * math.cos(angle), reach * math.sin(angle))
        lines.append(([(0.0, 0.0), tip], [radius * 0.86, radius * r.uniform(0.78, 0.9)]))
    return _strokes(lines)


def print_(r: np.random.Generator) -> Strokes:
    """Two to four printed characters on one line, slightly turned."""
    count, height = int(r.integers(2, 5)), r.uniform(0.30, 0.40)
    unit, half = height / 6, height * r.uniform(0.062, 0.085)
    pitch = unit * 4 + half * 2 + height * 0.16
    turn = r.uniform(-0.5, 0.5) + math.pi * float(r.integers(0, 2))
    cos, sin = math.cos(turn), math.sin(turn)
    lines = []
    for k, name in enumerate(r.choice(sorted(GLYPHS), size=count)):
        left = (k - (count - 1) / 2) * pitch - 2 * unit
        lift = r.uniform(-0.03, 0.03) * height
        for line in GLYPHS[str(name)]:
            flat = [(left + x * unit, (y - 3) * unit + lift) for x, y in line]
            points = [(x * cos - y * sin, x * sin + y * cos) for x, y in flat]
            lines.append((points, [half] * len(points)))
    return _strokes(lines)


SHAPES = {"crack": crack, "cut": cut, "hole": hole, "print": print_}
REACH = {"crack": 0.22, "cut": 0.30, "hole": 0.55, "print": 0.25}
"""How far from the middle of the visible side a defect's centre may lie (nut radii)."""


def signed_distance(
    shape: Strokes, u: Field, v: Field, *, pixel_area: float, lowest: float, highest: float
) -> Field:
    """Return the signed distance (N,) to a shape, its widths scaled into an area range.

    ``pixel_area`` is the share of the picture that one point stands for; ``lowest`` and
    ``highest`` bound the share of the picture that the shape covers.
    """
    distance, width = shape.distances(u, v)
    scale = 1.0
    signed: Field = (distance - width).min(0)
    for _ in range(12):
        share = float((signed < 0).sum()) * pixel_area
        if lowest <= share <= highest:
            break
        scale *= 1.15 if share < lowest else 0.87
        signed = (distance - scale * width).min(0)
    return signed
