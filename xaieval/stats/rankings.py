"""Rankings of things by their mean score: how sure each place is, how well two rankings agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from xaieval.errors import ResultsError, unknown
from xaieval.stats.bootstrap import Crossed, crossed, draws, weighted_means
from xaieval.stats.intervals import (
    CONFIDENCE,
    REPLICATES,
    Floats,
    check_replicates,
    percentiles,
)
from xaieval.stats.populations import Frame, need

RankKind = Literal["kendall", "spearman"]


@dataclass(frozen=True)
class RankAgreement:
    """How well two rankings of the same things agree.

    Attributes
    ----------
    kind : {"kendall", "spearman"}
        Kendall's tau-b or Spearman's rho.
    estimate, low, high : float
        In [−1, 1]; NaN for fewer than 2 things or where one side ties all of them.
    n_items, n_images, n_seeds : int
    first, second : tuple of str
        The things of both rankings, highest mean first.
    """

    kind: RankKind
    estimate: float
    low: float
    high: float
    n_items: int
    n_images: int
    n_seeds: int
    first: tuple[str, ...]
    second: tuple[str, ...]
    confidence: float = CONFIDENCE


def ranking_agreement(
    a: Frame,
    b: Frame,
    *,
    item: str,
    value: str = "value",
    seed: str = "seed",
    image: str = "sample_id",
    kind: RankKind = "kendall",
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    rng: int = 0,
) -> RankAgreement:
    """Return how well two tables rank the same things, with a two-way bootstrap interval.

    Parameters
    ----------
    a, b : DataFrame
        ``item`` (what is ranked: features, regions, models), ``value``, ``image`` and, where there
        are several, ``seed``. Things are ranked by their mean value; those that one table lacks
        are left out. Seeds and images of the same name are drawn together in both tables.
    kind : {"kendall", "spearman"}

    Notes
    -----
    Noise shuffles rankings, so replicates agree less than the tables do: the interval reaches
    further down than up and may lie below the estimate where many means are close.

    Raises
    ------
    ResultsError
        When a column is missing or a thing has two values of one image under one seed.

    >>> rows = [("eyes", "x", 3.0), ("nose", "x", 2.0), ("hair", "x", 1.0)]
    >>> a = pd.DataFrame(rows, columns=["part", "sample_id", "value"])
    >>> found = ranking_agreement(a, a.assign(value=[3.0, 1.0, 2.0]), item="part")
    >>> round(found.estimate, 3), found.first, found.second  # one of three pairs is swapped
    (0.333, ('eyes', 'nose', 'hair'), ('eyes', 'hair', 'nose'))
    """
    if kind not in ("kendall", "spearman"):
        raise unknown("kind of rank correlation", kind, ("kendall", "spearman"))
    tables = [_tables(frame, item, value, seed, image) for frame in (a, b)]
    items = [name for name in tables[0] if name in tables[1]]
    means = [np.array([table[name].mean for name in items]) for table in tables]
    used = [table[name] for table in tables for name in items]
    seeds, images = _names(used)
    estimate = float(_agreement(means[0][None], means[1][None], kind)[0])
    low, high = math.nan, math.nan
    if len(seeds) * len(images) > 1:
        of_a, of_b = _replicates(tables, items, seeds, images, replicates, rng)
        low, high = percentiles(_agreement(of_a, of_b, kind), confidence)
    first, second = (tuple(items[i] for i in np.argsort(-mean, kind="stable")) for mean in means)
    sizes = len(items), len(images), len(seeds)
    return RankAgreement(kind, estimate, low, high, *sizes, first, second, confidence)


def rank_intervals(
    frame: Frame,
    *,
    item: str,
    value: str = "value",
    seed: str = "seed",
    image: str = "sample_id",
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    rng: int = 0,
) -> Frame:
    """Return the place of each thing by its mean value, and between which places it moves.

    Parameters and errors as for ``ranking_agreement``.

    Returns
    -------
    DataFrame
        ``item, mean, rank, low, high, n``, highest mean first: rank 1 is the highest, tied things
        share the mean of their places; ``low`` and ``high`` are percentiles of the rank over
        replicates, ``n`` the values of the thing.

    >>> frame = pd.DataFrame({"part": ["eyes", "hair"] * 2, "sample_id": ["x", "x", "y", "y"],
    ...                       "value": [3.0, 1.0, 4.0, 2.0]})
    >>> rank_intervals(frame, item="part")[["part", "mean", "rank", "low", "high"]].values.tolist()
    [['eyes', 3.5, 1.0, 1.0, 1.0], ['hair', 1.5, 2.0, 2.0, 2.0]]
    """
    tables = _tables(frame, item, value, seed, image)
    items = list(tables)
    seeds, images = _names(list(tables.values()))
    means = np.array([tables[name].mean for name in items])
    ends = [(math.nan, math.nan)] * len(items)
    if len(seeds) * len(images) > 1:
        found = _replicates([tables], items, seeds, images, replicates, rng)[0]
        ranks = np.where(np.isnan(found).any(axis=1, keepdims=True), np.nan, _ranks(-found))
        ends = [percentiles(ranks[:, i], confidence) for i in range(len(items))]
    table = pd.DataFrame(
        {
            item: items,
            "mean": means,
            "rank": _ranks(-means[None])[0] if items else means,
            "low": [low for low, _ in ends],
            "high": [high for _, high in ends],
            "n": [tables[name].n for name in items],
        }
    )
    return table.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)


def _tables(frame: Frame, item: str, value: str, seed: str, image: str) -> dict[str, Crossed]:
    need(frame, [item, image, value])
    known = frame[frame[value].notna()]
    found = {
        str(name): crossed(group, value=value, seed=seed, image=image)
        for name, group in known.groupby(item, sort=False, observed=True)
    }
    if not found:
        raise ResultsError("nothing to rank: the table has no values", where=item)
    return found


def _names(tables: Sequence[Crossed]) -> tuple[list[object], list[object]]:
    """Return all seeds and all images of some tables, each once, in order of appearance."""
    seeds = dict.fromkeys(name for table in tables for name in table.seeds)
    return list(seeds), list(dict.fromkeys(name for table in tables for name in table.images))


def _replicates(
    tables: Sequence[Mapping[str, Crossed]],
    items: Sequence[str],
    seeds: Sequence[object],
    images: Sequence[object],
    replicates: int,
    rng: int,
) -> list[Floats]:
    """Return the resampled means of each table's things: float64 (R, items) each."""
    generator = np.random.default_rng(rng)
    rows = draws(generator, len(seeds), check_replicates(replicates))
    columns = draws(generator, len(images), replicates)
    row_of = {name: i for i, name in enumerate(seeds)}
    column_of = {name: i for i, name in enumerate(images)}
    return [
        np.stack(
            [
                weighted_means(
                    table[name],
                    rows[:, [row_of[s] for s in table[name].seeds]],
                    columns[:, [column_of[i] for i in table[name].images]],
                )
                for name in items
            ],
            axis=1,
        )
        for table in tables
    ]


def _ranks(values: Floats) -> Floats:
    return np.asarray(rankdata(values, axis=1), np.float64)


def _agreement(a: Floats, b: Floats, kind: RankKind) -> Floats:
    """Return the rank correlation of each row of two arrays (R, items): float64 (R,)."""
    if kind == "spearman":
        x, y = _ranks(a), _ranks(b)
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    else:
        left, right = np.triu_indices(a.shape[1], 1)
        x, y = (np.sign(v[:, left] - v[:, right]) for v in (a, b))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    known = (spread > 0) & ~np.isnan(a).any(axis=1) & ~np.isnan(b).any(axis=1)
    found: Floats = np.full(len(a), np.nan)
    np.divide((x * y).sum(axis=1), spread, out=found, where=known)
    return found
