"""Where in the picture the cells of a low-resolution map stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xaieval.errors import ModelError, NotDefinedError
from xaieval.models.receptive_field import ReceptiveField, measure_receptive_field

if TYPE_CHECKING:
    from xaieval.methods.passes import Passes
    from xaieval.models.tokens import TokenGrid

Point = tuple[float, float]


@dataclass(frozen=True)
class Placement:
    """Cell (i, j) stands at ``centre + stride · (i, j)``.

    Attributes
    ----------
    centre : (y, x)
        Centre of the first cell in px; that of pixel (0, 0) is (0, 0).
    stride : (y, x)
        Distance of neighbouring cells in px.
    """

    centre: Point
    stride: Point


def layer_placement(passes: Passes, cells: tuple[int, int]) -> Placement:
    """Return where the cells of the target layer look: the centres of their receptive fields.

    Arithmetic of kernels, strides and padding; a patch token stands on its patch. Measured once for
    each classifier, layer and input size.

    Raises
    ------
    NotDefinedError
        When arithmetic does not tell, with what stands in its way; when the map has other cells
        (height, width) than the target layer, so that it stems from another one.
    """
    field = _field(passes)
    if field.map_size != cells:
        raise NotDefinedError(
            "a map of another layer than the target layer cannot be aligned",
            where=f"{passes.classifier.name}, {field.layer}",
            expected=f"{field.map_size[0]} x {field.map_size[1]} cells",
            got=f"{cells[0]} x {cells[1]}",
            fix='use upsampling="paper", or name that layer as target_layer',
        )
    if not field.exact:
        raise NotDefinedError(
            "nobody can say exactly where the cells of the target layer look "
            f"({'; '.join(field.notes) or 'its branches differ'})",
            where=f"{passes.classifier.name}, {field.layer}",
            fix='use upsampling="paper", or name another target_layer',
        )
    return Placement(field.centre0, field.stride)


def token_placement(grid: TokenGrid, passes: Passes) -> Placement:
    """Return where the patch tokens of a transformer stand.

    As measured where the target layer lies on the same grid; else each in the middle of its share
    of the picture.
    """
    if passes.target_layer:
        try:
            field = _field(passes)
        except NotDefinedError:
            pass
        else:
            if field.exact and field.map_size == (grid.height, grid.width):
                return Placement(field.centre0, field.stride)
    return even_placement((grid.height, grid.width), passes.size)


def even_placement(cells: tuple[int, int], size: tuple[int, int]) -> Placement:
    """Return where cells stand that share a picture evenly, each in the middle of its share.

    >>> even_placement((2, 3), (32, 48))
    Placement(centre=(7.5, 7.5), stride=(16.0, 16.0))
    """
    height, width = size[0] / cells[0], size[1] / cells[1]
    return Placement(((height - 1) / 2, (width - 1) / 2), (height, width))


def _field(passes: Passes) -> ReceptiveField:
    # Of the classifier, not of the copy at hand: that may have been folded, or widened to float64.
    try:
        return measure_receptive_field(
            passes.classifier, layer=passes.target_layer, input_size=passes.size
        )
    except ModelError as error:
        raise NotDefinedError.because(error, fix='use upsampling="paper"') from error
