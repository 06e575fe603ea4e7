"""The small network of PyTorch's MNIST example, for colour pictures of 28×28 px."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from xaieval.errors import ConfigError
from xaieval.models.blocks import Encoder

WIDTHS = (32, 64)
HIDDEN = 128
CELLS = 12
"""Cells per side that the classifier reads; at 28² the encoder puts out as many."""


class MnistEncoder(Encoder):
    """Two 3×3 convolutions with ReLU, then max pooling: (B, 3, H, W) -> (B, 64, h, w).

    The convolutions are not padded, so h = ⌈(H − 4) / 2⌉: 28² pictures end on 12×12 cells, of
    which the first is centred on pixel 2.5.
    """

    def __init__(self, input_size: tuple[int, int], *, width: float = 1.0) -> None:
        if min(input_size) < 6:
            raise ConfigError(
                "bad input_size", where="mnist-cnn", expected="at least 6 x 6 px", got=input_size
            )
        first, second, self.hidden = (max(4, round(n * width)) for n in (*WIDTHS, HIDDEN))
        layers = nn.Sequential(
            nn.Conv2d(3, first, 3),
            nn.ReLU(),
            nn.Conv2d(first, second, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),  # odd sizes too end on a map that covers them
        )
        super().__init__(
            {"features": layers},
            out_channels=second,
            stride=2,
            stages=(("features.0",), ("features.2",)),
        )
        height, width = input_size
        self.map_size = (-(-(height - 4) // 2), -(-(width - 4) // 2))

    def as_map(self, features: Tensor) -> Tensor:
        """Return the map with its border repeated once, so that it covers the whole input."""
        # Not by F.pad, whose gradient varies on GPUs.
        rows = torch.cat([features[:, :, :1], features, features[:, :, -1:]], dim=2)
        return torch.cat([rows[:, :, :, :1], rows, rows[:, :, :, -1:]], dim=3)

    def new_head(self, n_classes: int, dropout: float) -> nn.Sequential:
        """Return the classifier, of 12 × 12 cells and two linear layers.

        ``dropout`` is that of the hidden values; whole maps are dropped at half that rate. At 0.5
        both are the example's.
        """
        parts = mnist_head(self.out_channels, n_classes, dropout, hidden=self.hidden)
        if self.map_size == (CELLS, CELLS):
            del parts["pool"]  # the mean of one cell each
        return nn.Sequential(OrderedDict(parts))


def mnist_cnn(input_size: tuple[int, int] = (28, 28), *, width: float = 1.0) -> MnistEncoder:
    """Return the encoder of PyTorch's basic MNIST example, with three input channels.

    Source: https://github.com/pytorch/examples, ``mnist/main.py``; with three channels and dropout
    of whole maps it is the network of ``mnist_spurious_experiment`` in
    https://github.com/mitvis/explanation_alignment. ``width`` multiplies the numbers of channels
    and of hidden values, rounded to at least 4.
    """
    return MnistEncoder(input_size, width=width)


def mnist_head(
    channels: int, n_classes: int, dropout: float | None = None, *, hidden: int = HIDDEN
) -> dict[str, nn.Module]:
    """Return what stands after ``features``: 12 × 12 cells and two linear layers.

    Inputs of other sizes than 28² are brought to 12 × 12 cells by an adaptive mean. Dropout of the
    hidden values is 0.5 unless given, and that of whole maps half as much.
    """
    rate = 0.5 if dropout is None else dropout
    return {
        "pool": nn.AdaptiveAvgPool2d(CELLS),
        "dropout_maps": nn.Dropout2d(rate / 2),
        "flatten": nn.Flatten(),
        "hidden": nn.Linear(channels * CELLS * CELLS, hidden),
        "relu": nn.ReLU(),
        "dropout": nn.Dropout(rate),
        "linear": nn.Linear(hidden, n_classes),
    }
