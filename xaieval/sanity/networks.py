"""Copies of a network whose weights are random, from the logits down to some layer or to the input.

The user's network is never touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from xaieval.digest import rng
from xaieval.errors import ModelError
from xaieval.models import Classifier, Extra
from xaieval.sanity.limits import STAGES

_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.MultiheadAttention)


class _Order(TorchFunctionMode):
    """Notes in which order a network reads its parameters: functional and reused ones as well."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self._names = names
        self.found: dict[str, None] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        for value in _flat((args, kwargs or {})):
            name = self._names.get(id(value))
            if name is not None:
                self.found.setdefault(name)
        return func(*args, **(kwargs or {}))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, Mapping):
        yield from _flat(tuple(value.values()))
    else:
        yield value


@dataclass(frozen=True)
class Stage:
    """A step of the cascade: the layers that are random, from the logits down.

    ``name`` is the lowest of them.
    """

    name: str
    layers: tuple[str, ...]


def layers_in_order(
    classifier: Classifier, x: Tensor, extra: Extra | None = None
) -> dict[str, tuple[str, ...]]:
    """Return layer -> its parameters' names, in the order in which the logits first need them.

    Layers that the logits do not need (a mask decoder) are not in it.

    Raises
    ------
    ModelError
        When no parameter takes part.
    """
    prepared = classifier.prepared(exact=True)
    names = {id(p): name for name, p in prepared.module.named_parameters()}
    with torch.no_grad(), _Order(names) as order:
        prepared.logits(x, extra)
    found: dict[str, tuple[str, ...]] = {}
    for name in order.found:
        layer = name.rpartition(".")[0]
        found[layer] = (*found.get(layer, ()), name)
    if not found:
        raise ModelError(
            "no weight takes part in the logits, so none can be made random",
            where=classifier.name,
        )
    return found


def stages(layers: Sequence[str], most: int = STAGES) -> tuple[Stage, ...]:
    """Return the cascade: the last layer alone, then even groups, at the end every layer.

    >>> [len(stage.layers) for stage in stages(["a", "b", "c", "d", "e", "f", "g"], most=4)]
    [1, 3, 5, 7]
    """
    down = list(reversed(layers))
    steps = min(most, len(down))
    counts = [1 + round((len(down) - 1) * i / max(steps - 1, 1)) for i in range(steps)]
    return tuple(Stage(down[count - 1], tuple(down[:count])) for count in counts)


def randomised(
    classifier: Classifier,
    layers: Mapping[str, Sequence[str]],
    x: Tensor,
    extra: Extra | None = None,
    *,
    seed: int,
) -> Classifier:
    """Return a copy of a classifier with the parameters of some layers drawn anew.

    Weights of convolutions and linear layers: normal, mean 0, variance 2 / fan-in (He et al. 2015,
    arXiv:1502.01852, section 2.2), biases 0; normalisation layers: weight 1, bias 0; anything else
    (class tokens, position embeddings, layer scales): its own values in another order, because
    nobody knows what it was drawn from. Adebayo et al. 2018 draw from the initialiser of each
    layer.

    Batch norms among the layers then take the statistics of ``x``: with those of the trained
    network the signal of a random one dies or explodes on its way, and maps show rounding errors.

    Parameters
    ----------
    layers : mapping of layer -> names of its parameters
        All layers from the logits down, as ``layers_in_order`` names them.
    x : float (n, C, H, W), model input
    extra : tensor (n, ...) or tuple of them, optional
        The second input of a network that has one.
    seed : int
        A layer's numbers depend on its name and the seed only, so that the steps of a cascade
        share them.
    """
    prepared = classifier.prepared(exact=True)
    module = prepared.module
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for layer, names in layers.items():
            for name in names:
                _draw(parameters[name], module.get_submodule(layer), name, seed)
    norms = [
        norm
        for layer in layers
        if isinstance(norm := module.get_submodule(layer), _BatchNorm)
        and norm.running_mean is not None
    ]
    _calibrate(norms, lambda: prepared.logits(x, extra))
    return classifier.with_module(module)


def _draw(parameter: Tensor, owner: nn.Module, name: str, seed: int) -> None:
    """Fill a parameter with random numbers, in place."""
    generator = torch.Generator().manual_seed(
        int(rng("sanity", name, seed).integers(0, 2**63 - 1, dtype="int64"))
    )
    bias = name.rpartition(".")[2].endswith("bias")
    if isinstance(owner, _NORMS):
        parameter.fill_(0.0 if bias else 1.0)
    elif isinstance(owner, _WEIGHTED) and parameter.ndim >= 2 and not bias:
        fan_in = parameter[0].numel()
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
        parameter.copy_(drawn * math.sqrt(2.0 / max(fan_in, 1)))
    elif isinstance(owner, _WEIGHTED) and bias:
        parameter.zero_()
    else:
        values = parameter.flatten()
        order = torch.randperm(values.numel(), generator=generator).to(values.device)
        parameter.copy_(values[order].view_as(parameter))


def _calibrate(norms: Sequence[_BatchNorm], run: Callable[[], Tensor]) -> None:
    """Give batch norms the statistics of one run, in place."""
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        if norms:
            with torch.no_grad():
                run()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval()
            norm.momentum = momentum
