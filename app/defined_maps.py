"""What one map scores under the variants of a definition; for the pool, not for the event loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xaieval.backend import Answer, Request
from xaieval.methods import METHODS, MethodCall
from xaieval.metrics import POOLINGS, Rules, parse_metric
from xaieval.metrics.definitions import REASON_WORDS
from xaieval.metrics.variants import VariantValue, published_variants, variant_values
from xaieval.types import Heatmap, Mask, Sample, Score

from .composing import Wish
from .scene import Scene
from .services import Services
from .subjects import Subjects

MOST_ROWS = 120
"""Methods of more rows per image than this are not computed again for other poolings."""


@dataclass(frozen=True)
class MapAsked:
    """One map and one score of it: what a page means by a number.

    ``subjects``: what knows the pictures of wishes that are no plain images of a data set.
    """

    wish: Wish
    call: MethodCall
    metric: str
    subjects: Subjects | None = None

    @property
    def what(self) -> str:
        """The map in words."""
        wish = self.wish
        target = wish.target if isinstance(wish.target, str) else wish.class_names[wish.target]
        words = [METHODS[self.call.id].label, wish.sample_id, wish.checkpoint.stem]
        words += [f"class explained: {target}"] + ([f"region {wish.region}"] if wish.region else [])
        return " · ".join(words)


@dataclass(frozen=True)
class Found:
    """What the card shows of a map, and what is still worked on ('': nothing)."""

    shown: dict[str, Any]
    more: str = ""


def meant_by(
    wish: Wish | None, metric: str, of: str, subjects: Subjects | None = None
) -> MapAsked | None:
    """Return the map of a method in a view; None where there is none yet."""
    call = next((c for c in wish.methods if c.key == of), None) if wish is not None else None
    if wish is None or call is None or (wish.private and subjects is None):
        return None
    if subjects is not None and not subjects.ready(wish):
        return None
    return MapAsked(wish, call, metric, subjects)


def map_of(
    services: Services,
    study: str,
    sample_id: str,
    *,
    seed: int,
    split: str,
    metric: str,
    of: str,
    region: str = "",
) -> MapAsked | None:
    """Return the map of a method of a scored image; None where there is no such model."""
    catalogue = services.catalogue(study)
    if catalogue is None or of not in catalogue.methods:
        return None
    checkpoint = catalogue.checkpoint(seed, split, sample_id)
    if checkpoint is None:
        return None
    wish = Wish(
        study=study,
        sample_id=sample_id,
        label="",
        class_names=catalogue.classes,
        checkpoint=checkpoint,
        methods=(catalogue.methods[of],),
        target="predicted",
        compete=catalogue.compete,
        region=region or catalogue.default_region,
        regions=catalogue.regions,
    )
    return MapAsked(wish, catalogue.methods[of], metric)


def own_values(services: Services, asked: MapAsked) -> Found:
    """Score the map itself under every variant that needs no other map."""
    return _found(services, asked, ())


def other_poolings(services: Services, asked: MapAsked) -> Found:
    """Score it under other poolings of its channels too."""
    return _found(services, asked, pooled_calls(asked.call))


def pooled_calls(call: MethodCall) -> tuple[MethodCall, ...]:
    """Return a method with every pooling; none where it has no channels to pool."""
    if "pooling" not in call.options:
        return ()
    return tuple(MethodCall(call.id, {**call.options, "pooling": name}) for name in POOLINGS)


def _found(services: Services, asked: MapAsked, calls: tuple[MethodCall, ...]) -> Found:
    wish, call = asked.wish, asked.call
    metric = parse_metric(asked.metric)
    if metric.whole:
        return _stored(services, asked)
    if asked.subjects is not None:
        scene, sample = asked.subjects.scene(wish), asked.subjects.sample(wish)
    else:
        scene = services.scene(wish.study, wish.sample_id, wish.checkpoint, region=wish.region)
        sample = services.sample(wish.study, wish.sample_id)
    wanted = dict.fromkeys((call, *calls))
    answer = services.backend.explain(_request(services, wish, sample, tuple(wanted)))
    if call.key not in answer.maps:
        return Found({"problem": answer.undefined.get(call.key, "There is no such map.")})
    if scene.mask is None:
        return Found({"problem": scene.mask_note})
    heatmap = answer.maps[call.key]
    pooled = {
        str(c.options["pooling"]): answer.maps[c.key].values for c in calls if c.key in answer.maps
    }
    values = variant_values(
        heatmap.values,
        scene.mask,
        metric,
        grid=heatmap.grid,
        pooled=pooled,
        masks=_resized(sample, scene),
    )
    more, notes = "", []
    channels = pooled_calls(call)
    if not channels:
        notes.append("This method has one channel: pooling does not apply.")
    elif not calls and call.cost > MOST_ROWS:
        notes.append(
            f"Other poolings would take {call.cost:,} passes again and are not computed here."
        )
    elif not calls:
        more = "Pooling the channels otherwise …"
    return Found({**_shown(asked, values, heatmap, answer), "notes": notes}, more)


def _request(
    services: Services, wish: Wish, sample: Sample, calls: tuple[MethodCall, ...]
) -> Request:
    explain = services.results[wish.study].study.explain
    target: Any = wish.target
    return Request(
        checkpoint=wish.checkpoint,
        sample=sample,
        methods=calls,
        target=target,
        upsampling=explain.upsampling,
        exact=explain.exact,
        seed=explain.seed,
        cacheable=wish.subject is None or not wish.subject.own_image,
    )


def _resized(sample: Sample, scene: Scene) -> Mapping[str, Mask]:
    """Return the region's mask as others resize it; none where nothing is resized."""
    original = sample.regions.get(scene.region)
    if original is None or scene.geometry.original == scene.geometry.input:
        return {}
    return {
        "half": scene.geometry.mask(original, resize="half"),
        "any": scene.geometry.mask(original, resize="any"),
    }


def _shown(
    asked: MapAsked, values: list[VariantValue], heatmap: Heatmap, answer: Answer
) -> dict[str, Any]:
    own = values[0].score
    rules = Rules()
    how = f"full precision · rules {rules.digest} · explains “{answer.class_names[answer.target]}”"
    k = asked.wish.k
    if k is not None and "K=" in asked.metric:
        how += f" · K = {k} px, chosen by hand"
    rows = [_row(it, own) for it in values[1:] if it.score is not None]
    exact = _exact(own)
    return {
        "subject": {"what": asked.what, "value": exact, "how": how},
        "rows": rows,
    }


def _exact(score: Score | None) -> str:
    if score is None or score.reason:
        return "no number" if score is None or score.reason is None else REASON_WORDS[score.reason]
    return repr(score.value)


def _row(it: VariantValue, own: Score | None) -> dict[str, Any]:
    variant, score = it
    assert score is not None
    number = not math.isnan(score.value)
    same = own is not None and number and abs(own.value - score.value) <= 1e-9
    return {
        "id": variant.id,
        "label": variant.label,
        "key": variant.key,
        "source": variant.source,
        "text": f"{score.value:.4f}" if number else "no number",
        "value": score.value if number else None,
        "title": repr(score.value) if number else REASON_WORDS.get(score.reason or "", ""),
        "differs": not same,
    }


def _stored(services: Services, asked: MapAsked) -> Found:
    """Return what a run has stored of a score that needs the model."""
    results = services.results[asked.wish.study]
    seed = next((s for s, _, path in results.checkpoints() if path == asked.wish.checkpoint), None)
    keys = {parse_metric(v.key).key: v for v in published_variants(asked.metric)}
    frame = results.scores(
        method_id=asked.call.key, sample_id=asked.wish.sample_id, seed=seed, region="whole"
    )
    stored = dict(zip(frame["metric_key"], frame["value"], strict=True))
    rows, own = [], None
    for key, variant in keys.items():
        if key not in stored:
            continue
        value = float(stored[key])
        score = Score(value) if not math.isnan(value) else Score(math.nan, "flat-map")
        if variant.id == "own":
            own = score
        else:
            rows.append(_row(VariantValue(variant, score), own))
    value = _exact(own) if own is not None else ""
    note = "Such a score asks the model: what is not listed was not scored in this run."
    return Found(
        {
            "subject": {"what": asked.what, "value": value, "how": "as stored by the run"},
            "rows": rows,
            "notes": [note],
        }
    )
