"""TensorFlow's 'SAME' padding as a drop-in convolution."""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import ConfigError

PaddingMode = Literal["torch", "same_tf"]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return how many zeros TensorFlow's 'SAME' puts before and after one axis of ``size`` px.

    The output has ceil(size / stride) cells; an odd total gives the extra zero to the end.
    Source: TensorFlow guide of ``tf.nn.convolution``, section on padding.

    >>> same_padding(224, kernel=3, stride=2), same_padding(225, kernel=3, stride=2)
    ((0, 1), (1, 1))
    """
    cells = -(-size // stride)
    total = max((cells - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


class SamePadConv2d(nn.Conv2d):
    """A convolution with 'SAME' padding; parameters and their names are those of Conv2d."""

    def forward(self, input: Tensor) -> Tensor:
        top, bottom = same_padding(
            input.shape[-2], self.kernel_size[0], self.stride[0], self.dilation[0]
        )
        left, right = same_padding(
            input.shape[-1], self.kernel_size[1], self.stride[1], self.dilation[1]
        )
        padded = F.pad(input, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def conv2d(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    padding: PaddingMode = "torch",
) -> nn.Conv2d:
    """Return a convolution that keeps (stride 1) or divides (stride > 1) the map's size.

    At stride 1 and an odd kernel both paddings are the same, so the plain one is used.
    """
    if padding not in get_args(PaddingMode):
        raise ConfigError(
            "unknown padding", expected=f"one of {get_args(PaddingMode)}", got=padding
        )
    if padding == "same_tf" and stride > 1:
        return SamePadConv2d(
            in_channels, out_channels, kernel, stride=stride, groups=groups, bias=bias
        )
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=bias,
    )
