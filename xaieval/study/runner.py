"""Run a study: explain and score what is missing, shard by shard, and keep the manifest."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.digest import digest, digest_file
from xaieval.errors import ModelError, ResultsError
from xaieval.files import write_bytes, write_json
from xaieval.progress import Progress, Report, silent
from xaieval.study.checkpoints import checkpoint_path, differences, other_settings
from xaieval.study.config import Study
from xaieval.study.data import data_path, open_study_data, populations, study_splits
from xaieval.study.parts import SCHEMA_VERSION, SCHEMAS, merge_parts, write_part
from xaieval.study.plan import Coverage, Missing, Resolved, resolve
from xaieval.study.results import MANIFEST, STUDY_FILE, Results, default_out, read_manifest
from xaieval.study.shards import Explaining, Shard, compute
from xaieval.study.training import chosen_seeds

if TYPE_CHECKING:
    from xaieval.datasets import Dataset, SplitPlan

STAGE = "explain and score"


@dataclass(frozen=True)
class _Model:
    seed: int
    fold: int
    path: Path
    sha256: str

    @property
    def name(self) -> str:
        return self.path.stem


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
    cache where it still holds them.

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
    resolved = resolve(study, dataset.region_names)
    plan = study_splits(study, dataset)
    folder = Path(out) if out is not None else default_out(study)
    models = _models(study, dataset, plan, folder, chosen_seeds(study, seeds))
    with _lock(folder):
        manifest = _manifest(study, dataset, plan, resolved, folder, models, data, command)
        base = manifest["base_digest"]
        coverage = Coverage(folder, base=base, calls=resolved.calls)
        shards = list(_shards(study, dataset, plan, resolved, models, coverage))
        manifest["problems"] = [
            {"sample_id": None, "what": str(problem)} for problem in dataset.problems
        ]
        if shards:
            manifest |= {"status": "running", "started": _now(), "finished": None}
        write_bytes(folder / STUDY_FILE, study.text.encode())
        write_json(folder / MANIFEST, manifest)
        if shards:
            own = None
            if backend is None:
                from xaieval.backend import Backend

                backend = own = Backend(device or study.run.device)
            try:
                _work(shards, backend, resolved, dataset, folder, manifest, strict, report)
            finally:
                if own is not None:
                    own.close()
        for table in SCHEMAS:
            merge_parts(folder, table, base=base)
        if shards or manifest.get("status") != "finished":
            manifest |= {"status": "finished", "finished": _now()}
            write_json(folder / MANIFEST, manifest)
    return Results(folder)


def _models(
    study: Study, dataset: Dataset, plan: SplitPlan, folder: Path, seeds: Sequence[int]
) -> list[_Model]:
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
            models.append(_Model(seed, fold.index, path, digest_file(path)))
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
    plan: SplitPlan,
    resolved: Resolved,
    models: Sequence[_Model],
    coverage: Coverage,
) -> Iterator[Shard]:
    """Yield the work that is missing: images of one model that lack the same, in chunks."""
    scored = {population.fold: population.roles for population in populations(study, dataset, plan)}
    explain, chunk = study.explain, study.run.chunk
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
                    target=explain.target,
                    upsampling=explain.upsampling,
                    exact=explain.exact,
                    method_seed=explain.seed,
                )


def _work(
    shards: Sequence[Shard],
    backend: Explaining,
    resolved: Resolved,
    dataset: Dataset,
    folder: Path,
    manifest: dict[str, Any],
    strict: bool,
    report: Report,
) -> None:
    total = sum(len(shard.samples) for shard in shards)
    done, began, problems = 0, time.monotonic(), manifest["problems"]
    known: set[str] = set()
    for shard in shards:
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


def _manifest(
    study: Study,
    dataset: Dataset,
    plan: SplitPlan,
    resolved: Resolved,
    folder: Path,
    models: Sequence[_Model],
    data: str | Path | None,
    command: Sequence[str],
) -> dict[str, Any]:
    """Return the manifest of this run, after checking that an earlier one fits it."""
    base = digest(
        SCHEMA_VERSION, study.model_id, study.digest("explain"), dataset.digest, plan.digest
    )
    earlier: dict[str, Any] = {}
    if (folder / MANIFEST).exists():
        earlier = read_manifest(folder)
        _check_earlier(folder, earlier, base, models, study)
    path = data_path(study, data)
    known = {**earlier.get("models", {}), **{model.name: model.sha256 for model in models}}
    return {
        "schema": SCHEMA_VERSION,
        "kind": "measured",
        "title": study.title,
        "note": "",
        "study": study.id,
        "model_id": study.model_id,
        "status": earlier.get("status", "running"),
        "started": earlier.get("started"),
        "finished": earlier.get("finished"),
        "command": list(command) or earlier.get("command", []),
        "versions": _versions(),
        "machine": _machine(),
        "data_path": None if path is None else str(path.resolve()),
        "base_digest": base,
        "train_digest": study.digest("train"),
        "explain_digest": study.digest("explain"),
        "data_digest": dataset.digest,
        "split_digest": plan.digest,
        "rule_digest": resolved.rules.digest,
        "explain": study.explain_settings(),
        "split_scheme": plan.scheme,
        "folds": len(plan.folds),
        "classes": list(dataset.class_names),
        "regions": list(resolved.regions),
        "methods": [call.key for call in resolved.calls],
        "compete": list(resolved.compete),
        "metrics": [metric.key for metric in resolved.metrics],
        "models": dict(sorted(known.items())),
        "problems": [],
    }


def _check_earlier(
    folder: Path, earlier: dict[str, Any], base: str, models: Sequence[_Model], study: Study
) -> None:
    if earlier["kind"] != "measured":
        raise ResultsError(
            f"this folder holds {earlier['kind']} results", where=folder, fix="choose another --out"
        )
    if earlier.get("base_digest") != base:
        then, now = earlier.get("explain", {}), study.explain_settings()
        found = [
            f"{key} {then.get(key)} instead of {now[key]}"
            for key in now
            if then.get(key) != now[key]
        ]
        raise ResultsError(
            "this folder holds results of other settings "
            f"({'; '.join(found) or 'another model, training, dataset or split'})",
            where=folder,
            fix="give the changed study another --out",
        )
    for model in models:
        if earlier["models"].get(model.name, model.sha256) != model.sha256:
            raise ResultsError(
                f"{model.name} was trained anew since these results were made",
                where=folder,
                fix="give the new models another --out, or delete the results here",
            )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("xaieval", "torch", "captum", "numpy", "pyarrow")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _machine() -> dict[str, Any]:
    return {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()}


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock is gone with its process."""
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
    except OSError as error:
        raise ResultsError(
            f"cannot write here ({error.strerror})", where=folder, fix="choose another --out"
        ) from None
    with stream:
        try:
            import fcntl
        except ImportError:  # Windows: no advisory locks there; parts stay whole all the same
            yield
            return
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(stream.fileno()).st_ino != path.stat().st_ino:
                raise OSError  # another process removed this file and made its own
        except OSError:
            raise ResultsError(
                "another run is writing to this folder", where=folder, fix="wait for it to end"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
