"""Does A score higher than B? A difference of two means, its interval, and a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xaieval.stats.bootstrap import (
    Crossed,
    crossed,
    difference,
    draws,
    resampled,
    values_of,
    weighted_means,
)
from xaieval.stats.intervals import (
    CONFIDENCE,
    REPLICATES,
    FewSeeds,
    Floats,
    Interval,
    Verdict,
    check_replicates,
    interval_of,
    verdict,
)
from xaieval.stats.populations import Frame


@dataclass(frozen=True)
class Contrast:
    """The claim "A is greater than B", tested.

    Attributes
    ----------
    difference : float
        mean A − mean B.
    low, high : float
        Two-way bootstrap interval; NaN where nothing can be resampled.
    verdict : {"holds", "reversed", "undecided"}
        By the interval: wholly above 0, wholly below, or neither.
    mean_a, mean_b : float
        Paired: over the values that both have.
    n_images, n_seeds, n : int
        Paired: images, seeds and pairs. Unpaired: of both groups together.
    seeds_for, seeds_against : int
        Seeds that both groups have, by the sign of their own difference.
    paired : bool
    confidence : float
    """

    difference: float
    low: float
    high: float
    verdict: Verdict
    mean_a: float
    mean_b: float
    n_images: int
    n_seeds: int
    n: int
    seeds_for: int
    seeds_against: int
    paired: bool
    confidence: float = CONFIDENCE


def contrast(
    a: Frame,
    b: Frame,
    *,
    paired: bool = True,
    value: str = "value",
    seed: str = "seed",
    image: str = "sample_id",
    cluster: str | None = None,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    few_seeds: FewSeeds = "widen",
    rng: int = 0,
) -> Contrast:
    """Test whether group a scores higher than group b.

    Parameters
    ----------
    a, b : DataFrame
        ``value``, ``image`` and, where there are several, ``seed``; one row each, holes allowed.
        For the claim "lower", swap them.
    paired : bool
        True: the groups are of the same images under the same seeds (two methods; two models
        trained alike); the differences of the pairs are resampled, values without a partner left
        out. False: of different images (two subgroups); each group's images are resampled for
        themselves, the seeds together where both groups have the same ones.
    cluster, replicates, confidence, few_seeds, rng
        As for ``two_way``.

    Raises
    ------
    ResultsError
        When a column is missing or an image has two values under one seed.

    >>> import pandas as pd
    >>> a = pd.DataFrame({"seed": [0, 0, 0, 0], "sample_id": list("wxyz"), "value": [4., 5, 4, 6]})
    >>> found = contrast(a, a.assign(value=[1.0, 2.0, 2.0, 2.0]))  # differences 3, 3, 2, 4
    >>> found.difference, found.verdict, found.n, found.seeds_for
    (3.0, 'holds', 4, 1)
    """
    one, other = (
        values_of(frame, value=value, seed=seed, image=image, cluster=cluster) for frame in (a, b)
    )
    options = _Options(check_replicates(replicates), confidence, few_seeds, rng)
    if paired:
        pairs = difference(one, other)
        first, second = (
            crossed(pairs, value=name, cluster="cluster") for name in ("value_a", "value_b")
        )
        found = resampled(
            crossed(pairs, cluster="cluster"),
            replicates=replicates,
            confidence=confidence,
            few_seeds=few_seeds,
            rng=rng,
        )
    else:
        first, second = (crossed(part, cluster="cluster") for part in (one, other))
        found = _unpaired(first, second, options)
    gaps = [mean - second.by_seed[s] for s, mean in first.by_seed.items() if s in second.by_seed]
    return Contrast(
        found.estimate,
        found.low,
        found.high,
        verdict(found.low, found.high),
        first.mean,
        second.mean,
        found.n_images,
        found.n_seeds,
        found.n,
        sum(gap > 0 for gap in gaps),
        sum(gap < 0 for gap in gaps),
        paired,
        confidence,
    )


@dataclass(frozen=True)
class _Options:
    replicates: int
    confidence: float
    few_seeds: FewSeeds
    rng: int


def _unpaired(a: Crossed, b: Crossed, options: _Options) -> Interval:
    """Return mean a − mean b: images of each group for themselves, common seeds together."""
    estimate = a.mean - b.mean
    generator = np.random.default_rng(options.rng)
    rows = draws(generator, len(a.seeds), options.replicates)
    others = rows
    if a.seeds != b.seeds:
        others = draws(generator, len(b.seeds), options.replicates)
    whole: list[Floats] = []
    by_seeds: list[Floats] = []
    for table, seeds in ((a, rows), (b, others)):
        columns = draws(generator, len(table.images), options.replicates)
        whole.append(weighted_means(table, seeds, columns))
        by_seeds.append(weighted_means(table, seeds, np.ones_like(columns)))
    ends = math.nan, math.nan
    if a.n and b.n and max(*a.counts.shape, *b.counts.shape) > 1:
        several = [n for n in (len(a.seeds), len(b.seeds)) if n > 1]
        ends = interval_of(
            whole[0] - whole[1],
            by_seeds[0] - by_seeds[1],
            estimate=estimate,
            n_seeds=min(several, default=1),
            confidence=options.confidence,
            few_seeds=options.few_seeds,
        )
    n_images = len(a.images) + len(b.images)
    n_seeds = len({*a.seeds, *b.seeds})
    return Interval(estimate, *ends, n_images, n_seeds, a.n + b.n, options.confidence)
