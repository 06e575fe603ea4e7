"""Figures and tables of a results folder as files, each with a JSON sidecar that explains it.

A figure is PNG, SVG or PDF, a table CSV, LaTeX or JSON. The sidecar holds ids, parameters,
versions, digests and the command that makes the same file again:

    python -m xaieval.export RESULTS --exhibit win-rates --format pdf --out figure.pdf
"""

from __future__ import annotations

import json
import platform
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import xaieval
from xaieval.digest import digest
from xaieval.errors import ResultsError, unknown
from xaieval.export.exhibits import (
    EXHIBITS,
    View,
    exhibit_table,
    gate_notes,
    method_labels,
    view_boxes,
)
from xaieval.export.latex import latex_table
from xaieval.figures.chart_print import print_chart
from xaieval.figures.critical_difference import print_critical_difference
from xaieval.figures.printed import print_curves, print_win_rates
from xaieval.figures.saving import FIGURE_FORMATS, figure_bytes
from xaieval.files import write_bytes, write_json
from xaieval.study import Results

COMPARING = ("ranks", "pairs", "agreement")
INTERVALS = {
    "win-rates": "95 %: Wilson of the pooled counts; from, to: two-way bootstrap over seeds and "
    "images",
    "accuracy": "none",
    "curves": "none",
    "ranks": "Friedman (Iman-Davenport F, exact where counted), Nemenyi, level 0.05",
    "pairs": "Wilcoxon signed-rank (Pratt), Holm over all pairs",
    "agreement": "95 %, two-way bootstrap over seeds and images (rankings), over images (values)",
}
TABLE_FORMATS = {"csv": "text/csv", "tex": "text/x-tex", "json": "application/json"}


def export_figure(results: Results, view: View, *, format: str = "png") -> bytes:
    """Return an exhibit's figure as bytes of a PNG (300 dpi), SVG or PDF.

    The same results and view give the same bytes: no date is written. Where it was drawn from is
    in the file's own metadata as well as in the sidecar.

    Raises
    ------
    ConfigError
        When the format is unknown.
    ResultsError
        When the exhibit has no figure.
    """
    if format not in FIGURE_FORMATS:
        raise unknown("figure format", format, FIGURE_FORMATS)
    title = _title(results, view)
    if view.exhibit == "win-rates":
        figure = print_win_rates(
            view_boxes(results, view),
            labels=method_labels(results),
            origin=results.kind,
            value_label=f"win rate ({view.metric})",
            title=title,
            note=results.note,
            footnotes=gate_notes(results, results.compete),
        )
    elif view.exhibit == "ranks":
        figure = _ranks_figure(results, view, title)
    elif view.exhibit == "agreement":
        from xaieval.export.comparing import agreement_chart, agreement_rows

        chart = agreement_chart(results, view, agreement_rows(results, view))
        return print_chart(chart, format=format)
    elif view.exhibit == "curves":
        splits = view.splits or ("train", "test")
        figure = print_curves(results.history(), splits=splits, title=title, note=results.note)
    else:
        raise ResultsError(
            "this exhibit is a table only", where=view.exhibit, fix="choose csv, tex or json"
        )
    source = f"{title}. {command(results, view, format=format)}"
    return figure_bytes(figure, format=format, source=source)


def _ranks_figure(results: Results, view: View, title: str) -> Any:
    from xaieval.export.comparing import Group, view_comparison

    found = view_comparison(results, view)
    if found.nemenyi is None:
        raise ResultsError(
            f"there are no ranks to draw: {found.friedman.reason}", where=results.path
        )
    blocks = f"{found.friedman.n_blocks} {found.blocks.unit}s"
    return print_critical_difference(
        found.nemenyi,
        labels=method_labels(results),
        methods=results.compete,
        origin=results.kind,
        title=f"{title}, {view.metric}, {Group.of(results, view).text}, {blocks}",
        note=results.note,
    )


def export_table(results: Results, view: View, *, format: str = "csv") -> str:
    """Return an exhibit's table as text: CSV and JSON in full precision, LaTeX to three digits.

    JSON is ``{"about": sidecar, "rows": [...]}`` with null for NaN.
    """
    if format not in TABLE_FORMATS:
        raise unknown("table format", format, TABLE_FORMATS)
    table = exhibit_table(results, view)
    if format == "csv":
        return table.to_csv(index=False, lineterminator="\n")
    if format == "json":
        about = sidecar(results, view, format=format)
        text = json.dumps(
            {"about": about, "rows": plain_rows(table)},
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
        )
        return text + "\n"
    caption = _title(results, view)
    if view.exhibit in ("win-rates", "accuracy", "curves"):
        caption += ", mean ± std"
    elif view.exhibit != "agreement":
        caption += f"; by {view.metric}, blocks: {view.unit}s, images: {view.population}"
    if view.exhibit == "win-rates":
        ties = results.manifest.get("tie_rule", view.tie_rule)
        caption += f"; by {view.metric}, ties: {ties}, images: {view.population}"
    if results.note:
        caption += f" ({results.note})"
    if view.exhibit in COMPARING:
        from xaieval.export.comparing import comparing_latex

        return comparing_latex(view, table, caption=caption)
    return latex_table(table, exhibit=view.exhibit, caption=caption)


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as plain values; None for NaN."""
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        for row in plain.to_dict("records")
    ]


def command(results: Results, view: View, *, format: str) -> str:
    """Return the command that makes this file again."""
    words = ["python", "-m", "xaieval.export", str(results.path)]
    words += ["--exhibit", view.exhibit, "--format", format]
    if view.exhibit == "win-rates":
        words += ["--metric", view.metric, "--tie-rule", view.tie_rule]
        words += ["--population", view.population]
    elif view.exhibit in COMPARING:
        words += ["--metric", view.metric, "--population", view.population]
        words += ["--level", view.level] if view.exhibit == "agreement" else ["--unit", view.unit]
    if view.region and view.exhibit in ("win-rates", *COMPARING):
        words += ["--region", view.region]
    for name in view.splits:
        words += ["--split", name]
    for name in view.classes if view.exhibit in ("win-rates", *COMPARING) else ():
        words += ["--class", name]
    return shlex.join([*words, "--out", file_name(results, view, format=format)])


def _title(results: Results, view: View) -> str:
    return f"{results.study.title}: {EXHIBITS[view.exhibit]}"


def file_name(results: Results, view: View, *, format: str) -> str:
    """Return a plain file name for an export."""
    return f"{results.study.id}-{view.exhibit}.{format}"


def sidecar(results: Results, view: View, *, format: str) -> dict[str, Any]:
    """Return what explains an export: ids, parameters, versions, digests, command.

    Nothing in it depends on the hour or the machine's name; numbers are JSON types.
    """
    ids: dict[str, Any] = {"study": results.study.id, "methods": list(results.compete)}
    ids["seeds"] = list(results.seeds)
    if view.exhibit == "win-rates":
        data = view_boxes(results, view)
        ids |= {"splits": list(data.splits), "classes": list(data.classes)}
        ids["boxes"] = data.boxes["id"].tolist()
    return {
        "exhibit": view.exhibit,
        "title": _title(results, view),
        "origin": results.kind,
        "note": results.note or None,
        "sanity_failures": results.sanity_failures,
        "format": format,
        "ids": ids,
        "parameters": {
            "metric": view.metric,
            "tie_rule": results.manifest.get("tie_rule", view.tie_rule),
            "population": view.population,
            **({"unit": view.unit} if view.exhibit in ("ranks", "pairs") else {}),
            **({"level": view.level} if view.exhibit == "agreement" else {}),
            "splits": list(view.splits) or "all",
            "classes": list(view.classes) or "all",
            "std": "population (ddof 0) over seeds",
            "region": view.region or "first",
            "interval": INTERVALS[view.exhibit],
        },
        **made_from(results),
        "versions": versions(),
        "command": command(results, view, format=format),
    }


def made_from(results: Results) -> dict[str, Any]:
    """Return the digests of opened results, and what made them."""
    manifest = results.manifest
    return {
        "digests": {key: value for key, value in manifest.items() if "digest" in key}
        | {"manifest": digest(manifest)},
        "results_made_by": {
            key: manifest[key] for key in ("command", "source", "versions") if key in manifest
        },
    }


def versions() -> dict[str, str]:
    """Return the versions of what makes an export."""
    return {"xaieval": xaieval.__version__, "python": platform.python_version()} | {
        name: version(name) for name in ("numpy", "pandas", "matplotlib", "duckdb")
    }


def save(
    results: Results, view: View, path: Path, *, format: str | None = None
) -> tuple[Path, Path]:
    """Write a figure or table and its sidecar ``NAME.EXT.json``; return both paths.

    Parameters
    ----------
    format : str, optional
        Default: the extension of ``path``.
    """
    kind = format or path.suffix.removeprefix(".").lower()
    if kind in FIGURE_FORMATS:
        data = export_figure(results, view, format=kind)
    else:
        data = export_table(results, view, format=kind).encode()
    beside = path.with_name(path.name + ".json")
    write_bytes(path, data)
    write_json(beside, sidecar(results, view, format=kind))
    return path, beside
