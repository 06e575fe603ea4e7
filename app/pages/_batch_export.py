"""Download buttons of the Batch page's exhibits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from xaieval.export import Exhibit, View, export_figure, export_table, file_name, sidecar
from xaieval.study import Results

from ..downloads import Buttons


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
