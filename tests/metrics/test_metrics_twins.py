"""Scores against slow twins, scikit-learn and scikit-image."""

from __future__ import annotations

import math

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval import score
from xaieval.metrics import expected_hits

KINDS = ("untied", "few values", "upsampled")


def case(kind: str, seed: int, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return one heatmap float32 and one mask, neither empty nor full."""
    rng = np.random.default_rng(seed)
    heatmap = {
        "untied": lambda: rng.random((size, size)),
        "few values": lambda: rng.integers(0, 4, (size, size)) / 3,
        "upsampled": lambda: np.kron(
            np.maximum(rng.standard_normal((size // 4, size // 4)), 0), np.ones((4, 4))
        ),
    }[kind]().astype(np.float32)
    heatmap.flat[0] += 0.25  # never flat
    mask = rng.random((size, size)) < rng.choice([0.03, 0.2, 0.7])
    mask.flat[rng.integers(1, mask.size)] = True
    mask.flat[0] = False
    return heatmap, mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_against_the_definitions(kind: str, seed: int) -> None:
    heatmap, mask = case(kind, seed)
    names = ["minmax>=0.5", "minmax>=0.3", "mean+1std", "percentile=80"]
    keys = [f"{m}[{n}]" for n in names for m in ("iou", "gt_coverage", "saliency_coverage")]
    keys += ["mass_accuracy", "auroc", "pointing_game", "pointing_game@tolerance_px=2.5"]
    found = score(heatmap[None], mask[None], metrics=keys)
    expected = [value for n in names for value in naive.coverage(heatmap, mask, n)]
    expected += [
        naive.mass_accuracy(heatmap, mask),
        naive.auroc(heatmap, mask),
        naive.pointing_game(heatmap, mask),
        naive.pointing_game(heatmap, naive.grown(mask, 2.5)),
    ]
    assert [found[key][0] for key in keys] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(8))
def test_expected_hits_are_the_mean_over_all_ways_to_break_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heatmap = rng.integers(0, 3, (4, 4)).astype(np.float32)
    mask = rng.random((4, 4)) < 0.5
    for k in range(1, 17):
        exact = naive.hits_brute_force(heatmap, mask, k)
        assert expected_hits(heatmap, mask, k) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_expected_hits_are_what_random_tie_breaking_gives_on_average(kind: str) -> None:
    heatmap, mask = case(kind, 3)
    k, n = int(mask.sum()), 1500
    draws = naive.hits_monte_carlo(heatmap, mask, k, n)
    error = 5 * draws.std() / math.sqrt(n) + 1e-9
    assert expected_hits(heatmap, mask) == pytest.approx(draws.mean(), abs=error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_every_tie_rule_lies_between_the_extremes(kind: str, seed: int) -> None:
    heatmap, mask = case(kind, seed)
    best = expected_hits(heatmap, mask, ties="favourable")
    worst = mask.sum() - expected_hits(heatmap, ~mask, int(mask.sum()), ties="favourable")
    for ties in ("expected", "project_iml", "clevr_xai", "explanation_alignment"):
        assert worst - 1e-9 <= expected_hits(heatmap, mask, ties=ties) <= best + 1e-9
    if kind == "untied":
        assert worst == best


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_auroc_is_that_of_scikit_learn(data: st.DataObject) -> None:
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    n = data.draw(st.integers(2, 40))
    values = data.draw(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), min_size=n, max_size=n))
    k = data.draw(st.integers(1, n - 1))
    inside = data.draw(st.permutations([True] * k + [False] * (n - k)))
    heatmap, mask = np.array([[values]], np.float32), np.array([[inside]])
    expected = roc_auc_score(inside, values)
    assert score(heatmap, mask, metrics="auroc")["auroc"][0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_otsu_is_that_of_scikit_image(kind: str, seed: int) -> None:
    filters = pytest.importorskip("skimage.filters", reason="scikit-image is not installed")
    heatmap, mask = case(kind, seed, size=24)
    s = heatmap > filters.threshold_otsu(heatmap.astype(np.float64))
    found = score(heatmap[None], mask[None], metrics=["iou[otsu]", "saliency_coverage[otsu]"])
    assert found["iou[otsu]"][0] == pytest.approx((s & mask).sum() / (s | mask).sum())
    assert found["saliency_coverage[otsu]"][0] == pytest.approx((s & mask).sum() / s.sum())
