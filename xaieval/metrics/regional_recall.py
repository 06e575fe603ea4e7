"""Regional recall: how much of a region the top tenth of the heatmap covers."""

from __future__ import annotations

import math

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import TIES, MetricSpec, Options, Param, Variant, tie_rule
from xaieval.types import Score

SHARE = 0.1
"""The part of the image that counts as the top of a map, unless the key says otherwise."""

TOP_SHARE = Param(
    "share", float, "part of the pixels that is the map's top", minimum=0, default=SHARE, maximum=1
)


def top_k(size: int, options: Options) -> int:
    """Return how many pixels the top share of a map of ``size`` pixels is: rounded, at least 1.

    >>> top_k(224 * 224, {}), top_k(16, {"share": 0.25}), top_k(4, {"share": 0.01})
    (5018, 4, 1)
    """
    return max(1, math.floor(float(options.get("share", SHARE)) * size + 0.5))


def regional_recall(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return hits(K) / |M| with K a tenth of all pixels, in [0, 1].

    Ties as in ``topk_overlap``. A map without information scores K / N, whatever the region. A
    region larger than the top cannot be covered: the best score is min(1, K / |M|), which
    ``ceiling@of=regional_recall`` states. An empty mask is NaN.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.arange(16, dtype=np.float32).reshape(4, 4))
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[2:, 3] = True  # 11 and 15; the top quarter is 12, 13, 14, 15
    >>> regional_recall(Ranking(ranked, mask), {"share": 0.25}, Rules()).value
    0.5
    """
    if ranking.mask_reason:
        return Score(math.nan, ranking.mask_reason)
    k = top_k(ranking.map.size, options)
    return Score(ranking.hits(k, tie_rule(options, rules)) / ranking.k)


SPEC = MetricSpec(
    id="regional_recall",
    label="Regional recall",
    summary="share of the region inside the top 10 % of the pixels",
    needs=frozenset({"rank"}),
    formula="hits(K) / |M| , K = share · N",
    undefined=("empty-mask",),
    fn=regional_recall,
    chance="share",
    params=(TOP_SHARE, TIES),
    variants=(
        Variant(
            key="regional_recall@share=0.05",
            label="Regional recall (share=0.05)",
            summary="the top 5 % instead",
            chance="share",
        ),
    ),
    paper="named in the regional attribution study on CelebAMask-HQ, defined here",
)
