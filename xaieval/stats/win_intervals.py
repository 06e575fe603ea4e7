"""Intervals of win rates that know that images and seeds recur: a two-way bootstrap per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xaieval.errors import ResultsError
from xaieval.stats.bootstrap import draws
from xaieval.stats.intervals import (
    CONFIDENCE,
    REPLICATES,
    FewSeeds,
    Floats,
    check_replicates,
    interval_of,
)
from xaieval.stats.populations import Frame, need
from xaieval.stats.spread import wilson
from xaieval.stats.wins import OVERALL

_CELLS = 4_000_000  # float64 of one block of draws: 32 MB


def win_intervals(
    shares: Frame,
    *,
    by: Sequence[str] = ("split", "class", "method_id"),
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    few_seeds: FewSeeds = "widen",
    rng: int = 0,
) -> Frame:
    """Return the interval of each group's win rate: the mean over seeds of each seed's rate.

    Parameters
    ----------
    shares : DataFrame
        As from ``win_shares``: ``split, class, method_id, seed, sample_id, share`` in [0, 1];
        NaN takes no part.
    by : sequence of str
        Columns of a group; "class" also gets a group ``OVERALL`` of all classes together.
    replicates, confidence, few_seeds, rng : as for ``two_way``

    Returns
    -------
    DataFrame
        ``[*by, rate, low, high, n_images, n_seeds]``; the ends stay within [0, 1] and are NaN
        where there is one image under one seed.

    Notes
    -----
    Seeds and images are drawn independently, with replacement (Owen 2007), and all methods of a
    group see the same draws. The estimate is the mean of the seeds' rates, as it is printed beside
    its standard deviation; ``two_way`` weighs every image of every seed alike, which differs where
    seeds have different numbers of images (their models get others right).

    Where every image of every seed went the same way, no draw can differ from what was seen and a
    bootstrap would claim certainty; there Wilson's interval of the different images stands.

    >>> shares = pd.DataFrame({"split": "test", "class": "c", "method_id": "x", "seed": [1, 1],
    ...                        "sample_id": ["a", "b"], "share": [0.0, 1.0]})
    >>> win_intervals(shares)[["class", "rate", "low", "high"]].values.tolist()
    [['c', 0.5, 0.0, 1.0], ['overall', 0.5, 0.0, 1.0]]
    """
    need(shares, [*by, "seed", "sample_id", "share"])
    check_replicates(replicates)
    rows = shares.dropna(subset="share")
    if "class" in by:
        rows = pd.concat([rows, rows.assign(**{"class": OVERALL})], ignore_index=True)
    groups = [name for name in by if name != "method_id"]
    found: list[dict[str, Any]] = []
    for key, group in rows.groupby(groups, sort=False, observed=True) if groups else [((), rows)]:
        named = dict(zip(groups, key, strict=True))
        tables = _tables(group, "method_id" in by)
        for method, interval in _drawn(tables, replicates, confidence, few_seeds, rng).items():
            found.append(named | ({"method_id": method} if "method_id" in by else {}) | interval)
    return pd.DataFrame(found, columns=[*by, "rate", "low", "high", "n_images", "n_seeds"])


def _tables(group: Frame, methods: bool) -> dict[str, tuple[Floats, Floats]]:
    """Return per method the sums and counts of shares, seeds × images."""
    seed_at, seeds = pd.factorize(group["seed"], sort=True)
    image_at, images = pd.factorize(group["sample_id"], sort=True)
    names = group["method_id"] if methods else pd.Series("", index=group.index)
    found = {}
    for name in names.unique():
        here = (names == name).to_numpy()
        totals, counts = np.zeros((2, len(seeds), len(images)))
        np.add.at(totals, (seed_at[here], image_at[here]), group["share"].to_numpy()[here])
        np.add.at(counts, (seed_at[here], image_at[here]), 1.0)
        if counts.max(initial=0) > 1:
            raise ResultsError(
                "an image has two win shares of one method under one seed",
                where=str(name),
                fix="filter by metric and region",
            )
        found[str(name)] = totals, counts
    return found


def _drawn(
    tables: dict[str, tuple[Floats, Floats]],
    replicates: int,
    confidence: float,
    few_seeds: FewSeeds,
    rng: int,
) -> dict[str, dict[str, Any]]:
    n_seeds, n_images = next(iter(tables.values()))[0].shape
    generator = np.random.default_rng(rng)
    rows = draws(generator, n_seeds, replicates)
    rates: dict[str, list[Floats]] = {name: [] for name in tables}
    step = max(1, _CELLS // max(n_images, 1))
    for start in range(0, replicates, step):
        columns = draws(generator, n_images, min(step, replicates - start))
        for name, (totals, counts) in tables.items():
            rates[name].append(_mean(columns @ totals.T, columns @ counts.T, rows[start:][:step]))
    found = {}
    for name, (totals, counts) in tables.items():
        wins, n = totals.sum(axis=1), counts.sum(axis=1)
        rate = float(_mean(wins[None], n[None], np.ones((1, n_seeds)))[0])
        low = high = np.nan
        if counts.any() and totals.sum() in (0.0, counts.sum()):
            low, high = wilson(totals.sum() / counts.sum() * n_images, n_images, confidence)
        elif n_seeds > 1 or n_images > 1:
            same = np.broadcast_to(wins, rows.shape), np.broadcast_to(n, rows.shape)
            low, high = interval_of(
                np.concatenate(rates[name]),
                _mean(*same, rows),
                estimate=rate,
                n_seeds=n_seeds,
                confidence=confidence,
                few_seeds=few_seeds,
            )
        found[name] = {
            "rate": rate,
            "low": max(low, 0.0) if low == low else low,
            "high": min(high, 1.0) if high == high else high,
            "n_images": n_images,
            "n_seeds": n_seeds,
        }
    return found


def _mean(wins: Floats, counts: Floats, weights: Floats) -> Floats:
    """Return the mean rate of seeds that count so often: float64 (R,); all arrays (R, S)."""
    some = counts > 0
    rates = np.divide(wins, counts, out=np.zeros_like(wins), where=some)
    weight = (weights * some).sum(axis=1)
    total = (weights * rates).sum(axis=1)
    means: Floats = np.divide(total, weight, out=np.full(len(weight), np.nan), where=weight > 0)
    return means
