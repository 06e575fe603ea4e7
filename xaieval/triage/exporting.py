"""A triage queue as a CSV file, and the sidecar that says how it came about."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.export.files import made_from, versions
from xaieval.files import write_bytes, write_json
from xaieval.journal import Marks
from xaieval.stats.patterns import Thresholds
from xaieval.triage.columns import USUAL
from xaieval.triage.filters import EVERY_ROW, NO_TAGS, Filters
from xaieval.triage.links import explore_link
from xaieval.triage.sheet import COLUMNS, frame
from xaieval.triage.table import TriageTable

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Queue:
    """How some rows were chosen and put in order; written into sidecars."""

    filters: Filters = EVERY_ROW
    order: str = "surprise"
    thresholds: Thresholds = USUAL
    top: int | None = None


ALL = Queue()


def export_csv(
    table: TriageTable,
    rows: Indices,
    marks: Mapping[str, Marks] = NO_TAGS,
    path: str | Path | None = None,
    *,
    queue: Queue = ALL,
) -> bytes:
    """Return some rows as CSV: all ``COLUMNS``, every method's score, and a link to Explore.

    Numbers are in full precision; what is undefined is empty.

    Parameters
    ----------
    marks : mapping sample id -> Marks
    path : Path, optional
        Write the file there, and its sidecar ``NAME.json`` beside it.
    queue : Queue
        How the rows were chosen; for the sidecar, and for patterns and winners.

    Raises
    ------
    ResultsError
        When the folder cannot be written.
    """
    sheet = frame(
        table,
        rows,
        marks=marks,
        thresholds=queue.thresholds,
        tie_rule=queue.filters.tie_rule,
        population=queue.filters.population,
    )
    sheet["link"] = [explore_link(table, int(row)) for row in rows]
    data = sheet.to_csv(index=False, lineterminator="\n").encode()
    if path is not None:
        path = Path(path)
        write_bytes(path, data)
        about = sidecar(table, rows, queue=queue, format="csv", name=path.name)
        write_json(path.with_name(path.name + ".json"), about)
    return data


def sidecar(
    table: TriageTable, rows: Indices, *, queue: Queue = ALL, format: str = "csv", name: str = ""
) -> dict[str, Any]:
    """Return what explains an export: ids, parameters, versions, digests, command.

    Nothing in it depends on the hour or the machine's name; tags change, so the journal's last
    word is the file's own.
    """
    results = table.results
    file = name or file_name(table, format=format)
    samples = np.unique(table.rows.sample[rows])
    return {
        "exhibit": "triage",
        "title": f"{results.study.title}: triage queue",
        "origin": results.kind,
        "note": results.note or None,
        "format": format,
        "ids": {
            "study": table.study,
            "methods": list(table.methods),
            "compete": list(table.compete),
            "seeds": list(table.seeds),
            "rows": len(rows),
            "images": len(samples),
        },
        "parameters": {
            "metric": table.metric.key,
            "region": table.region,
            "method": table.method or "mean over the competing methods",
            "pattern_method": table.pattern_method if table.pattern_metrics else None,
            "order": queue.order,
            "top": queue.top,
            "thresholds": dataclasses.asdict(queue.thresholds),
            "filters": {k: _plain(v) for k, v in dataclasses.asdict(queue.filters).items()},
        },
        "columns": {column.id: column.summary for column in COLUMNS.values()}
        | {"score:METHOD": "the method's score", "link": "query string that opens it in Explore"},
        **made_from(results),
        "versions": versions(),
        "command": command(table, queue=queue, format=format, file=file),
    }


def file_name(table: TriageTable, *, format: str) -> str:
    """Return a plain file name for an export."""
    return f"{table.study}-triage.{'csv' if format == 'csv' else 'json'}"


def command(table: TriageTable, *, queue: Queue, format: str, file: str) -> str:
    """Return the command that makes the same file from the same results and tags."""
    filters = queue.filters
    words = ["xaieval", "triage", str(table.results.path), "--metric", table.metric.key]
    for option, value in (
        ("--region", table.region if table.region in table.results.regions else None),
        ("--method", table.method),
        ("--order", queue.order),
        ("--split", filters.split),
        ("--class", filters.class_name),
        ("--seed", filters.seed),
        ("--answers", None if filters.answers == "all" else filters.answers),
        ("--confidence", _range(filters.confidence)),
        ("--score", _range(filters.score)),
        ("--pattern", filters.pattern),
        ("--outcome", filters.outcome),
        ("--population", filters.population if filters.population != "correct" else None),
        ("--tie-rule", filters.tie_rule if filters.tie_rule != "split" else None),
        ("--tag", filters.tag),
        ("--marked", None if filters.marked == "all" else filters.marked),
        ("--text", filters.text or None),
        ("--thresholds", _thresholds(queue.thresholds)),
        ("--top", queue.top if queue.top is not None else "all"),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join([*words, "--csv" if format == "csv" else "--fiftyone", file])


def _plain(value: Any) -> Any:
    """Return a filter's value as JSON has it; null for the open end of a range."""
    if isinstance(value, tuple):
        return [float(end) if math.isfinite(end) else None for end in value]
    return value


def _range(span: tuple[float, float] | None) -> str | None:
    return None if span is None else f"{float(span[0])!r}:{float(span[1])!r}"


def _thresholds(asked: Thresholds) -> str | None:
    if asked == USUAL:
        return None
    return ",".join(repr(float(line)) for line in (asked.high, asked.covered, asked.low))
