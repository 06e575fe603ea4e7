"""Run a study: explain and score what is missing, shard by shard, and keep the manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.digest import digest_file
from xaieval.errors import ModelError
from xaieval.files import write_bytes, write_json
from xaieval.progress import Progress, Report, silent
from xaieval.study.checkpoints import checkpoint_path, differences, other_settings
from xaieval.study.config import Study
from xaieval.study.data import (
    explained_data,
    explained_target,
    open_study_data,
    populations,
    study_splits,
)
from xaieval.study.gate import gate_study
from xaieval.study.lock import locked, recorded
from xaieval.study.manifest import MANIFEST, STUDY_FILE
from xaieval.study.parts import SCHEMAS, merge_parts, write_part
from xaieval.study.plan import Coverage, Missing, Resolved, resolve
from xaieval.study.record import Model, new_manifest, now
from xaieval.study.results import Results, default_out
from xaieval.study.shards import Explaining, Shard, compute
from xaieval.study.training import chosen_seeds

if TYPE_CHECKING:
    from xaieval.datasets import Dataset, SplitPlan

STAGE = "explain and score"


def run_study(
    study: Study,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    strict: bool = False,
    command: Sequence[str] = (),
    backend: Explaining | None = None,
    report: Report = silent,
) -> Results:
    """Explain and score the images of a study under its trained models.

    Only what is missing is computed: a killed run goes on where it stopped, a second run does
    nothing, a new metric or method is added to what is there. Heatmaps come from the backend's
    cache where it still holds them. With ``[run] sanity = true`` the sanity gate follows.

    Parameters
    ----------
    data, out, seeds, device : as in ``train_study``
    strict : bool
        Stop at the first faulty image instead of going on without it.
    command : sequence of str
        Kept in the manifest.
    backend : optional
        What explains; default: a ``Backend`` of its own on ``device``.

    Raises
    ------
    ModelError
        When a seed is not trained, or its checkpoint was made under other settings.
    ResultsError
        When the folder holds results of other settings, another process writes to it, or it
        cannot be written.
    ConfigError, DataError
        For an unknown id, a dataset that is not there, or (``strict``) a faulty image.
    """
    strict = strict or study.run.strict
    dataset = open_study_data(study, data, strict=strict)
    explained = explained_data(study, dataset)
    resolved = resolve(study, dataset.region_names)
    plan = study_splits(study, dataset)
    folder = Path(out) if out is not None else default_out(study)
    models = _models(study, dataset, plan, folder, chosen_seeds(study, seeds))
    with locked(folder):
        manifest = new_manifest(study, dataset, plan, resolved, folder, models, command)
        base = manifest["base_digest"]
        coverage = Coverage(folder, base=base, calls=resolved.calls)
        shards = list(_shards(study, explained, resolved, models, coverage))
        manifest["problems"] = [
            {"sample_id": None, "what": str(problem)} for problem in dataset.problems
        ]
        work = bool(shards)
        if work:
            manifest |= {"status": "running", "started": now(), "finished": None}
        write_bytes(folder / STUDY_FILE, study.text.encode())
        write_json(folder / MANIFEST, manifest)
        if work:
            own = None
            if backend is None:
                from xaieval.backend import Backend

                backend = own = Backend(device or study.run.device)
            try:
                told = recorded(folder, report)
                _work(shards, backend, resolved, dataset, folder, manifest, strict, told)
            finally:
                if own is not None:
                    own.close()
        for table in SCHEMAS:
            merge_parts(folder, table, base=base)
        if work or manifest.get("status") != "finished":
            manifest |= {"status": "finished", "finished": now()}
            write_json(folder / MANIFEST, manifest)
    if study.run.sanity:
        gate_study(study, data=data, out=folder, seeds=seeds, device=device, report=report)
    return Results(folder)


def _models(
    study: Study, dataset: Dataset, plan: SplitPlan, folder: Path, seeds: Sequence[int]
) -> list[Model]:
    """Return every model of the run after checking that it is there and fits the study."""
    models, untrained = [], []
    for seed in seeds:
        for fold in plan.folds:
            path = checkpoint_path(folder, seed, fold.index, len(plan.folds))
            if not path.is_file():
                untrained.append(path.stem)
                continue
            found = differences(path, study, dataset, fold, seed)
            if found:
                raise other_settings(path, found)
            models.append(Model(seed, fold.index, path, digest_file(path)))
    if untrained:
        raise ModelError(
            f"{len(untrained)} of {len(untrained) + len(models)} models are not trained yet "
            f"({', '.join(untrained[:4])}{', …' if len(untrained) > 4 else ''})",
            where=folder,
            fix="run 'xaieval train' with the same --out first, or name trained seeds: --seeds …",
        )
    return models


def _shards(
    study: Study,
    dataset: Dataset,
    resolved: Resolved,
    models: Sequence[Model],
    coverage: Coverage,
) -> Iterator[Shard]:
    """Yield the work that is missing: images of one model that lack the same, in chunks."""
    plan = study_splits(study, dataset)
    scored = {population.fold: population.roles for population in populations(study, dataset, plan)}
    explain, chunk = study.explain, study.run.chunk
    target = explained_target(study, dataset)
    for model in models:
        roles = scored[model.fold]
        groups: dict[Missing, list[str]] = {}
        for sample in roles:
            missing = coverage.missing(resolved, seed=model.seed, fold=model.fold, sample=sample)
            if missing:
                groups.setdefault(missing, []).append(sample)
        for missing, samples in groups.items():
            for first in range(0, len(samples), chunk):
                ids = samples[first : first + chunk]
                yield Shard(
                    model_id=study.model_id,
                    seed=model.seed,
                    fold=model.fold,
                    checkpoint=model.path,
                    samples=tuple(dataset[i] for i in ids),
                    roles=tuple(roles[i] for i in ids),
                    missing=missing,
                    target=target,
                    upsampling=explain.upsampling,
                    exact=explain.exact,
                    method_seed=explain.seed,
                )


def _work(
    shards: list[Shard],
    backend: Explaining,
    resolved: Resolved,
    dataset: Dataset,
    folder: Path,
    manifest: dict[str, Any],
    strict: bool,
    report: Report,
) -> None:
    """Do shard after shard; each is taken off the list, so that its pictures can be let go."""
    total = sum(len(shard.samples) for shard in shards)
    done, began, problems = 0, time.monotonic(), manifest["problems"]
    known: set[str] = set()
    while shards:
        shard = shards.pop(0)
        note = f"seed {shard.seed}" + (f", fold {shard.fold}" if manifest["folds"] > 1 else "")
        report(Progress(STAGE, done, total, time.monotonic() - began, note))
        rows = compute(shard, backend, resolved, dataset.class_names)
        if strict and rows.problems:
            raise rows.problems[0][1]
        stem = f"seed-{shard.seed}-fold-{shard.fold}"
        for table, found in rows.tables.items():
            write_part(folder, table, found, base=manifest["base_digest"], stem=stem)
        new = [(sample, error) for sample, error in rows.problems if sample not in known]
        if new:
            known.update(sample for sample, _ in new)
            problems += [{"sample_id": sample, "what": str(error)} for sample, error in new]
            write_json(folder / MANIFEST, manifest)
            for sample, error in new:
                left_out = f"left out {sample}: {error}"
                report(Progress(STAGE, done, total, time.monotonic() - began, left_out))
        done += len(shard.samples)
    report(Progress(STAGE, done, total, time.monotonic() - began))
