"""Heat maps drawn with Bokeh."""

from __future__ import annotations

from typing import Any

from bokeh.core.properties import value
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    TapTool,
)

from xaieval.figures.axes import FONT, style_axes
from xaieval.figures.chart import Chart
from xaieval.figures.chart_frame import SIGN_PX, WIDTH_PX, empty_figure, put_names, said, tip
from xaieval.figures.chart_names import cell_ink
from xaieval.figures.chart_parts import FEW_CELLS, heat_parts
from xaieval.figures.palette import Ink


def draw_heat(chart: Chart, *, ink: Ink, width: int | None, height: int | None) -> Any:
    """Draw a heat map with Bokeh: a cell per row, its number in it when there are few."""
    heat = heat_parts(chart)
    rows = len(heat.y_names)
    fig = empty_figure(
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
    if len(cells) <= FEW_CELLS:
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
        f"{said(chart.y_label or chart.y)}: @y_name",
        f"{said(chart.x_label or chart.x)}: @x_name",
        f"{said(str(chart.value))}: <b>@text</b>",
    ]
    fig.add_tools(HoverTool(renderers=[drawn], tooltips=tip(lines)))
    if "id" in cells:
        fig.add_tools(TapTool(renderers=[drawn]))
    longest = max((len(name) for name in heat.y_names), default=0)
    beside = put_names(fig, list(heat.x_names), (width or WIDTH_PX) - 140 - longest * SIGN_PX)
    if height is None:
        fig.height += round(beside)
    fig.yaxis.ticker = FixedTicker(ticks=list(range(rows)))
    fig.yaxis.major_label_overrides = dict(enumerate(heat.y_names))
    style_axes(fig, ink)
    return fig
