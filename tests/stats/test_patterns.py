"""Shared Interest's eight patterns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval import score
from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import PATTERNS, Thresholds, pattern_counts, shared_interest_pattern

NAN = math.nan
SHARES = st.one_of(st.floats(0, 1), st.just(NAN))


@pytest.mark.parametrize(
    ("iou", "gtc", "sc", "right", "wrong"),
    [
        (0.7, 0.8, 0.85, "human-aligned", "confuser"),
        (0.5, 1, 0.5, "human-aligned", "confuser"),  # the IoU comes first
        (0.3, 0.3, 1, "sufficient-subset", "insufficient-subset"),
        (0.45, 0.8, 0.8, "sufficient-subset", "insufficient-subset"),  # then what the map covers
        (0.3, 1, 0.3, "context-dependent", "context-confusion"),
        (0.05, 1, 0.05, "context-dependent", "context-confusion"),  # before "near 0"
        (0.05, 0.1, 0.1, "sufficient-context", "distractor"),
        (0.0, 0.0, NAN, "sufficient-context", "distractor"),  # no pixel stands out
        (0.3, 0.5, 0.5, "unassigned", "unassigned"),
        (NAN, NAN, NAN, "undefined", "undefined"),
    ],
)
def test_precedence(iou: float, gtc: float, sc: float, right: str, wrong: str) -> None:
    found = shared_interest_pattern([iou] * 2, [gtc] * 2, [sc] * 2, [True, False])
    assert found.tolist() == [right, wrong]


def by_the_book(
    iou: float, gtc: float, sc: float, correct: bool, high: float, covered: float, low: float
) -> str:
    names = list(PATTERNS)[:4] if correct else list(PATTERNS)[4:8]
    if math.isnan(iou):
        return "undefined"
    if iou >= high:
        return names[0]
    if sc >= covered:
        return names[1]
    if gtc >= covered:
        return names[2]
    return names[3] if iou <= low else "unassigned"


@given(
    st.lists(st.tuples(SHARES, SHARES, SHARES, st.booleans()), max_size=20),
    st.tuples(st.floats(0.3, 1), st.floats(0.1, 1), st.floats(0, 0.25)),
)
def test_against_the_book_and_every_image_once(
    rows: list[tuple[float, float, float, bool]], limits: tuple[float, float, float]
) -> None:
    columns = [np.array(c) for c in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 4
    thresholds = Thresholds(*limits)
    found = shared_interest_pattern(*columns, thresholds=thresholds)
    assert found.tolist() == [by_the_book(*row, *limits) for row in rows]
    counts = pattern_counts(found)
    assert list(counts) == list(PATTERNS)
    assert sum(counts.values()) == len(rows)


def test_shapes_become_patterns() -> None:
    """The scores of drawn shapes: equal, within, around, apart."""
    truth = np.zeros((10, 10), bool)
    truth[2:6, 2:6] = True
    maps = np.zeros((4, 10, 10), np.float32)
    maps[0, 2:6, 2:6] = maps[1, 3:5, 3:5] = maps[2, 0:9, 0:9] = maps[3, 7:9, 7:9] = 1
    keys = ["iou", "gt_coverage", "saliency_coverage"]
    found = score(maps, np.stack([truth] * 4), metrics=keys)
    patterns = shared_interest_pattern(*(found[key] for key in keys), [True] * 4)
    assert patterns.tolist() == list(PATTERNS)[:4]


def test_what_is_refused() -> None:
    with pytest.raises(ResultsError, match="differ in number"):
        shared_interest_pattern([0.1], [0.1], [0.1, 0.2], [True])
    for bad in ({"low": 0.6}, {"high": 1.2}, {"covered": 0.0}, {"low": -0.1}):
        with pytest.raises(ConfigError, match="bad thresholds"):
            Thresholds(**bad)
    with pytest.raises(ResultsError, match="not a pattern"):
        pattern_counts(["aligned"])
