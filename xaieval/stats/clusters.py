"""Correlation where points belong together: whole clusters are resampled, not points.

The same image recurs under every seed and class; its points are no news of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from xaieval.errors import unknown
from xaieval.stats.bootstrap import draws
from xaieval.stats.correlation import Kind, pearson
from xaieval.stats.intervals import (
    CONFIDENCE,
    REPLICATES,
    Floats,
    check_replicates,
    percentiles,
)
from xaieval.stats.populations import Frame, need

_CELLS = 4_000_000  # float64 of one block of replicates: 32 MB


@dataclass(frozen=True)
class ClusteredCorrelation:
    """A correlation over points that come in clusters.

    Attributes
    ----------
    kind : {"pearson", "spearman"}
    r : float
        Over all points; NaN for fewer than 3 or where one side has a single value.
    low, high : float
        Percentile interval over resampled clusters; NaN for fewer than 3 clusters.
    n, n_clusters : int
        Points with both values, and clusters that hold them.
    confidence : float
    """

    kind: Kind
    r: float
    low: float
    high: float
    n: int
    n_clusters: int
    confidence: float = CONFIDENCE


def clustered_correlation(
    frame: Frame,
    x: str,
    y: str,
    *,
    cluster: str = "sample_id",
    kind: Kind = "spearman",
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    rng: int = 0,
) -> ClusteredCorrelation:
    """Return the correlation of two columns with a cluster bootstrap interval.

    Parameters
    ----------
    frame : DataFrame
        Columns ``x``, ``y`` and ``cluster``. Rows with a NaN are left out.
    kind : {"pearson", "spearman"}
        Spearman ranks anew in every replicate, tied values sharing their mean rank.

    Raises
    ------
    ResultsError
        When a column is missing.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"sample_id": list("abcdef"), "x": range(6), "y": [0, 1, 2, 3, 4, 5]})
    >>> found = clustered_correlation(frame, "x", "y")
    >>> found.r, round(found.low, 9), round(found.high, 9), found.n_clusters
    (1.0, 1.0, 1.0, 6)
    """
    if kind not in ("pearson", "spearman"):
        raise unknown("kind of correlation", kind, ("pearson", "spearman"))
    need(frame, [cluster, x, y])
    check_replicates(replicates)
    rows = frame[[cluster, x, y]].dropna()
    a, b = (rows[name].to_numpy(np.float64) for name in (x, y))
    names, group = np.unique(rows[cluster].to_numpy(str), return_inverse=True)
    n, clusters = len(rows), len(names)
    if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return ClusteredCorrelation(kind, math.nan, math.nan, math.nan, n, clusters, confidence)
    r = pearson(rankdata(a), rankdata(b)) if kind == "spearman" else pearson(a, b)
    low, high = math.nan, math.nan
    if clusters >= 3:
        generator = np.random.default_rng(rng)
        found: list[Floats] = []
        block = max(1, _CELLS // n)
        for start in range(0, replicates, block):
            drawn = draws(generator, clusters, min(block, replicates - start))
            found.append(weighted_r(a, b, drawn[:, group], kind))
        low, high = percentiles(np.concatenate(found), confidence)
    return ClusteredCorrelation(kind, r, low, high, n, clusters, confidence)


def weighted_r(a: Floats, b: Floats, weights: Floats, kind: Kind) -> Floats:
    """Return r of points that count so often: float64 (R,), NaN where a side has one value.

    ``a``, ``b`` (n,); ``weights`` (R, n), whole numbers.
    """
    if kind == "spearman":
        x, y = weighted_ranks(a, weights), weighted_ranks(b, weights)
    else:
        x, y = (np.broadcast_to(v - v.mean(), weights.shape) for v in (a, b))
    total = weights.sum(axis=1)
    mean_x, mean_y = ((weights * v).sum(axis=1) / total for v in (x, y))
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    both = (weights * x * y).sum(axis=1)
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    scale = np.abs(x).max(axis=1) * np.abs(y).max(axis=1) * total
    some = spread > 1e-12 * scale
    found: Floats = np.divide(both, spread, out=np.full(len(weights), np.nan), where=some)
    return np.clip(found, -1, 1)


def weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Return mean ranks of values that count so often: float64 (R, n).

    >>> weighted_ranks(np.array([5.0, 1.0, 5.0]), np.array([[1.0, 2.0, 1.0]]))  # 1 1 5 5
    array([[3.5, 1.5, 3.5]])
    """
    order = np.argsort(values, kind="stable")
    in_order = values[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    group = np.cumsum(np.r_[False, in_order[1:] != in_order[:-1]])
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(counts, axis=1) - (counts - 1) / 2
    out: Floats = np.empty_like(weights)
    out[:, order] = ranks[:, group]
    return out
