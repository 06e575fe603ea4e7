"""What the encoders share: the conv-norm-activation block, initialisation, the contract."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from xaieval.models.padding import PaddingMode, conv2d


class Encoder(nn.Module):
    """An encoder: its parts, one after the other, map (B, 3, H, W) to (B, out_channels, h, w).

    Parameters
    ----------
    parts : mapping of str to torch.nn.Module
        In order, under the names that their weights have in a state dict.
    out_channels : int
    stride : int
        h ≈ H / stride.
    stages : tuple of tuples of str
        What ``freeze_encoder_blocks`` counts, from the input on: each a tuple of dotted names of
        parts or parameters.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        *,
        out_channels: int,
        stride: int,
        stages: tuple[tuple[str, ...], ...],
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.out_channels = out_channels
        self.stride = stride
        self.stages = stages
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x

    def new_pool(self) -> nn.Module:
        """Return the module that makes what ``forward`` returns one vector, (B, out_channels)."""
        return GlobalMean()

    def new_head(self, n_classes: int, dropout: float) -> nn.Sequential:
        """Return the classifier of what ``forward`` returns: pooled, dropout, one linear layer."""
        return nn.Sequential(
            OrderedDict(
                pool=self.new_pool(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(self.out_channels, n_classes),
            )
        )

    def as_map(self, features: Tensor) -> Tensor:
        """Return what ``forward`` returned as a map (B, out_channels, h, w)."""
        return features


def features_encoder(blocks: Sequence[nn.Module], *, out_channels: int, stride: int) -> Encoder:
    """Return an encoder whose one part is called ``features``, with a stage for each block."""
    stages = tuple((f"features.{i}",) for i in range(len(blocks)))
    parts = {"features": nn.Sequential(*blocks)}
    return Encoder(parts, out_channels=out_channels, stride=stride, stages=stages)


class ConvNormAct(nn.Sequential):
    """Convolution, batch norm, and (unless None) an activation: children 0, 1, 2."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
        padding: PaddingMode = "torch",
    ) -> None:
        layers: list[nn.Module] = [
            conv2d(
                in_channels,
                out_channels,
                kernel=kernel,
                stride=stride,
                groups=groups,
                padding=padding,
            ),
            nn.BatchNorm2d(out_channels),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


class GlobalMean(nn.Module):
    """Mean over the map, (B, C, h, w) -> (B, C); its gradient is deterministic everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def initialise(module: nn.Module) -> None:
    """Initialise convolutions (He, fan out), batch norms (identity) and linear layers."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)


def mean_head(channels: int, n_classes: int, dropout: float | None = None) -> dict[str, nn.Module]:
    """Return what stands after ``features`` in MobileNetV2 and EfficientNet, names included."""
    linear = nn.Linear(channels, n_classes)
    classifier = nn.Sequential(nn.Dropout(0.2 if dropout is None else dropout), linear)
    return {"pool": GlobalMean(), "classifier": classifier}
