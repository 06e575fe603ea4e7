"""Files of the Triage page: rows, figures, and what explains them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from xaieval.errors import unknown
from xaieval.figures.chart_print import print_chart
from xaieval.journal import Marks
from xaieval.triage import Queue, export_csv, export_fiftyone, sidecar
from xaieval.triage.charts import histogram_chart, scatter_chart
from xaieval.triage.exporting import file_name

from ._triage_view import Content
from ._triage_words import chips

MIMES = {
    "csv": "text/csv",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
}
_TABLES = (("csv", "CSV"), ("fiftyone", "FiftyOne"), ("about", "About"))
_FIGURES = (("png", "PNG"), ("svg", "SVG"), ("pdf", "PDF"))


def _group(what: str, title: str, kinds: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    items = [
        {"kind": f"{what}-{kind}", "label": label, "name": f"{title} as {label}"}
        for kind, label in kinds
    ]
    return {"title": title, "items": items}


GROUPS = [
    _group("queue", "All rows of the queue", _TABLES),
    _group("row", "The chosen row", _TABLES[:2]),
    _group("scatter", "Confidence and score", _FIGURES),
    _group("score", "Spread of the score", _FIGURES),
    _group("surprise", "Spread of surprise", _FIGURES),
]
"""What the menu offers."""


def make_file(
    content: Content, kind: str, row: int | None, marks: Mapping[str, Marks]
) -> dict[str, Any]:
    """Return {name, mime, data} of a file, the data in base64; for a worker thread.

    Raises
    ------
    XaievalError
        When it cannot be made.
    """
    what, _, form = kind.partition("-")
    known = [item["kind"] for group in GROUPS for item in group["items"]]
    if kind not in known:
        raise unknown("file", kind, known)
    if what in ("queue", "row"):
        return _table(content, what, form, row, marks)
    said = ", ".join(chip["label"] for chip in chips(content.asked.filters, content.labels))
    if what == "scatter":
        chart = scatter_chart(content.table, content.rows, caption=said)
    else:
        chart = histogram_chart(content.table, content.rows, measure=what, caption=said)
    data = print_chart(chart, format=form)
    return _file(f"{content.table.study}-{chart.id}.{form}", MIMES[form], data)


def _table(
    content: Content, what: str, form: str, row: int | None, marks: Mapping[str, Marks]
) -> dict[str, Any]:
    table, asked = content.table, content.asked
    rows = content.rows
    if what == "row":
        rows = np.array([] if row is None else [row], np.int64)
    queue = Queue(filters=asked.filters, order=asked.order, thresholds=asked.thresholds)
    name = file_name(table, format=form)
    if what == "row":
        name = name.replace("-triage", "-triage-row")
    if form == "about":
        about = sidecar(table, rows, queue=queue, format="csv")
        text = json.dumps(about, indent=1, ensure_ascii=False)
        return _file(name.replace(".json", "-about.json"), MIMES["json"], text.encode())
    if form == "csv":
        return _file(name, MIMES["csv"], export_csv(table, rows, marks, queue=queue))
    data = export_fiftyone(table, rows, marks, queue=queue, masks=False)
    return _file(name.replace(".json", "-fiftyone.json"), MIMES["json"], data)


def _file(name: str, mime: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "mime": mime, "data": base64.b64encode(data).decode()}
