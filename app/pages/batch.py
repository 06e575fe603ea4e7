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
from . import _batch_html as html
from ._batch_content import Content, compute
from ._batch_export import Downloads
from ._batch_run import RunPanel
from ._batch_sensitivity import Question, SurvivalPanel
from ._computed import Computed, action, loading, said

ASKING = ("study", "split", "class_name", "metric", "ties", "images")


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
        self._study = pmui.Select(label="Study", width=260, **small)
        self._metric = pmui.Select(label="Who wins is decided by", width=220, **small)
        self._split = pmui.Select(label="Split", width=130, **small)
        self._class = pmui.Select(label="Class", width=150, **small)
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
        self._heed(self._ties, lambda rule: self.state.param.update(ties=rule))
        self._heed(self._images, lambda which: self.state.param.update(images=which))
        self._head = self._html()
        self._legend = self._html()
        self._boxes = pn.pane.Bokeh(sizing_mode="stretch_width", margin=0)
        self._table = self._html()
        self._curve_legend = self._html()
        self._curves = pn.pane.Bokeh(sizing_mode="stretch_width", margin=0)
        self._no_curves = self._html()
        self._no_curves.param.update(object=html.no_history(), visible=False)
        self._accuracy = self._html()
        self._downloads = {
            name: Downloads(self._current_view, lambda: self.results, exhibit=name)
            for name in ("win-rates", "curves", "accuracy")
        }
        self._run = RunPanel(self.services, lambda: self.results, self._reopened)
        self._survival = SurvivalPanel(
            self.services, lambda: self.results, self._question, lambda: self._mode
        )
        self._filled = pn.Column(
            self._head,
            self._section(
                "Win rate over seeds",
                self._downloads["win-rates"].figure,
                self._legend,
                self._boxes,
            ),
            self._section("Mean and spread", self._downloads["win-rates"].table, self._table),
            self._survival,
            self._section(
                "Training",
                self._downloads["curves"].figure,
                self._curve_legend,
                self._curves,
                self._no_curves,
            ),
            self._section("Accuracy", self._downloads["accuracy"].table, self._accuracy),
            self._run,
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "20px"},
        )
        self._body = pn.Column(_aggregating(), sizing_mode="stretch_width", margin=0)
        self._root = pn.Column(
            pn.FlexBox(
                self._study,
                self._metric,
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
        )

    @staticmethod
    def _html() -> pn.pane.HTML:
        return pn.pane.HTML("", sizing_mode="stretch_width", margin=0, stylesheets=[html.STYLE])

    def _section(
        self, title: str, tools: pn.viewable.Viewable, *parts: pn.viewable.Viewable
    ) -> pn.Column:
        name = pn.pane.HTML(f"<h2>{title}</h2>", margin=0, stylesheets=[html.STYLE])
        return pn.Column(
            pmui.Row(
                name, pn.layout.HSpacer(), tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
            ),
            *parts,
            sizing_mode="stretch_width",
            margin=0,
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
        return View(
            "win-rates", self._chosen_metric(), self.tie_rule, self.population, splits, classes
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
        last, self._content = self._content, content
        data, results, mode = content.data, content.results, content.mode
        shown = {"labels": content.labels, "mode": mode, "origin": results.kind}
        shown["failed"] = content.failed
        splits = content.view.splits or ("train", "test")
        chance = None if results.kind == "published" else 1 / max(len(results.classes), 1)
        self._head.object = html.headline(
            data,
            content.accuracy,
            note=results.note,
            region=results.named_region(content.view.metric),
            chance=chance,
            **shown,
        )
        self._legend.object = html.box_legend(data, **shown) + html.hidden_note(content.hidden)
        self._boxes.object = content.boxes
        self._table.object = html.win_table(data, **shown) + html.stand_in_notes(
            [row for row in content.stand_ins if row["split"] in splits], content.labels
        )
        self._curve_legend.object = html.curve_legend(splits, mode=mode)
        if last is None or content.curves is not last.curves:
            self._curves.object = content.curves
        self._curves.visible = content.curves is not None
        self._no_curves.visible = content.curves is None
        self._accuracy.object = html.accuracy_html(content.accuracy, mode=mode)
        if list(self._body) != [self._filled]:
            self._body[:] = [self._filled]
        self._survival.offer()

    def _recolour(self, event: param.parameterized.Event) -> None:
        self._mode = "dark" if event.new else "light"
        self._computed.ask()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def _aggregating() -> pn.Column:
    return loading("Aggregating the scores …", 72, 250, 250)
