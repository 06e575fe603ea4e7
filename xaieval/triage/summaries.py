"""What some rows of a triage table look like together: counts, a histogram, a scatter, ranks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from xaieval.errors import unknown
from xaieval.journal import Marks
from xaieval.stats.patterns import PATTERNS, Thresholds
from xaieval.triage.columns import USUAL, Columns
from xaieval.triage.filters import EVERY_ROW, NO_TAGS, Filters, kept

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MEASURES = ("confidence", "score", "alignment", "misalignment", "disagreement", "surprise")
"""The columns that are numbers of a row, whatever the method."""


def values_of(table: Columns, measure: str) -> Floats:
    """Return a column of numbers, (n,).

    Raises
    ------
    ConfigError
        For another name than those of ``MEASURES``.
    """
    if measure not in MEASURES:
        raise unknown("measure of a row", measure, MEASURES)
    found: Floats = table.rows.confidence if measure == "confidence" else getattr(table, measure)
    return found


def span_of(table: Columns, measure: str) -> tuple[float, float]:
    """Return from where to where a measure's axis goes: its bounds where they are finite."""
    if measure != "score":
        return 0.0, 1.0
    low, high = table.metric.bounds
    known = table.score[np.isfinite(table.score)]
    first = low if np.isfinite(low) else float(known.min(initial=0.0))
    last = high if np.isfinite(high) else float(known.max(initial=1.0))
    return (first, last) if last > first else (first, first + 1.0)


def pattern_counts(
    table: Columns,
    filters: Filters = EVERY_ROW,
    *,
    thresholds: Thresholds = USUAL,
    marks: Mapping[str, Marks] = NO_TAGS,
) -> dict[str, int]:
    """Return how many rows that pass have each pattern, all ten in order.

    The filter of the pattern itself is left aside, so that one sees what another choice gives.

    Raises
    ------
    ResultsError
        When these results have no patterns.
    """
    others = dataclasses.replace(filters, pattern=None)
    keep = kept(table, others, thresholds=thresholds, marks=marks)
    counts = np.bincount(table.patterns(thresholds)[keep], minlength=len(PATTERNS))
    return dict(zip(PATTERNS, counts.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of correct and wrong answers in bins of equal width; ``undefined``: rows with NaN."""

    edges: Floats
    correct: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.int64]
    undefined: int


def histogram(
    table: Columns, rows: Indices, *, measure: str = "score", bins: int = 40
) -> Histogram:
    """Count some rows by a measure; the last bin holds its upper end."""
    values = values_of(table, measure)[rows]
    right = table.rows.correct[rows]
    there = ~np.isnan(values)
    edges = np.linspace(*span_of(table, measure), bins + 1)
    correct, wrong = (np.histogram(values[there & who], edges)[0] for who in (right, ~right))
    return Histogram(edges, correct.astype(np.int64), wrong.astype(np.int64), int((~there).sum()))


@dataclass(frozen=True, eq=False)
class Scatter:
    """Rows as points.

    ``rows``: those drawn, (m,) with m at most the limit; ``total``: how many there are to draw;
    ``undefined``: rows without a point.
    """

    rows: Indices
    x: Floats
    y: Floats
    correct: npt.NDArray[np.bool_]
    total: int
    undefined: int


def scatter(
    table: Columns,
    rows: Indices,
    *,
    x: str = "confidence",
    y: str = "score",
    limit: int = 5000,
) -> Scatter:
    """Return some rows as points of two measures, thinned where they lie on each other.

    Beyond ``limit`` points, each cell of a fine grid first keeps the row that comes first in
    ``rows``, apart for correct and wrong answers, so that outliers stay; the first of the rest
    fill up. Which are drawn depends on the rows alone.
    """
    across, up = values_of(table, x)[rows], values_of(table, y)[rows]
    there = ~np.isnan(across) & ~np.isnan(up)
    drawn = rows[there]
    across, up = across[there], up[there]
    total = len(drawn)
    if total > limit:
        chosen = _thinned(across, up, table.rows.correct[drawn], limit)
        drawn, across, up = drawn[chosen], across[chosen], up[chosen]
    correct = table.rows.correct[drawn]
    return Scatter(drawn, across, up, correct, total, int((~there).sum()))


def _thinned(
    across: Floats, up: Floats, correct: npt.NDArray[np.bool_], limit: int
) -> npt.NDArray[np.int64]:
    """Return the places of at most ``limit`` points, ascending."""
    side = max(1, int(np.sqrt(limit / 2)))
    columns, lines = (_cells(values, side) for values in (across, up))
    cell = (columns * side + lines) * 2 + correct
    _, first = np.unique(cell, return_index=True)
    kept_first = np.zeros(len(cell), bool)
    kept_first[first] = True
    rest = np.flatnonzero(~kept_first)[: limit - len(first)]
    return np.sort(np.concatenate([first, rest]))


def _cells(values: Floats, side: int) -> npt.NDArray[np.int64]:
    low, high = float(values.min()), float(values.max())
    wide = (high - low) or 1.0
    return np.minimum(((values - low) / wide * side).astype(np.int64), side - 1)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How alike the methods rank some rows.

    ``spearman``: rank correlation of each two methods' scores, (M, M), NaN where it is undefined;
    ``n``: rows that have both scores.
    """

    methods: tuple[str, ...]
    spearman: Floats
    n: npt.NDArray[np.int64]


def agreement(table: Columns, rows: Indices) -> Agreement:
    """Return the rank correlations between all methods' scores over some rows."""
    values = table.scores.values[rows]
    there = ~np.isnan(values)
    size = len(table.methods)
    spearman = np.full((size, size), np.nan)
    n = (there.astype(np.int64).T @ there).astype(np.int64)
    ranks: dict[bytes, Floats] = {}
    for i in range(size):
        for j in range(i, size):
            both = there[:, i] & there[:, j]
            pair = []
            for column in (i, j):
                key = bytes([column]) + np.packbits(both).tobytes()
                if key not in ranks:
                    ranks[key] = rankdata(values[both, column])
                pair.append(ranks[key])
            spearman[i, j] = spearman[j, i] = _correlation(*pair)
    return Agreement(table.methods, spearman, n)


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 2:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")
