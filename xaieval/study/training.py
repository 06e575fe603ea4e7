"""Train every seed and fold of a study; what is finished is never trained again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from xaieval.errors import ConfigError
from xaieval.files import write_bytes
from xaieval.progress import Progress, Report, silent
from xaieval.study.checkpoints import (
    checkpoint_path,
    differences,
    encoder_weights,
    model_settings,
    other_settings,
    train_options,
)
from xaieval.study.config import Study
from xaieval.study.data import explained_data, open_study_data, study_splits
from xaieval.study.lock import recorded, training
from xaieval.study.manifest import STUDY_FILE
from xaieval.study.results import default_out

ALL_MODELS = "models"
"""Stage name of the report that counts whole models."""


def chosen_seeds(study: Study, seeds: Sequence[int] | None) -> tuple[int, ...]:
    """Return the seeds to work on: those given, else the study's.

    Raises
    ------
    ConfigError
        When a seed is given that the study does not name.
    """
    if not seeds:
        return study.train.seeds
    for seed in seeds:
        if seed not in study.train.seeds:
            raise ConfigError(
                "the study has no such seed",
                where="seeds",
                expected="some of " + ", ".join(map(str, study.train.seeds)),
                got=seed,
                fix="add it to [train] seeds of the study",
            )
    return tuple(dict.fromkeys(seeds))


def train_study(
    study: Study,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    weights: str | Path | None = None,
    strict: bool = False,
    report: Report = silent,
) -> list[Path]:
    """Train the models of a study and return their checkpoints, one per seed and fold.

    Finished checkpoints of the same settings are kept; an interrupted one goes on after its last
    epoch.

    Parameters
    ----------
    data : path, optional
        Folder of the dataset; default: as the study says.
    out : path, optional
        Results folder; default ``results/<study id>``.
    seeds : optional
        Some of the study's seeds; default: all.
    device : str, optional
        A torch device or "auto"; default: as the study says.
    weights : path, optional
        File of encoder weights to start from, instead of the study's.
    strict : bool
        Stop at the first faulty image.
    report : callable
        Told of every step, and of every finished model under the stage ``ALL_MODELS``.

    Raises
    ------
    ModelError
        Before anything is trained: when a checkpoint there was made under other settings.
    DataError, ConfigError, ResultsError, Cancelled
        See ``xaieval.models.train``.
    """
    from xaieval.backend import pick_devices
    from xaieval.models import train
    from xaieval.models.training import is_trained, run_digest
    from xaieval.study.plan import resolve

    wanted = chosen_seeds(study, seeds)
    start = encoder_weights(study, weights)
    place = pick_devices(device or study.run.device)[0]
    dataset = open_study_data(study, data, strict=strict)
    resolve(study, dataset.region_names)  # a misspelt metric is found before hours of training
    explained_data(study, dataset)  # an attribute too
    plan = study_splits(study, dataset)
    folder = Path(out) if out is not None else default_out(study)
    config, preprocessing = model_settings(study, len(dataset.class_names))
    options = train_options(study, start)
    models = []
    for seed in wanted:
        for fold in plan.folds:
            path = checkpoint_path(folder, seed, fold.index, len(plan.folds))
            digest = run_digest(
                dataset,
                fold,
                config=config,
                preprocessing=preprocessing,
                options=options,
                seed=seed,
            )
            done = is_trained(path, digest)
            if path.exists() and not done:
                found = differences(path, study, dataset, fold, seed)
                raise other_settings(path, found or ["other encoder weights, or damaged"])
            models.append((seed, fold, path, done))
    write_bytes(folder / STUDY_FILE, study.text.encode())
    began, finished = time.monotonic(), sum(done for *_, done in models)
    todo = [model for model in models if not model[-1]]
    told = recorded(folder, report)
    with training(folder):
        for number, (seed, fold, path, _) in enumerate(todo):
            elapsed_s = time.monotonic() - began
            note = f"{finished} were finished before" if finished else ""
            told(Progress(ALL_MODELS, number, len(todo), elapsed_s, note))
            train(
                dataset,
                fold,
                config=config,
                preprocessing=preprocessing,
                options=options,
                seed=seed,
                path=path,
                device=place,
                strict=strict or study.run.strict,
                report=told,
            )
    report(Progress(ALL_MODELS, len(todo), len(todo), time.monotonic() - began))
    return [path for _, _, path, _ in models]
