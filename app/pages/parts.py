"""Parts: how much of each map lies in each named region, beside what chance would get."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.export.regional import RegionalView
from xaieval.figures.palette import Mode
from xaieval.study import Results
from xaieval.study.regional import default_regions, regional_metrics

from ..services import Services
from ..state import ANY, AppState
from ._computed import AS_HIGH_AS_NEEDED, Computed, action, loading, said
from ._parts_content import PartsContent, compute_parts
from ._parts_controls import PartsControls, region_sets
from ._parts_figures import PartsFigures

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


class PartsPage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "parts"
    title = "Parts"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._mode: Mode = "dark" if pn.config.theme == "dark" else "light"
        self._content: PartsContent | None = None
        self._settling = False
        self.controls = PartsControls()
        self.figures = PartsFigures(self.controls)
        self._body = pn.Column(_reading(), sizing_mode="stretch_width", margin=0)
        self._root = pn.Column(
            self.controls.bar(),
            self._body,
            sizing_mode="stretch_width",
            margin=(0, 24, 32, 24),
            styles=AS_HIGH_AS_NEEDED,
        )
        self._connect()
        self._settle()
        self._computed = Computed(
            state,
            services.pool,
            page=self.id,
            fields=["study", *ASKING],
            settle=self._settle,
            plan=self._plan,
            show=self.show,
            fail=self._show_error,
        )
        self._refresh = self._computed.refresh
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

    def _plan(self) -> Callable[[], PartsContent] | None:
        """Return the work of the view asked for; without regions say so and return None."""
        results, view = self.results, self._view()
        if view is None:
            self._show_nothing(results)
            return None
        if self._content is None:
            self._body[:] = [_reading()]
        return functools.partial(compute_parts, results, view, self._mode, last=self._content)

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
            title = f"Show {self.services.results[key].title}"
            actions.append(action(title, functools.partial(setattr, self.state, "study", key)))
        self._say("No parts in these results", text, *actions, name="empty")

    def _show_error(self, text: str) -> None:
        again = action("Try again", self._computed.ask)
        self._content = None
        self._say("These scores cannot be shown", text, again, self._clear_button(), name="error")

    def _clear_button(self) -> pmui.Button:
        usual = {"class_name": ANY, "part_seed": None, "methods": (), "parts": (), "measure": ""}
        return action("Clear the filters", lambda: self.state.param.update(**usual, images="all"))

    def show(self, content: PartsContent) -> None:
        """Put a computed view on the page."""
        if content.empty:
            self._content = None
            text = "A score needs an image that shows the region, classified correctly (or choose "
            text += "all images), and a map that is not zero."
            self._say("No image takes part here", text, self._clear_button(), name="empty")
            return
        self._content = content
        self.figures.fill(content, self._mode)
        if list(self._body) != [self.figures.filled]:
            self._body[:] = [self.figures.filled]

    def _say(self, title: str, text: str, *actions: pn.viewable.Viewable, name: str) -> None:
        self._body[:] = [said(title, text, *actions, name=name)]

    def _recolour(self, event: param.parameterized.Event) -> None:
        self._mode = "dark" if event.new else "light"
        self._computed.ask()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _reading() -> pn.Column:
    return loading("Reading the scores of every region …", 40, 330, 250)
