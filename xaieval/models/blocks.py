"""What the encoders share: the conv-norm-activation block, initialisation, the contract."""

from __future__ import annotations

import math

from torch import Tensor, nn

from xaieval.models.padding import PaddingMode, conv2d


class Encoder(nn.Module):
    """An encoder: ``features`` maps (B, 3, H, W) to (B, out_channels, ~H/stride, ~W/stride).

    The children of ``features`` are the blocks that ``freeze_encoder_blocks`` counts.
    """

    def __init__(self, features: nn.Sequential, *, out_channels: int, stride: int) -> None:
        super().__init__()
        self.features = features
        self.out_channels = out_channels
        self.stride = stride
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features


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
