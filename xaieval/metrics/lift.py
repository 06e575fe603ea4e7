"""Lift: how many times better than a map without information."""

from __future__ import annotations

import math
from collections.abc import Callable

from xaieval.metrics.mass_accuracy import mass_accuracy
from xaieval.metrics.pointing_game import pointing_game
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options, Param, Variant
from xaieval.metrics.topk_overlap import topk_overlap
from xaieval.types import Score

# Scores on which a map without information gets the area share.
_SCORES: dict[str, Callable[[Ranking, Options, Rules], Score]] = {
    "mass_accuracy": mass_accuracy,
    "topk_overlap": topk_overlap,
    "pointing_game": pointing_game,
}
SCORES = tuple(_SCORES)


def lift(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return score / area share, in [0, N / K]: 1 is chance.

    Option ``of`` names the score: ``mass_accuracy`` (which gives the lift of
    ``regional_precision`` too), ``topk_overlap`` or ``pointing_game``. With a tolerance in the
    rules, pointing_game is compared with the share of the grown mask. Undefined where the score
    is.

    Raises
    ------
    MetricError
        When the map has negative values and the score needs mass.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[3.0, 1.0], [0.0, 0.0]], np.float32))
    >>> lift(Ranking(ranked, np.array([[True, False], [False, False]])), {}, Rules()).value
    3.0
    """
    of = str(options.get("of", SCORES[0]))
    found = _SCORES[of](ranking, {}, rules)
    if found.reason:
        return found
    if of == "pointing_game":
        ranking = ranking.dilated(rules.tolerance_px)
    return Score(found.value / ranking.area_share)


SPEC = MetricSpec(
    id="lift",
    label="Lift",
    summary="mass accuracy / area share: how many times better than no information",
    needs=frozenset({"mass"}),
    formula="score / [K / N]",
    undefined=("empty-mask", "zero-map", "signed-map"),
    fn=lift,
    bounds=(0.0, math.inf),
    chance=1.0,
    signed_ok=False,
    params=(
        Param(
            "of",
            str,
            f"the score in question: {', '.join(SCORES)}",
            default=SCORES[0],
            choices=SCORES,
        ),
    ),
    variants=(
        Variant(
            key="lift@of=topk_overlap",
            label="Lift (of=topk_overlap)",
            summary="Top-K overlap / area share",
            bounds=(0.0, math.inf),
            chance=1.0,
        ),
    ),
    paper="this package",
)
