"""Where everything on the Parts page stands: figures, captions, tables, their buttons."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.export.charted import Charted, charted_figure, charted_sidecar, charted_table
from xaieval.figures.chart_parts import chart_parts
from xaieval.figures.palette import Mode

from ..downloads import Buttons
from . import _parts_html as html
from ._batch_html import STYLE as TABLE_STYLE
from ._parts_content import EXHIBITS, PartsContent
from ._parts_controls import PartsControls

HEADS = {
    "falsification": {
        "label": "point",
        "n": "n",
        "score": "score in the region",
        "rate": "falsification rate",
        "low": "95 % from",
        "high": "to",
    },
    "class-regions": {
        "class": "class",
        "region": "region",
        "n": "n",
        "mean": "mean",
        "area": "area share",
        "lift": "lift",
    },
}
STYLE = (
    TABLE_STYLE
    + """
p.small { margin: 0 0 6px; max-width: 150ch; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
summary { cursor: pointer; color: var(--quiet); font-size: 12px; padding: 4px 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code { font-size: 12px; background: var(--raised); padding: 1px 4px; border-radius: 3px; }
"""
)


class PartsFigures:
    """The filled page: built once, filled from every content.

    Attributes
    ----------
    filled : Column
        What the page shows.
    content : PartsContent or None
        What it was filled from last; the buttons make files of it.
    """

    def __init__(self, panel: PartsControls) -> None:
        # Figures stand in Panel's own columns, as on the Batch page.
        self.content: PartsContent | None = None
        self.answer = _html()
        self.table = _html()
        self.captions = {exhibit: _html() for exhibit in EXHIBITS}
        self.figures = {
            exhibit: pn.pane.Bokeh(sizing_mode="stretch_width", margin=0) for exhibit in EXHIBITS
        }
        self.buttons = {exhibit: self._files(exhibit) for exhibit in EXHIBITS}
        self.no_falsification = _html()
        self.no_falsification.object = html.no_falsification()
        choose = {"gap": "12px 12px", "sizing_mode": "stretch_width", "margin": (4, 0, 4, 0)}
        self._of_falsification = pn.FlexBox(panel.region, panel.falsified, panel.points, **choose)
        self._of_classes = pn.FlexBox(panel.method, panel.cell, **choose)
        self._titles = {exhibit: _html() for exhibit in EXHIBITS}
        self.sections = {
            "regions": self._section("regions"),
            "lift": self._section("lift"),
            "table": self._titled("Region by region", self.buttons["regions"].table, self.table),
            "falsification": self._section("falsification", self._of_falsification),
            "class-regions": self._section("class-regions", self._of_classes),
        }
        self.sections["falsification"].append(self.no_falsification)
        self._unfold = {name: _html() for name in ("falsification", "class-regions")}
        for name, pane in self._unfold.items():
            self.sections[name].append(pane)
        self.filled = pn.Column(
            self.answer,
            *self.sections.values(),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "24px"},
        )

    def _section(self, exhibit: str, *choices: pn.viewable.Viewable) -> pn.Column:
        buttons = self.buttons[exhibit]
        tools = [buttons.figure]
        if exhibit in ("falsification", "class-regions"):
            tools = [buttons.table, buttons.figure]
        return pn.Column(
            pmui.Row(
                self._titles[exhibit], *tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
            ),
            *choices,
            self.captions[exhibit],
            self.figures[exhibit],
            sizing_mode="stretch_width",
            margin=0,
        )

    def _titled(self, title: str, tools: Any, *parts: pn.viewable.Viewable) -> pn.Column:
        head = pmui.Row(
            _html(f"<h2>{title}</h2>"), tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
        )
        return pn.Column(head, *parts, sizing_mode="stretch_width", margin=0)

    def _files(self, exhibit: str) -> Buttons:
        def shown() -> Charted:
            assert self.content is not None
            return self.content.shown[exhibit]

        return Buttons(
            exhibit,
            figure=lambda kind: charted_figure(shown(), format=kind),
            table=lambda kind: charted_table(shown(), format=kind).encode(),
            about=lambda: charted_sidecar(shown(), format="png"),
            name=lambda kind: f"{shown().stem}.{kind}",
        )

    def fill(self, content: PartsContent, mode: Mode) -> None:
        """Show a content."""
        self.content = content
        chart = content.shown["regions"].chart  # the same signs as in the figure above
        series = chart_parts(chart, mode=mode).series if chart else ()
        colours = {one.key: one.colour for one in series}
        marks = {one.key: one.mark for one in series}
        self.answer.object = html.answer(content)
        self.table.object = html.region_rows(content, colours=colours, marks=marks)
        names = {
            "regions": f"{content.regional.label} by region",
            "lift": "Lift over area share",
            "falsification": "Falsification rate against regional score",
            "class-regions": "Class by region",
        }
        for exhibit, name in names.items():
            self._titles[exhibit].object = f"<h2>{escape(name)}</h2>"
            there = exhibit in content.drawn
            self.sections[exhibit].visible = there or exhibit == "falsification"
            self.figures[exhibit].visible = self.captions[exhibit].visible = there
            for row in (self.buttons[exhibit].figure, self.buttons[exhibit].table):
                row.visible = there
            if there:
                chart = content.shown[exhibit].chart
                assert chart is not None
                self.captions[exhibit].object = html.caption(
                    chart.caption, content.notes[exhibit]
                ) + html.chart_legend(chart, mode=mode)
                self.figures[exhibit].object = content.drawn[exhibit]
        for name, pane in self._unfold.items():
            pane.visible = name in content.drawn
            if pane.visible:
                pane.object = html.as_table(names[name], content.shown[name].table, HEADS[name])
        scored = "falsification" in content.drawn
        self._of_falsification.visible = scored
        self.no_falsification.visible = not scored


def _html(text: str = "") -> pn.pane.HTML:
    return pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[STYLE])
