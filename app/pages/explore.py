"""Explore: one image, several methods side by side, scored against its mask."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.errors import XaievalError
from xaieval.methods import FAMILIES
from xaieval.study import Results

from ..cards import Cards, Strip
from ..catalogue import Catalogue, Item
from ..composing import Wish, method_labels
from ..controls import Controls
from ..explaining import Explaining
from ..scene import Scene
from ..services import Services
from ..state import ANY, AppState

log = logging.getLogger("xaieval.app")

ASKING = ("study", "split", "class_name", "image", "seed", "methods", "target", "metric", "k")
THUMBS_AROUND = 20
_LABEL = {ANY: "all"}


class ExplorePage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "explore"
    title = "Explore"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self.catalogue: Catalogue | None = None
        self.items: tuple[Item, ...] = ()
        self._settling = False
        self._thumbs_sent: set[str] = set()
        self.cards = Cards(self._on_action)
        self.strip = Strip(self._on_choose)
        self.explaining = Explaining(services, self.cards)
        self.controls = Controls(state)
        self._connect()
        self._settle()
        state.param.watch(self._on_state, list(ASKING))
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self.explaining.close())
        pn.state.onload(self._refresh)  # before, the browser could not hear it

    # ---------------------------------------------------------------- widgets

    def _connect(self) -> None:
        state, panel = self.state, self.controls
        for widget, name in (
            (panel.opacity, "opacity"),
            (panel.colormap, "colormap"),
            (panel.view, "view"),
            (panel.scale, "scale"),
        ):
            widget.link(state, value=name, bidirectional=True)
            there = "mode" if name == "view" else name
            setattr(self.cards, there, getattr(state, name))
            # In the browser, at once; the state only follows for the sake of the link.
            widget.jslink(self.cards, value=there)
        for widget, name in (
            (panel.study, "study"),
            (panel.split, "split"),
            (panel.class_name, "class_name"),
            (panel.seed, "seed"),
            (panel.target, "target"),
            (panel.metric, "metric"),
        ):
            widget.param.watch(lambda event, name=name: self._set(name, event.new), "value")
        panel.methods.param.watch(self._on_methods, "value")
        panel.add_method.param.watch(self._on_add_method, "value")
        panel.k.param.watch(lambda event: self._set("k", int(event.new)), "value")
        panel.k_reset.on_click(lambda _: self._set("k", None))

    def _set(self, name: str, value: Any) -> None:
        if not self._settling:
            self.state.param.update(**{name: value})

    def _on_methods(self, event: param.parameterized.Event) -> None:
        if self._settling or self.catalogue is None:
            return
        if not event.new:
            self._settle()  # at least one stays
            return
        keys = tuple(key for key in self.catalogue.methods if key in event.new)
        self._set("methods", () if keys == self.catalogue.first_methods else keys)

    def _on_add_method(self, event: param.parameterized.Event) -> None:
        if self._settling or self.catalogue is None or not event.new:
            return
        shown = {*(self.state.methods or self.catalogue.first_methods), event.new}
        self._set("methods", tuple(key for key in self.catalogue.methods if key in shown))

    def _on_choose(self, image: str) -> None:
        self._set("image", image)

    def _on_action(self, action: str) -> None:
        if action == "cancel":
            self.explaining.cancel()
        elif action == "retry":
            pn.state.execute(self._refresh)
        elif action == "next":
            ids = [item.id for item in self.items]
            at = ids.index(self.state.image) if self.state.image in ids else -1
            self._set("image", ids[min(at + 1, len(ids) - 1)])

    # ---------------------------------------------------------------- state to widgets

    def _on_state(self, *events: param.parameterized.Event) -> None:
        if self._settling:
            return
        changed = {event.name for event in events}
        if changed & {"image", "study", "split", "class_name"} and "k" not in changed:
            # A K chosen for one mask means nothing for the next.
            self._settling = True
            self.state.k = None
            self._settling = False
        self._settle()
        pn.state.execute(self._refresh)

    def _settle(self) -> None:
        """Bring every value of the state into what there is, and the widgets after it."""
        self._settling = True
        try:
            with param.parameterized.batch_call_watchers(self.state):
                self._settle_study()
                if self.catalogue is not None:
                    self._settle_images(self.catalogue)
                    self._settle_model(self.catalogue)
        finally:
            self._settling = False

    def _pick(self, name: str, known: Any, default: Any, called: str) -> Any:
        """Return the state's value when it is known, else the default, with a notice."""
        value = getattr(self.state, name)
        if value in known:
            return value
        if value not in ("", None, self.state.param[name].default):
            shown = str(value) if len(str(value)) <= 40 else str(value)[:40] + "…"
            self.state.notify(f"There is no {called} “{shown}” here; the default is shown.")
        setattr(self.state, name, default)
        return default

    def _settle_study(self) -> None:
        opened = self.services.results
        study = self._pick("study", opened, next(iter(opened)), "study")
        self.controls.study.param.update(options=_titles(opened), value=study)
        self.controls.study.visible = len(opened) > 1
        self.catalogue, self._trouble = None, ()
        try:
            self.catalogue = self.services.catalogue(study)
        except (XaievalError, OSError) as error:
            self._trouble = ("The images of this study are not here", str(error))
            return
        if self.catalogue is None:
            self._trouble = (
                "Published results hold no images",
                "They were re-aggregated from published runs; no model was run here. "
                "The Batch page shows them.",
            )
        elif not self.catalogue.checkpoints:
            self._trouble = (
                "This study has no trained model here",
                f"Train it first: xaieval train {self.services.results[study].study.id}",
            )

    def _settle_images(self, catalogue: Catalogue) -> None:
        splits = (*catalogue.splits, ANY)
        split = self._pick("split", splits, splits[0], "split")
        self.controls.split.param.update(options={_LABEL.get(s, s): s for s in splits}, value=split)
        classes = (ANY, *catalogue.classes)
        class_name = self._pick("class_name", classes, ANY, "class")
        self.controls.class_name.param.update(
            options={_LABEL.get(c, c): c for c in classes}, value=class_name
        )
        self.items = catalogue.items(split, class_name)
        ids = {item.id for item in self.items}
        image = self.state.image
        if image not in ids:
            if image and catalogue.find(image) is None:
                self.state.notify("The link's image is not in this study; another one is shown.")
            first = next((item for item in self.items if item.has_mask), None)
            first = first or (self.items[0] if self.items else None)
            self.state.image = first.id if first else ""
        listed = [{"id": item.id, "title": item.sample_id} for item in self.items]
        if listed != self.strip.items:
            self.strip.param.update(items=listed, selected=self.state.image)
        else:
            self.strip.selected = self.state.image

    def _settle_model(self, catalogue: Catalogue) -> None:
        seeds = catalogue.seeds
        if seeds:
            seed = self._pick("seed", seeds, seeds[0], "model seed")
            self.controls.seed.param.update(options={str(s): s for s in seeds}, value=seed)
        targets = ("predicted", "label", *catalogue.classes)
        target = self._pick("target", targets, "predicted", "class")
        named = {"the predicted one": "predicted", "the labelled one": "label"}
        self.controls.target.param.update(
            options={**named, **{c: c for c in catalogue.classes}}, value=target
        )
        metrics = list(self.controls.metric.options.values())
        self.controls.metric.value = self._pick("metric", metrics, "topk_overlap", "metric")
        unknown = [key for key in self.state.methods if key not in catalogue.methods]
        if unknown:
            self.state.notify(f"There is no method “{unknown[0][:40]}”; it was left out.")
            self.state.methods = tuple(k for k in self.state.methods if k in catalogue.methods)
        keys = self.state.methods or catalogue.first_methods
        labels = method_labels(tuple(catalogue.methods.values()))
        near = [key for key in catalogue.methods if key in {*catalogue.own_methods, *keys}]
        self.controls.methods.param.update(
            options={labels[key]: key for key in near}, value=list(keys)
        )
        self.controls.add_method.param.update(
            groups=_by_family(catalogue, labels, without=near), value=""
        )

    # ---------------------------------------------------------------- showing

    def _wish(self, item: Item, *, k: int | None) -> Wish | None:
        catalogue, state = self.catalogue, self.state
        if catalogue is None or state.seed is None:
            return None
        checkpoint = catalogue.checkpoint(state.seed, state.split, item.sample_id)
        if checkpoint is None:
            return None
        target: str | int = state.target
        if target in catalogue.classes and target not in ("predicted", "label"):
            target = catalogue.classes.index(target)
        keys = state.methods or catalogue.first_methods
        return Wish(
            study=state.study,
            sample_id=item.sample_id,
            label=item.class_name,
            class_names=catalogue.classes,
            checkpoint=checkpoint,
            methods=tuple(catalogue.methods[key] for key in keys),
            target=target,
            compete=catalogue.compete,
            metric=state.metric,
            k=k,
        )

    async def _refresh(self) -> None:
        """Show what the state asks for; the newest call wins."""
        trouble = self._trouble or self._nothing()
        if trouble:
            self.explaining.close()
            title, text = trouble
            self.cards.display(
                {"status": "empty", "cards": [], "message": {"title": title, "lines": [text]}}
            )
            return
        at = next(i for i, item in enumerate(self.items) if item.id == self.state.image)
        wish = self._wish(self.items[at], k=self.state.k)
        if wish is None:
            self.cards.display(_no_model(self.items[at], self.state))
            return
        near = [self.items[i] for i in (at + 1, at - 1) if 0 <= i < len(self.items)]
        ahead = tuple(w for w in (self._wish(item, k=None) for item in near) if w is not None)
        scene = await self.explaining.want(wish, ahead=ahead)
        if scene is not None:
            self._settle_k(scene)
        await self._send_thumbs(at)

    def _nothing(self) -> tuple[str, str] | tuple[()]:
        if self.items and self.state.image:
            return ()
        return ("No image here", "No image is in this split and class: choose another.")

    def _settle_k(self, scene: Scene) -> None:
        """Fit the K slider to the image: up to a quarter of it, or twice its mask."""
        area = scene.picture.shape[0] * scene.picture.shape[1]
        end = min(area, max(area // 4, 2 * scene.mask_px, self.state.k or 0))
        value = min(self.state.k or scene.default_k, area)
        self._settling = True
        try:
            if (self.controls.k.end, self.controls.k.value) != (end, value):
                self.controls.k.param.update(end=end, value=value)
            self.controls.k_reset.disabled = self.state.k is None
        finally:
            self._settling = False

    async def _send_thumbs(self, at: int) -> None:
        """Send the thumbnails around an image, a few at a time, nearest first."""
        items, study = self.items, self.state.study
        near = sorted(range(len(items)), key=lambda i: abs(i - at))[: 2 * THUMBS_AROUND]
        missing = [items[i] for i in near if f"{study}/{items[i].id}" not in self._thumbs_sent]
        loop = asyncio.get_running_loop()
        for start in range(0, len(missing), 10):
            batch = missing[start : start + 10]
            found = await loop.run_in_executor(
                self.services.later,
                lambda batch=batch: {i.id: self.services.thumb(study, i.sample_id) for i in batch},
            )
            if items is not self.items:
                return
            self._thumbs_sent.update(f"{study}/{image}" for image in found)
            self.strip.thumbs = found

    def __panel__(self) -> pn.viewable.Viewable:
        return pmui.Row(
            self.controls.rail(self.strip),
            pmui.Column(
                self.controls.bar(), self.cards, sizing_mode="stretch_both", margin=0, scroll="y"
            ),
            sizing_mode="stretch_both",
            margin=0,
        )


def _no_model(item: Item, state: AppState) -> dict[str, Any]:
    return {
        "status": "empty",
        "sample": item.sample_id,
        "cards": [],
        "message": {
            "title": "No model for this image",
            "lines": [f"{item.sample_id} has no trained model of seed {state.seed} in this split."],
        },
    }


def _by_family(
    catalogue: Catalogue, labels: dict[str, str], *, without: list[str]
) -> dict[str, dict[str, str]]:
    """Return family -> label -> key of the methods that are not at hand yet, with their cost.

    "Nothing chosen" is an option too: a select whose value is none of its options takes the first.
    """
    groups: dict[str, dict[str, str]] = {"Not at hand yet": {"choose …": ""}}
    for key, call in catalogue.methods.items():
        if key not in without:
            rows = f" · {call.cost:,} passes" if call.cost > 1 else ""
            groups.setdefault(FAMILIES[call.spec.family], {})[f"{labels[key]}{rows}"] = key
    return groups


def _titles(opened: dict[str, Results]) -> dict[str, str]:
    """Return title -> id; equal titles are told apart by their id."""
    titles = [results.title for results in opened.values()]
    return {
        results.title if titles.count(results.title) == 1 else f"{results.title} ({key})": key
        for key, results in opened.items()
    }
