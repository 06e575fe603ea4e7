"""Charts drawn with Bokeh, for pages and reports: hover tells the numbers, taps name their row."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Label,
    Legend,
    LegendItem,
    LinearColorMapper,
    Span,
    TapTool,
)
from bokeh.plotting import figure

from xaieval.figures.axes import FONT, style_axes
from xaieval.figures.chart import Chart
from xaieval.figures.chart_parts import (
    Parts,
    cell_ink,
    chart_parts,
    heat_parts,
    number_text,
    wrapped,
)
from xaieval.figures.palette import INKS, Ink, Mode

_SIZES = {"square": 6.8, "triangle": 8.5, "inverted_triangle": 8.5, "star": 10.0}  # look equal
_FEW = 14  # so few points carry their names beside them
_CELLS = 150  # so few cells carry their numbers
_SIGN_PX = 7.0  # mean width of a sign at 12 px
_WIDTH_PX = 860  # what texts are laid out for when the figure fills its page


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
        Pixels. Default: as wide as the page, height as the kind needs.

    Returns
    -------
    bokeh figure
        Named ``chart-<id>``. Its renderer "rows" holds a column ``id`` where the chart's table
        has one, so that a page can tell what was tapped.
    """
    ink = INKS[mode]
    if chart.kind == "heat":
        return _heat(chart, ink, mode, width, height)
    parts = chart_parts(chart, mode=mode)
    fig = _figure(
        chart, ink, x_range=parts.x_range, y_range=parts.y_range, width=width, height=height or 380
    )
    fig.xgrid.grid_line_color = None if parts.ticks else ink.line
    fig.ygrid.grid_line_color = ink.line
    source = ColumnDataSource(parts.rows.assign(**_texts(chart, parts)))
    if chart.kind == "boxes":
        _draw_boxes(fig, parts)
    elif chart.kind == "lines":
        _draw_lines(fig, chart, parts)
    if chart.kind == "bars":
        marked = _draw_bars(fig, chart, source, ink)
    else:
        if chart.low and chart.high and chart.kind == "points":
            fig.segment("x", "low", "x", "high", source=source, color="colour", line_width=1.6)
        marked = _draw_points(fig, chart, source, parts, ink)
    if chart.kind == "points":
        _draw_names(fig, chart, parts, ink)
    _draw_references(fig, chart, parts, ink)
    fig.add_tools(HoverTool(renderers=[marked], tooltips=_row_hover(chart), point_policy=_SNAP))
    if "id" in parts.rows:
        fig.add_tools(TapTool(renderers=[marked]))
    _legend(fig, chart, parts, marked, ink, width)
    _name_ticks(fig, parts, width)
    style_axes(fig, ink)
    return fig


_SNAP = "snap_to_data"


def _figure(
    chart: Chart, ink: Ink, *, x_range: Any, y_range: Any, width: int | None, height: int
) -> Any:
    size: dict[str, Any] = {"sizing_mode": "stretch_width"} if width is None else {"width": width}
    return figure(
        height=height,
        x_range=x_range,
        y_range=y_range,
        x_axis_label=chart.x_label or None,
        y_axis_label=chart.y_label or None,
        tools="",
        toolbar_location=None,
        name=f"chart-{chart.id}",
        outline_line_color=None,
        background_fill_color=ink.band,
        border_fill_alpha=0,
        min_border_right=12,
        **size,
    )


def _texts(chart: Chart, parts: Parts) -> dict[str, list[Any]]:
    """Return the columns that only tooltips and marks need."""
    rows = parts.rows
    small = len(rows) > 300
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


def _draw_boxes(fig: Any, parts: Parts) -> None:
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
    fig.segment("left", "median", "right", "median", line_width=3, **same)
    fig.segment("left", "mean", "right", "mean", line_width=1.8, line_dash=[4, 3], **same)
    fig.add_tools(HoverTool(renderers=[box], tooltips=_BOX_HOVER))


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
        nonselection_fill_alpha=0.3,
        name="rows",
    )
    if chart.low and chart.high:
        fig.segment("x", "low", "x", "high", source=source, color=ink.text, line_width=1.6)
    if chart.reference:
        at: dict[str, Any] = {"source": source, "color": ink.text}
        fig.segment("left", "reference", "right", "reference", line_width=3, **at)
    return bars


def _draw_points(fig: Any, chart: Chart, source: ColumnDataSource, parts: Parts, ink: Ink) -> Any:
    many = len(parts.rows) > 300
    points = fig.scatter(
        "x",
        "y",
        marker="mark",
        size="size",
        source=source,
        fill_color="colour",
        line_color=ink.band,
        line_width=0.4 if many else 0.8,
        fill_alpha=0.6 if many else 0.95,
        nonselection_fill_alpha=0.15,
        nonselection_line_alpha=0.25,
        selection_line_color=ink.text,
        name="rows",
    )
    if chart.reference and parts.ticks:
        each = parts.rows.drop_duplicates("category")
        middle = np.round(each["x"])
        fig.segment(
            middle - 0.42, each["reference"], middle + 0.42, each["reference"],
            color=ink.text, line_width=3,
        )  # fmt: skip
    return points


def _draw_names(fig: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    """Write the names beside few points; draw the trend."""
    rows = parts.rows
    if chart.label and len(rows) <= _FEW:
        middle = sum(parts.x_range) / 2
        for side, right in ((rows["x"] < middle, False), (rows["x"] >= middle, True)):
            part = rows[side]
            fig.text(
                part["x"].tolist(),
                part["y"].tolist(),
                part["label"].tolist(),
                x_offset=-9 if right else 9,
                y_offset=-2,
                text_align="right" if right else "left",
                text_baseline="middle",
                text_color=ink.muted,
                text_font=value(FONT),
                text_font_size="12px",
            )
    if parts.trend:
        (x0, y0), (x1, y1) = parts.trend
        fig.line([x0, x1], [y0, y1], color=ink.muted, line_width=1.6, line_dash="dashed")


def _draw_references(fig: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    for at, text in chart.lines_at:
        fig.add_layout(
            Span(location=at, dimension="width", line_color=ink.muted, line_dash="dotted")
        )
        fig.add_layout(
            Label(
                x=parts.x_range[1],
                y=at,
                text=text,
                x_offset=-4,
                y_offset=2,
                text_align="right",
                text_color=ink.muted,
                text_font=FONT,
                text_font_size="12px",
            )
        )


def _legend(fig: Any, chart: Chart, parts: Parts, marked: Any, ink: Ink, width: int | None) -> None:
    """Name the series above the figure, as many beside each other as there is room for."""
    if len(parts.series) < 2 or not chart.group:
        return
    first = {key: i for i, key in reversed(list(enumerate(parts.rows["key"])))}
    items = [
        LegendItem(label={"value": one.label}, renderers=[marked], index=first[one.key])
        for one in parts.series
        if one.key in first
    ]
    longest = max(len(one.label) for one in parts.series)
    fig.add_layout(
        Legend(
            items=items,
            orientation="horizontal",
            ncols=max(int((width or _WIDTH_PX) * 0.9 / (longest * _SIGN_PX + 40)), 1),
            border_line_color=None,
            background_fill_alpha=0,
            label_text_color=ink.text,
            label_text_font=FONT,
            label_text_font_size="12px",
            label_standoff=2,
            padding=2,
            margin=4,
        ),
        "above",
    )


def _name_ticks(fig: Any, parts: Parts, width: int | None) -> None:
    if parts.ticks:
        _names(fig.xaxis, list(parts.ticks.values()), (width or _WIDTH_PX) - 70)


def _names(axis: Any, names: list[str], room: float) -> None:
    """Put names at 0, 1, 2, …: in lines where they fit so, else slanted."""
    signs = int(room / max(len(names), 1) / _SIGN_PX)
    lines = [wrapped(name, max(signs, 6)) for name in names]
    longest = max((len(line) for text in lines for line in text.split("\n")), default=0)
    if longest > signs:
        lines = [name.replace("\n", " · ") for name in names]
        axis.major_label_orientation = math.pi / 5
    axis.ticker = FixedTicker(ticks=list(range(len(names))))
    axis.major_label_overrides = dict(enumerate(lines))


def _row_hover(chart: Chart) -> str:
    """Return the tooltip of a row; texts of the chart are escaped, those of its rows by Bokeh."""
    lines = []
    if chart.label:
        lines.append("<b>@label</b>")
    if chart.group:
        lines.append("@name")
    lines.append(f"{_said(chart.x_label or chart.x)}: @category")
    lines.append(f"{_said(chart.y_label or chart.y)}: <b>@y_text</b>")
    if chart.low and chart.high:
        lines.append("interval @interval_text")
    if chart.reference:
        lines.append(f"{_said(chart.reference)}: @reference_text")
    return _tip(lines)


def _tip(lines: list[str]) -> str:
    style = "font:13px/1.5 system-ui,sans-serif;color:#1d2126;max-width:340px"
    return f'<div style="{style}">{"<br>".join(lines)}</div>'


def _said(name: str) -> str:
    """Return a column's name for people, safe inside a tooltip (where @ and $ mean columns)."""
    return html.escape(name.replace("_", " ")).replace("@", "&#64;").replace("$", "&#36;")


_BOX_HOVER = _tip(
    [
        "<b>@name</b> @category",
        "median <b>@median_text</b>, quartiles @q1_text to @q3_text",
        "mean @mean_text, whiskers @whisker_low_text to @whisker_high_text",
        "n @n_text",
    ]
)


def _heat(chart: Chart, ink: Ink, mode: Mode, width: int | None, height: int | None) -> Any:
    heat = heat_parts(chart)
    rows = len(heat.y_names)
    fig = _figure(
        chart,
        ink,
        x_range=(-0.5, len(heat.x_names) - 0.5),
        y_range=(-0.5, rows - 0.5),
        width=width,
        height=height or max(180, min(90 + 34 * rows, 900)),
    )
    fig.grid.visible = False
    mapper = LinearColorMapper(palette="Cividis256", low=heat.low, high=heat.high)
    mapper.nan_color = ink.band
    cells = heat.cells.assign(ink=[cell_ink(v, heat.low, heat.high) or ink.muted for v in
                                   heat.cells["value"]])  # fmt: skip
    source = ColumnDataSource(cells)
    drawn = fig.rect(
        "x",
        "y",
        1,
        1,
        source=source,
        fill_color={"field": "value", "transform": mapper},
        line_color=ink.paper,
        line_width=1,
        name="rows",
    )
    if len(cells) <= _CELLS:
        fig.text(
            "x", "y", "text", source=source, text_color="ink", text_align="center",
            text_baseline="middle", text_font=value(FONT), text_font_size="12px",
        )  # fmt: skip
    bar = ColorBar(
        color_mapper=mapper,
        ticker=BasicTicker(desired_num_ticks=5),
        width=12,
        title=str(chart.value).replace("_", " "),
        title_text_color=ink.text,
        title_text_font=FONT,
        title_text_font_style="normal",
        title_text_font_size="12px",
        major_label_text_color=ink.muted,
        major_label_text_font=FONT,
        major_label_text_font_size="12px",
        major_tick_line_color=None,
        background_fill_alpha=0,
    )
    fig.add_layout(bar, "right")
    lines = [
        f"{_said(chart.y_label or chart.y)}: @y_name",
        f"{_said(chart.x_label or chart.x)}: @x_name",
        f"{_said(str(chart.value))}: <b>@text</b>",
    ]
    fig.add_tools(HoverTool(renderers=[drawn], tooltips=_tip(lines)))
    if "id" in cells:
        fig.add_tools(TapTool(renderers=[drawn]))
    longest = max((len(name) for name in heat.y_names), default=0)
    _names(fig.xaxis, list(heat.x_names), (width or _WIDTH_PX) - 140 - longest * _SIGN_PX)
    fig.yaxis.ticker = FixedTicker(ticks=list(range(rows)))
    fig.yaxis.major_label_overrides = dict(enumerate(heat.y_names))
    style_axes(fig, ink)
    return fig
