"""Parts: how much of each map lies in each named region, beside what chance would get."""

from __future__ import annotations

import asyncio
import functools
import logging
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.errors import XaievalError
from xaieval.export.charted import (
    Charted,
    charted_figure,
    charted_sidecar,
    charted_table,
)
from xaieval.export.regional import RegionalView
from xaieval.figures.palette import Mode, method_colours, method_marks
from xaieval.study import Results
from xaieval.study.regional import default_regions, regional_metrics

from ..services import Services
from ..state import ANY, AppState
from . import _parts_html as html
from ._batch_export import Buttons
from ._batch_html import STYLE as TABLE_STYLE
from ._parts_content import EXHIBITS, PartsContent, compute_parts
from ._parts_controls import PartsControls, region_sets

log = logging.getLogger("xaieval.app")

ASKING = (
    "split",
    "class_name",
    "part_seed",
    "methods",
    "measure",
    "parts",
    "images",
    "falsified",
    "points",
    "cell",
    "method",
    "region",
)
STYLE = (
    TABLE_STYLE
    + """
p.small { margin: 0 0 6px; max-width: 150ch; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
code { font-size: 12px; background: var(--raised); padding: 1px 4px; border-radius: 3px; }
"""
)


class PartsPage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "parts"
    title = "Parts"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._mode: Mode = "dark" if pn.config.theme == "dark" else "light"
        self._content: PartsContent | None = None
        self._asked = 0
        self._settling = self._stale = False
        self.controls = PartsControls()
        self._build()
        self._connect()
        self._settle()
        state.param.watch(self._on_state, ["study", *ASKING])
        state.param.watch(self._on_page, "page")
        self.controls.study.param.watch(self._recolour, "dark_theme")  # set by the browser
        pn.state.onload(self._refresh)

    # ------------------------------------------------------------ parts

    @property
    def results(self) -> Results:
        """The opened results that the state names, else the first with regions, else the first."""
        opened = self.services.results
        if self.state.study in opened:
            return opened[self.state.study]
        several = (r for r in opened.values() if len(r.regions) > 1 and regional_metrics(r))
        return next(several, next(iter(opened.values())))

    def _build(self) -> None:
        # Figures stand in Panel's own columns, as on the Batch page.
        panel = self.controls
        self._answer = self._html()
        self._table = self._html()
        self._captions = {exhibit: self._html() for exhibit in EXHIBITS}
        self._figures = {
            exhibit: pn.pane.Bokeh(sizing_mode="stretch_width", margin=0) for exhibit in EXHIBITS
        }
        self._buttons = {exhibit: self._files(exhibit) for exhibit in EXHIBITS}
        self._no_falsification = self._html()
        self._no_falsification.object = html.no_falsification()
        choose = {"gap": "12px 12px", "sizing_mode": "stretch_width", "margin": (4, 0, 4, 0)}
        self._of_falsification = pn.FlexBox(panel.region, panel.falsified, panel.points, **choose)
        self._of_classes = pn.FlexBox(panel.method, panel.cell, **choose)
        self._titles = {exhibit: self._html() for exhibit in EXHIBITS}
        self._sections = {
            "regions": self._section("regions"),
            "lift": self._section("lift"),
            "table": self._titled("Region by region", self._buttons["regions"].table, self._table),
            "falsification": self._section("falsification", self._of_falsification),
            "class-regions": self._section("class-regions", self._of_classes),
        }
        self._sections["falsification"].append(self._no_falsification)
        self._filled = pn.Column(
            self._answer,
            *self._sections.values(),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "24px"},
        )
        self._body = pn.Column(self._loading(), sizing_mode="stretch_width", margin=0)
        self._root = pn.Column(
            panel.bar(), self._body, sizing_mode="stretch_width", margin=(0, 24, 32, 24)
        )

    @staticmethod
    def _html(text: str = "") -> pn.pane.HTML:
        return pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[STYLE])

    def _section(self, exhibit: str, *choices: pn.viewable.Viewable) -> pn.Column:
        buttons = self._buttons[exhibit]
        tools = [buttons.figure]
        if exhibit in ("falsification", "class-regions"):
            tools = [buttons.table, buttons.figure]
        return pn.Column(
            pmui.Row(
                self._titles[exhibit], *tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
            ),
            *choices,
            self._captions[exhibit],
            self._figures[exhibit],
            sizing_mode="stretch_width",
            margin=0,
        )

    def _titled(self, title: str, tools: Any, *parts: pn.viewable.Viewable) -> pn.Column:
        head = pmui.Row(
            self._html(f"<h2>{title}</h2>"), tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
        )
        return pn.Column(head, *parts, sizing_mode="stretch_width", margin=0)

    def _files(self, exhibit: str) -> Buttons:
        def shown() -> Charted:
            assert self._content is not None
            return self._content.shown[exhibit]

        return Buttons(
            exhibit,
            figure=lambda kind: charted_figure(shown(), format=kind),
            table=lambda kind: charted_table(shown(), format=kind).encode(),
            about=lambda: charted_sidecar(shown(), format="png"),
            name=lambda kind: f"{shown().stem}.{kind}",
        )

    def _loading(self) -> pn.Column:
        bars = [
            pmui.Skeleton(height=h, sizing_mode="stretch_width", margin=(0, 0, 16, 0))
            for h in (40, 330, 250)
        ]
        text = self._html('<p class="quiet" role="status">Reading the scores of every region …</p>')
        return pn.Column(text, *bars, sizing_mode="stretch_width", margin=0)

    def _message(
        self, title: str, text: str, *actions: pn.viewable.Viewable, name: str
    ) -> pn.Column:
        row = pmui.Row(*actions, margin=(12, 0, 0, 0), sx={"gap": "8px"})
        pane = self._html(html.message(title, text, name=name))
        return pn.Column(pane, row, margin=(48, 0), max_width=760)

    # ------------------------------------------------------------ choices

    def _connect(self) -> None:
        panel = self.controls

        def heed(widget: Any, change: Any) -> None:
            widget.param.watch(lambda event: None if self._settling else change(event.new), "value")

        def put(name: str) -> Any:
            return lambda value: value is not None and self.state.param.update(**{name: value})

        heed(panel.study, lambda key: key and self.state.param.update(study=key))
        for widget, name in (
            (panel.metric, "measure"),
            (panel.split, "split"),
            (panel.class_name, "class_name"),
            (panel.images, "images"),
            (panel.region, "region"),
            (panel.falsified, "falsified"),
            (panel.points, "points"),
            (panel.method, "method"),
            (panel.cell, "cell"),
        ):
            heed(widget, put(name))
        heed(panel.seed, lambda v: self.state.param.update(part_seed=int(v) if v else None))
        heed(panel.methods, self._choose_methods)
        heed(panel.regions, self._choose_regions)
        heed(panel.sets, self._choose_set)

    def _choose_methods(self, chosen: list[str]) -> None:
        keys = tuple(key for key in self.results.method_ids if key in chosen)
        if not keys:
            self._settle()  # at least one stays
        else:
            self.state.methods = () if keys == self.results.method_ids else keys

    def _choose_regions(self, chosen: list[str]) -> None:
        names = tuple(name for name in self.results.regions if name in chosen)
        if not names:
            self._settle()
        else:
            self._put_regions(names)

    def _choose_set(self, name: str | None) -> None:
        if name:
            self._put_regions(region_sets(self.results)[name])

    def _put_regions(self, names: tuple[str, ...]) -> None:
        usual = default_regions(self.results)
        self.state.parts = () if set(names) == set(usual) else names

    def _on_state(self, *_: param.parameterized.Event) -> None:
        if self.state.page != self.id:  # nobody looks: catch up when the page is shown again
            self._stale = True
            return
        self._settle()
        pn.state.execute(self._refresh)

    def _on_page(self, event: param.parameterized.Event) -> None:
        if event.new == self.id and self._stale:
            self._stale = False
            self._on_state()

    def _view(self) -> RegionalView | None:
        """Return what the state asks for, as far as the study has it; None without regions."""
        results, state = self.results, self.state
        scored = regional_metrics(results)
        if len(results.regions) < 2 or not scored:
            return None
        known = results.regions
        asked = RegionalView(
            metric=state.measure if state.measure in scored else "",
            split=state.split if state.split in results.splits else "",
            class_name=state.class_name if state.class_name in results.classes else "",
            seed=state.part_seed if state.part_seed in results.seeds else None,
            regions=tuple(r for r in state.parts if r in known),
            methods=tuple(m for m in state.methods if m in results.method_ids),
            population=state.images or "correct",
            region=state.region if state.region in known else "",
            method=state.method if state.method in results.method_ids else "",
            falsified=state.falsified if state.falsified in results.metric_keys else "",
            cells=state.points == "classes",
            lifted=state.cell == "lift",
        )
        return asked.settled(results)

    def _settle(self) -> None:
        self._settling = True
        try:
            self.controls.offer(self.services, self.results, self._view())
            self.controls.points.value = self.state.points
            self.controls.cell.value = self.state.cell
        finally:
            self._settling = False

    # ------------------------------------------------------------ work

    async def _refresh(self) -> None:
        """Compute the view in a worker thread; a newer request makes an older one's answer void."""
        self._asked += 1
        asked, results = self._asked, self.results
        try:
            view = self._view()
            if view is None:
                self._show_nothing(results)
                return
            if self._content is None:
                self._body[:] = [self._loading()]
            work = functools.partial(compute_parts, results, view, self._mode, last=self._content)
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(self.services.pool, work)
        except (XaievalError, OSError) as error:
            if asked == self._asked:
                self._show_error(str(error))
            return
        except Exception as error:
            log.exception("parts page failed")
            if asked == self._asked:
                self._show_error(f"{type(error).__name__}: {error}")
            return
        if asked == self._asked:
            self.show(content)

    def _show_nothing(self, results: Results) -> None:
        self._content = None
        if results.kind == "published":
            text = "They were re-aggregated from published runs: no score of an image is in them."
        elif len(results.regions) > 1:
            text = "Their scores are not made region by region. Add regional_precision to the "
            text += "study's [score] metrics and run it again."
        else:
            text = "They score one region. Name several in the study's [score] regions, of a "
            text += "dataset whose masks have names, and run it again: "
            text += 'regions = ["eyes", "nose"]. Finished work is kept.'
        others = [
            key
            for key, other in self.services.results.items()
            if len(other.regions) > 1 and regional_metrics(other)
        ]
        actions = []
        for key in others[:3]:
            button = pmui.Button(
                label=f"Show {self.services.results[key].title}", size="small", variant="outlined"
            )
            button.on_click(lambda _, key=key: self.state.param.update(study=key))
            actions.append(button)
        self._body[:] = [self._message("No parts in these results", text, *actions, name="empty")]

    def _show_error(self, text: str) -> None:
        again = pmui.Button(label="Try again", size="small", variant="outlined")
        again.on_click(lambda _: pn.state.execute(self._refresh))
        self._content = None
        self._body[:] = [
            self._message(
                "These scores cannot be shown", text, again, self._clear_button(), name="error"
            )
        ]

    def _clear_button(self) -> pmui.Button:
        button = pmui.Button(label="Clear the filters", size="small", variant="outlined")
        button.on_click(
            lambda _: self.state.param.update(
                class_name=ANY, part_seed=None, methods=(), parts=(), measure="", images="all"
            )
        )
        return button

    def show(self, content: PartsContent) -> None:
        """Put a computed view on the page."""
        if content.empty:
            self._content = None
            text = "A score needs an image that shows the region, classified correctly (or choose "
            text += "all images), and a map that is not zero."
            self._body[:] = [
                self._message("No image takes part here", text, self._clear_button(), name="empty")
            ]
            return
        self._content = content
        results = content.results
        colours = method_colours(results.method_ids, mode=self._mode)
        marks = method_marks(results.method_ids)
        self._answer.object = html.answer(content)
        self._table.object = html.region_rows(content, colours=colours, marks=marks)
        names = {
            "regions": f"{content.regional.label} by region",
            "lift": "Lift over area share",
            "falsification": "Falsification rate against regional score",
            "class-regions": "Class by region",
        }
        for exhibit, name in names.items():
            self._titles[exhibit].object = f"<h2>{escape(name)}</h2>"
            there = exhibit in content.drawn
            self._sections[exhibit].visible = there or exhibit == "falsification"
            self._figures[exhibit].visible = self._captions[exhibit].visible = there
            for row in (self._buttons[exhibit].figure, self._buttons[exhibit].table):
                row.visible = there
            if there:
                chart = content.shown[exhibit].chart
                assert chart is not None
                self._captions[exhibit].object = html.caption(
                    chart.caption, content.notes[exhibit]
                ) + html.chart_legend(chart, mode=self._mode)
                self._figures[exhibit].object = content.drawn[exhibit]
        scored = "falsification" in content.drawn
        self._of_falsification.visible = scored
        self._no_falsification.visible = not scored
        if list(self._body) != [self._filled]:
            self._body[:] = [self._filled]

    def _recolour(self, event: param.parameterized.Event) -> None:
        self._mode = "dark" if event.new else "light"
        pn.state.execute(self._refresh)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root
