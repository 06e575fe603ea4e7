"""Hair and hats of a drawn face."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xaieval.datasets.face_canvas import Canvas, Field, Window, box, ellipse
from xaieval.datasets.face_parts import PARTS
from xaieval.datasets.face_traits import HAIR_COLOURS, Person
from xaieval.datasets.nut_surface import look_up, noise_grid

HAIR, HAT = PARTS.index("hair"), PARTS.index("hat")

_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "Black_Hair": (0.13, 0.11, 0.11),
    "Blond_Hair": (0.86, 0.70, 0.40),
    "Brown_Hair": (0.38, 0.24, 0.15),
    "Gray_Hair": (0.66, 0.65, 0.64),
}


class Strands:
    """Texture of hair: fine across the strands, long along them. They run down from the crown."""

    def __init__(self, r: np.random.Generator) -> None:
        self._grid = noise_grid(r, 10, 300, (1.2, 0.6))

    def at(self, x: Field, y: Field, waves: float) -> Field:
        """Return values of mean 0 and deviation 1 at positions in head units."""
        around = np.arctan2(x, y + np.float32(1.75)) / np.float32(2 * np.pi)
        below = np.clip(y + np.float32(0.2), 0, 2)  # further down strands hang straight
        column = around + np.float32(0.04) * below * np.sign(x)
        column = column + np.float32(waves * 0.4) * np.sin(9 * y)
        row = np.clip((y + np.float32(1.3)) / np.float32(3.0), 0, 1)
        return look_up(self._grid, row, np.asarray(column, np.float32))


def hair_behind(
    canvas: Canvas, person: Person, attributes: Mapping[str, bool], strands: Strands
) -> None:
    """Paint the hair behind face, ears and neck, down to its length."""
    bottom = person.length
    window = canvas.window(-1.3, 1.3, -1.4, bottom + 0.2)
    x, y = window.x, window.y
    dome = _dome(x, y, person)
    side = 0.90 + person.waves * np.sin(8 * y) - 0.10 * np.clip(y, 0, 2) ** 2
    fall = np.maximum(np.abs(x) - side, np.maximum(-y, y - (bottom - 0.25 * x * x)))
    _paint(canvas, person, attributes, strands, window, np.minimum(dome, fall), 0.80)


def hair_in_front(
    canvas: Canvas, person: Person, attributes: Mapping[str, bool], strands: Strands
) -> None:
    """Paint the hair above the forehead: parted, or bangs down to the brows."""
    window = canvas.window(-1.1, 1.1, -1.4, 0.35)
    x, y = window.x, window.y
    far = np.abs(x) / np.float32(person.width)
    if attributes["Bangs"]:
        tips = 0.022 * np.sin(31 * x + 4 * person.parting) + 0.014 * np.sin(67 * x)
        line = -0.43 + 0.26 * far**4 + tips
    else:
        line = person.hairline + 0.07 * person.parting * x + 0.50 * far**2.6
    over = np.maximum(_dome(x, y, person), y - np.minimum(line, 0.05))
    _paint(canvas, person, attributes, strands, window, over, 1.0)


def hat(canvas: Canvas, person: Person, strands: Strands) -> None:
    """Paint a hat: a crown with a brim, or a cap with a folded band."""
    window = canvas.window(-1.35, 1.35, -1.6, -0.4)
    x, y = window.x, window.y
    crown = np.maximum(ellipse(x, y + np.float32(0.62), 0.94, 0.74), y + np.float32(0.6))
    wide, high = (1.16, 0.055) if person.brimmed else (0.97, 0.10)
    brim = box(x, y + np.float32(0.64), wide, high, 0.05)
    cover = canvas.cover(np.minimum(crown, brim))
    shade = 1.0 + 0.28 * person.light[0] * x - 0.16 * (y + 0.9)
    if not person.brimmed:
        shade = shade + 0.10 * np.sin(42 * x)
    shade = shade - 0.10 * (brim < 0) + 0.04 * strands.at(x, y, 0.0)
    band = (np.abs(y + 0.76) < 0.075) & (brim >= 0) & bool(person.brimmed)
    shade = np.where(band, 0.45 * shade, shade)
    colour = shade[:, :, None] * np.array(person.hat, np.float32)
    canvas.paint(HAT, window, cover, np.asarray(colour, np.float32))


def _dome(x: Field, y: Field, person: Person) -> Field:
    return ellipse(x, y + np.float32(0.16), person.width + 0.20, 1.06)


def _paint(
    canvas: Canvas,
    person: Person,
    attributes: Mapping[str, bool],
    strands: Strands,
    window: Window,
    distance: Field,
    shade: float,
) -> None:
    name = next(colour for colour in HAIR_COLOURS if attributes[colour])
    base = np.array(_COLOURS[name]) * (1 + 2 * (np.array(person.hair_jitter) - 0.5))
    x, y = window.x, window.y
    value = shade * (1 + 0.20 * person.light[0] * x)
    value = value + 0.15 * strands.at(x, y, person.waves)
    sheen = 0.13 * np.exp(-(((np.hypot(x, y + 0.1) - 0.88) / 0.12) ** 2)) * (y < -0.3)
    colour = value[:, :, None] * base + sheen[:, :, None] * shade * (0.4 + base)
    cover = canvas.cover(np.asarray(distance, np.float32))
    canvas.paint(HAIR, window, cover, np.asarray(colour, np.float32))
