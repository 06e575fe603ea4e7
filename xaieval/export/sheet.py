"""The sheet of one image of a results folder, worked out and written: PNG, SVG, PDF or HTML."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from xaieval.errors import ConfigError, ResultsError, unknown
from xaieval.export.exhibits import method_labels
from xaieval.export.files import made_from, versions
from xaieval.export.sheet_options import (
    SheetOptions,
    cut_weights,
    scored,
    sheet_words,
    win_shares_of,
)
from xaieval.figures.sheet import ImageSheet, SheetPanel, draw_sheet
from xaieval.study.parts import WHOLE
from xaieval.types import Mask, Sample, Score

if TYPE_CHECKING:
    from xaieval.backend import Answer, Backend
    from xaieval.datasets import Dataset
    from xaieval.methods import MethodCall
    from xaieval.study import Results

SheetFormat = Literal["png", "svg", "pdf", "html"]
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)
WINS_BY = "topk_overlap"
_CLASSES = 6
_USUAL = SheetOptions()


def make_sheet(
    results: Results,
    sample_id: str,
    *,
    seed: int | None = None,
    region: str | None = None,
    methods: Sequence[str] | None = None,
    options: SheetOptions = _USUAL,
    dataset: Dataset | None = None,
    backend: Backend | None = None,
    device: str = "auto",
) -> ImageSheet:
    """Return the sheet of one image: its maps are explained again (or come from the cache).

    The scores are those of the results folder, unless ``options`` ask for what it does not hold.

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
        Method keys; default: all that were scored and that the study names. A method that was
        not scored needs ``options.metrics``.
    options : SheetOptions
        Another split, target, K, threshold, score, look, or a changed picture.
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
    from xaieval.methods import METHODS, resolve_methods
    from xaieval.study.plan import resolve

    row = _prediction(results, sample_id, seed, options.split)
    data = dataset if dataset is not None else results.dataset()
    assert data is not None, "measured results have a dataset"
    anew = options.scored_anew
    region = region or results.regions[0]
    regions = (*results.regions, *(data.region_names if anew else ()))
    if region not in regions:
        raise unknown("region of these results", region, regions)
    known = {call.key: call for call in resolve(results.study, data.region_names).calls}
    shown = [key for key in results.method_ids if key in known]
    for key in methods or ():
        if key not in shown and anew:
            known |= {call.key: call for call in resolve_methods([key])}
        elif key not in shown:
            raise unknown("method of these results", key, shown)
    calls = tuple(known[key] for key in (methods or shown))
    sample = data[sample_id]
    asked = options.target or results.study.explain.target
    ask = _Asking(results, row, calls, _target_of(asked, data.class_names), backend, device)
    edit = ""
    if options.edit:
        sample, edit = _edited(sample, options.edit, ask)
    answer = ask(sample)
    given = sample.regions.get(region)
    mask = None if given is None else answer.geometry.mask(given)
    if mask is not None and not mask.any():
        mask = None if anew else mask
    labels = method_labels(results)
    for call in calls:
        if call.key not in labels and call.id in METHODS:
            labels[call.key] = METHODS[call.id].label
    if anew:
        panels, wins_by = _panels_anew(answer, calls, labels, mask, options, results)
    else:
        panels, wins_by = _panels(answer, calls, labels, mask, options, results, row, region)
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
        correct=answer.predicted_name == str(row["class"]) if edit else bool(row["correct"]),
        probabilities=tuple((names[i], float(answer.probabilities[i])) for i in highest),
        picture=answer.picture,
        mask=mask,
        region=region,
        panels=panels,
        wins_by=wins_by,
        look=options.look,
        k=options.k or 0,
        threshold=options.threshold,
        edit=edit,
        options=options,
    )


def sheet_command(results: Results, sheet: ImageSheet, *, format: SheetFormat = "png") -> str:
    """Return the command that makes the file of a sheet again."""
    words = ["xaieval", "sheet", str(results.path), sheet.sample_id, "--seed", str(sheet.seed)]
    words += ["--region", sheet.region]
    words += sheet_words(sheet.options or _USUAL, sheet.panels, results)
    return shlex.join([*words, "--out", sheet_name(sheet, format)])


def sheet_sidecar(
    results: Results, sheet: ImageSheet, *, format: SheetFormat = "png"
) -> dict[str, Any]:
    """Return what explains a sheet: ids, parameters, scores, versions, digests, command."""
    options = sheet.options or _USUAL
    return {
        "exhibit": "sheet",
        "title": f"{sheet.study}: {sheet.where}",
        "origin": results.kind,
        "note": results.note or None,
        "format": format,
        "ids": {
            "study": results.study.id,
            "sample": sheet.sample_id,
            "seed": sheet.seed,
            "fold": sheet.fold,
            "split": sheet.split,
            "region": sheet.region,
            "methods": [panel.key for panel in sheet.panels],
        },
        "parameters": {
            "target": options.target or results.study.explain.target,
            "explained": sheet.target,
            "k": sheet.k or (int(sheet.mask.sum()) if sheet.mask is not None else None),
            "threshold": sheet.threshold,
            "scored": "for this sheet" if options.scored_anew else "in the results",
            "metrics": list(options.keys if options.scored_anew else results.metric_keys),
            "edit": options.edit or None,
            "look": asdict(options.look),
        },
        "predicted": sheet.predicted,
        "probabilities": {name: round(share, 6) for name, share in sheet.probabilities},
        "scores": {
            panel.key: {
                name: None if found.reason else float(found.value)
                for name, found in panel.scores.items()
            }
            for panel in sheet.panels
        },
        **made_from(results),
        "versions": versions(),
        "command": sheet_command(results, sheet, format=format),
    }


def sheet_bytes(sheet: ImageSheet, *, format: SheetFormat = "png") -> bytes:
    """Return a sheet as a file; the same sheet gives the same bytes.

    PNG (300 dpi), SVG and PDF for paper, HTML (one file, no other needed) for the screen.

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


def _prediction(results: Results, sample_id: str, seed: int | None, split: str) -> dict[str, Any]:
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
        "SELECT * FROM predictions WHERE sample_id = ? AND seed = ? "
        "ORDER BY split <> ?, split = 'train', fold",
        [sample_id, seed, split],
    )
    if rows.empty:
        known = results.query("SELECT DISTINCT sample_id FROM predictions")["sample_id"].tolist()
        near = difflib.get_close_matches(sample_id, known, n=5, cutoff=0.0)
        raise unknown("image of these results", sample_id, [*near, f"{len(known)} in all"])
    return {str(key): value for key, value in rows.iloc[0].to_dict().items()}


@dataclass(frozen=True)
class _Asking:
    """Asks the row's model for maps of a sample: with the study's own settings."""

    results: Results
    row: dict[str, Any]
    calls: tuple[MethodCall, ...]
    target: str | int
    backend: Backend | None
    device: str

    def __call__(self, sample: Sample) -> Answer:
        from xaieval.backend import Backend, Request

        wanted = (self.row["seed"], self.row["fold"])
        found = {(seed, fold): path for seed, fold, path in self.results.checkpoints()}
        if wanted not in found:
            raise ResultsError(
                f"the model of seed {wanted[0]}, fold {wanted[1]} is gone",
                where=self.results.path,
                fix="train the study again with the same --out",
            )
        explain = self.results.study.explain
        request = Request(
            checkpoint=Path(found[wanted]),
            sample=sample,
            methods=self.calls,
            target=self.target,  # type: ignore[arg-type]  # a word that is known, or an index
            upsampling=explain.upsampling,
            exact=explain.exact,
            seed=explain.seed,
        )
        if self.backend is not None:
            return self.backend.explain(request)
        own = Backend(self.device)
        try:
            return own.explain(request)
        finally:
            own.close()


def _target_of(target: str | int, classes: Sequence[str]) -> str | int:
    if isinstance(target, int) or target in ("predicted", "label"):
        return target
    if target not in classes:
        raise unknown("class to explain", target, ["predicted", "label", *classes])
    return list(classes).index(target)


def _edited(sample: Sample, text: str, ask: _Asking) -> tuple[Sample, str]:
    """Return the changed sample, and what was done to it in words."""
    from xaieval.edits import edit_sample, parse_edit, topk_mask
    from xaieval.methods import resolve_methods

    edit = parse_edit(text)
    place = None
    if edit.topk:
        before = replace(ask, calls=tuple(resolve_methods([edit.topk])))(sample)
        found = before.maps[edit.topk].values
        place = topk_mask(found, edit.k or found.size // 20, before.geometry)
    said = f"Changed picture: {edit.text}."
    return edit_sample(sample, edit, place=place), said


def _panels(
    answer: Answer,
    calls: Sequence[MethodCall],
    labels: dict[str, str],
    mask: Mask | None,
    options: SheetOptions,
    results: Results,
    row: dict[str, Any],
    region: str,
) -> tuple[tuple[SheetPanel, ...], str]:
    """Return the panels with the scores of the results, and what the wins are by."""
    scores = results.scores(sample_id=str(row["sample_id"]), seed=int(row["seed"]))
    order = {key: place for place, key in enumerate(results.metric_keys)}
    scores = scores.sort_values("metric_key", key=lambda keys: keys.map(order), kind="stable")
    scores = scores[(scores["fold"] == row["fold"]) & scores["region"].isin([region, WHOLE])]
    scores = scores[scores["split"] == row["split"]] if "split" in scores else scores
    wins = _wins(results, scores)
    panels = []
    for call in calls:
        rows = scores[scores["method_id"] == call.key]
        columns = rows[["metric_key", "value", "reason"]].itertuples(index=False)
        found = {
            _label(metric): Score(float(value), None if pd.isna(reason) else str(reason))
            for metric, value, reason in columns
        }
        label = labels.get(call.key, call.key)
        panels.append(_panel(call.key, label, answer, mask, options, found, wins))
    return tuple(panels), _label(WINS_BY) if wins else ""


def _panels_anew(
    answer: Answer,
    calls: Sequence[MethodCall],
    labels: dict[str, str],
    mask: Mask | None,
    options: SheetOptions,
    results: Results,
) -> tuple[tuple[SheetPanel, ...], str]:
    """Return the panels, scored here, and what the wins are by."""
    keys = options.keys
    found = {
        call.key: scored(answer.maps[call.key].values, mask, keys)
        for call in calls
        if call.key in answer.maps
    }
    competing = {key: scores[keys[0]] for key, scores in found.items() if key in results.compete}
    wins = win_shares_of(competing, keys[0])
    panels = tuple(
        _panel(
            call.key,
            labels.get(call.key, call.key),
            answer,
            mask,
            options,
            {_label(key): one for key, one in found.get(call.key, {}).items()}
            if mask is not None
            else {},
            wins,
        )
        for call in calls
    )
    return panels, _label(keys[0]) if wins else ""


def _panel(
    key: str,
    label: str,
    answer: Answer,
    mask: Mask | None,
    options: SheetOptions,
    scores: dict[str, Score],
    wins: dict[str, float],
) -> SheetPanel:
    if key in answer.undefined:
        return SheetPanel(key=key, label=label, values=None, undefined=answer.undefined[key])
    values = answer.maps[key].values
    return SheetPanel(
        key=key,
        label=label,
        values=values,
        weights=cut_weights(values, mask, options),
        scores=scores,
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
