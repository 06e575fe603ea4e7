"""How one number is measured: a score with the choices that could have been made otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, generate_binary_structure

from xaieval.errors import ConfigError
from xaieval.metrics import parse_metric
from xaieval.stats.wins import TieRule
from xaieval.types import Grid, Mask

TargetName = Literal["", "predicted", "label", "second"]
PLUS = generate_binary_structure(2, 1)
"""The structuring element of erosion and dilation: a pixel and its four neighbours."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to measure a map.

    Attributes
    ----------
    metric : str
        Metric key.
    k_factor, k_share : float, optional
        Take K = factor · |M|, or share · N pixels, instead of the key's own; the score is then
        hits(K) / K.
    pooling : str
        How channels become one map; "" as each method says.
    target : {"", "predicted", "label", "second"}
        The class explained; "" as the study says, "second" the second most likely one.
    upsampling : str
        How cells become pixels: "" as the study says, a name of ``methods.UPSAMPLINGS``, or
        "nearest": every pixel takes the value of the cell it lies in.
    mask_px : int
        The mask grown (> 0) or shrunk (< 0) by so many px, 4-neighbourhood.

    >>> Recipe(metric="topk_overlap", mask_px=-2).key
    'topk_overlap mask=-2'
    """

    metric: str
    k_factor: float | None = None
    k_share: float | None = None
    pooling: str = ""
    target: TargetName = ""
    upsampling: str = ""
    mask_px: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", parse_metric(self.metric).key)
        if self.k_factor is not None and self.k_share is not None:
            raise ConfigError("K is a multiple of the mask or a share of the image, not both")

    @property
    def key(self) -> str:
        """The same measurement, the same key."""
        named = {
            "K": "" if self.k_factor is None else f"{self.k_factor:g}*mask",
            "Kshare": "" if self.k_share is None else f"{self.k_share:g}",
            "pooling": self.pooling,
            "target": self.target,
            "upsampling": self.upsampling,
            "mask": str(self.mask_px) if self.mask_px else "",
        }
        return " ".join([self.metric, *(f"{k}={v}" for k, v in named.items() if v)])

    @property
    def maps(self) -> tuple[str, str, str]:
        """What decides the heatmaps: pooling, target, upsampling."""
        return self.pooling, self.target, self.upsampling

    def key_for(self, mask_px: int, size: int) -> str:
        """Return the metric key for a mask of ``mask_px`` pixels in an image of ``size``.

        >>> Recipe(metric="topk_overlap", k_factor=0.5).key_for(9, 100)
        'precision@K=5'
        """
        if self.k_factor is None and self.k_share is None:
            return self.metric
        wanted = self.k_share * size if self.k_share is not None else (self.k_factor or 0) * mask_px
        k = min(max(1, int(np.floor(wanted + 0.5))), size)
        return f"precision@K={k}"


@dataclass(frozen=True)
class Variant:
    """One point of an axis: a recipe, and how equal scores share the win."""

    id: str
    label: str
    recipe: Recipe
    wins: TieRule = "split"


def changed_mask(mask: Mask, px: int) -> Mask:
    """Return a mask grown by ``px`` steps to the four neighbours, or shrunk by −px.

    Beyond the image's edge everything counts as mask when it shrinks: the edge of the picture is
    no edge of the object.

    >>> mask = np.zeros((3, 4), bool)
    >>> mask[:, :2] = True
    >>> [int(changed_mask(mask, px).sum()) for px in (1, -1, -2)]
    [9, 3, 0]
    """
    if not px or not mask.any():
        return mask
    if px > 0:
        grown: Mask = binary_dilation(mask, PLUS, iterations=px)
        return grown
    shrunk: Mask = binary_erosion(mask, PLUS, iterations=-px, border_value=1)
    return shrunk


def nearest_cells(values: np.ndarray, grid: Grid) -> np.ndarray | None:
    """Return a map that was drawn bilinearly from a grid, drawn again with flat cells.

    The cells' values are recovered by least squares; None where the map is not what they draw
    (it was changed after it was drawn).

    >>> from xaieval.metrics.ceiling import axis_weights
    >>> grid = Grid((1, 2), (0.0, 0.5), (1.0, 2.0))
    >>> drawn = np.array([[1.0, 5.0]]) @ axis_weights(4, 2, 0.5, 2.0).T
    >>> nearest_cells(drawn.astype(np.float32), grid).tolist()
    [[1.0, 1.0, 5.0, 5.0]]
    """
    from xaieval.metrics.ceiling import axis_weights

    rows, columns = (
        axis_weights(length, cells, centre, stride)
        for length, cells, centre, stride in zip(
            values.shape, grid.shape, grid.centre, grid.stride, strict=True
        )
    )
    cells = np.linalg.pinv(rows) @ values.astype(np.float64) @ np.linalg.pinv(columns).T
    span = float(values.max() - values.min())
    if np.abs(rows @ cells @ columns.T - values).max() > 1e-3 * span:
        return None
    places = [
        np.clip(np.floor((np.arange(length) - centre) / stride + 0.5), 0, count - 1).astype(int)
        for length, count, centre, stride in zip(
            values.shape, grid.shape, grid.centre, grid.stride, strict=True
        )
    ]
    # what rounding leaves below zero was zero
    found = cells.clip(min=0) if values.min() >= 0 else cells
    flat: np.ndarray = found[np.ix_(*places)].astype(np.float32)
    return flat
