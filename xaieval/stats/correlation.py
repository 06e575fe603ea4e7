"""Correlation of two scores with p, interval, and how strong it would have to be to tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any, Literal

import numpy as np
from scipy.stats import norm, rankdata, t

from xaieval.errors import ResultsError, unknown
from xaieval.stats.intervals import CONFIDENCE, Floats

Kind = Literal["pearson", "spearman"]
ALPHA = 0.01
"""The p below which the regional study calls a correlation shown."""
EXACT_UP_TO = 8
"""Up to so many points p of Spearman's rho is counted over all orders: 8! = 40,320."""


@dataclass(frozen=True)
class Correlation:
    """A correlation over n points.

    Attributes
    ----------
    kind : {"pearson", "spearman"}
    r : float
        NaN for fewer than 3 points, or where one side has a single value.
    p : float
        Two-sided, of no correlation.
    low, high : float
        Fisher's interval; NaN for fewer than 4 points.
    n : int
        Points with both values.
    needed : float
        The smallest |r| that gives p < alpha with n points; NaN where none does.
    alpha : float
    left_out : int
        Points that lack a value.
    """

    kind: Kind
    r: float
    p: float
    low: float
    high: float
    n: int
    needed: float
    alpha: float = ALPHA
    left_out: int = 0


def correlation(
    x: Any,
    y: Any,
    *,
    kind: Kind = "pearson",
    alpha: float = ALPHA,
    confidence: float = CONFIDENCE,
) -> Correlation:
    """Return the correlation of two lists of numbers; points with a NaN are left out.

    p of Pearson's r is Student's; of Spearman's rho it is exact up to 8 points (all orders of the
    values there are, ties included) and Student's above. The interval is tanh(artanh r ± z s) with
    s = 1 / √(n − 3), times √(1 + r² / 2) for Spearman (Bonett and Wright 2000). All of this takes
    the points as independent: five methods judged on the same images are five points, not more.

    Raises
    ------
    ResultsError
        When the lists differ in length.

    >>> found = correlation([1, 2, 3, 4, 5], [5, 3, 4, 2, 1])
    >>> round(found.r, 3), round(found.p, 3), found.n, round(found.needed, 3)
    (-0.9, 0.037, 5, 0.959)
    """
    if kind not in ("pearson", "spearman"):
        raise unknown("kind of correlation", kind, ("pearson", "spearman"))
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ResultsError("the two sides differ in number", expected=a.shape, got=b.shape)
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    n, left_out = a.size, int(np.count_nonzero(~there))
    needed = needed_r(n, alpha=alpha, kind=kind)
    if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        nothing = math.nan
        return Correlation(kind, nothing, nothing, nothing, nothing, n, needed, alpha, left_out)
    if kind == "spearman":
        a, b = rankdata(a), rankdata(b)
    r = pearson(a, b)
    p = _exact_p(a, b, r) if kind == "spearman" and n <= EXACT_UP_TO else _student_p(r, n)
    ends = fisher(r, n, kind=kind, confidence=confidence)
    return Correlation(kind, r, p, *ends, n, needed, alpha, left_out)


def needed_r(n: int, *, alpha: float = ALPHA, kind: Kind = "pearson") -> float:
    """Return the smallest |r| that n points need for p < alpha; NaN where none is enough.

    >>> round(needed_r(5), 2), round(needed_r(30), 2)
    (0.96, 0.46)
    >>> needed_r(5, kind="spearman")  # 2 of 120 orders are as clear as any can be: p = 0.017
    nan
    """
    if n < 3:
        return math.nan
    if kind == "spearman" and n <= EXACT_UP_TO:
        null = _null(tuple(range(n)))
        clear = [v for v in np.unique(null) if float((null >= v - 1e-9).mean()) < alpha]
        return float(clear[0]) if clear else math.nan
    limit = float(t.ppf(1 - alpha / 2, n - 2))
    return limit / math.sqrt(limit * limit + n - 2)


def fisher(
    r: float, n: int, *, kind: Kind = "pearson", confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return Fisher's interval of a correlation of n points; NaN for n < 4.

    >>> [round(end, 3) for end in fisher(0.5, 28)]  # artanh 0.5 ± 1.96 / 5
    [0.156, 0.736]
    """
    if n < 4:
        return math.nan, math.nan
    if abs(r) >= 1:
        return r, r
    spread = 1 / math.sqrt(n - 3) * (math.sqrt(1 + r * r / 2) if kind == "spearman" else 1.0)
    z = float(norm.ppf((1 + confidence) / 2))
    return math.tanh(math.atanh(r) - z * spread), math.tanh(math.atanh(r) + z * spread)


def pearson(a: Floats, b: Floats) -> float:
    """Return Pearson's r of two arrays that are not constant, within [−1, 1]."""
    a, b = a - a.mean(), b - b.mean()
    r = float((a * b).sum() / math.sqrt(float((a * a).sum()) * float((b * b).sum())))
    return min(max(r, -1.0), 1.0)


def _student_p(r: float, n: int) -> float:
    if abs(r) == 1:
        return 0.0
    return float(2 * t.sf(abs(r) * math.sqrt((n - 2) / (1 - r * r)), n - 2))


def _exact_p(a: Floats, b: Floats, r: float) -> float:
    """Return the share of all orders of b whose |rho| is at least as large."""
    orders = b[_orders(b.size)]
    a = a - a.mean()
    found = (orders - b.mean()) @ a / math.sqrt(float((a * a).sum()) * float(b.size * b.var()))
    return float((np.abs(found) >= abs(r) - 1e-9).mean())


@lru_cache(maxsize=8)
def _null(ranks: tuple[int, ...]) -> Floats:
    """Return |rho| of every order of untied ranks."""
    a = np.asarray(ranks, np.float64)
    centred = a - a.mean()
    found: Floats = np.abs(centred[_orders(a.size)] @ centred) / float(centred @ centred)
    return np.round(found, 12)


@lru_cache(maxsize=8)
def _orders(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(list(permutations(range(n))), np.int64)
