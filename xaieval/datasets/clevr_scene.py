"""Scenes of sort-of-CLEVR: six objects of six colours, square or round, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.digest import rng
from xaieval.errors import ConfigError
from xaieval.types import Image, Mask

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "green": (44, 150, 44),
    "blue": (31, 90, 200),
    "orange": (255, 140, 20),
    "grey": (120, 120, 120),
    "yellow": (240, 220, 40),
}
SHAPES = ("square", "circle")
GROUND = (250, 250, 250)
VERSION = 1
"""Raised by hand whenever the same arguments give another scene or other pixels."""

_FINE = 4  # by which a pixel is divided, each way, to soften borders
_RADIUS = 5 / 75  # half a square's side, and a circle's radius, as a share of the picture's side
_APART = 2.9  # radii between two centres; the corners of two squares are 2.83 apart at least
_CLEAR = 0.02  # share of the side by which an answer is not a matter of taste


@dataclass(frozen=True)
class Thing:
    """One object: colour, shape, centre (y, x) as a share of the picture's side."""

    colour: str
    shape: str
    y: float
    x: float

    def distance(self, other: Thing) -> float:
        """Return how far the centres are apart, as a share of the side."""
        return float(np.hypot(self.y - other.y, self.x - other.x))


Scene = tuple[Thing, ...]
"""One object of each colour, in the order of ``COLOURS``."""


def make_scene(index: int, seed: int) -> Scene:
    """Return the scene of an index: no two objects touch, and every question has one answer.

    Nearest and furthest, left and right, top and bottom differ by 2 % of the side at least.
    """
    random = rng("sort-of-clevr", VERSION, seed, index)
    shapes = [SHAPES[int(it)] for it in random.integers(0, 2, len(COLOURS))]
    while True:
        places = random.uniform(_RADIUS * 1.2, 1 - _RADIUS * 1.2, (len(COLOURS), 2))
        if _unambiguous(places):
            return tuple(
                Thing(colour, shape, float(y), float(x))
                for colour, shape, (y, x) in zip(COLOURS, shapes, places, strict=True)
            )


def _unambiguous(places: npt.NDArray[np.float64]) -> bool:
    if (np.abs(places - 0.5) < _CLEAR).any():
        return False
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    others = np.sort(apart[~np.eye(len(places), dtype=bool)].reshape(len(places), -1), axis=1)
    if others[:, 0].min() < _APART * _RADIUS:
        return False
    gaps = np.diff(others, axis=1)
    return bool(min(gaps[:, 0].min(), gaps[:, -1].min()) >= _CLEAR)


def draw_scene(scene: Scene, size: int) -> tuple[Image, dict[str, Mask]]:
    """Return the picture and each object's mask by its colour.

    Parameters
    ----------
    size : int
        Side of the square picture (px), 24 or more.

    Returns
    -------
    uint8 (size, size, 3), and {colour: bool (size, size)}: the pixels that the object covers by
    half or more. Masks of two objects share no pixel.

    Raises
    ------
    ConfigError
        For a picture in which objects would have no pixels.
    """
    if size < 24:
        raise ConfigError("too small", where="sort-of-clevr", expected="size >= 24", got=size)
    fine = (np.arange(size * _FINE) + 0.5) / (size * _FINE)
    picture = np.empty((size, size, 3))
    picture[:] = GROUND
    masks = {}
    for thing in scene:
        dy, dx = np.abs(fine - thing.y)[:, None], np.abs(fine - thing.x)[None]
        if thing.shape == "square":
            inside = np.maximum(dy, dx) <= _RADIUS
        else:
            inside = dy**2 + dx**2 <= _RADIUS**2
        share = inside.reshape(size, _FINE, size, _FINE).mean((1, 3))
        picture += share[..., None] * (np.array(COLOURS[thing.colour]) - picture)
        masks[thing.colour] = share >= 0.5
    return np.rint(picture).astype(np.uint8), masks
