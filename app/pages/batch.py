"""Batch: who wins, over seeds, by split and class; training curves; files to take away."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.export import View
from xaieval.export.exhibits import Population, TieRule
from xaieval.figures.palette import Mode
from xaieval.stats import OVERALL
from xaieval.study import Results

from ..services import Services
from ..state import ANY, AppState
from ..taps import Mark
from . import _batch_html as html
from ._batch_content import Content, compute
from ._batch_run import RunPanel
from ._batch_sections import BatchSections
from ._batch_sensitivity import SurvivalPanel
from ._batch_survival_jobs import Question
from ._computed import AS_HIGH_AS_NEEDED, Computed, action, loading, said

ASKING = ("study", "split", "class_name", "metric", "region", "ties", "images", "unit")


class BatchPage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "batch"
    title = "Batch"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._mode: Mode = "dark" if pn.config.theme == "dark" else "light"
        self._content: Content | None = None
        self._settling = False
        self._build()
        self._settle()
        self._computed = Computed(
            state,
            services.pool,
            page=self.id,
            fields=ASKING,
            settle=self._settle,
            plan=self._plan,
            show=self.show,
            fail=self._show_error,
        )
        self._refresh = self._computed.refresh
        self._split.param.watch(self._recolour, "dark_theme")  # set by the browser
        pn.state.onload(self._refresh)

    # ------------------------------------------------------------ parts

    @property
    def results(self) -> Results:
        """The opened results that the state names, or the first ones."""
        opened = self.services.results
        return opened.get(self.state.study) or next(iter(opened.values()))

    def _build(self) -> None:
        # Figures stand in Panel's own columns: one that enters a pmui.Column after the page is
        # shown is measured before it is laid out, an error in the browser (pmui 0.16, Bokeh 3.9).
        small = {"size": "small", "margin": 0}
        self._study = pmui.Select(label="Study", width=224, **small)
        self._metric = pmui.Select(label="Who wins is decided by", width=204, **small)
        self._split = pmui.Select(label="Split", width=104, **small)
        self._class = pmui.Select(label="Class", width=132, **small)
        self._region = pmui.Select(label="Region", width=136, **small)
        self._ties = pmui.Select(
            label="Equal scores",
            width=150,
            options={"share the win": "split", "first": "first"},
            **small,
        )
        self._images = pmui.Select(
            label="Images",
            width=180,
            options={"correctly classified": "correct", "all": "all"},
            **small,
        )
        self._heed(self._study, self._choose_study)
        self._heed(self._metric, lambda key: self.state.param.update(metric=key))
        self._heed(self._split, lambda name: self.state.param.update(split=name))
        self._heed(self._class, lambda name: self.state.param.update(class_name=name))
        self._heed(self._region, lambda name: self.state.param.update(region=name))
        self._heed(self._ties, lambda rule: self.state.param.update(ties=rule))
        self._heed(self._images, lambda which: self.state.param.update(images=which))
        self._run = RunPanel(
            self.services,
            lambda: self.results,
            self._reopened,
            looked_at=lambda: self.state.page == self.id,
        )
        self._survival = SurvivalPanel(
            self.services, lambda: self.results, self._question, lambda: self._mode
        )
        self.sections = BatchSections(
            self._current_view,
            lambda: self.results,
            open_=self._open,
            between=(self._survival,),
            below=(self._run,),
        )
        self._heed(self.sections.unit, lambda unit: self.state.param.update(unit=unit))
        self._body = pn.Column(_aggregating(), sizing_mode="stretch_width", margin=0)
        self._root = pn.Column(
            pn.FlexBox(
                self._study,
                self._metric,
                self._region,
                self._ties,
                self._images,
                self._split,
                self._class,
                gap="12px 12px",
                sizing_mode="stretch_width",
                margin=(16, 0, 12, 0),
            ),
            self._body,
            sizing_mode="stretch_width",
            margin=(0, 24, 32, 24),
            styles=AS_HIGH_AS_NEEDED,
        )

    def _heed(self, widget: Any, change: Callable[[Any], object]) -> None:
        """Let a choice made by hand change the state; what the page itself sets is none."""

        def chosen(event: param.parameterized.Event) -> None:
            if event.new is not None and not self._settling:
                change(event.new)

        widget.param.watch(chosen, "value")

    # ------------------------------------------------------------ choices

    def _choose_study(self, key: str | None) -> None:
        """Take over the study chosen by hand; the one shown already changes no link."""
        if key and self.services.results.get(key) is not self.results:
            self.state.study = key

    def _settle(self) -> None:
        """Fill the widgets from the opened study and what the state asks for."""
        self._settling = True
        try:
            self._offer_choices()
        finally:
            self._settling = False

    def _offer_choices(self) -> None:
        results = self.results
        opened = {r.study.title: key for key, r in self.services.results.items()}
        if len(opened) < len(self.services.results):
            opened = {f"{r.study.title} ({key})": key for key, r in self.services.results.items()}
        key = next(k for k, r in self.services.results.items() if r is results)
        self._study.param.update(options=opened, value=key, visible=len(opened) > 1)
        metrics = html.metric_options(results.metric_keys)
        metric = self._chosen_metric()
        self._metric.param.update(options=metrics, value=metric, disabled=len(metrics) < 2)
        splits = {"all": ANY} | {name: name for name in results.splits}
        self._split.param.update(options=splits, value=self._known(self.state.split, splits))
        classes = {"all": ANY} | {name: name for name in results.classes}
        self._class.param.update(options=classes, value=self._known(self.state.class_name, classes))
        published = results.kind == "published"
        self._ties.param.update(
            value=self.tie_rule,
            disabled=published,
            description="Published runs keep their rule: the first method of a tie wins."
            if published
            else None,
        )
        self._images.param.update(value=self.population, disabled=published)
        self.sections.unit.value = self._current_view().unit
        several = bool(results.named_region(metric))
        self._region.visible = several
        if several:
            region = self._current_view().region or results.regions[0]
            self._region.param.update(options=list(results.regions), value=region)
        self._run.offer()

    @property
    def tie_rule(self) -> TieRule:
        """Who wins a tie; published runs keep their own rule."""
        return "first" if self.results.kind == "published" else self.state.ties

    @property
    def population(self) -> Population:
        """Whose images are counted; published runs counted those classified correctly."""
        if self.results.kind == "published":
            return "correct"
        return self.state.images or "correct"

    @staticmethod
    def _known(value: str, options: dict[str, str]) -> str:
        return value if value in options.values() else ANY

    def _chosen_metric(self) -> str:
        keys = self.results.metric_keys
        if self.state.metric in keys:
            return self.state.metric
        usual = self.state.param["metric"].default
        return usual if usual in keys else keys[0]

    def _current_view(self) -> View:
        """Return the view that the widgets ask for."""
        results, state = self.results, self.state
        splits = (state.split,) if state.split in results.splits else ()
        classes: tuple[str, ...] = ()
        if state.class_name in results.classes:
            classes = (OVERALL, state.class_name)
        metric, region = self._chosen_metric(), state.region
        if region not in results.regions[1:] or not results.named_region(metric):
            region = ""  # the first region is the default one
        return View(
            "win-rates",
            metric,
            self.tie_rule,
            self.population,
            splits,
            classes,
            region,
            "seed" if results.kind == "published" else state.unit,
        )

    def _open(self, mark: Mark, outcome: str) -> None:
        """Show exactly the images that a point, box or cell counts, in Triage."""
        split, group, method, seed, *_ = mark
        view = self._current_view()
        nothing: dict[str, Any] = {"answers": "all", "pattern": "", "confidence": (), "span": ()}
        nothing |= {"tag": "", "find": "", "image": "", "seed": None}
        kept = ("split", "class_name", "part_seed", "metric", "region", "method", "images", "ties")
        self.state.param.update(
            came={name: getattr(self.state, name) for name in kept},
            page="triage",
            study=next(k for k, r in self.services.results.items() if r is self.results),
            split=split,
            class_name=ANY if group == OVERALL else group,
            part_seed=seed,
            outcome=f"{outcome}:{method}",
            method=method,
            metric=view.metric,
            region=view.region,
            images=view.population,
            ties=view.tie_rule,
            **nothing,
        )

    def _question(self) -> Question:
        """Return whose winner the page is about, for the sensitivity panel."""
        view = self._current_view()
        split = view.splits[-1] if view.splits else None
        return Question(view.metric, view.region or None, split, view.population)

    def _reopened(self) -> None:
        """Show results that have grown."""
        self._computed.ask()

    # ------------------------------------------------------------ work

    def _plan(self) -> Callable[[], Content]:
        """Return the work of the view that the state asks for."""
        if self._content is None:
            self._body[:] = [_aggregating()]
        return functools.partial(
            compute, self.results, self._current_view(), self._mode, last=self._content
        )

    def _show_error(self, text: str) -> None:
        again = action("Try again", self._computed.ask)
        whole = action("Clear the filters", self._clear, outlined=False)
        self._content = None
        self._body[:] = [said("These results cannot be shown", text, again, whole, name="error")]

    def _clear(self) -> None:
        """Show everything of the study, and try again even if that is what was shown."""
        self.state.param.update(split=ANY, class_name=ANY, metric=self.results.metric_keys[0])
        self._computed.ask()

    def show(self, content: Content) -> None:
        """Put a computed view on the page."""
        if content.empty:
            self._content = None
            self._body[:] = [
                said(
                    "No image takes part in this comparison",
                    "A win rate needs images with a mask, classified correctly (or choose all "
                    "images), scored by every competing method.",
                    action("Clear the filters", self._clear),
                    name="empty",
                )
            ]
            return
        self._content = content
        self.sections.fill(content)
        if list(self._body) != [self.sections.filled]:
            self._body[:] = [self.sections.filled]
        self._survival.offer()

    def _recolour(self, event: param.parameterized.Event) -> None:
        self._mode = "dark" if event.new else "light"
        self._computed.ask()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _aggregating() -> pn.Column:
    return loading("Aggregating the scores …", 72, 250, 250)
