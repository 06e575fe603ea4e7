"""What a chart calls its rows and groups, and which colour and mark a group gets."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from xaieval.figures.chart import Chart
from xaieval.figures.palette import (
    INKS,
    MARKS,
    Mode,
    base_id,
    group_colours,
    method_colours,
    method_marks,
)

HATCHES = ("blank", "right_diagonal_line", "dot", "diagonal_cross", "horizontal_line")
"""Bokeh's names."""


@dataclass(frozen=True)
class Series:
    """One colour and mark of a chart; bars that share a colour differ by their hatch."""

    key: str
    label: str
    colour: str
    mark: str
    hatch: str = "blank"


def series_of(chart: Chart, keys: pd.Series[str], mode: Mode) -> tuple[Series, ...]:
    order = names_in_order(chart.table[chart.group]) if chart.group else list(dict.fromkeys(keys))
    methods = {key: found for key in order if (found := _method(key))}
    found_keys = list(dict.fromkeys(methods.values()))
    method_colour = method_colours(found_keys, mode=mode)
    method_mark = method_marks(found_keys)
    colours = {key: method_colour[found] for key, found in methods.items()}
    marks = {key: method_mark[found] for key, found in methods.items()}
    if set(order) <= {"train", "test"}:  # as in the figures of training
        colours |= {key: getattr(INKS[mode], key) for key in order}
        marks |= dict(zip(order, MARKS, strict=False))
    others = [key for key in order if key not in colours]
    spare = group_colours(len(others), mode=mode)
    for i, (key, colour) in enumerate(zip(others, spare, strict=True)):
        colours[key] = colour
        marks[key] = MARKS[(i + len(methods)) % len(MARKS)]
    seen = [colours[key] for key in order]
    hatches = [HATCHES[seen[:i].count(colour) % len(HATCHES)] for i, colour in enumerate(seen)]
    return tuple(
        Series(key, name_of(key), colours[key], marks[key], hatch)
        for key, hatch in zip(order, hatches, strict=True)
    )


def row_keys(chart: Chart, by_name: bool) -> list[str]:
    """Return the series of each row: its group, else its method along x, else one for all."""
    if chart.group:
        return [text_of(v) for v in chart.table[chart.group]]
    names = [text_of(v) for v in chart.table[chart.x]] if by_name else []
    if names and all(_method(name) for name in names):
        return names
    return [""] * len(chart.table)


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
        if is_number(column):
            values = np.sort(np.asarray(values, np.float64))
    return list(dict.fromkeys(text_of(v) for v in values))


def is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def text_of(value: Any) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:g}"
    return str(value)


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


def name_of(key: str) -> str:
    """Return a name as people read it: a method's label, its options behind it."""
    name, bracket, options = key.partition("[")
    label = _methods().get(name)
    if label is None:
        return key
    return f"{label} [{options}" if bracket else label


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
    """Break a name into lines of about ``width`` signs: at spaces, at hyphens where it must be.

    >>> wrapped("Integrated gradients", 12)
    'Integrated\\ngradients'
    >>> wrapped("Grad-CAM", 12), wrapped("digit-over-block", 12)
    ('Grad-CAM', 'digit-over-\\nblock')
    """
    lines = []
    for part in text.split("\n"):
        for line in textwrap.wrap(part, width, **_WRAP) or [""]:
            whole = len(line) <= width
            lines += [line] if whole else textwrap.wrap(line, width, break_long_words=False)
    return "\n".join(lines)


def fitted(names: Sequence[str], signs: int) -> tuple[list[str], bool]:
    """Return names as they stand along an axis, and whether they are slanted to fit.

    >>> fitted(["eyes\\nn 12"], 8), fitted(["mouth\\nn 12"], 3)
    ((['eyes\\nn 12'], False), (['mouth · n 12'], True))
    """
    lines = [wrapped(name, max(signs, 6)) for name in names]
    rows = [text.split("\n") for text in lines]
    longest = max((len(line) for text in rows for line in text), default=0)
    if longest <= signs and max(map(len, rows), default=0) <= 5:
        return lines, False
    return [name.replace("\n", " · ") for name in names], True


def columns_for(lengths: Sequence[float], room: float) -> int:
    """Return in how many columns texts of these lengths stand, row by row, in a given width.

    >>> columns_for([50, 50, 50], 200), columns_for([50, 150, 50], 210), columns_for([500], 100)
    (3, 2, 1)
    """
    for count in range(len(lengths), 1, -1):
        if sum(max(lengths[i::count]) for i in range(count)) <= room:
            return count
    return 1


_WRAP: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def cell_texts(values: Sequence[float]) -> list[str]:
    """Return the numbers of a heat map's cells, all with the same number of decimals.

    >>> cell_texts([1.0, 12.0]), cell_texts([1.5, 12.0]), cell_texts([0.25, 0.0037, math.nan])
    (['1', '12'], ['1.5', '12.0'], ['0.25', '0.00', '–'])
    >>> cell_texts([0.08, 0.0037])
    ['0.080', '0.004']
    """
    finite = [value for value in values if math.isfinite(value)]
    largest = max(map(abs, finite), default=0.0)
    decimals = 0 if largest >= 100 else 1 if largest >= 10 else 2 if largest >= 0.1 else 3
    while decimals and all(round(value, decimals - 1) == value for value in finite):
        decimals -= 1
    return [
        f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else number_text(value)
        for value in values
    ]


def cell_ink(value: float, low: float, high: float) -> str:
    """Return a colour that can be read on a cell of this value; "" for no value.

    Cividis is dark at its low end and light at its high one.

    >>> cell_ink(0.1, 0, 1), cell_ink(0.9, 0, 1), cell_ink(float("nan"), 0, 1)
    ('#fefefe', '#111111', '')
    """
    if math.isnan(value):
        return ""
    # No colour of the page: these stay as they are when the page turns dark.
    return "#111111" if (value - low) / (high - low) > 0.5 else "#fefefe"
