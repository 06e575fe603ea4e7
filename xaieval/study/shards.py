"""One shard of a run: some images under one model, explained and scored, as table rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xaieval.errors import XaievalError
from xaieval.study.parts import SCHEMAS, WHOLE
from xaieval.study.plan import Missing, Resolved
from xaieval.study.whole import Calling, whole_scores
from xaieval.types import Sample, Score

if TYPE_CHECKING:
    from xaieval.backend import Answer
    from xaieval.methods import MethodCall


class Explaining(Calling, Protocol):
    """What a shard asks of a backend (``xaieval.backend.Backend``)."""

    def explain_many(
        self,
        checkpoint: Path,
        samples: Sequence[Sample],
        *,
        methods: Sequence[MethodCall],
        target: Any,
        upsampling: str,
        exact: bool,
        seed: int,
    ) -> list[Answer | XaievalError]: ...


@dataclass(frozen=True)
class Shard:
    """Images of one model that lack the same things."""

    model_id: str
    seed: int
    fold: int
    checkpoint: Path
    samples: tuple[Sample, ...]
    roles: tuple[str, ...]
    missing: Missing
    target: str | int = "predicted"
    upsampling: str = "paper"
    exact: bool = False
    method_seed: int = 0


@dataclass(frozen=True, eq=False)
class Rows:
    """What a shard produced: a table per kind (None: nothing was missing), and faulty images."""

    tables: Mapping[str, pa.Table]
    problems: tuple[tuple[str, XaievalError], ...] = ()


@dataclass(frozen=True, eq=False)
class _Seen:
    """One image with what the model said about it and its masks in input space."""

    sample: Sample
    role: str
    answer: Answer
    masks: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


def compute(
    shard: Shard, backend: Explaining, resolved: Resolved, class_names: Sequence[str]
) -> Rows:
    """Explain and score the images of a shard; equal arguments give equal rows.

    A faulty image gives a problem instead of rows.
    """
    wanted = set(shard.missing.methods)
    answers = backend.explain_many(
        shard.checkpoint,
        shard.samples,
        methods=tuple(call for call in resolved.calls if call.key in wanted),
        target=shard.target,
        upsampling=shard.upsampling,
        exact=shard.exact,
        seed=shard.method_seed,
    )
    seen: list[_Seen] = []
    problems: list[tuple[str, XaievalError]] = []
    for sample, role, answer in zip(shard.samples, shard.roles, answers, strict=True):
        if isinstance(answer, XaievalError):
            problems.append((sample.id, answer))
            continue
        try:
            masks = {name: answer.geometry.mask(m) for name, m in sample.regions.items()}
        except XaievalError as error:
            problems.append((sample.id, error))
            continue
        seen.append(_Seen(sample, role, answer, masks))
    if not seen:
        return Rows({}, tuple(problems))
    rows = {
        "predictions": _predictions(shard, seen, class_names) if shard.missing.prediction else [],
        "scores": _scores(shard, seen, resolved) + _whole_scores(shard, seen, resolved, backend),
        "map_stats": _map_stats(shard, seen, resolved),
    }
    tables = {
        name: pa.Table.from_pylist(found, schema=SCHEMAS[name]) for name, found in rows.items()
    }
    return Rows({name: table for name, table in tables.items() if len(table)}, tuple(problems))


def _predictions(
    shard: Shard, seen: Sequence[_Seen], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    kind = shard.target if isinstance(shard.target, str) else "class"
    return [
        {
            "sample_id": it.sample.id,
            "split": it.role,
            "class": class_names[_label(it.sample)],
            "model_id": shard.model_id,
            "seed": shard.seed,
            "fold": shard.fold,
            "target_kind": kind,
            "target": it.answer.target,
            "predicted": it.answer.predicted,
            "label": _label(it.sample),
            "confidence": it.answer.confidence,
            "correct": it.answer.predicted == _label(it.sample),
        }
        for it in seen
    ]


def _label(sample: Sample) -> int:
    label = sample.label
    assert isinstance(label, int | np.integer), "of several labels, pairs are scored"
    return int(label)


def _common(shard: Shard, it: _Seen, call: MethodCall, region: str) -> dict[str, Any]:
    return {
        "sample_id": it.sample.id,
        "model_id": shard.model_id,
        "seed": shard.seed,
        "method_id": call.key,
        "method_digest": call.digest,
        "region": region,
    }


def _groups(
    seen: Sequence[_Seen], regions: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], list[_Seen]]]:
    """Yield the images that have masks of the same regions, and those regions."""
    groups: dict[tuple[str, ...], list[_Seen]] = {}
    for it in seen:
        groups.setdefault(tuple(name for name in regions if name in it.masks), []).append(it)
    yield from groups.items()


def _defined(seen: Sequence[_Seen], key: str) -> tuple[list[_Seen], list[_Seen]]:
    """Return the images that have a map of a method, and those whose network it is not for."""
    without = [it for it in seen if key in it.answer.undefined]
    return [it for it in seen if key not in it.answer.undefined], without


def _stack(
    group: Sequence[_Seen], key: str, regions: Sequence[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return maps (B, H, W) and masks (B, P, H, W) of some images.

    All regions of an image are always scored together: whether an empty one is an absent part or
    an empty mask depends on the others.
    """
    maps = np.stack([it.answer.maps[key].values for it in group])
    masks = np.stack([np.stack([it.masks[name] for name in regions]) for it in group])
    return maps, masks


def _scores(shard: Shard, seen: Sequence[_Seen], resolved: Resolved) -> list[dict[str, Any]]:
    from xaieval.metrics import score

    calls = {call.key: call for call in resolved.calls}
    rules = resolved.rules
    rows: list[dict[str, Any]] = []
    for key, pairs in shard.missing.scores:
        wanted = [m for m in resolved.metrics if m.key in {metric for metric, _ in pairs}]
        defined, without = _defined(seen, key)
        for it in without:
            for metric, region in pairs:
                fixed = {"metric_key": metric, "rule_digest": rules.digest}
                found = {"value": float("nan"), "reason": "not-defined-for-model"}
                rows.append(_common(shard, it, calls[key], region) | fixed | found)
        for regions, group in _groups(defined, resolved.regions):
            scores = None
            if regions:
                grid = group[0].answer.maps[key].grid  # of the layer: the same for every image
                stacked = _stack(group, key, regions)
                scores = score(*stacked, metrics=wanted, rules=rules, grid=grid, signed="nan")
            for metric, region in pairs:
                fixed = {"metric_key": metric, "rule_digest": rules.digest}
                for i, it in enumerate(group):
                    value, reason = float("nan"), "no-ground-truth"
                    if scores is not None and region in regions:
                        place = i, regions.index(region)
                        value = float(scores[metric][place])
                        reason = scores.reasons[metric][place]
                    found = {"value": value, "reason": reason}
                    rows.append(_common(shard, it, calls[key], region) | fixed | found)
    return rows


def _whole_scores(
    shard: Shard, seen: Sequence[_Seen], resolved: Resolved, backend: Explaining
) -> list[dict[str, Any]]:
    """Ask the model about the maps; such a score has no mask and one row per map."""
    calls = {call.key: call for call in resolved.calls}
    nothing = Score(float("nan"), "not-defined-for-model")
    rows: list[dict[str, Any]] = []
    for key, missing in shard.missing.whole:
        metrics = [metric for metric in resolved.metrics if metric.key in missing]
        defined, without = _defined(seen, key)
        scored = whole_scores(
            backend,
            shard.checkpoint,
            [(it.sample, it.answer) for it in defined],
            calls[key],
            metrics,
            rules=resolved.rules,
            upsampling=shard.upsampling,
            exact=shard.exact,
            seed=shard.method_seed,
        )
        undefined = dict.fromkeys(missing, nothing)
        for it, found in [*zip(defined, scored, strict=True), *((it, undefined) for it in without)]:
            for metric in missing:
                fixed = {"metric_key": metric, "rule_digest": resolved.rules.digest}
                value = {"value": found[metric].value, "reason": found[metric].reason}
                rows.append(_common(shard, it, calls[key], WHOLE) | fixed | value)
    return rows


_STATISTICS = ("k", "hits", "mass_in", "mass_total", "argmax_y", "argmax_x", "flags")


def _map_stats(shard: Shard, seen: Sequence[_Seen], resolved: Resolved) -> list[dict[str, Any]]:
    from xaieval.metrics import sufficient_statistics

    calls = {call.key: call for call in resolved.calls}
    rows: list[dict[str, Any]] = []
    for key, wanted in shard.missing.stats:
        defined, without = _defined(seen, key)
        nothing = dict.fromkeys(_STATISTICS)
        for it in without:
            rows += [_common(shard, it, calls[key], region) | nothing for region in wanted]
        for regions, group in _groups(defined, resolved.regions):
            found: dict[tuple[str, str], Mapping[str, Any]] = {}
            if regions:
                # Under the default rules whatever the study's: the table names no rules.
                for row in sufficient_statistics(*_stack(group, key, regions)):
                    it = group[int(row["image"])]
                    found[it.sample.id, regions[int(row["region"])]] = row
            for it in group:
                for region in wanted:
                    known = found.get((it.sample.id, region), {})
                    values = {name: known.get(name) for name in _STATISTICS}
                    rows.append(_common(shard, it, calls[key], region) | values)
    return rows
