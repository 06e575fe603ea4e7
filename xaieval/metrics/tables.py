"""What a page needs to move K or a threshold without asking again: rank images and tables.

A table holds one score at every K, or at every threshold, of one map and one mask. The scores are
those of ``score``; the images tell which pixels are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.errors import MetricError
from xaieval.metrics.arrays import heatmap_batch, mask_batch, to_numpy
from xaieval.metrics.binarise import threshold
from xaieval.metrics.gt_coverage import gt_coverage
from xaieval.metrics.iou import iou
from xaieval.metrics.ranking import RankedMap, Ranking
from xaieval.metrics.rules import DEFAULT
from xaieval.metrics.saliency_coverage import saliency_coverage

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS = 100
"""A threshold moves in hundredths of the min-max normalised map."""


@dataclass(frozen=True, eq=False)
class KTable:
    """The Top-K set of one map at K = 1, 2, …, n.

    Attributes
    ----------
    stronger : uint32 (H, W)
        How many pixels are strictly stronger; tied pixels have the same number.
    above : int64 (n,)
        How many pixels are surely among the K highest: those with ``stronger < above[K - 1]``.
        The tied group at the border is where ``stronger == above[K - 1]``.
    share : float32 (n,)
        How much of that group fits, in (0, 1].
    hits, precision : float64 (n,)
        hits(K) and hits(K) / K under the rule "expected"; NaN where the mask is empty or missing.
    reason : str or None
        Why they are NaN.
    """

    stronger: npt.NDArray[np.uint32]
    above: npt.NDArray[np.int64]
    share: npt.NDArray[np.float32]
    hits: Floats
    precision: Floats
    reason: str | None


@dataclass(frozen=True, eq=False)
class ThresholdTable:
    """The set S = {min-max normalised map >= t} at t = 0, 0.01, …, 1.

    Attributes
    ----------
    steps : uint8 (H, W)
        A pixel belongs to S at t = i / 100 exactly when ``i <= steps``. At t = 0 all do.
    size, hits : int64 (101,)
        Pixels of S, and those of them inside the mask.
    iou, gt_coverage, saliency_coverage : float64 (101,)
        As the scores of these names with ``minmax>=t``; NaN where there is a ``reason``.
    reason : str or None
        Why there is no S or no mask: ``flat-map``, ``zero-map``, ``empty-mask``, …
    """

    steps: npt.NDArray[np.uint8]
    size: npt.NDArray[np.int64]
    hits: npt.NDArray[np.int64]
    iou: Floats
    gt_coverage: Floats
    saliency_coverage: Floats
    reason: str | None


def _ranking(heatmap: Any, mask: Any) -> Ranking:
    maps = heatmap_batch(to_numpy(heatmap)[None], channels=False)
    if mask is None:
        return Ranking(RankedMap(maps[0]), np.zeros(maps[0].shape, bool))
    masks, _ = mask_batch(to_numpy(mask)[None], maps)
    return Ranking(RankedMap(maps[0]), masks[0, 0])


def _reason(ranking: Ranking, mask: Any) -> str | None:
    return "no-ground-truth" if mask is None else ranking.mask_reason


def k_table(heatmap: Any, mask: Any, end: int) -> KTable:
    """Return the Top-K set and its scores at K = 1 … end.

    Parameters
    ----------
    heatmap : float32 or float64 (H, W), finite
    mask : bool (H, W) or None
    end : int, 1..N
        Largest K, px.

    Raises
    ------
    MetricError
        For an ``end`` outside 1..N, or arrays as ``score`` refuses them.

    >>> table = k_table(np.array([[4, 2], [2, 0]], np.float32), np.eye(2, dtype=bool), 3)
    >>> table.stronger.tolist(), table.above.tolist(), table.share.tolist()
    ([[0, 1], [1, 3]], [0, 1, 1], [1.0, 0.5, 1.0])
    >>> table.precision.round(3).tolist()
    [1.0, 0.5, 0.333]
    """
    ranking = _ranking(heatmap, mask)
    ranked = ranking.map
    if end < 1:
        raise MetricError("bad end of a table", expected=f"1 to {ranked.size} px", got=end)
    ks = np.arange(1, end + 1, dtype=np.int64)
    ranked.check_k(ks)
    _, above, tied = ranked.border(ks)
    weaker_or_tied = np.searchsorted(ranked.ascending, ranked.flat, "right")
    reason = _reason(ranking, mask)
    hits = ranking.hits_table(ks) if reason is None else np.full(end, np.nan)
    return KTable(
        stronger=(ranked.size - weaker_or_tied).astype(np.uint32).reshape(ranked.shape),
        above=above.astype(np.int64),
        share=((ks - above) / tied).astype(np.float32),
        hits=hits,
        precision=hits / ks,
        reason=reason,
    )


def threshold_table(heatmap: Any, mask: Any) -> ThresholdTable:
    """Return the set above a threshold and its scores, at every hundredth.

    Parameters
    ----------
    heatmap : float32 or float64 (H, W), finite
    mask : bool (H, W) or None

    Raises
    ------
    MetricError
        For arrays as ``score`` refuses them.

    >>> table = threshold_table(np.array([[4, 2], [1, 0]], np.float32), np.eye(2, dtype=bool))
    >>> table.steps.tolist(), table.size[[0, 1, 25, 50, 100]].tolist()
    ([[100, 50], [25, 0]], [4, 3, 3, 2, 1])
    >>> table.iou[[0, 50, 100]].round(3).tolist()
    [0.5, 0.333, 0.5]
    """
    ranking = _ranking(heatmap, mask)
    ranked, area = ranking.map, ranking.map.size
    scores = {fn: np.full(STEPS + 1, np.nan) for fn in (iou, gt_coverage, saliency_coverage)}
    size, hits = np.zeros((2, STEPS + 1), np.int64)
    steps = np.zeros(ranked.shape, np.uint8)
    size[0], hits[0] = area, ranking.k
    flat = ranked.reason
    if flat is None:
        names = [f"minmax>={step / STEPS:g}" for step in range(1, STEPS + 1)]
        borders = np.array([threshold(ranked, name) for name in names], ranked.flat.dtype)
        found = np.searchsorted(borders, ranked.flat, "right")
        steps = found.astype(np.uint8).reshape(ranked.shape)
        for step, (name, border) in enumerate(zip(names, borders, strict=True), start=1):
            size[step], hits[step] = ranking.at_least(border)
            for fn, values in scores.items():
                values[step] = fn(ranking, {"binarisation": name}, DEFAULT).value
    reason = _reason(ranking, mask) or flat
    if reason is None:  # every pixel is in S at 0
        share = ranking.area_share
        for fn, value in ((iou, share), (gt_coverage, 1.0), (saliency_coverage, share)):
            scores[fn][0] = value
    return ThresholdTable(
        steps=steps,
        size=size,
        hits=hits,
        iou=scores[iou],
        gt_coverage=scores[gt_coverage],
        saliency_coverage=scores[saliency_coverage],
        reason=reason,
    )


def above_threshold(heatmap: Any, share: float) -> npt.NDArray[np.bool_]:
    """Return the set {min-max normalised map >= share}: bool (H, W).

    All pixels at 0; none where every value is the same.

    >>> above_threshold(np.array([[4, 2], [1, 0]], np.float32), 0.5).tolist()
    [[True, True], [False, False]]
    """
    ranked = _ranking(heatmap, None).map
    if ranked.reason is not None:
        return np.zeros(ranked.shape, bool)
    if share <= 0:
        return np.ones(ranked.shape, bool)
    border = threshold(ranked, f"minmax>={share:g}")
    return np.asarray(ranked.flat >= border, bool).reshape(ranked.shape)


def place_table(values: Floats, *, higher_is_better: bool = True, tie: float = 1e-9) -> Ints:
    """Return the place of each method in each column: 1 is best, 0 where the score is NaN.

    Parameters
    ----------
    values : float64 (M, n)
        A score of M methods at n settings.
    tie : float
        Scores that differ from the next better one by at most this much share its place.

    Returns
    -------
    int64 (M, n)

    >>> place_table(np.array([[0.2, 1.0], [0.5, np.nan], [0.2, 2.0]])).tolist()
    [[2, 2], [1, 0], [2, 1]]
    """
    worse = -values if higher_is_better else values
    order = np.argsort(worse, axis=0, kind="stable")  # NaN last
    ranked = np.take_along_axis(worse, order, axis=0)
    starts = np.ones(values.shape, bool)
    starts[1:] = ~(np.abs(ranked[1:] - ranked[:-1]) <= tie)
    positions = np.arange(1, len(values) + 1)[:, None]
    place = np.maximum.accumulate(np.where(starts, positions, 1), axis=0)
    found = np.zeros(values.shape, np.int64)
    np.put_along_axis(found, order, place, axis=0)
    found[np.isnan(values)] = 0
    return found
