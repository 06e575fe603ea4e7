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
TOP = ["regional_recall", "regional_recall@share=0.3", "spatial_coherence", "n_components"]
BINARISED = ["iou", "gt_coverage", "saliency_coverage", "iou[mean+1std]", "iou[percentile=75]"]
LOCAL = [name for name, spec in METRICS.items() if "model" not in spec.needs]
ALL = [*LOCAL, *RANK[4:], *TOP[1:], *BINARISED[3:]]


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
        low, high = call.bounds
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
    before = scored(heatmap, mask, RANK + TOP + BINARISED)
    after = scored(changed, mask, RANK + TOP + BINARISED)
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


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_regional_scores_are_the_others_under_another_name(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    heatmap, mask = pair
    k = max(1, int(0.1 * mask.size + 0.5))
    keys = ["mass_accuracy", "regional_precision", "lift", "area_share", "lift@of=topk_overlap"]
    found = scored(heatmap, mask, [*keys, "topk_overlap", f"recall@K={k}", "regional_recall"])
    assert found["regional_precision"] == pytest.approx(100 * found["mass_accuracy"], nan_ok=True)
    assert found["regional_recall"] == pytest.approx(found[f"recall@K={k}"], nan_ok=True)
    area = found["area_share"]
    assert found["lift"] * area == pytest.approx(found["mass_accuracy"], nan_ok=True)
    assert found["lift@of=topk_overlap"] * area == pytest.approx(found["topk_overlap"], nan_ok=True)


@given(pairs(), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_disjoint_regions_that_cover_the_image_share_its_mass(
    pair: tuple[np.ndarray, np.ndarray], n: int
) -> None:
    heatmap, _ = pair
    assume(heatmap.any())
    parts = np.stack([np.arange(heatmap.size).reshape(heatmap.shape) % n == p for p in range(n)])
    assume(parts.any(axis=(1, 2)).all())
    keys = ["regional_precision", "regional_recall", "area_share"]
    found = score(heatmap[None], parts[None], metrics=keys)
    assert found["regional_precision"].sum() == pytest.approx(100)
    k = max(1, int(0.1 * heatmap.size + 0.5))
    sizes = parts.sum(axis=(1, 2))
    assert (found["regional_recall"][0] * sizes).sum() == pytest.approx(k)


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_the_mask_does_not_enter_coherence(pair: tuple[np.ndarray, np.ndarray]) -> None:
    heatmap, mask = pair
    both = np.stack([mask, np.zeros_like(mask)])[None]
    found = score(heatmap[None], both, metrics=TOP[2:])
    for key in TOP[2:]:
        first, second = found[key][0]
        assert first == second or (np.isnan(first) and np.isnan(second))
    share, pieces = (found[key][0, 0] for key in TOP[2:])
    if not np.isnan(share):
        assert (share == 1) == (pieces == 1)
        assert share >= 1 / pieces  # the largest piece is no smaller than the mean one


@given(pairs(), st.floats(1, 3, width=16))
@settings(max_examples=60, deadline=None)
def test_chance_levels_are_what_a_flat_map_scores(
    pair: tuple[np.ndarray, np.ndarray], value: float
) -> None:
    _, mask = pair
    assume(mask.any() and not mask.all())
    flat = np.full((1, *mask.shape), value, np.float32)
    keys = [*ALL, "lift@of=topk_overlap", "lift@of=pointing_game"]
    found = score(flat, mask[None], metrics=keys)
    seen = set()
    for key, call in zip(found, found.calls, strict=True):
        chance = call.chance_level(mask.sum() / mask.size)
        if chance is None:
            continue
        seen.add(key)
        if call.spec.id == "regional_recall":  # the top is a whole number of pixels
            assert abs(found[key][0] - chance) <= 1 / mask.size
        else:
            assert found[key][0] == pytest.approx(chance)
    assert {"topk_overlap", "mass_accuracy", "pointing_game", "auroc", "precision@K=3"} < seen
    assert {"regional_precision", "regional_recall", "lift"} < seen
