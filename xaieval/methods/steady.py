"""Rows that do not feel their company: the same numbers wherever a row stands in a batch.

PyTorch's CPU kernels compute exp and its kin eight or sixteen values at a time and the rest one by
one with another routine, which rounds differently. Which values are "the rest" depends on the
tensor's size and on how threads share it, so a row's result depends on its place in the batch (on
EfficientNet-B0 by up to 7e-6 of the gradient's maximum, enough to swap pixels in a ranking). Here
such tensors are padded until there is no rest. With a fixed number of rows per pass (``passes.py``)
maps are then bit-identical for every batch size and order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

# Layers whose value at a place depends on that place alone, through a routine that rounds.
_ELEMENTWISE = (
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    nn.GELU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.Mish,
    nn.Softplus,
    nn.LogSigmoid,
)
# at::internal::GRAIN_SIZE: a thread gets at least so many elements (ATen/TensorIterator.h).
_GRAIN = 32768
# Two AVX-512 registers of 16 floats, twice over: kernels unroll by two.
_BLOCK = 64


@cache
def whole_size(numel: int, threads: int) -> int:
    """Return the least size ≥ ``numel`` that leaves no thread a partial block.

    >>> whole_size(64, 2), whole_size(65, 2), whole_size(40000, 2)
    (64, 128, 40064)
    """
    size = numel
    while True:
        sharing = min(threads, -(-size // _GRAIN)) or 1
        step = _BLOCK * sharing
        if size % step == 0:
            return size
        size += step - size % step


def _padded(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply an elementwise function to a tensor without partial blocks; differentiable."""
    if x.device.type != "cpu" or x.numel() == 0:
        return function(x)
    missing = whole_size(x.numel(), torch.get_num_threads()) - x.numel()
    if not missing:
        return function(x)
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    ordered = x.permute(0, 2, 3, 1) if last else x
    flat = function(pad(ordered.reshape(-1), (0, missing)))[: x.numel()]
    result = flat.view(ordered.shape)
    return result.permute(0, 3, 1, 2) if last else result


def steady(module: nn.Module) -> None:
    """Make the elementwise layers of a private copy independent of a row's place, in place."""
    for layer in module.modules():
        if isinstance(layer, _ELEMENTWISE):
            layer.forward = partial(_padded, layer.forward)  # type: ignore[method-assign]
