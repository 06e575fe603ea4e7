"""The sheet of one image of a results folder, worked out and written: PNG, SVG or HTML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from xaieval.errors import ConfigError, ResultsError, unknown
from xaieval.export.exhibits import method_labels
from xaieval.figures.sheet import ImageSheet, SheetPanel, draw_sheet
from xaieval.study.parts import WHOLE
from xaieval.types import Score

if TYPE_CHECKING:
    from xaieval.backend import Answer, Backend
    from xaieval.datasets import Dataset
    from xaieval.study import Results

SheetFormat = Literal["png", "svg", "html"]
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)
WINS_BY = "topk_overlap"
_CLASSES = 6


def make_sheet(
    results: Results,
    sample_id: str,
    *,
    seed: int | None = None,
    region: str | None = None,
    methods: Sequence[str] | None = None,
    dataset: Dataset | None = None,
    backend: Backend | None = None,
    device: str = "auto",
) -> ImageSheet:
    """Return the sheet of one image: its maps are explained again (or come from the cache).

    The scores are those of the results folder.

    Parameters
    ----------
    results : Results
        Of a measured study.
    sample_id : str
        An image that was scored.
    seed : int, optional
        Of the model; default: the first.
    region : str, optional
        Whose mask is shown and scored; default: the first.
    methods : sequence of str, optional
        Method keys; default: all that were scored and that the study names.
    dataset : Dataset, optional
        Default: where the results find it.
    backend : Backend, optional
        Default: one of its own on ``device``.

    Raises
    ------
    ConfigError
        For an unknown image, seed, region or method.
    ResultsError
        For published results, and where a checkpoint is gone.
    DataError
        When the dataset is not there.
    """
    from xaieval.study.plan import resolve

    row = _prediction(results, sample_id, seed)
    data = dataset if dataset is not None else results.dataset()
    assert data is not None, "measured results have a dataset"
    region = region or results.regions[0]
    if region not in results.regions:
        raise unknown("region of these results", region, results.regions)
    known = {call.key: call for call in resolve(results.study, data.region_names).calls}
    shown = [key for key in results.method_ids if key in known]
    for key in methods or ():
        if key not in shown:
            raise unknown("method of these results", key, shown)
    calls = tuple(known[key] for key in (methods or shown))
    sample = data[sample_id]
    answer = _explain(results, row, sample, calls, backend, device)
    given = sample.regions.get(region)
    mask = None if given is None else answer.geometry.mask(given)
    scores = results.scores(sample_id=sample_id, seed=int(row["seed"]))
    order = {key: place for place, key in enumerate(results.metric_keys)}
    scores = scores.sort_values("metric_key", key=lambda keys: keys.map(order), kind="stable")
    scores = scores[(scores["fold"] == row["fold"]) & scores["region"].isin([region, WHOLE])]
    wins = _wins(results, scores)
    labels = method_labels(results)
    panels = tuple(
        _panel(call.key, labels.get(call.key, call.key), answer, mask, scores, wins)
        for call in calls
    )
    highest = np.argsort(-answer.probabilities, kind="stable")[:_CLASSES]
    names = answer.class_names
    return ImageSheet(
        study=results.title,
        sample_id=sample_id,
        class_name=str(row["class"]),
        split=str(row["split"]),
        seed=int(row["seed"]),
        fold=int(row["fold"]),
        predicted=answer.predicted_name,
        target=names[answer.target],
        correct=bool(row["correct"]),
        probabilities=tuple((names[i], float(answer.probabilities[i])) for i in highest),
        picture=answer.picture,
        mask=mask,
        region=region,
        panels=panels,
        wins_by=_label(WINS_BY) if wins else "",
    )


def sheet_bytes(sheet: ImageSheet, *, format: SheetFormat = "png") -> bytes:
    """Return a sheet as a file; the same sheet gives the same bytes.

    PNG (300 dpi) and SVG for paper, HTML (one file, no other needed) for the screen.

    Raises
    ------
    ConfigError
        For an unknown format.
    """
    if format not in SHEET_FORMATS:
        raise unknown("format of a sheet", format, SHEET_FORMATS)
    if format == "html":
        from xaieval.export.sheet_page import sheet_page

        return sheet_page(sheet).encode()
    from xaieval.figures.saving import figure_bytes

    return figure_bytes(draw_sheet(sheet), format=format, source=f"{sheet.study}: {sheet.where}")


def sheet_name(sheet: ImageSheet, format: SheetFormat) -> str:
    """Return the plain file name of a sheet: image, seed, format."""
    plain = re.sub(r"[^\w.=-]+", "_", sheet.sample_id).strip("_")
    return f"{plain}-seed-{sheet.seed}.{format}"


def _prediction(results: Results, sample_id: str, seed: int | None) -> dict[str, Any]:
    """Return the row of an image under one model."""
    if results.kind == "published":
        raise ResultsError(
            "published runs have no images to show", where=results.path, fix="run the study"
        )
    if seed is None:
        seed = results.seeds[0]
    if seed not in results.seeds:
        raise ConfigError(
            "no such seed in these results",
            expected=", ".join(map(str, results.seeds)),
            got=seed,
        )
    rows = results.query(
        "SELECT * FROM predictions WHERE sample_id = ? AND seed = ? ORDER BY split = 'train', fold",
        [sample_id, seed],
    )
    if rows.empty:
        known = results.query("SELECT DISTINCT sample_id FROM predictions")["sample_id"].tolist()
        near = difflib.get_close_matches(sample_id, known, n=5, cutoff=0.0)
        raise unknown("image of these results", sample_id, [*near, f"{len(known)} in all"])
    return {str(key): value for key, value in rows.iloc[0].to_dict().items()}


def _explain(
    results: Results,
    row: dict[str, Any],
    sample: Any,
    calls: Any,
    backend: Backend | None,
    device: str,
) -> Answer:
    from xaieval.backend import Backend, Request

    wanted = (row["seed"], row["fold"])
    found = {(seed, fold): path for seed, fold, path in results.checkpoints()}
    if wanted not in found:
        raise ResultsError(
            f"the model of seed {wanted[0]}, fold {wanted[1]} is gone",
            where=results.path,
            fix="train the study again with the same --out",
        )
    explain = results.study.explain
    request = Request(
        checkpoint=Path(found[wanted]),
        sample=sample,
        methods=calls,
        target=explain.target,  # type: ignore[arg-type]  # checked when the study was read
        upsampling=explain.upsampling,
        exact=explain.exact,
        seed=explain.seed,
    )
    if backend is not None:
        return backend.explain(request)
    own = Backend(device)
    try:
        return own.explain(request)
    finally:
        own.close()


def _panel(
    key: str,
    label: str,
    answer: Answer,
    mask: Any,
    scores: pd.DataFrame,
    wins: dict[str, float],
) -> SheetPanel:
    from xaieval.metrics import topk_weights

    if key in answer.undefined:
        return SheetPanel(key=key, label=label, values=None, undefined=answer.undefined[key])
    values = answer.maps[key].values
    inside = 0 if mask is None else int(mask.sum())
    rows = scores[scores["method_id"] == key]
    return SheetPanel(
        key=key,
        label=label,
        values=values,
        weights=topk_weights(values, inside) if inside else None,
        scores={
            _label(metric): Score(float(value), None if pd.isna(reason) else str(reason))
            for metric, value, reason in rows[["metric_key", "value", "reason"]].itertuples(
                index=False
            )
        },
        win=wins.get(key),
    )


def _label(metric: str) -> str:
    """Return a score's name; its key where the package that it came from is not installed."""
    from xaieval.metrics import parse_metric

    try:
        return parse_metric(metric).label
    except ConfigError:
        return metric


def _wins(results: Results, scores: pd.DataFrame) -> dict[str, float]:
    """Return each competitor's share of the win on this image; empty where nobody can win."""
    from xaieval.stats import win_shares

    decided = scores[scores["metric_key"] == WINS_BY]
    there = [key for key in results.compete if key in set(decided["method_id"])]
    if decided["value"].isna().all() or len(there) < 2:
        return {}
    found = win_shares(decided, methods=there)
    return dict(zip(found["method_id"], found["share"].astype(float), strict=True))
