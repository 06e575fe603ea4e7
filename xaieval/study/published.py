"""Published runs of project_iml, re-aggregated: their own win rates, no model run here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from xaieval import __version__
from xaieval.digest import digest_file
from xaieval.errors import ResultsError
from xaieval.files import atomic_path, write_bytes, write_json
from xaieval.study.config import Study, load_study
from xaieval.study.manifest import MANIFEST, STUDY_FILE
from xaieval.study.parts import SCHEMA_VERSION
from xaieval.study.results import HISTORY_COLUMNS, OVERALL, Results

NOTE = "re-aggregated from published runs, no model run here"
METRIC = "topk_overlap"
_SPLITS = ("train", "test")


def import_published(source: str | Path, out: str | Path) -> Results:
    """Make a results folder of published project_iml runs.

    Parameters
    ----------
    source : path of a JSON file
        ``{seed: {split: {win_rate: {class or "overall": {method: share}}, balanced_accuracy:
        [per epoch], loss_total_ce_mask: [[total, ce, mask] per epoch]}}}``. The accuracy of a run
        is that of its last epoch. Numbers of images were not published; they stay NaN.
    out : path of the folder to write; earlier published results there are replaced

    Raises
    ------
    ResultsError
        When the file is not of this form, or the folder holds results of another kind.
    """
    source, out = Path(source), Path(out)
    runs = _read(source)
    study = load_study("project-iml")
    win_rates, accuracy, history = [], [], []
    for seed, run in sorted(runs.items()):
        for split in _SPLITS:
            block = run[split]
            for name, shares in block["win_rate"].items():
                for method, share in shares.items():
                    win_rates.append((seed, split, name, method, share))
            curve = block["balanced_accuracy"]
            accuracy.append((seed, split, curve[-1]))
            for epoch, (losses, value) in enumerate(
                zip(block["loss_total_ce_mask"], curve, strict=True), start=1
            ):
                history.append((seed, 0, epoch, split, *losses, value))
    _check_folder(out)
    frames = {
        "win_rates": _with_nan(
            pd.DataFrame(win_rates, columns=["seed", "split", "class", "method_id", "win_rate"]),
            ("wins", "n", "left_out"),
        ).assign(left_out_by=""),
        "accuracy": _with_nan(
            pd.DataFrame(accuracy, columns=["seed", "split", "balanced_accuracy"]),
            ("accuracy", "n"),
        ),
        "history": pd.DataFrame(history, columns=list(HISTORY_COLUMNS)),
    }
    for name, frame in frames.items():
        with atomic_path(out / "published" / f"{name}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)
    write_bytes(out / STUDY_FILE, study.text.encode())
    write_json(out / MANIFEST, _manifest(source, study, frames["win_rates"]))
    return Results(out)


def _manifest(source: Path, study: Study, win_rates: pd.DataFrame) -> dict[str, Any]:
    methods = list(dict.fromkeys(win_rates["method_id"]))
    return {
        "schema": SCHEMA_VERSION,
        "kind": "published",
        "title": f"{study.title} ({NOTE})",
        "note": NOTE,
        "study": study.id,
        "source": {"file": source.name, "sha256": digest_file(source)},
        "versions": {"xaieval": __version__},
        "classes": [name for name in dict.fromkeys(win_rates["class"]) if name != OVERALL],
        "methods": methods,
        "compete": methods,
        "metrics": [METRIC],
        "tie_rule": "first",
    }


def _with_nan(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return frame.assign(**dict.fromkeys(columns, math.nan))


def _check_folder(out: Path) -> None:
    manifest = out / MANIFEST
    if manifest.exists() and json.loads(manifest.read_text()).get("kind") != "published":
        raise ResultsError(
            "this folder holds measured results", where=out, fix="choose another --out"
        )
    if not manifest.exists() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ResultsError("this folder holds other files", where=out, fix="choose another --out")


def _read(source: Path) -> dict[int, Mapping[str, Any]]:
    try:
        loaded = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read it ({error.strerror})", where=source) from None
    except ValueError as error:
        raise ResultsError(f"not JSON: {error}", where=source) from None
    if not isinstance(loaded, dict) or not loaded:
        raise ResultsError("no published runs in it", where=source, expected="{seed: {…}}")
    runs = {}
    for seed, run in loaded.items():
        try:
            runs[int(seed)] = _check_run(run)
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(
                f"run {seed!r} is not of the published form",
                where=source,
                expected="train and test, each with win_rate {class: {method: share}}, "
                "balanced_accuracy [epochs], loss_total_ce_mask [[total, ce, mask] of each epoch]",
                got=f"{type(error).__name__}: {error}",
            ) from None
    return runs


def _check_run(run: Any) -> Mapping[str, Any]:
    for split in _SPLITS:
        block = run[split]
        curve, losses = block["balanced_accuracy"], block["loss_total_ce_mask"]
        if not curve or len(curve) != len(losses) or any(len(loss) != 3 for loss in losses):
            raise ValueError(f"{split}: curves of different lengths")
        if OVERALL not in block["win_rate"]:
            raise ValueError(f"{split}: win_rate has no {OVERALL!r}")
        for name, shares in block["win_rate"].items():
            if not all(0 <= float(share) <= 1 for share in shares.values()):
                raise ValueError(f"{split}: a win rate of {name!r} is not between 0 and 1")
    found: Mapping[str, Any] = run
    return found
