"""Measure a study's images along every axis; only what is not stored is computed."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from xaieval.backend import Backend
from xaieval.errors import ResultsError, unknown
from xaieval.methods import MethodCall, parse_method
from xaieval.metrics import parse_metric
from xaieval.progress import Report, silent
from xaieval.sensitivity.axes import Asked, variants_of
from xaieval.sensitivity.result import Sensitivity, summarised
from xaieval.sensitivity.sampling import IMAGES, candidates, chosen_images, chosen_seeds
from xaieval.sensitivity.store import (
    FOLDER,
    Settings,
    base_digest,
    read_runs,
    read_scores,
    writable_home,
    write_run,
)
from xaieval.sensitivity.working import Worker
from xaieval.study.data import explained_target
from xaieval.study.plan import resolve
from xaieval.study.results import Population, Results


def run_sensitivity(
    results: Results,
    *,
    metric: str = "topk_overlap",
    region: str | None = None,
    split: str | None = None,
    population: Population = "correct",
    axes: Sequence[str] | None = None,
    images: int | None = IMAGES,
    seeds: Sequence[int] | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    backend: Backend | None = None,
    device: str = "auto",
    command: Sequence[str] = (),
    report: Report = silent,
    cancelled: Callable[[], bool] = lambda: False,
) -> Sensitivity:
    """Say whether the winner of a study survives other ways to measure.

    Parameters
    ----------
    results : Results
        Measured, with its models and images at hand.
    metric, region, split, population : as in ``Results.win_rates``
        ``split`` default: "test" where there is one.
    axes : sequence of str, optional
        Keys of ``AXES``. Default: all.
    images : int or None
        How many images, classes in turn; None: all.
    seeds : sequence of int, optional
        Default: as many as keep images times seeds within 400, three at least.
    data : path, optional
        Folder of the images.
    out : path, optional
        A results folder to write to instead of the opened one.
    backend : Backend, optional
        Default: one of its own on ``device``. Maps come from its cache where it has them.
    report : callable
    cancelled : callable
        Asked between chunks of images; what is finished is kept.

    Returns
    -------
    Sensitivity

    Raises
    ------
    ConfigError
        For an unknown axis, metric or region.
    ResultsError
        For published results, a score without a better direction or one that needs the model,
        or when no image takes part.
    ModelError
        When a checkpoint is gone.
    Cancelled
        When ``cancelled`` says so.
    """
    began = time.monotonic()
    asked, settings = _asked(
        results, metric, region, split, population, axes, images, seeds, tuple(command)
    )
    varied, _ = variants_of(asked, settings.axes)
    recipes = {asked.recipe().key: asked.recipe()}
    recipes |= {v.recipe.key: v.recipe for found in varied.values() for v in found}
    units = _units(results, settings)
    missing = _missing(results, settings, asked.compete, units, tuple(recipes))
    home = writable_home(results) if out is None else Path(out) / FOLDER
    if missing:
        dataset = results.dataset(data)
        assert dataset is not None
        target = explained_target(results.study, dataset)
        models = {(seed, fold): path for seed, fold, path in results.checkpoints()}
        rules = resolve(results.study, dataset.region_names).rules
        with _backend(backend, device) as explaining:
            worker = Worker(results, settings, asked, explaining, target, rules, home)
            worker.work(missing, recipes, models, dataset.__getitem__, report, cancelled, began)
    finished = _finished(settings, time.monotonic() - began)
    known = read_runs(results).get(settings.key)
    if missing or known is None or not _same(known, finished):
        write_run(home, finished)
    else:
        finished = known
    return summarised(results, finished, asked)


def read_sensitivity(
    results: Results,
    *,
    metric: str = "topk_overlap",
    region: str | None = None,
    split: str | None = None,
    population: Population = "correct",
) -> Sensitivity | None:
    """Return what a finished run has stored; None where there is none of today's study."""
    asked, settings = _asked(results, metric, region, split, population, None, 1, None, ())
    known = read_runs(results).get(settings.key)
    return None if known is None else summarised(results, known, asked)


def why_not(results: Results, metric: str) -> str:
    """Return why a study cannot be measured otherwise by some score; "" when it can."""
    if results.kind == "published":
        return "These are published numbers: without models and images nothing can be varied."
    call = parse_metric(metric)
    if call.whole:
        return f"{call.label} asks the model and not a mask: it is not varied here."
    if call.higher_is_better is None:
        return f"{call.label} is no quality of a heatmap, so nobody wins by it."
    if len(results.compete) < 2:
        return "Only one method competes, so nobody can take its place."
    if not results.checkpoints():
        return "The models of these results are not in their folder."
    return ""


def _asked(
    results: Results,
    metric: str,
    region: str | None,
    split: str | None,
    population: Population,
    axes: Sequence[str] | None,
    images: int | None,
    seeds: Sequence[int] | None,
    command: tuple[str, ...],
) -> tuple[Asked, Settings]:
    """Check the question and return what is varied, and over what."""
    call = parse_metric(metric)
    if call.key not in results.metric_keys:
        raise unknown("metric of these results", call.key, results.metric_keys)
    reason = why_not(results, call.key)
    if reason:
        raise ResultsError(reason.rstrip("."), where=results.path)
    region = results.region_of(call.key, region)
    split = split or ("test" if "test" in results.splits else results.splits[0])
    if split not in results.splits:
        raise unknown("split of these results", split, results.splits)
    there = candidates(results, metric=call.key, region=region, split=split, population=population)
    classes = dict(zip(there["sample_id"], there["class"], strict=True))
    chosen = chosen_images({str(k): str(v) for k, v in classes.items()}, images)
    if not chosen:
        raise ResultsError(
            "no image takes part in this comparison",
            where=results.path,
            fix="take all images (population='all') or another split",
        )
    for seed in seeds or ():
        if seed not in results.seeds:
            raise unknown("seed of these results", str(seed), map(str, results.seeds))
    over = tuple(seeds) if seeds else chosen_seeds(results.seeds, len(chosen))
    explain = results.manifest.get("explain", {})
    asked = Asked(
        metric=call,
        compete=tuple(parse_method(key) for key in results.compete),
        target=str(explain.get("target", "predicted")),
        upsampling=str(explain.get("upsampling", "paper")),
        classes=len(results.classes),
        several=results.task == "multilabel",
        correct=population == "correct",
    )
    varied, skipped = variants_of(asked, axes)
    settings = Settings(
        metric=call.key,
        region=region,
        split=split,
        population=population,
        images=chosen,
        seeds=over,
        axes=(*varied, *skipped),
        base=base_digest(results),
        command=command,
    )
    return asked, settings


def _units(results: Results, settings: Settings) -> pd.DataFrame:
    """Return ``sample_id, seed, fold`` of the chosen images under the chosen seeds."""
    there = candidates(
        results,
        metric=settings.metric,
        region=settings.region,
        split=settings.split,
        population=settings.population,  # type: ignore[arg-type]
    )
    kept = there["sample_id"].isin(settings.images) & there["seed"].isin(settings.seeds)
    return there[kept]


def _missing(
    results: Results,
    settings: Settings,
    calls: Sequence[MethodCall],
    units: pd.DataFrame,
    recipes: Sequence[str],
) -> dict[tuple[int, int], list[tuple[str, tuple[str, ...]]]]:
    """Return (seed, fold) -> images and the recipes they lack."""
    stored = read_scores(results)
    stored = stored[stored["region"] == settings.region]
    digests = {call.key: call.digest for call in calls}
    current = stored["method_id"].map(digests) == stored["method_digest"]
    counts = stored[current].groupby(["seed", "sample_id", "recipe"], sort=False).size()
    full = set(counts[counts >= len(calls)].index)
    found: dict[tuple[int, int], list[tuple[str, tuple[str, ...]]]] = {}
    columns = (units[name].tolist() for name in ("seed", "fold", "sample_id"))
    for seed, fold, sample in zip(*columns, strict=True):
        lacks = tuple(key for key in recipes if (seed, sample, key) not in full)
        if lacks:
            found.setdefault((seed, fold), []).append((sample, lacks))
    return found


@contextmanager
def _backend(given: Backend | None, device: str) -> Iterator[Backend]:
    if given is not None:
        yield given
        return
    own = Backend(device)
    try:
        yield own
    finally:
        own.close()


def _finished(settings: Settings, elapsed_s: float) -> Settings:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("xaieval", "torch", "numpy")}
    return Settings(
        **{
            **{name: getattr(settings, name) for name in settings.__dataclass_fields__},
            "finished": now,
            "elapsed_s": round(elapsed_s, 1),
            "versions": versions,
            "machine": platform.machine(),
        }
    )


def _same(a: Settings, b: Settings) -> bool:
    """Whether two runs looked at the same."""
    return all(
        getattr(a, name) == getattr(b, name)
        for name in ("images", "seeds", "axes", "base", "metric", "region", "split", "population")
    )
