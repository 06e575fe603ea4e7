"""A figure as data: a table and which of its columns mean what. Drawn elsewhere, for page or paper.

The same chart stands on a page of the dashboard, in a report and in a printed paper;
``chart_bokeh`` and ``chart_print`` draw it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import pandas as pd

from xaieval.errors import ResultsError

Kind = Literal["boxes", "points", "bars", "lines", "heat"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Chart:
    """One figure.

    Attributes
    ----------
    id : str
        File name without extension.
    kind : str
        ``"boxes"``: a box over the rows of each x and group, every row a point.
        ``"points"``: a scatter of numbers.
        ``"bars"``: a bar per row, x a category.
        ``"lines"``: a curve per group over numbers x.
        ``"heat"``: a cell per row, x and y categories, ``value`` the number in it.
    title, caption : str
        The caption says what is seen: population, n, interval, what a mark means.
    table : DataFrame
        Long form; full precision.
    x, y : str
        Columns.
    group : str, optional
        Column of colour and mark. Values that are method keys are coloured as methods are.
    value : str, optional
        Column of the number of a heat map's cells.
    low, high : str, optional
        Columns of the interval around y (bars, points, lines).
    reference : str, optional
        Column of a tick beside each x, such as the area share.
    label : str, optional
        Column of the text of a point.
    x_label, y_label : str
        With units.
    x_range, y_range : (float, float), optional
    lines_at : tuple of (float, str)
        Horizontal lines, and what they stand for.
    trend : bool
        Whether a least-squares line is drawn through the points.

    Raises
    ------
    ResultsError
        When a column is missing, the kind is unknown, or a line or range is not finite.
    """

    id: str
    kind: Kind
    title: str
    table: pd.DataFrame
    x: str
    y: str
    group: str | None = None
    value: str | None = None
    low: str | None = None
    high: str | None = None
    reference: str | None = None
    label: str | None = None
    x_label: str = ""
    y_label: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    lines_at: tuple[tuple[float, str], ...] = ()
    trend: bool = False
    caption: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ResultsError(
                "unknown kind of chart", where=self.id, expected=get_args(Kind), got=self.kind
            )
        named = (self.x, self.y, self.group, self.value, self.low, self.high)
        for column in (*named, self.reference, self.label):
            if column is not None and column not in self.table.columns:
                raise ResultsError(
                    "the chart's table lacks a column",
                    where=self.id,
                    expected=column,
                    got=list(self.table.columns),
                )
        places = [at for at, _ in self.lines_at]
        for pair in (self.x_range, self.y_range):
            places += pair or ()
        if not all(math.isfinite(at) for at in places):
            raise ResultsError("a line or range of a chart is not finite", where=self.id)
        if self.kind == "heat" and self.value is None:
            raise ResultsError("a heat map needs the column of its values", where=self.id)

    def settings(self) -> dict[str, Any]:
        """Return everything but the table, as plain values."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name != "table" and getattr(self, f.name) not in (None, "", (), False)
        }

    @classmethod
    def of(cls, settings: dict[str, Any], table: pd.DataFrame) -> Chart:
        """Return the chart of which ``settings`` were kept."""
        kept = dict(settings)
        for key in ("x_range", "y_range"):
            if key in kept:
                low, high = kept[key]
                kept[key] = (low, high)
        if "lines_at" in kept:
            kept["lines_at"] = tuple((float(at), str(text)) for at, text in kept["lines_at"])
        return cls(table=table, **kept)
