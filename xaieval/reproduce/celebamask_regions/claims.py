"""What is claimed of regional attribution, stated before anything is run."""

from __future__ import annotations

from xaieval.outcomes import Claim, Gate

STUDY = "the regional study's README and table: expected values, never measured"
OWN = "planted in drawn faces; expected of photographs"

GATE = Gate(
    "attributes",
    "mean balanced accuracy over the attributes on all test faces, each seed",
    0.85,
)
LEAST_SHARE = 0.5
"""For so many of the attributes at least the deciding part must have the highest lift."""
ONE_NINETEENTH = 100 / 19
PUBLISHED_R = "r ≈ −0.85"

_RULES = {"paper": "the paper's rule", "area-matched": "the area-matched rule"}


def _correlations(gates: tuple[str, ...]) -> tuple[Claim, ...]:
    found = []
    for rule, name in _RULES.items():
        end = "" if rule == "paper" else "-matched"
        found += [
            Claim(
                f"correlation-methods{end}",
                "On these faces, over the five methods, the falsification rate and the precision "
                f"of the deciding region correlate with r < −0.65 and p < 0.01 ({name}).",
                STUDY,
                PUBLISHED_R,
                gates,
            ),
            Claim(
                f"correlation-cells{end}",
                "On these faces, over cells of method and attribute, they correlate with r < −0.65 "
                f"and p < 0.01 ({name}).",
                STUDY,
                PUBLISHED_R,
                gates,
            ),
            Claim(
                f"correlation-images{end}",
                "On these faces, within the chosen method, images with a larger margin of "
                f"falsification have a higher precision of the deciding region ({name}).",
                STUDY,
                "",
                gates,
            ),
        ]
    return tuple(found)


ATTRIBUTES: tuple[Claim, ...] = (
    Claim(
        "published-correlation",
        "On CelebAMask-HQ, over the five methods, the falsification rate and regional precision "
        "correlate with r < −0.65 and p < 0.01.",
        STUDY,
        PUBLISHED_R,
        (GATE.id,),
    ),
    *_correlations((GATE.id,)),
    Claim(
        "random-one-nineteenth",
        "A random map has a precision of 1/19 in each of the 19 classes.",
        STUDY,
        "1/19 ≈ 5.3 %",
    ),
    Claim(
        "random-area-share",
        "A random map's precision in each of the 19 classes is the class's area share.",
        "this package: the correction of 1/19",
    ),
    *(
        Claim(
            f"best-beats-{name.replace('_', '-')}",
            "The best method, chosen on half of the images, has a higher precision of the region "
            f"that decides the attribute, on the other half, than {text}.",
            OWN,
            "",
            (GATE.id,),
        )
        for name, text in (
            ("random", "a random map"),
            ("sobel", "an edge detector"),
            ("centre_prior", "a Gaussian in the middle"),
        )
    ),
    Claim(
        "deciding-part-first",
        "On the other half of the images, the part with that method's highest lift is one that "
        f"decides the attribute, for at least {LEAST_SHARE:.0%} of the attributes.",
        OWN,
        "",
        (GATE.id,),
    ),
    Claim(
        "falsified-less-than-inverse",
        "That method is falsified less often than its own maps inverted (area-matched rule).",
        OWN,
        "",
        (GATE.id,),
    ),
    Claim(
        "falsified-less-than-random",
        "That method is falsified less often than random maps (area-matched rule).",
        OWN,
        "",
        (GATE.id,),
    ),
    Claim(
        "paper-rule-tells-area",
        "Under the paper's rule, whether a map is falsified is told by which of its two sets of "
        "pixels is the larger one, in more than half of the maps.",
        "this package: what falsification measures",
    ),
)

PAIRS: tuple[Claim, ...] = (
    Claim(
        "best-beats-area-share",
        "The best method, chosen on half of the pairs, puts more of its map, on the other half, on "
        "the region in which the two faces differ than the region's area share.",
        OWN,
        "",
        (GATE.id,),
    ),
    *(
        Claim(
            f"best-beats-{name.replace('_', '-')}",
            f"That method has a higher precision of the differing region than {text}.",
            OWN,
            "",
            (GATE.id,),
        )
        for name, text in (
            ("random", "a random map"),
            ("sobel", "an edge detector"),
            ("centre_prior", "a Gaussian in the middle"),
        )
    ),
    *(
        Claim(
            f"both-signs-{name.replace('_', '-')}",
            f"{text} has a higher precision of the differing region where evidence against the "
            "likeness counts too (absolute values) than where only evidence for it does.",
            "this package: what two faces differ in makes them less alike",
            "",
            (GATE.id,),
        )
        for name, text in (("kernel_shap", "KernelSHAP"), ("lime", "LIME"))
    ),
    Claim(
        "falsified-less-than-inverse",
        "The best method is falsified less often than its own maps inverted (area-matched rule, "
        "angle between embeddings).",
        OWN,
        "",
        (GATE.id,),
    ),
    Claim(
        "falsified-less-than-random",
        "The best method is falsified less often than random maps (area-matched rule, angle "
        "between embeddings).",
        OWN,
        "",
        (GATE.id,),
    ),
)
