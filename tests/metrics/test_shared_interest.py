"""Shared Interest on the ways two shapes can lie: apart, within, around, equal, overlapping.

The saliency is a rectangle of ones on zeros, so every binarisation finds the rectangle itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from xaieval import score

SCORES = ("iou", "gt_coverage", "saliency_coverage")
HOWS = ("", "[minmax>=0.9]", "[mean+1std]", "[otsu]")


def box(rows: slice, columns: slice) -> np.ndarray:
    out = np.zeros((10, 10), bool)
    out[rows, columns] = True
    return out


TRUTH = box(slice(2, 6), slice(2, 6))  # 16 pixels
SHAPES = {
    # case: saliency, then IoU, ground-truth coverage, saliency coverage counted by hand
    "apart": (box(slice(7, 9), slice(7, 9)), 0, 0, 0),
    "within": (box(slice(3, 5), slice(3, 5)), 4 / 16, 4 / 16, 1),
    "around": (box(slice(2, 6), slice(1, 7)), 16 / 24, 1, 16 / 24),
    "equal": (TRUTH, 1, 1, 1),
    "overlapping": (box(slice(4, 8), slice(3, 7)), 6 / 26, 6 / 16, 6 / 16),
    "touching": (box(slice(6, 8), slice(2, 6)), 0, 0, 0),
    "one pixel": (box(slice(5, 6), slice(5, 6)), 1 / 16, 1 / 16, 1),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case: str, how: str) -> None:
    saliency, *expected = SHAPES[case]
    keys = [f"{name}{how}" for name in SCORES]
    found = score(saliency[None].astype(np.float32), TRUTH[None], metrics=keys)
    assert [found[key][0] for key in keys] == pytest.approx(expected)


def test_around_with_a_thick_rim() -> None:
    saliency = box(slice(1, 8), slice(1, 9))  # 56 pixels
    found = score(saliency[None].astype(np.float32), TRUTH[None], metrics=SCORES)
    assert [found[key][0] for key in SCORES] == pytest.approx([16 / 56, 1, 16 / 56])


@pytest.mark.parametrize("case", SHAPES)
def test_swapping_saliency_and_truth_swaps_the_coverages(case: str) -> None:
    saliency = SHAPES[case][0]
    one = score(saliency[None].astype(np.float32), TRUTH[None], metrics=SCORES)
    other = score(TRUTH[None].astype(np.float32), saliency[None], metrics=SCORES)
    assert one["iou"] == other["iou"]
    assert one["gt_coverage"] == other["saliency_coverage"]
    assert one["saliency_coverage"] == other["gt_coverage"]


def test_signed_maps_are_binarised_by_value_not_by_size() -> None:
    """Σ_c of a plain gradient is signed: strongly negative pixels are low, not important."""
    heatmap = np.array([[[4, 3, 0, 0], [-4, -4, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]], np.float32)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2, :2] = True
    # min-max: -4..4, half is 0: all but the two negative pixels (14), two of them inside
    # mean 0, variance (16 + 9 + 16 + 16 + 1) / 16 = 3.625, std 1.90: 4 and 3
    keys = ["iou", "saliency_coverage", "iou[mean+1std]", "gt_coverage[mean+1std]"]
    keys += ["pointing_game", "topk_overlap"]
    found = score(heatmap, mask, metrics=keys)
    # the four highest are 4, 3, 1 and one of eleven zeros, all outside
    expected = [2 / 16, 2 / 14, 2 / 4, 2 / 4, 1, 2 / 4]
    assert [found[key][0] for key in keys] == pytest.approx(expected)


def test_the_tie_rule_of_a_key_stands_beside_that_of_the_rules() -> None:
    heatmap = np.array([[[-1, 5, 5], [0, 0, 5]]], np.float32)
    mask = np.array([[[False, True, False], [False, False, False]]])
    keys = ["pointing_game", "pointing_game@ties=explanation_alignment"]
    keys += ["pointing_game@ties=clevr_xai", "topk_overlap@ties=explanation_alignment"]
    keys += ["precision@K=2,ties=clevr_xai", "hits@K=1,ties=favourable"]
    found = score(heatmap, mask, metrics=keys)
    assert [found[key][0] for key in found] == pytest.approx([1 / 3, 1, 0, 1, 0, 1])
