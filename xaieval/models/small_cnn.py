"""A small convolutional network for machines without an accelerator."""

from __future__ import annotations

from torch import nn

from xaieval.models.blocks import ConvNormAct, Encoder
from xaieval.models.padding import PaddingMode

WIDTHS = (16, 32, 48, 64)


def small_cnn(padding: PaddingMode = "torch") -> Encoder:
    """Return the small encoder: (B, 3, H, W) -> (B, 64, H/16, W/16).

    Four 3×3 convolutions of stride 2, each with batch norm and ReLU, then one of stride 1 split
    into depthwise and pointwise: a 192² picture ends on a 12×12 grid whose cells each see 63 px
    of it. Small enough that ten trained networks ship with the package.
    """
    blocks: list[nn.Module] = []
    channels = 3
    for width in WIDTHS:
        blocks.append(ConvNormAct(channels, width, kernel=3, stride=2, padding=padding))
        channels = width
    blocks.append(ConvNormAct(channels, channels, kernel=3, groups=channels))
    blocks.append(ConvNormAct(channels, channels, kernel=1))
    return Encoder(nn.Sequential(*blocks), out_channels=channels, stride=2 ** len(WIDTHS))
