"""Regional precision, recall, coherence and lift on 4×5 cases that can be checked with a pencil."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xaieval import Rules, score
from xaieval.errors import MetricError
from xaieval.metrics import ceiling_key, parse_metric
from xaieval.types import Grid

HEATMAP = np.array(
    [
        [9, 1, 0, 0, 7],
        [0, 8, 0, 0, 0],
        [0, 0, 0, 6, 0],
        [5, 0, 0, 0, 4],
    ],
    np.float32,
)  # sum 40, N = 20, so the top 10 % are 2 pixels: 9 and 8, which touch at a corner
EYES = np.zeros((4, 5), bool)
EYES[:2, :2] = True  # 9, 1, 0, 8: mass 18, area 4
ONE = np.zeros((4, 5), bool)
ONE[2, 3] = True  # 6


def values(keys: list[str], mask: np.ndarray, heatmap: np.ndarray = HEATMAP, **options: Any) -> Any:
    found = score(heatmap[None], mask[None], metrics=keys, **options)
    return [float(found[key][0]) for key in found]


def test_by_hand() -> None:
    keys = ["regional_precision", "regional_recall", "regional_recall@share=0.15", "lift"]
    assert values(keys, EYES) == pytest.approx([45, 2 / 4, 2 / 4, (18 / 40) / (4 / 20)])
    # 20 %: 9, 8, 7, 6
    keys = ["regional_precision", "regional_recall", "regional_recall@share=0.2", "lift"]
    assert values(keys, ONE) == pytest.approx([15, 0, 1, 3])


@pytest.mark.parametrize(
    ("share", "sizes"),
    [
        (0.05, [1]),
        (0.1, [2]),  # 9 and 8, diagonal neighbours
        (0.15, [2, 1]),  # and 7
        (0.25, [2, 1, 1, 1]),  # and 6 and 5
        (0.3, [2, 2, 1, 1]),  # and 4, which touches 6
        (0.35, [3, 2, 1, 1]),  # and 1, which touches 9 and 8
        (0.5, [3, 2, 1, 1]),  # 13 zeros tied: without them 7 pixels, nearer to 10 than 20
        (0.75, [20]),  # with them 20, nearer to 15 than 7
    ],
)
def test_pieces(share: float, sizes: list[int]) -> None:
    keys = [f"spatial_coherence@share={share}", f"n_components@share={share}"]
    for mask in (EYES, np.zeros_like(EYES)):
        assert values(keys, mask) == pytest.approx([max(sizes) / sum(sizes), len(sizes)])


def test_equally_near_takes_the_tied() -> None:
    heatmap = np.array([[3, 2, 2, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    nothing = np.zeros((1, 10), bool)
    keys = ["n_components@share=0.2", "spatial_coherence@share=0.2"]  # 1 or 3 pixels for 2
    assert values(keys, nothing, heatmap) == [1, 1]
    apart = np.array([[3, 0, 2, 0, 2, 0, 0, 0, 0, 0]], np.float32)
    assert values(keys, nothing, apart) == pytest.approx([3, 1 / 3])


def test_a_plateau_larger_than_the_top_is_taken_whole() -> None:
    heatmap = np.zeros((6, 10), np.float32)
    heatmap[:, :3] = 1  # a superpixel of 30 %
    keys = ["n_components", "spatial_coherence"]
    assert values(keys, np.zeros((6, 10), bool), heatmap) == [1, 1]


def test_recall_of_tied_maps_is_the_expectation() -> None:
    heatmap = np.zeros((4, 5), np.float32)
    heatmap[0] = 1  # five tied pixels for two places, two of them among the eyes
    assert values(["regional_recall"], EYES, heatmap) == pytest.approx([2 * 2 / 5 / 4])
    first = values(["regional_recall@ties=explanation_alignment"], EYES, heatmap)
    assert first == pytest.approx([2 / 4])


def test_lift_of_other_scores() -> None:
    keys = ["lift@of=topk_overlap", "lift@of=pointing_game"]
    # the four highest are 9, 8, 7, 6: half of them inside; the area share is 4 / 20
    assert values(keys, EYES) == pytest.approx([0.5 / 0.2, 1 / 0.2])
    # grown by 1 px the region has 4 + 2 + 2 pixels
    rules = Rules(tolerance_px=1)
    assert values(["lift@of=pointing_game"], EYES, rules=rules) == pytest.approx([1 / (8 / 20)])


def test_negative_values_are_refused() -> None:
    for key in ("regional_precision", "lift"):
        with pytest.raises(MetricError, match="needs a heatmap without negative values"):
            values([key], EYES, HEATMAP - 1)
    keys = ["regional_recall", "spatial_coherence", "lift@of=topk_overlap"]
    assert values(keys, EYES, HEATMAP - 1) == pytest.approx(values(keys, EYES))


def test_overlapping_regions_and_absent_ones() -> None:
    regions = np.stack([EYES, EYES | ONE, np.zeros_like(EYES)])[None]
    found = score(HEATMAP[None], regions, metrics=["regional_precision", "spatial_coherence"])
    assert found["regional_precision"][0, :2].tolist() == pytest.approx([45, 60])
    assert found.reasons["regional_precision"][0, 2] == "absent-part"
    assert found["spatial_coherence"].tolist() == [[1, 1, 1]]


def test_what_the_table_says() -> None:
    assert parse_metric("regional_precision").bounds == (0, 100)
    assert parse_metric("regional_precision").chance_level(0.07) == pytest.approx(7)
    assert parse_metric("regional_recall").chance_level(0.07) == 0.1
    assert parse_metric("regional_recall@share=0.25").chance_level(0.07) == 0.25
    assert parse_metric("lift@of=topk_overlap").chance_level(0.07) == 1
    assert parse_metric("precision@K=3").chance_level(0.07) == 0.07
    assert parse_metric("recall@K=3").chance_level(0.07) is None
    assert parse_metric("iou").chance_level(0.07) is None
    assert parse_metric("spatial_coherence").higher_is_better is None
    assert parse_metric("n_components").higher_is_better is None


def test_ceilings() -> None:
    assert ceiling_key("regional_precision") == "ceiling@of=regional_precision"
    grid = Grid((2, 2), centre=(0.5, 0.5), stride=(2.0, 2.0))
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    keys = ["ceiling@of=regional_precision", "ceiling@of=regional_recall", "regional_recall"]
    heatmap = np.ones((4, 4), np.float32)
    assert values(keys[:2], mask, heatmap, grid=grid) == pytest.approx([25, 1])
    full = np.ones((4, 4), bool)
    # a region of all 16 pixels cannot lie within the 2 highest
    assert values(keys, full, heatmap) == pytest.approx([100, 2 / 16, 2 / 16])


def test_signed_maps_can_be_left_out_instead() -> None:
    """Where many methods are scored at once, one signed map is no reason to stop."""
    maps = np.stack([HEATMAP, HEATMAP - 1])
    masks = np.stack([np.stack([EYES, np.zeros_like(EYES)])] * 2)
    keys = ["mass_accuracy", "regional_precision", "lift", "lift@of=topk_overlap", "iou"]
    found = score(maps, masks, metrics=keys, signed="nan")
    for key in keys[:3]:
        assert found.reasons[key].tolist() == [[None, "absent-part"], ["signed-map", "absent-part"]]
    for key in keys[3:]:  # order and thresholds do not ask for a sign
        assert found.reasons[key][:, 0].tolist() == [None, None]
        assert found[key][0, 0] == pytest.approx(found[key][1, 0])
