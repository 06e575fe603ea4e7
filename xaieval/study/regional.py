"""Scores of several regions out of a results folder, and alignment against accuracy over models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from xaieval.errors import ResultsError, unknown
from xaieval.stats import Ratios, causes, over_images
from xaieval.study.parts import WHOLE
from xaieval.study.results import Population, Results

REGIONAL = ("regional_precision", "mass_accuracy")
"""Scores that say which share of a map lies in a region; the first that was scored is shown."""
FACE_GROUPS = ("eyes", "nose", "mouth_area", "ears", "face", "accessories")
ALIGNMENT_COLUMNS = (
    "id",
    "study",
    "model",
    "seed",
    "accuracy",
    "value",
    "low",
    "high",
    "area",
    "n",
)


def regional_metrics(results: Results) -> tuple[str, ...]:
    """Return the metric keys that were scored region by region: the regional ones first.

    Scores of the whole map, and area share, which is no score, are not among them.
    """
    if results.kind == "published":
        return ()
    from xaieval.errors import ConfigError
    from xaieval.metrics import parse_metric

    found = []
    for key in results.metric_keys:
        try:
            call = parse_metric(key)
        except ConfigError:  # a score of a package that is not installed here
            continue
        if not call.whole and call.higher_is_better is not None and call.spec.id != "ceiling":
            found.append(key)
    return (*(k for k in REGIONAL if k in found), *(k for k in found if k not in REGIONAL))


def falsification_metrics(results: Results) -> tuple[str, ...]:
    """Return the falsification scores of these results, the one for conclusions first."""
    found = [key for key in results.metric_keys if key.partition("@")[0] == "falsification"]
    return tuple(sorted(found, key=lambda key: "rule=area-matched" not in key))


def default_regions(results: Results) -> tuple[str, ...]:
    """Return what is shown until somebody chooses: the six groups of a face, else every region."""
    scored = results.regions
    return FACE_GROUPS if set(FACE_GROUPS) <= set(scored) else scored


def chance_scale(metric: str) -> float | None:
    """Return what a map without information scores on the whole image; None where it has none.

    >>> chance_scale("mass_accuracy"), chance_scale("iou")
    (1.0, None)
    """
    from xaieval.metrics import parse_metric

    call = parse_metric(metric)
    half, whole = call.chance_level(0.5), call.chance_level(1.0)
    proportional = half is not None and whole is not None and whole == 2 * half != 0
    return whole if proportional else None


def regional_scores(
    results: Results,
    metric: str,
    *,
    regions: Sequence[str] = (),
    methods: Sequence[str] = (),
    split: str | None = None,
    class_name: str | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return one row per image, seed, region and method, with the region's area share beside it.

    Parameters
    ----------
    regions, methods : sequences
        Empty: all. Scores of the whole map have the region "whole" whatever is named.

    Returns
    -------
    DataFrame
        ``sample_id, image`` (of an attribute pair its image, else the sample itself), ``seed,
        split, class, correct, region, method_id, value, reason, area``; ``area`` is NaN where no
        area share was scored. Regions and methods stand in the order named, else of the results.

    Raises
    ------
    ConfigError
        For an unknown metric, region or method.
    ResultsError
        When a part cannot be read.
    """
    if metric not in results.metric_keys:
        raise unknown("metric of these results", metric, results.metric_keys)
    regions = tuple(regions) or results.regions
    methods = tuple(methods) or results.method_ids
    for what, names, known in (
        ("region of these results", regions, results.regions),
        ("method of these results", methods, results.method_ids),
    ):
        for name in names:
            if name not in known:
                raise unknown(what, name, known)
    if results.region_of(metric, regions[0]) == WHOLE:
        regions = (WHOLE,)
    wanted: dict[str, Any] = {"p.split": split, 'p."class"': class_name, "s.seed": seed}
    wanted["s.rule_digest"] = results.manifest.get("rule_digest")
    given = {key: value for key, value in wanted.items() if value is not None}
    where = "".join(f" AND {key} = ?" for key in given)
    frame = results.query(
        'SELECT s.sample_id, s.seed, p.split, p."class", p.correct, s.region, s.method_id, '
        "s.value, s.reason, a.value AS area "
        "FROM scores s JOIN predictions p USING (sample_id, model_id, seed) "
        "LEFT JOIN scores a ON a.metric_key = 'area_share' AND a.sample_id = s.sample_id "
        "AND a.model_id = s.model_id AND a.seed = s.seed AND a.method_id = s.method_id "
        "AND a.region = s.region AND a.rule_digest = s.rule_digest "
        f"WHERE s.metric_key = ? AND s.region IN ({_marks(regions)}) "
        f"AND s.method_id IN ({_marks(methods)}){where} ORDER BY s.seed, s.sample_id",
        [metric, *regions, *methods, *given.values()],
    )
    frame["image"] = [
        sample.removesuffix(f"@{name}")
        for sample, name in zip(frame["sample_id"], frame["class"], strict=True)
    ]
    order = [{name: i for i, name in enumerate(names)} for names in (regions, methods)]
    frame["at"] = frame["region"].map(order[0]) * len(methods) + frame["method_id"].map(order[1])
    return frame.sort_values("at", kind="stable").drop(columns="at").reset_index(drop=True)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def alignment(
    opened: Mapping[str, Results],
    metric: str,
    *,
    method: str,
    region: str | None = None,
    split: str = "test",
    population: Population = "all",
    accuracy: Literal["balanced_accuracy", "accuracy"] = "balanced_accuracy",
) -> pd.DataFrame:
    """Return accuracy and mean score of every model: one row per study and seed.

    Studies that did not score the metric with the method on the region and split are left out.

    Parameters
    ----------
    opened : mapping key -> Results
    region : str, optional
        Default: each study's first.
    population : {"all", "correct"}
        All images with the region by default: who is classified correctly differs between models,
        and a comparison of models is about the same images.

    Returns
    -------
    DataFrame
        ``ALIGNMENT_COLUMNS``: ``id`` "<key>/seed-<seed>", ``study`` (title), ``model``,
        ``accuracy``, ``value`` with its 95 % interval over images ``low, high``, ``area`` (mean
        area share of the region), ``n`` images.
    """
    titles = study_titles(opened)
    rows: list[dict[str, Any]] = []
    for key, results in opened.items():
        if results.kind == "published" or split not in results.splits:
            continue
        if metric not in results.metric_keys or method not in results.method_ids:
            continue
        if region is not None and region not in results.regions:
            continue
        frame = regional_scores(
            results,
            metric,
            regions=(region or results.regions[0],),
            methods=(method,),
            split=split,
        )
        frame = frame[causes(frame, population=population).isna()]
        table = results.accuracy()
        table = table[table["split"] == split]
        rates = dict(zip(table["seed"].tolist(), table[accuracy].tolist(), strict=True))
        for seed in sorted(set(frame["seed"].tolist())):
            part = frame[frame["seed"] == seed]
            images = over_images(part)
            low, high = Ratios(part["image"], [seed]).interval(part, "value")
            rows.append(
                {
                    "id": model_id(key, seed),
                    "study": titles[key],
                    "model": f"{titles[key]}, seed {seed}",
                    "seed": seed,
                    "accuracy": rates.get(seed, math.nan),
                    "value": float(images["value"].mean()),
                    "low": low,
                    "high": high,
                    "area": float(images["area"].mean()),
                    "n": len(images),
                }
            )
    return pd.DataFrame(rows, columns=list(ALIGNMENT_COLUMNS))


def study_titles(opened: Mapping[str, Results]) -> dict[str, str]:
    """Return key -> title; equal titles are told apart by their key."""
    titles = [results.title for results in opened.values()]
    return {
        key: results.title if titles.count(results.title) == 1 else f"{results.title} ({key})"
        for key, results in opened.items()
    }


def model_id(key: str, seed: int) -> str:
    """Return the id of a model: an opened study and a training seed.

    >>> model_id("demo", 42), parse_model_id("demo/seed-42")
    ('demo/seed-42', ('demo', 42))
    """
    return f"{key}/seed-{seed}"


def parse_model_id(model: str) -> tuple[str, int]:
    """Return study key and seed of a model's id.

    Raises
    ------
    ResultsError
        When it is none.
    """
    key, sign, seed = model.rpartition("/seed-")
    if not sign or not key or not (seed.isascii() and seed.isdigit()):
        raise ResultsError("no id of a model", expected="such as demo/seed-42", got=model)
    return key, int(seed)
