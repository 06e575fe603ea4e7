"""What the model comparison claims, stated before its first run."""

from __future__ import annotations

from xaieval.outcomes import Claim, Gate
from xaieval.reproduce.explanation_alignment.comparison_tables import SIMILAR

SOURCE = "imagenet_model_comparison, github.com/mitvis/explanation_alignment at 79fb563f"
OWN = "stated before the first run"
GATE = Gate("best-accuracy", "accuracy of the most accurate model of the family", 0.5)

SIMILAR_CLAIM = Claim(
    "similar-accuracy-differs",
    f"Two models whose accuracies differ by less than {SIMILAR} differ in alignment (IoU), by an "
    "interval that excludes 0 after correction for the number of such pairs.",
    OWN,
    gates=(GATE.id,),
)
_GOES_WITH = "Over the models of the family, {} grows with accuracy."
CLAIMS = (
    Claim(
        "imagenet-similar-accuracy",
        "ImageNet models of similar accuracy look at different parts of the images.",
        SOURCE,
        "22 models; printed for one: accuracy 0.82, pointing game 0.68, IoU 0.3532 (convnext_tiny)",
    ),
    Claim(
        "imagenet-alignment-follows-accuracy",
        "Over 22 ImageNet models, alignment (IoU) grows with accuracy.",
        f"{SOURCE}: drawn as a scatter, no figure printed",
    ),
    SIMILAR_CLAIM,
    Claim(
        "alignment-follows-accuracy",
        _GOES_WITH.format("alignment (Grad-CAM, IoU)"),
        OWN,
        gates=(GATE.id,),
    ),
    Claim(
        "pointing-follows-accuracy",
        _GOES_WITH.format("the pointing game of Grad-CAM"),
        OWN,
        gates=(GATE.id,),
    ),
    Claim(
        "rules-agree",
        "The published rule (IoU of Grad-CAM) and xaieval's (mass accuracy of Grad-CAM) rank the "
        "models alike: Kendall's tau is above 0.",
        OWN,
        gates=(GATE.id,),
    ),
)
