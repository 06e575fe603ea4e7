"""What every score means, in one object, and what the same map scores under published variants."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xaieval.defining import Definition, NamedVariant
from xaieval.metrics.binarise import BINARISATIONS
from xaieval.metrics.ceiling import SCORES as CEILINGS
from xaieval.metrics.pooling import POOLINGS
from xaieval.metrics.ranking import TIE_RULES
from xaieval.metrics.registry import MetricLike, parse_metric
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.metrics.scoring import score
from xaieval.metrics.spec import MetricCall
from xaieval.types import Grid, Mask, Score

SYMBOLS = {
    "R": "R: the heatmap, one value per pixel",
    "M": "M: pixels of the mask",
    "K": "K: number of highest pixels taken",
    "N": "N: pixels of the image",
    "S": "S: pixels of the binarised heatmap",
    "C": "C: connected pieces of the highest pixels",
    "hits": "hits(K): expected number of the K highest pixels inside M",
    "p": "p: probability of the predicted class",
    "d": "d: angle between the outputs before and after hiding pixels",
    "x": "x: the picture",
    "δ": "δ: a small change of the picture",
    "ρ": "ρ: Spearman's rank correlation",
}
"""Letter of a formula -> what it stands for."""

REASON_WORDS = {
    "empty-mask": "the mask is empty (a part that the image lacks, or one that the crop removed)",
    "full-mask": "the mask covers the whole image",
    "zero-map": "the heatmap is zero everywhere",
    "flat-map": "the heatmap has one value everywhere",
    "signed-map": "the heatmap has negative values",
    "not-defined-for-model": "the model has no such number",
}
RESIZE = (
    "The mask is brought to the model's input by the nearest pixel. project_iml resizes it "
    "bilinearly and keeps what is above 0.5; CLEVR-XAI keeps what is above 0, which dilates it."
)
POOLED = (
    "Channels become one map as the method's own pooling says (its option “pooling”), before "
    "anything is scored."
)
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


def metric_definition(metric: MetricLike, *, rules: Rules = DEFAULT) -> Definition:
    """Return the definition of a score as it is asked for: any key that ``parse_metric`` reads.

    Raises
    ------
    ConfigError
        For an unknown metric or option.

    >>> found = metric_definition("precision@K=412")
    >>> found.label, found.plain, found.range
    ('Precision (K=412)', 'hits(K) / K', '0 to 1')
    """
    call = parse_metric(metric)
    spec = call.spec
    named = next((v for v in spec.variants if v.name == call.name), None)
    written = next((v for v in spec.variants if v.key == call.key), None)
    formula = named.formula if named is not None else spec.formula
    words = named.summary if named is not None else spec.summary
    if named is None and written is not None and "binarised" not in spec.needs:
        words = f"{words}: {written.summary}"
    options = ", ".join(f"{name} = {value}" for name, value in call.settings.items())
    return Definition(
        key=call.key,
        label=call.label,
        formula=formula,
        words=_sentence(words) + (f" Here {options}." if options else ""),
        symbols="; ".join(_symbols(formula)),
        pooling=_pooling(call, rules),
        tie_rule=_ties(call, rules),
        resize="" if call.whole else RESIZE,
        left_out=_left_out(call),
        range=f"{_number(call.bounds[0])} to {_number(call.bounds[1])}",
        better={True: "higher", False: "lower", None: ""}[call.higher_is_better],
        chance=_chance(call),
        source=spec.paper or "this package",
        variants=published_variants(call),
    )


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


# ---------------------------------------------------------------- who does it otherwise


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


# ---------------------------------------------------------------- sentences


def _sentence(text: str) -> str:
    first = text if text.startswith(("hits(", "r / ")) else f"{text[:1].upper()}{text[1:]}"
    return f"{first}."


def _number(value: float) -> str:
    return "∞" if value == math.inf else f"{value:g}".replace("-", "−")


def _symbols(formula: str) -> list[str]:
    words = set(re.findall(r"[^\W\d_]+", re.sub(r'"[^"]*"', "", formula)))
    return [text for letter, text in SYMBOLS.items() if letter in words]


def _pooled_by(name: str) -> str:
    if name in _CLEVR:
        return f"{_ARRAS}, section 3.3"
    return "Explanation Alignment (signed)" if name == "sum" else "used beside CLEVR-XAI's six"


def _pooling(call: MetricCall, rules: Rules) -> str:
    if call.spec.needs == frozenset():
        return "The heatmap does not enter."
    text = POOLED
    if rules.pooling is not None:
        text = f"Channels become one map by “{rules.pooling}”."
    if "mass" in call.spec.needs:
        text += " Negative values have no mass: a signed map has no such score."
    return text


def _ties(call: MetricCall, rules: Rules) -> str:
    names = {param.name for param in call.spec.params}
    if call.whole:
        ties = call.settings.get("ties")
        return (
            "Pixels of one value go in a random order, seeded by the sample and the same for "
            "every method."
            if ties == "random"
            else "Pixels of one value go row by row."
            if ties == "first"
            else ""
        )
    if call.spec.id == "auroc":
        return "Pixels of one value form one threshold: a tied pair counts half."
    if "ties" in names:
        rule = str(call.options.get("ties", rules.ties))
        exact = " Exactly: hits(K) = |M ∩ {R > θ}| + (K − g) · |M ∩ {R = θ}| / e, with θ the K-th "
        exact += "highest value, g pixels above it and e at it."
        return f"“{rule}”: {TIE_RULES[rule]}." + (exact if rule == "expected" else "")
    if "binarised" in call.spec.needs:
        name = str(call.options.get("binarisation", rules.binarisation))
        kind = BINARISATIONS.get(name, name)
        return f"S is “{name}”: {kind}. Pixels at the threshold are in or out together."
    if call.spec.id == "spatial_coherence":
        return "Pixels tied at the border are in or out together, whichever is nearer to K."
    return "Equal values make no difference." if "mass" in call.spec.needs else ""


def _left_out(call: MetricCall) -> str:
    if not call.spec.undefined:
        return "Defined for every heatmap and mask."
    reasons = [REASON_WORDS[reason] for reason in call.spec.undefined]
    listed = "; ".join(reasons)
    return f"There is no number, and the image is left out, where {listed}."


def _chance(call: MetricCall) -> str:
    _low, high = call.bounds
    if call.chance == "area_share":
        unit = "" if high == 1 else f", times {high:g}"
        return f"A map without information scores the mask's share of the image{unit}."
    if isinstance(call.chance, str):
        return f"A map without information scores {call.settings[call.chance]:g}."
    if call.chance is not None:
        return f"A map without information scores {call.chance:g}."
    return ""
