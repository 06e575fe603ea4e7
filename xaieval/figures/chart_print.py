"""Charts drawn with matplotlib, for paper: the same tables and signs as on the page."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from xaieval.figures.chart import Chart
from xaieval.figures.chart_names import Series, cell_ink, columns_for, fitted, wrapped
from xaieval.figures.chart_parts import (
    FEW_CELLS,
    FEW_DOTS,
    FEW_MARKS,
    FEW_POINTS,
    Parts,
    chart_parts,
    heat_parts,
    reference_ticks,
)
from xaieval.figures.chart_places import name_places
from xaieval.figures.palette import INKS, Ink, Mode
from xaieval.figures.printed import LETTERS, STYLE, new_figure, quiet
from xaieval.figures.saving import figure_bytes

# Bokeh's hatches in matplotlib's signs.
HATCHES = {
    "blank": None,
    "right_diagonal_line": "////",
    "dot": "...",
    "diagonal_cross": "xxxx",
    "horizontal_line": "----",
}
_WIDTH_IN = 6.4
_SIGN_IN = 0.068  # mean width of a sign at 8 points


def print_chart(chart: Chart, *, format: str = "svg", mode: Mode = "light") -> bytes:
    """Draw a chart for paper.

    The same chart gives the same bytes. Title above, what is left out (if anything) under it.

    Parameters
    ----------
    format : "svg", "png" or "pdf"

    Raises
    ------
    ConfigError
        When the format is unknown.
    """
    with mpl.rc_context(STYLE):
        figure = chart_figure(chart, mode=mode)
        return figure_bytes(figure, format=format, source=f"{chart.title}. {chart.caption}".strip())


def chart_figure(chart: Chart, *, mode: Mode = "light") -> Any:
    """Return the matplotlib figure of a chart, as ``print_chart`` writes it."""
    with mpl.rc_context(STYLE):
        return _heat(chart, mode) if chart.kind == "heat" else _plot(chart, mode)


def _plot(chart: Chart, mode: Mode) -> Any:
    ink, parts = INKS[mode], chart_parts(chart, mode=mode)
    n_boxes = len(parts.boxes) if chart.kind == "boxes" else len(parts.ticks) * 0.8
    width = min(max(_WIDTH_IN, 0.26 * n_boxes + 1), 14)
    figure = new_figure(width, 3.6, mode)
    axes = figure.subplots()
    quiet(axes, mode)
    axes.set_xlim(*parts.x_range)
    axes.set_ylim(*parts.y_range)
    if not parts.ticks:
        axes.grid(axis="x", color=ink.line, linewidth=0.6)
    {"boxes": _boxes, "bars": _bars, "lines": _lines, "points": _points}[chart.kind](
        axes, chart, parts, ink
    )
    if chart.kind != "bars":
        _marks(axes, chart, parts, ink)
    for at, text in chart.lines_at:
        axes.axhline(at, color=ink.text, linestyle=":", linewidth=1)
        axes.annotate(
            _plain(text), (1, at), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=7, color=ink.text,
        )  # fmt: skip
    if parts.ticks:
        _names(axes.xaxis, list(parts.ticks.values()), width - 0.8)
    axes.set_xlabel(_plain(chart.x_label))
    axes.set_ylabel(_plain(chart.y_label))
    _legend(figure, chart, parts, ink, width)
    _title(figure, chart, parts.note, ink, width)
    return figure


def _boxes(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    for _, box in parts.boxes.iterrows():
        x, left, right, colour = box["x"], box["left"], box["right"], box["colour"]
        ends = [box["whisker_low"], box["q1"], np.nan, box["q3"], box["whisker_high"]]
        axes.plot([x] * 5, ends, color=colour, linewidth=1)
        axes.add_patch(
            Rectangle(
                (left, box["q1"]),
                right - left,
                box["q3"] - box["q1"],
                facecolor=mpl.colors.to_rgba(colour, 0.24),
                edgecolor=colour,
                linewidth=1,
                zorder=2,
            )
        )
        above = 5 if len(parts.rows) > FEW_MARKS else 3  # a crowd of points would hide them
        middle, mean = [box["median"]] * 2, [box["mean"]] * 2
        axes.plot([left, right], middle, color=colour, linewidth=2, zorder=above)
        axes.plot([left, right], mean, "--", color=colour, linewidth=1.2, zorder=above)
    _reference_ticks(axes, chart, parts, ink)


def _bars(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    rows = parts.rows
    axes.bar(
        rows["x"],
        rows["y"],
        rows["right"] - rows["left"],
        color=rows["colour"],
        alpha=0.85,
        hatch=[HATCHES[name] for name in rows["hatch"]],
        edgecolor=ink.band,
        linewidth=0,
    )
    axes.axhline(0, color=ink.line, linewidth=0.8)
    if chart.low and chart.high:
        axes.vlines(rows["x"], rows["low"], rows["high"], color=ink.text, linewidth=1)
    _reference_ticks(axes, chart, parts, ink)


def _lines(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    for one in parts.series:
        part = parts.rows[parts.rows["key"] == one.key].sort_values("x", kind="stable")
        if chart.low and chart.high:
            axes.fill_between(
                part["x"], part["low"], part["high"], color=one.colour, alpha=0.16, lw=0
            )
        axes.plot(part["x"], part["y"], color=one.colour, linewidth=1.4)


def _points(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    rows = parts.rows
    if chart.low and chart.high:
        axes.vlines(rows["x"], rows["low"], rows["high"], color=rows["colour"], linewidth=1)
    if parts.trend:
        (x0, y0), (x1, y1) = parts.trend
        axes.plot([x0, x1], [y0, y1], "--", color=ink.muted, linewidth=1.2)
    if chart.label and len(rows) <= FEW_POINTS:
        places = name_places(rows, x_range=parts.x_range, y_range=parts.y_range, line=parts.trend)
        for (right, down, align), (_, row) in zip(places, rows.iterrows(), strict=True):
            axes.annotate(
                _plain(row["label"]), (row["x"], row["y"]), xytext=(right / 2, -down / 2),
                textcoords="offset points", ha=align, va="center", fontsize=7, color=ink.muted,
            )  # fmt: skip
    _reference_ticks(axes, chart, parts, ink)


def _marks(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    few = FEW_DOTS * len(parts.series) if chart.kind == "lines" else FEW_MARKS
    many = len(parts.rows) > few
    for one in parts.series:
        part = parts.rows[parts.rows["key"] == one.key]
        axes.plot(
            part["x"],
            part["y"],
            LETTERS[one.mark],
            markersize=2 if many else 4,
            markerfacecolor=one.colour,
            markeredgecolor=ink.band,
            markeredgewidth=0.2 if many else 0.4,
            alpha=0.5 if len(parts.rows) > FEW_MARKS else 1,
            zorder=4,
            rasterized=len(parts.rows) > 2000,
        )


def _reference_ticks(axes: Any, chart: Chart, parts: Parts, ink: Ink) -> None:
    if chart.reference and parts.ticks:
        ticks = reference_ticks(parts.rows)
        axes.hlines(
            ticks["reference"], ticks["left"], ticks["right"],
            color=ink.text, linewidth=2, zorder=5,
        )  # fmt: skip


def _names(axis: Any, names: list[str], room_in: float) -> None:
    """Put names at 0, 1, 2, …: in lines where they fit so, else slanted."""
    lines, slanted = fitted(names, int(room_in / max(len(names), 1) / _SIGN_IN))
    axis.set_ticks(range(len(names)), [_plain(line) for line in lines])
    if slanted:
        for label in axis.get_ticklabels():
            label.set(rotation=36, ha="right", rotation_mode="anchor")


def _legend(figure: Any, chart: Chart, parts: Parts, ink: Ink, width: float) -> None:
    handles: list[Any] = []
    if chart.group and len(parts.series) > 1:
        handles = [_handle(chart, one, ink) for one in parts.series]
    if chart.kind == "boxes":
        handles.append(Line2D([], [], color=ink.text, linewidth=2, label="median"))
        handles.append(Line2D([], [], color=ink.text, linewidth=1.2, ls="--", label="mean"))
    if parts.trend:
        handles.append(
            Line2D([], [], color=ink.muted, linewidth=1.2, ls="--", label="least squares")
        )
    if chart.reference and parts.ticks:
        text = _plain(chart.reference.replace("_", " "))
        handles.append(Line2D([], [], color=ink.text, linewidth=2, label=text))
    if handles:
        lengths = [len(handle.get_label()) * _SIGN_IN + 0.45 for handle in handles]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns_for(lengths, width - 0.3),
            frameon=False,
            labelcolor=ink.text,
        )


def _handle(chart: Chart, one: Series, ink: Ink) -> Any:
    """Return the sign of a series in the legend."""
    if chart.kind == "bars":
        return Patch(
            facecolor=one.colour,
            edgecolor=ink.band,
            hatch=HATCHES[one.hatch],
            linewidth=0,
            label=_plain(one.label),
        )
    return Line2D(
        [],
        [],
        linestyle="-" if chart.kind == "lines" else "",
        color=one.colour,
        marker=LETTERS[one.mark],
        markersize=5,
        label=_plain(one.label),
    )


def _title(figure: Any, chart: Chart, note: str, ink: Ink, width: float) -> None:
    text = wrapped(chart.title, int(width / 0.075))
    text = f"{text}\n({note})" if note else text
    figure.suptitle(_plain(text), fontsize=9, color=ink.text)


def _plain(text: str) -> str:
    """Return a text that matplotlib draws as it is, dollars too."""
    return text.replace("$", r"\$")


def _heat(chart: Chart, mode: Mode) -> Any:
    ink, heat = INKS[mode], heat_parts(chart)
    rows, columns = len(heat.y_names), len(heat.x_names)
    longest = max((len(name) for name in heat.y_names), default=0)
    width = min(max(_WIDTH_IN, 0.36 * columns + 1.2 + longest * _SIGN_IN), 14)
    figure = new_figure(width, min(max(1.4 + 0.24 * rows, 2.2), 12), mode)
    axes = figure.subplots()
    quiet(axes, mode)
    axes.grid(False)
    grid = np.full((rows, columns), np.nan)
    for x, y, value in heat.cells[["x", "y", "value"]].itertuples(index=False):
        grid[int(y), int(x)] = value
    drawn = axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(grid),
        cmap="cividis",
        vmin=heat.low,
        vmax=heat.high,
        edgecolors=ink.paper,
        linewidth=0.6,
    )
    if len(heat.cells) <= FEW_CELLS:
        for x, y, value, text in heat.cells[["x", "y", "value", "text"]].itertuples(index=False):
            colour = cell_ink(value, heat.low, heat.high) or ink.muted
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(rows), [_plain(name) for name in heat.y_names])
    _names(axes.xaxis, list(heat.x_names), width - 1.4 - longest * _SIGN_IN)
    axes.set_xlabel(_plain(chart.x_label))
    axes.set_ylabel(_plain(chart.y_label))
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.04)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=ink.muted, length=0)
    bar.set_label(_plain(str(chart.value).replace("_", " ")), color=ink.text)
    _title(figure, chart, "", ink, width)
    return figure
