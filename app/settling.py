"""Every value of the state brought into what there is, and the widgets of Explore after it."""

from __future__ import annotations

from typing import Any

import param

from xaieval.edits import parse_edit
from xaieval.errors import XaievalError
from xaieval.methods import FAMILIES
from xaieval.study import Results

from .catalogue import Catalogue, Item
from .composing import method_labels
from .controls import Controls
from .own import OWN_MASK, OwnImages
from .scene import Scene, region_names
from .services import Services
from .state import ANY, AppState
from .strip import Strip

_LABEL = {ANY: "all"}
_KINDS = {"part": "Parts", "overlapping": "Overlapping", "absent": "Not in this image"}


class Settling:
    """What the state asks for, made true; ``busy`` while it does, so that nobody listens to it.

    Attributes
    ----------
    catalogue : Catalogue or None
        Of the study that is shown; None where it has no images.
    items : tuple of Item
        The images of the split and class.
    trouble : (title, text), or () when there is none
    """

    def __init__(
        self,
        state: AppState,
        services: Services,
        controls: Controls,
        strip: Strip,
        own: OwnImages | None = None,
    ) -> None:
        self.state, self.services = state, services
        self.own = own or OwnImages()
        self.controls, self.strip = controls, strip
        self.catalogue: Catalogue | None = None
        self.items: tuple[Item, ...] = ()
        self.trouble: tuple[str, str] | tuple[()] = ()
        self.busy = False

    @property
    def item(self) -> Item | None:
        """The image that is shown."""
        return next((item for item in self.items if item.id == self.state.image), None)

    def settle(self) -> None:
        """Bring every value of the state into what there is, and the widgets after it."""
        self.busy = True
        try:
            with param.parameterized.batch_call_watchers(self.state):
                self._settle_study()
                if self.catalogue is not None:
                    self._settle_images(self.catalogue)
                    self._settle_model(self.catalogue)
        finally:
            self.busy = False

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
        self.catalogue, self.trouble = None, ()
        try:
            self.catalogue = self.services.catalogue(study)
        except (XaievalError, OSError) as error:
            self.trouble = ("The images of this study are not here", str(error))
            return
        if self.catalogue is None:
            self.trouble = (
                "Published results hold no images",
                "They were re-aggregated from published runs; no model was run here. "
                "The Batch page shows them.",
            )
        elif not self.catalogue.checkpoints:
            self.trouble = (
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
        self.items = (*self.own.items, *catalogue.items(split, class_name))
        ids = {item.id for item in self.items}
        image = self.state.image
        if image not in ids:
            if image.startswith("own-"):
                self.state.notify(
                    "An own image stays in the session that opened it and is not in the link; "
                    "another one is shown."
                )
            elif image and catalogue.find(image) is None:
                self.state.notify("The link's image is not in this study; another one is shown.")
            there = [item for item in self.items if item.id not in self.own]
            first = next((item for item in there if item.has_mask), None)
            first = first or (there[0] if there else None)
            self.state.image = first.id if first else ""
        self.strip.show(self.items, self.state.image)

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
        self._settle_region(catalogue)
        self._settle_edit(catalogue)
        metrics = list(self.controls.metric.options.values())
        self.controls.metric.value = self._pick("metric", metrics, "topk_overlap", "metric")
        unknown = [key for key in self.state.methods if key not in catalogue.methods]
        if unknown:
            self.state.notify(f"There is no method “{unknown[0][:40]}”; it was left out.")
            self.state.methods = tuple(k for k in self.state.methods if k in catalogue.methods)
        keys = self.state.methods or catalogue.first_methods
        if not set(self.state.swipe) <= set(keys):
            self.state.swipe = ()  # one of the two is not shown any more
        labels = method_labels(tuple(catalogue.methods.values()))
        near = [key for key in catalogue.methods if key in {*catalogue.own_methods, *keys}]
        self.controls.methods.param.update(
            options={labels[key]: key for key in near}, value=list(keys)
        )
        self.controls.add_method.param.update(
            groups=_by_family(catalogue, labels, without=near), value=""
        )

    def _settle_region(self, catalogue: Catalogue) -> None:
        known = self.regions_here(catalogue)
        if self.state.region == OWN_MASK and OWN_MASK not in known:
            self.state.notify("An own mask is not in the link; the data set's is scored.")
            self.state.region = ""
        self._pick("region", ("", *known), "", "region")
        self.state.region = self.region_for_link(self.state.region)
        self.controls.region.visible = len(known) > 1
        there = {"part": known, "overlapping": (), "absent": ()}
        if set(self.controls.region.values) != set(known):
            self._offer_regions(catalogue, there)
        elif known:
            select, value = self.controls.region, self.state.region or catalogue.default_region
            disabled = [name for name in select.disabled_options if name != value]
            select.param.update(value=value, disabled_options=disabled)

    def regions_here(self, catalogue: Catalogue) -> tuple[str, ...]:
        """Return the regions that the image shown may be scored by, the own mask last."""
        image = self.state.image
        own = (OWN_MASK,) if self.own.mask(self.state.study, image) is not None else ()
        return own if image in self.own else (*catalogue.regions, *own)

    def _settle_edit(self, catalogue: Catalogue) -> None:
        """Drop an edit that is about a region or a method that nobody knows here."""
        if not self.state.edit:
            return
        edit = parse_edit(self.state.edit)
        if edit.region == OWN_MASK and OWN_MASK not in self.regions_here(catalogue):
            lost = "An own mask is not in the link"
        elif edit.region and edit.region not in (*catalogue.regions, OWN_MASK):
            lost = f"There is no region “{edit.region[:40]}” here"
        elif edit.topk and edit.topk not in catalogue.methods:
            lost = f"There is no method “{edit.topk[:40]}” here"
        else:
            return
        self.state.edit = ""
        self.state.notify(f"{lost}; the image is shown as it is.")

    def region_for_link(self, region: str) -> str:
        """Return a region as a link names it: the default one by nothing."""
        usual = "" if self.catalogue is None else self.catalogue.default_region
        return "" if region == usual else region

    def _offer_regions(self, catalogue: Catalogue, there: dict[str, tuple[str, ...]]) -> None:
        """Offer the regions of an image; those that it lacks are named, not offered."""
        value = self.state.region or catalogue.default_region
        groups = {_KINDS[kind]: {n: n for n in names} for kind, names in there.items() if names}
        absent = [name for name in there["absent"] if name != value]
        select = self.controls.region
        if (select.groups, select.value, select.disabled_options) != (groups, value, absent):
            select.param.update(groups=groups, value=value, disabled_options=absent)

    def settle_scene(self, scene: Scene) -> None:
        """Offer the image's regions; fit the slider of K and threshold to it."""
        end = scene.k_end(self.state.k)
        self.busy = True
        try:
            if self.catalogue is not None and len(known := self.regions_here(self.catalogue)) > 1:
                self._offer_regions(self.catalogue, region_names(scene, known))
            self.controls.steer.show(
                k=min(self.state.k or scene.default_k, end),
                usual=scene.default_k,
                end=end,
                chosen=self.state.k is not None,
                threshold=self.state.threshold,
                sample=scene.sample_id,
            )
        finally:
            self.busy = False


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
