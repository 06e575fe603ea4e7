"""Training curves over seeds, drawn with HoloViews."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # registers the drawing backend
import pandas as pd

from xaieval.figures.axes import style_axes
from xaieval.figures.curves import QUANTITIES, curve_floor, curve_table, wants_log
from xaieval.figures.palette import INKS, Mode
from xaieval.figures.spoken import spoken

_DOTTED = 12  # so few epochs are marked one by one; a single one would be no line at all


def curve_figure(
    history: pd.DataFrame,
    quantity: str,
    *,
    splits: Sequence[str] = ("train", "test"),
    mode: Mode = "light",
    log: bool | None = None,
    height_px: int = 240,
) -> Any:
    """Draw one training curve: mean over seeds as a line, ± 1 std as a band, per split.

    Parameters
    ----------
    history : DataFrame
        ``seed, fold, epoch, split`` and the quantity; folds of a seed are averaged first.
    quantity : str
        A column of ``curves.QUANTITIES``.
    log : bool, optional
        Logarithmic axis; the band's lower edge is cut where mean − std is not positive. Default:
        for losses whose means span 10 times or more.

    Returns
    -------
    bokeh figure, or None when the history holds no such number.
    """
    ink = INKS[mode]
    table = curve_table(history, quantity)
    table = table[table["split"].isin(splits)]
    if table.empty:
        return None
    if log is None:
        log = quantity.startswith("loss") and wants_log(table)
    floor = curve_floor(table) if log else -math.inf
    parts = []
    for split in splits:
        part = table[table["split"] == split]
        if part.empty:
            continue
        colour = ink.train if split == "train" else ink.test
        lower = part["std"].where(part["mean"] - part["std"] >= floor, part["mean"] - floor)
        rows = part.assign(below=lower.clip(lower=0), above=part["std"])
        band = hv.Spread(rows, "epoch", ["mean", "below", "above"])
        line = hv.Curve(rows, "epoch", ["mean", "std", "n_seeds"], label=split)
        parts.append(band.opts(color=colour, alpha=0.16, line_alpha=0, backend="bokeh"))
        parts.append(
            line.opts(
                color=colour,
                line_width=2,
                line_dash="dashed" if split == "train" else "solid",
                tools=["hover"],
                backend="bokeh",
            )
        )
        if len(part) <= _DOTTED:
            dots = hv.Scatter(rows, "epoch", "mean")
            parts.append(dots.opts(color=colour, size=5, backend="bokeh"))
    overlay = hv.Overlay(parts).opts(
        logy=log,
        responsive=True,
        height=height_px,
        toolbar=None,
        show_legend=False,
        ylabel=QUANTITIES[quantity],
        xlabel="epoch",
        backend="bokeh",
    )
    fig = hv.render(overlay, backend="bokeh")
    fig.name = f"curve-{quantity}"
    fig.html_attributes = spoken(f"{quantity.replace('_', ' ')} over epochs, mean over the seeds")
    fig.background_fill_alpha = fig.border_fill_alpha = 0
    fig.outline_line_color = None
    fig.xgrid.grid_line_color = None
    fig.ygrid.grid_line_color = ink.line
    style_axes(fig, ink)
    return fig
