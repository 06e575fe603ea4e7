"""Watching which functions a network calls, and which of its layers calls them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import Tensor, nn

from xaieval.models.attention import AttentionCapture

# Function names without a trailing underscore; ReLU6 arrives as hardtanh from 0 to 6.
_ACTIVATIONS = frozenset(
    [
        *("celu", "elu", "gelu", "glu", "leaky_relu", "mish", "prelu", "relu", "relu6", "rrelu"),
        *("selu", "silu", "softplus", "hardswish", "hardtanh", "threshold", "tanhshrink"),
        *("hardshrink", "softshrink", "clamp", "clamp_max", "clamp_min", "clip"),
        *("erf", "hardsigmoid", "logsigmoid", "sigmoid", "softsign", "tanh"),
        *("log_softmax", "softmax", "softmin"),
    ]
)


@dataclass(frozen=True)
class Called:
    """A function that carries gradients, the layer that called it ("" the network), how often."""

    function: str
    layer: str
    count: int


@dataclass(frozen=True)
class Activation:
    """An activation in one layer.

    Attributes
    ----------
    kind : str
        Such as relu, relu6, silu, gelu, sigmoid, tanh, softmax, clamp.
    layer : str
        The activation module, or the layer whose own code calls the function.
    count : int
        Calls in one pass.
    in_place : bool
        As the network was given; copies for explanations have in-place modules switched off.
    functional : bool
        Not called by a module of its own.
    """

    kind: str
    layer: str
    count: int
    in_place: bool
    functional: bool


def calling_module(known: Container[nn.Module]) -> nn.Module | None:
    """Return the innermost of some modules whose code is running, None outside of all."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and owner in known:
            return owner
        frame = frame.f_back
    return None


class CallWatch(AttentionCapture):
    """Notes every function that carries a gradient, and who called it."""

    def __init__(self, names: Mapping[nn.Module, str], given: nn.Module) -> None:
        super().__init__()
        self.functions = Counter[tuple[str, str]]()
        self.in_place = Counter[tuple[str, str]]()
        self._activations = Counter[tuple[str, str, bool, bool]]()
        self._names, self._given = names, given

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function and note it."""
        found = super().__torch_function__(func, types, args, kwargs)
        name = getattr(func, "__name__", "")
        tensors = found if isinstance(found, (tuple, list)) else (found,)
        carries = any(isinstance(t, Tensor) and t.requires_grad for t in tensors)
        if carries and name != "__get__":
            module = calling_module(self._names)
            layer = "" if module is None else self._names[module]
            self._note(name, layer, args, kwargs or {})
        return found

    def _note(self, name: str, layer: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        plain = name if name.startswith("__") else name.removesuffix("_")
        overwrites = plain != name or options.get("inplace") is True
        self.functions[plain.strip("_"), layer] += 1
        kind = plain
        if kind not in _ACTIVATIONS:
            if overwrites and plain != "requires_grad":
                self.in_place[plain, layer] += 1
            return
        module = self._given.get_submodule(layer)
        # A module that is nothing but its activation has no parts and, but for PReLU, no weights.
        alone = next(module.children(), None) is None and (
            kind == "prelu" or next(module.parameters(), None) is None
        )
        if kind == "hardtanh" and _limits(args, options) == (0.0, 6.0):
            kind = "relu6"
        in_place = overwrites or (alone and getattr(module, "inplace", False) is True)
        self._activations[kind, layer, in_place, not (alone and layer)] += 1

    def activations(self) -> Iterator[Activation]:
        """Yield the activations, in order of their first call."""
        for (kind, layer, in_place, functional), count in self._activations.items():
            yield Activation(kind, layer, count, in_place, functional)


def _limits(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[float, float]:
    low = args[1] if len(args) > 1 else options.get("min_val", -1.0)
    high = args[2] if len(args) > 2 else options.get("max_val", 1.0)
    return float(low), float(high)
