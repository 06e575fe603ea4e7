"""What a card shows: drawn heatmap, Top-K overlay, scores, rank; and the sentence on top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xaieval.metrics import (
    Rules,
    above_threshold,
    ceiling_key,
    parse_metric,
    score,
    topk_weights,
)
from xaieval.render import data_uri, levels, topk_layer
from xaieval.sanity import MARK, Verdict, marked
from xaieval.types import Heatmap, Mask, Score

TIE = 1e-9
"""Two scores tie when they differ by at most this much, as in the win rates."""
SHOWN = ("topk_overlap", "mass_accuracy", "pointing_game", "iou", "auroc")
BINARISED = ("iou", "gt_coverage", "saliency_coverage")
"""Scores of the pixels from a threshold on."""
REASON_TEXT = {
    "empty-mask": "the mask is empty",
    "full-mask": "the mask covers the whole image",
    "zero-map": "the map is zero everywhere",
    "flat-map": "the map has one value everywhere",
    "signed-map": "the map has negative values",
    "absent-part": "the part is not in this image",
    "not-defined-for-model": "not defined for this model",
    "no-ground-truth": "there is no ground truth",
}
FLAG_TEXT = {
    "zero": ("zero", "The map is zero everywhere: there is nothing to see."),
    "flat": ("flat", "The map has one value everywhere: there is nothing to see."),
    "non-finite-replaced": ("repaired", "NaN or infinity was replaced by 0."),
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """The part of a card that does not depend on K: the heatmap's levels as a grey PNG."""

    heatmap: Heatmap
    src: str
    low: float
    high: float


def draw(heatmap: Heatmap) -> Drawn:
    """Encode a heatmap for the browser, which colours it."""
    values = heatmap.values
    return Drawn(heatmap, data_uri(levels(values)), float(values.min()), float(values.max()))


@dataclass(frozen=True)
class Topk:
    """The overlay of a map's strongest pixels as a PNG: the K highest, or those at a threshold.

    ``hits``: how many of the ``k`` lie in the mask (px; None without one).
    """

    k: int
    src: str
    hits: float | None
    threshold: float | None = None


def draw_topk(heatmap: Heatmap, mask: Mask | None, k: int, threshold: float | None = None) -> Topk:
    """Mark the K strongest pixels of a heatmap against its mask, or all from a threshold on."""
    if threshold is None:
        weights = topk_weights(heatmap.values, k)
    else:
        weights = above_threshold(heatmap.values, threshold).astype(np.float32)
        k = int(weights.sum())
    hits = None if mask is None else float(weights[mask].sum())
    return Topk(k, data_uri(topk_layer(weights, mask)), hits, threshold)


def shown_metrics(metric: str, k: int | None, threshold: float | None = None) -> tuple[str, ...]:
    """Return the metric keys of a card, the ranking one first.

    With a K of one's own, Top-K overlap becomes the precision at that K; with a threshold the
    scores of a set of pixels are those at it.
    """
    first = BINARISED if threshold is not None else ()
    keys = tuple(dict.fromkeys((metric, *first, *SHOWN)))[:5]
    return tuple(at_k(key, k, threshold) for key in keys)


def at_k(metric: str, k: int | None, threshold: float | None = None) -> str:
    """Return the metric that is meant when a K or a threshold is chosen.

    >>> at_k("topk_overlap", 9), at_k("iou", None, 0.25)
    ('precision@K=9', 'iou[minmax>=0.25]')
    """
    if metric in BINARISED and threshold:
        return f"{metric}[minmax>={threshold:g}]"
    return f"precision@K={k}" if metric == "topk_overlap" and k is not None else metric


def rate(
    heatmaps: Mapping[str, Heatmap],
    mask: Mask | None,
    metrics: Sequence[str],
    *,
    reason: str = "no-ground-truth",
) -> dict[str, dict[str, Score]]:
    """Score maps of one image: method key -> metric key -> Score.

    Without a mask every score is undefined, for the ``reason`` given. Where a map was drawn from
    a coarse grid, the ceilings of the scores stand among them. Scores that need mass are left out
    for maps with negative values.
    """
    if not heatmaps:
        return {}
    if mask is not None:
        plain = [key for key in metrics if parse_metric(key).spec.signed_ok]
        apart = {key: heatmap for key, heatmap in heatmaps.items() if has_sign(heatmap)}
        if apart and len(plain) < len(metrics):
            rest = {key: heatmap for key, heatmap in heatmaps.items() if key not in apart}
            rated = rate(rest, mask, metrics) | (rate(apart, mask, plain) if plain else {})
            return {key: rated.get(key, {}) for key in heatmaps}
    if mask is None:
        nothing = Score(math.nan, reason)
        return {key: dict.fromkeys(metrics, nothing) for key in heatmaps}
    stack = np.stack([heatmap.values for heatmap in heatmaps.values()])
    masks = np.broadcast_to(mask, stack.shape)
    found = score(stack, masks, metrics=list(metrics), rules=Rules(), signed="nan")
    rated = {
        key: {
            metric: Score(float(found[metric][row]), found.reasons[metric][row])
            for metric in metrics
        }
        for row, key in enumerate(heatmaps)
    }
    above = [key for key in map(ceiling_key, metrics) if key is not None]
    for key, heatmap in heatmaps.items():
        if heatmap.grid is not None and above:
            best = score(heatmap.values[None], mask[None], metrics=above, grid=heatmap.grid)
            rated[key] |= {
                name: Score(float(best[name][0]), best.reasons[name][0]) for name in above
            }
    return rated


def has_sign(heatmap: Heatmap) -> bool:
    """Tell whether a map has negative values: a share of its sum means nothing then."""
    return bool(heatmap.values.min() < 0)


@dataclass(frozen=True)
class Place:
    """A method's place among those that compete: 1 is best; ``tied`` with another one."""

    rank: int
    tied: bool


def rank(values: Mapping[str, float], *, higher_is_better: bool = True) -> dict[str, Place]:
    """Rank scores; NaN has no place; scores within ``TIE`` of the next better one share its place.

    >>> rank({"a": 0.2, "b": 0.5, "c": 0.2, "d": float("nan")})
    {'b': Place(rank=1, tied=False), 'a': Place(rank=2, tied=True), 'c': Place(rank=2, tied=True)}
    """
    sign = -1 if higher_is_better else 1
    order = sorted(
        (k for k, v in values.items() if not math.isnan(v)), key=lambda k: sign * values[k]
    )
    ranks: dict[str, int] = {}
    for position, key in enumerate(order):
        before = order[position - 1] if position else None
        same = before is not None and abs(values[before] - values[key]) <= TIE
        ranks[key] = ranks[before] if same and before is not None else position + 1
    held = list(ranks.values())
    return {key: Place(place, held.count(place) > 1) for key, place in ranks.items()}


def verdict(
    scores: Mapping[str, Score], labels: Mapping[str, str], *, metric: str
) -> dict[str, str] | None:
    """Return the sentence about who wins, and the ranking, in plain text.

    ``scores`` holds the competing methods only.
    """
    if not scores:
        return None
    spec = parse_metric(metric).spec
    name = metric_label(metric)
    values = {key: found.value for key, found in scores.items()}
    places = rank(values, higher_is_better=spec.higher_is_better)
    if not places:
        reasons = dict.fromkeys(
            REASON_TEXT[found.reason] for found in scores.values() if found.reason
        )
        return {"title": "No ranking", "text": f"{name} is undefined: {'; '.join(reasons)}"}
    best = [key for key, place in places.items() if place.rank == 1]
    ranking = f"{name}: "
    for position, (key, place) in enumerate(places.items()):
        joint = " = " if position and place == list(places.values())[position - 1] else " > "
        ranking += (joint if position else "") + f"{labels[key]} {value_text(metric, values[key])}"
    left_out = [labels[key] for key in scores if key not in places]
    if left_out:
        ranking += f" · undefined: {', '.join(left_out)}"
    if len(scores) == 1:
        return {"title": f"{labels[best[0]]}", "text": ranking}
    if len(best) == 1:
        return {"title": f"★ {labels[best[0]]} wins", "text": ranking}
    names = ", ".join(labels[key] for key in best[:-1]) + f" and {labels[best[-1]]}"
    return {"title": f"{names} tie", "text": ranking}


def value_text(metric: str, value: float) -> str:
    """Return a score as a card shows it, with its unit.

    >>> value_text("iou", 0.25), value_text("regional_precision", 0.98)
    ('0.250', '0.98%')
    >>> value_text("regional_precision", 52.25), value_text("regional_precision", 100.0)
    ('52.2%', '100%')
    """
    if parse_metric(metric).bounds[1] != 100:
        return f"{value:.3f}"
    return "100%" if value == 100 else f"{value:.{1 if value >= 9.995 else 2}f}%"


def metric_label(metric: str) -> str:
    """Return how a metric is called on the page."""
    call = parse_metric(metric)
    if call.name == "precision":
        return f"Top-{call.options['K']} precision"
    binarisation = str(call.options.get("binarisation", ""))
    if binarisation.startswith("minmax>="):
        return f"{call.spec.label} at {float(binarisation[8:]):.2f}"
    return call.label


def card(
    *,
    key: str,
    label: str,
    title: str,
    baseline: bool,
    drawn: Drawn,
    topk: Topk,
    identity: str,
    scores: Mapping[str, Score],
    place: Place | None,
    competes: bool,
    mask_note: str,
    share: float,
    gate: Verdict | None = None,
    region: str = "",
) -> dict[str, Any]:
    """Return a filled card as the browser takes it; ``identity`` names the map's content.

    ``region``: the one whose mask is scored.
    ``gate``: what the sanity gate said of the method on this model, if it was asked.
    """
    flags = drawn.heatmap.flags
    badges = [
        {"text": FLAG_TEXT[flag][0], "kind": "flag", "title": FLAG_TEXT[flag][1]}
        for flag in sorted(flags & FLAG_TEXT.keys())
    ]
    if gate is not None and gate.status == "failed":
        title_of_mark = _sentence(gate.text)
        badges.insert(
            0,
            {"text": f"{MARK} sanity", "kind": "flag", "title": title_of_mark, "define": "sanity"},
        )
    elif gate is not None and gate.status == "passed":
        title = f"{title}. {_sentence(gate.text)}"
    winner = place is not None and place.rank == 1
    if place is not None:
        text = f"{'=' if place.tied else ''}{ordinal(place.rank)}"
        text = f"★ {text}" if winner else text
        badges.append({"text": text, "kind": "first" if winner else "", "place": True})
    elif baseline:
        badges.append({"text": "baseline", "kind": "", "title": "A reference line: never wins."})
    elif not competes:
        badges.append({"text": "not ranked", "kind": "", "title": "Not among those that compete."})
    rows = [
        score_row(metric, found, share, scores.get(ceiling_key(metric) or ""))
        for metric, found in scores.items()
        if topk.hits is not None and not metric.startswith("ceiling")
    ]
    if rows:
        rows[0]["ranks"] = True
        if topk.threshold is not None:
            rows.append(size_row(topk))
    hits = "" if topk.hits is None else f", {topk.hits:.0f} of them in the mask"
    return {
        "key": key,
        "label": label,
        "title": title,
        "state": "ready",
        "baseline": baseline,
        "winner": winner,
        "badges": badges,
        "heat": {"id": f"heat-{identity}", "src": drawn.src},
        "low": drawn.low,
        "high": drawn.high,
        "heat_alt": f"Heatmap of {label} over the image",
        "topk": {"id": f"top-{identity}-{topk.k}-{topk.threshold}-{region}", "src": topk.src},
        "topk_alt": f"The {topk.k} strongest pixels of {label}{hits}",
        "cut": f"cut-{identity}-{region}",
        "rows": rows,
        "note": " ".join(filter(None, (mask_note, _signed(drawn), _conserved(drawn.heatmap)))),
    }


def _signed(drawn: Drawn) -> str:
    """Return why a map's card has no scores of mass."""
    return "Scores of mass are undefined: the map has negative values." if drawn.low < 0 else ""


def _conserved(heatmap: Heatmap) -> str:
    """Return by how much relevance misses the logit, for methods that promise to hand it back."""
    if heatmap.conservation is None:
        return ""
    return f"Relevance adds up to the logit but for {heatmap.conservation:.0%} of it."


def marked_labels(labels: Mapping[str, str], gate: Mapping[str, Verdict]) -> dict[str, str]:
    """Return labels, those of methods that failed the sanity gate with its mark."""
    failed = {key for key, found in gate.items() if found.status == "failed"}
    return {key: marked(label, key in failed) for key, label in labels.items()}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def size_row(topk: Topk) -> dict[str, Any]:
    """Return the line that says how many pixels a threshold leaves."""
    text = f"{topk.k:,} px".replace(",", "\u2009")
    title = "Pixels of the map from the threshold on"
    return {"cut": "size", "label": "Pixels", "title": title, "text": text}


def _row_label(metric: str) -> str:
    """Return a score's name without the K or threshold that stands above the cards."""
    if metric.startswith("precision@"):
        return "Precision at K"
    return parse_metric(metric).spec.label if "[minmax>=" in metric else metric_label(metric)


def score_row(metric: str, found: Score, share: float, best: Score | None = None) -> dict[str, Any]:
    """Return one line of a card's table: text, bar length 0..1, where a constant map lies.

    ``scale`` is the value at the bar's end, None where the score has no largest value; ``best``
    the ceiling of the method's grid, where there is one.
    """
    call = parse_metric(metric)
    low, high = call.bounds
    undefined = math.isnan(found.value)
    length = None
    if not undefined and math.isfinite(low) and math.isfinite(high):
        length = (found.value - low) / (high - low)
    chance = call.chance_level(share)
    title = call.spec.summary
    if found.reason is not None:
        title = f"Undefined: {REASON_TEXT[found.reason]}. {title}"
    if best is not None and chance is not None and best.value > chance and not undefined:
        reached = (found.value - chance) / (best.value - chance)
        title = (
            f"{title}. The method's grid allows {value_text(metric, best.value)}: "
            f"{reached:.0%} of the way there"
        )
    return {
        "metric": metric,
        "label": _row_label(metric),
        "title": title,
        "text": "–" if undefined else value_text(metric, found.value),
        "share": length,
        "scale": high if math.isfinite(high) else None,
        "chance": chance,
        "ceiling": None if best is None or math.isnan(best.value) else best.value,
        "ranks": False,
    }


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, …

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"
