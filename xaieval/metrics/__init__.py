"""Scores of heatmaps against pixel masks: exact tie rules, NaN with a reason, one file per score.

::

    score(heatmaps, masks=None, *, metrics, rules=Rules(), evaluator=None) -> Scores
        heatmaps float (B, H, W), or (B, C, H, W) with Rules(pooling=...); masks bool (B, H, W) or
        (B, P, H, W); numpy or torch. metrics: ids, keys, {"id": ..., option: value}, MetricCall.
    Scores                 Mapping key -> float64 (B,) or (B, P)
        .reasons           Mapping key -> object array of the same shape: None or one of REASONS
        .rules .calls
        .frame(sample_ids, *, regions=None, columns=None) -> DataFrame, long form:
            [*columns, sample_id, region, metric_key, rule_digest, value, reason]
    Rules(*, ties="expected", empty_masks="nan", binarisation="minmax>=0.5", tolerance_px=0.0,
          pooling=None)    .digest -> str
    TIE_RULES, POOLINGS, BINARISATIONS   names -> what each does
    METRICS: Table[MetricSpec]
    MetricSpec             id, label, summary, needs, higher_is_better, bounds, signed_ok, params,
                           variants, version, paper, fn | ask + read
    MetricCall             key, spec, options, settings, label, higher_is_better, whole
                           (``parse_metric("precision@K=412")``)
    parse_metric(key | mapping | MetricCall) -> MetricCall
    resolve_metrics(sequence of those) -> tuple[MetricCall, ...]
    sufficient_statistics(heatmaps, masks, *, rules=Rules()) -> list[dict]
        one row per image and region: image, region (positions), k, hits, mass_in, mass_total,
        argmax_y, argmax_x, flags ("" or comma-joined of zero, flat, signed, tied-max)
    expected_hits(heatmap, mask, k=None, *, ties="expected") -> float       k=None: |mask|
    hits_table(heatmap, mask, ks, *, ties="expected") -> float64 (len(ks),)
        precision at K = hits / K, recall at K = hits / |mask|
    k_table(heatmap, mask, end) -> KTable           the Top-K set and its scores at K = 1..end
    threshold_table(heatmap, mask) -> ThresholdTable    S and its scores at t = 0, 0.01, .., 1
    above_threshold(heatmap, share) -> bool (H, W)
    place_table(values (M, n), *, higher_is_better=True, tie=1e-9) -> int64 (M, n)
    topk_weights(heatmap, k) -> float32 (H, W): 1 in, 0 out, (K - g) / e for the tied group
    Evaluator              protocol: a model and a method at work on some pictures
        .subjects -> Sequence[Subject]   .rows   .logits(rows, images)
        .gradients(rows, images, targets)   .maps(rows, images)
    Subject                sample_id, x, low, high, predicted, target, single
    removal_curves(heatmaps, evaluator, *, fill="zero", insert=False, steps=100, ties="random")
        -> list[Curve]     .shares, .probabilities float64 (steps + 1,), .area
    completeness(attributions, outputs, baseline_outputs, *, relative=False) -> float64 (B,)
    pool(attribution (..., C, H, W), name) -> (..., H, W)

Keys: ``iou``, ``iou[mean+1std]``, ``iou[percentile=95]``, ``precision@K=412``, ``recall@K=412``,
``hits``, ``hits@K=412``, ``pointing_game@tolerance_px=15``, ``area_share@tolerance_px=15``,
``deletion``, ``deletion@fill=mean``, ``falsification@rule=area-matched``.
"""

from xaieval.metrics.binarise import BINARISATIONS
from xaieval.metrics.ceiling import ceiling_key
from xaieval.metrics.completeness import completeness
from xaieval.metrics.evaluator import Evaluator, Subject
from xaieval.metrics.faithfulness import removal_curves
from xaieval.metrics.pooling import POOLINGS, pool
from xaieval.metrics.ranking import TIE_RULES
from xaieval.metrics.registry import METRICS, MetricLike, parse_metric, resolve_metrics
from xaieval.metrics.removal import Curve
from xaieval.metrics.rules import Rules
from xaieval.metrics.scoring import Scores, score
from xaieval.metrics.spec import MetricCall, MetricSpec
from xaieval.metrics.tables import (
    KTable,
    ThresholdTable,
    above_threshold,
    k_table,
    place_table,
    threshold_table,
)
from xaieval.metrics.topk import expected_hits, hits_table, sufficient_statistics, topk_weights

__all__ = [
    "BINARISATIONS",
    "METRICS",
    "POOLINGS",
    "TIE_RULES",
    "Curve",
    "Evaluator",
    "KTable",
    "MetricCall",
    "MetricLike",
    "MetricSpec",
    "Rules",
    "Scores",
    "Subject",
    "ThresholdTable",
    "above_threshold",
    "ceiling_key",
    "completeness",
    "expected_hits",
    "hits_table",
    "k_table",
    "parse_metric",
    "place_table",
    "pool",
    "removal_curves",
    "resolve_metrics",
    "score",
    "sufficient_statistics",
    "threshold_table",
    "topk_weights",
]
