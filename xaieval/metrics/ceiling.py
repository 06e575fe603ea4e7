"""Ceiling: the best score that a map on the method's own grid of cells can reach."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from xaieval.errors import unknown
from xaieval.metrics.auroc import auroc
from xaieval.metrics.ranking import RankedMap, Ranking
from xaieval.metrics.regional_precision import PERCENT
from xaieval.metrics.regional_recall import regional_recall
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant
from xaieval.metrics.topk_iou import topk_iou
from xaieval.metrics.topk_overlap import topk_overlap
from xaieval.types import Grid, Mask, Score

Floats = npt.NDArray[np.float64]

# Scores of the order of pixels: the oracle below stands for their best map.
_ORACLES: dict[str, Callable[[Ranking, Options, Rules], Score]] = {
    "topk_overlap": topk_overlap,
    "topk_iou": topk_iou,
    "auroc": auroc,
    "regional_recall": regional_recall,
}
SCORES = ("mass_accuracy", "regional_precision", *_ORACLES)
"""Scores that have a ceiling."""


def ceiling_key(metric: str) -> str | None:
    """Return the key of the ceiling that belongs to a score, None where there is none.

    >>> ceiling_key("topk_overlap"), ceiling_key("mass_accuracy"), ceiling_key("iou")
    ('ceiling@of=topk_overlap', 'ceiling', None)
    """
    if metric == "mass_accuracy":
        return "ceiling"
    return f"ceiling@of={metric}" if metric in SCORES else None


def axis_weights(length: int, cells: int, centre: float, stride: float) -> Floats:
    """Return (length, cells): how much of each cell's value each pixel of one axis takes.

    Bilinear between the centres of cells, at ``centre + stride · i`` px; beyond the outer cells
    their value.

    >>> axis_weights(4, 2, 0.5, 2.0).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    place = np.clip((np.arange(length) - centre) / stride, 0, cells - 1)
    below = np.minimum(np.floor(place).astype(np.int64), max(cells - 2, 0))
    weights = np.zeros((length, cells))
    share = place - below
    np.add.at(weights, (np.arange(length), below), 1 - share)
    np.add.at(weights, (np.arange(length), np.minimum(below + 1, cells - 1)), share)
    return weights


def mass_ceiling(mask: Mask, grid: Grid) -> float:
    """Return the largest mass accuracy of any non-negative map on a grid, exactly.

    The share of mass inside the mask is a weighted mean over cells, so the best single cell
    cannot be beaten.
    """
    rows, columns = _weights(mask, grid)
    inside = rows.T @ mask.astype(np.float64) @ columns
    whole = np.outer(rows.sum(0), columns.sum(0))
    seen = whole > 0
    return float((inside[seen] / whole[seen]).max())


def oracle_map(mask: Mask, grid: Grid) -> npt.NDArray[np.float32]:
    """Return the mask averaged onto a grid's cells and drawn again, float32 (H, W) in [0, 1].

    A very good map for scores of order, not a bound: another may be a little better.
    """
    rows, columns = _weights(mask, grid)
    whole = np.outer(rows.sum(0), columns.sum(0))
    inside = rows.T @ mask.astype(np.float64) @ columns
    cells = np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0)
    return (rows @ cells @ columns.T).astype(np.float32)


def _weights(mask: Mask, grid: Grid) -> tuple[Floats, Floats]:
    rows, columns = (
        axis_weights(length, cells, centre, stride)
        for length, cells, centre, stride in zip(
            mask.shape, grid.shape, grid.centre, grid.stride, strict=True
        )
    )
    return rows, columns


def ceiling(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return the best score that a non-negative map on the method's own grid can reach.

    Option ``of`` names the score. For ``mass_accuracy`` the exact bound: the best single cell; for
    ``regional_precision`` the same in percent. For ``topk_overlap``, ``topk_iou``, ``auroc`` and
    ``regional_recall`` the score of an oracle, the mask averaged onto the grid and drawn again; a
    little more may be possible. 1 for methods that draw every pixel by itself (but min(1, K / |M|)
    for ``regional_recall``). Show ``(score − area) / (ceiling − area)`` beside the raw score: a
    coarse map is not to be blamed for what no map of its kind can do.

    Undefined where the mask is (``empty-mask``, ``full-mask`` for auroc).

    >>> import numpy as np
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[0, 0] = True  # a quarter of the first cell's plateau
    >>> grid = Grid((2, 2), centre=(0.5, 0.5), stride=(2.0, 2.0))
    >>> ranked = RankedMap(np.ones((4, 4), np.float32), grid=grid)
    >>> round(ceiling(Ranking(ranked, mask), {}, Rules()).value, 4)  # 1 / (1 + 0.75 + 0.25)²
    0.25
    """
    of = str(options.get("of", "mass_accuracy"))
    if of not in SCORES:
        raise unknown("score with a ceiling", of, SCORES)
    grid = ranking.map.grid
    if ranking.mask_reason:
        return Score(math.nan, ranking.mask_reason)
    if of in ("mass_accuracy", "regional_precision"):
        best_share = 1.0 if grid is None else mass_ceiling(ranking.mask, grid)
        return Score(best_share if of == "mass_accuracy" else PERCENT * best_share)
    best = ranking.mask.astype(np.float32) if grid is None else oracle_map(ranking.mask, grid)
    return _ORACLES[of](Ranking(RankedMap(best), ranking.mask), {}, rules)


SPEC = MetricSpec(
    id="ceiling",
    label="Ceiling",
    summary="the best mass accuracy that a map on the method's own grid of cells can reach",
    needs=frozenset(),
    formula='max_"R on the grid" score(R)',
    undefined=("empty-mask",),
    fn=ceiling,
    higher_is_better=None,
    params=(Param("of", str, f"the score in question: {', '.join(SCORES)}"),),
    variants=(
        Variant(
            key="ceiling@of=topk_overlap",
            label="Ceiling (of=topk_overlap)",
            summary="Top-K overlap of the mask itself, averaged onto the method's grid",
        ),
        Variant(
            key="ceiling@of=regional_precision",
            label="Ceiling (of=regional_precision)",
            summary="the best regional precision on the method's own grid, percent",
            bounds=(0.0, PERCENT),
        ),
    ),
    paper="this package",
)
