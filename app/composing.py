"""A wish and its maps become one view: cards in order, ranks, the facts on top."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xaieval.backend import Answer
from xaieval.digest import digest
from xaieval.edits import Edit
from xaieval.methods import METHODS, MethodCall, resolve_methods
from xaieval.metrics import parse_metric
from xaieval.types import Heatmap

from .comparing_edits import class_rows, edit_view, prediction_fact, score_rows
from .cutting import places
from .own import Subject
from .regions import listing
from .scene import Scene, source_rows
from .scorecard import at_k, card, marked_labels, rank, shown_metrics, verdict
from .services import Services
from .subjects import Before


@dataclass(frozen=True)
class Wish:
    """One view: which image, which model, which methods, and how it is scored."""

    study: str
    sample_id: str
    label: str
    class_names: tuple[str, ...]
    checkpoint: Path
    methods: tuple[MethodCall, ...]
    target: str | int
    compete: frozenset[str]
    metric: str = "topk_overlap"
    k: int | None = None
    threshold: float | None = None
    region: str = ""
    regions: tuple[str, ...] = ()
    subject: Subject | None = None
    edit: Edit | None = None

    @property
    def asked(self) -> tuple[object, ...]:
        """What the backend is asked for; metric, K and region are not part of it."""
        keys = tuple(call.key for call in self.methods)
        own = () if self.subject is None else (self.subject.picture,)
        if self.edit is not None:  # it may be about the own mask
            own = (self.edit.text, *own, "" if self.subject is None else self.subject.mask)
        return (self.study, self.sample_id, self.checkpoint, keys, self.target, *own)

    @property
    def private(self) -> bool:
        """Whether only this session may see it."""
        return self.subject is not None or self.edit is not None

    @property
    def unedited(self) -> Wish:
        """The same with the picture as it is; with the method whose Top-K the edit is about."""
        if self.edit is None or not self.edit.topk:
            return replace(self, edit=None)
        calls = {call.key: call for call in self.methods}
        if self.edit.topk not in calls:
            calls |= {call.key: call for call in resolve_methods([self.edit.topk])}
        return replace(self, edit=None, methods=tuple(calls.values()))


def compose(
    services: Services,
    wish: Wish,
    scene: Scene,
    maps: dict[str, Heatmap],
    answer: Answer | None,
    before: Before | None = None,
) -> dict[str, Any]:
    """Return the whole view as the stage takes it; for the pool, not for the event loop.

    ``before``: what an edited image was before.
    """
    height, width = scene.picture.shape[:2]
    chosen = None if wish.k is None else min(wish.k, height * width)
    k = scene.default_k if chosen is None else chosen
    metrics = shown_metrics(wish.metric, chosen, wish.threshold)
    ranking = at_k(wish.metric, chosen, wish.threshold)
    scores = services.rate(maps, scene, metrics)
    calls = sorted(wish.methods, key=lambda call: METHODS[call.id].baseline)
    labels = method_labels(wish.methods)
    competing = {
        c.key: scores[c.key][ranking]
        for c in calls
        if ranking in scores.get(c.key, {}) and c.key in wish.compete
    }
    complete = answer is not None
    places = (
        rank(
            {key: found.value for key, found in competing.items()},
            higher_is_better=parse_metric(ranking).spec.higher_is_better,
        )
        if complete and len(competing) > 1
        else {}
    )
    gate = services.verdicts(wish.study, wish.checkpoint, wish.methods)
    cards = []
    for call in calls:
        spec = METHODS[call.id]
        if call.key not in maps:
            why = None if answer is None else answer.undefined.get(call.key)
            cards.append(
                {
                    "key": call.key,
                    "label": labels[call.key],
                    "title": f"{call.key}: {spec.summary}",
                    "state": "loading" if why is None else "undefined",
                    "baseline": spec.baseline,
                    "rows": [],
                    "badges": [] if why is None else [{"text": "not defined", "kind": "flag"}],
                    "note": why or "",
                }
            )
            continue
        drawn = services.drawn(maps[call.key])
        cards.append(
            card(
                key=call.key,
                label=labels[call.key],
                title=f"{call.key}: {spec.summary}",
                gate=gate.get(call.key),
                baseline=spec.baseline,
                drawn=drawn,
                topk=services.topk(maps[call.key], scene, k, wish.threshold),
                identity=f"{scene.key}-{id(drawn)}",
                region=scene.region,
                scores=scores[call.key],
                place=places.get(call.key),
                competes=call.key in wish.compete,
                mask_note=scene.mask_note,
                share=scene.share,
            )
        )
    ready = [shown for shown in cards if shown["state"] == "ready"]
    return {
        "status": "ready" if complete else "loading",
        "sample": wish.sample_id,
        "k": k,
        "default_k": scene.default_k,
        "threshold": wish.threshold,
        "cuts": cuts_key(wish, scene),
        "width": width,
        "height": height,
        "outline": scene.outline,
        "frame": scene.frame,
        "picture": {
            "id": f"picture-{scene.key}",
            "src": scene.src,
            "alt": f"Image {wish.sample_id}"
            + (", mask outlined" if scene.mask is not None else ""),
        },
        "regions": None
        if not scene.regions.names
        else {
            "index": {"id": f"regions-{scene.key}", "src": scene.regions.src},
            **listing(scene.regions, wish.regions, scene.region),
        },
        "source_rows": source_rows(scene, several=len(wish.regions) > 1),
        "source_note": scene.mask_note,
        "whatif": None
        if before is None
        else _whatif(services, wish, scene, answer, before, ranking),
        "original": None if before is None else before.picture,
        "facts": facts(wish, scene, answer, k, before),
        "verdict": verdict(competing, marked_labels(labels, gate), metric=ranking)
        if complete
        else None,
        "low": min((shown["low"] for shown in ready), default=0),
        "high": max((shown["high"] for shown in ready), default=0),
        "cards": cards,
    }


def _whatif(
    services: Services,
    wish: Wish,
    scene: Scene,
    answer: Answer | None,
    before: Before,
    ranking: str,
) -> dict[str, Any]:
    """Return what the panel says of an edit: in words, and as a table once the maps are there."""
    asked = (*wish.methods, *wish.unedited.methods)
    labels = method_labels(tuple({call.key: call for call in asked}.values()))
    found: dict[str, Any] = edit_view(wish, before.edited, labels)
    if answer is None:
        return found | {"rows": []}
    rows = class_rows(before.answer, answer, wish.class_names)
    if scene.mask is not None:
        # Both are scored in full where a map was undefined in one of them.
        old = services.rate(before.answer.maps, scene, (ranking,))
        new = services.rate(answer.maps, scene, (ranking,))
        rows += score_rows(
            {key: scores[ranking] for key, scores in old.items() if ranking in scores},
            {key: scores[ranking] for key, scores in new.items() if ranking in scores},
            labels,
            ranking,
        )
    return found | {"rows": rows}


def region_shares(
    services: Services, wish: Wish, scene: Scene, maps: dict[str, Heatmap]
) -> dict[str, Any]:
    """Return each shown method's share in every region of a scene, as the stage takes it."""
    shown = {call.key: maps[call.key] for call in wish.methods if call.key in maps}
    return {"key": f"regions-{scene.key}", "maps": services.shares(shown, scene)}


def cuts_key(wish: Wish, scene: Scene) -> str:
    """Return what names the tables of a view: its image, region, methods and ranking score."""
    asked = (*map(str, wish.asked), scene.mask_key, wish.metric, str(scene.k_end(wish.k)))
    return f"cuts-{digest(*asked)[:16]}"


def cut_tables(
    services: Services, wish: Wish, scene: Scene, maps: dict[str, Heatmap]
) -> dict[str, Any]:
    """Return the tables that let the browser move K and threshold by itself (``cutting.py``)."""
    end = scene.k_end(wish.k)
    calls = sorted(wish.methods, key=lambda call: METHODS[call.id].baseline)
    found = {c.key: services.cuts(maps[c.key], scene, end) for c in calls if c.key in maps}
    competing = {key: cuts for key, cuts in found.items() if key in wish.compete}
    labels = method_labels(wish.methods)
    gate = services.verdicts(wish.study, wish.checkpoint, wish.methods)
    spec = parse_metric(wish.metric).spec
    return {
        "key": cuts_key(wish, scene),
        "end": end,
        "metric": wish.metric,
        "label": spec.label,
        "title": parse_metric("precision@K=1").spec.summary,
        "labels": {key: marked_labels(labels, gate)[key] for key in competing},
        "places": places(competing, wish.metric) if scene.mask is not None else {},
        "maps": {key: cuts.packed for key, cuts in found.items()},
    }


def method_labels(calls: tuple[MethodCall, ...]) -> dict[str, str]:
    """Return each call's label, with its options where a method appears twice."""
    ids = [call.id for call in calls]
    return {
        call.key: METHODS[call.id].label + (_options(call) if ids.count(call.id) > 1 else "")
        for call in calls
    }


def _options(call: MethodCall) -> str:
    """Return what sets a call apart from its method's defaults: " (upsampling=aligned)"."""
    changed = call.key[len(call.id) :]
    return f" ({changed[1:-1]})" if changed else ""


def facts(
    wish: Wish, scene: Scene, answer: Answer | None, k: int, before: Before | None = None
) -> list[dict[str, str]]:
    """Return prediction, label and K for the line on top; the prediction ``before`` an edit too."""
    names = wish.class_names
    if answer is None:
        found = [{"name": "Predicted", "value": "…"}]
    elif before is not None:
        found = [prediction_fact(wish, before.answer, answer)]
    else:
        found = [{"name": "Predicted", "value": answer.predicted_name}]
        if wish.label:
            correct = answer.predicted_name == wish.label
            found[0]["mark"] = "✓ correct" if correct else "✗ wrong"
            found[0]["kind"] = "right" if correct else "wrong"
        found[0]["note"] = f"confidence {answer.confidence:.2f}"
    found.append({"name": "Labelled", "value": wish.label or "–"})
    if answer is not None and answer.target != answer.predicted:
        share = answer.probabilities[answer.target]
        found.append(
            {"name": "Explained", "value": names[answer.target], "note": f"confidence {share:.2f}"}
        )
    area = scene.picture.shape[0] * scene.picture.shape[1]
    of = f"size of {scene.region}" if len(wish.regions) > 1 else "the mask’s size"
    if wish.threshold is not None:
        note = "of each map’s range"
        found.append({"name": "Threshold", "value": f"{wish.threshold:.2f}", "note": note})
        return found
    origin = "chosen" if wish.k is not None else of if scene.mask_px else "no mask"
    found.append(
        {
            "name": "K",
            "value": f"{k:,} px".replace(",", "\u2009"),
            "note": f"{k / area:.1%} of the image · {origin}",
        }
    )
    return found
