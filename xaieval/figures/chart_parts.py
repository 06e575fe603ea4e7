"""What a chart draws, worked out once for page and paper: places, boxes, colours, ranges, texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.errors import ResultsError
from xaieval.figures.boxes import count_text, spread
from xaieval.figures.chart import Chart
from xaieval.figures.palette import (
    MARKS,
    Mode,
    base_id,
    group_colours,
    method_colours,
    method_marks,
)
from xaieval.stats import box_statistics

Range = tuple[float, float]
MANY = 4000
"""Boxes over more rows than this show only the rows outside their whiskers as points."""
_SWARM = 40  # more points than this stand as a cloud as wide as they are dense
_WIDTH = 0.84  # share of a category's width that its bars or boxes take


@dataclass(frozen=True)
class Series:
    """One colour and mark of a chart."""

    key: str
    label: str
    colour: str
    mark: str


@dataclass(frozen=True, eq=False)
class Parts:
    """The tables and texts behind both drawings of a chart (all kinds but heat maps).

    Attributes
    ----------
    rows : DataFrame
        One per row that is drawn: ``x, y, low, high, reference`` (numbers; NaN where absent),
        ``left, right`` (edges of a bar), ``label, name, category, colour, mark`` (texts) and
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
    by_name = chart.kind in ("boxes", "bars") or not _is_number(table[chart.x])
    rows = pd.DataFrame(
        {
            "y": _numbers(table[chart.y]),
            "key": _keys(chart, by_name),
            "low": _numbers(table[chart.low]) if chart.low else math.nan,
            "high": _numbers(table[chart.high]) if chart.high else math.nan,
            "reference": _numbers(table[chart.reference]) if chart.reference else math.nan,
            "label": [_text(v) for v in table[chart.label]] if chart.label else "",
        },
        index=range(len(table)),
    )
    if "id" in table:
        rows["id"] = [str(v) for v in table["id"]]
    order = names_in_order(table[chart.x]) if by_name else []
    if by_name:
        rows["category"] = [_text(v) for v in table[chart.x]]
        rows["x"] = [float(order.index(name)) for name in rows["category"]]
    else:
        rows["x"] = _numbers(table[chart.x])
        rows["category"] = [number_text(v) for v in rows["x"]]
    series = _series(chart, rows["key"], mode)
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
    labels = [_name(name) for name in order]
    if chart.kind == "boxes":
        labels = [
            f"{label}\n{_count(boxes, name)}" for label, name in zip(labels, order, strict=True)
        ]
    return Parts(
        rows=rows.assign(category=[_name(name) for name in rows["category"]]),
        boxes=boxes.assign(category=[_name(name) for name in boxes["category"]]),
        series=series,
        ticks={float(i): label for i, label in enumerate(labels)},
        x_range=chart.x_range or (_whole(len(order)) if by_name else _range([rows["x"]])),
        y_range=y_range,
        trend=_trend(rows) if chart.trend else None,
        note=note,
    )


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
            got=f"{_text(twice[chart.x].iloc[0])}, {_text(twice[chart.y].iloc[0])}",
        )
    x_order, y_order = names_in_order(table[chart.x]), names_in_order(table[chart.y])
    x_names, y_names = [_text(v) for v in table[chart.x]], [_text(v) for v in table[chart.y]]
    value = _numbers(table[chart.value])
    cells = pd.DataFrame(
        {
            "x": [float(x_order.index(name)) for name in x_names],
            "y": [float(len(y_order) - 1 - y_order.index(name)) for name in y_names],
            "value": value,
            "text": [number_text(v, decimals=2) for v in value],
            "x_name": [_name(name) for name in x_names],
            "y_name": [_name(name) for name in y_names],
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
        tuple(_name(name) for name in x_order),
        tuple(_name(name) for name in reversed(y_order)),
        low,
        high,
    )


def chart_note(chart: Chart) -> str:
    """Return what a drawing of this chart leaves out; "" when it shows every row."""
    return "" if chart.kind == "heat" else chart_parts(chart).note


def cell_ink(value: float, low: float, high: float) -> str:
    """Return a colour that can be read on a cell of this value; "" for no value.

    Cividis is dark at its low end and light at its high one.

    >>> cell_ink(0.1, 0, 1), cell_ink(0.9, 0, 1), cell_ink(float("nan"), 0, 1)
    ('#ffffff', '#17191c', '')
    """
    if math.isnan(value):
        return ""
    return "#17191c" if (value - low) / (high - low) > 0.5 else "#ffffff"


def number_text(value: float, *, decimals: int = 3) -> str:
    """Return a number as people read it in a figure; a dash for none.

    >>> [number_text(v) for v in (0.12345, -2, 12345.6, 0.00002, float("nan"))]
    ['0.123', '−2', '12,346', '2.0e−05', '–']
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        text = f"{value:,.0f}" if value else "0"
    elif abs(value) >= 100:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"
    elif abs(value) < 10**-decimals / 2:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{decimals}f}"
    return text.replace("-", "−")


def wrapped(text: str, width: int) -> str:
    """Break a name into lines of about ``width`` signs, at spaces.

    >>> wrapped("Integrated gradients", 12)
    'Integrated\\ngradients'
    """
    import textwrap

    return "\n".join(
        line for part in text.split("\n") for line in textwrap.wrap(part, width, **_WRAP) or [""]
    )


_WRAP: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def names_in_order(column: pd.Series[Any]) -> list[str]:
    """Return the distinct names of a column: as declared, numbers ascending, else as met.

    >>> names_in_order(pd.Series([10, 2, 10])), names_in_order(pd.Series(["b", "a"]))
    (['2', '10'], ['b', 'a'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        there = set(column)
        values: Iterable[Any] = [v for v in column.cat.categories if v in there]
        values = [*values, *([math.nan] if column.isna().any() else [])]
    else:
        values = column.unique()
        if _is_number(column):
            values = np.sort(np.asarray(values, np.float64))
    return list(dict.fromkeys(_text(v) for v in values))


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=math.nan)


def _text(value: Any) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:g}"
    return str(value)


def _keys(chart: Chart, by_name: bool) -> list[str]:
    """Return the series of each row: its group, else its method along x, else one for all."""
    if chart.group:
        return [_text(v) for v in chart.table[chart.group]]
    names = [_text(v) for v in chart.table[chart.x]] if by_name else []
    if names and all(_method(name) for name in names):
        return names
    return [""] * len(chart.table)


def _series(chart: Chart, keys: pd.Series[str], mode: Mode) -> tuple[Series, ...]:
    order = names_in_order(chart.table[chart.group]) if chart.group else list(dict.fromkeys(keys))
    methods = {key: found for key in order if (found := _method(key))}
    found_keys = list(dict.fromkeys(methods.values()))
    method_colour = method_colours(found_keys, mode=mode)
    method_mark = method_marks(found_keys)
    colours = {key: method_colour[found] for key, found in methods.items()}
    marks = {key: method_mark[found] for key, found in methods.items()}
    others = [key for key in order if key not in methods]
    spare = group_colours(len(others), mode=mode)
    for i, (key, colour) in enumerate(zip(others, spare, strict=True)):
        colours[key] = colour
        marks[key] = MARKS[(i + len(methods)) % len(MARKS)]
    return tuple(Series(key, _name(key), colours[key], marks[key]) for key in order)


@cache
def _methods() -> dict[str, str]:
    """Return the label of each method id; loaded when first asked for."""
    from xaieval.methods import METHODS

    return {name: spec.label for name, spec in METHODS.items()}


def _method(key: str) -> str:
    """Return the method key that a name stands for; "" for no method."""
    if base_id(key) in _methods():
        return key
    return next((name for name, label in _methods().items() if label == key), "")


def _name(key: str) -> str:
    """Return a name as people read it: a method's label, its options behind it."""
    name, bracket, options = key.partition("[")
    label = _methods().get(name)
    if label is None:
        return key
    return f"{label} [{options}" if bracket else label


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


def swarm(values: npt.NDArray[np.float64], span: float) -> npt.NDArray[np.float64]:
    """Return a sideways place in [-1, 1] per value, without any random number.

    Few values stand side by side where they are near; many form a cloud that is as wide as they
    are dense (golden-ratio steps through the sorted values).

    >>> swarm(np.array([0.5, 0.5, 0.9]), 1.0).tolist()
    [-0.17, 0.17, 0.0]
    """
    if len(values) <= _SWARM:
        return np.asarray(spread((values / (span or 1.0)).tolist()), np.float64)
    counts, edges = np.histogram(values, bins=24)
    smooth = np.convolve(counts, [1, 2, 1], "same")
    width = np.interp(values, (edges[1:] + edges[:-1]) / 2, smooth) / smooth.max()
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray((2 * ((rank * 0.6180339887498949) % 1) - 1) * width * 0.95, np.float64)


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
