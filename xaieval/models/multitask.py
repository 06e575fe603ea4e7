"""Networks that classify a picture and draw the mask of what decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import torch
from torch import Tensor, nn

from xaieval.digest import LATER
from xaieval.errors import ConfigError
from xaieval.models.blocks import Encoder, initialise
from xaieval.models.padding import PaddingMode
from xaieval.models.specs import MODELS


@dataclass(frozen=True)
class ModelConfig:
    """What fixes a network's structure.

    Attributes
    ----------
    arch : str
        Id in ``MODELS``.
    n_classes : int
        At least 2.
    input_size : (height, width) in px
    padding : {"torch", "same_tf"}
        Zeros around stride-2 convolutions: symmetric, or as TensorFlow's 'SAME' puts them.
    dropout : float in [0, 1)
        Before the linear classifier.
    decoder : bool
        Whether there is a mask decoder.
    width : float
        Multiplies the encoder's numbers of channels, of an architecture that has several widths.

    Raises
    ------
    ConfigError
        When a value is not of the above, with a suggestion for an unknown ``arch``.
    """

    arch: str
    n_classes: int
    input_size: tuple[int, int]
    padding: PaddingMode = "torch"
    dropout: float = 0.2
    decoder: bool = True
    width: float = field(default=1.0, metadata=LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_size", tuple(self.input_size))
        spec = MODELS[self.arch]
        if self.n_classes < 2:
            raise ConfigError("too few classes", expected="at least 2", got=self.n_classes)
        if len(self.input_size) != 2 or min(self.input_size) < 2 ** (len(spec.decoder_widths) + 1):
            raise ConfigError("bad input_size", expected="(height, width)", got=self.input_size)
        if self.padding not in get_args(PaddingMode):
            raise ConfigError(
                "unknown padding", expected=f"one of {get_args(PaddingMode)}", got=self.padding
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError("bad dropout", expected="a number in [0, 1)", got=self.dropout)
        if not 0 < self.width <= 16:
            raise ConfigError("bad width", expected="above 0, at most 16", got=self.width)
        if self.width != 1 and spec.scaled is None:
            raise ConfigError(f"{self.arch} has one width only", expected="width 1", got=self.width)


class Decoder(nn.Module):
    """Transpose convolutions that double the map until it covers the input.

    Kernel and stride are both 2, so cells do not overlap and leave no chequerboard.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [
                nn.ConvTranspose2d(in_channels, width, 2, stride=2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            in_channels = width
        layers.append(nn.ConvTranspose2d(in_channels, 1, 2, stride=2))
        self.up = nn.Sequential(*layers)
        initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        mask_logits: Tensor = self.up(features)
        return mask_logits


class MultitaskNet(nn.Module):
    """Encoder, mask decoder, and a linear classifier on the encoder's mean features.

    Of a transformer the classifier reads the class token, and the decoder the patch tokens; an
    encoder may bring a classifier of its own (``Encoder.new_head``).

    ``forward(x)`` returns logits (B, n_classes) and mask logits (B, 1, H, W), or None in place of
    the latter without a decoder; ``classify(x)`` returns the logits and never runs the decoder.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        spec = MODELS[config.arch]
        self.config = config
        self.encoder: Encoder = (
            spec.scaled(config.padding, config.input_size, config.width)
            if spec.scaled is not None and config.width != 1
            else spec.encoder(config.padding, config.input_size)
        )
        self.decoder = (
            Decoder(self.encoder.out_channels, spec.decoder_widths) if config.decoder else None
        )
        self.head = self.encoder.new_head(config.n_classes, config.dropout)
        initialise(self.head)

    def encode(self, x: Tensor) -> Tensor:
        """Return the last feature map, (B, channels, h, w)."""
        return self.encoder.as_map(self.encoder(x))

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits (B, n_classes)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.encoder(x)
        logits: Tensor = self.head(features)
        if self.decoder is None:
            return logits, None
        # Sizes that the stride does not divide give a map that is a little too large.
        mask_logits = self.decoder(self.encoder.as_map(features))
        return logits, mask_logits[:, :, : x.shape[2], : x.shape[3]]


def build(config: ModelConfig, *, seed: int | None = None) -> MultitaskNet:
    """Return a new, randomly initialised network, in training mode.

    With ``seed``, the same weights come out each time and the global random state is untouched.
    """
    if seed is None:
        return MultitaskNet(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultitaskNet(config)


@torch.no_grad()
def calibrate_batchnorm(net: nn.Module, x: Tensor) -> None:
    """Set the running statistics of every batch norm in ``net``, in place, from one batch.

    A randomly initialised deep network in eval mode multiplies its signal away (EfficientNet-B0
    puts out values of about 1e-20), so that gradients and heatmaps are meaningless; after this
    each layer sees normalised values. Weights and biases, and the training flags, are kept.
    """
    modes = {module: module.training for module in net.modules()}
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the running statistics become those of this batch
    try:
        net(x)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
