"""Plain ImageNet-style classifiers with the names of torchvision's state dict."""

from __future__ import annotations

from torch import Tensor, nn

from xaieval.models.blocks import Encoder, GlobalMean, initialise
from xaieval.models.padding import PaddingMode
from xaieval.models.specs import MODELS


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
