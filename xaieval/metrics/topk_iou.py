"""Top-K IoU: the Top-K overlap on the scale of intersection over union."""

from __future__ import annotations

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import TIES, MetricSpec, Options
from xaieval.metrics.topk_overlap import topk_overlap
from xaieval.types import Score


def topk_iou(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return r / (2 − r) of the expected Top-K overlap r.

    Two sets of K pixels that share rK have the union (2 − r)K. This is what project_iml computes
    under the name TKO; it ranks maps as ``topk_overlap`` does. Under ties it is defined through
    the expected r and is not the expectation of the IoU.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[4.0, 3.0], [2.0, 1.0]], np.float32))
    >>> half = Ranking(ranked, np.array([[True, False], [True, False]]))  # r = 1/2
    >>> topk_iou(half, {}, Rules()).value
    0.3333333333333333
    """
    r = topk_overlap(ranking, options, rules)
    return r if r.reason else Score(r.value / (2 - r.value))


SPEC = MetricSpec(
    id="topk_iou",
    label="Top-K IoU",
    summary="r / (2 − r) of the Top-K overlap r",
    needs=frozenset({"rank"}),
    formula="r / [2 − r] , r = hits(K) / K",
    undefined=("empty-mask",),
    fn=topk_iou,
    params=(TIES,),
    paper="project_iml (its code's TKO)",
)
