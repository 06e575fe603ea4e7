"""The Triage view of a slide, for paper: its points, and the first rows of its queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from xaieval.errors import StoryError, XaievalError
from xaieval.export.exhibits import method_labels
from xaieval.figures.palette import INKS
from xaieval.figures.printed import STYLE, new_figure, quiet
from xaieval.journal import Journal, marks
from xaieval.stats.patterns import Thresholds
from xaieval.story.views import ANY, Link
from xaieval.triage import ORDERS, Filters, Queue, TriageTable, frame, open_triage, scatter
from xaieval.triage.exporting import command
from xaieval.triage.summaries import span_of

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.study import Results

ROWS = 12
_POINTS = 4000


def triage_filters(link: Link, results: Results) -> Filters:
    """Return the filters that the Triage page of a link sets.

    Raises
    ------
    ConfigError
        For a value that can be none.
    """
    split = link.get("split") or ("test" if "test" in results.splits else ANY)
    class_name = link.get("class", ANY)
    return Filters(
        split=None if split == ANY else split,
        class_name=None if class_name == ANY else class_name,
        seed=link.part_seed,
        answers=link.get("answers", "all"),  # type: ignore[arg-type]  # checked by Filters
        confidence=_range(link.get("confidence")),
        score=_range(link.get("span")),
        pattern=link.get("pattern") or None,
        outcome=link.get("outcome") or None,
        population=link.population,
        tie_rule=link.ties,
        tag=link.get("tag") or None,
        text=link.get("find"),
    )


def _range(text: str) -> tuple[float, float] | None:
    low, sign, high = text.partition("to")
    if not sign:
        return None
    try:
        return float(low), float(high)
    except ValueError:
        raise StoryError("not a range", expected="such as 0.8to1", got=repr(text[:40])) from None


def thresholds_of(link: Link) -> Thresholds:
    """Return the thresholds of the patterns: "high-0.5 covered-0.8 low-0.1"."""
    found = re.fullmatch(r"high-([\d.]+) covered-([\d.]+) low-([\d.]+)", link.get("lines"))
    return Thresholds(*map(float, found.groups())) if found else Thresholds()


def triage_plate(link: Link, results: Results) -> dict[str, Any]:
    """Return title, facts, command, figure and table of a Triage view.

    Raises
    ------
    XaievalError
        When these results do not have what the link asks for.
    """
    metric = link.get("metric", "topk_overlap")
    if metric not in results.metric_keys:
        metric = results.metric_keys[0]
    table = open_triage(
        results,
        metric=metric,
        region=link.get("region") or None,
        method=link.get("method") or None,
    )
    filters, thresholds = triage_filters(link, results), thresholds_of(link)
    order = link.get("order", "surprise")
    order = order if order in ORDERS else "surprise"
    try:
        written = marks(Journal().events(study=results.study.id))
    except XaievalError:
        written = {}
    rows = table.select(filters, order=order, thresholds=thresholds, marks=written)
    first = frame(
        table, rows[:ROWS], marks=written, thresholds=thresholds, tie_rule=filters.tie_rule,
        population=filters.population,
    )  # fmt: skip
    keep = ["sample_id", "seed", "class", "predicted", "confidence", "score", "disagreement"]
    shown = first[[*keep, "surprise", "tags"]]
    queue = Queue(filters=filters, order=order, thresholds=thresholds)
    labels = method_labels(results)
    of = labels.get(table.method, table.method) if table.method else "mean of who competes"
    asked = [
        (name, text)
        for name, text in (
            ("Study", results.title),
            ("Score", f"{table.metric.label}, {of}"),
            ("Order", ORDERS[order].label),
            ("Split", filters.split or "all"),
            ("Class", filters.class_name or ""),
            ("Answers", "" if filters.answers == "all" else filters.answers),
            ("Outcome", filters.outcome or ""),
            ("Pattern", filters.pattern or ""),
            ("Tag", filters.tag or ""),
            ("Rows", f"{len(rows):,} of {len(table):,}"),
        )
        if text
    ]
    file = f"{results.study.id}-triage.csv"
    return {
        "title": f"{results.title}: {len(rows):,} of {len(table):,} rows, {ORDERS[order].label}",
        "facts": tuple(asked),
        "commands": (command(table, queue=queue, format="csv", file=file),),
        "draw": lambda: queue_figure(table, rows, shown),
        "table": shown,
    }


def queue_figure(table: TriageTable, rows: Any, shown: pd.DataFrame) -> Figure:
    """Draw the rows as points, confidence against score, with the first of them as a table."""
    points = scatter(table, rows, limit=_POINTS)
    with mpl.rc_context(STYLE):
        ink = INKS["light"]
        figure = new_figure(9.4, 4.1, "light")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        quiet(left, "light")
        left.grid(axis="x", color=ink.line, linewidth=0.6)
        for right_answer, mark, colour, name in (
            (True, "o", ink.test, "correct"),
            (False, "X", ink.train, "wrong"),
        ):
            which = points.correct == right_answer
            left.scatter(
                points.x[which], points.y[which], s=18, marker=mark, color=colour, alpha=0.55,
                linewidths=0, label=f"{name}: {int(which.sum()):,}", rasterized=len(rows) > _POINTS,
            )  # fmt: skip
        places = {int(row): number for number, row in enumerate(rows[: len(shown)], start=1)}
        for x, y, row in zip(points.x, points.y, points.rows, strict=True):
            if int(row) in places and places[int(row)] <= 5:
                left.annotate(
                    str(places[int(row)]), (x, y), xytext=(3, 3), textcoords="offset points",
                    fontsize=7, color=ink.text,
                )  # fmt: skip
        left.set_xlim(-0.02, 1.02)
        low, high = span_of(table, "score")
        left.set_ylim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        left.set_xlabel("confidence")
        left.set_ylabel(table.metric.label)
        left.legend(frameon=False, fontsize=7, loc="best", labelcolor=ink.text)
        right.set_axis_off()
        if len(shown):
            _table(right, shown, ink)
        else:
            right.text(0.5, 0.5, "No row passes these filters.", ha="center", color=ink.muted)
        return figure


def _table(axes: Any, shown: pd.DataFrame, ink: Any) -> None:
    names = ["", "image", "seed", "class", "predicted", "conf.", "score", "surprise"]
    starts = [0.0, 0.04, 0.40, 0.48, 0.62, 0.82, 0.90, 1.0]
    columns = ["sample_id", "seed", "class", "predicted", "confidence", "score", "surprise"]
    step = 1 / (ROWS + 1.5)
    for line, cells in enumerate([names, *_cells(shown, columns)]):
        for place, (at, text) in enumerate(zip(starts, cells, strict=True)):
            axes.text(
                at,
                1 - (line + 0.5) * step,
                text.replace("$", r"\$"),
                fontsize=6.8,
                ha="right" if place >= 5 else "left",
                va="center",
                color=ink.muted if line == 0 or place == 0 else ink.text,
                transform=axes.transAxes,
            )
        axes.axhline(1 - (line + 1) * step, color=ink.line, linewidth=0.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _cells(shown: pd.DataFrame, columns: list[str]) -> list[list[str]]:
    found = []
    for number, row in enumerate(shown[columns].itertuples(index=False), start=1):
        texts = [str(number)]
        for value in row:
            if isinstance(value, (float, np.floating)):
                texts.append("–" if np.isnan(value) else f"{value:.3f}")
            else:
                text = str(value)
                texts.append(text if len(text) <= 24 else "…" + text[-23:])
        found.append(texts)
    return found
