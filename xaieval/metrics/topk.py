"""The Top-K set of one heatmap: hits at any K, weights to draw, and what re-scoring needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.metrics.arrays import heatmap_batch, mask_batch, pooled, to_numpy
from xaieval.metrics.ranking import RankedMap, Ranking
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.metrics.scoring import rankings


def _ranking(heatmap: Any, mask: Any) -> Ranking:
    maps = heatmap_batch(to_numpy(heatmap)[None], channels=False)
    masks, _ = mask_batch(to_numpy(mask)[None], maps)
    return Ranking(RankedMap(maps[0]), masks[0, 0])


def expected_hits(
    heatmap: Any, mask: Any, k: int | None = None, *, ties: str = "expected"
) -> float:
    """Return how many of the K highest pixels lie in the mask; K = |mask| by default.

    Parameters
    ----------
    heatmap : float32 or float64 (H, W)
    mask : bool (H, W)
    k : int, 0..N
    ties : str
        A key of ``TIE_RULES``.

    Raises
    ------
    MetricError
        For a K outside 0..N, or arrays as ``score`` refuses them.

    >>> expected_hits(np.ones((4, 4), np.float32), np.eye(4, dtype=bool), 8)
    2.0
    """
    ranking = _ranking(heatmap, mask)
    return ranking.hits(ranking.k if k is None else k, ties)


def hits_table(
    heatmap: Any, mask: Any, ks: Sequence[int] | npt.NDArray[np.int64], *, ties: str = "expected"
) -> npt.NDArray[np.float64]:
    """Return the hits at several K from one sort: float64 (len(ks),).

    Precision at K is hits / K, recall at K is hits / |mask|. Parameters and errors as
    ``expected_hits``.

    >>> heatmap = np.array([[4, 3], [2, 1]], np.float32)
    >>> hits_table(heatmap, np.array([[True, False], [True, False]]), [0, 1, 2, 3])
    array([0., 1., 1., 2.])
    """
    return _ranking(heatmap, mask).hits_table(np.asarray(ks, np.int64), ties)


def topk_weights(heatmap: Any, k: int) -> npt.NDArray[np.float32]:
    """Return each pixel's chance to be among the K highest: float32 (H, W) in [0, 1].

    1 above the border value, 0 below it, and (K − g) / e for the e pixels tied at it: the picture
    of the exact tie rule. The weights add up to K, inside the mask to ``expected_hits``.

    Raises
    ------
    MetricError
        For a K outside 0..N, or arrays as ``score`` refuses them.

    >>> topk_weights(np.array([[4, 2], [2, 0]], np.float32), 2)
    array([[1. , 0.5],
           [0.5, 0. ]], dtype=float32)
    """
    maps = heatmap_batch(to_numpy(heatmap)[None], channels=False)
    ranked, ks = RankedMap(maps[0]), np.array([k], np.int64)
    ranked.check_k(ks)
    if k == 0:
        return np.zeros(maps[0].shape, np.float32)
    theta, above, tied = ranked.border(ks)
    share = np.float32((k - above[0]) / tied[0])
    return np.where(maps[0] > theta[0], np.float32(1), (maps[0] == theta[0]) * share)


def sufficient_statistics(
    heatmaps: Any, masks: Any, *, rules: Rules = DEFAULT
) -> list[dict[str, int | float | str]]:
    """Return per image and region what a page needs to re-aggregate without the maps.

    Parameters
    ----------
    heatmaps, masks, rules
        As for ``score``.

    Returns
    -------
    list of dict
        ``image``, ``region`` (positions in the batch), ``k`` (mask area, px), ``hits`` at K = k,
        ``mass_in``, ``mass_total`` (float64 sums, of signed maps too), ``argmax_y``,
        ``argmax_x`` (first maximum, px), ``flags``: "" or comma-joined of ``zero``, ``flat``,
        ``signed``, ``tied-max``.

    >>> sufficient_statistics(np.eye(2, dtype=np.float32)[None], np.eye(2, dtype=bool)[None])
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'image': 0, 'region': 0, 'k': 2, 'hits': 2.0, 'mass_in': 2.0, 'mass_total': 2.0,
      'argmax_y': 0, 'argmax_x': 0, 'flags': 'tied-max'}]
    """
    maps = heatmap_batch(heatmaps, channels=rules.pooling is not None)
    regions, _ = mask_batch(masks, maps)
    rows: list[dict[str, int | float | str]] = []
    for b, heatmap in enumerate(maps):
        ranked = RankedMap(pooled(heatmap, rules.pooling), where=f"heatmap {b}")
        y, x = np.unravel_index(int(ranked.flat.argmax()), ranked.shape)
        flags = _flags(ranked)
        for p, ranking in enumerate(rankings(ranked, regions[b])):
            rows.append(
                {
                    "image": b,
                    "region": p,
                    "k": ranking.k,
                    "hits": ranking.hits(ranking.k, rules.ties),
                    "mass_in": ranking.mass_in,
                    "mass_total": ranked.total,
                    "argmax_y": int(y),
                    "argmax_x": int(x),
                    "flags": flags,
                }
            )
    return rows


def _flags(ranked: RankedMap) -> str:
    """Return what is odd about a map, comma-joined."""
    tied = int(np.count_nonzero(ranked.flat == ranked.flat.dtype.type(ranked.high))) > 1
    found = {
        "zero": ranked.reason == "zero-map",
        "flat": ranked.reason == "flat-map",
        "signed": ranked.low < 0,
        "tied-max": tied,
    }
    return ",".join(name for name, is_so in found.items() if is_so)
