"""The sanity gate for every trained model of a study."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.digest import digest_file
from xaieval.errors import ModelError
from xaieval.progress import Progress, Report, silent
from xaieval.sanity.limits import GATE_VERSION, IMAGES
from xaieval.sanity.report import SanityReport, read_reports, write_reports
from xaieval.study.checkpoints import find_checkpoints
from xaieval.study.config import Study
from xaieval.study.data import (
    explained_data,
    explained_target,
    open_study_data,
    populations,
    study_splits,
)
from xaieval.study.lock import locked
from xaieval.study.results import default_out
from xaieval.study.training import chosen_seeds

if TYPE_CHECKING:
    from xaieval.methods import MethodCall


def gate_study(
    study: Study,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    methods: Sequence[Any] | None = None,
    images: int = IMAGES,
    report: Report = silent,
) -> list[SanityReport]:
    """Check a study's methods on each of its trained models and write ``sanity.json``.

    Models that were checked before, under the same settings and with the same images, are not
    checked again; a model's report is written as soon as it is there.

    Parameters
    ----------
    data, out, seeds, device : as in ``run_study``
    methods : sequence, optional
        As ``resolve_methods`` takes them; default: the study's own.
    images : int
        How many of the scored images are looked at, test images first, classes in turn.

    Returns
    -------
    list of SanityReport
        One per model, by seed and fold, on these methods and those checked earlier.

    Raises
    ------
    ModelError
        When no model is trained yet.
    ResultsError
        When the folder cannot be written, another process writes to it, or it holds a damaged
        ``sanity.json``.
    ConfigError, DataError
        For an unknown id, or a dataset that is not there.
    """
    from xaieval.backend import pick_devices
    from xaieval.methods import resolve_methods
    from xaieval.models import load_checkpoint
    from xaieval.sanity.gate import run_gate
    from xaieval.sanity.images import model_input, taken_in_turn, targets_of

    folder = Path(out) if out is not None else default_out(study)
    wanted = methods if methods is not None else study.explain.methods
    calls = resolve_methods([it if isinstance(it, str) else dict(it) for it in wanted])
    device = pick_devices(device or study.run.device)[0]
    seeds = chosen_seeds(study, seeds)
    models = [found for found in find_checkpoints(folder) if found[0] in seeds]
    if not models:
        raise ModelError(
            "no model is trained yet",
            where=folder,
            fix="run 'xaieval train' with the same --out first",
        )
    dataset = explained_data(study, open_study_data(study, data))
    roles = {it.fold: it.roles for it in populations(study, dataset, study_splits(study, dataset))}
    explain = study.explain
    target = explained_target(study, dataset)
    reports = []
    began = time.monotonic()
    with locked(folder):
        for number, (_, fold, path) in enumerate(models):
            ids = [
                sample
                for role in ("test", "train")
                for sample in taken_in_turn(
                    {
                        name: [i for i in found if roles[fold].get(i) == role]
                        for name, found in dataset.by_class.items()
                    }
                )
            ]
            classifier = load_checkpoint(path)
            x, samples = model_input(classifier, ids, dataset.__getitem__, count=images)
            sha256, kept = digest_file(path), read_reports(folder).get(path.stem)
            missing = [
                call
                for call in calls
                if not _known(kept, call, sha256, tuple(sample.id for sample in samples))
            ]
            if missing:
                found = run_gate(
                    classifier,
                    x,
                    missing,
                    targets=targets_of(target, samples),
                    sample_ids=[sample.id for sample in samples],
                    seed=explain.seed,
                    device=device,
                    upsampling=explain.upsampling,
                    exact=explain.exact,
                    checkpoint_sha256=sha256,
                    report=partial(_tell, report, number, len(models), began),
                )
                write_reports(folder, [found])
                kept = found.joined(kept)
            assert kept is not None
            reports.append(kept)
    return reports


def _tell(report: Report, number: int, models: int, began: float, progress: Progress) -> None:
    """Report one model's progress as that of all."""
    report(
        dataclasses.replace(
            progress,
            done=number * progress.total + progress.done,
            total=models * progress.total,
            elapsed_s=time.monotonic() - began,
        )
    )


def _known(
    kept: SanityReport | None, call: MethodCall, sha256: str, images: tuple[str, ...]
) -> bool:
    """Return whether a report already says what a method does on a model.

    A results folder is of one study, so the settings are the same.
    """
    return (
        kept is not None
        and kept.version == GATE_VERSION
        and kept.checkpoint_sha256 == sha256
        and kept.images == images
        and call.key in kept.verdicts
        and kept.verdicts[call.key].method_digest == call.digest
    )
