"""What one-shot transfer claims, stated before its first run."""

from __future__ import annotations

from xaieval.outcomes import Claim, Gate

SOURCE = "cifar100_transfer_learning, github.com/mitvis/explanation_alignment at 79fb563f"
OWN = "stated before the first run"
SOURCE_GATE = Gate(
    "source-accuracy", "accuracy of every source model on digits like those it trained on", 0.5
)
TARGET_GATE = Gate(
    "above-chance", "mean one-shot accuracy of the family, in multiples of chance", 1.1
)
_GATES = (SOURCE_GATE.id, TARGET_GATE.id)
_MORE = "Over the models of the family, {} grows with {}."
CLAIMS = (
    Claim(
        "imagenet-alignment-predicts-transfer",
        "Over 195 ImageNet models, one-shot accuracy on CIFAR-100 grows with alignment (IoU).",
        f"{SOURCE}: drawn as a scatter, no figure printed",
    ),
    Claim(
        "alignment-predicts-transfer",
        _MORE.format("one-shot accuracy on the new task", "alignment (Grad-CAM, IoU)"),
        OWN,
        gates=_GATES,
    ),
    Claim(
        "pointing-predicts-transfer",
        _MORE.format("one-shot accuracy on the new task", "the pointing game of Grad-CAM"),
        OWN,
        gates=_GATES,
    ),
    Claim(
        "alignment-beats-accuracy",
        "Alignment (Grad-CAM, IoU) predicts one-shot accuracy better than the accuracy on digits "
        "like those trained on: the difference of both r is above 0.",
        OWN,
        gates=_GATES,
    ),
)
