"""Filters, counts, histogram, scatter and ranks against plain loops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from triage_made import CLASSES, METHODS

from xaieval.errors import ConfigError
from xaieval.journal import Marks, Note
from xaieval.stats import Thresholds
from xaieval.stats.patterns import PATTERNS
from xaieval.study import Results
from xaieval.triage import (
    Filters,
    TriageTable,
    agreement,
    frame,
    histogram,
    open_triage,
    pattern_counts,
    scatter,
)

MARKS = {
    "crack/001": Marks(("odd",)),
    "hole/002": Marks(("odd", "late"), (Note(1, "", "ada", "The Mask is late"),)),
    "elsewhere": Marks(("odd",)),
}


@pytest.fixture(scope="module")
def table(made: Results) -> TriageTable:
    return open_triage(made).of("gradcam")


def spans(low: float, high: float) -> st.SearchStrategy:
    ends = st.floats(low, high)
    return st.none() | st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


FILTERS = st.builds(
    Filters,
    split=st.none() | st.sampled_from(["train", "test"]),
    class_name=st.none() | st.sampled_from(CLASSES),
    seed=st.none() | st.sampled_from([1, 2, 3]),
    answers=st.sampled_from(["all", "correct", "wrong"]),
    confidence=spans(0, 1),
    score=spans(0, 1),
    pattern=st.none() | st.sampled_from(list(PATTERNS)),
    outcome=st.none()
    | st.builds(
        "{}:{}".format, st.sampled_from(["counted", "won", "lost"]), st.sampled_from(METHODS[:3])
    ),
    population=st.sampled_from(["correct", "all"]),
    tie_rule=st.sampled_from(["split", "first"]),
    tag=st.none() | st.sampled_from(["odd", "late", "none"]),
    marked=st.sampled_from(["all", "marked", "unmarked"]),
    text=st.sampled_from(["", "  ", "CRACK", "00", "mask", "odd", "zzz"]),
)


def passes(table: TriageTable, filters: Filters, row: int) -> bool:
    """One row, condition by condition."""
    rows = table.rows
    sample = rows.samples[rows.sample[row]]
    mark = MARKS.get(sample, Marks())
    score = table.scores.values[row, table.methods.index("gradcam")]
    values = {m: table.scores.values[row, table.methods.index(m)] for m in table.compete}
    best = max((v for v in values.values() if not math.isnan(v)), default=None)
    counted = best is not None and (filters.population == "all" or bool(rows.correct[row]))
    winners = [m for m in table.compete if best is not None and values[m] >= best - 1e-9]
    if filters.tie_rule == "first":
        winners = winners[:1]
    words = [sample, *mark.tags, *(note.text for note in mark.notes)]
    kind, _, method = (filters.outcome or "").partition(":")
    return all(
        (
            filters.split in (None, rows.splits[rows.split[row]]),
            filters.class_name in (None, rows.classes[rows.of_class[row]]),
            filters.seed in (None, rows.seed[row]),
            filters.answers == "all" or (filters.answers == "correct") == rows.correct[row],
            filters.confidence is None
            or filters.confidence[0] <= rows.confidence[row] <= filters.confidence[1],
            filters.score is None or filters.score[0] <= score <= filters.score[1],
            filters.pattern in (None, list(PATTERNS)[table.patterns()[row]]),
            kind != "counted" or counted,
            kind != "won" or (counted and method in winners),
            kind != "lost" or (counted and method not in winners),
            filters.tag is None or filters.tag in mark.tags,
            filters.marked == "all" or (filters.marked == "marked") == bool(mark),
            any(filters.text.strip().lower() in word.lower() for word in words),
        )
    )


@settings(max_examples=150, deadline=None)
@given(FILTERS)
def test_filters_by_loops(table: TriageTable, filters: Filters) -> None:
    found = table.select(filters, marks=MARKS)
    assert found.dtype == np.int64
    expected = {row for row in range(len(table)) if passes(table, filters, row)}
    assert set(found.tolist()) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    "filters",
    [
        *(
            Filters(outcome=f"{kind}:gradcam", population=population, tie_rule=tie_rule)
            for kind in ("counted", "won", "lost")
            for population in ("correct", "all")
            for tie_rule in ("split", "first")
        ),
        Filters(score=(0.2, 0.4)),
        Filters(score=(0.4, 0.4)),
        Filters(score=(-math.inf, math.inf)),
        *(Filters(pattern=pattern) for pattern in PATTERNS),
        *(Filters(marked=marked) for marked in ("marked", "unmarked")),
        *(Filters(text=text) for text in ("CRACK/0", "mask is", "late")),
        Filters(tag="odd"),
    ],
    ids=lambda filters: str(filters.outcome or filters.pattern or filters.text or filters.score),
)
def test_one_filter_alone_by_loops(table: TriageTable, filters: Filters) -> None:
    found = table.select(filters, marks=MARKS)
    expected = {row for row in range(len(table)) if passes(table, filters, row)}
    assert set(found.tolist()) == expected


def test_the_ends_of_a_range_belong_to_it(table: TriageTable) -> None:
    lowest, highest = float(np.nanmin(table.score)), float(np.nanmax(table.score))
    inside = table.select(Filters(score=(lowest, highest)))
    assert len(inside) == (~np.isnan(table.score)).sum()
    one = float(table.rows.confidence[5])
    assert 5 in table.select(Filters(confidence=(one, one)))


@settings(max_examples=50, deadline=None)
@given(FILTERS)
def test_pattern_counts_are_of_the_other_filters(table: TriageTable, filters: Filters) -> None:
    counts = pattern_counts(table, filters, marks=MARKS)
    assert list(counts) == list(PATTERNS)
    for pattern, count in counts.items():
        asked = dataclasses.replace(filters, pattern=pattern)
        assert len(table.select(asked, marks=MARKS)) == count


def test_counts_follow_the_thresholds(table: TriageTable) -> None:
    strict = pattern_counts(table, thresholds=Thresholds(high=1.0))
    loose = pattern_counts(table, thresholds=Thresholds(high=0.2))
    assert strict["human-aligned"] < loose["human-aligned"]
    assert sum(strict.values()) == sum(loose.values()) == len(table)


@pytest.mark.parametrize(
    "bad",
    [
        {"answers": "right"},
        {"pattern": "confusor"},
        {"outcome": "won"},
        {"outcome": "won:"},
        {"outcome": "beaten:gradcam"},
        {"confidence": (0.9, 0.1)},
        {"score": (math.nan, 1.0)},
        {"population": "some"},
        {"tie_rule": "last"},
        {"marked": "no"},
    ],
)
def test_filters_that_can_be_none(bad: dict) -> None:
    with pytest.raises(ConfigError):
        Filters(**bad)


@pytest.mark.parametrize(
    "bad",
    [{"split": "val"}, {"class_name": "crak"}, {"seed": 9}, {"outcome": "won:random"}],
)
def test_filters_that_these_results_do_not_have(table: TriageTable, bad: dict) -> None:
    with pytest.raises(ConfigError, match="of these results"):
        table.select(Filters(**bad))
    with pytest.raises(ConfigError, match="order"):
        table.select(order="suprise")


@pytest.mark.parametrize("measure", ["confidence", "score", "disagreement"])
def test_histogram_by_loops(table: TriageTable, measure: str) -> None:
    rows = table.select(Filters(split="test"))
    found = histogram(table, rows, measure=measure, bins=5)
    values = table.rows.confidence if measure == "confidence" else getattr(table, measure)
    for bin_ in range(5):
        low, high = found.edges[bin_], found.edges[bin_ + 1]
        inside = [
            row for row in rows if low <= values[row] < high or (bin_ == 4 and values[row] == high)
        ]
        assert found.correct[bin_] == sum(table.rows.correct[row] for row in inside)
        assert found.wrong[bin_] == sum(not table.rows.correct[row] for row in inside)
    assert found.undefined == sum(math.isnan(values[row]) for row in rows)
    assert found.correct.sum() + found.wrong.sum() + found.undefined == len(rows)


def test_scatter_draws_every_row_once_where_there_is_room(table: TriageTable) -> None:
    rows = table.select()
    found = scatter(table, rows)
    there = [row for row in rows if not math.isnan(table.score[row])]
    assert found.rows.tolist() == there
    assert found.total == len(there)
    assert found.total + found.undefined == len(rows)
    assert found.x.tolist() == [table.rows.confidence[row] for row in there]
    assert found.y.tolist() == [table.score[row] for row in there]


@pytest.mark.parametrize("limit", [2, 8, 20, 40])
def test_a_thinned_scatter_keeps_within_the_limit(table: TriageTable, limit: int) -> None:
    rows = table.select()
    found = scatter(table, rows, limit=limit)
    assert len(found.rows) == limit
    assert len(set(found.rows.tolist())) == limit
    place = {row: i for i, row in enumerate(rows.tolist())}
    assert [place[row] for row in found.rows] == sorted(place[row] for row in found.rows)
    assert scatter(table, rows, limit=limit).rows.tolist() == found.rows.tolist()


def test_of_no_rows(table: TriageTable) -> None:
    none = np.empty(0, np.int64)
    assert histogram(table, none).correct.sum() == 0
    assert len(scatter(table, none).rows) == 0
    assert np.isnan(agreement(table, none).spearman).all()
    assert len(frame(table, none)) == 0


def test_agreement_is_spearmans(table: TriageTable) -> None:
    rows = table.select(Filters(answers="correct"))
    found = agreement(table, rows)
    values = table.scores.values[rows]
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(values[:, i]) & ~np.isnan(values[:, j])
            expected = spearmanr(values[both, i], values[both, j]).statistic
            assert found.spearman[i, j] == pytest.approx(expected)
            assert found.n[i, j] == both.sum()
