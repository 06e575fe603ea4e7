"""Nemenyi's test: which of several methods differ, by their average ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import studentized_range

from xaieval.errors import ConfigError, ResultsError

ALPHA = 0.05


@dataclass(frozen=True)
class Nemenyi:
    """How far average ranks must lie apart, and which methods lie closer.

    Attributes
    ----------
    order : tuple of (method, average rank)
        Best first.
    n_blocks : int
    cd : float
        The critical difference of average ranks.
    groups : tuple of tuple of str
        The largest sets of neighbours that are not told apart; a method may be in several, and one
        that differs from all others is in none.
    alpha : float
    """

    order: tuple[tuple[str, float], ...]
    n_blocks: int
    cd: float
    groups: tuple[tuple[str, ...], ...]
    alpha: float = ALPHA

    def p(self, a: str, b: str) -> float:
        """Return the p of one pair: the tail of the studentised range at their difference."""
        ranks, k = dict(self.order), len(self.order)
        error = math.sqrt(k * (k + 1) / (6 * self.n_blocks))
        apart = abs(ranks[a] - ranks[b]) / error
        return float(studentized_range.sf(apart * math.sqrt(2), k, math.inf))


def critical_difference(k: int, n_blocks: int, *, alpha: float = ALPHA) -> float:
    """Return q √(k (k + 1) / (6 N)), q the studentised range's quantile over √2.

    Demšar 2006 (JMLR 7:1), section 3.2.2 and table 5.

    Raises
    ------
    ConfigError
        Unless 0 < alpha < 1.
    ResultsError
        For fewer than two methods or no block.

    >>> round(critical_difference(4, 14), 2)  # Demšar's example
    1.25
    """
    if not 0 < alpha < 1:
        raise ConfigError("bad level of a test", expected="between 0 and 1", got=alpha)
    if k < 2 or n_blocks < 1:
        raise ResultsError(
            "no critical difference", expected="2 methods, 1 block", got=f"{k}, {n_blocks}"
        )
    q = float(studentized_range.ppf(1 - alpha, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n_blocks))


def nemenyi(ranks: Mapping[str, float], *, n_blocks: int, alpha: float = ALPHA) -> Nemenyi:
    """Return which methods' average ranks differ by the critical difference or more.

    To be read when Friedman's test says that the methods differ. It is conservative, and a rank
    says nothing of how large a difference is.

    >>> found = nemenyi({"x": 1.0, "y": 2.2, "z": 2.8}, n_blocks=10)
    >>> round(found.cd, 2), found.groups
    (1.05, (('y', 'z'),))
    """
    cd = critical_difference(len(ranks), n_blocks, alpha=alpha)
    order = sorted(ranks.items(), key=lambda pair: pair[1])
    groups: list[tuple[str, ...]] = []
    reached = 0
    for first, (_, rank) in enumerate(order):
        end = max(i for i, (_, other) in enumerate(order) if other - rank < cd)
        if end > first and end + 1 > reached:  # not inside the group before
            groups.append(tuple(name for name, _ in order[first : end + 1]))
        reached = max(reached, end + 1)
    return Nemenyi(tuple(order), n_blocks, cd, tuple(groups), alpha)
