"""Spatial coherence: is the top of the heatmap one piece, or is it scattered?"""

from __future__ import annotations

import math

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.regional_recall import TOP_SHARE, top_k
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options, Variant
from xaieval.types import Score


def spatial_coherence(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return the share of the largest piece among the top 10 % of the pixels, in (0, 1].

    Pieces are 8-connected. Of the pixels tied at the K-th highest value all belong to the top or
    none: whichever leaves it nearer to K pixels (none only if a pixel lies above them; all when
    both are equally near). An untied map has exactly K. A rectified map with fewer than K pixels
    above zero thus has those, instead of the whole image.

    It describes a map and is no quality: a map drawn from 7×7 cells is in one piece whatever it
    knows of the model. The mask does not enter, not even an empty one. Flat and zero maps have no
    top and are NaN.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[9, 0, 0, 5], [0, 8, 0, 0], [0, 0, 0, 7]], np.float32))
    >>> ranking = Ranking(ranked, np.zeros((3, 4), bool))
    >>> spatial_coherence(ranking, {"share": 0.25}, Rules()).value  # 9 and 8 touch, 7 does not
    0.6666666666666666
    >>> n_components(ranking, {"share": 0.25}, Rules()).value
    2.0
    """
    if ranking.map.reason:
        return Score(math.nan, ranking.map.reason)
    pieces = ranking.map.pieces(top_k(ranking.map.size, options))
    return Score(max(pieces) / sum(pieces))


def n_components(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return the number of those pieces."""
    if ranking.map.reason:
        return Score(math.nan, ranking.map.reason)
    return Score(float(len(ranking.map.pieces(top_k(ranking.map.size, options)))))


SPEC = MetricSpec(
    id="spatial_coherence",
    label="Spatial coherence",
    summary="largest connected piece's share of the top 10 % of the pixels",
    needs=frozenset({"rank"}),
    formula="[max_i |C_i|] / [Σ_i |C_i|]",
    undefined=("zero-map", "flat-map"),
    fn=spatial_coherence,
    higher_is_better=None,
    params=(TOP_SHARE,),
    variants=(
        Variant(
            key="n_components",
            label="Connected pieces",
            summary="how many connected pieces the top 10 % of the pixels form",
            name="n_components",
            formula='"number of" C_i',
            fn=n_components,
            params=(TOP_SHARE,),
            bounds=(1.0, math.inf),
            higher_is_better=None,
        ),
    ),
    paper="named in the regional attribution study on CelebAMask-HQ, defined here",
)
