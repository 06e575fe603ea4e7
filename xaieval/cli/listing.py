"""list: the tables of methods, metrics, datasets, models and studies."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import click

from xaieval.cli.text import text_table

Row = dict[str, Any]


def _methods() -> list[Row]:
    from xaieval.methods import METHODS

    rows = []
    for spec in METHODS.values():
        row = _row(spec)
        # Functions; where a method has none, the None says nothing to a reader of JSON.
        row = {name: value for name, value in row.items() if name not in ("stream", "backward")}
        rows.append(row | {"defaults": spec.defaults, "cost": spec.cost(spec.defaults)})
    return rows


def _metrics() -> list[Row]:
    from xaieval.metrics import METRICS

    return [_row(spec) for spec in METRICS.values()]


def _datasets() -> list[Row]:
    from xaieval.datasets import DATASETS

    return [_row(spec) for spec in DATASETS.values()]


def _models() -> list[Row]:
    from xaieval.models import MODELS

    return [_row(spec) for spec in MODELS.values()]


def _studies() -> list[Row]:
    from xaieval.study import builtin_studies, load_study

    studies = [load_study(name) for name in builtin_studies()]
    return [
        {
            "id": study.id,
            "title": study.title,
            "description": " ".join(study.description.split()),
            "dataset": study.data.name,
            "model": study.model.arch,
            "seeds": list(study.train.seeds),
            "methods": _plain(study.explain.methods),
            "metrics": _plain(study.score.metrics),
            "file": str(builtin_studies()[study.id]),
        }
        for study in studies
    ]


TABLES: dict[str, tuple[Callable[[], list[Row]], tuple[str, ...]]] = {
    "methods": (_methods, ("id", "label", "family", "summary")),
    "metrics": (_metrics, ("id", "label", "summary")),
    "datasets": (_datasets, ("id", "label", "licence", "summary")),
    "models": (_models, ("id", "label", "parameters", "summary")),
    "studies": (_studies, ("id", "title", "dataset", "model")),
}
"""Each table with the columns that fit a terminal; JSON has them all."""


def _row(spec: Any) -> Row:
    return {
        field.name: _plain(getattr(spec, field.name))
        for field in dataclasses.fields(spec)
        if not callable(getattr(spec, field.name))
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON types; what has no such form is left out."""
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity; an absent bound bounds nothing
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value):
        return _row(value)
    return None


@click.command("list")
@click.argument("table", type=click.Choice(list(TABLES)))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
def list_tables(table: str, kind: str) -> None:
    """Print what there is: methods, metrics, datasets, models or studies."""
    make, columns = TABLES[table]
    rows = make()
    if kind == "json":
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False))
        return
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    click.echo(text_table(list(columns), cells))
