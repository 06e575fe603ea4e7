"""VGG-16 with the names of torchvision's state dict."""

from __future__ import annotations

from torch import nn

from xaieval.models.blocks import Encoder
from xaieval.models.padding import PaddingMode, conv2d

# Configuration D of Simonyan and Zisserman 2015, table 1: channels of the 3×3 convolutions of each
# group; a max pooling ends every group.
GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Cells per side that the classifier reads; at 224² the encoder puts out as many.
CELLS = 7


def vgg16(padding: PaddingMode = "torch") -> Encoder:
    """Return the VGG-16 encoder: (B, 3, H, W) -> (B, 512, H/32, W/32).

    Every parameter has the name it has in torchvision (``features.28.weight``, ...); activations
    are in place as there. No convolution has a stride, so both paddings are the same.
    ``freeze_encoder_blocks`` counts the five groups.
    Source: Simonyan and Zisserman, Very deep convolutional networks, ICLR 2015, table 1, D.
    """
    layers: list[nn.Module] = []
    stages: list[tuple[str, ...]] = []
    channels = 3
    for group in GROUPS:
        names = []
        for width in group:
            names.append(f"features.{len(layers)}")
            layers.append(conv2d(channels, width, kernel=3, bias=True, padding=padding))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(2))
        stages.append(tuple(names))
    parts = {"features": nn.Sequential(*layers)}
    return Encoder(parts, out_channels=channels, stride=32, stages=tuple(stages))


def vgg_head(channels: int, n_classes: int, dropout: float | None = None) -> dict[str, nn.Module]:
    """Return what stands after ``features``: 7 × 7 cells and three linear layers.

    Inputs of other sizes than 224² are brought to 7 × 7 cells by an adaptive mean. Dropout is 0.5
    unless given.
    """
    rate, hidden = 0.5 if dropout is None else dropout, 4096
    return {
        "avgpool": nn.AdaptiveAvgPool2d(CELLS),
        "flatten": nn.Flatten(),
        "classifier": nn.Sequential(
            nn.Linear(channels * CELLS * CELLS, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(rate),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(rate),
            nn.Linear(hidden, n_classes),
        ),
    }
