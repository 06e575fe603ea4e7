"""Wilcoxon's signed-rank test of every pair of methods, with Holm's correction for many pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata, wilcoxon

from xaieval.stats.blocks import block_ranks
from xaieval.stats.intervals import Floats
from xaieval.stats.populations import Frame


@dataclass(frozen=True)
class Pair:
    """Two methods compared over blocks.

    Attributes
    ----------
    a, b : str
    n, n_equal : int
        Blocks, and how many of them hold no difference.
    difference : float
        Mean of a − b, in the score's unit and with its sign.
    for_a, for_b : int
        Blocks in which a, or b, is the better one.
    effect : float in [-1, 1]
        Matched-pairs rank-biserial correlation (W₊ − W₋) / (W₊ + W₋): 1 where a is better in
        every block (Kerby 2014). 0 where no block differs.
    p, p_holm : float
        Two-sided, alone and corrected for all pairs.
    least_p : float
        The smallest p that so many differing blocks can give: 2 / 2ⁿ. Above 0.05 the test could
        not have said "different", whatever the scores.
    """

    a: str
    b: str
    n: int
    n_equal: int
    difference: float
    for_a: int
    for_b: int
    effect: float
    p: float
    p_holm: float
    least_p: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p: the i-th smallest of m times m − i + 1, never falling, at most 1.

    NaN stay NaN and are not counted. Holm 1979 (Scandinavian Journal of Statistics 6:65).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted, last = [math.nan] * len(p_values), 0.0
    for place, (p, index) in enumerate(known):
        last = max(last, min((len(known) - place) * p, 1.0))
        adjusted[index] = last
    return adjusted


def pairwise(table: Frame, *, higher_is_better: bool = True) -> tuple[Pair, ...]:
    """Compare every pair of methods over blocks.

    Parameters
    ----------
    table : DataFrame (N, k)
        ``Blocks.table``: a row per block, a column per method, no holes.
    higher_is_better : bool

    Returns
    -------
    tuple of Pair
        In the order of the columns. Blocks without a difference keep their place in the ranking
        but count for nobody (Pratt 1959). p is exact for small n without ties and counted or
        approximated else, as ``scipy.stats.wilcoxon`` decides. Without any difference p is 1.

    Notes
    -----
    The test ranks sizes of differences, so it asks more of a score than Nemenyi's: that its
    differences can be compared between blocks. García and Herrera 2008 (JMLR 9:2677) and Benavoli
    et al. 2016 (JMLR 17:1) prefer it for pairs, since it does not depend on the other methods.

    Raises
    ------
    ResultsError
        For fewer than two methods, or a hole.

    >>> import pandas as pd
    >>> (found,) = pairwise(pd.DataFrame({"x": [5.0, 6.0, 9.0], "y": [4.0, 4.0, 4.0]}))
    >>> found.effect, found.p, found.least_p, found.difference
    (1.0, 0.25, 0.25, 2.6666666666666665)
    """
    block_ranks(table)  # says what is wrong with a table
    found = []
    for a, b in combinations(table.columns, 2):
        raw = (table[a] - table[b]).to_numpy(np.float64)
        scale = max(float(np.abs(table[[a, b]].to_numpy()).max(initial=0.0)), 1.0)
        better = np.round(raw if higher_is_better else -raw, 12 - round(math.log10(scale)))
        found.append((str(a), str(b), raw, better, _p(better)))
    adjusted = holm([p for *_, p in found])
    return tuple(
        Pair(
            a,
            b,
            len(raw),
            int((better == 0).sum()),
            float(raw.mean()) if len(raw) else math.nan,
            int((better > 0).sum()),
            int((better < 0).sum()),
            _effect(better),
            p,
            p_holm,
            min(1.0, 2.0 ** (1 - int((better != 0).sum()))),
        )
        for (a, b, raw, better, p), p_holm in zip(found, adjusted, strict=True)
    )


def _p(differences: Floats) -> float:
    if not len(differences):
        return math.nan
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, zero_method="pratt").pvalue)


def _effect(differences: Floats) -> float:
    ranks = rankdata(np.abs(differences))
    up, down = float(ranks[differences > 0].sum()), float(ranks[differences < 0].sum())
    return (up - down) / (up + down) if up + down else 0.0
