"""The relation network: answers a question about a picture from all pairs of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from xaieval.errors import ConfigError
from xaieval.models.blocks import initialise

NormPlace = Literal["after-relu", "before-relu"]


@dataclass(frozen=True)
class RelationConfig:
    """What fixes a relation network's structure; defaults are those of the CLEVR model.

    Attributes
    ----------
    vocabulary : int
        Word numbers are 0 to ``vocabulary`` − 1; 0 pads a question at its end.
    n_classes : int
        Possible answers, at least 2.
    conv_widths : tuple of int
        Channels of the 3×3 convolutions of stride 2.
    conv_padding : {0, 1}
        Zeros around each convolution's input: 128² ends on 7 × 7 cells with 0, on 8 × 8 with 1.
    norm : {"after-relu", "before-relu"}
        Where each convolution's batch norm stands. Before the ReLU it can be folded.
    word_dim, question_dim : int
        Width of a word and of the LSTM's state.
    pair_widths : tuple of int
        Layers of g, which sees one pair of cells and the question; a ReLU after each.
    answer_widths : tuple of int
        Hidden layers of f, which sees the sum over pairs; a ReLU after each.
    dropout : float in [0, 1)
        Before f's last layer.

    Raises
    ------
    ConfigError
        When a value is not of the above.
    """

    vocabulary: int
    n_classes: int
    conv_widths: tuple[int, ...] = (24, 24, 24, 24)
    conv_padding: int = 0
    norm: NormPlace = "after-relu"
    word_dim: int = 32
    question_dim: int = 128
    pair_widths: tuple[int, ...] = (256, 256, 256, 256)
    answer_widths: tuple[int, ...] = (256, 256)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for name in ("conv_widths", "pair_widths", "answer_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        smallest = {"vocabulary": 2, "n_classes": 2, "word_dim": 1, "question_dim": 1}
        for name, least in smallest.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    "too small", where=name, expected=f"at least {least}", got=getattr(self, name)
                )
        for name in ("conv_widths", "pair_widths", "answer_widths"):
            widths = getattr(self, name)
            if not widths or min(widths) < 1:
                raise ConfigError(
                    "bad widths", where=name, expected="one positive number or more", got=widths
                )
        if self.conv_padding not in (0, 1):
            raise ConfigError("bad conv_padding", expected="0 or 1", got=self.conv_padding)
        if self.norm not in get_args(NormPlace):
            raise ConfigError(
                "unknown place of the norm", expected=f"one of {get_args(NormPlace)}", got=self.norm
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError("bad dropout", expected="a number in [0, 1)", got=self.dropout)


def _perceptron(in_features: int, widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(in_features, width), nn.ReLU()]
        in_features = width
    return layers


def cell_places(height: int, width: int) -> Tensor:
    """Return (x, y) of each cell, row by row, (height · width, 2), mean 0 and variance 1 an axis.

    >>> cell_places(2, 1).tolist()  # float64
    [[0.0, -1.0], [0.0, 1.0]]
    """
    axes = []
    for size in (height, width):
        axis = torch.arange(size, dtype=torch.float64)
        axis = axis - axis.mean()
        axes.append(axis / axis.square().mean().sqrt() if size > 1 else axis)
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


class RelationNet(nn.Module):
    """Relation network of picture and question: f(Σ over all cells i, j of g(o_i, o_j, q)).

    Each cell o of the last convolution's map is its channels and its place (x, y); q is the state
    of an LSTM after the question's last word. All ordered pairs count, a cell with itself too.

    ``forward(x, question)`` maps (B, 3, H, W) and int64 (B, L) to logits (B, n_classes). Zeros at
    the end of a question change nothing; a question of zeros alone has the state 0.

    Source: Santoro et al., A simple neural network module for relational reasoning, NeurIPS 2017,
    section 4 and supplement B. Padding and places as in Arras et al., CLEVR-XAI, Information
    Fusion 81, 2022.

    >>> net = RelationNet(RelationConfig(vocabulary=9, n_classes=4, conv_widths=(8, 8)))
    >>> net(torch.zeros(2, 3, 32, 32), torch.tensor([[3, 1, 0], [2, 0, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(self, config: RelationConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        channels = 3
        for width in config.conv_widths:
            conv = nn.Conv2d(channels, width, 3, stride=2, padding=config.conv_padding)
            norm, relu = nn.BatchNorm2d(width), nn.ReLU()
            layers += [conv, relu, norm] if config.norm == "after-relu" else [conv, norm, relu]
            channels = width
        self.image = nn.Sequential(*layers)
        self.words = nn.Embedding(config.vocabulary, config.word_dim, padding_idx=0)
        self.lstm = nn.LSTM(config.word_dim, config.question_dim, batch_first=True)
        pair = 2 * (channels + 2) + config.question_dim
        self.g = nn.Sequential(*_perceptron(pair, config.pair_widths))
        self.f = nn.Sequential(
            *_perceptron(config.pair_widths[-1], config.answer_widths),
            nn.Dropout(config.dropout),
            nn.Linear(config.answer_widths[-1], config.n_classes),
        )
        initialise(self)

    def read(self, question: Tensor) -> Tensor:
        """Return the state (B, question_dim) after each question's last word."""
        steps = torch.arange(1, question.shape[1] + 1, device=question.device)
        length = ((question != 0) * steps).amax(1)
        states: Tensor = self.lstm(self.words(question))[0]
        # The LSTM reads forward, so what stands after the last word has no part in its state.
        last = (length - 1).clamp_min(0)[:, None, None].expand(-1, 1, states.shape[2])
        return states.gather(1, last)[:, 0] * (length > 0)[:, None]

    def cells(self, x: Tensor) -> Tensor:
        """Return the cells (B, h·w, channels + 2): features, then place."""
        features = self.image(x)
        rows, _, height, width = features.shape
        places = cell_places(height, width).to(features.device, features.dtype)
        return torch.cat([features.flatten(2).transpose(1, 2), places.expand(rows, -1, -1)], dim=2)

    def forward(self, x: Tensor, question: Tensor) -> Tensor:
        cells, asked = self.cells(x), self.read(question)
        rows, count, width = cells.shape
        first = cells[:, :, None].expand(-1, -1, count, -1).reshape(rows, count * count, width)
        second = cells[:, None].expand(-1, count, -1, -1).reshape(rows, count * count, width)
        asked = asked[:, None].expand(-1, count * count, -1)
        related = self.g(torch.cat([first, second, asked], dim=2)).sum(1)
        logits: Tensor = self.f(related)
        return logits
