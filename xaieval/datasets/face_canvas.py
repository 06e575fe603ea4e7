"""A canvas in head units that remembers which part has each pixel, and soft shapes to fill."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.datasets.face_parts import BACKGROUND

Field = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Window:
    """A rectangle of pixels with its coordinates in head units (x right, y down)."""

    rows: slice
    columns: slice
    x: Field
    y: Field


class Canvas:
    """Colours float32 (S, S, 3) and part numbers uint8 (S, S), painted back to front.

    Parameters
    ----------
    size : int
        Side (px).
    centre : (x, y)
        Of the head, in half sides from the middle.
    scale : float
        A head unit in half sides.
    roll : float
        The head's turn in the picture's plane (degrees).
    """

    def __init__(
        self, size: int, *, centre: tuple[float, float], scale: float, roll: float
    ) -> None:
        self.size = size
        self.px = scale * size / 2
        self.colour = np.zeros((size, size, 3), np.float32)
        self.labels = np.full((size, size), BACKGROUND, np.uint8)
        line = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
        across = (line[None, :] - np.float32(centre[0])) / np.float32(scale)
        down = (line[:, None] - np.float32(centre[1])) / np.float32(scale)
        self._turn = math.cos(math.radians(roll)), math.sin(math.radians(roll))
        cos, sin = map(np.float32, self._turn)
        self.x = np.asarray(across * cos + down * sin, np.float32)
        self.y = np.asarray(down * cos - across * sin, np.float32)
        shape = (size, size)
        self.body_x = np.broadcast_to(across, shape)
        self.body_y = np.broadcast_to(down, shape)
        self._origin = ((centre[0] + 1) * size / 2 - 0.5, (centre[1] + 1) * size / 2 - 0.5)

    def window(self, left: float, right: float, top: float, bottom: float) -> Window:
        """Return the smallest window that holds a rectangle in head units."""
        cos, sin = self._turn
        corners = [(x, y) for x in (left, right) for y in (top, bottom)]
        columns = [self._origin[0] + (x * cos - y * sin) * self.px for x, y in corners]
        rows = [self._origin[1] + (x * sin + y * cos) * self.px for x, y in corners]
        row, column = _span(rows, self.size), _span(columns, self.size)
        return Window(row, column, self.x[row, column], self.y[row, column])

    def all(self, *, body: bool = False) -> Window:
        """Return the whole canvas; ``body`` for coordinates that do not turn with the head."""
        whole = slice(0, self.size)
        x, y = (self.body_x, self.body_y) if body else (self.x, self.y)
        return Window(whole, whole, x, y)

    def cover(self, distance: Field) -> Field:
        """Return the coverage 0 to 1 of pixels at a signed distance (head units, inside < 0)."""
        return np.asarray(np.clip(0.5 - distance * np.float32(self.px), 0, 1), np.float32)

    def paint(self, part: int, window: Window, cover: Field, colour: Field) -> None:
        """Lay a colour (3,) or (h, w, 3) over a window; covered by half, a pixel is the part's."""
        under = self.colour[window.rows, window.columns]
        under += cover[:, :, None] * (colour - under)
        labels = self.labels[window.rows, window.columns]
        labels[cover >= 0.5] = part

    def tint(self, window: Window, cover: Field, colour: Field) -> None:
        """Lay a colour over a window and leave the parts as they are."""
        under = self.colour[window.rows, window.columns]
        under += cover[:, :, None] * (colour - under)


def _span(places: list[float], size: int) -> slice:
    low = min(max(math.floor(min(places)) - 1, 0), size - 1)
    return slice(low, min(max(math.ceil(max(places)) + 2, low + 1), size))


def ellipse(x: Field, y: Field, a: float, b: float) -> Field:
    """Return the signed distance (to first order) from an ellipse about 0 with half axes a, b."""
    u, v = x / np.float32(a), y / np.float32(b)
    f = np.sqrt(u * u + v * v)
    slope = np.sqrt((u / np.float32(a)) ** 2 + (v / np.float32(b)) ** 2) + np.float32(1e-6)
    return np.asarray(np.where(f < 0.1, -min(a, b), (f - 1) * f / slope), np.float32)


def box(x: Field, y: Field, a: float, b: float, corner: float = 0.0) -> Field:
    """Return the signed distance from a rectangle about 0 with half sides a, b, corners rounded."""
    u = np.abs(x) - np.float32(a - corner)
    v = np.abs(y) - np.float32(b - corner)
    outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(u, v), 0) - np.float32(corner), np.float32)
