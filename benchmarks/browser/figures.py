"""Numbers of repeated timings, and whether they hold what was asked for."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile, a value that occurred: the smallest that 95 % do not exceed.

    >>> p95([0.1] * 19 + [0.9]), p95([0.1] * 18 + [0.8, 0.9])
    (0.1, 0.8)
    """
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def said(what: str, value: float, bound: float, *, unit: str = "ms") -> str:
    """Return a line that names a figure, its bound and whether it holds."""
    verdict = "holds" if value <= bound else "MISSED"
    return f"{what:62}{value:9.1f} {unit:4} asked for at most {bound:.1f} {unit}: {verdict}"
