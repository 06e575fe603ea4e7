"""What is claimed about project_iml, stated before anything is measured."""

from __future__ import annotations

from xaieval.outcomes import Claim, Gate

SOURCE = "project_iml: README and the ten published runs (seeds 42 to 51)"
OURS = "stated here before the runs"
PUBLISHED_ACCURACY, PUBLISHED_SPREAD = 0.9443, 0.0467
"""Balanced test accuracy of the published runs: mean and std (ddof 0) over ten seeds."""

SHOWN, UNSHOWN = "accuracy-beta-1", "accuracy-beta-0"
"""Gates of the arms with and without the mask loss."""


def gates(minimum: float) -> tuple[Gate, Gate]:
    """Return the gates of both arms."""
    text = "balanced accuracy of every seed on images that it did not train on"
    return (
        Gate(SHOWN, f"{text}, with the mask loss (β = 1)", minimum),
        Gate(UNSHOWN, f"{text}, without the mask loss (β = 0)", minimum),
    )


PUBLISHED = (
    Claim(
        "published-win-rate-test",
        "On the test images of MVTec hazelnut Grad-CAM wins more often than saliency and more "
        "often than integrated gradients.",
        SOURCE,
        "win rates 0.9017 ± 0.0739 against 0.0192 ± 0.0405 and 0.0792 ± 0.0712",
        (SHOWN,),
    ),
    Claim(
        "published-win-rate-train",
        "On the training images of MVTec hazelnut Grad-CAM wins more often than saliency and more "
        "often than integrated gradients.",
        SOURCE,
        "win rates 0.8713 ± 0.0678 against 0.0486 ± 0.0382 and 0.0801 ± 0.0564",
        (SHOWN,),
    ),
    Claim(
        "published-accuracy",
        "On MVTec hazelnut the mean balanced test accuracy of the models is above 0.8976, the "
        "published mean less its standard deviation.",
        SOURCE,
        "0.9443 ± 0.0467",
    ),
)
"""About the published photographs only."""


def wins(place: str) -> Claim:
    """Return the published claim, asked of other images."""
    return Claim(
        "gradcam-wins",
        f"{place}: Grad-CAM wins more often than saliency and more often than integrated "
        "gradients (β = 1).",
        OURS,
        "on MVTec hazelnut 0.9017 ± 0.0739",
        (SHOWN,),
    )


def own(place: str) -> tuple[Claim, ...]:
    """Return the questions that the published runs leave open."""
    unshown = Claim(
        "gradcam-wins-unshown",
        f"{place}: Grad-CAM still wins more often than both others when the mask was never shown "
        "to the encoder (β = 0).",
        OURS,
        gates=(UNSHOWN,),
    )
    both = (SHOWN, UNSHOWN)
    raised = (
        Claim(
            "mask-loss-raises-win-rate",
            f"{place}: the mask loss raises Grad-CAM's win rate (β = 1 against β = 0, the same "
            "seeds and images).",
            OURS,
            gates=both,
        ),
        Claim(
            "mask-loss-raises-overlap",
            f"{place}: the mask loss raises Grad-CAM's mean Top-K overlap (β = 1 against β = 0, "
            "the same seeds and images).",
            OURS,
            gates=both,
        ),
    )
    against = tuple(
        Claim(
            f"gradcam-beats-{key.replace('_', '-')}{suffix}",
            f"{place}: Grad-CAM's mean Top-K overlap is above that of {name} (β = {beta}).",
            OURS,
            gates=(gate,),
        )
        for beta, suffix, gate in ((1, "", SHOWN), (0, "-unshown", UNSHOWN))
        for key, name in BASELINES.items()
    )
    return (unshown, *raised, *against)


BASELINES = {
    "sobel": "an edge filter that never saw the network",
    "random": "random numbers",
    "centre_prior": "a blob in the middle",
}
