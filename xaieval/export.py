"""Figures and tables of a results folder as files, each with a JSON sidecar that explains it.

A figure is PNG, SVG or PDF, a table CSV, LaTeX or JSON. The sidecar holds ids, parameters,
versions, digests and the command that makes the same file again:

    python -m xaieval.export RESULTS --exhibit win-rates --format pdf --out figure.pdf
"""

from __future__ import annotations

import io
import json
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import click
import matplotlib as mpl
import numpy as np
import pandas as pd

import xaieval
from xaieval.boxes import Boxes, boxes
from xaieval.curves import QUANTITIES, curve_table
from xaieval.digest import digest
from xaieval.errors import ResultsError, XaievalError, unknown
from xaieval.files import write_bytes, write_json
from xaieval.latex import latex_table
from xaieval.printed import print_curves, print_win_rates
from xaieval.study import Results

TieRule = Literal["split", "first"]
Population = Literal["correct", "all"]
Exhibit = Literal["win-rates", "accuracy", "curves"]
EXHIBITS: dict[str, str] = {
    "win-rates": "win rates over seeds",
    "accuracy": "accuracy over seeds",
    "curves": "training curves over seeds",
}
FIGURE_FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
TABLE_FORMATS = {"csv": "text/csv", "tex": "text/x-tex", "json": "application/json"}


@dataclass(frozen=True)
class View:
    """What is exported: the exhibit and how its numbers are made.

    Attributes
    ----------
    exhibit : {"win-rates", "accuracy", "curves"}
    metric : str
        The score that decides who wins.
    tie_rule : {"split", "first"}
        Equal scores share the win, or the first method takes it.
    population : {"correct", "all"}
        Correctly classified images only, or all with a mask.
    splits, classes : tuple of str
        What to keep; empty keeps all.
    """

    exhibit: Exhibit = "win-rates"
    metric: str = "topk_overlap"
    tie_rule: TieRule = "split"
    population: Population = "correct"
    splits: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.exhibit not in EXHIBITS:
            raise unknown("exhibit", self.exhibit, EXHIBITS)


def method_labels(results: Results) -> dict[str, str]:
    """Return the name of each method key as people read it; options stay visible."""
    from xaieval.methods import METHODS

    labels = {}
    for key in results.method_ids:
        name, bracket, options = key.partition("[")
        label = METHODS[name].label if name in METHODS else name
        labels[key] = f"{label} [{options}" if bracket else label
    return labels


def view_boxes(results: Results, view: View) -> Boxes:
    """Return the tables of the boxplot of a view."""
    rates = results.win_rates(view.metric, tie_rule=view.tie_rule, population=view.population)
    return boxes(
        rates,
        splits=_kept(rates["split"], view.splits),
        classes=_kept(rates["class"], view.classes),
        methods=[key for key in results.compete if key in set(rates["method_id"])],
    )


def _kept(column: pd.Series[str], wanted: Sequence[str]) -> list[str] | None:
    """Return the wanted names in the order they were asked for, or None for all."""
    known = list(dict.fromkeys(column))
    for name in wanted:
        if name not in known:
            raise unknown(str(column.name), name, known)
    return list(wanted) or None


def exhibit_table(results: Results, view: View) -> pd.DataFrame:
    """Return the long table behind an exhibit, full precision, one row per group.

    Published results carry the column ``note`` with the label that says so.
    """
    if view.exhibit == "win-rates":
        table = view_boxes(results, view).boxes.drop(columns=["id"])
        names = method_labels(results)
        table.insert(3, "method", [names.get(m, m) for m in table["method_id"]])
        table = table.rename(columns={"low": "wilson_low", "high": "wilson_high"})
    elif view.exhibit == "accuracy":
        table = accuracy_table(results.accuracy())
    else:
        history = results.history()
        parts = [curve_table(history, q).assign(quantity=q) for q in QUANTITIES]
        table = pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)
    if view.splits and "split" in table:
        table = table[table["split"].isin(view.splits)].reset_index(drop=True)
    return table.assign(note=results.note) if results.note else table


def accuracy_table(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return mean and std (ddof 0) over seeds of each accuracy, per split, train first.

    >>> rows = [(1, "test", 0.5, 0.6, 10), (2, "test", 0.7, 0.6, 10)]
    >>> frame = pd.DataFrame(rows, columns=["seed", "split", "balanced_accuracy", "accuracy", "n"])
    >>> table = accuracy_table(frame)
    >>> table.loc[0, ["quantity", "mean", "std"]].tolist()
    ['balanced_accuracy', 0.6, 0.1]
    """
    rows = []
    splits = sorted(accuracy["split"].unique(), key=lambda s: (s != "train", s))
    for split in splits:
        part = accuracy[accuracy["split"] == split]
        for quantity in ("balanced_accuracy", "accuracy"):
            values = part[quantity].dropna() if quantity in part else pd.Series(dtype=float)
            if len(values):
                rows.append(
                    {"split": split, "quantity": quantity, "mean": round(values.mean(), 12)}
                    | {"std": round(values.std(ddof=0), 12), "median": values.median()}
                    | {"min": values.min(), "max": values.max(), "n_seeds": len(values)}
                    | {"n_low": part["n"].min(), "n_high": part["n"].max()}
                )
    columns = ["split", "quantity", "mean", "std", "median", "min", "max", "n_seeds"]
    return pd.DataFrame(rows, columns=[*columns, "n_low", "n_high"])


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
        )
    elif view.exhibit == "curves":
        splits = view.splits or ("train", "test")
        figure = print_curves(results.history(), splits=splits, title=title, note=results.note)
    else:
        raise ResultsError(
            "this exhibit is a table only", where=view.exhibit, fix="choose csv, tex or json"
        )
    source = f"{title}. {command(results, view, format=format)}"
    metadata: dict[str, Any] = {
        "png": {"Description": source, "Software": f"xaieval {xaieval.__version__}"},
        "svg": {"Description": source, "Date": None, "Creator": f"xaieval {xaieval.__version__}"},
        "pdf": {"Subject": source, "CreationDate": None},
    }[format]
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "xaieval", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(stream, format=format, dpi=300, metadata=metadata)
    return stream.getvalue()


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
            {"about": about, "rows": _records(table)}, indent=1, ensure_ascii=False, allow_nan=False
        )
        return text + "\n"
    caption = f"{_title(results, view)}, mean ± std"
    if view.exhibit == "win-rates":
        ties = results.manifest.get("tie_rule", view.tie_rule)
        caption += f"; by {view.metric}, ties: {ties}, images: {view.population}"
    if results.note:
        caption += f" ({results.note})"
    return latex_table(table, exhibit=view.exhibit, caption=caption)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
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
    for name in view.splits:
        words += ["--split", name]
    for name in view.classes if view.exhibit == "win-rates" else ():
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
    manifest = results.manifest
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
        "format": format,
        "ids": ids,
        "parameters": {
            "metric": view.metric,
            "tie_rule": results.manifest.get("tie_rule", view.tie_rule),
            "population": view.population,
            "splits": list(view.splits) or "all",
            "classes": list(view.classes) or "all",
            "std": "population (ddof 0) over seeds",
            "interval": "Wilson, 95 %",
        },
        "digests": {key: value for key, value in manifest.items() if "digest" in key}
        | {"manifest": digest(manifest)},
        "results_made_by": {
            key: manifest[key] for key in ("command", "source", "versions") if key in manifest
        },
        "versions": {"xaieval": xaieval.__version__, "python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "pandas", "matplotlib", "duckdb")},
        "command": command(results, view, format=format),
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


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--exhibit", type=click.Choice(list(EXHIBITS)), default="win-rates")
@click.option("--format", "kind", type=click.Choice([*FIGURE_FORMATS, *TABLE_FORMATS]))
@click.option("--metric", default="topk_overlap", show_default=True)
@click.option("--tie-rule", type=click.Choice(["split", "first"]), default="split")
@click.option("--population", type=click.Choice(["correct", "all"]), default="correct")
@click.option("--split", "splits", multiple=True)
@click.option("--class", "classes", multiple=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    results: Path,
    exhibit: Exhibit,
    kind: str | None,
    metric: str,
    tie_rule: TieRule,
    population: Population,
    splits: tuple[str, ...],
    classes: tuple[str, ...],
    out: Path,
) -> None:
    """Write a figure or table of RESULTS with its sidecar."""
    try:
        view = View(exhibit, metric, tie_rule, population, splits, classes)
        for path in save(Results(results), view, out, format=kind):
            click.echo(path)
    except XaievalError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
