"""Linear and convolution layers as one thing: an affine map and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Affine:
    """z = A(x, w) + bias, with A linear in x and in w.

    Attributes
    ----------
    kind : "linear" or "conv"
    weight : Tensor
    bias : Tensor or None
    settings : tuple
        Of a convolution: stride, padding, dilation, transposed, output padding, groups.
    """

    kind: Literal["linear", "conv"]
    weight: Tensor
    bias: Tensor | None
    settings: tuple[Any, ...] = ()

    def run(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return A(x, weight) + bias."""
        if self.kind == "linear":
            return F.linear(x, weight, bias)
        return torch.convolution(x, weight, bias, *self.settings)

    def back(self, c: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """Return A(·, weight)ᵀ c, of the shape of ``like``."""
        if self.kind == "linear":
            return c @ weight
        found: Tensor = torch.ops.aten.convolution_backward(
            c, like, weight, None, *self.settings, [True, False, False]
        )[0]
        return found


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Affine]:
    """Return (input, layer) of ``torch.nn.functional.linear``."""
    return input, Affine("linear", weight, bias)


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> tuple[Tensor, Affine]:
    """Return (input, layer) of ``conv1d``, ``conv2d`` or ``conv3d``.

    The input comes padded where ``padding="same"`` needs more zeros on one side.
    """
    axes = weight.ndim - 2
    steps, gaps = _each(stride, axes), _each(dilation, axes)
    if isinstance(padding, str):
        total = [
            gap * (size - 1) if padding == "same" else 0
            for gap, size in zip(gaps, weight.shape[2:], strict=True)
        ]
        if any(t % 2 for t in total):
            # As in PyTorch, the odd zero comes at the end; F.pad counts from the last axis.
            input = F.pad(input, [n for t in reversed(total) for n in (0, t % 2)])
        padding = [t // 2 for t in total]
    settings = (steps, _each(padding, axes), gaps, False, [0] * axes, groups)
    return input, Affine("conv", weight, bias, settings)


def transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> tuple[Tensor, Affine]:
    """Return (input, layer) of ``conv_transpose1d``, ``2d`` or ``3d``."""
    axes = weight.ndim - 2
    steps, extra = _each(stride, axes), _each(output_padding, axes)
    settings = (steps, _each(padding, axes), _each(dilation, axes), True, extra, groups)
    return input, Affine("conv", weight, bias, settings)


def _each(value: int | Sequence[int], axes: int) -> list[int]:
    found = [value] if isinstance(value, int) else list(value)
    return found * axes if len(found) == 1 else found


LAYERS = {
    "linear": linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution
    ),
}
"""Name of a torch function -> what reads its arguments."""
