"""Insertion: how fast the prediction rises when the highest pixels come first."""

from __future__ import annotations

from xaieval.metrics.deletion import area
from xaieval.metrics.evaluator import Subject, Work
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.removal import FILLS, STEPS_PARAM, TIES_PARAM, Curve, curve
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant


def insertion(ranked: RankedMap, subject: Subject, options: Options) -> Work[Curve | str]:
    """Return the curve of the prediction while pixels come back, highest first.

    As deletion, but from a canvas without the picture's pixels to the picture itself; high is
    good. The canvas is the picture blurred as in the authors' code: a kernel of 11 px from a
    Gaussian of sigma 5 px, beyond the edges zeros in model input. Ties, flat maps and which
    probability is followed are as in deletion.

    Petsiuk et al. 2018, section 4.2.
    """
    if ranked.reason:
        return ranked.reason
    return (
        yield from curve(
            ranked,
            subject,
            fill=str(options["canvas"]),
            steps=int(options["steps"]),
            ties=str(options["ties"]),
            insert=True,
        )
    )


SPEC = MetricSpec(
    id="insertion",
    label="Insertion",
    summary="area under the predicted class's probability while the highest pixels come first",
    needs=frozenset({"model"}),
    formula='∫_0^1 p(s) ds , s = "share shown"',
    undefined=("zero-map", "flat-map"),
    ask=insertion,
    read=area,
    params=(
        Param(
            "canvas",
            str,
            f"what is there before a pixel comes: {', '.join(FILLS)}",
            default="blur",
            choices=tuple(FILLS),
        ),
        STEPS_PARAM,
        TIES_PARAM,
    ),
    variants=(
        Variant(
            key="insertion@canvas=zero",
            label="Insertion (canvas=zero)",
            summary="from an empty canvas instead of a blurred picture",
        ),
    ),
    paper="Petsiuk et al. 2018, section 4.2",
)
