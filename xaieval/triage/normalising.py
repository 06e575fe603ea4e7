"""Scores of any kind on one scale: 0 is the worst map, 1 the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xaieval.metrics import MetricCall

Floats = npt.NDArray[np.float64]


def normalised(values: Floats, *, metric: MetricCall, pool: Sequence[int]) -> Floats:
    """Return scores (n, M) on a scale from 0 (worst) to 1 (best).

    A score with finite bounds [a, b] becomes (v − a) / (b − a). Where a bound is infinite there
    is no such scale; the score then becomes its mid-rank among all scores of the columns in
    ``pool``: the share that is smaller plus half the share that is equal. Where smaller is better
    the result is turned round. NaN stays NaN; a number that is no quality becomes NaN.

    >>> from xaieval.metrics import parse_metric
    >>> normalised(np.array([[0.25, 1.0]]), metric=parse_metric("iou"), pool=[0, 1])
    array([[0.25, 1.  ]])
    >>> normalised(np.array([[3.0, 3.0, 9.0, 5.0]]), metric=parse_metric("lift"), pool=[0, 1, 2, 3])
    array([[0.25 , 0.25 , 0.875, 0.625]])
    """
    if metric.higher_is_better is None:
        return np.full(values.shape, np.nan)
    low, high = metric.bounds
    if math.isfinite(low) and math.isfinite(high) and high > low:
        found = (values - low) / (high - low)
    else:
        found = _mid_ranks(values, values[:, list(pool)])
    return found if metric.higher_is_better else 1 - found


def _mid_ranks(values: Floats, pool: Floats) -> Floats:
    known = np.sort(pool[~np.isnan(pool)])
    if not len(known):
        return np.full(values.shape, np.nan)
    below = np.searchsorted(known, values, side="left")
    within = np.searchsorted(known, values, side="right")
    return np.where(np.isnan(values), np.nan, (below + within) / (2 * len(known)))
