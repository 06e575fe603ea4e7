"""Pointing game: does the heatmap's maximum lie in the mask?"""

from __future__ import annotations

import math

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import TIES, MetricSpec, Options, Param, Variant, tie_rule
from xaieval.types import Score


def pointing_game(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return the share of the tied maxima that lie in M, in [0, 1].

    ``tolerance_px`` grows M by a disc first (Euclidean; 15 in Zhang et al. 2016, 0 here); the
    random baseline is then ``area_share@tolerance_px=15``. The other tie rules pick one maximum:
    the first (explanation_alignment), the last (clevr_xai), any inside (favourable, as Quantus).

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[7.0, 7.0], [0.0, 0.0]], np.float32))
    >>> mask = np.array([[True, False], [False, False]])
    >>> pointing_game(Ranking(ranked, mask), {}, Rules()).value
    0.5
    """
    if ranking.mask_reason:
        return Score(math.nan, ranking.mask_reason)
    radius = float(options.get("tolerance_px", rules.tolerance_px))
    return Score(ranking.dilated(radius).hits(1, tie_rule(options, rules)))


SPEC = MetricSpec(
    id="pointing_game",
    label="Pointing game",
    summary="share of the heatmap's maxima inside the mask",
    needs=frozenset({"rank"}),
    formula="|M ∩ {R = max R}| / |{R = max R}|",
    undefined=("empty-mask",),
    fn=pointing_game,
    chance="area_share",
    params=(Param("tolerance_px", float, "radius by which the mask grows, px", minimum=0), TIES),
    variants=(
        Variant(
            key="pointing_game@tolerance_px=15",
            label="Pointing game (tolerance_px=15)",
            summary="the mask grown by 15 px first, as Zhang et al. 2016",
        ),
        Variant(
            key="pointing_game@ties=explanation_alignment",
            label="Pointing game (ties=explanation_alignment)",
            summary="the first maximum row by row, as the Explanation Alignment notebooks",
        ),
    ),
    paper="Zhang et al. 2016",
)
