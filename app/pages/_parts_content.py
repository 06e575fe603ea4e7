"""What the Parts page shows of a view: read, aggregated and drawn in a worker thread."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xaieval.export.charted import Charted
from xaieval.export.regional import Regional, RegionalExhibit, RegionalView
from xaieval.figures import chart_note, draw_chart
from xaieval.figures.chart import Chart
from xaieval.figures.palette import Mode
from xaieval.study import Results

EXHIBITS: tuple[RegionalExhibit, ...] = ("regions", "lift", "falsification", "class-regions")


@dataclass(frozen=True, eq=False)
class PartsContent:
    """Tables and figures of one view.

    ``shown`` and ``drawn`` hold the exhibits that there are: "falsification" only where it was
    scored, "lift" only where the area share was, "class-regions" only with several classes.
    """

    regional: Regional
    table: pd.DataFrame
    shown: dict[str, Charted]
    drawn: dict[str, Any]
    notes: dict[str, str]

    @property
    def view(self) -> RegionalView:
        return self.regional.view

    @property
    def results(self) -> Results:
        return self.regional.results

    @property
    def empty(self) -> bool:
        """Whether no image takes part."""
        return not bool(self.table["n"].sum())


def compute_parts(
    results: Results, view: RegionalView, mode: Mode, *, last: PartsContent | None = None
) -> PartsContent:
    """Return what a view shows; the scores of ``last`` are taken over where they are the same."""
    settled = view.settled(results)
    if last is not None and last.results is results and _read_alike(last.view, settled):
        regional, table = Regional(results, settled, last.regional.scores), last.table
    else:
        regional = Regional.of(results, settled)
        table = regional.table()
    if last is not None and last.results is results and last.view == settled:
        shown = last.shown  # the same under other colours
    else:
        shown = _exhibits(regional, table)
    charts = {exhibit: it.chart for exhibit, it in shown.items() if it.chart is not None}
    drawn = {exhibit: draw(chart, mode) for exhibit, chart in charts.items()}
    notes = {exhibit: chart_note(chart) for exhibit, chart in charts.items()}
    return PartsContent(regional, table, shown, drawn, notes)


def _exhibits(regional: Regional, table: pd.DataFrame) -> dict[str, Charted]:
    results, shown = regional.results, dict[str, Charted]()

    def add(exhibit: RegionalExhibit, chart: Any, rows: pd.DataFrame) -> None:
        asked = dataclasses.replace(regional.view, exhibit=exhibit)
        shown[exhibit] = Charted(asked, {results.study.id: results}, chart, rows)

    if table["n"].sum():
        add("regions", regional.boxes(table), table)
        lift = regional.lift(table)
        if lift is not None:
            add("lift", lift, table)
        found = regional.falsification()
        if found is not None and len(found[1]):
            add("falsification", *found)
        if len(results.classes) > 1:
            add("class-regions", *regional.class_regions())
    return shown


def draw(chart: Chart, mode: Mode) -> Any:
    """Return a chart as a page shows it: its legend stands above it, as HTML."""
    figure = draw_chart(chart, mode=mode)
    for legend in figure.legend:
        legend.visible = False
    return figure


def _read_alike(a: RegionalView, b: RegionalView) -> bool:
    """Whether two views rest on the same scores and the same table."""
    apart = {"exhibit", "region", "method", "falsified", "cells", "lifted"}
    names = [f.name for f in dataclasses.fields(a) if f.name not in apart]
    return all(getattr(a, name) == getattr(b, name) for name in names)
