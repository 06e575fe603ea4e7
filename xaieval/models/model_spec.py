"""What a row of the table of architectures says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from xaieval.models.blocks import Encoder, mean_head
from xaieval.models.padding import PaddingMode
from xaieval.models.preprocessing import Preprocessing

Size = tuple[int, int]
Head = Callable[[int, int, float | None], dict[str, nn.Module]]


@dataclass(frozen=True)
class ModelSpec:
    """One architecture.

    Attributes
    ----------
    encoder : callable
        ``encoder(padding, input_size)`` returns a new, randomly initialised encoder.
    preprocessing : Preprocessing
        The default; a study may choose another.
    target_layer : str
        Dotted name, inside the multitask network, of the block whose output feeds the head.
    decoder_widths : tuple of int
        Channels after each doubling of the mask decoder, the last doubling (to 1) not counted.
    parameters : int
        Parameters of the encoder alone, at the default input size.
    head : callable
        ``head(out_channels, n_classes, dropout)`` returns the parts that follow the encoder in
        the plain classifier, under the names that their weights have.
    scaled : callable, optional
        ``scaled(padding, input_size, width)`` returns the encoder with its numbers of channels
        multiplied; None where the architecture has one width only.
    network : callable, optional
        ``network(input_size, n_classes)`` returns the whole plain classifier of an architecture
        that is no chain of encoder and head.
    """

    id: str
    label: str
    summary: str
    encoder: Callable[[PaddingMode, Size], Encoder]
    preprocessing: Preprocessing
    target_layer: str
    decoder_widths: tuple[int, ...]
    parameters: int
    paper: str
    head: Head = mean_head
    scaled: Callable[[PaddingMode, Size, float], Encoder] | None = None
    network: Callable[[Size, int], nn.Module] | None = None
