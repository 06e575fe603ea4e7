"""MobileNetV2 with the names of torchvision's state dict."""

from __future__ import annotations

from torch import Tensor, nn

from xaieval.models.blocks import ConvNormAct, Encoder, features_encoder
from xaieval.models.padding import PaddingMode

# Table 2 of Sandler et al. 2018: (expansion, channels, repeats, stride).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand, depthwise, linear projection; a skip where shapes fit."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int,
        padding: PaddingMode,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormAct(in_channels, hidden, kernel=1, activation=nn.ReLU6))
        layers += [
            ConvNormAct(
                hidden,
                hidden,
                kernel=3,
                stride=stride,
                groups=hidden,
                activation=nn.ReLU6,
                padding=padding,
            ),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


def mobilenet_v2(padding: PaddingMode = "torch") -> Encoder:
    """Return the MobileNetV2 encoder (width 1.0): (B, 3, H, W) -> (B, 1280, H/32, W/32).

    Every parameter and buffer has the name it has in torchvision. Weights that come from
    TensorFlow need ``padding="same_tf"``.
    Source: Sandler et al., MobileNetV2, CVPR 2018, table 2.
    """
    blocks: list[nn.Module] = [
        ConvNormAct(3, 32, kernel=3, stride=2, activation=nn.ReLU6, padding=padding)
    ]
    channels = 32
    for expansion, out_channels, repeats, stride in STAGES:
        for repeat in range(repeats):
            blocks.append(
                InvertedResidual(
                    channels,
                    out_channels,
                    expansion=expansion,
                    stride=stride if repeat == 0 else 1,
                    padding=padding,
                )
            )
            channels = out_channels
    blocks.append(ConvNormAct(channels, 1280, kernel=1, activation=nn.ReLU6))
    return features_encoder(blocks, out_channels=1280, stride=32)
