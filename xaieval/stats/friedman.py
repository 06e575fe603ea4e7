"""Friedman's test: do several methods differ at all, over blocks in which all were scored?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import f as f_distribution

from xaieval.stats.blocks import block_ranks
from xaieval.stats.intervals import Floats
from xaieval.stats.populations import Frame

_MOST_STATES = 200_000  # rank sums times orders of a block: about 0.2 s of counting


@dataclass(frozen=True)
class Friedman:
    """What the ranks say about "all methods are alike".

    Attributes
    ----------
    methods : tuple of str
    ranks : tuple of float
        Average rank of each, 1 = best.
    n_blocks : int
    chi2, p_chi2 : float
        Friedman's statistic, corrected for ties, and its tail of χ² with k − 1 degrees of freedom.
    f, df, p_f : float, (int, int), float
        Iman and Davenport's F, its degrees of freedom (k − 1, (k − 1)(N − 1)) and tail.
    p : float
        The one to report: counted over all orders within the blocks where that is feasible
        (``p_from`` is "exact"), else ``p_f`` ("F").
    reason : str
        Why there is no test ("" when there is): fewer than two blocks, or ties all over.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    n_blocks: int
    chi2: float
    p_chi2: float
    f: float
    df: tuple[int, int]
    p_f: float
    p: float
    p_from: Literal["exact", "F", ""]
    reason: str = ""


def friedman(table: Frame, *, higher_is_better: bool = True) -> Friedman:
    """Return Friedman's test of k methods over N blocks.

    Let r_ij be the rank of method j in block i (ties share), R_j the sum over blocks. With
    A = Σ r² and C = N k (k + 1)² / 4: χ² = (k − 1) Σ (R_j − N (k + 1) / 2)² / (A − C), which is
    12 / (N k (k + 1)) Σ R_j² − 3 N (k + 1) without ties, and
    F = (N − 1) χ² / (N (k − 1) − χ²).

    Parameters
    ----------
    table : DataFrame (N, k)
        ``Blocks.table``: a row per block, a column per method, no holes.
    higher_is_better : bool

    Notes
    -----
    Both tails are approximations, rough below about ten blocks: of two blocks that agree, F is
    infinite and would say p = 0 where a chance of 1 / k! is the truth. So few blocks are counted
    out: the share of all (k!)^N orders of the ranks whose χ² is at least as large.

    Friedman 1937 (JASA 32:675), ties: Conover 1999, section 5.8; F: Iman and Davenport 1980,
    as Demšar 2006 (JMLR 7:1), section 3.2.2, recommends.

    Raises
    ------
    ResultsError
        For fewer than two methods, or a hole.

    >>> import pandas as pd
    >>> found = friedman(pd.DataFrame({"x": [3.0, 3.0], "y": [2.0, 2.0], "z": [1.0, 1.0]}))
    >>> found.ranks, found.chi2, found.f, round(found.p, 4)  # 1 / 3!
    ((1.0, 2.0, 3.0), 4.0, inf, 0.1667)
    """
    ranks = block_ranks(table, higher_is_better=higher_is_better)
    n, k = ranks.shape
    methods, df = tuple(map(str, table.columns)), (k - 1, (k - 1) * max(n - 1, 0))
    nan = math.nan
    means = tuple(ranks.mean(axis=0).tolist()) if n else (nan,) * k
    rest = float((ranks**2).sum() - n * k * (k + 1) ** 2 / 4)
    if n < 2 or rest < 1e-9:
        reason = "fewer than two blocks" if n < 2 else "all methods are equal in every block"
        return Friedman(methods, means, n, nan, nan, nan, df, nan, nan, "", reason)
    chi2 = (k - 1) * float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum()) / rest
    p_chi2 = float(chi2_distribution.sf(chi2, k - 1))
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 1e-9 else math.inf
    p_f = float(f_distribution.sf(f, *df))
    exact = _counted(ranks)
    return Friedman(
        methods,
        means,
        n,
        chi2,
        p_chi2,
        f,
        df,
        p_f,
        p_f if exact is None else exact,
        "F" if exact is None else "exact",
    )


def _counted(ranks: Floats) -> float | None:
    """Return the share of all orders within blocks whose rank sums spread at least as much.

    None where there are too many to count. Orders that differ by a renaming of the methods alone
    spread alike, so rank sums are kept sorted.
    """
    k = ranks.shape[1]
    if math.factorial(k) > _MOST_STATES:
        return None
    orders = np.array(list(permutations(range(k))))
    doubled = np.rint(2 * ranks).astype(np.int64)  # ranks of ties are halves
    sums, shares = np.sort(doubled[:1], axis=1), np.array([1.0])
    weights: Floats
    for block in doubled[1:]:
        if len(sums) * len(orders) > _MOST_STATES:
            return None
        grown = np.sort((sums[:, None, :] + block[orders][None]).reshape(-1, k), axis=1)
        sums, where = np.unique(grown, axis=0, return_inverse=True)
        weights = np.repeat(shares / len(orders), len(orders))
        shares = np.asarray(np.bincount(where.reshape(-1), weights, len(sums)), np.float64)
    seen = ((k * doubled.sum(axis=0) - doubled.sum()) ** 2).sum()
    spread = ((k * sums - sums.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return min(float(shares[spread >= seen].sum()), 1.0)
