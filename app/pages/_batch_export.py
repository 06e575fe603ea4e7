"""Download buttons of a page: a file is made when its button is pressed.

They carry no tooltip: it would lie over the next button.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from typing import Any

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


class Buttons:
    """Buttons for one figure (with its sidecar) and one table.

    ``figure``, ``table`` and ``about`` make the bytes of a format when its button is pressed;
    ``name`` the file's name.
    """

    def __init__(
        self,
        stem: str,
        *,
        figure: Callable[[str], bytes],
        table: Callable[[str], bytes],
        about: Callable[[], dict[str, Any]],
        name: Callable[[str], str],
    ) -> None:
        self._stem, self._file_name, self._sidecar = stem, name, about
        figures = [self._button(kind, figure) for kind in FIGURE_FORMATS]
        sidecar_button = self._button("json", self._about, label="About")
        tables = [self._button(kind, table) for kind in TABLE_FORMATS]
        row = {"margin": 0, "sx": {"gap": "4px"}}
        self.figure = pmui.Row(*figures, sidecar_button, **row)
        self.table = pmui.Row(*tables, **row)

    def _button(
        self,
        kind: str,
        make: Callable[[str], bytes],
        *,
        label: str | None = None,
    ) -> pmui.FileDownload:
        def callback() -> io.BytesIO:
            name = self._file_name(kind)
            button.filename = name.replace(".json", "-about.json") if label else name
            return io.BytesIO(make(kind))

        button = pmui.FileDownload(
            callback=callback,
            filename=f"{self._stem}.{kind}",
            label=label or _NAMES[kind],
            variant="text",
            color="default",
            size="small",
            icon="download",
            margin=0,
        )
        return button

    def _about(self, kind: str) -> bytes:
        return json.dumps(self._sidecar(), indent=1, ensure_ascii=False).encode()


class Downloads(Buttons):
    """Buttons of one exhibit of the Batch page."""

    def __init__(
        self, view: Callable[[], View], results: Callable[[], Results], *, exhibit: Exhibit
    ) -> None:
        def asked() -> View:
            return dataclasses.replace(view(), exhibit=exhibit)

        super().__init__(
            exhibit,
            figure=lambda kind: export_figure(results(), asked(), format=kind),
            table=lambda kind: export_table(results(), asked(), format=kind).encode(),
            about=lambda: sidecar(results(), asked(), format="png"),
            name=lambda kind: file_name(results(), asked(), format=kind),
        )
