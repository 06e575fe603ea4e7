"""Ground-truth coverage: how much of the mask the binarised heatmap covers."""

from __future__ import annotations

import math

from xaieval.metrics.overlap import PARAMS, overlap, variants
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score


def gt_coverage(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return |S ∩ M| / |M|, in [0, 1]: the recall of S (Boggust et al. 2022).

    Flat and zero maps have no threshold and are NaN, as is an empty mask.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[4.0, 2.0], [1.0, 0.0]], np.float32))  # S: the first row
    >>> gt_coverage(Ranking(ranked, np.array([[True, False], [True, False]])), {}, Rules()).value
    0.5
    """
    found = overlap(ranking, options, rules)
    if isinstance(found, str):
        return Score(math.nan, found)
    return Score(found[1] / ranking.k)


SPEC = MetricSpec(
    id="gt_coverage",
    label="Ground-truth coverage",
    summary="share of the mask that the binarised heatmap covers",
    needs=frozenset({"binarised"}),
    formula="|S ∩ M| / |M|",
    undefined=("empty-mask", "zero-map", "flat-map"),
    fn=gt_coverage,
    params=PARAMS,
    variants=variants("gt_coverage", "Ground-truth coverage"),
    paper="Boggust et al. 2022 (Shared Interest)",
)
