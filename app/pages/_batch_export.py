"""Download buttons of the Batch page: a file is made when its button is pressed.

They carry no tooltip: it would lie over the next button.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable

import panel_material_ui as pmui

from xaieval.export import (
    FIGURE_FORMATS,
    TABLE_FORMATS,
    Exhibit,
    View,
    export_figure,
    export_table,
    file_name,
    sidecar,
)
from xaieval.study import Results

_NAMES = {"png": "PNG", "svg": "SVG", "pdf": "PDF", "csv": "CSV", "tex": "LaTeX", "json": "JSON"}


class Downloads:
    """Buttons for the figure (with its sidecar) and the table of one exhibit."""

    def __init__(
        self, view: Callable[[], View], results: Callable[[], Results], *, exhibit: Exhibit
    ) -> None:
        self._view, self._results, self._exhibit = view, results, exhibit
        figures = [self._button(kind, self._figure) for kind in FIGURE_FORMATS]
        about = self._button("json", self._about, label="About")
        tables = [self._button(kind, self._table) for kind in TABLE_FORMATS]
        row = {"margin": 0, "sx": {"gap": "4px"}}
        self.figure = pmui.Row(*figures, about, **row)
        self.table = pmui.Row(*tables, **row)

    def _button(
        self,
        kind: str,
        make: Callable[[str], bytes],
        *,
        label: str | None = None,
    ) -> pmui.FileDownload:
        def callback() -> io.BytesIO:
            view, results = self._asked(), self._results()
            stem = file_name(results, view, format=kind)
            button.filename = stem.replace(".json", "-about.json") if label else stem
            return io.BytesIO(make(kind))

        button = pmui.FileDownload(
            callback=callback,
            filename=f"{self._exhibit}.{kind}",
            label=label or _NAMES[kind],
            variant="text",
            color="default",
            size="small",
            icon="download",
            margin=0,
        )
        return button

    def _asked(self) -> View:
        return dataclasses.replace(self._view(), exhibit=self._exhibit)

    def _figure(self, kind: str) -> bytes:
        return export_figure(self._results(), self._asked(), format=kind)

    def _table(self, kind: str) -> bytes:
        return export_table(self._results(), self._asked(), format=kind).encode()

    def _about(self, kind: str) -> bytes:
        about = sidecar(self._results(), self._asked(), format="png")
        return json.dumps(about, indent=1, ensure_ascii=False).encode()
