"""Explore's files: the view on screen as a sheet, drawn from the same values."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui

from xaieval.errors import ConfigError
from xaieval.export import SHEET_FORMATS, make_sheet, sheet_bytes, sheet_name, sheet_sidecar
from xaieval.figures.sheet import ImageSheet
from xaieval.story.plates import explore_options
from xaieval.story.views import Link
from xaieval.study import Results

from ..downloads import Buttons
from ..services import Services
from ..state import AppState, write_link


class ExploreFiles:
    """Download buttons of the view on screen; ``row`` is what the page shows."""

    def __init__(self, state: AppState, services: Services) -> None:
        self._state, self._services = state, services
        self._last: tuple[str, ImageSheet] | None = None
        self._buttons = Buttons(
            "sheet",
            figure=self._figure,
            about=self._about,
            name=lambda kind: sheet_name(self._sheet(), kind),  # type: ignore[arg-type]
            figures=SHEET_FORMATS,
            on_error=state.notify,
        )
        self.row = pmui.Row(
            *self._buttons.figure, margin=0, sx={"flexWrap": "wrap", "columnGap": "0px"}
        )

    def _results(self) -> Results:
        found = self._services.results.get(self._state.study)
        if found is None:
            raise ConfigError("this study is not opened", got=self._state.study)
        return found

    def _sheet(self) -> ImageSheet:
        """Return the sheet of the view; one that was made last is taken again."""
        link = write_link(self._state)
        if self._last is not None and self._last[0] == link:
            return self._last[1]
        results, state = self._results(), self._state
        catalogue = self._services.catalogue(state.study)
        item = None if catalogue is None else catalogue.find(state.image)
        if catalogue is None or item is None:
            raise ConfigError(
                "only images of the study's dataset can be saved as a sheet",
                fix="choose one from the strip",
            )
        sheet = make_sheet(
            results,
            item.sample_id,
            seed=state.seed,
            region=state.region or catalogue.default_region or None,
            methods=state.methods or catalogue.first_methods,
            options=explore_options(Link(link)),
            dataset=catalogue.dataset,
            backend=self._services.backend,
        )
        self._last = (link, sheet)
        return sheet

    def _figure(self, kind: str) -> bytes:
        return sheet_bytes(self._sheet(), format=kind)  # type: ignore[arg-type]

    def _about(self) -> dict[str, Any]:
        return sheet_sidecar(self._results(), self._sheet())
