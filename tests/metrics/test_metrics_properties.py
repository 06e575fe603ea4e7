"""Identities and invariances that hold for every heatmap and mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaieval import Rules, score
from xaieval.metrics import METRICS, hits_table

SHAPES = st.tuples(st.integers(2, 8), st.integers(2, 8))
# Small whole numbers: ties are frequent, and affine changes by powers of two lose nothing.
VALUES = st.integers(0, 12).map(float)
RANK = ["topk_overlap", "topk_iou", "pointing_game", "auroc", "precision@K=3", "recall@K=2"]
BINARISED = ["iou", "gt_coverage", "saliency_coverage", "iou[mean+1std]", "iou[percentile=75]"]
LOCAL = [name for name, spec in METRICS.items() if "model" not in spec.needs]
ALL = [*LOCAL, *RANK[4:], *BINARISED[3:]]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    heatmap = draw(hnp.arrays(np.float32, shape, elements=VALUES))
    return heatmap, draw(hnp.arrays(np.bool_, shape))


def scored(heatmap: np.ndarray, mask: np.ndarray, keys: list[str]) -> dict[str, float]:
    found = score(heatmap[None], mask[None], metrics=keys)
    return {key: float(found[key][0]) for key in keys}


@given(pairs())
@settings(max_examples=150, deadline=None)
def test_identities_and_bounds(pair: tuple[np.ndarray, np.ndarray]) -> None:
    heatmap, mask = pair
    found = score(heatmap[None], mask[None], metrics=ALL)
    for key, call in zip(found, found.calls, strict=True):
        value, reason = found[key][0], found.reasons[key][0]
        assert np.isnan(value) == (reason is not None)
        low, high = call.spec.bounds
        assert np.isnan(value) or low <= value <= high
    one = {key: found[key][0] for key in found}
    if not np.isnan(one["iou"]):
        precision, recall = one["saliency_coverage"], one["gt_coverage"]
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        assert f1 == pytest.approx(2 * one["iou"] / (1 + one["iou"]))
    if not np.isnan(one["topk_overlap"]):
        k = int(mask.sum())
        own = scored(heatmap, mask, [f"precision@K={k}", f"recall@K={k}", "hits"])
        r = one["topk_overlap"]
        assert own == pytest.approx({f"precision@K={k}": r, f"recall@K={k}": r, "hits": r * k})
        assert r == pytest.approx(2 * one["topk_iou"] / (1 + one["topk_iou"]))


@given(pairs(), st.sampled_from([0.25, 0.5, 2.0, 8.0]), st.integers(-64, 64))
@settings(max_examples=100, deadline=None)
def test_a_positive_affine_change_leaves_rank_scores_alone(
    pair: tuple[np.ndarray, np.ndarray], scale: float, shift: int
) -> None:
    heatmap, mask = pair
    changed = (heatmap * np.float32(scale) + np.float32(shift)).astype(np.float32)
    before = scored(heatmap, mask, RANK + BINARISED)
    after = scored(changed, mask, RANK + BINARISED)
    assert after == pytest.approx(before, nan_ok=True, abs=0)


@given(pairs(), st.sampled_from([0, 1, (0, 1)]))
@settings(max_examples=100, deadline=None)
def test_flips_of_map_and_mask_together_change_nothing(
    pair: tuple[np.ndarray, np.ndarray], axis: int | tuple[int, int]
) -> None:
    heatmap, mask = pair
    before = scored(heatmap, mask, ALL)
    after = scored(np.flip(heatmap, axis), np.flip(mask, axis), ALL)
    assert after == pytest.approx(before, nan_ok=True, abs=1e-12)


@given(pairs())
@settings(max_examples=150, deadline=None)
def test_full_overlap_iff_no_pixel_outside_reaches_one_inside(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    heatmap, mask = pair
    assume(mask.any() and not mask.all())
    inside, outside = heatmap[mask].min(), heatmap[~mask].max()
    assert (scored(heatmap, mask, ["topk_overlap"])["topk_overlap"] == 1) == (inside > outside)
    # an untied border, or ties broken in the mask's favour: "no pixel outside lies above"
    best = score(heatmap[None], mask[None], metrics="topk_overlap", rules=Rules(ties="favourable"))
    assert (best["topk_overlap"][0] == 1) == (inside >= outside)


@given(pairs(), st.floats(2**-20, 2**20, width=32))
@settings(max_examples=100, deadline=None)
def test_a_flat_map_scores_the_area_share(
    pair: tuple[np.ndarray, np.ndarray], value: float
) -> None:
    _, mask = pair
    assume(mask.any())
    flat = np.full(mask.shape, value, np.float32)
    keys = ["topk_overlap", "mass_accuracy", "pointing_game", "precision@K=2", "recall@K=2"]
    found = scored(flat, mask, [*keys, "auroc", "area_share"])
    area = mask.sum() / mask.size
    assert found["area_share"] == area
    for key in keys[:4]:
        assert found[key] == pytest.approx(area, rel=1e-12)
    assert found["recall@K=2"] == pytest.approx(2 / mask.size)
    assert mask.all() or found["auroc"] == 0.5


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_hits_grow_with_k_by_at_most_one(pair: tuple[np.ndarray, np.ndarray]) -> None:
    heatmap, mask = pair
    hits = hits_table(heatmap, mask, range(mask.size + 1))
    steps = np.diff(hits)
    assert hits[0] == 0
    assert hits[-1] == mask.sum()
    assert (steps >= -1e-9).all()
    assert (steps <= 1 + 1e-9).all()


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_the_complement_completes_the_auroc(pair: tuple[np.ndarray, np.ndarray]) -> None:
    heatmap, mask = pair
    assume(mask.any() and not mask.all())
    assert scored(heatmap, mask, ["auroc"])["auroc"] + scored(heatmap, ~mask, ["auroc"])[
        "auroc"
    ] == pytest.approx(1)
    assert scored(-heatmap, mask, ["auroc"])["auroc"] == pytest.approx(
        1 - scored(heatmap, mask, ["auroc"])["auroc"]
    )


def test_a_batch_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    heatmaps = rng.random((7, 32, 40)).astype(np.float32)
    heatmaps[3:] = np.round(heatmaps[3:], 1)
    masks = rng.random((7, 3, 32, 40)) < 0.1
    together = score(heatmaps, masks, metrics=ALL)
    order = rng.permutation(7)
    shuffled = score(heatmaps[order], masks[order], metrics=ALL)
    for key in ALL:
        for b in range(7):
            alone = score(heatmaps[b : b + 1], masks[b : b + 1], metrics=[key])
            assert together[key][b].tolist() == alone[key][0].tolist()
        assert together[key][order].tolist() == shuffled[key].tolist()


def test_large_maps_are_exact() -> None:
    """Counts beyond 2^24 and pair counts beyond 2^53 need integers, sums need float64."""
    heatmap = np.full((1, 4200, 4200), 0.1, np.float32)
    mask = np.zeros(heatmap.shape, bool)
    mask[:, :2100] = True
    keys = ["topk_overlap", "mass_accuracy", "auroc", "pointing_game"]
    found = score(heatmap, mask, metrics=keys)
    assert [found[key][0] for key in keys] == pytest.approx([0.5] * 4, abs=1e-12)
