"""The table of degenerate inputs, cell by cell: never 0 or −1, always NaN with its reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xaieval import Rules, score
from xaieval.errors import MetricError

A = 3 / 16
NAN = math.nan
PART = np.zeros((4, 4), bool)
PART[1, 1:] = True
MASKS = {"part": PART, "empty": np.zeros((4, 4), bool), "full": np.ones((4, 4), bool)}
MAPS = {
    "flat": np.full((4, 4), 0.7, np.float32),
    "zero": np.zeros((4, 4), np.float32),
    "ordinary": np.arange(16, dtype=np.float32).reshape(4, 4),
}
RANK = ("topk_overlap", "precision@K=5", "pointing_game")
TOP = ("spatial_coherence", "n_components", "n_components@share=0.5")
BINARISED = ("iou", "gt_coverage", "saliency_coverage")
THRESHOLDS = ("", "[mean+1std]", "[percentile=50]", "[otsu]")

# metric, map, mask -> value, reason
TABLE: list[tuple[str, str, str, float, str | None]] = []
for name in ("flat", "zero"):
    TABLE += [(key, name, "part", A, None) for key in RANK]
    TABLE += [("topk_iou", name, "part", A / (2 - A), None)]
    TABLE += [("auroc", name, "part", 0.5, None)]
    TABLE += [
        (key + how, name, mask, NAN, f"{name}-map")
        for key in BINARISED
        for how in THRESHOLDS
        for mask in ("part", "full")
    ]
    TABLE += [("hits", name, "part", 3 * A, None), ("recall@K=5", name, "part", 5 / 16, None)]
    TABLE += [("regional_recall", name, mask, 2 / 16, None) for mask in ("part", "full")]
    TABLE += [("lift@of=topk_overlap", name, mask, 1, None) for mask in ("part", "full")]
    TABLE += [(key, name, mask, NAN, f"{name}-map") for key in TOP for mask in MASKS]
TABLE += [
    ("mass_accuracy", "flat", "part", A, None),
    ("mass_accuracy", "zero", "part", NAN, "zero-map"),
    ("mass_accuracy", "zero", "full", NAN, "zero-map"),
    ("regional_precision", "flat", "part", 100 * A, None),
    ("lift", "flat", "part", 1, None),
]
TABLE += [
    (key, "zero", mask, NAN, "zero-map")
    for key in ("regional_precision", "lift")
    for mask in ("part", "full")
]
for name in MAPS:
    TABLE += [
        (key, name, "empty", NAN, "empty-mask")
        for key in (*RANK, *BINARISED, "topk_iou", "mass_accuracy", "auroc", "hits", "recall@K=5")
    ]
    TABLE += [(key, name, "full", 1, None) for key in (*RANK, "topk_iou")]
    TABLE += [
        (key, name, "empty", NAN, "empty-mask")
        for key in ("regional_precision", "regional_recall", "lift", "lift@of=pointing_game")
    ]
    TABLE += [("auroc", name, "full", NAN, "full-mask")]
    TABLE += [("area_share", name, mask, MASKS[mask].mean(), None) for mask in MASKS]
TABLE += [("mass_accuracy", name, "full", 1, None) for name in ("flat", "ordinary")]
TABLE += [("regional_precision", name, "full", 100, None) for name in ("flat", "ordinary")]
# the two highest pixels are neighbours
TABLE += [("spatial_coherence", "ordinary", mask, 1, None) for mask in MASKS]
# S = {R >= 7.5}: half of the map
TABLE += [("iou", "ordinary", "full", 0.5, None), ("gt_coverage", "ordinary", "full", 0.5, None)]
TABLE += [("saliency_coverage", "ordinary", "full", 1, None)]


@pytest.mark.parametrize(("key", "heatmap", "mask", "value", "reason"), TABLE)
def test_table(key: str, heatmap: str, mask: str, value: float, reason: str | None) -> None:
    found = score(MAPS[heatmap][None], MASKS[mask][None], metrics=[key])
    assert found[key][0] == pytest.approx(value, nan_ok=True, rel=1e-12)
    assert found.reasons[key][0] == reason


def test_an_empty_region_beside_others_is_an_absent_part() -> None:
    heatmaps = np.stack([MAPS["ordinary"]] * 2)
    masks = np.stack([np.stack([PART, MASKS["empty"]]), np.stack([MASKS["empty"]] * 2)])
    found = score(heatmaps, masks, metrics=["iou", "area_share"])
    assert found.reasons["iou"].tolist() == [[None, "absent-part"], ["empty-mask", "empty-mask"]]
    assert found["area_share"].tolist() == [[A, 0], [0, 0]]


def test_an_empty_mask_can_be_an_error() -> None:
    rules = Rules(empty_masks="error")
    with pytest.raises(MetricError, match="image 0, region 0: empty mask"):
        score(MAPS["ordinary"][None], MASKS["empty"][None], metrics="iou", rules=rules)
    assert score(MAPS["flat"][None], PART[None], metrics="auroc", rules=rules)["auroc"][0] == 0.5


def test_a_threshold_above_the_maximum_leaves_no_pixel() -> None:
    heatmap = np.ones((1, 4, 4), np.float32)
    heatmap[0, 0] = 0  # three quarters at 1: mean + std = 0.75 + 0.43
    keys = [f"{key}[mean+1std]" for key in BINARISED]
    found = score(heatmap, PART[None], metrics=keys)
    assert [found[key][0] for key in keys] == pytest.approx([0, 0, NAN], nan_ok=True)
    assert found.reasons[keys[2]][0] == "flat-map"


def test_half_the_pixels_at_the_maximum_stand_out_whatever_the_rounding() -> None:
    """With two equally frequent values mean + std is the maximum itself, give or take rounding."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        heatmap = np.empty((20, 30, 30), dtype)
        heatmap[:, :15], heatmap[:, 15:] = np.sort(rng.random((2, 20, 1, 1)).astype(dtype), axis=0)
        found = score(heatmap, heatmap == heatmap[:, -1:, -1:], metrics="iou[mean+1std]")
        assert found["iou[mean+1std]"].tolist() == [1] * 20


def test_a_pixel_at_otsu_s_threshold_is_below_it() -> None:
    heatmap = np.array([[[0, 0.5, 0.5, 256]]], np.float32)  # bins of width 1, the first centre 0.5
    mask = np.array([[[False, False, False, True]]])
    assert score(heatmap, mask, metrics="iou[otsu]")["iou[otsu]"][0] == 1


@pytest.mark.parametrize("value", [1e-45, 1e-38, 3e38])
def test_extreme_magnitudes(value: float) -> None:
    heatmap = np.zeros((1, 4, 4), np.float32)
    heatmap[0, 1] = value
    keys = ["topk_overlap", "mass_accuracy", "iou", "auroc", "iou[mean+1std]", "iou[otsu]"]
    found = score(heatmap, PART[None], metrics=keys)
    r = 3 * 3 / 4 / 3
    assert [found[key][0] for key in keys] == pytest.approx(
        [r, 3 / 4, 3 / 4, 1 - 0.5 / 13, 3 / 4, 3 / 4]
    )


def test_a_signed_map_has_no_mass_but_keeps_its_other_scores():
    heatmap = np.array([[[-1.0, 3.0], [0.0, 0.0]]], np.float32)
    masks = np.array([[[[False, True], [False, False]], [[False, False], [False, False]]]])
    with pytest.raises(MetricError, match="negative values"):
        score(heatmap, masks, metrics=["mass_accuracy"])
    found = score(heatmap, masks, metrics=["mass_accuracy", "topk_overlap"], signed="nan")
    assert found.reasons["mass_accuracy"].tolist() == [["signed-map", "absent-part"]]
    assert np.isnan(found["mass_accuracy"]).all()
    assert found["topk_overlap"][0, 0] == 1.0
