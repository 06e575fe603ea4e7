"""Demšar's diagram: methods on a line of average ranks, a bar over those not told apart.

Demšar 2006 (JMLR 7:1), figure 1. Best on the left. One layout, drawn for the page and for paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from xaieval.figures.axes import FONT
from xaieval.figures.palette import INKS, Mode, Origin, method_colours, method_marks
from xaieval.figures.printed import LETTERS, STYLE, new_figure
from xaieval.figures.spoken import spoken
from xaieval.stats import Nemenyi

WIDTH_PX = 760
_ROW_PX, _SIGN_PX, _MOST_SIGNS = 24, 7.7, 28
_BAR_ROW, _FIRST_ROW = 0.42, 0.55  # bars stand closer than names


@dataclass(frozen=True, eq=False)
class Diagram:
    """Where everything stands; x is the average rank, y counts rows upwards from the line of ranks.

    Attributes
    ----------
    names : DataFrame
        ``method_id, label, rank, y, side`` (-1 left, 1 right), ``colour, mark``, a row per method.
    bars : tuple of (from, to, y)
        Over each group of methods that are not told apart.
    cd : float
    low, high : float
        Ends of the line: 1 and the number of methods.
    bottom : float
        y of the lowest name.
    """

    names: pd.DataFrame
    bars: tuple[tuple[float, float, float], ...]
    cd: float
    low: float
    high: float
    bottom: float


def diagram(
    found: Nemenyi,
    *,
    labels: Mapping[str, str],
    methods: tuple[str, ...] = (),
    mode: Mode = "light",
    origin: Origin = "measured",
) -> Diagram:
    """Return the layout: the better half hangs to the left, the other to the right.

    Parameters
    ----------
    labels : mapping method key -> str
    methods : tuple of str
        All competitors in the study's order, which decides colours and marks. Default: by rank.
    """
    order = methods or tuple(name for name, _ in found.order)
    colours, marks = method_colours(order, mode=mode, origin=origin), method_marks(order)
    ranks, k = dict(found.order), len(found.order)
    bars = tuple(
        (ranks[group[0]], ranks[group[-1]], -(i + 1) * _BAR_ROW)
        for i, group in enumerate(found.groups)
    )
    start = -len(bars) * _BAR_ROW - _FIRST_ROW
    left = math.ceil(k / 2)
    rows = []
    for place, (method, rank) in enumerate(found.order):
        row = place if place < left else k - 1 - place
        label = labels.get(method, method)
        if len(label) > _MOST_SIGNS:
            label = label[: _MOST_SIGNS - 1] + "…"
        rows.append(
            {"method_id": method, "label": label, "rank": rank}
            | {"y": start - row, "side": -1 if place < left else 1}
            | {"colour": colours[method], "mark": marks[method]}
        )
    return Diagram(pd.DataFrame(rows), bars, found.cd, 1.0, float(k), start - max(left - 1, 0))


def draw_critical_difference(
    found: Nemenyi,
    *,
    labels: Mapping[str, str],
    methods: tuple[str, ...] = (),
    mode: Mode = "light",
    origin: Origin = "measured",
) -> Any:
    """Draw the diagram with Bokeh, ``WIDTH_PX`` wide."""
    ink = INKS[mode]
    shown = diagram(found, labels=labels, methods=methods, mode=mode, origin=origin)
    longest = max(len(name) for name in shown.names["label"])
    beside = max(longest * _SIGN_PX + 82, 150)
    unit = (WIDTH_PX - 2 * beside) / (shown.high - shown.low)
    ends = shown.low - beside / unit, shown.high + beside / unit
    top, bottom = 2.6, shown.bottom - 0.6
    fig = figure(
        width=WIDTH_PX,
        height=round((top - bottom) * _ROW_PX),
        x_range=Range1d(*ends),
        y_range=Range1d(bottom, top),
        tools="",
        toolbar_location=None,
        name="critical-difference",
        html_attributes=spoken("Critical-difference diagram: mean ranks of the methods"),
        min_border=0,
        outline_line_color=None,
        background_fill_alpha=0,
        border_fill_alpha=0,
    )
    fig.grid.visible = False
    fig.axis.visible = False
    text: dict[str, Any] = {"text_font": value(FONT), "text_font_size": "13px"}
    muted = text | {"text_color": ink.muted, "text_font_size": "12px", "text_align": "center"}
    fig.segment(shown.low, 0, shown.high, 0, line_color=ink.muted, line_width=1.2)
    ticks = [float(i) for i in range(1, int(shown.high) + 1)]
    fig.segment(ticks, [0.0] * len(ticks), ticks, [0.22] * len(ticks), line_color=ink.muted)
    fig.text(ticks, [0.32] * len(ticks), [f"{i:.0f}" for i in ticks], **muted)
    fig.text([ends[0]], [0.0], ["average rank"], text_baseline="middle", text_align="left",
             text_font=value(FONT), text_font_size="12px", text_color=ink.muted)  # fmt: skip
    _scale(fig, shown, ink.text, muted | {"text_color": ink.text})
    names = _placed(shown, 16 / unit)
    source = ColumnDataSource(names)
    fig.segment("rank", 0, "rank", "y", source=source, line_color=ink.muted)
    fig.segment("rank", "y", "elbow", "y", source=source, line_color=ink.muted)
    for low, high, y in shown.bars:
        fig.segment(low - 5 / unit, y, high + 5 / unit, y, line_width=5, line_color=ink.text)
    drawn = fig.scatter("elbow", "y", marker="mark", size=10, color="colour", source=source)
    dots = fig.scatter("rank", 0, size=6, color=ink.text, source=source)
    for side, align in ((-1, "right"), (1, "left")):
        part = ColumnDataSource(names[names["side"] == side])
        fig.text(
            "elbow", "y", "text", x_offset=10 * side, source=part, text_align=align,
            text_baseline="middle", text_color=ink.text, **text,
        )  # fmt: skip
    fig.add_tools(HoverTool(renderers=[drawn, dots], tooltips=_HOVER))
    return fig


_HOVER = """<div style="font:12px/1.5 system-ui,sans-serif;color:#1d2126">
<b>@label</b><br>average rank <b>@rank{0.00}</b></div>"""


def _scale(fig: Any, shown: Diagram, colour: str, text: Mapping[str, Any]) -> None:
    """Draw the critical difference as a ruler above the line, with its number."""
    end = min(shown.low + shown.cd, shown.high)
    fig.segment(shown.low, 1.4, end, 1.4, line_color=colour, line_width=1.6)
    whole = shown.low + shown.cd <= shown.high
    for x in (shown.low, end) if whole else (shown.low,):
        fig.segment(x, 1.22, x, 1.58, line_color=colour, line_width=1.6)
    fig.text([(shown.low + end) / 2], [1.66], [_cd_text(shown)], **text)


def _cd_text(shown: Diagram) -> str:
    """Return what stands above the ruler; one longer than the line says so."""
    beyond = "" if shown.low + shown.cd <= shown.high else ": more than all ranks apart"
    return f"critical difference {shown.cd:.2f}{beyond}"


def _placed(shown: Diagram, reach: float) -> pd.DataFrame:
    """Add where a name's line turns to its side, and the name with its rank."""
    ends = [
        (shown.low - reach) if side < 0 else (shown.high + reach) for side in shown.names["side"]
    ]
    texts = [
        f"{label}  {rank:.2f}" if side < 0 else f"{rank:.2f}  {label}"
        for label, rank, side in shown.names[["label", "rank", "side"]].itertuples(index=False)
    ]
    return shown.names.assign(elbow=ends, text=texts)


def print_critical_difference(
    found: Nemenyi,
    *,
    labels: Mapping[str, str],
    methods: tuple[str, ...] = (),
    mode: Mode = "light",
    origin: Origin = "measured",
    title: str = "",
    note: str = "",
) -> Any:
    """Draw the diagram with matplotlib; returns a Figure. ``note`` stands under the title."""
    shown = diagram(found, labels=labels, methods=methods, mode=mode, origin=origin)
    ink = INKS[mode]
    with mpl.rc_context(STYLE):
        top, bottom = 2.4, shown.bottom - 0.5
        lines = len((title + "\n" + note).strip().split("\n")) if title or note else 0
        fig = new_figure(6.4, 0.21 * (top - bottom) + 0.18 * lines + 0.1, mode)
        axes = fig.subplots()
        axes.set_axis_off()
        span = shown.high - shown.low
        beside = max(len(name) for name in shown.names["label"]) * 0.066 + 0.75
        pad = min(beside, 2.4) / (6.2 - 2 * min(beside, 2.4)) * span
        axes.set_xlim(shown.low - pad, shown.high + pad)
        axes.set_ylim(bottom, top)
        axes.plot([shown.low, shown.high], [0, 0], color=ink.muted, linewidth=0.9)
        for i in range(1, int(shown.high) + 1):
            axes.plot([i, i], [0, 0.22], color=ink.muted, linewidth=0.9)
            axes.text(i, 0.32, str(i), ha="center", va="bottom", fontsize=7, color=ink.muted)
        axes.text(shown.low - pad, 0, "average rank", va="center", fontsize=7, color=ink.muted)
        end = min(shown.low + shown.cd, shown.high)
        axes.plot([shown.low, end], [1.4, 1.4], color=ink.text, linewidth=1.2)
        for x in (shown.low, end) if shown.low + shown.cd <= shown.high else (shown.low,):
            axes.plot([x, x], [1.22, 1.58], color=ink.text, linewidth=1.2)
        axes.text((shown.low + end) / 2, 1.66, _cd_text(shown), ha="center", fontsize=7,
                  color=ink.text)  # fmt: skip
        for low, high, y in shown.bars:
            axes.plot([low - 0.012 * span, high + 0.012 * span], [y, y], color=ink.text,
                      linewidth=3.2, solid_capstyle="butt")  # fmt: skip
        for _, row in _placed(shown, 0.06 * span).iterrows():
            axes.plot([row["rank"]] * 2 + [row["elbow"]], [0, row["y"], row["y"]],
                      color=ink.muted, linewidth=0.8, zorder=1)  # fmt: skip
            axes.plot(row["rank"], 0, "o", color=ink.text, markersize=3, zorder=3)
            axes.plot(row["elbow"], row["y"], LETTERS[row["mark"]], color=row["colour"],
                      markersize=5, zorder=3)  # fmt: skip
            axes.annotate(
                row["text"], (row["elbow"], row["y"]), xytext=(6 * row["side"], 0),
                textcoords="offset points", va="center",
                ha="right" if row["side"] < 0 else "left", color=ink.text,
            )  # fmt: skip
        text = f"{title}\n({note})" if note and title else title or note
        if text:
            fig.suptitle(text, fontsize=9, color=ink.text)
        return fig
