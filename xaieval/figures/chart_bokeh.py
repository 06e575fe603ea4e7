"""Charts drawn with Bokeh, for pages and reports: hover tells the numbers, taps name their row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearAxis,
    Span,
    TapTool,
)

from xaieval.figures.axes import FONT, style_axes
from xaieval.figures.chart import Chart
from xaieval.figures.chart_frame import (
    WIDTH_PX,
    add_legend,
    empty_figure,
    put_names,
    row_hover,
    tip,
)
from xaieval.figures.chart_heat import draw_heat
from xaieval.figures.chart_names import number_text
from xaieval.figures.chart_parts import (
    FEW_DOTS,
    FEW_MARKS,
    FEW_POINTS,
    Parts,
    chart_parts,
    reference_ticks,
)
from xaieval.figures.chart_places import name_places
from xaieval.figures.palette import INKS, Ink, Mode

_SIZES = {"square": 6.8, "triangle": 8.5, "inverted_triangle": 8.5, "star": 10.0}  # look equal

_HEIGHT_PX = 370  # with one line of legend and one of names


def draw_chart(
    chart: Chart, *, mode: Mode = "light", width: int | None = None, height: int | None = None
) -> Any:
    """Draw a chart with Bokeh.

    Boxes: quartiles, solid median, dashed mean, whiskers to the outermost rows within 1.5 box
    heights, every row a point (past 4000 rows only those outside the whiskers; ``chart_note``
    says so). Points: whiskers are the interval. Bars: whiskers are the interval, a dark bar the
    reference. Lines: the band is the interval. Heat: cividis, numbers in the cells when there are
    at most 150.

    Parameters
    ----------
    chart : Chart
    mode : "light" or "dark"
        Ground of the page.
    width, height : int, optional
        Pixels. Default: as wide as the page, as high as legend and names need.

    Returns
    -------
    bokeh figure
        Named ``chart-<id>``. Its renderer "rows" holds a column ``id`` where the chart's table
        has one, so that a page can tell what was tapped.
    """
    ink = INKS[mode]
    if chart.kind == "heat":
        return draw_heat(chart, ink=ink, width=width, height=height)
    parts = chart_parts(chart, mode=mode)
    fig = empty_figure(
        chart,
        ink,
        x_range=parts.x_range,
        y_range=parts.y_range,
        width=width,
        height=height or _HEIGHT_PX,
    )
    fig.xgrid.grid_line_color = None if parts.ticks else ink.line
    fig.ygrid.grid_line_color = ink.line
    source = ColumnDataSource(parts.rows.assign(**_texts(chart, parts)))
    signs: dict[str, Any] = {}  # what the legend names besides the series
    if chart.kind == "boxes":
        signs |= _draw_boxes(fig, parts, ink)
    elif chart.kind == "lines":
        _draw_lines(fig, chart, parts)
    if chart.kind == "bars":
        marked = _draw_bars(fig, chart, source, ink)
    else:
        if chart.low and chart.high and chart.kind == "points":
            fig.segment("x", "low", "x", "high", source=source, color="colour", line_width=1.6)
        marked = _draw_points(fig, source, parts, ink)
    if chart.kind == "points":
        signs |= _draw_names(fig, chart, parts, ink)
    signs |= _draw_references(fig, chart, parts, ink)
    fig.add_tools(HoverTool(renderers=[marked], tooltips=row_hover(chart), point_policy=SNAP))
    if "id" in parts.rows:
        fig.add_tools(TapTool(renderers=[marked]))
    beside = add_legend(fig, chart, parts, marked, signs=signs, ink=ink, width=width)
    if parts.ticks:
        beside += put_names(fig, list(parts.ticks.values()), (width or WIDTH_PX) - 70)
    if height is None:
        fig.height += round(beside)
    style_axes(fig, ink)
    return fig


SNAP = "snap_to_data"


def _texts(chart: Chart, parts: Parts) -> dict[str, list[Any]]:
    """Return the columns that only tooltips and marks need."""
    rows = parts.rows
    small = len(rows) > (FEW_DOTS * len(parts.series) if chart.kind == "lines" else FEW_MARKS)
    texts: dict[str, list[Any]] = {
        "y_text": [number_text(v) for v in rows["y"]],
        "size": [_SIZES.get(mark, 8.0) * (0.55 if small else 1.0) for mark in rows["mark"]],
    }
    if chart.low and chart.high:
        texts["interval_text"] = [
            "none" if math.isnan(a) or math.isnan(b) else f"{number_text(a)} to {number_text(b)}"
            for a, b in zip(rows["low"], rows["high"], strict=True)
        ]
    if chart.reference:
        texts["reference_text"] = [number_text(v) for v in rows["reference"]]
    return texts


def _draw_boxes(fig: Any, parts: Parts, ink: Ink) -> dict[str, Any]:
    """Draw the boxes; return the signs of median and mean."""
    boxes = parts.boxes.assign(
        **{f"{c}_text": [number_text(v) for v in parts.boxes[c]] for c in _BOX_NUMBERS}
    )
    source = ColumnDataSource(boxes)
    same: dict[str, Any] = {"source": source, "line_color": "colour"}
    fig.segment("x", "whisker_low", "x", "q1", line_width=1.5, **same)
    fig.segment("x", "q3", "x", "whisker_high", line_width=1.5, **same)
    box = fig.quad(
        left="left",
        right="right",
        bottom="q1",
        top="q3",
        fill_color="colour",
        fill_alpha=0.24,
        line_width=1.5,
        name="boxes",
        **same,
    )
    if len(parts.rows) > FEW_MARKS:
        same["level"] = "overlay"  # a crowd of points would hide them
    fig.segment("left", "median", "right", "median", line_width=3, **same)
    fig.segment("left", "mean", "right", "mean", line_width=1.8, line_dash=[4, 3], **same)
    fig.add_tools(HoverTool(renderers=[box], tooltips=_BOX_HOVER))
    nowhere = [[math.nan]] * 4
    return {
        "median": fig.segment(*nowhere, color=ink.text, line_width=3),
        "mean": fig.segment(*nowhere, color=ink.text, line_width=1.8, line_dash=[4, 3]),
    }


_BOX_NUMBERS = ("q1", "median", "q3", "mean", "n", "whisker_low", "whisker_high")


def _draw_lines(fig: Any, chart: Chart, parts: Parts) -> None:
    for i, one in enumerate(parts.series):
        part = parts.rows[parts.rows["key"] == one.key].sort_values("x", kind="stable")
        if chart.low and chart.high:
            # A gap in the band, not an edge that runs to nowhere, where a limit is missing.
            band = part[np.isfinite(part["low"]) & np.isfinite(part["high"])]
            fig.varea(band["x"], band["low"], band["high"], color=one.colour, alpha=0.16)
        dash = ("solid", "dashed", "dotdash", "dotted")[i // len(_DASHES) % 4]
        fig.line(part["x"], part["y"], color=one.colour, line_width=2, line_dash=dash)


_DASHES = range(8)  # colours before the dash changes


def _draw_bars(fig: Any, chart: Chart, source: ColumnDataSource, ink: Ink) -> Any:
    bars = fig.quad(
        left="left",
        right="right",
        bottom=0,
        top="y",
        source=source,
        fill_color="colour",
        fill_alpha=0.78,
        line_color="colour",
        hatch_pattern="hatch",
        hatch_color=ink.band,
        hatch_scale=9,
        nonselection_fill_alpha=0.3,
        name="rows",
    )
    if chart.low and chart.high:
        fig.segment("x", "low", "x", "high", source=source, color=ink.text, line_width=1.6)
    return bars


def _draw_points(fig: Any, source: ColumnDataSource, parts: Parts, ink: Ink) -> Any:
    many = len(parts.rows) > FEW_MARKS
    return fig.scatter(
        "x",
        "y",
        marker="mark",
        size="size",
        source=source,
        fill_color="colour",
        line_color=ink.band,
        line_width=0.4 if many else 0.8,
        fill_alpha=0.5 if many else 0.95,
        nonselection_fill_alpha=0.15,
        nonselection_line_alpha=0.25,
        selection_line_color=ink.text,
        name="rows",
    )


def _draw_names(fig: Any, chart: Chart, parts: Parts, ink: Ink) -> dict[str, Any]:
    """Write the names beside few points; draw the trend and return its sign."""
    rows = parts.rows
    if chart.label and 0 < len(rows) <= FEW_POINTS:
        places = name_places(rows, x_range=parts.x_range, y_range=parts.y_range, line=parts.trend)
        right, down, align = (list(column) for column in zip(*places, strict=True))
        names = rows[["x", "y", "label"]].assign(right=right, down=down, align=align)
        fig.text(
            "x",
            "y",
            "label",
            source=ColumnDataSource(names),
            x_offset="right",
            y_offset="down",
            text_align="align",
            text_baseline="middle",
            text_color=ink.muted,
            text_font=value(FONT),
            text_font_size="12px",
        )
    if not parts.trend:
        return {}
    ends = [list(column) for column in zip(*parts.trend, strict=True)]
    line = fig.line(*ends, color=ink.muted, line_width=1.6, line_dash="dashed")
    return {"least squares": line}


def _draw_references(fig: Any, chart: Chart, parts: Parts, ink: Ink) -> dict[str, Any]:
    """Draw the reference of each x and the lines across; return the sign of the first."""
    for at, _ in chart.lines_at:
        fig.add_layout(
            Span(location=at, dimension="width", line_color=ink.text, line_dash="dotted")
        )
    if chart.lines_at:  # beside the frame, where nothing is drawn
        places = dict(chart.lines_at)
        ticker = FixedTicker(ticks=list(places))
        fig.add_layout(LinearAxis(ticker=ticker, major_label_overrides=places), "right")
    if not chart.reference or not parts.ticks:
        return {}
    at_x = reference_ticks(parts.rows)
    ticks = fig.segment(
        at_x["left"], at_x["reference"], at_x["right"], at_x["reference"],
        color=ink.text, line_width=3,
    )  # fmt: skip
    return {chart.reference.replace("_", " "): ticks}


_BOX_HOVER = tip(
    [
        "<b>@name</b> @category",
        "median <b>@median_text</b>, quartiles @q1_text to @q3_text",
        "mean @mean_text, whiskers @whisker_low_text to @whisker_high_text",
        "n @n_text",
    ]
)
