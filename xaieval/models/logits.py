"""Finding the class logits in whatever a network returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError

LogitsRule = Literal["auto"] | str | int | Callable[[Any], Tensor]
"""``"auto"``, a path such as ``"logits"``, ``0`` or ``"heads.1"``, or a function of the output."""


class LogitsFunction(Protocol):
    """``f(module, x, *extra)`` that gives the logits (B, C)."""

    def __call__(self, module: nn.Module, x: Tensor, /, *extra: Tensor) -> Tensor: ...


# Keys under which libraries return class logits (Hugging Face, torchvision, timm, mmpretrain).
PREFERRED_KEYS = ("logits", "class_logits", "cls_logits", "out", "output")


def tensors_of(output: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield (dotted path, tensor) for every tensor in nested tuples, lists and mappings."""
    items: Sequence[tuple[Any, Any]]
    if isinstance(output, Tensor):
        yield path, output
        return
    if isinstance(output, Mapping):
        items = list(output.items())
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        items = list(zip(output._fields, output, strict=True))
    elif isinstance(output, (tuple, list)):
        items = list(enumerate(output))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        items = [(f.name, getattr(output, f.name)) for f in dataclasses.fields(output)]
    else:
        return
    for key, value in items:
        yield from tensors_of(value, f"{path}.{key}" if path else str(key))


def _describe(leaves: Mapping[str, Tensor]) -> str:
    return ", ".join(
        f"{path or 'the output'}: {str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}"
        for path, t in leaves.items()
    )


def find_logits(
    output: Any, *, rows: int, n_classes: int | None = None, name: str = "model"
) -> str:
    """Return the path of the class logits in a network's output.

    A lone (B, C) floating tensor is it. Among several: the one under a key that libraries use for
    logits; else, when the number of classes is known, the only one with as many columns.

    Raises
    ------
    ModelError
        When there is none, or several that the rule cannot tell apart; lists what there is.

    >>> find_logits({"logits": torch.zeros(2, 5), "embedding": torch.zeros(2, 64)}, rows=2)
    'logits'
    """
    leaves = dict(tensors_of(output))
    fits = {
        path: t
        for path, t in leaves.items()
        if t.ndim == 2 and t.shape[0] == rows and t.is_floating_point()
    }
    if len(fits) == 1:
        return next(iter(fits))
    if not fits:
        raise ModelError(
            "no class logits in the output",
            where=name,
            expected=f"a floating tensor ({rows}, number of classes)",
            got=_describe(leaves) or type(output).__name__,
            fix="pass logits= a function that takes the output and returns the logits",
        )
    for key in PREFERRED_KEYS:
        for path in fits:
            if path.rpartition(".")[2] == key:
                return path
    wide = [path for path, t in fits.items() if t.shape[1] == n_classes]
    if len(wide) == 1:
        return wide[0]
    raise ModelError(
        f"{len(fits)} outputs could be the class logits",
        where=name,
        got=_describe(fits),
        fix=f"name one, for example logits={next(iter(fits))!r}",
    )


def _follow(output: Any, path: str, name: str) -> Tensor:
    leaves = dict(tensors_of(output))
    if path not in leaves:
        raise ModelError(
            f"the output has no tensor {path!r}", where=name, expected=_describe(leaves)
        )
    return leaves[path]


def logits_function(
    module: nn.Module,
    *,
    rule: LogitsRule,
    example: Tensor,
    extra: tuple[Tensor, ...] = (),
    n_classes: int | None = None,
    name: str = "model",
) -> LogitsFunction:
    """Return ``f(module, x, *extra)`` that gives the logits (B, C), decided once on an example.

    ``rule="auto"`` prefers a method ``classify`` of the module, which may skip whatever the
    logits do not need; otherwise ``find_logits`` decides. The module must be in eval mode.
    """
    if rule == "auto" and callable(getattr(module, "classify", None)):
        return _call_classify
    if callable(rule):
        chosen = rule
        return lambda net, x, *more: chosen(net(x, *more))
    with torch.no_grad():
        output = module(example, *extra)
    path = (
        find_logits(output, rows=example.shape[0], n_classes=n_classes, name=name)
        if rule == "auto"
        else str(rule)
    )
    if path == "":
        return _call_plain
    return lambda net, x, *more: _follow(net(x, *more), path, name)


def _call_classify(module: nn.Module, x: Tensor, /, *extra: Tensor) -> Tensor:
    logits: Tensor = module.classify(x, *extra)  # type: ignore[operator]
    return logits


def _call_plain(module: nn.Module, x: Tensor, /, *extra: Tensor) -> Tensor:
    logits: Tensor = module(x, *extra)
    return logits
