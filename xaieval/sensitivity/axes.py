"""The table of choices: along which axes a measurement is varied, and how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xaieval.errors import unknown
from xaieval.methods import POOLINGS, UPSAMPLINGS, MethodCall
from xaieval.metrics import TIE_RULES, MetricCall, parse_metric
from xaieval.sensitivity.recipe import Recipe, TargetName, Variant
from xaieval.table import Table

BINARISED = ("iou", "gt_coverage", "saliency_coverage")
SCORES = ("topk_overlap", "mass_accuracy", "pointing_game", "iou", "auroc")
STEPS_PX = (1, 2, 3, 4, 5)
TIES = {
    "expected": "expected",
    "project_iml": "project_iml's",
    "clevr_xai": "CLEVR-XAI's: the last",
    "explanation_alignment": "the first",
    "favourable": "those in the mask",
}
THRESHOLDS = {
    "minmax>=0.5": "above half of the range",
    "mean+1std": "above mean + 1 std",
    "percentile=90": "of the highest 10 %",
    "percentile=95": "of the highest 5 %",
    "otsu": "by Otsu's threshold",
}


@dataclass(frozen=True)
class Asked:
    """What is varied: a score on a study's competing methods.

    Attributes
    ----------
    metric : MetricCall
    compete : tuple of MethodCall
    target, upsampling : str
        The study's; a class index as text.
    classes : int
    several : bool
        Whether an image has several classes at once, so that only its own can be explained.
    correct : bool
        Whether only images take part whose predicted class is the labelled one.
    """

    metric: MetricCall
    compete: tuple[MethodCall, ...]
    target: str = "predicted"
    upsampling: str = "paper"
    classes: int = 2
    several: bool = False
    correct: bool = False

    def recipe(self) -> Recipe:
        """Return the measurement as the study makes it."""
        return Recipe(metric=self.metric.key)


@dataclass(frozen=True)
class Axis:
    """One choice of the measurement.

    Attributes
    ----------
    id, label : str
    summary : str
        What is changed, in a sentence.
    vary : callable
        ``vary(asked)`` returns the variants, or says why there are none.
    needs_maps : bool
        Whether its variants need other heatmaps than the study's own.
    """

    id: str
    label: str
    summary: str
    vary: Callable[[Asked], Sequence[Variant] | str]
    needs_maps: bool = False


def _pooling(asked: Asked) -> Sequence[Variant] | str:
    if not any("pooling" in call.options for call in asked.compete):
        return "no competing method has channels to pool"
    signed = asked.metric.spec.signed_ok
    metric = asked.metric.key
    return [
        Variant(f"pooling={name}", name, Recipe(metric=metric, pooling=name))
        for name in POOLINGS
        if signed or name != "sum"
    ]


def _k(asked: Asked) -> Sequence[Variant]:
    factors = {0.5: "half the mask's area", 2.0: "twice the mask's area"}
    score = "topk_overlap"
    found = [
        Variant(f"K={factor:g}*mask", f"K = {text}", Recipe(metric=score, k_factor=factor))
        for factor, text in factors.items()
    ]
    whole = Recipe(metric=score, k_share=0.05)
    return [*found, Variant("K=5%", "K = 5 % of the image", whole)]


def _threshold(asked: Asked) -> Sequence[Variant]:
    name = asked.metric.spec.id if asked.metric.spec.id in BINARISED else "iou"
    label = parse_metric(name).label
    found = [
        Variant(f"{name}[{rule}]", f"{label} {text}", Recipe(metric=f"{name}[{rule}]"))
        for rule, text in THRESHOLDS.items()
    ]
    # of other scores, IoU at its usual threshold stands among the scores
    usual = asked.metric.key == name or asked.metric.spec.id not in BINARISED
    same = {asked.recipe().key, f"{name}[minmax>=0.5]" if usual else ""}
    return [variant for variant in found if variant.recipe.key not in same]


def _ties(asked: Asked) -> Sequence[Variant] | str:
    if "ties" not in {param.name for param in asked.metric.spec.params} or asked.metric.whole:
        return f"equal pixels are not ordered by {asked.metric.label}"
    key = asked.metric.key
    head, at, tail = key.partition("@")
    kept = [part for part in tail.split(",") if part and not part.startswith("ties=")] if at else []
    now = str(asked.metric.options.get("ties", "expected"))
    return [
        Variant(f"ties={rule}", TIES.get(rule, rule), Recipe(metric=_tied(head, kept, rule)))
        for rule in TIE_RULES
        if rule != now
    ]


def _tied(head: str, kept: Sequence[str], rule: str) -> str:
    return f"{head}@{','.join([*kept, f'ties={rule}'])}"


def _wins(asked: Asked) -> Sequence[Variant]:
    return [Variant("wins=first", "the first method gets a tied win", asked.recipe(), "first")]


def _target(asked: Asked) -> Sequence[Variant] | str:
    if asked.several:
        return "an image has several attributes: its own is explained"
    names: dict[TargetName, str] = {
        "predicted": "the predicted class",
        "label": "the labelled class",
        "second": "the second most likely class",
    }
    # of a rightly classified image both are one class
    one = asked.correct and asked.target in ("predicted", "label")
    same = ("predicted", "label") if one else ()
    return [
        Variant(f"target={name}", text, Recipe(metric=asked.metric.key, target=name))
        for name, text in names.items()
        if name not in {asked.target, *same} and (name != "second" or asked.classes > 1)
    ]


def _upsampling(asked: Asked) -> Sequence[Variant] | str:
    if not any(call.spec.low_resolution for call in asked.compete):
        return "no competing method is drawn from a coarse grid"
    texts = {"paper": "bilinear over the image", "aligned": "bilinear, cells at their fields"}
    texts |= {name: name for name in UPSAMPLINGS if name not in texts}
    texts["nearest"] = "flat cells"
    return [
        Variant(f"upsampling={n}", text, Recipe(metric=asked.metric.key, upsampling=n))
        for n, text in texts.items()
        if n != asked.upsampling
    ]


def _mask(asked: Asked) -> Sequence[Variant]:
    metric = asked.metric.key
    shrunk = [
        Variant(f"mask=-{px}", f"eroded by {px} px", Recipe(metric=metric, mask_px=-px))
        for px in reversed(STEPS_PX)
    ]
    grown = [
        Variant(f"mask=+{px}", f"dilated by {px} px", Recipe(metric=metric, mask_px=px))
        for px in STEPS_PX
    ]
    return [*shrunk, *grown]


def _metric(asked: Asked) -> Sequence[Variant]:
    return [
        Variant(f"score={name}", parse_metric(name).label, Recipe(metric=name))
        for name in SCORES
        if name != asked.metric.key
    ]


AXES: Table[Axis] = Table(
    "axis",
    [
        Axis("pooling", "Pooling", "how channels become one map", _pooling, needs_maps=True),
        Axis("k", "K", "how many of the highest pixels are taken: hits(K) / K", _k),
        Axis("threshold", "Threshold", "where a map is cut into a set of pixels", _threshold),
        Axis("ties", "Equal pixels", "which of the tied pixels count", _ties),
        Axis("wins", "Equal scores", "who gets a win that methods tie for", _wins),
        Axis("target", "Class explained", "whose evidence the map shows", _target, needs_maps=True),
        Axis("upsampling", "Upsampling", "how cells become pixels", _upsampling, needs_maps=True),
        Axis("mask", "Mask", "the mask grown or shrunk, a pixel's four neighbours a step", _mask),
        Axis("metric", "Score", "another score altogether", _metric),
    ],
)
"""All axes, in the order of the figure."""


def variants_of(
    asked: Asked, axes: Sequence[str] | None = None
) -> tuple[dict[str, tuple[Variant, ...]], dict[str, str]]:
    """Return axis id -> its variants, and axis id -> why it has none.

    Raises
    ------
    ConfigError
        For an unknown axis.
    """
    named = tuple(AXES) if axes is None else tuple(axes)
    found: dict[str, tuple[Variant, ...]] = {}
    skipped: dict[str, str] = {}
    for name in named:
        if name not in AXES:
            raise unknown("axis", name, AXES)
        varied = AXES[name].vary(asked)
        if isinstance(varied, str):
            skipped[name] = varied
        else:
            found[name] = tuple(varied)
    return found, skipped
