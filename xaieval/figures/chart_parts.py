"""What a chart draws, worked out once for page and paper: places, boxes, colours, ranges, texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.errors import ResultsError
from xaieval.figures.boxes import count_text
from xaieval.figures.chart import Chart
from xaieval.figures.chart_names import (
    Series,
    cell_texts,
    is_number,
    name_of,
    names_in_order,
    number_text,
    row_keys,
    series_of,
    text_of,
)
from xaieval.figures.chart_places import swarm
from xaieval.figures.palette import Mode
from xaieval.stats import box_statistics

Range = tuple[float, float]
MANY = 4000
"""Boxes over more rows than this show only the rows outside their whiskers as points."""
FEW_POINTS = 14
"""So few points carry their names beside them."""
FEW_MARKS = 300
"""More points than this are drawn small and see-through."""
FEW_DOTS = 16
"""The same for the points of one line."""
FEW_CELLS = 150
"""So few cells of a heat map carry their numbers."""
_WIDTH = 0.84  # share of a category's width that its bars or boxes take


@dataclass(frozen=True, eq=False)
class Parts:
    """The tables and texts behind both drawings of a chart (all kinds but heat maps).

    Attributes
    ----------
    rows : DataFrame
        One per row that is drawn: ``x, y, low, high, reference`` (numbers; NaN where absent),
        ``left, right`` (edges of a bar), ``label, name, category, colour, mark, hatch`` (texts) and
        ``id``, where the chart's table has one.
    boxes : DataFrame
        One per box: ``x, left, right, q1, median, q3, whisker_low, whisker_high, n, mean, name,
        category, colour``; empty for other kinds.
    series : tuple of Series
        In the order of the legend.
    ticks : dict of place -> text
        Names along x; empty where x is a number.
    x_range, y_range : (float, float)
    trend : ((x, y), (x, y)) or None
        Ends of the least-squares line.
    note : str
        What is not drawn; "" when everything is.
    """

    rows: pd.DataFrame
    boxes: pd.DataFrame
    series: tuple[Series, ...]
    ticks: dict[float, str]
    x_range: Range
    y_range: Range
    trend: tuple[Range, Range] | None
    note: str


def chart_parts(chart: Chart, *, mode: Mode = "light") -> Parts:
    """Work out what a chart of any kind but "heat" draws.

    Rows without a finite y (and x, where x is a number) are left out; ``note`` counts them.
    """
    table = chart.table
    by_name = chart.kind in ("boxes", "bars") or not is_number(table[chart.x])
    rows = pd.DataFrame(
        {
            "y": _numbers(table[chart.y]),
            "key": row_keys(chart, by_name),
            "low": _numbers(table[chart.low]) if chart.low else math.nan,
            "high": _numbers(table[chart.high]) if chart.high else math.nan,
            "reference": _numbers(table[chart.reference]) if chart.reference else math.nan,
            "label": [text_of(v) for v in table[chart.label]] if chart.label else "",
        },
        index=range(len(table)),
    )
    if "id" in table:
        rows["id"] = [str(v) for v in table["id"]]
    order = names_in_order(table[chart.x]) if by_name else []
    if by_name:
        rows["category"] = [text_of(v) for v in table[chart.x]]
        rows["x"] = [float(order.index(name)) for name in rows["category"]]
    else:
        rows["x"] = _numbers(table[chart.x])
        rows["category"] = [number_text(v) for v in rows["x"]]
    series = series_of(chart, rows["key"], mode)
    kept = rows[np.isfinite(rows["y"]) & np.isfinite(rows["x"])].reset_index(drop=True)
    note = _left_out(len(rows) - len(kept))
    if chart.kind != "lines":
        rows = kept
    elif len(kept) < len(rows):  # a gap shows where a number is missing
        rows = rows[np.isfinite(rows["x"])].reset_index(drop=True)
    look = {one.key: one for one in series}
    rows = rows.assign(
        name=[look[key].label for key in rows["key"]],
        colour=[look[key].colour for key in rows["key"]],
        mark=[look[key].mark for key in rows["key"]],
        hatch=[look[key].hatch for key in rows["key"]],
    )
    y_range = chart.y_range or _range(
        [*(rows[c] for c in ("y", "low", "high", "reference")), [at for at, _ in chart.lines_at]],
        zero=chart.kind == "bars",
    )
    boxes = pd.DataFrame(columns=_BOX)
    if chart.kind in ("boxes", "bars"):
        half = _place(rows, [one.key for one in series])
        if chart.kind == "boxes":
            rows, boxes, hidden = _boxes(rows, half, y_range[1] - y_range[0])
            note = " ".join(part for part in (note, hidden) if part)
    labels = [name_of(name) for name in order]
    if chart.kind == "boxes":
        labels = [
            f"{label}\n{_count(boxes, name)}" for label, name in zip(labels, order, strict=True)
        ]
    return Parts(
        rows=rows.assign(category=[name_of(name) for name in rows["category"]]),
        boxes=boxes.assign(category=[name_of(name) for name in boxes["category"]]),
        series=series,
        ticks={float(i): label for i, label in enumerate(labels)},
        x_range=chart.x_range or (_whole(len(order)) if by_name else _range([rows["x"]])),
        y_range=y_range,
        trend=_trend(rows) if chart.trend else None,
        note=note,
    )


def reference_ticks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``left, right, reference`` of the tick of each name along x.

    One tick across the name where all its rows agree, else one per bar or box.
    """
    middle = rows["x"].round()
    agree = rows.groupby(middle)["reference"].nunique(dropna=False).max() == 1
    if agree or "left" not in rows:
        each = rows.drop_duplicates("category")
        place = each["x"].round()
        return pd.DataFrame(
            {"left": place - 0.42, "right": place + 0.42, "reference": each["reference"]}
        )
    return rows.drop_duplicates(["left"])[["left", "right", "reference"]]


@dataclass(frozen=True, eq=False)
class Heat:
    """The cells of a heat map: ``x, y`` (places), ``value``, ``text``, ``x_name, y_name, id``."""

    cells: pd.DataFrame
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    low: float
    high: float


def heat_parts(chart: Chart) -> Heat:
    """Work out the cells of a heat map; the first y stands on top.

    Raises
    ------
    ResultsError
        When two rows fall into one cell.
    """
    table = chart.table
    assert chart.value is not None  # Chart sees to it
    twice = table[table.duplicated([chart.x, chart.y])]
    if len(twice):
        raise ResultsError(
            "two rows fall into one cell of a heat map",
            where=chart.id,
            got=f"{text_of(twice[chart.x].iloc[0])}, {text_of(twice[chart.y].iloc[0])}",
        )
    x_order, y_order = names_in_order(table[chart.x]), names_in_order(table[chart.y])
    x_names, y_names = [text_of(v) for v in table[chart.x]], [text_of(v) for v in table[chart.y]]
    value = _numbers(table[chart.value])
    cells = pd.DataFrame(
        {
            "x": [float(x_order.index(name)) for name in x_names],
            "y": [float(len(y_order) - 1 - y_order.index(name)) for name in y_names],
            "value": value,
            "text": cell_texts(value.tolist()),
            "x_name": [name_of(name) for name in x_names],
            "y_name": [name_of(name) for name in y_names],
        }
    )
    if "id" in table:
        cells["id"] = [str(v) for v in table["id"]]
    finite = value[np.isfinite(value)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Heat(
        cells,
        tuple(name_of(name) for name in x_order),
        tuple(name_of(name) for name in reversed(y_order)),
        low,
        high,
    )


def chart_note(chart: Chart) -> str:
    """Return what a drawing of this chart leaves out; "" when it shows every row."""
    return "" if chart.kind == "heat" else chart_parts(chart).note


def _numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=math.nan)


def _place(rows: pd.DataFrame, keys: Sequence[str]) -> float:
    """Set the bars or boxes of a category side by side; return half their width.

    Where each category has one series only, nothing stands aside.
    """
    crowded = bool((rows.groupby("x")["key"].nunique() > 1).any())
    slots = len(keys) if crowded else 1
    slot = _WIDTH / slots
    if crowded:
        rows["x"] += [(keys.index(key) - (slots - 1) / 2) * slot for key in rows["key"]]
    half = min(0.43 * slot, 0.3)
    rows["left"], rows["right"] = rows["x"] - half, rows["x"] + half
    return half


_BOX = ["x", "left", "right", "q1", "median", "q3", "whisker_low", "whisker_high", "mean", "n"]
_BOX += ["name", "category", "colour"]


def _boxes(rows: pd.DataFrame, half: float, span: float) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return the points at their places, a box per x and series, and what is not drawn."""
    found, shifts = [], np.zeros(len(rows))
    outside = np.zeros(len(rows), bool)
    for x, part in rows.groupby("x", sort=True):
        values = part["y"].to_numpy(np.float64)
        box = box_statistics(values)
        first = part.iloc[0]
        found.append(
            {"x": x, "left": first["left"], "right": first["right"], "q1": box.q1}
            | {"median": box.median, "q3": box.q3, "whisker_low": box.low}
            | {"whisker_high": box.high, "mean": float(values.mean()), "n": box.n}
            | {"name": first["name"], "category": first["category"], "colour": first["colour"]}
        )
        shifts[part.index] = swarm(values, span)
        outside[part.index] = (values < box.low) | (values > box.high)
    rows = rows.assign(x=rows["x"] + shifts * half)
    hidden = ""
    if len(rows) > MANY:
        hidden = f"Points: the {outside.sum():,} of {len(rows):,} rows outside the whiskers."
        rows = rows[outside].reset_index(drop=True)
    return rows, pd.DataFrame(found, columns=_BOX), hidden


def _count(boxes: pd.DataFrame, category: str) -> str:
    counts = boxes[boxes["category"] == category]["n"]
    return count_text(counts.min(), counts.max()) if len(counts) else "n 0"


def _left_out(count: int) -> str:
    if not count:
        return ""
    return f"{count:,} row{'s' if count > 1 else ''} without a number not drawn."


def _range(columns: Iterable[Iterable[float]], *, zero: bool = False) -> Range:
    values = np.concatenate([np.asarray(list(c), np.float64) for c in columns])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.06 * (high - low) or 0.1 * abs(low) or 0.5
    bottom = low if zero and low == 0 else low - pad
    return bottom, (high if zero and high == 0 and low < 0 else high + pad)


def _whole(n: int) -> Range:
    return -0.5, max(n, 1) - 0.5


def _trend(rows: pd.DataFrame) -> tuple[Range, Range] | None:
    """Return the ends of the least-squares line; None where there is no line."""
    x, y = rows["x"].to_numpy(np.float64), rows["y"].to_numpy(np.float64)
    if len(np.unique(x)) < 2:
        return None
    middle = x.mean()
    slope = float(((x - middle) * (y - y.mean())).sum() / ((x - middle) ** 2).sum())
    ends = float(x.min()), float(x.max())
    first, last = (float(y.mean() + slope * (end - middle)) for end in ends)
    return (ends[0], first), (ends[1], last)
