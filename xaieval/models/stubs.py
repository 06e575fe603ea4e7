"""Putting other code in a module's place for a while, and other tensors in nested outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Forward = Callable[..., Any]


class PlainMode(TorchFunctionMode):
    """Changes nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return func(*args, **(kwargs or {}))


@contextmanager
def replaced(module: nn.Module, forward: Forward) -> Iterator[None]:
    """Put another ``forward`` in a module's place inside the ``with``."""
    own = vars(module)
    missing = object()
    before = own.get("forward", missing)
    own["forward"] = forward
    try:
        yield
    finally:
        if before is missing:
            del own["forward"]
        else:
            own["forward"] = before


def changed(value: Any, change: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Any:
    """Return nested tuples, lists and mappings with each tensor changed.

    ``change`` gets a tensor and the places in tuples and lists that lead to it.

    >>> changed((torch.zeros(1), [torch.ones(1), "x"]), lambda t, path: t + sum(path))
    (tensor([0.]), [tensor([2.]), 'x'])
    """

    def walk(value: Any, path: tuple[int, ...]) -> Any:
        if isinstance(value, Tensor):
            return change(value, path)
        if isinstance(value, (tuple, list)):
            parts = [walk(part, (*path, i)) for i, part in enumerate(value)]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, MutableMapping):
            twin = copy.copy(value)
            for key, part in value.items():
                twin[key] = walk(part, path)
            return twin
        if isinstance(value, Mapping):
            return {key: walk(part, path) for key, part in value.items()}
        return value

    return walk(value, ())


def same(value: Any) -> Any:
    """Return the value."""
    return value


def copy_of(value: Any) -> Any:
    """Return nested values with copies of the tensors."""
    return changed(value, lambda tensor, _: tensor.clone())


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors of nested values."""
    tensors: list[Tensor] = []

    def note(tensor: Tensor, _: tuple[int, ...]) -> Tensor:
        tensors.append(tensor)
        return tensor

    changed(value, note)
    return tensors


def spoilt(tensor: Tensor, _: tuple[int, ...]) -> Tensor:
    """Return NaN in a tensor's place; whole numbers, which have none, stay."""
    return torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor


def hollow(tensor: Tensor, _: tuple[int, ...]) -> Tensor:
    """Return zeros of a tensor's shape that take no memory."""
    return torch.zeros((), dtype=tensor.dtype, device=tensor.device).expand(tensor.shape)
