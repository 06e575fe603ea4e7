"""ROAD: remove and debias. Most against least relevant first, with imputed pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xaieval.metrics.evaluator import Ask, Subject, Work
from xaieval.metrics.probabilities import Doubles, watched
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.removal import TIES_PARAM, order, removals
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant
from xaieval.types import Score


@dataclass(frozen=True, eq=False)
class Road:
    """Probabilities float64 (n,) at shares i / (n + 1) removed: most and least relevant first."""

    morf: Doubles
    lerf: Doubles


def road(ranked: RankedMap, subject: Subject, options: Options) -> Work[Road | str]:
    """Return the predicted class's probability with pixels removed from either end of the map.

    At the shares 10 %, 20 %, … 90 % (``parts`` = 10) the highest pixels (MoRF) and, apart from
    that, the lowest (LeRF) are removed and filled by noisy linear imputation, which leaves neither
    edges nor the outline of the mask for the network to read a class from. The score is
    (mean LeRF − mean MoRF) / 2, in [−0.5, 0.5]; high is good, 0 is what an order without meaning
    gets. Ties, flat maps and which probability is followed are as in deletion.

    Rong et al. 2022 report the accuracy over a data set at each share; per image that becomes the
    probability, and the combination of both orders is pytorch-grad-cam's (``ROADCombined``).
    Noise is in units of the picture's range, as in the authors' code.
    """
    if ranked.reason:
        return ranked.reason
    parts = int(options["parts"])
    places = order(ranked, subject.sample_id, str(options["ties"]))
    counts = np.arange(1, parts) * ranked.size // parts
    first = removals(subject, places, counts, "road")
    last = removals(subject, ranked.size - 1 - places, counts, "road")
    found = []
    for points in (first, last):
        logits = yield Ask("logits", parts - 1, points)
        found.append(watched(logits, subject))
    return Road(*found)


def combined(found: Road | str) -> Score:
    """Return half of what least relevant first keeps above most relevant first."""
    if isinstance(found, str):
        return Score(math.nan, found)
    return Score(float(found.lerf.mean() - found.morf.mean()) / 2)


def most_first(found: Road | str) -> Score:
    """Return the mean probability, most relevant pixels removed first."""
    return Score(math.nan, found) if isinstance(found, str) else Score(float(found.morf.mean()))


def least_first(found: Road | str) -> Score:
    """Return the mean probability, least relevant pixels removed first."""
    return Score(math.nan, found) if isinstance(found, str) else Score(float(found.lerf.mean()))


SPEC = MetricSpec(
    id="road",
    label="ROAD",
    summary="half of the probability kept least relevant first above most relevant first, imputed",
    needs=frozenset({"model"}),
    formula="[mean p_LeRF − mean p_MoRF] / 2",
    undefined=("zero-map", "flat-map"),
    ask=road,
    read=combined,
    bounds=(-0.5, 0.5),
    params=(
        Param("parts", int, "removed are 1, 2, … parts − 1 of so many", default=10, minimum=2),
        TIES_PARAM,
    ),
    variants=(
        Variant(
            key="road_morf",
            label="ROAD, most relevant first",
            summary="mean probability with the highest pixels removed and imputed",
            name="road_morf",
            formula="mean p_MoRF",
            read=most_first,
            higher_is_better=False,
        ),
        Variant(
            key="road_lerf",
            label="ROAD, least relevant first",
            summary="mean probability with the lowest pixels removed and imputed",
            name="road_lerf",
            formula="mean p_LeRF",
            read=least_first,
        ),
    ),
    paper="Rong et al. 2022, sections 4 and 5",
)
