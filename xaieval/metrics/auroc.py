"""AUROC: how often a pixel inside the mask ranks above one outside."""

from __future__ import annotations

import math

import numpy as np

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score


def auroc(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return P(inside > outside) + ½ P(inside = outside), in [0, 1].

    The area under the ROC curve of the pixels ranked against M, tied values forming one threshold
    (as scikit-learn), by Mann and Whitney's U in exact integers. Flat and zero maps score 0.5; an
    empty or full mask is NaN. Tie rules do not enter.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[3.0, 2.0], [2.0, 1.0]], np.float32))
    >>> mask = np.array([[True, True], [False, False]])  # pairs: 3>2, 3>1, 2=2, 2>1
    >>> auroc(Ranking(ranked, mask), {}, Rules()).value
    0.875
    """
    outside = ranking.map.size - ranking.k
    reason = ranking.mask_reason or (None if outside else "full-mask")
    if reason:
        return Score(math.nan, reason)
    everyone, inside = ranking.map.ascending, ranking.inside_ascending
    below = int(np.searchsorted(everyone, inside, "left").sum(dtype=np.int64))
    upto = int(np.searchsorted(everyone, inside, "right").sum(dtype=np.int64))
    # below + upto counts each beaten pixel twice and each tied one once; of the pairs within the
    # mask it counts K², whatever their order.
    return Score((below + upto - ranking.k**2) / (2 * ranking.k * outside))


SPEC = MetricSpec(
    id="auroc",
    label="AUROC",
    summary="probability that a pixel inside the mask ranks above one outside, ties half",
    needs=frozenset({"rank"}),
    formula="P(R_in > R_out) + [1 / 2] P(R_in = R_out)",
    undefined=("empty-mask", "full-mask"),
    fn=auroc,
    chance=0.5,
    paper="Mann and Whitney 1947; ties as in scikit-learn",
)
