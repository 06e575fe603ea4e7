"""Who asks the same question of a map otherwise, and what the map scores there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xaieval.defining import NamedVariant
from xaieval.metrics.ceiling import SCORES as CEILINGS
from xaieval.metrics.pooling import POOLINGS
from xaieval.metrics.registry import MetricLike, parse_metric
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.metrics.scoring import score
from xaieval.metrics.spec import MetricCall
from xaieval.types import Grid, Mask, Score

_ARRAS = "Arras, Osman, Samek 2022 (CLEVR-XAI)"
_CLEVR = ("sum,abs", "sum,pos", "max-norm", "l1-norm", "l2-norm", "l2-norm,sq")
_TIE_SOURCES = {
    "project_iml": "project_iml, numpy.argpartition",
    "clevr_xai": f"{_ARRAS}, published code",
    "explanation_alignment": "Explanation Alignment notebooks, first maximum",
    "favourable": "Quantus, pointing game",
}
_S_SOURCES = {
    "minmax>=0.5": "this package; Explanation Alignment for Grad-CAM",
    "mean+1std": "Boggust et al. 2022 (Shared Interest); Explanation Alignment for gradients",
    "percentile=95": "a fixed share of the pixels, 5 %",
    "otsu": "Otsu 1979",
}


class VariantValue(NamedTuple):
    """What a map scores under a variant; ``score`` None: it was not computed."""

    variant: NamedVariant
    score: Score | None


def published_variants(metric: MetricLike) -> tuple[NamedVariant, ...]:
    """Return who else asks the same question of a map, and how: keys, resizing, poolings.

    The key asked for comes first, as "this number".
    """
    call = parse_metric(metric)
    found = [NamedVariant("own", "this number", call.key, "the rules of this study")]
    found += _SAME.get(call.spec.id, lambda call: [])(call)
    kept = [found[0], *(v for v in found[1:] if parse_metric(v.key).key != call.key)]
    if not call.whole and call.spec.needs:
        kept += [
            NamedVariant("mask-half", "mask resized > 0.5", call.key, "project_iml", resize="half"),
            NamedVariant("mask-any", "mask resized > 0", call.key, _ARRAS, resize="any"),
        ]
        kept += [
            NamedVariant(f"pooling-{name}", f"pooling {name}", call.key, _pooled_by(name), name)
            for name in POOLINGS
            if call.spec.signed_ok or name != "sum"
        ]
    return tuple(kept)


def variant_values(
    heatmap: Any,
    mask: Mask,
    metric: MetricLike,
    *,
    rules: Rules = DEFAULT,
    grid: Grid | None = None,
    pooled: Mapping[str, Any] | None = None,
    masks: Mapping[str, Mask] | None = None,
    variants: Sequence[NamedVariant] | None = None,
) -> list[VariantValue]:
    """Score one map under every named variant, with ``score()`` itself.

    Parameters
    ----------
    heatmap : float (H, W)
    mask : bool (H, W)
    metric : key
    rules : Rules
        The study's; a variant's key may override its tie rule or threshold.
    grid : Grid, optional
        What the map was drawn from.
    pooled : mapping pooling name -> float (H, W), optional
        The same attribution pooled otherwise; variants of other poolings have no value.
    masks : mapping of resize name -> bool (H, W), optional
        The mask resized as "half" and "any" say.
    variants : sequence of NamedVariant, optional
        Default: those of the metric's definition.

    Returns
    -------
    list of (variant, score)
        ``score`` is None where the variant cannot be computed from what was given: its pooling
        or mask is not there, its K does not fit the map, or it needs the model.

    >>> heatmap = np.array([[2.0, 2.0], [0.0, 0.0]], np.float32)
    >>> mask = np.array([[False, True], [False, False]])
    >>> found = variant_values(heatmap, mask, "pointing_game")
    >>> [(v.id, s.value) for v, s in found if s][:2]
    [('own', 0.5), ('tolerance', 1.0)]
    """
    asked = published_variants(metric) if variants is None else variants
    found = []
    for variant in asked:
        values = heatmap if variant.pooling is None else (pooled or {}).get(variant.pooling)
        region = mask if not variant.resize else (masks or {}).get(variant.resize)
        call = parse_metric(variant.key)
        size = np.size(heatmap)
        fits = int(call.options.get("K", 1)) <= size
        if values is None or region is None or call.whole or not fits:
            found.append(VariantValue(variant, None))
            continue
        scores = score(
            np.asarray(values)[None],
            np.asarray(region)[None],
            metrics=[call],
            rules=rules,
            grid=grid,
            signed="nan",
        )
        value = Score(float(scores[call.key][0]), scores.reasons[call.key][0])
        found.append(VariantValue(variant, value))
    return found


def _ties_of(call: MetricCall, *rules: str) -> list[NamedVariant]:
    base = _base(call)
    return [
        NamedVariant(f"ties-{rule}", f"ties {rule}", _with(base, f"ties={rule}"), source)
        for rule, source in _TIE_SOURCES.items()
        if not rules or rule in rules
    ]


def _base(call: MetricCall) -> str:
    """The key without a tie rule of its own."""
    head, _, tail = call.key.partition("@")
    kept = [part for part in tail.split(",") if part and not part.startswith("ties=")]
    return f"{head}@{','.join(kept)}" if kept else head


def _with(key: str, option: str) -> str:
    return f"{key},{option}" if "@" in key else f"{key}@{option}"


def _overlap(call: MetricCall) -> list[NamedVariant]:
    found = []
    if call.name != "topk_overlap":
        found.append(
            NamedVariant("overlap", "K = mask area", "topk_overlap", f"{_ARRAS}: rank accuracy")
        )
    else:
        iml = "project_iml, what its code calls TKO"
        found.append(NamedVariant("iou", "as intersection over union", "topk_iou", iml))
        quantus = "Quantus, TopKIntersection"
        found.append(NamedVariant("k1000", "K fixed at 1000 px", "precision@K=1000", quantus))
    return found + _ties_of(call)


def _pointing(call: MetricCall) -> list[NamedVariant]:
    zhang = "Zhang et al. 2016"
    key = "pointing_game@tolerance_px=15"
    return [
        NamedVariant("tolerance", "mask grown by 15 px", key, zhang),
        *_ties_of(call, "explanation_alignment", "favourable", "clevr_xai"),
    ]


def _thresholds(call: MetricCall) -> list[NamedVariant]:
    return [
        NamedVariant(f"S-{name}", f"S: {name}", f"{call.spec.id}[{name}]", source)
        for name, source in _S_SOURCES.items()
    ]


def _masses(call: MetricCall) -> list[NamedVariant]:
    wang = "Wang et al. 2020 (energy-based pointing game)"
    return [
        NamedVariant("share", "as a share of 1", "mass_accuracy", f"{_ARRAS}; {wang}"),
        NamedVariant(
            "percent", "in percent", "regional_precision", "regional study, CelebAMask-HQ"
        ),
        NamedVariant("lift", "over the area share", "lift", "this package"),
    ]


def _removals(call: MetricCall) -> list[NamedVariant]:
    return [
        NamedVariant(f"also-{v.key}", v.label, v.key, call.spec.paper)
        for v in call.spec.variants
        if v.name is None
    ]


def _falsified(call: MetricCall) -> list[NamedVariant]:
    head = call.name
    paper = "the falsification study: all pixels of each set"
    matched = "this package: as many of each set; for conclusions"
    return [
        NamedVariant("paper", "all pixels of each set", head, paper),
        NamedVariant("matched", "area-matched", f"{head}@rule=area-matched", matched),
    ]


def _shares(call: MetricCall) -> list[NamedVariant]:
    key = f"{call.name}@share=0.05"
    return [NamedVariant("share-5", "the top 5 % instead", key, "this package")]


def _of(call: MetricCall, scores: Sequence[str]) -> list[NamedVariant]:
    return [
        NamedVariant(f"of-{name}", f"of {parse_metric(name).label}", f"{call.name}@of={name}", here)
        for name in scores
        for here in ("this package",)
    ]


_SAME = {
    "topk_overlap": _overlap,
    "topk_iou": lambda call: [
        NamedVariant("share", "as a share of K", "topk_overlap", f"{_ARRAS}: rank accuracy"),
        *_ties_of(call),
    ],
    "pointing_game": _pointing,
    "iou": _thresholds,
    "gt_coverage": _thresholds,
    "saliency_coverage": _thresholds,
    "mass_accuracy": _masses,
    "regional_precision": _masses,
    "regional_recall": lambda call: [*_shares(call), *_ties_of(call)],
    "spatial_coherence": _shares,
    "lift": lambda call: _of(call, ("mass_accuracy", "topk_overlap", "pointing_game")),
    "ceiling": lambda call: _of(call, CEILINGS),
    "area_share": lambda call: [
        NamedVariant(
            "tolerance", "mask grown by 15 px", "area_share@tolerance_px=15", "Zhang et al. 2016"
        )
    ],
    "deletion": _removals,
    "insertion": _removals,
    "road": lambda call: [
        NamedVariant("morf", "most relevant first", "road_morf", "Rong et al. 2022"),
        NamedVariant("lerf", "least relevant first", "road_lerf", "Rong et al. 2022"),
    ],
    "falsification": _falsified,
}
"""Metric id -> the variants of a call of it."""


def _pooled_by(name: str) -> str:
    if name in _CLEVR:
        return f"{_ARRAS}, section 3.3"
    return "Explanation Alignment (signed)" if name == "sum" else "used beside CLEVR-XAI's six"
