"""Plain ImageNet-style classifiers with the names of torchvision's state dict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from xaieval.errors import ConfigError
from xaieval.models.blocks import initialise
from xaieval.models.classifier import Classifier
from xaieval.models.padding import PaddingMode
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.specs import MODELS
from xaieval.models.weights import load_into, load_weights


class PlainClassifier(nn.Sequential):
    """An architecture's encoder and its own classifier, every part named as in torchvision.

    ``forward`` maps (B, 3, H, W) to logits (B, n_classes). ``dropout`` is the architecture's own
    unless given.

    Raises
    ------
    ConfigError
        When the architecture is no chain of encoder and classifier (``plain_network`` builds it).
    """

    def __init__(
        self,
        arch: str,
        n_classes: int,
        *,
        padding: PaddingMode = "torch",
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        spec = MODELS[arch]
        if spec.network is not None:
            raise ConfigError(
                f"{arch} is no chain of encoder and classifier",
                fix=f"build it with plain_network({arch!r}, {n_classes})",
            )
        encoder = spec.encoder(padding, spec.preprocessing.input_size)
        head = spec.head(encoder.out_channels, n_classes, dropout)
        for name, part in (*encoder.named_children(), *head.items()):
            self.add_module(name, part)
        for part in head.values():
            initialise(part)
        self.config = (arch, n_classes, padding)


def plain_network(
    arch: str,
    n_classes: int,
    *,
    input_size: tuple[int, int] | None = None,
    padding: PaddingMode = "torch",
) -> nn.Module:
    """Return a new, randomly initialised classifier with the names of torchvision's state dict.

    ``input_size`` (height, width) in px is the architecture's default unless given; only
    transformers depend on it.
    """
    spec = MODELS[arch]
    if spec.network is not None:
        return spec.network(input_size or spec.preprocessing.input_size, n_classes)
    return PlainClassifier(arch, n_classes, padding=padding)


def classifier_from_encoder(
    arch: str,
    *,
    n_classes: int = 1000,
    weights: Path | str | None = None,
    padding: PaddingMode = "torch",
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | None = None,
) -> Classifier:
    """Return a plain classifier, with pretrained weights (encoder and classifier) if given.

    The file must have torchvision's names. Preprocessing is the architecture's default unless
    given; weights that come from TensorFlow need ``padding="same_tf"`` and mean and std 0.5.
    """
    preprocessing = preprocessing or MODELS[arch].preprocessing
    net = plain_network(arch, n_classes, input_size=preprocessing.input_size, padding=padding)
    if weights is not None:
        load_into(net, load_weights(Path(weights)), where=Path(weights), what=f"a plain {arch}")
    return Classifier(
        net.eval(),
        preprocessing=preprocessing,
        class_names=class_names,
        name=arch,
    )
