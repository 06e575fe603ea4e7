"""Seeing every function that a network calls, and which of them the logits' gradient reaches.

A ``TorchFunctionMode`` stands between the network and torch: modules, functional calls, reused and
in-place activations all pass through it, nothing is attached to the network, and nothing stays
behind when something is raised. Functions without a rule run all the same; only when the gradient
of the logits would pass through one of them is the method not defined. So a branch that the logits
do not read (another head, a mask decoder) may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from xaieval.errors import NotDefinedError
from xaieval.methods.rules.names import DROPOUTS, in_place, plain_name
from xaieval.models.calls import calling_module

Node = Any
"""A node of the autograd graph."""


def tensors(tree: object) -> Iterator[Tensor]:
    """Yield every tensor in nested tuples, lists and mappings.

    >>> len(list(tensors([torch.zeros(1), {"a": (torch.ones(1), 2)}])))
    2
    """
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from tensors(item)
    elif isinstance(tree, dict):
        yield from tensors(tuple(tree.values()))


def replaced(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a tree of tuples, lists and mappings with each tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, (tuple, list)) and not hasattr(tree, "_fields"):
        return type(tree)(replaced(item, change) for item in tree)
    if isinstance(tree, dict):
        return {key: replaced(item, change) for key, item in tree.items()}
    return tree


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a torch function."""

    func: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]

    def run(self) -> Any:
        return self.func(*self.args, **self.options)

    @property
    def carriers(self) -> list[Tensor]:
        """The arguments that depend on the input."""
        return [t for t in tensors((self.args, self.options)) if t.requires_grad]

    @property
    def in_place(self) -> bool:
        return in_place(self.func, self.options)

    @property
    def operand(self) -> Tensor:
        """The first argument, whatever it is called."""
        first = self.args[0] if self.args else next(iter(self.options.values()))
        assert isinstance(first, Tensor)
        return first

    def second(self, name: str) -> Any:
        """Return the second argument, by place or by name; None when there is none."""
        return self.args[1] if len(self.args) > 1 else self.options.get(name)

    def elementwise(self) -> Callable[[Tensor], Tensor]:
        """Return the function of the first argument alone, writing nothing."""
        func, options = self.func, dict(self.options)
        rest = self.args[1:]
        if not self.args:
            options.pop(next(iter(options)))
        if "inplace" in options:
            options["inplace"] = False
        elif self.in_place:
            func = getattr(nn.functional, self.name, None) or getattr(Tensor, self.name)
        return lambda x: func(x, *rest, **options)

    def write(self, found: Tensor) -> Tensor:
        """Return the result, written into the first argument where the call says so."""
        return self.operand.copy_(found) if self.in_place else found


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Blocked:
    """A call that has no rule.

    Attributes
    ----------
    order : int
        Its place among those of one forward.
    what : str
        The function, and why it has no rule.
    layer : str
    first_only : bool
        Whether only rules for the input layer fail on it.
    """

    order: int
    what: str
    layer: str
    first_only: bool = False


class Watch(TorchFunctionMode):
    """Base of the modes that replace functions.

    Parameters
    ----------
    module : torch.nn.Module
        Names the layers in errors.
    passing : frozenset of str
        Functions that calculus serves.
    handlers : mapping of name -> callable
        What runs in place of a function that depends on the input.
    """

    def __init__(
        self, module: nn.Module, *, passing: frozenset[str], handlers: Mapping[str, Handler]
    ) -> None:
        super().__init__()
        self._names = {layer: name for name, layer in module.named_modules()}
        self._passing = passing
        self._handlers: dict[str, Handler] = {
            **dict.fromkeys(DROPOUTS, self._dropout),
            "batch_norm": self._batch_norm,
            "max": self._maximum,
            **handlers,
        }
        self.blocked: dict[Node, Blocked] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function by its rule when it depends on the input, else as it is."""
        call = Call(func, plain_name(func), args, kwargs or {})
        if not torch.is_grad_enabled() or not call.carriers:
            return call.run()
        return self.handle(call)

    def handle(self, call: Call) -> Any:
        """Run a call that depends on the input."""
        if call.name in self._handlers:
            return self._handlers[call.name](call)
        found = call.run()
        if call.name not in self._passing:
            self.block(found, call.name)
        return found

    def block(self, found: Any, what: str, *, first_only: bool = False) -> None:
        """Remember that no gradient may pass back through what was found."""
        entry: Blocked | None = None
        for tensor in tensors(found):
            if tensor.grad_fn is not None:
                entry = entry or Blocked(len(self.blocked), what, self._layer(), first_only)
                self.blocked.setdefault(tensor.grad_fn, entry)

    def _layer(self) -> str:
        """Name the layer whose code runs: the nearest frame that belongs to a module."""
        module = calling_module(self._names)
        if module is None:
            return "the network's forward"
        name, kind = self._names[module], type(module).__name__
        return f"{name} ({kind})" if name else kind

    def reached(self, logits: Tensor) -> list[Blocked]:
        """Return the calls without a rule that the logits' gradient would pass, first one first.

        An autograd function of the network's own is no call that a mode sees, and has no rule.
        """
        found = set()
        for node in walk(logits):
            if node in self.blocked:
                found.add(self.blocked[node])
            elif isinstance(node, BackwardCFunction) and not _ours(node):
                kind = _forward_of(node)
                what, where = f"the autograd function {kind.__name__}", kind.__module__
                found.add(Blocked(len(self.blocked), what, f"{where}.{kind.__qualname__}"))
        return sorted(found, key=lambda entry: entry.order)

    def forget(self) -> None:
        """Let go of the calls without a rule.

        Their nodes lead to the rest of the graph, and its functions to this watch: in a circle
        through nodes of autograd Python finds no garbage, so all activations would stay for good.
        """
        self.blocked.clear()

    def _dropout(self, call: Call) -> Any:
        found = call.run()
        names = ("p", "training") if "training" in call.options else ("p", "train")
        training = call.options.get(names[1], call.args[2] if len(call.args) > 2 else True)
        if training and call.options.get("p", call.second("p")) != 0:
            self.block(found, f"{call.name} in training mode")
        return found

    def _batch_norm(self, call: Call) -> Any:
        found = call.run()
        if call.options.get("training", call.args[5] if len(call.args) > 5 else False):
            self.block(found, "batch_norm in training mode")
        return found

    def _maximum(self, call: Call) -> Any:
        found = call.run()
        if isinstance(call.second("other"), Tensor) or "amax" not in self._passing:
            self.block(found, "max")
        return found


def _forward_of(node: Node) -> type:
    """Return the class that defines an autograd function, given its node."""
    found: type = node._forward_cls
    return found


def _ours(node: Node) -> bool:
    return _forward_of(node).__module__.startswith(__package__ or "xaieval")


def walk(logits: Tensor, *, stop: Callable[[Node], bool] = lambda node: False) -> Iterator[Node]:
    """Yield the graph nodes that a gradient of the logits passes, each once.

    Nodes behind one for which ``stop`` holds are left out.
    """
    waiting, seen = [logits.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if not stop(node):
            waiting.extend(following for following, _ in node.next_functions)


def not_defined(label: str, blocked: Sequence[Blocked], expected: str) -> NotDefinedError:
    """Return the error that names the first call without a rule."""
    more = len({b.layer for b in blocked}) - 1
    return NotDefinedError(
        f"{label} is not defined for this network: no rule for {blocked[0].what}",
        where=blocked[0].layer + (f" and {more} more layers" if more else ""),
        expected=expected,
        fix="leave this method out for this network",
    )
