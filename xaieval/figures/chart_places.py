"""Where points and their names stand in a chart, so that they hide each other least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.figures.boxes import spread

_SWARM = 40  # more points than this stand as a cloud as wide as they are dense


def swarm(values: npt.NDArray[np.float64], span: float) -> npt.NDArray[np.float64]:
    """Return a sideways place in [-1, 1] per value, without any random number.

    Few values stand side by side where they are near; many form a cloud that is as wide as they
    are dense (golden-ratio steps through the sorted values).

    >>> swarm(np.array([0.5, 0.5, 0.9]), 1.0).tolist()
    [-0.17, 0.17, 0.0]
    """
    if len(values) <= _SWARM:
        return np.asarray(spread((values / (span or 1.0)).tolist()), np.float64)
    counts, edges = np.histogram(values, bins=24)
    smooth = np.convolve(counts, [1, 2, 1], "same")
    width = np.interp(values, (edges[1:] + edges[:-1]) / 2, smooth) / smooth.max()
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray((2 * ((rank * 0.6180339887498949) % 1) - 1) * width * 0.95, np.float64)


Place = tuple[float, float, str]
_SPOTS: tuple[Place, ...] = (
    (9, 0, "left"),
    (-9, 0, "right"),
    (0, -15, "center"),
    (0, 15, "center"),
    (7, -12, "left"),
    (-7, -12, "right"),
    (7, 12, "left"),
    (-7, 12, "right"),
)


def name_places(
    points: pd.DataFrame,
    *,
    x_range: Sequence[float],
    y_range: Sequence[float],
    line: Sequence[Sequence[float]] | None = None,
    width: float = 760,
    height: float = 300,
) -> list[Place]:
    """Return where the name of each point stands: pixels right and down of it, and its alignment.

    One after the other, each takes the spot that covers least of other points and names.

    Parameters
    ----------
    points : DataFrame
        ``x, y, label``; ``low, high`` where the points have whiskers.
    line : ((x, y), (x, y)), optional
        A line that names keep clear of.
    width, height : float
        Of the plot, in pixels.

    >>> points = pd.DataFrame({"x": [0.1, 0.11], "y": [0.5, 0.5], "label": ["a", "b"]})
    >>> [align for _, _, align in name_places(points, x_range=(0, 1), y_range=(0, 1))]
    ['right', 'left']
    """
    (left, right), (bottom, top) = x_range, y_range

    def pixels(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        across = (np.asarray(x, np.float64) - left) / (right - left) * width
        return across, (top - np.asarray(y, np.float64)) / (top - bottom) * height

    across, down = pixels(points["x"], points["y"])
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in zip(across, down, strict=True)]
    if "low" in points:
        _, ends = pixels(points["x"], points["low"])
        _, tops = pixels(points["x"], points["high"])
        whiskers = zip(across, tops, ends, strict=True)
        taken += [(x - 3, y, x + 3, end) for x, y, end in whiskers if np.isfinite(y + end)]
    if line is not None:
        (x0, y0), (x1, y1) = line
        steps = zip(*pixels(np.linspace(x0, x1, 150), np.linspace(y0, y1, 150)), strict=True)
        taken += [(x - 3, y - 2, x + 3, y + 2) for x, y in steps]
    places = []
    for x, y, label in zip(across, down, points["label"], strict=True):
        long = 7.0 * len(label)
        found = []
        for spot in _SPOTS:
            start = x + spot[0] - {"left": 0.0, "center": long / 2, "right": long}[spot[2]]
            box = (start, y + spot[1] - 7, start + long, y + spot[1] + 7)
            outside = max(-box[0], 0) + max(box[2] - width, 0) + max(-box[1], 0)
            found.append((sum(_overlap(box, one) for one in taken) + 14 * outside, spot, box))
        _, spot, box = min(found, key=lambda one: one[0])  # the first of equals
        taken.append(box)
        places.append(spot)
    return places


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the area that two boxes (left, top, right, bottom) share."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)
