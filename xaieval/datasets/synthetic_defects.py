"""Defects of the procedural hazelnut: each returns what it does to colour, relief and light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageDraw
from scipy import ndimage

Array = npt.NDArray[np.float32]
Points = list[tuple[float, float]]
_FINE = 4  # strokes are drawn this many times larger, then averaged, for soft edges


@dataclass(frozen=True, eq=False)
class Surface:
    """A nut's pose, and per pixel (H, W): position along and across its axis (-1..1 at the rim),
    radius (1 at the rim), height of the ellipsoid (0..1), and the pixel's covered share (0..1)."""

    size: int
    angle: float
    scale: float
    aspect: float
    center: tuple[float, float]
    along: Array
    across: Array
    radius: Array
    height: Array
    cover: Array

    def pixel(self, along: float, across: float) -> tuple[float, float]:
        """Return the (x, y) in px of a position on the nut."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        x = along * self.scale * cosine - across * self.scale * self.aspect * sine
        y = along * self.scale * sine + across * self.scale * self.aspect * cosine
        return (
            float((x + self.center[0] + 1) / 2 * self.size),
            float((y + self.center[1] + 1) / 2 * self.size),
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """What a defect adds: ``colour`` (H, W, 3) or (3,) over ``alpha``, ``relief`` to the bumps,
    factors ``shadow`` and ``gloss``, extra light ``glow``, and the ``mask`` cover (all (H, W))."""

    colour: Array
    alpha: Array
    relief: Array
    shadow: Array
    gloss: Array
    glow: Array
    mask: Array

    @staticmethod
    def none(size: int) -> Layer:
        """Return a layer that changes nothing."""
        zero, one = np.zeros((size, size), np.float32), np.ones((size, size), np.float32)
        return Layer(np.zeros(3, np.float32), zero, zero, one, one, zero, zero)


def strokes(size: int, lines: Sequence[tuple[Points, Sequence[float]]]) -> Array:
    """Draw polylines (px) with a width (px) at each point; return the cover (H, W) in 0..1."""
    big = size * _FINE
    canvas = PILImage.new("L", (big, big))
    draw = ImageDraw.Draw(canvas)
    for points, widths in lines:
        scaled = [(x * _FINE, y * _FINE) for x, y in points]
        for index in range(len(scaled) - 1):
            (x0, y0), (x1, y1) = scaled[index], scaled[index + 1]
            r0, r1 = widths[index] * _FINE / 2, widths[index + 1] * _FINE / 2
            length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6)
            nx, ny = -(y1 - y0) / length, (x1 - x0) / length
            draw.polygon(
                [
                    (x0 + nx * r0, y0 + ny * r0),
                    (x1 + nx * r1, y1 + ny * r1),
                    (x1 - nx * r1, y1 - ny * r1),
                    (x0 - nx * r0, y0 - ny * r0),
                ],
                fill=255,
            )
            draw.ellipse((x0 - r0, y0 - r0, x0 + r0, y0 + r0), fill=255)
        x1, y1 = scaled[-1]
        r1 = widths[-1] * _FINE / 2
        draw.ellipse((x1 - r1, y1 - r1, x1 + r1, y1 + r1), fill=255)
    return np.asarray(canvas.reduce(_FINE), np.float32) / np.float32(255)


def _spot(random: np.random.Generator, reach: float) -> tuple[float, float]:
    """Return a position on the nut, within ``reach`` of its middle and off the cap."""
    while True:
        along, across = random.uniform(-0.45, reach), random.uniform(-reach, reach)
        if np.hypot(along, across) <= reach:
            return float(along), float(across)


def _lit_edge(cover: Array, light: Array, shift_px: float) -> Array:
    """Return the band just outside a hollow on the side away from the light: it faces the light."""
    moved = ndimage.shift(cover, (-light[1] * shift_px, -light[0] * shift_px), order=1)
    band: Array = np.clip(moved - cover, 0, 1)
    return band


def crack(random: np.random.Generator, nut: Surface, light: Array) -> Layer:
    """A dark jagged line that branches, open in the middle and fine at its ends."""
    unit = nut.size / 192
    lines: list[tuple[Points, list[float]]] = []

    def walk(
        start: tuple[float, float], heading: float, length: float, width: float, depth: int
    ) -> None:
        n = max(int(length / 0.045), 3)
        along, across = start
        points, widths = [nut.pixel(along, across)], [width * (1.0 if depth else 0.35)]
        for i in range(1, n):
            heading += random.normal(0, 0.34) - 0.12 * np.sin(heading)
            along += 0.045 * np.cos(heading)
            across += 0.045 * np.sin(heading)
            if np.hypot(along, across) > 0.86:
                break
            part = i / (n - 1)
            belly = (1 - part) if depth else np.sin(np.pi * (0.12 + 0.85 * part))
            points.append(nut.pixel(along, across))
            widths.append(max(width * belly * random.uniform(0.7, 1.25), 0.7 * unit))
            if depth < 2 and random.random() < (0.17 if depth == 0 else 0.06):
                side = random.choice([-1, 1]) * random.uniform(0.5, 1.1)
                walk((along, across), heading + side, length * 0.38, width * 0.5, depth + 1)
        if len(points) > 1:
            lines.append((points, widths))

    along, across = _spot(random, 0.35)
    heading = random.normal(0, 0.5) + (np.pi if along > 0 else 0)
    length = random.uniform(0.75, 1.15)
    start = (along - 0.5 * length * np.cos(heading), across - 0.5 * length * np.sin(heading))
    norm = np.hypot(*start)
    if norm > 0.7:
        start = (start[0] * 0.7 / norm, start[1] * 0.7 / norm)
    walk(start, heading, length, random.uniform(4.0, 7.0) * unit, 0)
    cover = strokes(nut.size, lines)
    rim = _lit_edge(cover, light, 1.6 * unit)
    shadow = 1 - 0.22 * ndimage.gaussian_filter(cover, 1.8 * unit)
    inner = np.array([0.055, 0.028, 0.018], np.float32)
    return Layer(
        inner, 0.93 * cover, -0.020 * cover, shadow, 1 - cover, 0.35 * rim * (1 - cover), cover
    )


def cut(random: np.random.Generator, nut: Surface, light: Array) -> Layer:
    """One to three straight slits of a blade, pale inside with a dark lower lip."""
    unit = nut.size / 192
    lines: list[tuple[Points, list[float]]] = []
    along, across = _spot(random, 0.5)
    heading = random.uniform(0, np.pi)
    for index in range(int(random.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
        half = random.uniform(0.24, 0.42)
        width = random.uniform(4.2, 7.0) * unit
        a, b = along + index * random.uniform(0.12, 0.2), across + index * random.uniform(-0.1, 0.1)
        turned = heading + random.normal(0, 0.08)
        points: Points = []
        widths: list[float] = []
        for part in np.linspace(-1, 1, 11):
            p, q = a + half * part * np.cos(turned), b + half * part * np.sin(turned)
            if np.hypot(p, q) < 0.84:
                points.append(nut.pixel(float(p), float(q)))
                widths.append(max(width * (1 - abs(part) ** 2.2), 0.8 * unit))
        if len(points) > 1:
            lines.append((points, widths))
    cover = strokes(nut.size, lines)
    core = np.clip(ndimage.gaussian_filter(cover, 0.8 * unit) * 1.6 - 0.6, 0, 1)
    rim = _lit_edge(cover, light, 1.3 * unit)
    grain = random.standard_normal(cover.shape).astype(np.float32)
    flesh = np.array([0.82, 0.66, 0.43], np.float32) * (1 + 0.07 * grain)[..., None]
    lip = np.array([0.16, 0.085, 0.045], np.float32)
    colour = flesh * core[..., None] + lip * (1 - core[..., None])
    return Layer(
        colour.astype(np.float32),
        0.95 * cover,
        -0.012 * core,
        1 - 0.10 * ndimage.gaussian_filter(cover, 2.5 * unit),
        1 - cover,
        0.25 * rim * (1 - cover),
        cover,
    )


def hole(random: np.random.Generator, nut: Surface, light: Array) -> Layer:
    """One or two pits bored by a weevil: dark, round, with a lit far wall and a frayed edge."""
    unit = nut.size / 192
    axis = np.arange(nut.size, dtype=np.float32) + 0.5
    cover = np.zeros((nut.size, nut.size), np.float32)
    wall = np.zeros_like(cover)
    for _ in range(int(random.choice([1, 2], p=[0.75, 0.25]))):
        x, y = nut.pixel(*_spot(random, 0.58))
        radius = random.uniform(7.5, 13.0) * unit
        dx, dy = axis[None, :] - x, axis[:, None] - y
        turn = np.arctan2(dy, dx)
        edge = radius * (1 + 0.05 * np.cos(2 * turn + random.uniform(0, 6.28)))
        for wave in (5, 8, 13):
            edge = edge + radius * 0.022 * np.cos(wave * turn + random.uniform(0, 6.28))
        distance = np.hypot(dx, dy)
        disc = np.clip(edge - distance + 0.5, 0, 1).astype(np.float32)
        deep = np.hypot(dx - light[0] * radius * 0.30, dy - light[1] * radius * 0.30)
        inner = np.clip((0.86 * radius - deep) / (0.25 * radius) + 0.5, 0, 1)
        wall = np.maximum(wall, disc * (1 - inner))
        cover = np.maximum(cover, disc)
    rim = _lit_edge(cover, light, 1.8 * unit)
    dark, lit_wall = np.array([0.022, 0.014, 0.010]), np.array([0.34, 0.20, 0.11])
    colour = dark * (1 - wall[..., None]) + lit_wall * wall[..., None]
    return Layer(
        colour.astype(np.float32),
        0.97 * cover,
        -0.015 * cover,
        1 - 0.25 * ndimage.gaussian_filter(cover, 3.0 * unit),
        1 - cover,
        0.40 * rim * (1 - cover),
        cover,
    )


# Letters as pen strokes on a 2 by 3 field, x to the right and y down.
_LETTERS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((0, 3), (1, 0), (2, 3)), ((0.4, 2), (1.6, 2))),
    (((2, 0), (0, 0), (0, 3), (2, 3)), ((0, 1.5), (1.5, 1.5))),
    (((0, 0), (0, 3)), ((2, 0), (2, 3)), ((0, 1.5), (2, 1.5))),
    (((0, 0), (0, 3)), ((2, 0), (0, 1.6), (2, 3))),
    (((0, 3), (0, 0), (2, 3), (2, 0)),),
    (((0, 0), (2, 0)), ((1, 0), (1, 3))),
    (((0, 0), (2, 0), (0, 3), (2, 3)),),
    (((0, 0), (2, 3)), ((2, 0), (0, 3))),
    (((0, 0), (2, 0), (0.7, 3)),),
    (((1.5, 3), (1.5, 0), (0, 2), (2, 2)),),
    (((0, 3), (0, 0), (1.6, 0), (2, 0.8), (1.6, 1.6), (0, 1.6)),),
    (((2, 0.4), (1.4, 0), (0.5, 0), (0, 0.8), (0, 2.2), (0.5, 3), (1.4, 3), (2, 2.6)),),
)


def print_(random: np.random.Generator, nut: Surface, light: Array) -> Layer:
    """Two to four stamped letters in worn pale ink that follows the fibres."""
    unit = nut.size / 192
    count = int(random.integers(2, 5))
    letter = random.uniform(0.098, 0.130)
    tilt = random.uniform(0, 2 * np.pi)
    along, across = _spot(random, 0.30)
    lines: list[tuple[Points, list[float]]] = []
    width = random.uniform(2.8, 4.0) * unit
    for place, index in enumerate(random.integers(0, len(_LETTERS), count)):
        for stroke in _LETTERS[index]:
            points = []
            for px, py in stroke:
                p = (place * 2.9 + px - (count * 2.9 - 0.9) / 2) * letter
                q = (py - 1.5) * letter
                points.append(
                    nut.pixel(
                        along + p * np.cos(tilt) - q * np.sin(tilt),
                        across + p * np.sin(tilt) + q * np.cos(tilt),
                    )
                )
            lines.append((points, [width] * len(points)))
    cover = strokes(nut.size, lines) * (nut.radius < 0.93)
    worn = ndimage.gaussian_filter(random.standard_normal(cover.shape), 0.9 * unit)
    worn = np.clip(0.86 + 0.16 * worn / worn.std(), 0.45, 1).astype(np.float32)
    ink = np.array([0.80, 0.81, 0.78], np.float32) * random.uniform(0.85, 1.05)
    one = np.ones_like(cover)
    zero = np.zeros_like(cover)
    return Layer(ink.astype(np.float32), cover * worn, zero, one, 1 - 0.7 * cover, zero, cover)


DEFECTS: dict[str, Callable[[np.random.Generator, Surface, Array], Layer]] = {
    "crack": crack,
    "cut": cut,
    "hole": hole,
    "print": print_,
}
"""Class name -> what draws its defect."""
