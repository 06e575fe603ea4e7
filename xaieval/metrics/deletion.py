"""Deletion: how fast the prediction falls when the highest pixels go first."""

from __future__ import annotations

import math

from xaieval.metrics.evaluator import Subject, Work
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.removal import FILLS, STEPS_PARAM, TIES_PARAM, Curve, curve
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant
from xaieval.types import Score


def deletion(ranked: RankedMap, subject: Subject, options: Options) -> Work[Curve | str]:
    """Return the curve of the prediction while pixels are removed, highest first.

    The score is the area under p(share removed), by the trapezoid rule over ``steps`` equal steps;
    p is the softmax probability of the class predicted for the whole picture; where classes do
    not exclude each other, the sigmoid of the attribute that the map explains
    (``probabilities.watched``). In [0, 1]; low is good. A removed pixel becomes ``fill``
    (``removal.FILLS``). Pixels of one value go in a random order seeded by the sample id, the same
    for every method, or row by row (``ties="first"``); a flat or zero map orders nothing and is
    NaN.

    Petsiuk et al. 2018, section 4.2. Deviation: their code breaks ties by numpy's quicksort.
    """
    if ranked.reason:
        return ranked.reason
    return (
        yield from curve(
            ranked,
            subject,
            fill=str(options["fill"]),
            steps=int(options["steps"]),
            ties=str(options["ties"]),
        )
    )


def area(found: Curve | str) -> Score:
    """Return the area under a curve, or NaN with the reason found instead."""
    return Score(math.nan, found) if isinstance(found, str) else Score(found.area)


SPEC = MetricSpec(
    id="deletion",
    label="Deletion",
    summary="area under the predicted class's probability while the highest pixels go first",
    needs=frozenset({"model"}),
    formula='∫_0^1 p(s) ds , s = "share removed"',
    undefined=("zero-map", "flat-map"),
    ask=deletion,
    read=area,
    higher_is_better=False,
    params=(
        Param(
            "fill",
            str,
            f"what a removed pixel becomes: {', '.join(FILLS)}",
            default="zero",
            choices=tuple(FILLS),
        ),
        STEPS_PARAM,
        TIES_PARAM,
    ),
    variants=(
        Variant(
            key="deletion@fill=mean",
            label="Deletion (fill=mean)",
            summary="removed pixels take the mean of the picture",
        ),
        Variant(
            key="deletion@fill=road,steps=10",
            label="Deletion (fill=road, steps=10)",
            summary="removed pixels are imputed from their neighbours, with noise (ROAD)",
        ),
    ),
    paper="Petsiuk et al. 2018, section 4.2; imputation: Rong et al. 2022",
)
