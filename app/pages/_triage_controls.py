"""The widgets of the Triage page's rail, and what they may hold for the opened study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.export import method_labels
from xaieval.metrics import parse_metric
from xaieval.study import Results

from ..services import Services
from ..state import ANY, AppState
from ..theme import HIDE_LABEL
from ..triage.desk import Patterns
from ._parts_controls import titles
from ._triage_asking import split_of

ALL_SEEDS = ""
MEAN = ""
"""The method that stands for the mean of all that compete."""

_COMPACT = {
    "& .MuiSelect-select": {"fontSize": "13px", "padding": "7px 24px 7px 10px !important"},
    "& .MuiSelect-icon": {"right": "2px"},
}


class TriageControls:
    """Widgets only: what they do is the page's business."""

    def __init__(self, patterns: Patterns) -> None:
        small: dict[str, Any] = {
            "size": "small",
            "margin": 0,
            "sizing_mode": "stretch_width",
            "sx": _COMPACT,
        }
        self.study = pmui.Select(label="Study", **small)
        self.split = pmui.Select(label="Split", **small)
        self.class_name = pmui.Select(label="Class", **small)
        self.seed = pmui.Select(label="Model seed", **small)
        self.images = pmui.Select(
            label="Images compared",
            options={"classified correctly": "correct", "all": "all"},
            **small,
        )
        self.metric = pmui.Select(label="Score", **small)
        self.method = pmui.Select(label="Score of", **small)
        self.region = pmui.Select(label="Region", **small)
        self.tag = pmui.Select(label="Tag", **small)
        self.answers = pmui.RadioButtonGroup(
            label="Answers",
            options={"All": "all", "Right": "correct", "Wrong": "wrong"},
            size="small",
            margin=0,
            sizing_mode="stretch_width",
            stylesheets=[HIDE_LABEL],
        )
        self.clear = pmui.Button(label="Clear the filters", size="small", variant="text", margin=0)
        self.patterns = patterns
        self._filters = (
            self.split,
            self.class_name,
            self.seed,
            self.tag,
            self.answers,
            self.metric,
            self.method,
            self.region,
            self.images,
            self.clear,
            self.patterns,
        )

    def rail(self) -> pn.viewable.Viewable:
        """Return the column on the left."""

        def pair(*widgets: pn.viewable.Viewable) -> pn.viewable.Viewable:
            return pmui.Row(*widgets, sizing_mode="stretch_width", margin=0, sx={"gap": "8px"})

        return pmui.Column(
            self.study,
            pair(self.split, self.class_name),
            pair(self.seed, self.tag),
            self.answers,
            self.metric,
            pair(self.method, self.region),
            self.images,
            self.patterns,
            self.clear,
            width=264,
            sizing_mode="stretch_height",
            margin=(12, 8, 16, 16),
            sx={"gap": "10px", "paddingTop": "10px"},
            scroll="y",
        )

    def _offer_study(self, services: Services, results: Results) -> None:
        opened = titles(services)
        key = next(k for k, r in services.results.items() if r is results)
        self.study.param.update(options=opened, value=key, visible=len(opened) > 1)

    def offer_none(self, services: Services, results: Results) -> None:
        """Leave the study to choose, of results without rows."""
        self._offer_study(services, results)
        for widget in self._filters:
            widget.visible = False

    def offer(self, services: Services, results: Results, state: AppState) -> None:
        """Fill the widgets from opened, measured results and a settled state."""
        self._offer_study(services, results)
        for widget in self._filters:
            widget.visible = True
        splits = {name: name for name in results.splits} | {"all": ANY}
        self.split.param.update(options=splits, value=split_of(state, results))
        classes = {"all": ANY} | {name: name for name in results.classes}
        chosen = state.class_name if state.class_name in results.classes else ANY
        self.class_name.param.update(options=classes, value=chosen)
        seeds = {"all": ALL_SEEDS} | {str(s): str(s) for s in results.seeds}
        seed = str(state.part_seed) if state.part_seed in results.seeds else ALL_SEEDS
        self.seed.param.update(options=seeds, value=seed)
        self.answers.value = state.answers
        self.images.param.update(value=state.images or "correct", visible=bool(state.outcome))
        keys = results.metric_keys
        named = {parse_metric(m).label: m for m in keys}
        if len(named) < len(keys):
            named = {m: m for m in keys}
        self.metric.param.update(options=named, value=state.metric)
        labels = method_labels(results)
        options = {"mean of all": MEAN} | {labels[m]: m for m in results.method_ids}
        self.method.param.update(options=options, value=state.method)
        regions = {name: name for name in results.regions}
        region = state.region or next(iter(regions), None)
        self.region.param.update(options=regions, value=region, visible=len(regions) > 1)

    def offer_tags(self, tags: Sequence[str], chosen: str) -> None:
        """Offer the tags in use; one that is asked for stays, although nobody gave it yet."""
        known = [*tags, *([chosen] if chosen and chosen not in tags else [])]
        options = {"any": ""} | {tag: tag for tag in sorted(known)}
        self.tag.param.update(options=options, value=chosen)
