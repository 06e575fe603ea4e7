"""Compare: two to six models side by side on one image, and alignment against accuracy."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import panel as pn
import param

from xaieval.errors import ConfigError, XaievalError
from xaieval.figures.palette import Mode
from xaieval.metrics import parse_metric
from xaieval.study.regional import regional_metrics

from ..cards import Cards
from ..catalogue import Catalogue, Item
from ..composing import method_labels
from ..services import Services
from ..state import ANY, MOST_MODELS, AppState
from ..strip import Strip
from ._compare_alignment import AlignmentPanel, Ask
from ._compare_controls import CompareControls
from ._compare_models import Model, Question, chosen, first_choice, offered, seat, short_labels
from ._compare_work import Comparing
from ._parts_controls import titles

log = logging.getLogger("xaieval.app")

ASKING = (
    "study",
    "split",
    "class_name",
    "image",
    "models",
    "method",
    "target",
    "measure",
    "region",
)
USUAL = "mass_accuracy"
"""The score where no opened study was scored region by region."""


class ComparePage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "compare"
    title = "Compare"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._mode: Mode = "dark" if pn.config.theme == "dark" else "light"
        self._settling = False
        self._stale = False
        self._asked = 0
        self.catalogue: Catalogue | None = None
        self.items: tuple[Item, ...] = ()
        self.models: tuple[Model, ...] = ()
        self._offered: tuple[Model, ...] = ()
        self._trouble: tuple[str, str] | None = None
        self.controls = CompareControls(state)
        self.strip = Strip(
            lambda image: self._set("image", image),
            thumb=lambda item: services.thumb(self.study, item.sample_id),
            pool=services.later,
        )
        self.walls = [self._wall()]
        self._wall_column = pn.Column(*self.walls, sizing_mode="stretch_width", margin=0)
        self.comparing = Comparing(services, self._show)
        self.alignment = AlignmentPanel(services, self.controls.images, self._toggle)
        self._connect()
        self._settle()
        state.param.watch(self._on_state, list(ASKING))
        state.param.watch(self._on_figure, ["images"])
        state.param.watch(self._on_page, "page")
        self.controls.split.param.watch(self._recolour, "dark_theme")  # set by the browser
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self.comparing.close())
        pn.state.onload(self._refresh)

    # ---------------------------------------------------------------- widgets

    def _wall(self) -> Cards:
        wall = Cards(self._on_action)
        for widget, name in (
            (self.controls.opacity, "opacity"),
            (self.controls.colormap, "colormap"),
            (self.controls.view, "mode"),
            (self.controls.scale, "scale"),
            (self.controls.display, "shading"),
        ):
            named = {"mode": "view", "shading": "display"}.get(name, name)
            setattr(wall, name, getattr(self.state, named))
            widget.jslink(wall, value=name)
        return wall

    def _connect(self) -> None:
        panel, state = self.controls, self.state
        for widget, name in (
            (panel.opacity, "opacity"),
            (panel.colormap, "colormap"),
            (panel.view, "view"),
            (panel.scale, "scale"),
            (panel.display, "display"),
        ):
            widget.link(state, value=name, bidirectional=True)
        for widget, name in (
            (panel.study, "study"),
            (panel.split, "split"),
            (panel.class_name, "class_name"),
            (panel.method, "method"),
            (panel.target, "target"),
            (panel.region, "region"),
            (panel.metric, "measure"),
            (panel.images, "images"),
        ):
            widget.param.watch(
                lambda event, name=name: event.new is not None and self._set(name, event.new),
                "value",
            )
        panel.models.param.watch(lambda event: self._choose(event.new), "value")

    def _set(self, name: str, value: Any) -> None:
        if not self._settling:
            self.state.param.update(**{name: value})

    def _choose(self, ids: list[str]) -> None:
        if self._settling:
            return
        if not ids:
            self._settle()  # at least one stays
            return
        self.state.models = tuple(ids[:MOST_MODELS])

    def _toggle(self, model: str) -> None:
        """Put a model beside the others, or take it away; the last gives way where six stand."""
        if model not in {it.id for it in self._offered}:
            self.state.notify(f"{model} is of another dataset: choose its images first.")
            return
        ids = [it.id for it in self.models]
        if model in ids:
            ids.remove(model)
        else:
            ids = [*ids[: MOST_MODELS - 1], model]
        self._choose(ids)

    def _on_action(self, action: str, value: str = "") -> None:
        if action == "region":
            self._set("region", value)
        elif action == "cancel":
            self.comparing.cancel()
        elif action == "retry":
            pn.state.execute(self._refresh)

    # ---------------------------------------------------------------- state to widgets

    def _on_state(self, *_: param.parameterized.Event) -> None:
        if self._settling:
            return
        if self.state.page != self.id:  # nobody looks: catch up when the page is shown again
            self._stale = True
            return
        self._settle()
        pn.state.execute(self._refresh)

    def _on_figure(self, *_: param.parameterized.Event) -> None:
        if self.state.page == self.id and not self._settling:
            self._settle()
            pn.state.execute(self._refresh_alignment)

    def _on_page(self, event: param.parameterized.Event) -> None:
        if event.new == self.id and self._stale:
            self._stale = False
            self._settle()
            pn.state.execute(self._refresh)

    def _settle(self) -> None:
        """Fill the widgets from what there is; the state keeps what the link says."""
        self._settling = True
        try:
            self._settle_study()
            if self.catalogue is not None:
                self._settle_images(self.catalogue)
                self._settle_models()
                self._settle_asked(self.catalogue)
        finally:
            self._settling = False

    @property
    def study(self) -> str:
        """Key of the study whose images are shown: the state's, else the first with models."""
        opened = self.services.results
        if self.state.study in opened:
            return self.state.study
        able = (key for key, results in opened.items() if results.checkpoints())
        return next(able, next(iter(opened)))

    def _settle_study(self) -> None:
        opened = titles(self.services)
        self.controls.study.param.update(options=opened, value=self.study, visible=len(opened) > 1)
        self.catalogue, self._trouble = None, None
        self.items, self.models, self._offered = (), (), ()
        results = self.services.results[self.study]
        try:
            self.catalogue = self.services.catalogue(self.study)
        except (XaievalError, OSError) as error:
            self._trouble = ("The images of this study are not here", str(error))
            return
        if self.catalogue is None:
            text = "They were re-aggregated from published runs; no model was run here."
            self._trouble = ("Published results hold no models", text)
        elif not results.checkpoints():
            text = f"Train some first: xaieval train {results.study.id}"
            self._trouble = ("This study has no trained model here", text)

    def _settle_images(self, catalogue: Catalogue) -> None:
        state, panel = self.state, self.controls
        splits = (*catalogue.splits, ANY)
        self.split = state.split if state.split in splits else splits[0]
        panel.split.param.update(options=list(splits), value=self.split)
        classes = (ANY, *catalogue.classes)
        class_name = state.class_name if state.class_name in classes else ANY
        panel.class_name.param.update(options=list(classes), value=class_name)
        self.items = catalogue.items(self.split, class_name)
        ids = [item.id for item in self.items]
        self.image = state.image
        if self.image not in ids:
            masked = (item.id for item in self.items if item.has_mask)
            self.image = next(masked, ids[0] if ids else "")
        self.strip.show(self.items, self.image)

    def _settle_models(self) -> None:
        self._offered = offered(self.services, self.study)
        self.models, unknown = chosen(self._offered, self.state.models)
        if unknown:
            self.state.notify(f"There is no model “{unknown[0][:40]}” of these images here.")
        self.models = self.models or first_choice(self._offered)
        options = {model.label: model.id for model in self._offered}
        self.controls.models.param.update(
            options=options,
            value=[model.id for model in self.models],
            searchable=len(options) > MOST_MODELS,
        )

    def _settle_asked(self, catalogue: Catalogue) -> None:
        state, panel = self.state, self.controls
        keys = list(catalogue.own_methods)
        self.method = state.method if state.method in catalogue.methods else keys[0]
        if self.method not in keys:
            keys.append(self.method)
        labels = method_labels(tuple(catalogue.methods[key] for key in keys))
        panel.method.param.update(options={labels[key]: key for key in keys}, value=self.method)
        named = {"the predicted one": "predicted", "the labelled one": "label"}
        targets = {**named, **{c: c for c in catalogue.classes}}
        self.target = state.target if state.target in targets.values() else "predicted"
        panel.target.param.update(options=targets, value=self.target)
        regions = catalogue.regions
        self.region = state.region if state.region in regions else catalogue.default_region
        panel.region.param.update(
            options=list(regions) or [""], value=self.region, disabled=len(regions) < 2
        )
        metrics = self._metrics()
        self.metric = state.measure if state.measure in metrics.values() else None
        self.metric = self.metric or next(iter(metrics.values()))
        panel.metric.param.update(options=metrics, value=self.metric)
        panel.images.value = state.images or "all"

    def _metrics(self) -> dict[str, str]:
        """Return label -> key of the scores that some opened study made region by region."""
        found: dict[str, str] = {}
        for results in self.services.results.values():
            for key in regional_metrics(results):
                found.setdefault(parse_metric(key).label, key)
        asked = self.state.measure
        try:
            call = parse_metric(asked) if asked else None
        except ConfigError:
            call = None
        if call is not None and not call.whole and call.higher_is_better is not None:
            found.setdefault(call.label, call.key)
        return found or {parse_metric(USUAL).label: USUAL}

    # ---------------------------------------------------------------- showing

    async def _refresh(self) -> None:
        """Show what the state asks for; the newest call wins."""
        self.alignment.mark([model.id for model in self.models])
        await asyncio.gather(self._refresh_cards(), self._refresh_alignment())

    async def _refresh_alignment(self) -> None:
        if self.catalogue is None:
            results = self.services.results[self.study]
            metric = next(iter(regional_metrics(results)), USUAL)
            ask = Ask(metric, next(iter(results.method_ids), ""), "", self.state.images or "all")
        else:
            ask = Ask(self.metric, self.method, self.region, self.state.images or "all")
        await self.alignment.refresh(ask, self._mode)

    async def _refresh_cards(self) -> None:
        self._asked += 1
        asked = self._asked
        trouble = self._trouble
        if trouble is None and not self.image:
            trouble = ("No image here", "No image is in this split and class: choose another.")
        if trouble is not None or self.catalogue is None:
            self.comparing.close()
            title, text = trouble or ("Nothing to compare", "")
            self._say(title, [text])
            return
        models, split = self.models, self.split
        item = next(it for it in self.items if it.id == self.image)
        question = Question(
            sample_id=item.sample_id,
            label=item.class_name,
            seats=(),
            labels=short_labels(models),
            method=self.catalogue.methods[self.method],
            target=self.target,
            metric=self.metric,
            region=self.region,
            regions=self.catalogue.regions,
        )
        try:
            seats = await asyncio.get_running_loop().run_in_executor(
                self.services.pool,
                lambda: tuple(seat(self.services, model, item.id, split) for model in models),
            )
            if asked != self._asked:
                return
            await self.comparing.ask(replace(question, seats=seats))
        except Exception as error:
            if asked != self._asked:
                return
            known = isinstance(error, XaievalError)
            if not known:
                log.exception("compare failed")
            text = str(error) if known else f"{type(error).__name__}: {error}"
            retry = [{"id": "retry", "label": "Try again"}]
            self._say("These models could not be compared", [text], retry)

    def _say(self, title: str, lines: list[str], actions: Any = ()) -> None:
        message = {"title": title, "lines": lines, "actions": list(actions)}
        status = "error" if actions else "empty"
        self._show([{"status": status, "cards": [], "message": message}], [])

    def _show(self, views: list[dict[str, Any]], shares: list[dict[str, Any]]) -> None:
        """Put views on walls, one each; ``shares`` follow them."""
        while len(self.walls) < len(views):
            self.walls.append(self._wall())
        wanted = self.walls[: max(len(views), 1)]
        if shares:
            for wall, share in zip(wanted, shares, strict=True):
                wall.share(share)
            return
        for wall, view in zip(wanted, views, strict=True):
            wall.display(view)
        if list(self._wall_column) != wanted:
            self._wall_column[:] = wanted

    def _recolour(self, event: param.parameterized.Event) -> None:
        self._mode = "dark" if event.new else "light"
        pn.state.execute(self._refresh_alignment)

    def __panel__(self) -> pn.viewable.Viewable:
        # The figure stands in Panel's own columns, as on the Batch page.
        return pn.Row(
            self.controls.rail(self.strip),
            pn.Column(
                self.controls.bar(),
                self._wall_column,
                self.alignment,
                sizing_mode="stretch_both",
                margin=0,
                scroll="y",
            ),
            sizing_mode="stretch_both",
            margin=0,
        )
