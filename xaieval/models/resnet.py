"""ResNet-18 and ResNet-50 with the names of torchvision's state dict."""

from __future__ import annotations

from torch import Tensor, nn

from xaieval.models.blocks import Encoder, GlobalMean
from xaieval.models.padding import PaddingMode, conv2d

# Table 1 of He et al. 2016: blocks of each stage; the first block of all but the first halves.
REPEATS_18 = (2, 2, 2, 2)
REPEATS_50 = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a skip; one ReLU, in place, serves both activations."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, *, stride: int, padding: PaddingMode) -> None:
        super().__init__()
        self.conv1 = conv2d(in_channels, width, kernel=3, stride=stride, padding=padding)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv2d(width, width, kernel=3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(y)) + skip)
        return out


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a skip; one ReLU, in place, serves all activations.

    The 3×3 convolution has the stride (torchvision, "v1.5"); in the paper the first one has it.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, *, stride: int, padding: PaddingMode) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = conv2d(in_channels, width, kernel=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv2d(width, width, kernel=3, stride=stride, padding=padding)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv2d(width, out_channels, kernel=1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out_channels, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.relu(self.bn3(self.conv3(y)) + skip)
        return out


def _shortcut(
    in_channels: int, out_channels: int, *, stride: int, padding: PaddingMode
) -> nn.Sequential | None:
    """Return the projection of a skip whose shape changes, None where it does not."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        conv2d(in_channels, out_channels, kernel=1, stride=stride, padding=padding),
        nn.BatchNorm2d(out_channels),
    )


def _resnet(
    block: type[BasicBlock] | type[Bottleneck], repeats: tuple[int, ...], padding: PaddingMode
) -> Encoder:
    parts: dict[str, nn.Module] = {
        "conv1": conv2d(3, 64, kernel=7, stride=2, padding=padding),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, repeats, strict=True)):
        layers: list[nn.Module] = []
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            layers.append(block(channels, width, stride=stride, padding=padding))
            channels = width * block.expansion
        parts[f"layer{stage + 1}"] = nn.Sequential(*layers)
    stages = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
    return Encoder(parts, out_channels=channels, stride=32, stages=stages)


def resnet18(padding: PaddingMode = "torch") -> Encoder:
    """Return the ResNet-18 encoder: (B, 3, H, W) -> (B, 512, H/32, W/32).

    Every parameter and buffer has the name it has in torchvision (``layer1.0.conv1.weight``, ...).
    ``padding="same_tf"`` concerns convolutions alone, not the max pooling.
    Source: He et al., Deep residual learning, CVPR 2016, table 1.
    """
    return _resnet(BasicBlock, REPEATS_18, padding)


def resnet50(padding: PaddingMode = "torch") -> Encoder:
    """Return the ResNet-50 encoder: (B, 3, H, W) -> (B, 2048, H/32, W/32).

    As ``resnet18``, of bottleneck blocks whose 3×3 convolution has the stride.
    Source: He et al., Deep residual learning, CVPR 2016, table 1.
    """
    return _resnet(Bottleneck, REPEATS_50, padding)


def resnet_head(
    channels: int, n_classes: int, dropout: float | None = None
) -> dict[str, nn.Module]:
    """Return what stands after the last stage: mean and ``fc``; dropout where asked for."""
    parts: dict[str, nn.Module] = {"avgpool": GlobalMean()}
    if dropout:
        parts["dropout"] = nn.Dropout(dropout)
    return {**parts, "fc": nn.Linear(channels, n_classes)}
