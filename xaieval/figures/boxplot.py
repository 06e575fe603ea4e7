"""The win-rate boxplot over seeds, drawn with Bokeh: every box and point carries its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    GroupFilter,
    HoverTool,
    LinearAxis,
    Span,
    TapTool,
)
from bokeh.plotting import figure

from xaieval.figures.axes import short_name, style_axes
from xaieval.figures.boxes import Boxes, count_text, head_text
from xaieval.figures.chart_names import wrapped
from xaieval.figures.palette import INKS, Ink, Mode, Origin, method_colours, method_marks
from xaieval.figures.spoken import spoken

_SIZES = {"square": 5.8, "triangle": 7.5, "inverted_triangle": 7.5, "star": 9.0}  # look equal
_FOOT_PX = 44  # the methods' names below the last row
_PANEL = 0.94  # share of a column's width that its ground covers; the rest parts the columns


@dataclass(frozen=True, eq=False)
class BoxFigure:
    """A boxplot figure: one Bokeh figure per split over shared sources.

    ``boxes`` and ``points`` carry an ``id`` column ("test|crack|gradcam", and with "|46" for the
    point of seed 46): a selection made by tapping names what was tapped.
    """

    rows: tuple[Any, ...]
    boxes: ColumnDataSource
    points: ColumnDataSource


def win_rate_figure(
    data: Boxes,
    *,
    labels: Mapping[str, str],
    mode: Mode = "light",
    origin: Origin = "measured",
    value_label: str = "win rate",
    row_height_px: int = 200,
) -> BoxFigure:
    """Draw win rates as boxes over seeds: a row per split, a column per class.

    Box: quartiles. Solid bar: median. Dashed bar: mean. Whiskers: outermost seeds within 1.5 box
    heights. Every seed is a point; equal ones stand side by side. Columns with fewer than ten
    images are hatched. Tapping a point marks the same seed everywhere.

    Parameters
    ----------
    data : Boxes
        From ``boxes.boxes``.
    labels : mapping method key -> str
        Names as people read them.
    mode : {"light", "dark"}
        Ground of the page.
    origin : {"measured", "published"}
        Published figures: another family of colours, hollow points, dashed boxes.
    """
    ink = INKS[mode]
    boxes, points, slot = _placed(data, labels, mode, origin)
    box_source, point_source = ColumnDataSource(boxes), ColumnDataSource(points)
    rows = []
    for split in data.splits:
        rows.append(
            _box_row(
                data,
                split,
                (box_source, point_source),
                labels=labels,
                ink=ink,
                origin=origin,
                slot=slot,
                value_label=value_label,
                height=row_height_px + (_FOOT_PX if split == data.splits[-1] else 0),
                last=split == data.splits[-1],
            )
        )
    point_source.selected.js_on_change(
        "indices", CustomJS(args={"source": point_source}, code=_SAME_SEED)
    )
    return BoxFigure(tuple(rows), box_source, point_source)


TAPPED = "xaieval-tap"
"""Event on the browser's window: ``detail.id`` of the point or box tapped, '' for none."""

_TELL = """
const {x, y} = cb_obj;
const px = fig.inner_width / (fig.x_range.end - fig.x_range.start);
const py = fig.inner_height / (fig.y_range.end - fig.y_range.start);
let id = "", nearest = 10, hit = -1;
const p = points.data;
for (let i = 0; i < p.id.length; i++) {
  if (p.split[i] !== split) continue;
  const far = Math.hypot((p.x[i] - x) * px, (p.value[i] - y) * py);
  if (far <= nearest) { nearest = far; id = p.id[i]; hit = i; }
}
if (hit >= 0) points.selected.indices = [hit];  // near enough counts, as for the panel
const b = boxes.data, slack = 4 / py;
for (let i = 0; i < b.id.length && !id; i++) {
  if (b.split[i] === split && x >= b.left[i] && x <= b.right[i]
      && y >= b.q1[i] - slack && y <= b.q3[i] + slack) id = b.id[i];
}
window.dispatchEvent(new CustomEvent(event, {detail: {id}}));
"""

_SAME_SEED = """
const chosen = cb_obj.indices;
if (chosen.length === 0) return;
const seeds = new Set(chosen.map((i) => source.data.seed[i]));
const all = [];
for (let i = 0; i < source.data.seed.length; i++) if (seeds.has(source.data.seed[i])) all.push(i);
if (all.length !== chosen.length) cb_obj.indices = all;
"""


def _placed(
    data: Boxes, labels: Mapping[str, str], mode: Mode, origin: Origin
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Add places, colours, marks and texts to both tables; x runs from 0 to the column count."""
    slot = 0.88 / max(len(data.methods), 1)
    half = min(0.4 * slot, 0.16)
    colours = method_colours(data.methods, mode=mode, origin=origin)
    marks = method_marks(data.methods)
    column = {name: i for i, name in enumerate(data.classes)}
    place = {name: (i - (len(data.methods) - 1) / 2) * slot for i, name in enumerate(data.methods)}
    tables = []
    for table in (data.boxes, data.points):
        middle = [
            column[c] + 0.5 + place[m]
            for c, m in zip(table["class"], table["method_id"], strict=True)
        ]
        table = table.assign(
            x=np.asarray(middle, float),
            colour=[colours[m] for m in table["method_id"]],
            mark=[marks[m] for m in table["method_id"]],
            size=[_SIZES.get(marks[m], 7.0) for m in table["method_id"]],
            label=[labels.get(m, m) for m in table["method_id"]],
        )
        tables.append(table)
    boxes, points = tables
    boxes = boxes.assign(
        left=boxes["x"] - half,
        right=boxes["x"] + half,
        cap_left=boxes["x"] - half / 2,
        cap_right=boxes["x"] + half / 2,
        interval=[
            "no interval" if np.isnan(a) else f"95 % interval {a:.3f} to {b:.3f}"
            for a, b in zip(boxes["low"], boxes["high"], strict=True)
        ],
        images=[_images(a, b) for a, b in zip(boxes["n_low"], boxes["n_high"], strict=True)],
    )
    points = points.assign(
        x=points["x"] + points["shift"] * half,
        seed=points["seed"].astype(str),
        images=[
            _images(n, n) + ("" if np.isnan(out) else f", {out:.0f} left out")
            for n, out in zip(points["n"], points["left_out"], strict=True)
        ],
    )
    return boxes, points, slot


def _images(low: float, high: float) -> str:
    """Return a number of images for a tooltip."""
    count = count_text(low, high).removeprefix("n ")
    return f"{count} images" if count else "number of images not known"


def _box_row(
    data: Boxes,
    split: str,
    sources: tuple[ColumnDataSource, ColumnDataSource],
    *,
    labels: Mapping[str, str],
    ink: Ink,
    origin: Origin,
    slot: float,
    value_label: str,
    height: int,
    last: bool,
) -> Any:
    box_source, point_source = sources
    here = GroupFilter(column_name="split", group=split)
    box_view, point_view = CDSView(filter=here), CDSView(filter=here)
    columns = len(data.classes)
    fig = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=(0, columns),
        y_range=(-0.04, 1.04),
        tools="",
        toolbar_location=None,
        name=f"win-rate-{split}",
        html_attributes=spoken(f"{value_label} per class and method, split {split}"),
        min_border=0,
        outline_line_color=None,
        background_fill_alpha=0,
        border_fill_alpha=0,
    )
    few = data.boxes[(data.boxes["split"] == split) & data.boxes["few"]]["class"].unique()
    for i, name in enumerate(data.classes):
        pad = (1 - _PANEL) / 2
        fig.quad(
            left=i + pad,
            right=i + 1 - pad,
            bottom=-0.04,
            top=1.04,
            fill_color=ink.band,
            line_color=None,
            hatch_pattern="right_diagonal_line" if name in few else None,
            hatch_color=ink.muted,
            hatch_alpha=0.11,
            hatch_weight=0.6,
            hatch_scale=9,
            level="underlay",
        )
    published = origin == "published"
    same: dict[str, Any] = {"source": box_source, "view": box_view}
    steady: dict[str, Any] = {"nonselection_alpha": 1, "line_color": "colour"}
    fig.segment("x", "whisker_low", "x", "q1", line_width=1.5, **steady, **same)
    fig.segment("x", "q3", "x", "whisker_high", line_width=1.5, **steady, **same)
    for end in ("whisker_low", "whisker_high"):
        fig.segment("cap_left", end, "cap_right", end, line_width=1.5, **steady, **same)
    box = fig.quad(
        left="left",
        right="right",
        bottom="q1",
        top="q3",
        fill_color="colour",
        fill_alpha=0.12 if published else 0.24,
        line_color="colour",
        line_width=1.5,
        line_dash="dashed" if published else "solid",
        nonselection_fill_alpha=0.12 if published else 0.24,
        nonselection_line_alpha=1,
        name="boxes",
        **same,
    )
    fig.segment("left", "median", "right", "median", line_width=3, **steady, **same)
    fig.segment("left", "mean", "right", "mean", line_width=1.8, line_dash=[4, 3], **steady, **same)
    point = fig.scatter(
        "x",
        "value",
        marker="mark",
        size="size",
        fill_color=ink.band if published else "colour",
        line_color="colour" if published else ink.band,
        line_width=1.4 if published else 0.8,
        fill_alpha=0.95,
        nonselection_fill_alpha=0.15,
        nonselection_line_alpha=0.25,
        selection_line_color=ink.text,
        selection_line_width=1.6,
        name="points",
        source=point_source,
        view=point_view,
    )
    fig.add_tools(
        HoverTool(renderers=[point], tooltips=_POINT_HOVER, point_policy="snap_to_data"),
        HoverTool(renderers=[box], tooltips=_BOX_HOVER),
        TapTool(renderers=[point, box]),
    )
    told = {"points": point_source, "boxes": box_source, "split": split, "fig": fig}
    fig.js_on_event("tap", CustomJS(args=told | {"event": TAPPED}, code=_TELL))
    _axes(fig, data, split, labels=labels, ink=ink, slot=slot, value_label=value_label)
    fig.xaxis[1].visible = last  # the rows share their methods' names
    return fig


_POINT_HOVER = """<div style="font:12px/1.5 system-ui,sans-serif;color:#1d2126">
<b>@label</b> · seed @seed<br>@split, @class: <b>@value{0.000}</b><br>
@images</div>"""
_BOX_HOVER = """<div style="font:12px/1.5 system-ui,sans-serif;color:#1d2126">
<b>@label</b> · @split, @class<br>mean <b>@mean{0.000}</b> ± @std{0.000}<br>
median @median{0.000}, quartiles @q1{0.000} to @q3{0.000}<br>
@interval<br>@n_seeds seeds, @images each</div>"""


def _axes(
    fig: Any,
    data: Boxes,
    split: str,
    *,
    labels: Mapping[str, str],
    ink: Ink,
    slot: float,
    value_label: str,
) -> None:
    """Class and n above each column, method under each box, rates on the left."""
    heads = {i + 0.5: head_text(data, split, name) for i, name in enumerate(data.classes)}
    feet = {}
    narrow = len(data.classes) * len(data.methods) > 21
    for i in range(len(data.classes)):
        for j, method in enumerate(data.methods):
            text = labels.get(method, method)
            text = short_name(text) if narrow else wrapped(text, 12)
            feet[round(i + 0.5 + (j - (len(data.methods) - 1) / 2) * slot, 6)] = text
    top = LinearAxis(ticker=FixedTicker(ticks=list(heads)), major_label_overrides=heads)
    fig.add_layout(top, "above")
    fig.xaxis[1].ticker = FixedTicker(ticks=list(feet))
    fig.xaxis[1].major_label_overrides = feet
    fig.xgrid.grid_line_color = None
    fig.ygrid.grid_line_color = ink.line
    fig.ygrid.level = "underlay"
    fig.yaxis.ticker = FixedTicker(ticks=[0, 0.25, 0.5, 0.75, 1])
    fig.yaxis.axis_label = f"{split.capitalize()}: {value_label}"
    fig.add_layout(Span(location=0, dimension="width", line_color=ink.line))
    style_axes(fig, ink)
    top.major_label_text_color = ink.text
