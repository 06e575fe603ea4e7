"""Compare's second half: alignment against accuracy, a point per model of every opened study."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from xaieval.errors import XaievalError
from xaieval.export.charted import (
    Charted,
    charted,
    charted_figure,
    charted_sidecar,
    charted_table,
)
from xaieval.export.regional import RegionalView
from xaieval.figures.palette import Mode
from xaieval.study import Results
from xaieval.study.regional import regional_metrics

from ..downloads import Buttons
from ..services import Services
from ._batch_html import STYLE as TABLE_STYLE
from ._batch_html import message
from ._parts_content import draw
from ._parts_html import caption, chart_legend, number, scroll

log = logging.getLogger("xaieval.app")

STYLE = (
    TABLE_STYLE
    + """
p.small { margin: 0 0 6px; max-width: 150ch; }
abbr { text-decoration: none; color: var(--accent); }
"""
)


@dataclass(frozen=True)
class Ask:
    """What the figure shows."""

    metric: str
    method: str
    region: str
    population: Any


@dataclass(frozen=True, eq=False)
class Aligned:
    """The figure of one ask, and the exhibit behind it."""

    shown: Charted
    figure: Any
    rows: Any


def compute_aligned(opened: Mapping[str, Results], ask: Ask, mode: Mode) -> Aligned | None:
    """Return the figure; None where no opened study has these scores."""
    able = {
        key: results
        for key, results in opened.items()
        if results.kind == "measured"
        and ask.metric in regional_metrics(results)
        and ask.method in results.method_ids
        and "test" in results.splits
        and ask.region in ("", *results.regions)
    }
    if not able:
        return None
    view = RegionalView(
        exhibit="alignment",
        metric=ask.metric,
        method=ask.method,
        region=ask.region,
        population=ask.population,
    )
    shown = charted(able, view)
    if shown.chart is None or shown.table.empty:
        return None
    figure = draw(shown.chart, mode)
    rows = figure.select_one({"name": "rows"})
    return Aligned(shown, figure, rows.data_source)


class AlignmentPanel(pn.viewable.Viewer):
    """The section; ``on_tap`` hears the id of the model whose point was tapped."""

    def __init__(
        self, services: Services, choose: pn.viewable.Viewable, on_tap: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._services, self._on_tap = services, on_tap
        self._aligned: Aligned | None = None
        self._marked: tuple[str, ...] = ()
        self._marking = False
        self._asked = 0
        self._buttons = Buttons(
            "alignment",
            figure=lambda kind: charted_figure(self._shown(), format=kind),
            table=lambda kind: charted_table(self._shown(), format=kind).encode(),
            about=lambda: charted_sidecar(self._shown(), format="png"),
            name=lambda kind: f"{self._shown().stem}.{kind}",
        )
        self._title = self._html("<h2>Alignment against accuracy</h2>")
        self._caption = self._html()
        self._figure = pn.pane.Bokeh(sizing_mode="stretch_width", margin=0)
        self._table = self._html()
        self._tools = pmui.Row(self._buttons.table, self._buttons.figure, margin=0)
        self._choose = pn.FlexBox(choose, sizing_mode="stretch_width", margin=(4, 0))
        self._filled = pn.Column(
            self._choose,
            self._caption,
            self._figure,
            self._table,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._empty = self._html('<p class="quiet" role="status">Reading the scores …</p>')
        self._body = pn.Column(self._empty, sizing_mode="stretch_width", margin=0)
        self._root = pn.Column(
            pmui.Row(self._title, self._tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)),
            self._body,
            sizing_mode="stretch_width",
            margin=(16, 24, 32, 8),
        )
        self._tools.visible = False

    @staticmethod
    def _html(text: str = "") -> pn.pane.HTML:
        return pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[STYLE])

    def _shown(self) -> Charted:
        assert self._aligned is not None
        return self._aligned.shown

    async def refresh(self, ask: Ask, mode: Mode) -> None:
        """Show an ask; the newest call wins."""
        self._asked += 1
        asked = self._asked
        opened = dict(self._services.results)
        work = functools.partial(compute_aligned, opened, ask, mode)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._services.pool, work)
        except (XaievalError, OSError) as error:
            if asked == self._asked:
                self._say("This figure cannot be shown", str(error), name="error")
            return
        except Exception as error:
            log.exception("alignment failed")
            if asked == self._asked:
                self._say("This figure cannot be shown", f"{error}", name="error")
            return
        if asked != self._asked:
            return
        if found is None:
            self._say("Nothing to set against accuracy", _why(ask), name="empty")
            return
        self._show(found, mode)

    def _say(self, title: str, text: str, *, name: str) -> None:
        self._aligned = None
        self._empty.object = message(title, text, name=name)
        self._tools.visible = False
        self._body[:] = [self._empty]

    def _show(self, found: Aligned, mode: Mode) -> None:
        self._aligned = found
        chart = found.shown.chart
        assert chart is not None
        self._caption.object = caption(
            chart.caption, "Tap a point to put its model beside the others, or to take it away."
        ) + chart_legend(chart, mode=mode)
        self._table.object = model_table(found.shown.table, self._marked)
        self._mark()
        found.rows.selected.on_change("indices", self._tapped)
        self._figure.object = found.figure
        self._tools.visible = True
        if list(self._body) != [self._filled]:
            self._body[:] = [self._filled]

    def mark(self, models: Sequence[str]) -> None:
        """Bring out the points of these models."""
        self._marked = tuple(models)
        if self._aligned is not None:
            self._table.object = model_table(self._aligned.shown.table, self._marked)
            self._mark()

    def _mark(self) -> None:
        """Select the marked points; in a served page with its lock, which others may hold now."""
        found = self._aligned
        if found is None:
            return
        ids = list(found.rows.data["id"])

        def put() -> None:
            places = [i for i, name in enumerate(ids) if name in self._marked]
            self._marking = True
            try:
                if list(found.rows.selected.indices) != places:
                    found.rows.selected.indices = places
            finally:
                self._marking = False

        served = found.rows.document
        if served is None:
            put()
        else:
            served.add_next_tick_callback(put)

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        if self._marking or self._aligned is None:
            return
        ids = list(self._aligned.rows.data["id"])
        hit = [str(ids[i]) for i in new if i < len(ids)]
        self._mark()
        if len(hit) == 1:
            self._on_tap(hit[0])

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _why(ask: Ask) -> str:
    where = f" in {ask.region}" if ask.region else ""
    return (
        f"No opened study has the score {ask.metric} of {ask.method}{where} on test images. Choose "
        "another score, method or region above, or open more studies: xaieval serve A B."
    )


def model_table(table: pd.DataFrame, marked: Sequence[str] = ()) -> str:
    """Return the models as a table, the best aligned first; those side by side carry a sign."""
    rows = []
    for _, row in table.sort_values("value", ascending=False, kind="stable").iterrows():
        here = row["id"] in marked
        sign = '<abbr title="shown above" aria-label="shown above">●</abbr>' if here else ""
        interval = "–"
        if pd.notna(row["low"]):
            interval = f"{number(row['low'])} to {number(row['high'])}"
        area = "–" if pd.isna(row["area"]) else f"{100 * row['area']:.1f} %"
        rows.append(
            f'<tr data-model="{escape(row["id"])}"><td>{sign}</td>'
            f'<th scope="row">{escape(row["study"])}</th><td class="num">{row["seed"]}</td>'
            f'<td class="num">{number(row["accuracy"])}</td>'
            f'<td class="num"><b>{number(row["value"])}</b></td>'
            f'<td class="num std">{interval}</td><td class="num">{area}</td>'
            f'<td class="num">{row["n"]}</td></tr>'
        )
    heads = ("", "study", "seed", "accuracy", "alignment", "95 %", "area share", "n")
    first = "".join(
        f'<th scope="col"{"" if head in ("", "study") else _NUM}>{head}</th>' for head in heads
    )
    return (
        f"{scroll('Models by alignment')}<table><caption>The same models as a table, the best "
        "aligned first; "
        "● stands above. Accuracy is balanced; the interval is over images.</caption>"
        f"<thead><tr>{first}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


_NUM = ' class="num"'
