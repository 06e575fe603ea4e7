"""Class activation maps whose weights are found by trying: Score-CAM and Ablation-CAM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xaieval.methods.cam import layer_map, positive_map
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Options
from xaieval.methods.streams import Reads, Stream
from xaieval.methods.upsampling import upsample

# Rows per image are as many as the target layer has channels, which a table cannot know.
_CHANNELS = 512


class _Scores(Stream):
    """Target logits of ``each`` rows per picture."""

    def __init__(self, passes: Passes, each: int) -> None:
        self.passes, self.each = passes, each
        self.rows = each * len(passes.x)
        self.scores = passes.x.new_zeros(self.rows)

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        targets = self.passes.targets[image]
        self.scores[start : start + len(found)] = found.gather(1, targets[:, None])[:, 0]

    def _places(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return image and number within the image of some rows."""
        index = torch.arange(start, stop, device=self.passes.x.device)
        return index // self.each, index % self.each


@dataclass(frozen=True)
class ChannelMasks:
    """The picture seen through each channel of the target layer, drawn by an upsampling."""

    upsampling: str | None = None
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> int | None:
        return None

    def open(self, passes: Passes) -> MaskedByChannels:
        return MaskedByChannels(passes)


class MaskedByChannels(_Scores):
    """Row k of a picture is x ∘ s(Up(A_k)), s scaling the least value to 0 and the largest to 1.

    A channel that is the same everywhere hides the whole picture.
    """

    def __init__(self, passes: Passes) -> None:
        self.activation = layer_map(passes, "layer_act")
        super().__init__(passes, self.activation.shape[1])
        self._drawn(self.activation[:1, 0])  # refuses before any row runs

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        image, channel = self._places(start, stop)
        cells, drawn = self._drawn(self.activation[image, channel])
        low, high = drawn.amin((2, 3), keepdim=True), drawn.amax((2, 3), keepdim=True)
        # Of the cells: drawing equal values rounds, and scaling would make a picture of that.
        differs = cells.amax((2, 3), keepdim=True) > cells.amin((2, 3), keepdim=True)
        mask = torch.where(differs & (high > low), (drawn - low) / (high - low), 0)
        return self.passes.x[image] * mask, image

    def _drawn(self, channels: Tensor) -> tuple[Tensor, Tensor]:
        """Return channels (n, h, w) as maps (n, 1, h, w), and these at the input's size."""
        cells = channels[:, None].contiguous()
        return cells, upsample(cells, self.passes)

    def result(self) -> Tensor:
        """Return the weights (b, K): softmax over channels of the target logits."""
        scores = self.scores.reshape(-1, self.each).double()
        return scores.softmax(1).to(self.scores.dtype)


@dataclass(frozen=True)
class AblatedChannels:
    """The target layer's output, whole, then with each channel set to zero."""

    reads: Reads = "layer_logits"

    def per_image(self, size: tuple[int, int]) -> int | None:
        return None

    def open(self, passes: Passes) -> Ablated:
        return Ablated(passes)


class Ablated(_Scores):
    """Row 0 of a picture is A itself, row 1 + k is A with A_k = 0, of every token where A has some.

    Rows have the shape that the layer puts out.
    """

    def __init__(self, passes: Passes) -> None:
        self.activation = passes["layer_raw"]
        channels = layer_map(passes, "layer_act").shape[1]
        super().__init__(passes, 1 + channels)

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        image, number = self._places(start, stop)
        rows = self.activation[image]
        ablated = (number > 0).nonzero()[:, 0]
        channel = number[ablated] - 1
        if rows.ndim == 4:
            rows[ablated, channel] = 0
        else:
            rows[ablated, :, channel] = 0
        return rows, image

    def result(self) -> Tensor:
        """Return the weights (b, K): (y − y_k) / y."""
        scores = self.scores.reshape(-1, self.each)
        whole, without = scores[:, :1], scores[:, 1:]
        return (whole - without) / torch.where(whole != 0, whole, 1)


def _weighted(passes: Passes, options: Options) -> Tensor:
    weights: Tensor = passes.found
    activation = layer_map(passes, "layer_act")
    return positive_map(weights[:, :, None, None] * activation, passes)


def score_cam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w the softmax over k of f_t(x ∘ s(Up(A_k))).

    Wang et al. 2020, section 3, algorithm 1. The score of the blank picture, which the paper takes
    away first, is the same for all k and cancels in the softmax. Masks are drawn as maps are
    (``upsampling``); pytorch-grad-cam draws them with ``align_corners=True``.
    """
    return _weighted(passes, options)


def ablation_cam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w_k = (y − y_k) / y, y_k the logit with A_k = 0.

    Desai and Ramaswamy 2020, section 3. Where y is negative the division turns the map around, as
    the formula says; where it is zero the fall itself is the weight. pytorch-grad-cam agrees where
    the least activation is exactly zero; elsewhere it puts −10⁷ in the channel's place, not zero.
    """
    return _weighted(passes, options)


def _channels(options: Options) -> int:
    return _CHANNELS


_LAYERS = "networks with a convolutional target layer, or tokens on a grid"

SPECS = (
    MethodSpec(
        id="score_cam",
        label="Score-CAM",
        summary="a layer's channels weighted by the logit of the picture seen through each",
        family="cam",
        low_resolution=True,
        fn=score_cam,
        cost=_channels,
        paper="Wang et al. 2020, arXiv:1910.01279, section 3",
        needs=frozenset({"layer_act"}),
        stream=lambda options: ChannelMasks(options["upsampling"]),
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="ablation_cam",
        label="Ablation-CAM",
        summary="a layer's channels weighted by how far the logit falls without each",
        family="cam",
        low_resolution=True,
        fn=ablation_cam,
        cost=_channels,
        paper="Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360, section 3",
        needs=frozenset({"layer_act", "layer_raw"}),
        stream=lambda options: AblatedChannels(),
        layers_defined=_LAYERS,
    ),
)
