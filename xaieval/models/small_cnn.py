"""A small convolutional network for machines without an accelerator."""

from __future__ import annotations

from torch import nn

from xaieval.models.blocks import ConvNormAct, Encoder, features_encoder
from xaieval.models.padding import PaddingMode

# (channels, stride) of the 3×3 convolutions. Without the two of stride 1, training on the synthetic
# hazelnuts was slower, and some seeds ended at 70 to 90 % balanced accuracy.
LAYERS = ((16, 2), (24, 2), (24, 1), (40, 2), (40, 1), (56, 2))


def small_cnn(padding: PaddingMode = "torch", *, width: float = 1.0) -> Encoder:
    """Return the small encoder: (B, 3, H, W) -> (B, 56 · width, H/16, W/16).

    Six 3×3 convolutions, four of them of stride 2, each with batch norm and ReLU, then one more
    split into depthwise and pointwise: a 192² picture ends on a 12×12 grid whose cells each see
    87 px of it. Small enough that ten trained networks ship with the package. ``width`` multiplies
    every number of channels, rounded to at least 4.
    """
    blocks: list[nn.Module] = []
    channels = 3
    for count, stride in LAYERS:
        wider = max(4, round(count * width))
        blocks.append(ConvNormAct(channels, wider, kernel=3, stride=stride, padding=padding))
        channels = wider
    blocks.append(ConvNormAct(channels, channels, kernel=3, groups=channels))
    blocks.append(ConvNormAct(channels, channels, kernel=1))
    return features_encoder(blocks, out_channels=channels, stride=16)
