"""Mass accuracy: the share of the heatmap's mass inside the mask."""

from __future__ import annotations

import math

from xaieval.errors import MetricError
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score


def mass_accuracy(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return Σ_M R / Σ R, in [0, 1], summed in float64.

    Also known as relevance mass accuracy (Arras et al. 2022), energy-based pointing game (Wang et
    al. 2020) and regional precision / 100. A flat map scores the area share; a zero map and an
    empty mask are NaN.

    Raises
    ------
    MetricError
        When the map has negative values.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[3.0, 1.0], [0.0, 0.0]], np.float32))
    >>> mass_accuracy(Ranking(ranked, np.array([[True, False], [True, True]])), {}, Rules()).value
    0.75
    """
    if ranking.map.low < 0:
        raise MetricError(
            "mass_accuracy needs a heatmap without negative values",
            where=ranking.map.where,
            expected="R >= 0",
            got=f"a minimum of {ranking.map.low:g}",
            fix="name a pooling that makes it non-negative, such as Rules(pooling='sum,pos')",
        )
    reason = ranking.mask_reason or ("zero-map" if ranking.map.high == 0 else None)
    if reason:
        return Score(math.nan, reason)
    return Score(min(ranking.mass_in / ranking.map.total, 1.0))


SPEC = MetricSpec(
    id="mass_accuracy",
    label="Mass accuracy",
    summary="share of the heatmap's sum inside the mask",
    needs=frozenset({"mass"}),
    formula="[Σ_M R] / [Σ R]",
    undefined=("empty-mask", "zero-map", "signed-map"),
    fn=mass_accuracy,
    chance="area_share",
    signed_ok=False,
    paper="Arras et al. 2022; Wang et al. 2020 (energy-based pointing game)",
)
