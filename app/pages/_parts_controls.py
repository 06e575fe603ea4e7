"""The widgets of the Parts page, and what they may hold for the opened study."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.export import method_labels
from xaieval.export.regional import RegionalView
from xaieval.metrics import parse_metric
from xaieval.study import Results
from xaieval.study.regional import FACE_GROUPS, falsification_metrics, regional_metrics

from ..services import Services
from ..state import ANY
from ..theme import HIDE_LABEL

_ALL_SEEDS = ""


class PartsControls:
    """Widgets only: what they do is the page's business."""

    def __init__(self) -> None:
        small: dict[str, Any] = {"size": "small", "margin": 0}
        self.study = pmui.Select(label="Study", width=250, **small)
        self.metric = pmui.Select(label="Score", width=190, **small)
        self.split = pmui.Select(label="Split", width=110, **small)
        self.class_name = pmui.Select(label="Class", width=160, **small)
        self.seed = pmui.Select(label="Model seed", width=120, **small)
        self.images = pmui.Select(
            label="Images",
            options={"correctly classified": "correct", "all": "all"},
            width=196,
            **small,
        )
        pills: dict[str, Any] = {"variant": "filled", "sx": {"gap": "4px"}, **small}
        pills |= {"sizing_mode": "stretch_width", "stylesheets": [HIDE_LABEL]}
        self.methods = pmui.MultiPill(label="Methods", **pills)
        self.regions = pmui.MultiPill(label="Regions", **pills)
        self.sets = pmui.RadioButtonGroup(
            label="Sets of regions", stylesheets=[HIDE_LABEL], size="small", margin=0
        )
        self.region = pmui.Select(label="Region", width=170, **small)
        self.falsified = pmui.Select(label="Rule", width=190, **small)
        self.points = pmui.Select(
            label="A point per",
            options={"method": "methods", "method and class": "classes"},
            width=184,
            **small,
        )
        self.method = pmui.Select(label="Method", width=200, **small)
        self.cell = pmui.Select(
            label="Cells", options={"score": "score", "lift": "lift"}, width=110, **small
        )

    def bar(self) -> pn.viewable.Viewable:
        """Return the rows above the figures."""
        return pn.Column(
            pn.FlexBox(
                self.study,
                self.metric,
                self.split,
                self.class_name,
                self.seed,
                self.images,
                gap="12px 12px",
                sizing_mode="stretch_width",
                margin=0,
            ),
            _named("Methods", self.methods),
            _named("Regions", self.regions, self.sets),
            sizing_mode="stretch_width",
            margin=(16, 0, 12, 0),
            styles={"gap": "10px"},
        )

    def offer(self, services: Services, results: Results, view: RegionalView | None) -> None:
        """Fill the widgets from an opened study and a settled view (None: nothing to show)."""
        opened = titles(services)
        key = next(k for k, r in services.results.items() if r is results)
        self.study.param.update(options=opened, value=key, visible=len(opened) > 1)
        there = view is not None
        for widget in (self.metric, self.split, self.class_name, self.seed, self.images):
            widget.disabled = not there
        for row in (self.methods, self.regions, self.sets):
            row.visible = there
        if view is None:
            return
        labels = method_labels(results)
        metrics = {parse_metric(m).label: m for m in regional_metrics(results)}
        self.metric.param.update(options=metrics, value=view.metric)
        splits = {name: name for name in results.splits}
        self.split.param.update(options=splits, value=view.split)
        classes = {"all": ANY} | {name: name for name in results.classes}
        self.class_name.param.update(options=classes, value=view.class_name or ANY)
        seeds = {"all": _ALL_SEEDS} | {str(s): str(s) for s in results.seeds}
        seed = _ALL_SEEDS if view.seed is None else str(view.seed)
        self.seed.param.update(options=seeds, value=seed)
        self.images.value = view.population
        own = {labels[m]: m for m in results.method_ids}
        self.methods.param.update(options=own, value=list(view.methods))
        regions = {name: name for name in results.regions}
        self.regions.param.update(options=regions, value=list(view.regions))
        sets = region_sets(results)
        chosen = next((name for name, it in sets.items() if it == view.regions), None)
        self.sets.param.update(options=list(sets), value=chosen, visible=len(sets) > 1)
        self.region.param.update(options=regions, value=view.region)
        self.method.param.update(options=own, value=view.method)
        rules = {_rule(key): key for key in falsification_metrics(results)}
        self.falsified.param.update(options=rules, value=view.falsified or None)


def region_sets(results: Results) -> dict[str, tuple[str, ...]]:
    """Return name -> regions that can be chosen at once."""
    sets = {"All": results.regions}
    if set(FACE_GROUPS) <= set(results.regions):
        parts = tuple(r for r in results.regions if r not in FACE_GROUPS or r == "nose")
        sets = {"Groups": FACE_GROUPS, "Parts": parts, "All": results.regions}
    return sets


def titles(services: Services) -> dict[str, str]:
    """Return title -> key of the opened studies; equal titles are told apart."""
    found = [results.title for results in services.results.values()]
    return {
        r.title if found.count(r.title) == 1 else f"{r.title} ({key})": key
        for key, r in services.results.items()
    }


def _rule(metric: str) -> str:
    label = "area-matched" if "rule=area-matched" in metric else "as published"
    rest = [p for p in metric.partition("@")[2].split(",") if p and not p.startswith("rule=")]
    return f"{label} ({', '.join(rest)})" if rest else label


def _named(name: str, *widgets: pn.viewable.Viewable) -> pn.viewable.Viewable:
    title = pmui.Typography(
        name, variant="overline", width=64, margin=(4, 0), sx={"lineHeight": 1.4, "opacity": 0.75}
    )
    return pmui.Row(title, *widgets, sizing_mode="stretch_width", margin=0, sx={"gap": "8px"})
