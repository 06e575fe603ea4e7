"""EfficientNet-B0 with the names of torchvision's state dict."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xaieval.models.blocks import ConvNormAct, Encoder, features_encoder
from xaieval.models.padding import PaddingMode

# Table 1 of Tan and Le 2019: (expansion, kernel, stride, channels, repeats).
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
# Drop rate of the last block; earlier blocks get a share that grows with depth (torchvision).
STOCHASTIC_DEPTH = 0.2


class StochasticDepth(nn.Module):
    """Zero whole rows of a residual branch with probability ``rate`` in training (Huang 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        rows = torch.empty((x.shape[0], 1, 1, 1), dtype=x.dtype, device=x.device)
        return x * rows.bernoulli_(keep).div_(keep)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from all channel means (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.SiLU()
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.activation(self.fc1(x.mean((2, 3), keepdim=True)))
        gate = self.scale_activation(self.fc2(gate))
        return x * gate


class MBConv(nn.Module):
    """Inverted bottleneck: expand, depthwise, squeeze-excite, project; a skip where shapes fit."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel: int,
        stride: int,
        drop: float,
        padding: PaddingMode,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormAct(in_channels, hidden, kernel=1, activation=nn.SiLU))
        layers += [
            ConvNormAct(
                hidden,
                hidden,
                kernel=kernel,
                stride=stride,
                groups=hidden,
                activation=nn.SiLU,
                padding=padding,
            ),
            SqueezeExcite(hidden, max(1, in_channels // 4)),
            ConvNormAct(hidden, out_channels, kernel=1, activation=None),
        ]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + self.stochastic_depth(y) if self.residual else y


def efficientnet_b0(padding: PaddingMode = "torch") -> Encoder:
    """Return the EfficientNet-B0 encoder: (B, 3, H, W) -> (B, 1280, H/32, W/32).

    Every parameter and buffer has the name it has in torchvision (``features.0.0.weight``, ...).
    Source: Tan and Le, EfficientNet, ICML 2019, table 1.
    """
    blocks: list[nn.Module] = [
        ConvNormAct(3, 32, kernel=3, stride=2, activation=nn.SiLU, padding=padding)
    ]
    channels, index, total = 32, 0, sum(repeats for *_, repeats in STAGES)
    for expansion, kernel, stride, out_channels, repeats in STAGES:
        stage: list[nn.Module] = []
        for repeat in range(repeats):
            stage.append(
                MBConv(
                    channels,
                    out_channels,
                    expansion=expansion,
                    kernel=kernel,
                    stride=stride if repeat == 0 else 1,
                    drop=STOCHASTIC_DEPTH * index / total,
                    padding=padding,
                )
            )
            channels, index = out_channels, index + 1
        blocks.append(nn.Sequential(*stage))
    blocks.append(ConvNormAct(channels, 1280, kernel=1, activation=nn.SiLU))
    return features_encoder(blocks, out_channels=1280, stride=32)
