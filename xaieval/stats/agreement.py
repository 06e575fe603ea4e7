"""Do several scores agree about which method is better? A matrix of rank correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from xaieval.errors import ResultsError, unknown
from xaieval.stats.bootstrap import two_way
from xaieval.stats.clusters import clustered_correlation
from xaieval.stats.intervals import REPLICATES, Floats, check_replicates
from xaieval.stats.populations import Frame, need

Level = Literal["rankings", "values"]
LEVELS: dict[str, str] = {
    "rankings": "Kendall's tau-b of the methods' two rankings on one image under one seed; the "
    "mean over images and seeds",
    "values": "Spearman's rho of two scores over all images, seeds and methods",
}
COLUMNS = ["a", "b", "r", "low", "high", "n", "n_images", "n_seeds", "left_out", "verdict"]
_EQUAL = 1e-9  # as for ties of wins


def score_agreement(
    scores: Frame,
    *,
    methods: Sequence[str],
    metrics: Sequence[str],
    lower_is_better: Sequence[str] = (),
    level: Level = "rankings",
    replicates: int = REPLICATES,
    rng: int = 0,
) -> Frame:
    """Return how far each pair of scores agrees about the methods.

    Parameters
    ----------
    scores : DataFrame
        ``sample_id, seed, method_id, metric_key, value``; one row each.
    methods, metrics : sequence of str
        Two or more of each, in order.
    lower_is_better : sequence of str
        Metrics that are turned, so that 1 always means "the same method is better".
    level : {"rankings", "values"}
        "rankings": on each image the methods are ranked by both scores and Kendall's tau-b of the
        two rankings is taken; the mean tau has a two-way bootstrap interval over images and seeds.
        Images that are easy for every method cannot make scores look alike. "values": Spearman's
        rho over all points (image, seed, method), whole images resampled; here they can.

    Returns
    -------
    DataFrame
        A row per pair of metrics: ``a, b, r`` in [-1, 1], ``low, high`` (95 %), ``n`` (images ×
        seeds; of "values": points), ``n_images, n_seeds, left_out`` (pairs of image and seed
        where a score of a method is undefined, or where one of the scores puts all methods level),
        ``verdict``: "agree", "disagree" or "undecided" by the sign of the interval.

    Raises
    ------
    ResultsError
        When a column is missing or two rows are of one score.
    ConfigError
        For an unknown level, metric or method.

    >>> rows = [("a", 1, m, s, v) for m, s, v in (("x", "iou", 1), ("y", "iou", 0),
    ...                                           ("x", "deletion", 0.2), ("y", "deletion", 0.7))]
    >>> names = ["sample_id", "seed", "method_id", "metric_key", "value"]
    >>> found = score_agreement(pd.DataFrame(rows, columns=names), methods=["x", "y"],
    ...                         metrics=["iou", "deletion"], lower_is_better=["deletion"])
    >>> found[["r", "n", "verdict"]].values.tolist()
    [[1.0, 1, 'undecided']]
    """
    need(scores, ["sample_id", "seed", "method_id", "metric_key", "value"])
    check_replicates(replicates)
    if level not in LEVELS:
        raise unknown("kind of agreement", level, LEVELS)
    for column, wanted in (("metric_key", metrics), ("method_id", methods)):
        there = set(map(str, scores[column]))
        for name in wanted:
            if name not in there:
                raise unknown(f"{column} of these scores", name, there)
    keys = ["sample_id", "seed"]
    kept = scores[scores["metric_key"].isin(metrics) & scores["method_id"].isin(methods)]
    twice = kept.duplicated([*keys, "method_id", "metric_key"])
    if twice.any():
        row = kept[twice].iloc[0]
        raise ResultsError(
            "an image has two scores of one method",
            where=str(row["sample_id"]),
            got=f"{row['method_id']}, {row['metric_key']}",
            fix="filter by region and rules",
        )
    wide = kept.pivot(index=keys, columns=["metric_key", "method_id"], values="value")
    tables = {}
    for metric in metrics:
        columns = pd.MultiIndex.from_product([[metric], list(methods)])
        table = wide.reindex(columns=columns).droplevel(0, axis=1).astype(np.float64)
        tables[metric] = -table if metric in lower_is_better else table
    rows = []
    for a, b in combinations(metrics, 2):
        pair = _rankings if level == "rankings" else _values
        rows.append({"a": a, "b": b} | pair(tables[a], tables[b], replicates, rng))
    return pd.DataFrame(rows, columns=COLUMNS)


def taus(a: Floats, b: Floats) -> Floats:
    """Return Kendall's tau-b of each row of two tables: float64 (N,).

    ``a``, ``b`` (N, k). NaN where a value is missing or one side puts all k level. Values within
    1e-9 of each other are level.

    >>> taus(np.array([[3.0, 2.0, 1.0]]), np.array([[3.0, 1.0, 2.0]])).round(4).tolist()
    [0.3333]
    """
    first, second = np.triu_indices(a.shape[1], k=1)

    def signs(values: Floats) -> Floats:
        apart = values[:, first] - values[:, second]
        found: Floats = np.where(np.abs(apart) <= _EQUAL, 0.0, np.sign(apart))
        return found

    x, y = signs(a), signs(b)
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    both = (x * y).sum(axis=1)
    found: Floats = np.divide(both, scale, out=np.full(len(a), np.nan), where=scale > 0)
    return found


def _rankings(a: Frame, b: Frame, replicates: int, rng: int) -> dict[str, Any]:
    found = taus(a.to_numpy(np.float64), b.to_numpy(np.float64))
    frame = a.index.to_frame(index=False).assign(value=found)
    interval = two_way(frame, replicates=replicates, rng=rng)
    # A tau cannot be beyond 1, though an interval widened for few seeds can.
    low, high = (min(max(end, -1.0), 1.0) if end == end else end for end in
                 (interval.low, interval.high))  # fmt: skip
    return {
        "r": interval.estimate,
        "low": low,
        "high": high,
        "n": interval.n,
        "n_images": interval.n_images,
        "n_seeds": interval.n_seeds,
        "left_out": len(frame) - interval.n,
        "verdict": _verdict(low, high),
    }


def _values(a: Frame, b: Frame, replicates: int, rng: int) -> dict[str, Any]:
    points = pd.concat({"x": a.stack(future_stack=True), "y": b.stack(future_stack=True)}, axis=1)
    some = points.dropna().reset_index()
    found = clustered_correlation(some, "x", "y", replicates=replicates, rng=rng)
    used = some.drop_duplicates(["sample_id", "seed"])
    return {
        "r": found.r,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "n_images": used["sample_id"].nunique(),
        "n_seeds": used["seed"].nunique(),
        "left_out": len(a) - len(used),
        "verdict": _verdict(found.low, found.high),
    }


def _verdict(low: float, high: float) -> str:
    if math.isnan(low):
        return "undecided"
    if low > 0:
        return "agree"
    return "disagree" if high < 0 else "undecided"
