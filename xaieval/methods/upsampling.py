"""From a map of a layer's size to one of the input's: where each cell is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from xaieval.errors import unknown
from xaieval.methods.placement import Placement, even_placement, layer_placement, token_placement
from xaieval.types import Grid

if TYPE_CHECKING:
    from xaieval.methods.passes import Passes
    from xaieval.models.tokens import TokenGrid


def place(maps: Tensor, size: tuple[int, int], placement: Placement) -> Tensor:
    """Draw maps with cell (i, j) at its own place, bilinear between cells.

    The value at pixel p is that at (p − centre) / stride on the grid of cells; pixels beyond the
    outer cells take their value. Cell by cell and pixel by pixel, so that neither the batch nor
    the device changes a bit.

    Parameters
    ----------
    maps : float (n, 1, h, w)
    size : (height, width) in px
    placement : Placement
        Centre of the first cell and distance of cells, px; a pixel's centre is its index.

    Returns
    -------
    float (n, 1, height, width)

    >>> cells = torch.tensor([[[[0.0, 4.0]]]])
    >>> place(cells, (1, 6), Placement((0.0, 1.0), (1.0, 2.0)))
    tensor([[[[0., 0., 2., 4., 4., 4.]]]])
    """
    for axis, length in enumerate(size, start=2):
        cells = maps.shape[axis]
        pixels = torch.arange(length, dtype=torch.float64)
        spots = (pixels - placement.centre[axis - 2]) / placement.stride[axis - 2]
        spots = spots.clamp(0, cells - 1)
        below = spots.floor().long()
        share = (spots - below).to(maps.dtype).to(maps.device)
        share = share[:, None] if axis == 2 else share
        above = (below + 1).clamp(max=cells - 1).to(maps.device)
        low, high = maps.index_select(axis, below.to(maps.device)), maps.index_select(axis, above)
        maps = low * (1 - share) + high * share
    return maps


def _paper(maps: Tensor, passes: Passes, tokens: TokenGrid | None) -> Tensor:
    """Bilinear with pixel centres (``align_corners=False``), as in the published comparisons."""
    return interpolate(maps, size=passes.size, mode="bilinear", align_corners=False)


def _aligned(maps: Tensor, passes: Passes, tokens: TokenGrid | None) -> Tensor:
    """Each cell at the arithmetic centre of what it sees: its receptive field, or its patch."""
    return place(maps, passes.size, _placement(maps, passes, tokens))


def _placement(maps: Tensor, passes: Passes, tokens: TokenGrid | None) -> Placement:
    cells = maps.shape[2], maps.shape[3]
    return layer_placement(passes, cells) if tokens is None else token_placement(tokens, passes)


UPSAMPLINGS: dict[str, Callable[[Tensor, Passes, TokenGrid | None], Tensor]] = {
    "paper": _paper,
    "aligned": _aligned,
}
"""Name -> how a map of a layer's size (n, 1, h, w) is brought to the input's (n, 1, H, W)."""


def check_upsampling(name: str) -> str:
    """Return the name of a known upsampling.

    Raises
    ------
    ConfigError
        For any other name, with those there are.
    """
    if name not in UPSAMPLINGS:
        raise unknown("upsampling", name, UPSAMPLINGS)
    return name


def upsample(maps: Tensor, passes: Passes, *, tokens: TokenGrid | None = None) -> Tensor:
    """Bring maps (n, 1, h, w) to the input's height and width.

    They are maps of the target layer, or of patch tokens where their grid is given.

    Raises
    ------
    NotDefinedError
        For "aligned", where nobody can say what a cell of the target layer sees, or the map has
        other cells.
    """
    name = check_upsampling(passes.upsampling)
    result = UPSAMPLINGS[name](maps, passes, tokens)
    cells = maps.shape[2], maps.shape[3]
    aligned = name == "aligned"
    found = _placement(maps, passes, tokens) if aligned else even_placement(cells, passes.size)
    passes.drawn.result = result
    passes.drawn.grid = Grid(cells, found.centre, found.stride)
    return result
