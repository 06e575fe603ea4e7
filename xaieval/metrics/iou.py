"""Intersection over union of the binarised heatmap and the mask."""

from __future__ import annotations

import math

from xaieval.metrics.overlap import PARAMS, overlap, variants
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score


def iou(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return |S ∩ M| / |S ∪ M|, in [0, 1] (Boggust et al. 2022).

    Flat and zero maps have no threshold and are NaN, as is an empty mask; with a full mask it is
    |S| / N.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[4.0, 2.0], [1.0, 0.0]], np.float32))  # S: the first row
    >>> iou(Ranking(ranked, np.array([[True, False], [True, False]])), {}, Rules()).value
    0.3333333333333333
    """
    found = overlap(ranking, options, rules)
    if isinstance(found, str):
        return Score(math.nan, found)
    size, inside = found
    return Score(inside / (size + ranking.k - inside))


SPEC = MetricSpec(
    id="iou",
    label="IoU",
    summary="intersection over union of the binarised heatmap and the mask",
    needs=frozenset({"binarised"}),
    formula="|S ∩ M| / |S ∪ M|",
    undefined=("empty-mask", "zero-map", "flat-map"),
    fn=iou,
    params=PARAMS,
    variants=variants("iou", "IoU"),
    paper="Boggust et al. 2022 (Shared Interest)",
)
