"""Every score again, slowly and straight from its definition: loops, sets and no shared code."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def pixels(mask: Mask) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for y, x in np.argwhere(mask)}


def hits_brute_force(heatmap: Map, mask: Mask, k: int) -> float:
    """Mean of |top-K ∩ M| over every way to fill the last places from the tied pixels."""
    places = list(np.ndindex(heatmap.shape))
    order = sorted(places, key=lambda p: -heatmap[p])
    border = heatmap[order[k - 1]]
    above = [p for p in places if heatmap[p] > border]
    tied = [p for p in places if heatmap[p] == border]
    m = pixels(mask)
    found = [len(m & {*above, *chosen}) for chosen in itertools.combinations(tied, k - len(above))]
    return sum(found) / len(found)


def hits_monte_carlo(heatmap: Map, mask: Mask, k: int, n: int) -> npt.NDArray[np.float64]:
    """|top-K ∩ M| in n random orders of tied pixels."""
    rng = np.random.default_rng(7)
    flat, inside = heatmap.reshape(-1), mask.reshape(-1)
    draws = []
    for _ in range(n):
        order = np.lexsort((rng.random(flat.size), -flat))
        draws.append(inside[order[:k]].sum())
    return np.array(draws, float)


def auroc(heatmap: Map, mask: Mask) -> float:
    wins = 0.0
    for a in heatmap[mask]:
        for b in heatmap[~mask]:
            wins += 1.0 if a > b else 0.5 if a == b else 0.0
    return wins / (int(mask.sum()) * int((~mask).sum()))


def binarised(heatmap: Map, name: str) -> Mask:
    r = heatmap.astype(np.float64)
    if name.startswith("minmax>="):
        return np.asarray((r - r.min()) / (r.max() - r.min()) >= float(name[8:]))
    if name == "mean+1std":
        return np.asarray(r >= r.mean() + r.std() - 1e-12 * (r.max() - r.min()))
    assert name.startswith("percentile=")
    return np.asarray(r >= np.percentile(r, float(name[11:])))


def coverage(heatmap: Map, mask: Mask, name: str) -> tuple[float, float, float]:
    s, m = pixels(binarised(heatmap, name)), pixels(mask)
    return len(s & m) / len(s | m), len(s & m) / len(m), len(s & m) / len(s) if s else math.nan


def mass_accuracy(heatmap: Map, mask: Mask) -> float:
    inside = math.fsum(float(v) for v in heatmap[mask])
    return inside / math.fsum(float(v) for v in heatmap.reshape(-1))


def grown(mask: Mask, radius: float) -> Mask:
    m = pixels(mask)
    out = np.zeros_like(mask)
    for y, x in np.ndindex(mask.shape):
        out[y, x] = any(math.hypot(y - a, x - b) <= radius for a, b in m)
    return out


def pointing_game(heatmap: Map, mask: Mask) -> float:
    top = {p for p in np.ndindex(heatmap.shape) if heatmap[p] == heatmap.max()}
    return len(top & pixels(mask)) / len(top)


def top_set(heatmap: Map, k: int) -> set[tuple[int, int]]:
    """The k highest pixels; tied ones at the border all or none, as near to k as can be."""
    values = sorted((float(v) for v in heatmap.reshape(-1)), reverse=True)
    without = {p for p in np.ndindex(heatmap.shape) if heatmap[p] > values[k - 1]}
    with_all = {p for p in np.ndindex(heatmap.shape) if heatmap[p] >= values[k - 1]}
    return without if without and k - len(without) < len(with_all) - k else with_all


def pieces(chosen: set[tuple[int, int]]) -> list[int]:
    """Sizes of the 8-connected pieces, by flooding."""
    left, sizes = set(chosen), []
    while left:
        queue, size = [left.pop()], 0
        while queue:
            y, x = queue.pop()
            size += 1
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            queue += near
        sizes.append(size)
    return sizes


def best_mass(mask: Mask, cells: tuple[int, int]) -> float:
    """Largest share of mass in the mask over maps with one cell of a coarse grid at 1."""
    torch = pytest.importorskip("torch")
    best = 0.0
    for place in np.ndindex(cells):
        grid = torch.zeros(1, 1, *cells, dtype=torch.float64)
        grid[0, 0, place[0], place[1]] = 1
        drawn = torch.nn.functional.interpolate(grid, mask.shape, mode="bilinear")[0, 0].numpy()
        best = max(best, float(drawn[mask].sum() / drawn.sum()))
    return best
