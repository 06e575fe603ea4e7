"""Area share: how much of the image the mask covers, the yardstick beside every score."""

from __future__ import annotations

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant
from xaieval.types import Score


def area_share(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return K / N: what a heatmap without information scores.

    Defined for every mask (0 when empty, 1 when full) and independent of the heatmap. With
    ``tolerance_px`` the area of the mask grown by that radius: the random baseline of
    ``pointing_game`` with the same tolerance.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.zeros((2, 2), np.float32))
    >>> area_share(Ranking(ranked, np.array([[True, False], [False, False]])), {}, Rules()).value
    0.25
    """
    return Score(ranking.dilated(float(options.get("tolerance_px", 0.0))).area_share)


SPEC = MetricSpec(
    id="area_share",
    label="Area share",
    summary="mask area / image area: what a heatmap without information scores",
    needs=frozenset(),
    formula="K / N , K = |M|",
    fn=area_share,
    higher_is_better=None,
    params=(Param("tolerance_px", float, "radius by which the mask grows, px", minimum=0),),
    variants=(
        Variant(
            key="area_share@tolerance_px=15",
            label="Area share (tolerance_px=15)",
            summary="random baseline of pointing_game@tolerance_px=15",
        ),
    ),
)
