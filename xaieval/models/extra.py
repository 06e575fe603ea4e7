"""The second input of a network, such as the question to a picture."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from torch import Tensor, nn

from xaieval.errors import ModelError

Extra = Tensor | tuple[Tensor, ...]
"""One tensor (B, …), or several; a network is called as ``module(x, *extra)``."""


def _parts(extra: object) -> tuple[object, ...]:
    if extra is None:
        return ()
    return tuple(extra) if isinstance(extra, (tuple, list)) else (extra,)


def as_extra(extra: Extra | None, *, name: str = "model") -> tuple[Tensor, ...]:
    """Return a second input as a tuple of tensors, empty for None.

    Raises
    ------
    ModelError
        When something in it is no tensor, or has no rows.
    """
    tensors = tuple(t for t in _parts(extra) if isinstance(t, Tensor) and t.ndim)
    if len(tensors) != len(_parts(extra)):
        raise ModelError(
            "not a second input",
            where=name,
            expected="a tensor (B, …) or a tuple of such tensors",
            got=_describe(_parts(extra)),
        )
    return tensors


def _describe(tensors: Sequence[object]) -> str:
    found = [
        f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}"
        if isinstance(t, Tensor)
        else type(t).__name__
        for t in tensors
    ]
    return " and ".join(found) if found else "none"


def _wanted(example: Sequence[Tensor], rows: int) -> str:
    found = []
    for t in example:
        shape = ", ".join(["B", *map(str, t.shape[1:])]) + ("," if t.ndim == 1 else "")
        found.append(f"{str(t.dtype).removeprefix('torch.')} ({shape})")
    return f"{' and '.join(found)} with B = {rows}"


def fitting_extra(
    extra: Extra | None, *, example: Sequence[Tensor], x: Tensor, name: str = "model"
) -> tuple[Tensor, ...]:
    """Return the second input of model input ``x``, on its device, floating ones in its type.

    ``example`` is what the network was first looked at with. As many tensors are asked for, of
    as many axes, with one row for each row of ``x``; the other sizes may differ (questions of
    other length).

    Raises
    ------
    ModelError
        When a second input is missing, not wanted, or of another number of tensors, axes, rows.

    >>> import torch
    >>> question = torch.tensor([[3, 1, 0]])
    >>> fitting_extra(question, example=(question,), x=torch.zeros(1, 3, 8, 8))
    (tensor([[3, 1, 0]]),)
    """
    given = _parts(extra)
    if not example and extra is None:
        return ()
    if not example:
        raise ModelError(
            "the network takes no second input",
            where=name,
            expected="extra=None",
            got=_describe(given),
            fix="leave it out, or wrap the network with example_extra=",
        )
    if extra is None:
        raise ModelError(
            "the network needs a second input",
            where=name,
            expected=_wanted(example, len(x)),
            fix="pass it as extra=",
        )
    tensors = [
        t
        for t, wanted in zip(given, example, strict=False)
        if isinstance(t, Tensor) and t.ndim == wanted.ndim and len(t) == len(x)
    ]
    if not len(tensors) == len(given) == len(example):
        raise ModelError(
            "the second input does not fit",
            where=name,
            expected=_wanted(example, len(x)),
            got=_describe(given),
            fix="pass one row for each picture",
        )
    return tuple(t.to(x.device, x.dtype if t.is_floating_point() else t.dtype) for t in tensors)


def two_inputs(
    x: Tensor, extra: tuple[Tensor, ...], *, name: str = "model"
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return example inputs with equally many rows, at least two; single rows are repeated.

    Raises
    ------
    ModelError
        When the rows neither agree nor are single.
    """
    sizes = [len(t) for t in (x, *extra)]
    rows = max(2, *sizes)
    if any(size not in (1, rows) for size in sizes):
        raise ModelError(
            "the examples do not belong together",
            where=name,
            expected="tensors of as many rows in example= as in example_extra=, or of one",
            got=_describe((x, *extra)),
        )
    parts = [
        t.detach().expand(rows, *t.shape[1:]) if t.shape[0] == 1 else t.detach()
        for t in (x, *extra)
    ]
    return parts[0], tuple(parts[1:])


def unmet_inputs(module: nn.Module) -> tuple[str, ...]:
    """Return the names of what ``forward`` needs beside its first argument.

    >>> unmet_inputs(nn.Bilinear(2, 2, 1)), unmet_inputs(nn.ReLU())
    (('input2',), ())
    """
    try:
        found = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return ()
    needed = [
        p
        for p in found
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return tuple(p.name for p in needed[1:])
