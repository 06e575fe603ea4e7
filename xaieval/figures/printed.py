"""The figures of a study for paper and slides: matplotlib without a window or a global state.

They draw the same tables as ``figures`` (``boxes.boxes``, ``curves.curve_table``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from xaieval.figures.boxes import Boxes, head_text
from xaieval.figures.curves import QUANTITIES, curve_floor, curve_table, wants_log
from xaieval.figures.palette import INKS, Mode, Origin, method_colours, method_marks

LETTERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "hex": "h",
    "inverted_triangle": "v",
    "star": "*",
}
"""Bokeh's marks in matplotlib's letters."""
STYLE = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # fonts that journals accept
}


def new_figure(width_in: float, height_in: float, mode: Mode) -> Figure:
    """Return an empty figure that no window and no global state knows."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor=INKS[mode].paper)
    FigureCanvasAgg(figure)
    return figure


def quiet(axes: Any, mode: Mode) -> None:
    """Give axes the page's quiet look."""
    ink = INKS[mode]
    axes.set_facecolor(ink.band)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=ink.muted, length=0)
    axes.yaxis.label.set_color(ink.text)
    axes.xaxis.label.set_color(ink.text)
    axes.title.set_color(ink.text)
    axes.grid(axis="y", color=ink.line, linewidth=0.6)
    axes.set_axisbelow(True)


def print_win_rates(
    data: Boxes,
    *,
    labels: Mapping[str, str],
    mode: Mode = "light",
    origin: Origin = "measured",
    value_label: str = "win rate",
    title: str = "",
    note: str = "",
    footnotes: Sequence[str] = (),
) -> Figure:
    """Draw win rates as boxes over seeds: a row per split, a column per class.

    Same signs as ``figures.win_rate_figure``: quartile box, solid median, dashed mean, Tukey
    whiskers, every seed a point; columns with fewer than ten images hatched. Published data:
    other colours and hollow points. ``note`` stands under the title, ``footnotes`` (which methods
    failed the sanity gate) above the legend.

    Returns
    -------
    matplotlib Figure, 2.1 in per row high
    """
    with mpl.rc_context(STYLE):
        ink = INKS[mode]
        n_rows, n_columns = max(len(data.splits), 1), max(len(data.classes), 1)
        width = min(max(1.5 + n_columns * (0.35 + 0.36 * len(data.methods)), 4.5), 14)
        figure = new_figure(width, 2.1 * n_rows + 0.8, mode)
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        colours = method_colours(data.methods, mode=mode, origin=origin)
        marks = method_marks(data.methods)
        for i, split in enumerate(data.splits):
            for j, name in enumerate(data.classes):
                axes = grid[i][j]
                quiet(axes, mode)
                _cell(axes, data, split, name, colours, marks, mode, origin)
                if j == 0:
                    axes.set_ylabel(f"{split.capitalize()}: {value_label}")
        legend = figure.legend(
            handles=_legend(data.methods, labels, colours, marks, origin, ink.text),
            loc="outside lower center",
            ncols=min(len(data.methods) + 2, 6),
            frameon=False,
            labelcolor=ink.text,
            title="\n".join(footnotes) or None,  # a legend is given room of its own, a text is not
            title_fontsize=7,
        )
        legend.get_title().set_color(ink.text)
        _title(figure, title, note, ink.text)
        return figure


def _title(figure: Figure, title: str, note: str, colour: str) -> None:
    text = f"{title}\n({note})" if note else title
    if text.strip():
        figure.suptitle(text.strip(), fontsize=9, color=colour)


def _cell(
    axes: Any,
    data: Boxes,
    split: str,
    name: str,
    colours: Mapping[str, str],
    marks: Mapping[str, str],
    mode: Mode,
    origin: Origin,
) -> None:
    """Draw one column of one row: a box per method."""
    ink, half = INKS[mode], 0.36
    published = origin == "published"
    cell = data.boxes[(data.boxes["split"] == split) & (data.boxes["class"] == name)]
    few = bool(cell["few"].any())
    axes.set_title(head_text(data, split, name), fontsize=8)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlim(-0.6, len(data.methods) - 0.4)
    axes.set_xticks([])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    if few:
        axes.add_patch(
            Rectangle(
                (0, 0),
                1,
                1,
                transform=axes.transAxes,
                hatch="////",
                fill=False,
                linewidth=0,
                edgecolor=ink.line,
                zorder=0,
            )
        )
    for _, box in cell.iterrows():
        x, colour = data.methods.index(box["method_id"]), colours[box["method_id"]]
        points = data.points[data.points["box"] == box["id"]]
        if points.empty:
            continue
        ends = [box["whisker_low"], box["q1"], np.nan, box["q3"], box["whisker_high"]]
        axes.plot([x] * 5, ends, color=colour, linewidth=1)
        for end in (box["whisker_low"], box["whisker_high"]):
            axes.plot([x - half / 2, x + half / 2], [end, end], color=colour, linewidth=1)
        axes.add_patch(
            Rectangle(
                (x - half, box["q1"]),
                2 * half,
                box["q3"] - box["q1"],
                facecolor=mpl.colors.to_rgba(colour, 0.12 if published else 0.24),
                edgecolor=colour,
                linestyle="--" if published else "-",
                linewidth=1,
                zorder=2,
            )
        )
        axes.plot([x - half, x + half], [box["median"]] * 2, color=colour, linewidth=2)
        axes.plot([x - half, x + half], [box["mean"]] * 2, "--", color=colour, linewidth=1.2)
        axes.plot(
            x + points["shift"] * half,
            points["value"],
            LETTERS[marks[box["method_id"]]],
            markersize=3.6,
            markerfacecolor=ink.band if published else colour,
            markeredgecolor=colour if published else ink.band,
            markeredgewidth=0.8 if published else 0.4,
            clip_on=False,
            zorder=4,
        )


def _legend(
    methods: Sequence[str],
    labels: Mapping[str, str],
    colours: Mapping[str, str],
    marks: Mapping[str, str],
    origin: Origin,
    ink: str,
) -> list[Any]:
    published = origin == "published"
    entries: list[Any] = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=LETTERS[marks[method]],
            markerfacecolor="none" if published else colours[method],
            markeredgecolor=colours[method],
            markersize=5,
            label=labels.get(method, method),
        )
        for method in methods
    ]
    entries.append(Line2D([], [], color=ink, linewidth=2, label="median"))
    entries.append(Line2D([], [], color=ink, linewidth=1.2, linestyle="--", label="mean"))
    return entries


def print_curves(
    history: pd.DataFrame,
    *,
    quantities: Sequence[str] = tuple(QUANTITIES),
    splits: Sequence[str] = ("train", "test"),
    mode: Mode = "light",
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw training curves, mean over seeds ± 1 std, one panel per quantity.

    Quantities that the history does not hold are left out; losses that span 10 times or more on
    a logarithmic axis, where the band is cut when mean − std is not positive.
    """
    with mpl.rc_context(STYLE):
        ink = INKS[mode]
        tables = {q: curve_table(history, q) for q in quantities}
        tables = {q: t[t["split"].isin(splits)] for q, t in tables.items()}
        shown = {q: t for q, t in tables.items() if len(t)}
        figure = new_figure(2.9 * max(len(shown), 1), 2.7, mode)
        grid = figure.subplots(1, max(len(shown), 1), squeeze=False)[0]
        colours = {"train": ink.train, "test": ink.test}
        for axes, (quantity, table) in zip(grid, shown.items(), strict=False):
            quiet(axes, mode)
            log = quantity.startswith("loss") and wants_log(table)
            floor = curve_floor(table) if log else -np.inf
            for split in splits:
                part = table[table["split"] == split]
                low = np.maximum(part["mean"] - part["std"], floor)
                colour = colours.get(split, ink.text)
                axes.fill_between(
                    part["epoch"], low, part["mean"] + part["std"], color=colour, alpha=0.16, lw=0
                )
                style = "--" if split == "train" else "-"
                dots = "o" if len(part) <= 12 else ""
                axes.plot(
                    part["epoch"], part["mean"], style + dots, color=colour, lw=1.4, markersize=3
                )
            if log:
                axes.set_yscale("log")
            axes.set_xlabel("epoch")
            axes.set_ylabel(QUANTITIES[quantity])
        handles = [
            Patch(color=colours.get(s, ink.text), label=f"{s}, mean ± 1 std over seeds")
            for s in splits
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=2,
            frameon=False,
            labelcolor=ink.text,
        )
        _title(figure, title, note, ink.text)
        return figure
