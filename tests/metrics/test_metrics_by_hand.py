"""Scores of 4×4 cases that can be checked with a pencil."""

from __future__ import annotations

import numpy as np
import pytest

from xaieval import Rules, score
from xaieval.metrics import expected_hits, hits_table, sufficient_statistics, topk_weights

HEATMAP = np.array(
    [
        [9, 8, 7, 0],
        [6, 5, 5, 0],
        [5, 1, 0, 0],
        [0, 0, 0, 0],
    ],
    np.float32,
)
MASK = np.zeros((4, 4), bool)
MASK[:2, :2] = True  # 9, 8, 6 and one of three fives
MASK[3, 3] = True  # one of eight zeros: K = 5

# Top 5: 9, 8, 7, 6 and one of the three fives, one of which is inside:
HITS = 3 + 1 / 3
R = HITS / 5
MASS = (9 + 8 + 6 + 5) / (9 + 8 + 7 + 6 + 5 + 5 + 5 + 1)
# pairs inside > outside: 9 and 8 beat all 11; 6 all but the 7 (10); 5 beats 1 and 7 zeros (8) and
# ties two fives (+1); 0 ties 7 zeros (3.5)
AUROC = (11 + 11 + 10 + 8 + 1 + 3.5) / 55


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("topk_overlap", R),
        ("hits", HITS),
        ("hits@K=1", 1),
        ("hits@K=6", 3 + 2 / 3),
        ("hits@K=16", 5),
        ("precision@K=3", 2 / 3),
        ("precision@K=4", 3 / 4),
        ("precision@K=9", (4 + 1 / 8) / 9),
        ("recall@K=3", 2 / 5),
        ("recall@K=8", 4 / 5),
        ("topk_iou", R / (2 - R)),
        ("mass_accuracy", MASS),
        ("pointing_game", 1),
        # S = {R >= 4.5} = 9 8 7 6 5 5 5: seven pixels, four of them inside
        ("iou", 4 / 8),
        ("gt_coverage", 4 / 5),
        ("saliency_coverage", 4 / 7),
        # S = {R >= 7.2} = 9 8
        ("iou[minmax>=0.8]", 2 / 5),
        # mean 46/16 = 2.875, population variance 306/16 - 2.875² = 10.859, std 3.295: S = 9 8 7
        ("iou[mean+1std]", 2 / 6),
        ("saliency_coverage[mean+1std]", 2 / 3),
        # the 90th percentile lies at rank 13.5 of 0..15, between 7 and 8: S = 8 9
        ("gt_coverage[percentile]", 2 / 5),
        # rank 10.5, between two fives: S is the seven pixels >= 5
        ("saliency_coverage[percentile=70]", 4 / 7),
        # a threshold between 1 and 5 leaves the two groups {0, 1} and {5..9}
        ("saliency_coverage[otsu]", 4 / 7),
        ("auroc", AUROC),
        ("area_share", 5 / 16),
        # every pixel but (0, 3), (1, 3), (2, 0), ... is within 1 px: 4 + 4 neighbours, 1 + 2
        ("area_share@tolerance_px=1", 11 / 16),
    ],
)
def test_by_hand(key: str, expected: float) -> None:
    scores = score(HEATMAP[None], MASK[None], metrics=[key])
    assert scores[key] == pytest.approx([expected], abs=1e-15)
    assert scores[key].dtype == np.float64
    assert scores.reasons[key].tolist() == [None]


@pytest.mark.parametrize(
    ("ties", "hits"),
    [
        # the fives, row by row: inside, outside, outside
        ("expected", 3 + 1 / 3),
        ("explanation_alignment", 4),
        ("clevr_xai", 3),
        ("favourable", 4),
    ],
)
def test_tie_rules(ties: str, hits: float) -> None:
    found = score(HEATMAP[None], MASK[None], metrics=["hits", "topk_iou"], rules=Rules(ties=ties))
    assert found["hits"][0] == pytest.approx(hits)
    assert found["topk_iou"][0] == pytest.approx(hits / (10 - hits))


def test_the_partition_rule_is_numpy_argpartition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        heatmap = rng.integers(0, 5, (8, 8)).astype(np.float32)
        mask = rng.random((8, 8)) < 0.3
        k = int(mask.sum())
        chosen = np.argpartition(heatmap.flatten(), -k)[-k:]
        expected = mask.flatten()[chosen].sum()
        assert expected_hits(heatmap, mask, ties="project_iml") == expected


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("expected", 1 / 3),
        ("explanation_alignment", 0),
        ("clevr_xai", 1),
        ("favourable", 1),
    ],
)
def test_pointing_game_with_tied_maxima(ties: str, expected: float) -> None:
    heatmap = np.array([[[2, 2, 0], [0, 0, 2]]], np.float32)
    mask = np.array([[[False, False, False], [False, False, True]]])
    found = score(heatmap, mask, metrics="pointing_game", rules=Rules(ties=ties))
    assert found["pointing_game"] == pytest.approx([expected])


def test_pointing_game_tolerance() -> None:
    heatmap, mask = np.zeros((1, 9, 9), np.float32), np.zeros((1, 9, 9), bool)
    heatmap[0, 0, 0] = 1
    mask[0, 3, 4] = True  # 5 px away
    keys = ["pointing_game", "pointing_game@tolerance_px=4.9", "pointing_game@tolerance_px=5"]
    assert [score(heatmap, mask, metrics=[k])[k][0] for k in keys] == [0, 0, 1]
    ruled = score(heatmap, mask, metrics=keys, rules=Rules(tolerance_px=5))
    assert [ruled[k][0] for k in keys] == [1, 0, 1]  # a key's own option comes first


def test_binarisation_of_the_rules_is_the_default_of_the_keys() -> None:
    ruled = score(HEATMAP[None], MASK[None], metrics="iou", rules=Rules(binarisation="mean+1std"))
    assert ruled["iou"][0] == pytest.approx(2 / 6)


def test_several_regions() -> None:
    masks = np.stack([MASK, ~MASK])[None]
    found = score(HEATMAP[None], masks, metrics=["mass_accuracy", "area_share"])
    assert found["mass_accuracy"] == pytest.approx(np.array([[MASS, 1 - MASS]]))
    assert found["area_share"].tolist() == [[5 / 16, 11 / 16]]


def test_hits_table_and_weights() -> None:
    ks = list(range(17))
    expected = [0, 1, 2, 2, 3, 3 + 1 / 3, 3 + 2 / 3, 4, 4, *(4 + i / 8 for i in range(1, 9))]
    assert hits_table(HEATMAP, MASK, ks) == pytest.approx(expected)
    for k in ks:
        weights = topk_weights(HEATMAP, k)
        assert weights.dtype == np.float32
        assert weights.shape == (4, 4)
        assert weights.sum() == pytest.approx(k, abs=1e-5)
        assert weights[MASK].sum() == pytest.approx(expected[k], abs=1e-5)
    assert set(np.unique(topk_weights(HEATMAP, 5))) == {0, np.float32(1 / 3), 1}


def test_sufficient_statistics() -> None:
    masks = np.stack([MASK, np.zeros_like(MASK)])[None]
    first, second = sufficient_statistics(HEATMAP[None], masks)
    assert first == {
        "image": 0,
        "region": 0,
        "k": 5,
        "hits": pytest.approx(HITS),
        "mass_in": 28.0,
        "mass_total": 46.0,
        "argmax_y": 0,
        "argmax_x": 0,
        "flags": "",
    }
    assert (second["k"], second["hits"], second["mass_in"]) == (0, 0, 0)
    for heatmap, flags in [
        (np.zeros((4, 4)), "zero,tied-max"),
        (np.full((4, 4), 2.0), "flat,tied-max"),
        (-HEATMAP, "signed,tied-max"),
    ]:
        rows = sufficient_statistics(heatmap[None].astype(np.float32), MASK[None])
        assert [row["flags"] for row in rows] == [flags]
