"""The widgets of Compare: models and what is asked of them on top, images and view on the left."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from ..controls import SMALL, drawing_widgets
from ..state import MOST_MODELS, AppState


class CompareControls:
    """Widgets only: what they may hold and what they do is the page's business."""

    def __init__(self, state: AppState) -> None:
        self.models = pmui.MultiChoice(
            label=f"Models, up to {MOST_MODELS}",
            max_items=MOST_MODELS,
            margin=0,
            sizing_mode="stretch_width",
        )
        self.study = pmui.Select(label="Images of", **{**SMALL, "margin": (8, 0, 0, 0)})
        self.split = pmui.Select(label="Split", **SMALL)
        self.class_name = pmui.Select(label="Class", **SMALL)
        self.method = pmui.Select(label="Method", **SMALL)
        self.target = pmui.Select(label="Explained class", **SMALL)
        self.region = pmui.Select(label="Region", **SMALL)
        self.metric = pmui.Select(label="Score", **SMALL)
        self.view, self.opacity, self.colormap, self.display, self.scale = drawing_widgets(state)
        self.images = pmui.Select(
            label="Images of the figure",
            options={"all": "all", "correctly classified": "correct"},
            size="small",
            margin=0,
            width=196,
        )

    def bar(self) -> pn.viewable.Viewable:
        """Return the rows above the cards."""
        asked = pmui.Row(
            self.method,
            self.target,
            self.region,
            self.metric,
            sizing_mode="stretch_width",
            margin=0,
            sx={"gap": "8px"},
        )
        return pmui.Column(
            self.models,
            asked,
            sizing_mode="stretch_width",
            margin=(12, 16, 4, 8),
            sx={"gap": "10px"},
        )

    def rail(self, strip: pn.viewable.Viewable) -> pn.viewable.Viewable:
        """Return the column on the left: images, and how maps are drawn."""
        return pmui.Column(
            self.study,
            pmui.Row(self.split, self.class_name, margin=0, sx={"gap": "8px"}),
            strip,
            _heading("View"),
            self.view,
            self.opacity,
            self.colormap,
            pmui.Row(self.display, self.scale, margin=(4, 0, 0, 0), sx={"gap": "8px"}),
            width=264,
            sizing_mode="stretch_height",
            margin=(12, 8, 16, 16),
            sx={"gap": "8px"},
            scroll="y",
        )


def _heading(text: str) -> pn.viewable.Viewable:
    return pmui.Typography(
        text, variant="overline", margin=(4, 0, 0, 0), sx={"lineHeight": 1.4, "opacity": 0.75}
    )
