"""Top-K overlap: how many of the K highest pixels lie in the mask of K pixels."""

from __future__ import annotations

import math

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import TIES, MetricSpec, Options, Param, Variant, tie_rule
from xaieval.types import Score


def topk_overlap(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return r = hits / K with K = |M|, in [0, 1].

    Equal to CLEVR-XAI's relevance rank accuracy (Arras et al. 2022, section 3.3) on untied maps.
    Flat and zero maps score the area share; an empty mask is NaN, a full one 1.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> heatmap = np.array([[9.0, 8.0], [1.0, 1.0]], np.float32)
    >>> mask = np.array([[True, False], [True, True]])
    >>> topk_overlap(Ranking(RankedMap(heatmap), mask), {}, Rules()).value  # (1 + 1 · 2/2) / 3
    0.6666666666666666
    """
    if ranking.mask_reason:
        return Score(math.nan, ranking.mask_reason)
    return Score(ranking.hits(ranking.k, tie_rule(options, rules)) / ranking.k)


def hits(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return the (expected) number of the K highest pixels inside the mask; K = |M| by default."""
    if ranking.mask_reason:
        return Score(math.nan, ranking.mask_reason)
    return Score(ranking.hits(int(options.get("K", ranking.k)), tie_rule(options, rules)))


def precision(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return hits(K) / K."""
    found = hits(ranking, options, rules)
    return found if found.reason else Score(found.value / int(options["K"]))


def recall(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return hits(K) / |M|."""
    found = hits(ranking, options, rules)
    return found if found.reason else Score(found.value / ranking.k)


_K = Param("K", int, "how many of the highest pixels are taken, px", required=True, minimum=1)

SPEC = MetricSpec(
    id="topk_overlap",
    label="Top-K overlap",
    summary="share of the K highest pixels inside the mask, K = mask area",
    needs=frozenset({"rank"}),
    formula="hits(K) / K , K = |M|",
    undefined=("empty-mask",),
    fn=topk_overlap,
    chance="area_share",
    params=(TIES,),
    variants=(
        Variant(
            key="precision@K=412",
            label="Precision",
            summary="hits(K) / K for a K of one's own",
            name="precision",
            formula="hits(K) / K",
            fn=precision,
            params=(_K, TIES),
            chance="area_share",
        ),
        Variant(
            key="recall@K=412",
            label="Recall",
            summary="hits(K) / mask area",
            name="recall",
            formula="hits(K) / |M|",
            fn=recall,
            params=(_K, TIES),
        ),
        Variant(
            key="hits",
            label="Hits",
            summary="expected number of the K highest pixels inside the mask, px (also hits@K=412)",
            name="hits",
            formula="hits(K)",
            fn=hits,
            params=(Param("K", int, "default: mask area, px", minimum=1), TIES),
            bounds=(0.0, math.inf),
        ),
    ),
    paper="Arras et al. 2022 (relevance rank accuracy)",
)
