"""Train and run the seeds that a study still lacks, from the page."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui

from xaieval.study import Results

from ..services import Services


class RunPanel(pn.viewable.Viewer):
    def __init__(
        self, services: Services, results: Callable[[], Results], reopened: Callable[[], None]
    ) -> None:
        super().__init__()
        self._root = pmui.Column(margin=0)

    def offer(self) -> None:
        pass

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root
