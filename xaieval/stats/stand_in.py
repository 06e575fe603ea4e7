"""What changes when one competitor is replaced by a variant of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xaieval.stats.populations import Frame, PopulationName
from xaieval.stats.populations import population as keep
from xaieval.stats.wins import NanRule, TieRule, win_shares


@dataclass(frozen=True)
class StandIn:
    """How the competition ends with a variant in the place of the original.

    Attributes
    ----------
    original, variant : str
        Method keys.
    n : int
        Comparisons (image and seed) with a winner either way.
    changed : int
        Of these, how many have another winner, or another set of tied winners.
    before, after : tuple of (method, win rate)
        The mean win share over the n, in the order of the competition; the variant under its key.
    """

    original: str
    variant: str
    n: int
    changed: int
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]


def stand_in(
    scores: Frame,
    *,
    methods: Sequence[str],
    original: str,
    variant: str,
    tie_rule: TieRule = "split",
    nan: NanRule = "loses",
    population: PopulationName = "all",
) -> StandIn:
    """Compare the winners among ``methods`` with those after ``variant`` replaced ``original``.

    Parameters
    ----------
    scores, tie_rule, nan, population
        As for ``win_rates``; ``scores`` of one metric, region, model and rule.
    methods : sequence of str
        Who competes, ``original`` among them.

    Raises
    ------
    ResultsError, ConfigError
        As ``win_shares``.

    >>> import pandas as pd
    >>> scores = pd.DataFrame({"sample_id": list("aaabbb"), "method_id": ["x", "x'", "y"] * 2,
    ...                        "value": [0.1, 0.9, 0.5, 0.6, 0.7, 0.2]})
    >>> found = stand_in(scores, methods=["x", "y"], original="x", variant="x'")
    >>> found.n, found.changed, found.before, found.after
    (2, 1, (('x', 0.5), ('y', 0.5)), (("x'", 1.0), ('y', 0.0)))
    """
    kept = keep(scores, kind=population).kept
    others = [variant if method == original else method for method in methods]
    shares = []
    for names in (list(methods), others):
        found = win_shares(kept, methods=names, tie_rule=tie_rule, nan=nan)
        shares.append(found["share"].to_numpy(np.float64).reshape(-1, len(names)))
    used = ~(np.isnan(shares[0]).any(1) | np.isnan(shares[1]).any(1))
    before, after = shares[0][used], shares[1][used]
    changed = int((~np.isclose(before, after)).any(1).sum())
    return StandIn(
        original,
        variant,
        len(before),
        changed,
        _rates(list(methods), before.mean(0) if len(before) else before.sum(0)),
        _rates(others, after.mean(0) if len(after) else after.sum(0)),
    )


def _rates(methods: Sequence[str], values: object) -> tuple[tuple[str, float], ...]:
    return tuple(zip(methods, np.asarray(values, np.float64).tolist(), strict=True))
