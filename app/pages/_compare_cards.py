"""The answers of several models become views for the cards: one per input that they see."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import pandas as pd

from xaieval.backend import Answer
from xaieval.metrics import parse_metric
from xaieval.study import Results

from ..regions import listing
from ..scene import Scene, source_rows
from ..scorecard import Place, card, metric_label, rank, shown_metrics, value_text
from ..services import Services
from ._compare_models import Question, Seat

Answers = dict[str, Answer | BaseException]
"""Model id -> what it answered, or what went wrong; a model that works still is not in it."""


def compose_models(
    services: Services, question: Question, scenes: dict[str, Scene], answers: Answers
) -> list[dict[str, Any]]:
    """Return a view per distinct input, as the stage takes it; the first model's comes first.

    Models of one dataset may crop or scale an image differently, or see it changed; then their
    pictures stand apart.
    """
    metrics = shown_metrics(question.metric, None)
    walls: dict[str, list[Seat]] = {}
    for seat in question.seats:
        scene = scenes.get(seat.model.id)
        walls.setdefault(scene.key if scene else next(iter(walls), ""), []).append(seat)
    scores = {}
    for seat in question.seats:
        answer, scene = answers.get(seat.model.id), scenes.get(seat.model.id)
        if isinstance(answer, Answer) and scene and question.method.key in answer.maps:
            maps = {seat.model.id: answer.maps[question.method.key]}
            scores |= services.rate(maps, scene, metrics)
    waiting = [s for s in question.seats if s.checkpoint and s.model.id not in answers]
    there = {key: found[question.metric] for key, found in scores.items()}
    places = {}
    if not waiting and len(there) > 1:
        places = rank(
            {key: found.value for key, found in there.items()},
            higher_is_better=parse_metric(question.metric).higher_is_better is not False,
        )
    views = []
    for number, seats in enumerate(walls.values()):
        scene = next((scenes[s.model.id] for s in seats if s.model.id in scenes), None)
        cards = [_card(services, question, it, scene, answers, scores, places) for it in seats]
        view = _view(services, question, scene, cards, status="loading" if waiting else "ready")
        if number == 0:
            view["facts"] = _facts(question, scene)
            view["verdict"] = None if waiting else _verdict(question, there, places)
        if waiting:
            done = len(question.seats) - len(waiting)
            text = f"{done} of {len(question.seats)} models"
            view["progress"] = {"done": done, "total": len(question.seats), "text": text}
        views.append(view)
    return views


def model_shares(
    services: Services, question: Question, scene: Scene, answers: Answers
) -> dict[str, Any]:
    """Return each model's share in every region of a scene, as the stage takes it."""
    maps = {
        model: answer.maps[question.method.key]
        for model, answer in answers.items()
        if isinstance(answer, Answer) and question.method.key in answer.maps
    }
    return {"key": f"regions-{scene.key}", "maps": services.shares(maps, scene)}


def _view(
    services: Services,
    question: Question,
    scene: Scene | None,
    cards: list[dict[str, Any]],
    *,
    status: str,
) -> dict[str, Any]:
    ready = [shown for shown in cards if shown["state"] == "ready"]
    view: dict[str, Any] = {
        "status": status,
        "sample": question.sample_id,
        "cards": cards,
        "facts": [],
        "verdict": None,
        "low": min((shown["low"] for shown in ready), default=0),
        "high": max((shown["high"] for shown in ready), default=0),
    }
    if scene is None:
        return view
    height, width = scene.picture.shape[:2]
    outlined = ", mask outlined" if scene.mask is not None else ""
    return view | {
        "k": scene.default_k,
        "width": width,
        "height": height,
        "outline": scene.outline,
        "picture": {
            "id": f"picture-{scene.key}",
            "src": scene.src,
            "alt": f"Image {question.sample_id}{outlined}",
        },
        "regions": {
            "index": {"id": f"regions-{scene.key}", "src": scene.regions.src},
            **listing(scene.regions, question.regions, scene.region),
        }
        if scene.regions.names
        else None,
        "source_rows": source_rows(scene, several=len(question.regions) > 1),
        "source_note": scene.mask_note,
    }


def _card(
    services: Services,
    question: Question,
    seat: Seat,
    scene: Scene | None,
    answers: Answers,
    scores: dict[str, Any],
    places: dict[str, Place],
) -> dict[str, Any]:
    model, method = seat.model, question.method
    answer = answers.get(model.id)
    name = question.labels[model.id]
    plain: dict[str, Any] = {
        "key": model.id,
        "label": name,
        "title": model.label,
        "rows": [],
        "badges": [],
        "note": "",
        "baseline": False,
    }
    if seat.checkpoint is None or isinstance(answer, BaseException):
        why = seat.why or f"{answer}"
        badge = {"text": "no map", "kind": "flag"}
        return plain | {"state": "undefined", "note": why, "badges": [badge]}
    if answer is None or scene is None:
        return plain | {"state": "loading"}
    facts = _rows(services, seat, answer, question.label)
    if method.key not in answer.maps:
        note = answer.undefined.get(method.key, "Not defined for this model.")
        badge = {"text": "not defined", "kind": "flag"}
        return plain | {"state": "undefined", "note": note, "badges": [badge], "rows": facts}
    drawn = services.drawn(answer.maps[method.key])
    gate = services.verdicts(model.study, seat.checkpoint, (method,))
    found = card(
        key=model.id,
        label=name,
        title=model.label,
        gate=gate.get(method.key),
        baseline=False,
        drawn=drawn,
        topk=services.topk(answer.maps[method.key], scene, scene.default_k),
        identity=f"{scene.key}-{id(drawn)}",
        region=scene.region,
        scores=scores[model.id],
        place=places.get(model.id),
        competes=True,
        mask_note=scene.mask_note,
        share=scene.share,
    )
    return found | {"rows": [*facts, *found["rows"]]}


def _rows(services: Services, seat: Seat, answer: Answer, label: str) -> list[dict[str, Any]]:
    """Return prediction, the model's accuracy and the image's role as lines of the table."""
    right = "✓" if answer.predicted_name == label else "✗"
    said = "right" if right == "✓" else "wrong"
    rows: list[dict[str, Any]] = [
        {
            "label": "Predicted",
            "text": f"{right} {answer.predicted_name}",
            "title": f"{answer.predicted_name}: {said}",
        },
        {"label": "Confidence", "text": f"{answer.confidence:.2f}"},
    ]
    accuracy = _accuracy(services.results[seat.model.study])
    there = accuracy[accuracy["seed"] == seat.model.seed] if len(accuracy) else accuracy
    for split in ("test", "train"):
        row = there[there["split"] == split] if len(there) else there
        if len(row):
            value = float(row["balanced_accuracy"].iloc[0])
            rows.append({"label": f"Accuracy, {split}", "text": f"{value:.3f}"})
            rows[-1]["title"] = "balanced accuracy of the model"
            break
    if seat.role:
        seen = "in training" if seat.role == "train" else "not in training"
        rows.append({"label": "Image seen", "text": seen, "title": "by this model"})
    return rows


@lru_cache(maxsize=64)
def _accuracy(results: Results) -> pd.DataFrame:
    return results.accuracy()


def _facts(question: Question, scene: Scene | None) -> list[dict[str, str]]:
    facts = [
        {"name": "Method", "value": question.method.spec.label},
        {"name": "Labelled", "value": question.label},
    ]
    if scene is not None and scene.mask is not None:
        note = f"{scene.share:.1%} of the image"
        facts.append({"name": "Scored", "value": scene.region, "note": note})
    return facts


def _verdict(
    question: Question, scores: dict[str, Any], places: dict[str, Place]
) -> dict[str, str] | None:
    """Return which model's map agrees best, in plain text."""
    if len(scores) < 2:
        return None
    name = metric_label(question.metric)
    if not places:
        return {"title": "No ranking", "text": f"{name} is undefined here"}
    best = [question.labels[key] for key, place in places.items() if place.rank == 1]
    text = " > ".join(
        f"{question.labels[key]} {value_text(question.metric, scores[key].value)}" for key in places
    )
    left_out = [question.labels[k] for k, found in scores.items() if math.isnan(found.value)]
    if left_out:
        text += f" · undefined: {', '.join(left_out)}"
    title = f"★ {best[0]} agrees best" if len(best) == 1 else f"{' and '.join(best)} tie"
    return {"title": title, "text": f"{name}: {text}"}
