"""Figures of a triage queue: confidence against score, and how a measure is spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.export import method_labels
from xaieval.figures.chart import Chart
from xaieval.triage.summaries import histogram, scatter, span_of
from xaieval.triage.table import TriageTable

Rows = npt.NDArray[np.int64]
BINS = 20
POINTS = 5000


def scatter_chart(
    table: TriageTable, rows: Rows, *, caption: str = "", limit: int = POINTS
) -> Chart:
    """Return some rows as points: confidence and score, right and wrong answers apart.

    Parameters
    ----------
    rows : int64 (m,)
        The first ones are drawn when there are more than ``limit`` (see ``scatter``); the caption
        then says so.
    caption : str
        What the rows are.

    Raises
    ------
    ResultsError
        When no row has a score.
    """
    found = scatter(table, rows, limit=limit)
    held = table.rows
    drawn = pd.DataFrame(
        {
            "sample_id": [held.samples[place] for place in held.sample[found.rows]],
            "seed": held.seed[found.rows],
            "confidence": found.x,
            "score": found.y,
            "answer": np.where(found.correct, "right", "wrong"),
        }
    )
    said = [caption, f"n = {found.total:,} rows"]
    if len(found.rows) < found.total:
        said.append(f"{len(found.rows):,} of them drawn, outliers first")
    if found.undefined:
        said.append(f"{found.undefined:,} without a score left out")
    return Chart(
        id="triage-scatter",
        kind="points",
        title=f"Confidence and {table.metric.label}",
        table=drawn,
        x="confidence",
        y="score",
        group="answer",
        x_label="confidence of the predicted class",
        y_label=f"{table.metric.label}, {_whose(table)}",
        x_range=(0.0, 1.0),
        y_range=span_of(table, "score"),
        caption="; ".join(filter(None, said)) + ".",
    )


def histogram_chart(
    table: TriageTable, rows: Rows, *, measure: str = "score", bins: int = BINS, caption: str = ""
) -> Chart:
    """Return how a measure is spread over some rows, right and wrong answers apart.

    Parameters
    ----------
    measure : str
        A key of ``MEASURES``.
    bins : int
        Of equal width over the measure's whole range; the last one holds its upper end.
    """
    found = histogram(table, rows, measure=measure, bins=bins)
    low = found.edges[:-1]
    counted = pd.DataFrame(
        {
            "bin": np.tile([f"{edge:.3g}" for edge in low], 2),
            "from": np.tile(low, 2),
            "to": np.tile(found.edges[1:], 2),
            "rows": np.concatenate([found.correct, found.wrong]),
            "answer": ["right"] * bins + ["wrong"] * bins,
        }
    )
    name = f"{table.metric.label}, {_whose(table)}" if measure == "score" else measure
    said = [caption, f"n = {len(rows) - found.undefined:,} rows", "a bar's name is its lower end"]
    if found.undefined:
        said.append(f"{found.undefined:,} without a number left out")
    return Chart(
        id=f"triage-{measure}",
        kind="bars",
        title=f"How {table.metric.label if measure == 'score' else measure} is spread",
        table=counted,
        x="bin",
        y="rows",
        group="answer",
        x_label=name,
        y_label="image-model pairs",
        caption="; ".join(filter(None, said)) + ".",
    )


def _whose(table: TriageTable) -> str:
    if table.method is None:
        return "mean over the competing methods"
    return method_labels(table.results).get(table.method, table.method)
