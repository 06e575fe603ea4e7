"""What a run writes down about itself, and whether an earlier run in its folder fits it."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.digest import digest
from xaieval.errors import ResultsError
from xaieval.study.config import Study
from xaieval.study.manifest import MANIFEST, read_manifest
from xaieval.study.parts import SCHEMA_VERSION
from xaieval.study.plan import Resolved

if TYPE_CHECKING:
    from xaieval.datasets import Dataset, SplitPlan


@dataclass(frozen=True)
class Model:
    seed: int
    fold: int
    path: Path
    sha256: str

    @property
    def name(self) -> str:
        return self.path.stem


def new_manifest(
    study: Study,
    dataset: Dataset,
    plan: SplitPlan,
    resolved: Resolved,
    folder: Path,
    models: Sequence[Model],
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
        "data_path": None if dataset.root is None else str(dataset.root.resolve()),
        "base_digest": base,
        "train_digest": study.digest("train"),
        "explain_digest": study.digest("explain"),
        "data_digest": dataset.digest,
        "split_digest": plan.digest,
        "rule_digest": resolved.rules.digest,
        "explain": study.explain_settings(),
        "split_scheme": plan.scheme,
        "folds": len(plan.folds),
        "task": dataset.task,
        "classes": list(dataset.class_names),
        "regions": list(resolved.regions),
        "methods": [call.key for call in resolved.calls],
        "compete": list(resolved.compete),
        "metrics": [metric.key for metric in resolved.metrics],
        "models": dict(sorted(known.items())),
        "problems": [],
    }


def _check_earlier(
    folder: Path, earlier: dict[str, Any], base: str, models: Sequence[Model], study: Study
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


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("xaieval", "torch", "captum", "numpy", "pyarrow")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _machine() -> dict[str, Any]:
    return {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()}
