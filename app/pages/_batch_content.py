"""What the Batch page shows of a view: computed and drawn in a worker thread."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import pandas as pd
from bokeh.layouts import column, row

from xaieval.errors import XaievalError
from xaieval.export import View, method_labels, view_boxes
from xaieval.export.comparing import (
    Group,
    agreement_chart,
    agreement_rows,
    metric_labels,
    view_comparison,
)
from xaieval.figures import (
    QUANTITIES,
    Boxes,
    Chart,
    curve_figure,
    draw_chart,
    draw_critical_difference,
    win_rate_figure,
)
from xaieval.figures.palette import Mode
from xaieval.stats import OVERALL, outcome_counts
from xaieval.study import Results, stand_ins
from xaieval.study.comparison import MethodComparison

from ..kept import Kept

MOST_CLASSES = 8
"""More columns than this are not readable side by side; the class filter shows the others."""

_DRAWING = threading.Lock()  # HoloViews keeps its options in one place for the whole process
_MOST_VIEWS = 32
_TABLES: WeakKeyDictionary[Results, Kept] = WeakKeyDictionary()  # shared by all sessions


@dataclass(frozen=True, eq=False)
class Tables:
    """The numbers of one view: whatever does not depend on how they are drawn."""

    data: Boxes
    accuracy: pd.DataFrame
    stand_ins: list[dict[str, Any]]
    counts: pd.DataFrame
    compared: MethodComparison | None
    reason: str
    agreement: pd.DataFrame


def tables(results: Results, view: View) -> Tables:
    """Return the tables of a view; the process keeps those asked for last."""
    kept = _TABLES.setdefault(results, Kept(_MOST_VIEWS))

    def make() -> Tables:
        compared, reason = None, ""
        try:
            compared = view_comparison(results, view)
        except XaievalError as error:
            reason = str(error)
        region = view.region or None
        named = {"region": region, "population": view.population, "tie_rule": view.tie_rule}
        return Tables(
            view_boxes(results, view),
            results.accuracy(),
            stand_ins(results, view.metric, **named),
            outcome_counts(results.win_shares(view.metric, **named)),
            compared,
            reason,
            kept.get(about, lambda: agreement_rows(results, view)),
        )

    # The agreement asks no winner: views that differ in that share it.
    about = (Group.of(results, view), view.population, view.region)
    return kept.get(view, make)


@dataclass(frozen=True, eq=False)
class Tested:
    """Whether methods differ and scores agree, for one split and class.

    ``compared`` is None, with the ``reason``, where nothing can be tested; ``ranks`` is the drawn
    diagram, ``chart`` and ``matrix`` the agreement as data and as drawn, None without two scores.
    """

    group: Group
    compared: MethodComparison | None
    reason: str
    ranks: Any
    agreement: pd.DataFrame
    chart: Chart | None
    matrix: Any
    metrics: dict[str, str]


@dataclass(frozen=True, eq=False)
class Content:
    """Tables, figures and names of one view.

    ``hidden`` is the number of classes that are not drawn; ``curves`` is None without a history;
    ``failed`` says of methods why they failed the sanity gate; ``stand_ins`` how many wins change
    hands where a competitor was drawn in another form; ``counts`` how many images each method was
    counted on, won and lost, per seed (empty for published results).
    """

    results: Results
    view: View
    mode: Mode
    data: Boxes
    labels: dict[str, str]
    accuracy: pd.DataFrame
    hidden: int
    boxes: Any
    curves: Any
    failed: dict[str, str]
    stand_ins: list[dict[str, Any]]
    counts: pd.DataFrame
    tests: Tested

    @property
    def empty(self) -> bool:
        """Whether no image takes part."""
        return not self.data.boxes["mean"].notna().any()


def compute(results: Results, view: View, mode: Mode, *, last: Content | None = None) -> Content:
    """Return what a view shows; the curves of ``last`` are taken over where they are the same."""
    view, hidden = _readable(results, view)
    found, labels = tables(results, view), method_labels(results)
    splits = view.splits or ("train", "test")
    with _DRAWING:
        drawn = win_rate_figure(found.data, labels=labels, mode=mode, origin=results.kind)
        boxes = column(*drawn.rows, sizing_mode="stretch_width", spacing=8, name="win-rates")
        if last and (last.results, last.view.splits, last.mode) == (results, view.splits, mode):
            curves = last.curves
        else:
            curves = _curves(results.history(), splits, mode)
    return Content(
        results,
        view,
        mode,
        found.data,
        labels,
        found.accuracy,
        hidden,
        boxes,
        curves,
        results.sanity_failures,
        found.stand_ins,
        found.counts,
        tested(results, view, mode, labels, found),
    )


def tested(
    results: Results, view: View, mode: Mode, labels: dict[str, str], found: Tables
) -> Tested:
    """Return the tests of a view, with their figures."""
    compared, rows = found.compared, found.agreement
    chart = agreement_chart(results, view, rows) if len(rows) else None
    ranks = None
    with _DRAWING:
        if compared is not None and compared.nemenyi is not None:
            ranks = draw_critical_difference(
                compared.nemenyi,
                labels=labels,
                methods=results.compete,
                mode=mode,
                origin=results.kind,
            )
        matrix = draw_chart(chart, mode=mode) if chart else None
    group, metrics = Group.of(results, view), metric_labels(results)
    return Tested(group, compared, found.reason, ranks, rows, chart, matrix, metrics)


def _curves(history: pd.DataFrame, splits: tuple[str, ...], mode: Mode) -> Any:
    figures = [curve_figure(history, quantity, splits=splits, mode=mode) for quantity in QUANTITIES]
    shown = [figure for figure in figures if figure is not None]
    return row(*shown, sizing_mode="stretch_width", spacing=16, name="curves") if shown else None


def _readable(results: Results, view: View) -> tuple[View, int]:
    """Return the view with as many classes as fit side by side, and how many were left away."""
    if view.classes or len(results.classes) < MOST_CLASSES:
        return view, 0
    present = results.win_rates(
        view.metric,
        region=view.region or None,
        tie_rule=view.tie_rule,
        population=view.population,
    )["class"]
    classes = [name for name in results.classes if name in set(present)]
    shown = classes[: MOST_CLASSES - 1]
    return dataclasses.replace(view, classes=(OVERALL, *shown)), len(classes) - len(shown)
