"""Every score against a mask, against its twin straight from the paper, on random untied maps."""

from __future__ import annotations

from collections.abc import Callable

import naive_scores as naive
import numpy as np
import pytest

from xaieval import Rules, score
from xaieval.metrics import METRICS
from xaieval.types import Grid

Map, Mask = np.ndarray, np.ndarray
CELLS = (3, 4)


def untied(seed: int) -> tuple[Map, Mask]:
    """Return a heatmap of 12 × 16 different values >= 0 and a mask, neither empty nor full."""
    rng = np.random.default_rng(seed)
    heatmap = (rng.permutation(192) ** rng.choice([0.5, 1, 3])).astype(np.float32).reshape(12, 16)
    mask = rng.random((12, 16)) < rng.choice([0.04, 0.25, 0.7])
    mask[rng.integers(12), rng.integers(1, 16)], mask[0, 0] = True, False
    assert len(np.unique(heatmap)) == 192
    return heatmap, mask


def top(heatmap: Map, k: int) -> set[tuple[int, int]]:
    """The k highest pixels of a map without ties."""
    order = sorted(np.ndindex(heatmap.shape), key=lambda p: -heatmap[p])
    return set(order[:k])


def rank_accuracy(r: Map, m: Mask) -> float:
    """Arras et al. 2022, section 3.3: |P_top-K ∩ GT| / |GT| with K = |GT|."""
    truth = naive.pixels(m)
    return len(top(r, len(truth)) & truth) / len(truth)


def sets_iou(r: Map, m: Mask) -> float:
    a, b = top(r, int(m.sum())), naive.pixels(m)
    return len(a & b) / len(a | b)


TENTH = 19  # of 192 pixels
TWINS: dict[str, Callable[[Map, Mask], float]] = {
    "topk_overlap": rank_accuracy,
    "topk_iou": sets_iou,
    "mass_accuracy": naive.mass_accuracy,
    "pointing_game": lambda r, m: float(m[np.unravel_index(np.argmax(r), r.shape)]),
    "iou": lambda r, m: naive.coverage(r, m, "minmax>=0.5")[0],
    "gt_coverage": lambda r, m: naive.coverage(r, m, "minmax>=0.5")[1],
    "saliency_coverage": lambda r, m: naive.coverage(r, m, "minmax>=0.5")[2],
    "auroc": naive.auroc,
    "regional_precision": lambda r, m: 100 * naive.mass_accuracy(r, m),
    "regional_recall": lambda r, m: len(top(r, TENTH) & naive.pixels(m)) / int(m.sum()),
    "spatial_coherence": lambda r, m: max(naive.pieces(top(r, TENTH))) / TENTH,
    "n_components": lambda r, m: float(len(naive.pieces(top(r, TENTH)))),
    "lift": lambda r, m: naive.mass_accuracy(r, m) / (len(naive.pixels(m)) / r.size),
    "lift@of=topk_overlap": lambda r, m: rank_accuracy(r, m) / (len(naive.pixels(m)) / r.size),
    "area_share": lambda r, m: len(naive.pixels(m)) / r.size,
    "ceiling": lambda r, m: naive.best_mass(m, CELLS),
    "ceiling@of=regional_precision": lambda r, m: 100 * naive.best_mass(m, CELLS),
    "hits@K=30": lambda r, m: float(len(top(r, 30) & naive.pixels(m))),
    "precision@K=30": lambda r, m: len(top(r, 30) & naive.pixels(m)) / 30,
    "recall@K=30": lambda r, m: len(top(r, 30) & naive.pixels(m)) / int(m.sum()),
    "iou[mean+1std]": lambda r, m: naive.coverage(r, m, "mean+1std")[0],
    "saliency_coverage[percentile=80]": lambda r, m: naive.coverage(r, m, "percentile=80")[2],
}


def test_every_score_against_a_mask_has_a_twin() -> None:
    local = {name for name, spec in METRICS.items() if "model" not in spec.needs}
    assert local <= set(TWINS)


@pytest.mark.parametrize("key", TWINS)
def test_against_the_paper(key: str) -> None:
    grid = Grid(CELLS, centre=(1.5, 1.5), stride=(4.0, 4.0))
    for seed in range(8):
        heatmap, mask = untied(seed)
        found = score(heatmap[None], mask[None], metrics=[key], grid=grid)[key][0]
        assert found == pytest.approx(TWINS[key](heatmap, mask), rel=1e-9)


@pytest.mark.parametrize("ties", ["project_iml", "clevr_xai", "explanation_alignment"])
def test_without_ties_all_tie_rules_agree(ties: str) -> None:
    names = ["topk_overlap", "topk_iou", "pointing_game", "regional_recall"]
    for seed in range(8):
        heatmap, mask = untied(seed)
        keys = [*names, *(f"{name}@ties={ties}" for name in names)]
        found = score(heatmap[None], mask[None], metrics=keys)
        ruled = score(heatmap[None], mask[None], metrics=names, rules=Rules(ties=ties))
        for name in names:
            assert found[name][0] == found[f"{name}@ties={ties}"][0] == ruled[name][0]


@pytest.mark.parametrize("seed", range(30))
def test_pieces_of_tied_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heatmap = np.maximum(rng.integers(-6, 4, (9, 11)), 0).astype(np.float32)  # mostly zero
    heatmap[0, 0] = 4
    nothing = np.zeros((9, 11), bool)
    for share in (0.01, 0.1, 0.3, 0.5, 1):
        keys = [f"spatial_coherence@share={share}", f"n_components@share={share}"]
        found = score(heatmap[None], nothing[None], metrics=keys)
        sizes = naive.pieces(naive.top_set(heatmap, max(1, int(share * 99 + 0.5))))
        expected = [max(sizes) / sum(sizes), len(sizes)]
        assert [float(v[0]) for v in found.values()] == pytest.approx(expected)
