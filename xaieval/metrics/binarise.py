"""From a heatmap to a set of pixels S: the published thresholds, by name."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from xaieval.errors import unknown
from xaieval.metrics.ranking import RankedMap

BINARISATIONS: dict[str, str] = {
    "minmax>=0.5": "min-max normalised map >= 0.5 (any share: minmax>=0.7)",
    "mean+1std": "R >= mean + 1 population standard deviation (any number: mean+2std)",
    "percentile": "R >= 90th percentile, linear between pixels (any other: percentile=95)",
    "otsu": "R > Otsu's threshold of a 256-bin histogram (Otsu 1979)",
}
"""Name -> the set S it makes."""

_NUMBER = r"(\d+(?:\.\d+)?)"
_FORMS = {
    "minmax": re.compile(rf"minmax>={_NUMBER}"),
    "std": re.compile(rf"mean\+{_NUMBER}std"),
    "percentile": re.compile(rf"percentile(?:={_NUMBER})?"),
    "otsu": re.compile("otsu"),
}
# mean + std of a map with two equally frequent values is its higher value: without this slack,
# relative to the range, rounding would decide whether those pixels belong to S.
_SLACK = 1e-12


def parse_binarisation(name: str) -> tuple[str, float]:
    """Return the kind of threshold (minmax, std, percentile, otsu) and its number.

    Raises
    ------
    ConfigError
        For an unknown name or a number out of range.

    >>> parse_binarisation("mean+1std"), parse_binarisation("percentile")
    (('std', 1.0), ('percentile', 90.0))
    """
    for kind, form in _FORMS.items():
        match = form.fullmatch(name)
        if match is None:
            continue
        number = float(match[1]) if match.groups() and match[1] is not None else 90.0
        if kind == "minmax" and not 0 < number <= 1:
            break
        if kind == "percentile" and not 0 <= number <= 100:
            break
        return kind, number
    raise unknown("binarisation", name, BINARISATIONS)


def threshold(ranked: RankedMap, name: str) -> Any:
    """Return the value t, in the map's dtype, for which S = {R >= t}.

    The threshold is computed in float64 and rounded up to the map's dtype, so that no pixel
    changes sides by rounding.

    >>> ranked = RankedMap(np.array([[0.0, 1.0], [3.0, 4.0]], np.float32))
    >>> threshold(ranked, "minmax>=0.5"), threshold(ranked, "percentile=50")
    (np.float32(2.0), np.float32(2.0))
    """
    kind, number = parse_binarisation(name)
    if kind == "otsu":
        return _round_up(_otsu(ranked), ranked.flat.dtype, strictly=True)
    if kind == "minmax":
        value = ranked.low + number * (ranked.high - ranked.low)
    elif kind == "std":
        value = ranked.total / ranked.size + number * ranked.std
        value -= _SLACK * (ranked.high - ranked.low)
    else:
        place = number / 100 * (ranked.size - 1)
        lower = math.floor(place)
        a = float(ranked.ascending[lower])
        b = float(ranked.ascending[min(lower + 1, ranked.size - 1)])
        value = a + (place - lower) * (b - a)
    return _round_up(value, ranked.flat.dtype)


def _round_up(value: float, dtype: np.dtype[Any], *, strictly: bool = False) -> Any:
    """Return the smallest number of a dtype that is >= value (or > value)."""
    rounded = dtype.type(value)
    if float(rounded) < value or (strictly and float(rounded) <= value):
        rounded = np.nextafter(rounded, dtype.type(np.inf))
    return rounded


def _otsu(ranked: RankedMap, bins: int = 256) -> float:
    """Return the centre of the bin after which the variance between both sides is largest."""
    edges = np.linspace(ranked.low, ranked.high, bins + 1)
    upto = np.searchsorted(ranked.ascending, edges, "left")
    upto[-1] = ranked.size
    counts = np.diff(upto).astype(np.float64)
    centres = (edges[:-1] + edges[1:]) / 2
    low, mass = np.cumsum(counts)[:-1], np.cumsum(counts * centres)
    high = ranked.size - low
    between = low * high * (mass[:-1] / low - (mass[-1] - mass[:-1]) / high) ** 2
    return float(centres[int(np.argmax(between))])
