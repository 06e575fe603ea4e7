"""How Explanation Alignment scores, and how xaieval does: the same maps under both rules.

Bang, Boggust and Satyanarayan 2024, "Explanation Alignment: Quantifying the Correctness of Model
Reasoning At Scale" (ECCV workshop eXCV). Their notebooks (github.com/mitvis/explanation_alignment
at 79fb563f) add a gradient's channels up, signs and all, keep the pixels above mean + 1 std of
the map, and take the first maximum for the pointing game; of Grad-CAM they keep the pixels at or
above half of the min-max scaled map.
"""

from __future__ import annotations

from dataclasses import dataclass

GRADIENT = "saliency[pooling=sum]"
"""The vanilla gradient as published: Σ_c ∂f/∂x_c, signed."""
PUBLISHED_POINTING = "pointing_game@ties=explanation_alignment"


@dataclass(frozen=True)
class Scoring:
    """One way to turn a map into alignment: the method, and the keys of both scores."""

    id: str
    label: str
    method: str
    iou: str
    pointing: str

    @property
    def metrics(self) -> tuple[tuple[str, str], ...]:
        """Pairs of (name, metric key)."""
        return (("IoU", self.iou), ("pointing game", self.pointing))


PUBLISHED_GRADIENT = Scoring(
    "published", "as published", GRADIENT, "iou[mean+1std]", PUBLISHED_POINTING
)
OUR_GRADIENT = Scoring("ours", "xaieval's rule", "saliency", "iou", "pointing_game")
PUBLISHED_GRADCAM = Scoring("published", "as published", "gradcam", "iou", PUBLISHED_POINTING)
OUR_GRADCAM = Scoring("ours", "xaieval's rule", "gradcam", "iou", "pointing_game")

METRICS = (
    "iou",
    "iou[mean+1std]",
    "gt_coverage",
    "gt_coverage[mean+1std]",
    "saliency_coverage",
    "saliency_coverage[mean+1std]",
    "pointing_game",
    PUBLISHED_POINTING,
    "topk_overlap",
    "mass_accuracy",
    "area_share",
)
"""What every arm is scored by. A signed map has no mass: there the score is undefined."""
