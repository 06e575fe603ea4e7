"""Finding the layer whose output is the last feature map before the classifier."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.attention import capture_attention
from xaieval.models.logits import LogitsFunction
from xaieval.models.tokens import awake, spread

# Their output is a feature map already reduced or merely passed on, not one that was computed.
_NOT_A_TARGET = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.Flatten,
)


def named_layer(module: nn.Module, layer: str | nn.Module, *, name: str = "model") -> str:
    """Return the dotted name of a layer given by name or as the module itself.

    Raises
    ------
    ModelError
        When the network has no such layer; the nearest names are suggested.
    """
    names: dict[str, nn.Module] = {n: m for n, m in module.named_modules() if n}
    if isinstance(layer, nn.Module):
        for found, candidate in names.items():
            if candidate is layer:
                return found
        raise ModelError("the given layer is not part of the network", where=name)
    if layer in names:
        return str(layer)
    close = difflib.get_close_matches(layer, names, n=4, cutoff=0.3) or list(names)[-4:]
    raise ModelError(
        f"no layer {layer!r}",
        where=name,
        expected="the dotted name of a module",
        fix="near names are " + ", ".join(close),
    )


@torch.enable_grad()
def find_target_layer(
    module: nn.Module,
    logits: LogitsFunction,
    example: Tensor,
    *,
    extra: tuple[Tensor, ...] = (),
    name: str = "model",
) -> str:
    """Return the dotted name of the layer whose output is the last map that feeds the logits.

    One pass is watched. Of all 4-D outputs larger than 1×1 that were computed (not pooled or
    passed on) and on which the logits depend, the last one is taken; of the modules that put out
    this very tensor, the innermost block, or the layer itself where no block does. The module
    must be in eval mode and without in-place activations.

    In a network of tokens, where attention over T tokens follows that map, it is the last
    normalisation (B, T, D) before the last attention: behind that, only the class token feeds
    the logits, and all patches have a gradient of zero. pytorch-grad-cam advises the same layer.

    Raises
    ------
    ModelError
        When there is no such layer (a network of flat vectors).
    """
    watch = _Outputs()
    with watch.on(module), torch.enable_grad():
        result = logits(module, example.detach().clone().requires_grad_(), *extra)
    maps = watch.maps(result)
    tokens = [t for t in watch.tokens(rows=len(example)) if not maps or t.order > maps[-1].order]
    if tokens:
        fed = watch.feeding(result, tokens)
        if not fed:  # an untrained head of zeros passes no gradient
            twin = awake(module)
            with watch.on(twin), torch.enable_grad():
                result = logits(twin, example.detach().clone().requires_grad_(), *extra)
            first = maps[-1].order if maps else -1
            tokens = [t for t in watch.tokens(rows=len(example)) if t.order > first]
            fed = watch.feeding(result, tokens)
        norms = [t for t in fed if "norm" in type(t.layer).__name__.lower()]
        if norms or (fed and not maps):  # attention that pools a map has no norm before it
            return (norms or fed)[-1].name
    if not maps:
        raise ModelError(
            "no feature map feeds the classifier",
            where=name,
            expected="a convolutional network, or one of tokens",
            fix="name a layer with target_layer=",
        )
    last = maps[-1].output
    same = [m for m in maps if m.output is last]
    blocks = [m.name for m in same if next(m.layer.children(), None) is not None]
    # A block's hook fires after those of its parts, so the first block is the innermost one.
    return blocks[0] if blocks else same[-1].name


@dataclass(frozen=True)
class _Output:
    order: int
    attended: int  # how many attentions ran before
    name: str
    layer: nn.Module
    output: Tensor


class _Outputs:
    """What the modules of a network put out in one pass, and the attention between them."""

    def __init__(self) -> None:
        self.all: list[_Output] = []
        self.attention: list[Tensor] = []

    @contextmanager
    def on(self, module: nn.Module) -> Iterator[None]:
        """Watch a pass of a network inside the ``with``, forgetting one watched before."""
        self.all = []
        hooks = []

        def watch(name: str) -> Callable[[nn.Module, object, object], None]:
            def hook(layer: nn.Module, _: object, output: object) -> None:
                if isinstance(output, Tensor) and output.ndim in (3, 4):
                    place, attended = len(self.all), len(self.attention)
                    self.all.append(_Output(place, attended, name, layer, output))

            return hook

        for name, layer in module.named_modules():
            if name:
                hooks.append(layer.register_forward_hook(watch(name)))
        try:
            with capture_attention(start_graph=False) as self.attention:
                yield
        finally:
            for handle in hooks:
                handle.remove()

    def maps(self, result: Tensor) -> list[_Output]:
        """Return computed maps (B, K, h, w) that feed the logits, in order."""
        makers = {id(o.output): o.layer for o in reversed(self.all)}  # the first to put it out
        passed_on = {i for i, layer in makers.items() if isinstance(layer, _NOT_A_TARGET)}
        # Scores, queries and the like inside an attention have axes of heads and tokens.
        inside = {frozenset(w.shape[1:3]) for w in self.attention}
        calls = Counter(o.name for o in self.all)
        found = [
            o
            for o in self.all
            if o.output.ndim == 4
            and o.output.requires_grad
            and id(o.output) not in passed_on
            and not isinstance(o.layer, _NOT_A_TARGET)
            and o.output.shape[2] * o.output.shape[3] > 1
            and not any(each <= set(o.output.shape[1:]) for each in inside)
            and calls[o.name] == 1  # a layer used twice cannot be watched at one place
        ]
        gradients = _gradients(result, found)
        return [o for o, g in zip(found, gradients, strict=True) if g is not None]

    def tokens(self, *, rows: int) -> list[_Output]:
        """Return outputs (B, T, D) before the last attention over T tokens, in order."""
        blocks = [i for i, w in enumerate(self.attention) if w.shape[0] == rows]
        if not blocks:
            return []
        shape = torch.Size((rows, self.attention[blocks[-1]].shape[-1]))
        calls = Counter(o.name for o in self.all)
        return [
            o
            for o in self.all
            if o.output.ndim == 3
            and o.output.shape[:2] == shape
            and o.attended <= blocks[-1]
            and calls[o.name] == 1
        ]

    @staticmethod
    def feeding(result: Tensor, outputs: list[_Output]) -> list[_Output]:
        """Return those of which more than one token has a gradient."""
        fed = [o for o in outputs if o.output.requires_grad]
        found = zip(fed, _gradients(result, fed), strict=True)
        return [o for o, g in found if g is not None and int((g != 0).any(-1).any(0).sum()) > 1]


def _gradients(result: Tensor, outputs: list[_Output]) -> tuple[Tensor | None, ...]:
    if not outputs or not result.requires_grad:
        return (None,) * len(outputs)
    tensors = [o.output for o in outputs]
    try:
        return torch.autograd.grad(spread(result), tensors, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        raise ModelError(
            "the network has no gradient: something that it needs for one is overwritten in place",
            fix="in its forward, write y = y + x instead of y += x behind an activation",
        ) from error
