"""What every score means, in one object: its formula, its rules, who else asks the same."""

from __future__ import annotations

import math
import re

from xaieval.defining import Definition
from xaieval.metrics.binarise import BINARISATIONS
from xaieval.metrics.ranking import TIE_RULES
from xaieval.metrics.registry import MetricLike, parse_metric
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.metrics.spec import MetricCall
from xaieval.metrics.variants import published_variants

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


def _sentence(text: str) -> str:
    first = text if text.startswith(("hits(", "r / ")) else f"{text[:1].upper()}{text[1:]}"
    return f"{first}."


def _number(value: float) -> str:
    return "∞" if value == math.inf else f"{value:g}".replace("-", "−")


def _symbols(formula: str) -> list[str]:
    words = set(re.findall(r"[^\W\d_]+", re.sub(r'"[^"]*"', "", formula)))
    return [text for letter, text in SYMBOLS.items() if letter in words]


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
