"""Files of the Triage page: rows as CSV; what each button makes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from xaieval.errors import unknown
from xaieval.journal import Marks
from xaieval.triage import frame

from ._triage_view import Content

GROUPS = [
    {
        "title": "All rows of the queue",
        "items": [{"kind": "csv", "label": "CSV", "name": "Rows as CSV"}],
    },
]
"""What the menu offers."""


def make_file(
    content: Content, kind: str, row: int | None, marks: Mapping[str, Marks], dark: bool
) -> dict[str, Any]:
    """Return {name, mime, data} of a file; for a worker thread."""
    if kind != "csv":
        raise unknown("file", kind, ["csv"])
    sheet = frame(content.table, content.rows, marks=marks, thresholds=content.asked.thresholds)
    text = sheet.to_csv(index=False, lineterminator="\n")
    return _file(f"{content.table.study}-triage.csv", "text/csv", text.encode())


def _file(name: str, mime: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "mime": mime, "data": base64.b64encode(data).decode()}
