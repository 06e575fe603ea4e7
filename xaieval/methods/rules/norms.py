"""Normalisations over a picture's own values, read from however they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xaieval.methods.rules.watch import Call


@dataclass(frozen=True, eq=False)
class Norm:
    """y = finish((x − mean) · (mean((x − mean)²) + eps)^−½), means over ``axes``.

    Attributes
    ----------
    x : Tensor
        Shaped so that the means are over whole axes.
    axes : tuple of int
    eps : float
    centred : bool
        False: the mean is not taken away (root mean square norm).
    finish : callable
        Brings the shape back, then scales and shifts.
    """

    x: Tensor
    axes: tuple[int, ...]
    eps: float
    centred: bool
    finish: Callable[[Tensor], Tensor]


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Norm:
    axes = tuple(range(-len(normalized_shape), 0))
    return Norm(input, axes, eps, True, lambda y: _affine(y, weight, bias))


def _rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Norm:
    axes = tuple(range(-len(normalized_shape), 0))
    least = torch.finfo(input.dtype).eps if eps is None else eps
    return Norm(input, axes, least, False, lambda y: _affine(y, weight, None))


def _group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Norm:
    def finish(y: Tensor) -> Tensor:
        shape = (-1, *[1] * (input.ndim - 2))
        scale, shift = (None if v is None else v.reshape(shape) for v in (weight, bias))
        return _affine(y.reshape(input.shape), scale, shift)

    return Norm(input.reshape(len(input), num_groups, -1), (2,), eps, True, finish)


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Norm | None:
    if not use_input_stats:
        return None
    return _group_norm(input, input.shape[1], weight, bias, eps)


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


_READERS: dict[str, Callable[..., Norm | None]] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
NORMS = frozenset(_READERS)
"""Names of the functions that ``read_norm`` reads."""


def read_norm(call: Call) -> Norm | None:
    """Return what a call normalises; None when it does so with constants."""
    return _READERS[call.name](*call.args, **call.options)
