"""Which pixels make two faces alike: pairs explained and scored, a few at a time, kept on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xaieval.digest import digest
from xaieval.errors import XaievalError
from xaieval.files import atomic_path
from xaieval.progress import Progress, Report
from xaieval.reproduce.celebamask_regions.measured import (
    FALSIFIED,
    Frame,
    Measured,
    side_by_side,
    with_inverse,
)
from xaieval.reproduce.celebamask_regions.plans import (
    BASELINES,
    REGIONAL,
    REGIONS,
    RULES,
    SHAPES,
    Settings,
    falsifications,
    methods,
    sampled,
)
from xaieval.reproduce.celebamask_regions.twins import Pair

if TYPE_CHECKING:
    from xaieval.backend import Answer, Backend
    from xaieval.methods import MethodCall
    from xaieval.models import Classifier
    from xaieval.types import Sample

STAGE = "compare faces"
WHOLE = "whole"
COSINE = "cosine"
_CHUNK = 10


def pair_methods(settings: Settings) -> tuple[MethodCall, ...]:
    """Return the methods of pairs: those of attributes, and two with both signs counted.

    What two faces differ in makes them less alike; a method that keeps the positive part of its
    map leaves that out.
    """
    from xaieval.methods import resolve_methods

    both = [
        {"id": name, **sampled(settings), "pooling": "sum,abs"} for name in ("kernel_shap", "lime")
    ]
    plain = methods(settings)
    ends = len(plain) - len(BASELINES)
    return tuple(resolve_methods([*plain[:ends], *both, *plain[ends:]]))


def compare(
    pairs: Sequence[Pair],
    checkpoints: Mapping[int, Path],
    settings: Settings,
    *,
    folder: Path,
    backend: Backend,
    report: Report,
) -> Frame:
    """Explain and score every pair under every seed; what is kept in the folder is read.

    Returns
    -------
    DataFrame
        Long form: the columns of ``UNIT``, ``region, metric, value, reason``.
    """
    from xaieval.metrics import resolve_metrics
    from xaieval.metrics.rules import DEFAULT

    calls = pair_methods(settings)
    metrics = resolve_metrics([*REGIONAL, "area_share", *SHAPES, *falsifications(settings)])
    total, done, began = len(pairs) * len(checkpoints), 0, time.monotonic()
    frames = []
    for seed, path in checkpoints.items():
        model = comparer(path)
        for start in range(0, len(pairs), _CHUNK):
            chunk = pairs[start : start + _CHUNK]
            report(Progress(STAGE, done, total, time.monotonic() - began, f"seed {seed}"))
            key = digest(
                "pairs",
                model.fingerprint,
                [(pair.id, pair.a.image, pair.b.image) for pair in chunk],
                [call.digest for call in calls],
                [metric.key for metric in metrics],
                DEFAULT.digest,
            )
            file = folder / f"seed-{seed}" / f"{key[:24]}.parquet"
            if not file.is_file():
                rows = list(_scored(backend, model, chunk, calls, metrics))
                file.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(file) as part:
                    pd.DataFrame(rows).to_parquet(part, index=False)
            frames.append(pd.read_parquet(file).assign(seed=seed))
            done += len(chunk)
    report(Progress(STAGE, done, total, time.monotonic() - began))
    return pd.concat(frames, ignore_index=True)


def comparer(checkpoint: Path) -> Classifier:
    """Return the classifier of a checkpoint as one that compares two faces."""
    from xaieval.models import load_checkpoint, pair_classifier

    return pair_classifier(load_checkpoint(checkpoint))


def with_partner(model: Classifier, pair: Pair) -> Sample:
    """Return the first face of a pair with the second one's embedding beside it."""
    from xaieval.models import embeddings

    preprocessing = model.preprocessing
    assert preprocessing is not None, "a checkpoint knows how pictures become its input"
    picture = preprocessing.picture(pair.b.image)
    found = embeddings(model, preprocessing.tensor(picture[None].copy()))
    extra = found[0].cpu().numpy().astype(np.float32)
    return replace(pair.a, id=pair.id, label=0, extra=extra)


def explained(
    backend: Backend, model: Classifier, pairs: Sequence[Pair], calls: Sequence[MethodCall]
) -> list[tuple[Sample, Answer]]:
    """Return the maps of some pairs, from the cache where it holds them.

    Raises
    ------
    XaievalError
        For a face that cannot be read.
    """
    samples = [with_partner(model, pair) for pair in pairs]
    answers = backend.explain_many(model, samples, methods=calls, target=0)
    found = []
    for sample, answer in zip(samples, answers, strict=True):
        if isinstance(answer, XaievalError):
            raise answer
        found.append((sample, answer))
    return found


def _scored(
    backend: Backend,
    model: Classifier,
    pairs: Sequence[Pair],
    calls: Sequence[MethodCall],
    metrics: Sequence[Any],
) -> Iterator[dict[str, Any]]:
    from xaieval.metrics import score
    from xaieval.metrics.rules import DEFAULT
    from xaieval.study.whole import whole_scores

    found = explained(backend, model, pairs, calls)
    masks = [
        np.stack([answer.geometry.mask(sample.regions[name]) for name in REGIONS])
        for sample, answer in found
    ]
    local = [metric for metric in metrics if not metric.whole]
    asking = [metric for metric in metrics if metric.whole]
    heads = [
        {"sample_id": pair.id, "image": pair.a.id, "class": pair.attribute, "correct": True}
        for pair in pairs
    ]
    for head, (_, answer) in zip(heads, found, strict=True):
        cosine = {"region": WHOLE, "metric": COSINE, "value": float(answer.logits[0])}
        yield {**head, "method_id": "", **cosine, "reason": None}
    for call in calls:
        defined = [i for i, (_, answer) in enumerate(found) if call.key in answer.maps]
        for i in range(len(found)):
            if i not in defined:
                nothing = {"value": math.nan, "reason": "not-defined-for-model"}
                for metric in metrics:
                    for region in (WHOLE,) if metric.whole else REGIONS:
                        own = {"method_id": call.key, "region": region, "metric": metric.key}
                        yield {**heads[i], **own, **nothing}
        if not defined:
            continue
        maps = [found[i][1].maps[call.key] for i in defined]
        scores = score(
            np.stack([heatmap.values for heatmap in maps]),
            np.stack([masks[i] for i in defined]),
            metrics=local,
            grid=maps[0].grid,
            signed="nan",
        )
        for key, values in scores.items():
            for row, i in enumerate(defined):
                for column, region in enumerate(REGIONS):
                    own = {"method_id": call.key, "region": region, "metric": key}
                    value = {"value": float(values[row, column])}
                    yield {**heads[i], **own, **value, "reason": scores.reasons[key][row, column]}
        asked = whole_scores(
            backend,
            model,
            [found[i] for i in defined],
            call,
            asking,
            rules=DEFAULT,
            upsampling="paper",
            exact=False,
            seed=0,
        )
        for i, by_metric in zip(defined, asked, strict=True):
            for key, result in by_metric.items():
                own = {"method_id": call.key, "region": WHOLE, "metric": key}
                yield {**heads[i], **own, "value": result.value, "reason": result.reason}


def measured_pairs(rows: Frame, settings: Settings) -> Measured:
    """Return the rows of ``compare`` as the tables that the findings are made of."""
    from xaieval.metrics import resolve_metrics

    def scores(metric: str) -> Frame:
        return rows[rows["metric"] == metric].drop(columns="metric").reset_index(drop=True)

    on = ["seed", "sample_id", "method_id", "region"]
    areas = scores("area_share").rename(columns={"value": "area"})[[*on, "area"]]
    keys = [call.key for call in resolve_metrics(falsifications(settings))]
    falsified = {}
    for number, rule in enumerate(RULES):
        own = keys[number * len(FALSIFIED) : (number + 1) * len(FALSIFIED)]
        table = side_by_side({name: scores(key) for name, key in zip(FALSIFIED, own, strict=True)})
        falsified[rule] = with_inverse(table)
    shapes = {name: scores(name) for name in SHAPES}
    first = {name: part[part["region"] == REGIONS[0]] for name, part in shapes.items()}
    return Measured(
        {name: scores(name).merge(areas, on=on, how="left") for name in REGIONAL},
        side_by_side(first),
        falsified,
    )
