"""The table of architectures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xaieval.models.blocks import Encoder
from xaieval.models.efficientnet import efficientnet_b0
from xaieval.models.mobilenet import mobilenet_v2
from xaieval.models.padding import PaddingMode
from xaieval.models.preprocessing import HALF, Preprocessing
from xaieval.models.small_cnn import small_cnn
from xaieval.table import Table


@dataclass(frozen=True)
class ModelSpec:
    """One architecture.

    Attributes
    ----------
    encoder : callable
        ``encoder(padding)`` returns a new, randomly initialised encoder.
    preprocessing : Preprocessing
        The default; a study may choose another.
    target_layer : str
        Dotted name, inside the multitask network, of the block whose output feeds the head.
    decoder_widths : tuple of int
        Channels after each doubling of the mask decoder, the last doubling (to 1) not counted.
    parameters : int
        Parameters of the encoder alone.
    """

    id: str
    label: str
    summary: str
    encoder: Callable[[PaddingMode], Encoder]
    preprocessing: Preprocessing
    target_layer: str
    decoder_widths: tuple[int, ...]
    parameters: int
    paper: str


MODELS: Table[ModelSpec] = Table(
    "model",
    [
        ModelSpec(
            id="small-cnn",
            label="Small CNN",
            summary="eight convolutions, 192² input, trains on a laptop in minutes",
            encoder=small_cnn,
            preprocessing=Preprocessing((192, 192), mean=HALF, std=HALF, name="half"),
            target_layer="encoder.features.7",
            decoder_widths=(20, 12, 8),
            parameters=56536,
            paper="this package",
        ),
        ModelSpec(
            id="mobilenet-v2",
            label="MobileNetV2",
            summary="inverted residuals, width 1.0, ReLU6, 224² input",
            encoder=mobilenet_v2,
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.features.18",
            decoder_widths=(256, 128, 64, 32),
            parameters=2223872,
            paper="Sandler et al., MobileNetV2, CVPR 2018",
        ),
        ModelSpec(
            id="efficientnet-b0",
            label="EfficientNet-B0",
            summary="inverted residuals with squeeze-excite, SiLU, 224² input",
            encoder=efficientnet_b0,
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.features.8",
            decoder_widths=(256, 128, 64, 32),
            parameters=4007548,
            paper="Tan and Le, EfficientNet, ICML 2019",
        ),
    ],
    group="xaieval.models",
)
