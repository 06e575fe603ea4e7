"""Scores that need the model, for a batch of maps: what keys share is found once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xaieval.errors import MetricError
from xaieval.metrics.evaluator import Evaluator, Subject, Work, drive
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.removal import Curve, curve
from xaieval.metrics.spec import MetricCall
from xaieval.types import Score


def model_scores(
    calls: Sequence[MetricCall], maps: Sequence[RankedMap], evaluator: Evaluator | None
) -> dict[str, list[Score]]:
    """Return metric key -> a Score per map.

    Keys of one score with the same options (``falsification``, ``falsification_margin``) read
    from the same rows.

    Raises
    ------
    MetricError
        Without an evaluator, or when its pictures do not fit the maps.
    """
    if not calls:
        return {}
    if evaluator is None:
        raise MetricError(
            f"{calls[0].key} needs the model",
            fix="pass evaluator=..., or list it in a study's [score] metrics",
        )
    check(maps, evaluator.subjects)
    works: list[tuple[int, Work[Any]]] = []
    place: dict[tuple[object, ...], int] = {}
    for call in calls:
        asked = (call.spec.id, *sorted(call.settings.items()))
        if asked not in place:
            place[asked] = len(works)
            assert call.spec.ask is not None
            works += [
                (b, call.spec.ask(ranked, evaluator.subjects[b], call.settings))
                for b, ranked in enumerate(maps)
            ]
    found = drive(works, evaluator)
    scores = {}
    for call in calls:
        assert call.read is not None
        start = place[(call.spec.id, *sorted(call.settings.items()))]
        scores[call.key] = [call.read(item) for item in found[start : start + len(maps)]]
    return scores


def check(maps: Sequence[RankedMap], subjects: Sequence[Subject]) -> None:
    """Raise a MetricError unless there is one picture per map, of its size."""
    if len(maps) != len(subjects):
        raise MetricError(
            "pictures and heatmaps do not fit",
            expected=f"{len(maps)} pictures",
            got=f"{len(subjects)} subjects of the evaluator",
        )
    for ranked, subject in zip(maps, subjects, strict=True):
        if ranked.shape != subject.size:
            raise MetricError(
                "a heatmap does not fit its picture",
                where=subject.sample_id,
                expected=f"{subject.size}",
                got=f"{ranked.shape}",
            )


def removal_curves(
    heatmaps: Any,
    evaluator: Evaluator,
    *,
    fill: str = "zero",
    insert: bool = False,
    steps: int = 100,
    ties: str = "random",
) -> list[Curve]:
    """Return the curves behind ``deletion`` (or, with ``insert``, ``insertion``), to be drawn.

    Parameters
    ----------
    heatmaps : float (B, H, W), numpy or torch
        Flat maps too: their order is the random one.
    fill, ties, steps : see ``xaieval list metrics``
        Petsiuk's own: ``fill="zero"`` to delete, ``fill="blur"`` to insert.
    """
    from xaieval.metrics.arrays import heatmap_batch

    maps = [
        RankedMap(m, where=f"heatmap {b}")
        for b, m in enumerate(heatmap_batch(heatmaps, channels=False))
    ]
    check(maps, evaluator.subjects)
    works = [
        (b, curve(ranked, subject, fill=fill, steps=steps, ties=ties, insert=insert))
        for b, (ranked, subject) in enumerate(zip(maps, evaluator.subjects, strict=True))
    ]
    return drive(works, evaluator)
