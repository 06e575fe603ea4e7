"""Networks of torchvision, where it is installed: architectures named ``torchvision:<name>``."""

from __future__ import annotations

import copy
import importlib
from collections import OrderedDict
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from xaieval.errors import ConfigError, ModelError, unknown
from xaieval.models.blocks import Encoder
from xaieval.models.model_spec import ModelSpec
from xaieval.models.preprocessing import Preprocessing

PREFIX = "torchvision:"
_POOL = "avgpool"
_LOOK = 224


def torchvision_models() -> Any:
    """Return the module ``torchvision.models``.

    Raises
    ------
    ModelError
        When torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:  # the latter: made for another torch
        raise ModelError(
            "torchvision is not installed, or does not fit this torch",
            where=f"models {PREFIX}…",
            got=error,
            fix="install it: pip install 'xaieval[zoo]'",
        ) from None


def new_network(name: str) -> nn.Module:
    """Return a randomly initialised network of torchvision.

    Raises
    ------
    ConfigError
        For an unknown name.
    ModelError
        When torchvision is not installed.
    """
    models = torchvision_models()
    if name not in models.list_models():
        raise unknown("network of torchvision", name, models.list_models())
    net: nn.Module = models.get_model(name, weights=None)
    return net


class TorchvisionEncoder(Encoder):
    """What stands before the pooling of a torchvision network, every part under its own name.

    The rest, from ``avgpool`` on, becomes the head; its last linear layer takes as many classes
    as are asked for. Networks that are no chain of this kind are refused.
    """

    def __init__(self, name: str) -> None:
        net = new_network(name)
        parts = dict(net.named_children())
        names = list(parts)
        if _POOL not in names or not isinstance(_last_linear(net), nn.Linear):
            raise ConfigError(
                f"torchvision's {name} is no chain of features, {_POOL} and a linear classifier",
                where=PREFIX + name,
                fix="choose a ResNet, ResNeXt, RegNet, EfficientNet, ConvNeXt or another such one",
            )
        at = names.index(_POOL)
        body = {key: parts[key] for key in names[:at]}
        channels, rows = _shape(nn.Sequential(*body.values()))
        super().__init__(
            body,
            out_channels=channels,
            stride=_LOOK // rows,
            stages=tuple((key,) for key in body),
        )
        self._rest = [(key, parts[key]) for key in names[at:]]

    def new_head(self, n_classes: int, dropout: float) -> nn.Sequential:
        """Return the network's own classifier; ``dropout`` is that of its dropout layers."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for key, part in self._rest:
            own = copy.deepcopy(part)
            if key != _POOL and "flatten" not in layers and not _flattens(own):
                layers["flatten"] = nn.Flatten()
            layers[key] = own
        head = nn.Sequential(layers)
        for layer in head.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = dropout
        old = _last_linear(head)
        assert old is not None, "looked for when the encoder was made"
        place = next(key for key, layer in head.named_modules() if layer is old)
        parent, _, child = place.rpartition(".")
        setattr(head.get_submodule(parent), child, nn.Linear(old.in_features, n_classes))
        return head

    def published(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return published weights under the names of a multitask network, encoder and head."""
        own = {key for key, _ in self.named_children()}
        return {
            f"{'encoder' if key.partition('.')[0] in own else 'head'}.{key}": tensor
            for key, tensor in tensors.items()
        }


def _last_linear(net: nn.Module) -> nn.Linear | None:
    found = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    return found[-1] if found else None


def _flattens(part: nn.Module) -> bool:
    return any(isinstance(layer, nn.Flatten) for layer in part.modules())


@torch.no_grad()
def _shape(body: nn.Module) -> tuple[int, int]:
    """Return channels and rows of the last map at 224²."""
    found = body.eval()(torch.zeros(1, 3, _LOOK, _LOOK))
    body.train()
    if not isinstance(found, Tensor) or found.ndim != 4:
        raise ConfigError("no feature map before the pooling", expected="(B, C, h, w)")
    return int(found.shape[1]), int(found.shape[2])


@cache
def torchvision_spec(arch: str) -> ModelSpec:
    """Return the row of ``torchvision:<name>``, as the table of architectures has them.

    Raises
    ------
    ConfigError
        For a network that torchvision does not have, or that is no chain.
    ModelError
        When torchvision is not installed.
    """
    name = arch.removeprefix(PREFIX)
    encoder = TorchvisionEncoder(name)
    last = [key for key, _ in encoder.named_children()][-1]
    return ModelSpec(
        id=arch,
        label=name,
        summary="of torchvision",
        encoder=lambda padding, input_size: TorchvisionEncoder(name),
        preprocessing=Preprocessing((_LOOK, _LOOK), 256),
        target_layer=f"encoder.{last}",
        decoder_widths=(256, 128, 64, 32),
        parameters=sum(p.numel() for p in encoder.parameters()),
        paper="https://pytorch.org/vision/stable/models.html",
        network=partial(_plain, name),
    )


def _plain(name: str, input_size: tuple[int, int], n_classes: int) -> nn.Module:
    """Return a torchvision network with another number of classes."""
    models = torchvision_models()
    net: nn.Module = models.get_model(name, weights=None, num_classes=n_classes)
    return net
