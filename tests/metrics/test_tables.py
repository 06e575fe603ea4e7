"""Tables of K and threshold against the scores themselves, one call at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaieval.errors import MetricError
from xaieval.metrics import score, topk_weights
from xaieval.metrics.tables import STEPS, above_threshold, k_table, place_table, threshold_table

SHAPE = (4, 5)
FEW = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 3.0])  # ties, signs, flat and zero maps
MAPS = hnp.arrays(np.float32, SHAPE, elements=FEW) | hnp.arrays(
    np.float32, SHAPE, elements=st.floats(-1, 1, width=32)
)
MASKS = hnp.arrays(bool, SHAPE)


def one(heatmap: Any, mask: Any, key: str) -> tuple[float, str | None]:
    found = score(heatmap[None], mask[None], metrics=[key])
    return float(found[key][0]), found.reasons[key][0]


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@settings(max_examples=60, deadline=None)
@given(MAPS, MASKS)
def test_every_k_is_what_score_says(heatmap: Any, mask: Any) -> None:
    table = k_table(heatmap, mask, heatmap.size)
    for k in range(1, heatmap.size + 1):
        value, reason = one(heatmap, mask, f"precision@K={k}")
        assert same(float(table.precision[k - 1]), value)
        assert same(float(table.hits[k - 1]), one(heatmap, mask, f"hits@K={k}")[0])
        assert table.reason == reason
        drawn = np.where(table.stronger < table.above[k - 1], np.float32(1), 0)
        drawn = np.where(table.stronger == table.above[k - 1], table.share[k - 1], drawn)
        assert np.array_equal(drawn, topk_weights(heatmap, k))
    if mask.any():
        assert table.precision[int(mask.sum()) - 1] == one(heatmap, mask, "topk_overlap")[0]


@settings(max_examples=60, deadline=None)
@given(MAPS, MASKS)
def test_every_threshold_is_what_score_says(heatmap: Any, mask: Any) -> None:
    table = threshold_table(heatmap, mask)
    for step in (1, 7, 25, 50, 77, 99, 100):
        share = f"[minmax>={step / STEPS:g}]"
        for name in ("iou", "gt_coverage", "saliency_coverage"):
            value, reason = one(heatmap, mask, name + share)
            assert same(float(getattr(table, name)[step]), value)
            assert table.reason == reason
        inside = table.steps >= step
        if heatmap.min() == heatmap.max():
            assert not above_threshold(heatmap, step / STEPS).any()
        else:
            assert np.array_equal(above_threshold(heatmap, step / STEPS), inside)
        if table.reason not in ("flat-map", "zero-map") and heatmap.min() != heatmap.max():
            assert table.size[step] == inside.sum()
            assert table.hits[step] == (inside & mask).sum()
    assert table.size[0] == heatmap.size
    assert table.hits[0] == mask.sum()


def test_without_a_mask_the_sets_are_there_and_the_scores_are_not() -> None:
    heatmap = np.arange(6, dtype=np.float32).reshape(2, 3)
    at_k, at_t = k_table(heatmap, None, 4), threshold_table(heatmap, None)
    assert at_k.above.tolist() == [0, 1, 2, 3]
    assert at_k.reason == at_t.reason == "no-ground-truth"
    assert np.isnan(at_k.precision).all()
    assert np.isnan(at_t.iou).all()
    assert at_t.size[40] == 4  # 2, 3, 4 and 5 of 5


@pytest.mark.parametrize("end", [0, 7])
def test_an_end_outside_the_map_is_refused(end: int) -> None:
    with pytest.raises(MetricError):
        k_table(np.ones((2, 3), np.float32), np.ones((2, 3), bool), end)


@given(hnp.arrays(np.float64, (4, 3), elements=st.sampled_from([0.0, 1e-10, 0.5, np.nan, 1.0])))
def test_places_are_those_of_the_cards(values: Any) -> None:
    from app.scorecard import rank

    for better in (True, False):
        table = place_table(values, higher_is_better=better)
        for column in range(values.shape[1]):
            found = rank(
                {str(row): float(v) for row, v in enumerate(values[:, column])},
                higher_is_better=better,
            )
            expected = [found[str(r)].rank if str(r) in found else 0 for r in range(len(values))]
            assert table[:, column].tolist() == expected
