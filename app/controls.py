"""The widgets of Explore and where they stand: the row on top and the rail on the left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.metrics import METRICS

from .state import COLOUR_MAPS, AppState
from .steer import Steer
from .theme import HIDE_LABEL

_NARROW = {
    "& .MuiSelect-select": {"fontSize": "13px", "padding": "8.5px 24px 8.5px 10px !important"},
    "& .MuiSelect-icon": {"right": "2px"},
}
"""Seven selects beside each other show what is chosen at 1280 px."""

NARROW_PAGE = "@media (max-width: 900px)"
STACKED = {NARROW_PAGE: {"flexDirection": "column !important", "overflowY": "auto"}}
"""On a narrow page the rail stands above the cards, and both scroll together."""
RAIL = [
    f"{NARROW_PAGE} {{ :host {{ width: auto !important; height: auto !important; "
    "min-height: 0 !important; flex: none !important; } }"
]
BESIDE_RAIL = [
    f"{NARROW_PAGE} {{ :host {{ width: 100% !important; height: auto !important; "
    "flex: none !important; overflow: visible !important; } }"
]

SMALL: dict[str, Any] = {"size": "small", "margin": 0, "sizing_mode": "stretch_width"}
"""How every widget of a card page is set."""


def drawing_widgets(
    state: AppState,
) -> tuple[pmui.RadioButtonGroup, pmui.FloatSlider, pmui.Select, pmui.Select, pmui.Select]:
    """Return what decides how cards are drawn: view, opacity, colour map, values, scale."""
    return (
        pmui.RadioButtonGroup(
            label="Show",
            options={"Both": "both", "Heatmap": "heatmap", "Top-K": "topk"},
            value=state.view,
            stylesheets=[HIDE_LABEL],
            **SMALL,
        ),
        pmui.FloatSlider(
            label="Heatmap opacity",
            start=0,
            end=1,
            step=0.05,
            value=state.opacity,
            show_value=False,
            **SMALL,
        ),
        pmui.Select(label="Colour map", options=list(COLOUR_MAPS), value=state.colormap, **SMALL),
        pmui.Select(
            label="Values",
            options={"min–max": "minmax", "raw": "raw", "signed": "signed"},
            value=state.display,
            **SMALL,
        ),
        pmui.Select(
            label="Scale",
            options={"each map": "each", "clip top 0.5 %": "clipped", "shared": "shared"},
            value=state.scale,
            **SMALL,
        ),
    )


class Controls:
    """Widgets only: what they may hold and what they do is the page's business."""

    def __init__(self, state: AppState, on_cut: Callable[[str, int, int, str], None]) -> None:
        self.steer = Steer(on_cut, margin=0)
        self.study = pmui.Select(label="Study", **SMALL)
        self.split = pmui.Select(label="Split", **SMALL)
        self.class_name = pmui.Select(label="Class", **SMALL)
        self.seed = pmui.Select(label="Model seed", **SMALL)
        self.target = pmui.Select(label="Explained class", **SMALL)
        self.metric = pmui.Select(
            label="Ranked by",
            options={
                spec.label: key
                for key, spec in METRICS.items()
                if spec.higher_is_better is not None and "model" not in spec.needs
            },
            **SMALL,
        )
        self.region = pmui.Select(label="Region scored", **SMALL)
        self.methods = pmui.MultiPill(
            label="Methods", variant="filled", sx={"gap": "4px"}, stylesheets=[HIDE_LABEL], **SMALL
        )
        self.add_method = pmui.Select(label="Add a method", **SMALL)
        self.view, self.opacity, self.colormap, self.display, self.scale = drawing_widgets(state)

    def bar(self) -> pn.viewable.Viewable:
        """Return the row above the cards: what is looked at."""
        shares = (
            (self.study, 206),
            (self.split, 72),
            (self.class_name, 116),
            (self.seed, 90),
            (self.target, 161),
            (self.region, 113),
            (self.metric, 165),
        )
        for select, width in shares:  # in proportion to what they mostly say
            select.styles = {"flex": f"{width} 1 0", "min-width": "0"}
            select.sx = _NARROW
        return pmui.Row(
            *(select for select, _ in shares),
            sizing_mode="stretch_width",
            margin=(12, 16, 4, 8),
            sx={"gap": "8px"},
        )

    def rail(
        self, strip: pn.viewable.Viewable, files: pn.viewable.Viewable
    ) -> pn.viewable.Viewable:
        """Return the column on the left: images, methods, K, how things are drawn, files."""
        pair = {"margin": (4, 0, 0, 0), "sx": {"gap": "8px"}}
        return pmui.Column(
            strip,
            _group(_heading("Methods"), self.methods, self.add_method),
            _group(
                _heading("Strongest pixels"),
                self.steer,
                _heading("View"),
                self.view,
                pmui.Row(self.opacity, self.colormap, **pair),
                pmui.Row(self.display, self.scale, **pair),
            ),
            _group(_heading("Save this view"), files),
            width=264,
            sizing_mode="stretch_height",
            margin=(12, 8, 16, 16),
            sx={"gap": "8px", NARROW_PAGE: {"flexDirection": "row !important", "gap": "24px"}},
            scroll="y",
            stylesheets=RAIL,
        )


def _group(*parts: pn.viewable.Viewable) -> pn.viewable.Viewable:
    return pmui.Column(*parts, sizing_mode="stretch_width", margin=0, sx={"gap": "8px"})


def _heading(text: str) -> pn.viewable.Viewable:
    return pmui.Typography(
        text, variant="overline", margin=(4, 0, 0, 0), sx={"lineHeight": 1.4, "opacity": 0.75}
    )
