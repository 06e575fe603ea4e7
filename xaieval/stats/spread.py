"""Spread and certainty: over seeds, of a share, as a box, of a classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.errors import ResultsError
from xaieval.stats.populations import Frame, need

FEW_IMAGES = 10
"""Groups with fewer images than this are marked: one image moves them by more than 10 %."""
FEW_SEEDS = 5
"""Groups with fewer seeds are marked: Wilcoxon's exact p of 4 differences is never below 0.125."""

Quartiles = Literal["linear", "hazen"]


def over_seeds(
    win_rates: Frame, *, confidence: float = 0.95, quartiles: Quartiles = "linear"
) -> Frame:
    """Return the spread of win rates over seeds, per split, class and method.

    Parameters
    ----------
    win_rates : DataFrame
        As from ``win_rates``. ``wins`` and ``n`` may be missing or NaN (published runs that give
        rates only): then there are no counts and no intervals.
    confidence : float in (0, 1)
    quartiles : {"linear", "hazen"}
        See ``box_statistics``.

    Returns
    -------
    DataFrame
        ``split, class, method_id, mean, std`` (population, ddof 0), ``median, q1, q3, n_seeds,
        n_images`` (summed over seeds), ``low, high`` (Wilson interval of the pooled counts),
        ``small`` (some seed has fewer than ``FEW_IMAGES`` images). Seeds without images are not
        counted. The same images recur under every seed, so pooled intervals are narrower than they
        should be: read them as the least uncertainty there is.
    """
    keys = ["split", "class", "method_id"]
    need(win_rates, ["seed", *keys, "win_rate"])
    rows: list[dict[str, Any]] = []
    for key, group in win_rates.groupby(keys, sort=False, observed=True):
        some = group[group["win_rate"].notna()]
        rates = some["win_rate"].to_numpy(np.float64)
        wins, n = (
            float(some[name].sum(min_count=len(some))) if name in some and len(some) else math.nan
            for name in ("wins", "n")
        )
        low, high = wilson(wins, n, confidence) if n > 0 else (math.nan, math.nan)
        box = box_statistics(rates, quartiles=quartiles)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"mean": float(rates.mean()) if rates.size else math.nan}
            | {"std": float(rates.std()) if rates.size else math.nan}
            | {"median": box.median, "q1": box.q1, "q3": box.q3}
            | {"n_seeds": rates.size, "n_images": n, "low": low, "high": high}
            | {"small": bool("n" in group and (group["n"] < FEW_IMAGES).any())}
        )
    columns = [*keys, "mean", "std", "median", "q1", "q3", "n_seeds", "n_images", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "small"])


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share, in [0, 1]; (NaN, NaN) for n = 0.

    ``successes`` may be fractional: wins that ties have split. Wilson 1927, equation for the
    roots of (p − p̂)² = z² p(1 − p) / n.

    Raises
    ------
    ResultsError
        Unless 0 <= successes <= n and 0 < confidence < 1.

    >>> [round(limit, 4) for limit in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if not (n >= 0 and -1e-9 <= successes <= n + 1e-9 and 0 < confidence < 1):
        raise ResultsError(
            "bad counts for an interval",
            expected="0 <= successes <= n and 0 < confidence < 1",
            got=f"{successes} of {n} at {confidence}",
        )
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = min(max(successes / n, 0.0), 1.0)
    middle = p + z * z / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max((middle - reach) / scale, 0.0), min((middle + reach) / scale, 1.0)


def balanced_accuracy(labels: Sequence[int], predicted: Sequence[int]) -> float:
    """Return the mean over the classes that occur of the share predicted right; NaN for none.

    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 1, 1])  # (2/3 + 1) / 2
    0.8333333333333333
    """
    truth, guess = np.asarray(labels), np.asarray(predicted)
    if truth.shape != guess.shape:
        raise ResultsError("labels and predictions differ in number", expected=truth.shape)
    classes = np.unique(truth)
    shares = [float((guess[truth == c] == c).mean()) for c in classes]
    return float(np.mean(shares)) if shares else math.nan


@dataclass(frozen=True)
class BoxStatistics:
    """What a box plot draws; NaN where there is no value."""

    n: int
    low: float
    q1: float
    median: float
    q3: float
    high: float
    outliers: tuple[float, ...]


def box_statistics(
    values: Sequence[float] | npt.NDArray[np.float64], *, quartiles: Quartiles = "linear"
) -> BoxStatistics:
    """Return the box, whiskers and outliers of some values; NaN are not counted.

    Whiskers end at the farthest values within 1.5 box heights of the box (Tukey 1977; Plotly's
    rule too), never inside it. Quartiles: "linear" is numpy's default (Hyndman and Fan's
    definition 7); "hazen" is definition 5, what Plotly calls linear, to redraw published figures.

    >>> box = box_statistics([1, 2, 3, 4, 10])
    >>> box.q1, box.median, box.q3, box.low, box.high, box.outliers
    (2.0, 3.0, 4.0, 1.0, 4.0, (10.0,))
    """
    data = np.asarray(values, np.float64)
    data = np.sort(data[~np.isnan(data)])
    if not data.size:
        return BoxStatistics(0, math.nan, math.nan, math.nan, math.nan, math.nan, ())
    q1, median, q3 = (float(q) for q in np.quantile(data, [0.25, 0.5, 0.75], method=quartiles))
    reach = 1.5 * (q3 - q1) + 1e-12
    inside = data[(data >= q1 - reach) & (data <= q3 + reach)]
    low, high = min(float(inside[0]), q1), max(float(inside[-1]), q3)
    outliers = data[(data < q1 - reach) | (data > q3 + reach)]
    return BoxStatistics(data.size, low, q1, median, q3, high, tuple(outliers.tolist()))
