"""Explore: one image, several methods side by side, scored against its mask."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from xaieval.edits import parse_edit

from ..cards import Cards
from ..catalogue import Item
from ..composing import Wish
from ..controls import BESIDE_RAIL, STACKED, Controls
from ..defined_maps import meant_by
from ..definitions import provide
from ..explaining import Explaining
from ..own import OWN_MASK, OwnImages, Subject
from ..services import Services
from ..settling import Settling
from ..state import AppState
from ..strip import Strip
from ..whatif import WhatIf
from ._explore_export import ExploreFiles

log = logging.getLogger("xaieval.app")

ASKING = (
    "study",
    "split",
    "class_name",
    "image",
    "seed",
    "methods",
    "target",
    "metric",
    "region",
    "k",
    "threshold",
    "edit",
)


MOST_AHEAD_PASSES = 200
"""Methods that cost more are not computed for neighbours that nobody may look at."""


class ExplorePage(pn.viewable.Viewer):
    """The page; see ``app/pages/__init__.py`` for what every page has in common."""

    id = "explore"
    title = "Explore"

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__()
        self.state, self.services = state, services
        self._shown_by_browser = False  # the cut that is being set: nothing is to be sent
        self._missed: set[str] = set()  # what changed while another page was shown
        self.cards = Cards(self._on_action, edits=True)
        self.strip = Strip(
            self._on_choose,
            thumb=lambda item: self._thumb(self.state.study, item),
            pool=services.later,
        )
        self.explaining = Explaining(services, self.cards)
        self.files = ExploreFiles(state, services)
        self.controls = Controls(state, self._on_cut)
        self.own = OwnImages()
        self.whatif = WhatIf(state, services, self.cards, self.own, self._show_again)
        self.settling = Settling(state, services, self.controls, self.strip, self.own)
        self._connect()
        self.settling.settle()
        self.whatif.repeat()
        state.param.watch(self._on_state, list(ASKING))
        state.param.watch(self._on_page, "page")
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: self._close())
        subjects = self.explaining.subjects
        provide(state, self.id, lambda key, of: meant_by(self._shown(), key, of, subjects))
        self._show_known()  # comes with the page itself
        pn.state.onload(self._refresh)  # before, the browser could not hear it

    # ---------------------------------------------------------------- widgets

    def _connect(self) -> None:
        state, panel = self.state, self.controls
        for widget, name in (
            (panel.opacity, "opacity"),
            (panel.colormap, "colormap"),
            (panel.view, "view"),
            (panel.scale, "scale"),
            (panel.display, "display"),
        ):
            widget.link(state, value=name, bidirectional=True)
            there = {"view": "mode", "display": "shading"}.get(name, name)
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
            (panel.region, "region"),
        ):
            widget.param.watch(lambda event, name=name: self._set(name, event.new), "value")
        self.cards.swipe = list(state.swipe)
        state.param.watch(lambda event: setattr(self.cards, "swipe", list(event.new)), "swipe")
        self.cards.param.watch(lambda event: setattr(state, "swipe", tuple(event.new[:2])), "swipe")
        panel.methods.param.watch(self._on_methods, "value")
        panel.add_method.param.watch(self._on_add_method, "value")

    def _set(self, name: str, value: Any) -> None:
        if not self.settling.busy:
            if name == "region":
                value = self.settling.region_for_link(value)
            self.state.param.update(**{name: value})

    def _on_methods(self, event: param.parameterized.Event) -> None:
        if self.settling.busy or self.settling.catalogue is None:
            return
        if not event.new:
            self.settling.settle()  # at least one stays
            return
        keys = tuple(key for key in self.settling.catalogue.methods if key in event.new)
        self._set("methods", () if keys == self.settling.catalogue.first_methods else keys)

    def _on_add_method(self, event: param.parameterized.Event) -> None:
        if self.settling.busy or self.settling.catalogue is None or not event.new:
            return
        shown = {*(self.state.methods or self.settling.catalogue.first_methods), event.new}
        self._set("methods", tuple(key for key in self.settling.catalogue.methods if key in shown))

    def _on_cut(self, kind: str, value: int, shown: int, sample: str) -> None:
        """Take over a K (px, 0 for the mask's size) or a threshold (hundredths)."""
        item = self.settling.item
        if self.settling.busy or item is None or item.sample_id != sample:
            return  # chosen for an image that is gone
        self._shown_by_browser = shown == self.cards.version
        before = (self.state.k, self.state.threshold)
        if kind == "k":
            self.state.param.update(k=value or None, threshold=None)
        else:
            self.state.param.update(k=None, threshold=min(max(value, 1), 100) / 100)
        if not self._shown_by_browser and before == (self.state.k, self.state.threshold):
            pn.state.execute(self._refresh)  # back where the session still is
        self._shown_by_browser = False

    def _on_choose(self, image: str) -> None:
        item = next((item for item in self.settling.items if item.id == image), None)
        wish = None if item is None or self.settling.trouble else self._wish(item, k=None)
        if wish is not None:
            self.explaining.start(wish)
        self._set("image", image)

    def _close(self) -> None:
        self.explaining.close()
        self.own.clear()

    def _show_again(self) -> None:
        self.settling.settle()
        self.whatif.repeat()
        pn.state.execute(self._refresh)

    def _on_action(self, action: str, value: str = "") -> None:
        if self.whatif.act(action, value):
            return
        if action == "region":
            self._set("region", value)
        elif action == "cancel":
            self.explaining.cancel()
        elif action == "probe":
            self._probe(value)
        elif action == "retry":
            pn.state.execute(self._refresh)
        elif action == "next":
            ids = [item.id for item in self.settling.items]
            at = ids.index(self.state.image) if self.state.image in ids else -1
            self._set("image", ids[min(at + 1, len(ids) - 1)])

    def _probe(self, place: str) -> None:
        """Send the exact attributions of a pixel: "row,column" of the model's input."""
        try:
            row, column = (int(number) for number in place.split(","))
        except ValueError:
            return
        values = self.explaining.values_at(row, column)
        if values:
            view = self.cards.shown
            self.cards.probe = {"at": f"{row},{column}", "view": view, "values": values}

    # ---------------------------------------------------------------- state to widgets

    def _on_state(self, *events: param.parameterized.Event) -> None:
        if self.settling.busy:
            return
        if self._shown_by_browser:
            pn.state.execute(self._keep_up)
            return
        self._missed |= {event.name for event in events}
        if self.state.page == self.id:  # else nobody looks: catch up when the page is shown again
            self._catch_up()

    def _on_page(self, event: param.parameterized.Event) -> None:
        if event.new == self.id and self._missed:
            self._catch_up()

    def _catch_up(self) -> None:
        changed, self._missed = self._missed, set()
        if changed & {"image", "study", "split", "class_name", "region"} and "k" not in changed:
            # A K chosen for one mask means nothing for the next.
            self.settling.busy = True
            self.state.k = None
            self.settling.busy = False
        self.settling.busy = True
        self.whatif.follow(changed)
        self.settling.busy = False
        self.settling.settle()
        self._show_known()
        self.whatif.repeat()
        pn.state.execute(self._refresh)

    def _show_known(self) -> None:
        """Show at once what was composed before; ``_refresh`` does the rest."""
        wish = None if self.settling.trouble else self._shown()
        if wish is not None:
            self.explaining.at_once(wish)

    # ---------------------------------------------------------------- showing

    def _wish(self, item: Item, *, k: int | None, edit: str = "") -> Wish | None:
        catalogue, state = self.settling.catalogue, self.state
        if catalogue is None or state.seed is None:
            return None
        own = item.id in self.own
        if own:
            checkpoint = catalogue.any_checkpoint(state.seed)
        else:
            checkpoint = catalogue.checkpoint(state.seed, state.split, item.sample_id)
        if checkpoint is None:
            return None
        subject = self._subject(item)
        masked = (OWN_MASK,) if subject is not None and subject.mask else ()
        target: str | int = state.target
        if own and target == "label":
            target = "predicted"  # nobody labelled it
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
            threshold=state.threshold,
            region=state.region or (OWN_MASK if own and masked else catalogue.default_region),
            regions=(*(() if own else catalogue.regions), *masked),
            subject=subject,
            edit=parse_edit(edit) if edit else None,
        )

    def _subject(self, item: Item) -> Subject | None:
        """Return what stands in for an image of the data set, where something does."""
        study = self.state.study
        if item.id not in self.own and self.own.mask(study, item.id) is None:
            return None
        sample = None if item.id in self.own else self.services.sample(study, item.sample_id)
        return self.own.subject(study, item.id, sample)

    def _shown(self) -> Wish | None:
        """Return the view that is asked for at the moment."""
        item = self.settling.item
        if item is None:
            return None
        return self._wish(item, k=self.state.k, edit=self.state.edit)

    async def _keep_up(self) -> None:
        """Follow what the browser has done by itself."""
        wish = self._shown()
        scene = None if wish is None else await self.explaining.keep_up(wish)
        if scene is not None:
            self.settling.settle_scene(scene)

    async def _refresh(self) -> None:
        """Show what the state asks for; the newest call wins."""
        trouble = self.settling.trouble or self._nothing()
        if trouble:
            self.explaining.close()
            title, text = trouble
            self.cards.display(
                {"status": "empty", "cards": [], "message": {"title": title, "lines": [text]}}
            )
            return
        at = next(i for i, item in enumerate(self.settling.items) if item.id == self.state.image)
        wish = self._wish(self.settling.items[at], k=self.state.k, edit=self.state.edit)
        if wish is None:
            self.cards.display(_no_model(self.settling.items[at], self.state))
            return
        near = [
            self.settling.items[i] for i in (at + 1, at - 1) if 0 <= i < len(self.settling.items)
        ]
        ahead = tuple(_cheap(w) for w in (self._wish(it, k=None) for it in near) if w is not None)
        await self.explaining.want(
            wish,
            ahead=tuple(w for w in ahead if w.methods),
            on_shown=self.settling.settle_scene,
        )

    def _nothing(self) -> tuple[str, str] | tuple[()]:
        if self.settling.items and self.state.image:
            return ()
        return ("No image here", "No image is in this split and class: choose another.")

    def _thumb(self, study: str, item: Item) -> str:
        own = self.own.get(item.id)
        return own.picture.thumb if own is not None else self.services.thumb(study, item.sample_id)

    def __panel__(self) -> pn.viewable.Viewable:
        return pmui.Row(
            self.controls.rail(self.strip, self.files.row),
            pmui.Column(
                self.controls.bar(),
                self.cards,
                sizing_mode="stretch_both",
                margin=0,
                scroll="y",
                stylesheets=BESIDE_RAIL,
            ),
            sizing_mode="stretch_both",
            margin=0,
            sx=STACKED,
        )


def _cheap(wish: Wish) -> Wish:
    """Return what is computed ahead of a wish: methods that take many passes wait to be wanted."""
    return replace(wish, methods=tuple(c for c in wish.methods if c.cost <= MOST_AHEAD_PASSES))


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
