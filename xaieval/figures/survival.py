"""Win rates under many variants of a measurement: a row per variant, a mark per method.

The mark of a row's winner is filled and ringed, the others are hollow. Dashed lines are the win
rates as the study measures. Rows whose winner is another one lie on a band and say so. One layout,
drawn for the page and for paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LinearAxis, Range1d
from bokeh.plotting import figure
from matplotlib.lines import Line2D

from xaieval.figures.axes import FONT, style_axes
from xaieval.figures.palette import INKS, Ink, Mode, method_colours, method_marks
from xaieval.figures.printed import LETTERS, STYLE, new_figure, quiet
from xaieval.figures.spoken import spoken

ROW_PX = 19
_GAP = 0.55
CHANGED = "another wins"


@dataclass(frozen=True, eq=False)
class Survivals:
    """Where everything stands.

    Attributes
    ----------
    rows : DataFrame
        ``variant, label, group, y, changed, tau``; the base first; y counts downwards.
    groups : tuple of (label, y of its first row, y of its last row)
    points : DataFrame
        ``variant, label, method_id, method, x, low, high, score, n, winner, y``.
    base : mapping method key -> win rate as the study measures
    bottom : float
        Where the rows end.
    """

    rows: pd.DataFrame
    groups: tuple[tuple[str, float, float], ...]
    points: pd.DataFrame
    base: Mapping[str, float]
    bottom: float


def survivals(
    table: pd.DataFrame,
    verdicts: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    groups: Mapping[str, str],
) -> Survivals:
    """Return the layout.

    Parameters
    ----------
    table : DataFrame
        ``axis, variant, label, method_id, win_rate, low, high, score, n, winner``.
    verdicts : DataFrame
        ``axis, variant, label, winners, survives, tau``; the first row is the base.
    labels : mapping method key -> str
    groups : mapping axis -> str
        Its name; an axis without one (the base) has none.
    """
    rows: list[dict[str, Any]] = []
    named: list[tuple[str, float, float]] = []
    y, last = 0.0, None
    for row in verdicts.to_dict("records"):
        axis = str(row["axis"])
        if last is not None and axis != last:
            y += _GAP
        name = groups.get(axis, "")
        if name and axis != last:
            named.append((name, y, y))
        elif name:
            named[-1] = (name, named[-1][1], y)
        rows.append(
            {"variant": row["variant"], "label": row["label"], "group": name, "y": y}
            | {"changed": bool(row["winners"]) and not row["survives"], "tau": row["tau"]}
        )
        last, y = axis, y + 1
    places = {str(row["variant"]): float(row["y"]) for row in rows}
    points = table.rename(columns={"win_rate": "x"}).assign(
        y=[places[str(variant)] for variant in table["variant"]],
        method=[labels.get(method, method) for method in table["method_id"]],
    )
    first = table[table["variant"] == rows[0]["variant"]]
    base = dict(zip(first["method_id"], first["win_rate"], strict=True))
    return Survivals(pd.DataFrame(rows), tuple(named), points, base, y)


def draw_survival(
    shown: Survivals, *, methods: Sequence[str], mode: Mode = "light", name: str = "survival"
) -> Any:
    """Draw the rows with Bokeh, as wide as the page."""
    ink = INKS[mode]
    fig = figure(
        height=round((shown.bottom + 0.9) * ROW_PX + 48),
        x_range=Range1d(-0.03, 1.03),
        y_range=Range1d(shown.bottom - 0.3, -0.8),
        x_axis_label="win rate",
        tools="",
        toolbar_location=None,
        name=name,
        html_attributes=spoken("Win rates under every variant of the measurement"),
        sizing_mode="stretch_width",
        outline_line_color=None,
        background_fill_color=ink.band,
        border_fill_alpha=0,
        min_border_right=12,
    )
    style_axes(fig, ink)
    fig.ygrid.grid_line_color = None
    fig.xgrid.grid_line_color = ink.line
    places = [float(y) for y in shown.rows["y"]]
    fig.yaxis.ticker = FixedTicker(ticks=places)
    fig.yaxis.major_label_overrides = dict(zip(places, shown.rows["label"], strict=True))
    _bands(fig, shown, ink)
    colours, marks = method_colours(methods, mode=mode), method_marks(methods)
    for method in methods:
        own = shown.points[(shown.points["method_id"] == method) & shown.points["x"].notna()]
        if method in shown.base and not math.isnan(shown.base[method]):
            x = shown.base[method]
            fig.segment(
                x, -0.5, x, shown.bottom - 0.5, line_color=colours[method], line_dash="dashed",
                line_alpha=0.75,
            )  # fmt: skip
        for wins in (False, True):
            source = ColumnDataSource(own[own["winner"] == wins])
            if wins:
                fig.segment(
                    "low", "y", "high", "y", source=source, line_color=colours[method],
                    line_alpha=0.35, line_width=2,
                )  # fmt: skip
            drawn = fig.scatter(
                "x",
                "y",
                source=source,
                marker=marks[method],
                size=12 if wins else 8,
                fill_color=colours[method] if wins else ink.band,
                line_color=ink.text if wins else colours[method],
                line_width=1.5,
                name="winner" if wins else "other",
            )
            fig.add_tools(HoverTool(renderers=[drawn], tooltips=_HOVER))
    return fig


_HOVER = """<div style="font:12px/1.5 system-ui,sans-serif;color:#1d2126">
<b>@method</b> · @label<br>win rate <b>@x{0.000}</b>, 95 % @low{0.000} to @high{0.000}<br>
mean score @score{0.000} · n @n</div>"""


def _bands(fig: Any, shown: Survivals, ink: Ink) -> None:
    """Draw what stands behind the marks: bands of rows that changed, groups and their lines."""
    changed = shown.rows[shown.rows["changed"]]
    ys = [float(y) for y in changed["y"]]
    fig.quad(
        left=-0.03, right=1.03, top=[y - 0.5 for y in ys], bottom=[y + 0.5 for y in ys],
        fill_color=ink.text, fill_alpha=0.09, line_color=None,
    )  # fmt: skip
    fig.text(
        [1.02] * len(ys), ys, [CHANGED] * len(ys), text_align="right", text_baseline="middle",
        text_color=ink.text, text_font=value(FONT), text_font_size="11px",
    )  # fmt: skip
    firsts = [first for _, first, _ in shown.groups]
    fig.add_layout(
        LinearAxis(
            ticker=FixedTicker(ticks=firsts),
            major_label_overrides={first: group for group, first, _ in shown.groups},
            major_label_text_font_style="bold",
            major_label_text_font_size="12px",
            major_label_text_font=FONT,
            major_label_text_color=ink.text,
            axis_line_color=None,
            major_tick_line_color=None,
            minor_tick_line_color=None,
        ),
        "left",
    )
    lines = [first - (1 + _GAP) / 2 for first in firsts]
    fig.segment(-0.03, lines, 1.03, lines, line_color=ink.line)


def print_survival(
    shown: Survivals,
    *,
    methods: Sequence[str],
    labels: Mapping[str, str],
    mode: Mode = "light",
    title: str = "",
    note: str = "",
) -> Any:
    """Draw the rows with matplotlib; returns a Figure. ``note`` stands under the title."""
    ink = INKS[mode]
    colours, marks = method_colours(methods, mode=mode), method_marks(methods)
    with mpl.rc_context(STYLE):
        drawn = new_figure(6.8, 0.155 * (shown.bottom + 1) + 1.1, mode)
        axes = drawn.subplots()
        quiet(axes, mode)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=ink.line, linewidth=0.6)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(shown.bottom - 0.3, -0.8)
        axes.set_xlabel("win rate")
        axes.set_yticks(shown.rows["y"], shown.rows["label"])
        for y in shown.rows.loc[shown.rows["changed"], "y"]:
            axes.axhspan(y - 0.5, y + 0.5, color=ink.text, alpha=0.09, linewidth=0)
            axes.text(1.02, y, CHANGED, ha="right", va="center", fontsize=6.5, color=ink.text)
        longest = max(len(str(label)) for label in shown.rows["label"])
        for group, first, _ in shown.groups:
            axes.axhline(first - (1 + _GAP) / 2, color=ink.line, linewidth=0.6)
            axes.annotate(
                group, (0, first), xycoords=axes.get_yaxis_transform(), ha="right", va="center",
                xytext=(-4.0 * longest - 10, 0), textcoords="offset points", color=ink.text,
                fontweight="bold", annotation_clip=False,
            )  # fmt: skip
        for method in methods:
            own = shown.points[shown.points["method_id"] == method]
            axes.axvline(
                shown.base.get(method, math.nan), color=colours[method], linestyle="--",
                linewidth=0.8, alpha=0.75,
            )  # fmt: skip
            won = own[own["winner"]]
            axes.hlines(won["y"], won["low"], won["high"], color=colours[method], alpha=0.35)
            for part, size, face, edge in (
                (own[~own["winner"]], 14, ink.band, colours[method]),
                (won, 32, colours[method], ink.text),
            ):
                axes.scatter(
                    part["x"], part["y"], marker=LETTERS[marks[method]], s=size, color=face,
                    edgecolors=edge, linewidths=0.9, zorder=3,
                )  # fmt: skip
        handles = [
            Line2D(
                [], [], linestyle="none", marker=LETTERS[marks[m]], markersize=5, label=labels[m],
                markerfacecolor=colours[m], markeredgecolor=ink.text,
            )
            for m in methods
        ]  # fmt: skip
        handles.append(Line2D([], [], color=ink.muted, linestyle="--", label="as measured"))
        drawn.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(handles), 5),
            frameon=False,
            labelcolor=ink.text,
        )
        head = f"{title}\n{note}" if note else title
        if head.strip():
            drawn.suptitle(head.strip(), fontsize=8, color=ink.text)
        return drawn
