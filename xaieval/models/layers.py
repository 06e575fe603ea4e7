"""Finding the layer whose output is the last feature map before the classifier."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.logits import LogitsFunction

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

    Raises
    ------
    ModelError
        When there is no such map (a network of tokens or of flat vectors).
    """
    outputs: list[tuple[str, nn.Module, Tensor]] = []
    hooks = []

    def watch(layer_name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(layer: nn.Module, _: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                outputs.append((layer_name, layer, output))

        return hook

    for layer_name, layer in module.named_modules():
        if layer_name:
            hooks.append(layer.register_forward_hook(watch(layer_name)))
    try:
        with torch.enable_grad():
            result = logits(module, example.detach().clone().requires_grad_(), *extra)
            maps = [output for *_, output in outputs if output.requires_grad]
            gradients = torch.autograd.grad(result.sum(), maps, allow_unused=True) if maps else ()
    finally:
        for handle in hooks:
            handle.remove()
    feeding = {id(m) for m, g in zip(maps, gradients, strict=True) if g is not None}
    passed_on = {id(o) for _, layer, o in outputs if isinstance(layer, _NOT_A_TARGET)}
    calls: dict[str, int] = {}
    for layer_name, _, _ in outputs:
        calls[layer_name] = calls.get(layer_name, 0) + 1
    candidates = [
        (layer_name, layer, output)
        for layer_name, layer, output in outputs
        if id(output) in feeding
        and id(output) not in passed_on
        and output.shape[2] * output.shape[3] > 1
        and calls[layer_name] == 1  # a layer used twice cannot be watched at one place
    ]
    if not candidates:
        raise ModelError(
            "no feature map feeds the classifier",
            where=name,
            expected="a convolutional network",
            fix="name a layer with target_layer=",
        )
    last = candidates[-1][2]
    same = [(n, layer) for n, layer, output in candidates if output is last]
    blocks = [n for n, layer in same if next(layer.children(), None) is not None]
    # A block's hook fires after those of its parts, so the first block is the innermost one.
    return blocks[0] if blocks else same[-1][0]
