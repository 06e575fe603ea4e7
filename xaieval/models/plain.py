"""Plain ImageNet-style classifiers with the names of torchvision's state dict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from xaieval.models.blocks import Encoder, GlobalMean, initialise
from xaieval.models.classifier import Classifier
from xaieval.models.padding import PaddingMode
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.specs import MODELS
from xaieval.models.weights import load_into, load_weights


class PlainClassifier(nn.Module):
    """``features``, mean over the map, ``classifier`` (dropout, linear), as torchvision names it.

    ``forward`` maps (B, 3, H, W) to logits (B, n_classes).
    """

    def __init__(
        self, arch: str, n_classes: int, *, padding: PaddingMode = "torch", dropout: float = 0.2
    ) -> None:
        super().__init__()
        encoder: Encoder = MODELS[arch].encoder(padding)
        self.features = encoder.features
        self.pool = GlobalMean()
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(encoder.out_channels, n_classes)
        )
        initialise(self.classifier)
        self.config = (arch, n_classes, padding)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)))
        return logits


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
    net = PlainClassifier(arch, n_classes, padding=padding)
    if weights is not None:
        load_into(net, load_weights(Path(weights)), where=Path(weights), what=f"a plain {arch}")
    return Classifier(
        net.eval(),
        preprocessing=preprocessing or MODELS[arch].preprocessing,
        class_names=class_names,
        name=arch,
    )
