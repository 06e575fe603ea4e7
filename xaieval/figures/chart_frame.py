"""What every Bokeh chart has: an empty frame, names along its axes, a legend, tooltips."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from bokeh.models import FixedTicker, Legend, LegendItem
from bokeh.plotting import figure

from xaieval.figures.axes import FONT
from xaieval.figures.chart import Chart
from xaieval.figures.chart_names import columns_for, fitted
from xaieval.figures.chart_parts import Parts
from xaieval.figures.palette import Ink
from xaieval.figures.spoken import spoken

SIGN_PX = 7.0  # mean width of a sign at 12 px
_LINE_PX = 15
_SLANT = math.pi / 5
WIDTH_PX = 860  # what texts are laid out for when the figure fills its page


def empty_figure(
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
        html_attributes=spoken(chart.title),
        outline_line_color=None,
        background_fill_color=ink.band,
        border_fill_alpha=0,
        min_border_right=12,
        **size,
    )


def put_names(fig: Any, names: list[str], room: float) -> float:
    """Put names along x at 0, 1, 2, …: in lines where they fit so, else slanted.

    Returns how much more height (px) they take than one line does.
    """
    lines, slanted = fitted(names, int(room / max(len(names), 1) / SIGN_PX))
    fig.xaxis.ticker = FixedTicker(ticks=list(range(len(names))))
    fig.xaxis.major_label_overrides = dict(enumerate(lines))
    if slanted:
        fig.xaxis.major_label_orientation = _SLANT
        # A slanted name ends under its tick; the first ones must not leave the figure.
        slot = room / len(names)
        reach = [
            len(x) * SIGN_PX * math.cos(_SLANT) - (i + 0.5) * slot for i, x in enumerate(lines)
        ]
        fig.min_border_left = max(round(max(reach)), 5)
        return max(map(len, lines)) * SIGN_PX * math.sin(_SLANT)
    return max((text.count("\n") for text in lines), default=0) * _LINE_PX


def add_legend(
    fig: Any,
    chart: Chart,
    parts: Parts,
    marked: Any,
    *,
    signs: Mapping[str, Any],
    ink: Ink,
    width: int | None,
) -> float:
    """Name the series above the figure, as many beside each other as there is room for.

    ``signs`` names the other renderers that need a name: text -> renderer. Returns how much more
    height (px) the legend takes than one line does.
    """
    first = {key: i for i, key in reversed(list(enumerate(parts.rows["key"])))}
    items = [
        LegendItem(label={"value": one.label}, renderers=[marked], index=first[one.key])
        for one in parts.series
        if one.key in first and chart.group
    ]
    items += [
        LegendItem(label={"value": text}, renderers=[renderer]) for text, renderer in signs.items()
    ]
    if not items:
        return 0.0
    lengths = [len(item.label["value"]) * SIGN_PX + 42 for item in items]
    columns = columns_for(lengths, (width or WIDTH_PX) - 40)
    fig.add_layout(
        Legend(
            items=items,
            orientation="horizontal",
            ncols=columns,
            location="left",
            border_line_color=None,
            background_fill_alpha=0,
            label_text_color=ink.text,
            label_text_font=FONT,
            label_text_font_size="12px",
            label_standoff=4,
            glyph_height=20,
            label_height=16,
            spacing=8,
            padding=2,
            margin=4,
        ),
        "above",
    )
    return (-(-len(items) // columns) - 1) * 28.0


def row_hover(chart: Chart) -> str:
    """Return the tooltip of a row; texts of the chart are escaped, those of its rows by Bokeh."""
    lines = []
    if chart.label:
        lines.append("<b>@label</b>")
    if chart.group:
        lines.append("@name")
    lines.append(f"{said(chart.x_label or chart.x)}: @category")
    lines.append(f"{said(chart.y_label or chart.y)}: <b>@y_text</b>")
    if chart.low and chart.high:
        lines.append("interval @interval_text")
    if chart.reference:
        lines.append(f"{said(chart.reference)}: @reference_text")
    return tip(lines)


def tip(lines: list[str]) -> str:
    style = "font:13px/1.5 system-ui,sans-serif;color:#1d2126;max-width:340px"
    return f'<div style="{style}">{"<br>".join(lines)}</div>'


def said(name: str) -> str:
    """Return a column's name for people, safe inside a tooltip (where @ and $ mean columns)."""
    return html.escape(name.replace("_", " ")).replace("@", "&#64;").replace("$", "&#36;")
