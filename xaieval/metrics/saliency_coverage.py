"""Saliency coverage: how much of the binarised heatmap lies in the mask."""

from __future__ import annotations

import math

from xaieval.metrics.overlap import PARAMS, overlap, variants
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score


def saliency_coverage(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return |S ∩ M| / |S|, in [0, 1]: the precision of S (Boggust et al. 2022).

    Flat and zero maps have no threshold and are NaN, as is an empty mask. With ``mean+1std`` the
    threshold of a map that is high nearly everywhere can lie above its maximum: S is empty, no
    pixel stands out, and the score is NaN with the reason flat-map.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[4.0, 1.0], [1.0, 0.0]], np.float32))  # S: one pixel
    >>> mask = np.array([[True, False], [True, False]])
    >>> saliency_coverage(Ranking(ranked, mask), {}, Rules()).value
    1.0
    """
    found = overlap(ranking, options, rules)
    if isinstance(found, str):
        return Score(math.nan, found)
    size, inside = found
    return Score(inside / size) if size else Score(math.nan, "flat-map")


SPEC = MetricSpec(
    id="saliency_coverage",
    label="Saliency coverage",
    summary="share of the binarised heatmap inside the mask",
    needs=frozenset({"binarised"}),
    formula="|S ∩ M| / |S|",
    undefined=("empty-mask", "zero-map", "flat-map"),
    fn=saliency_coverage,
    params=PARAMS,
    variants=variants("saliency_coverage", "Saliency coverage"),
    paper="Boggust et al. 2022 (Shared Interest)",
)
