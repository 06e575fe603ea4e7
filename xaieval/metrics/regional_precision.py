"""Regional precision: how many percent of the heatmap's mass lie in a named region."""

from __future__ import annotations

from xaieval.metrics.mass_accuracy import mass_accuracy
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import MetricSpec, Options
from xaieval.types import Score

PERCENT = 100.0


def regional_precision(ranking: Ranking, options: Options, rules: Rules) -> Score:
    """Return 100 · Σ_M R / Σ R, in percent, in [0, 100]: ``mass_accuracy`` under another unit.

    A map that knows nothing scores the region's area share in percent, whatever the number of
    regions: with 19 face parts of unequal size that is not 1/19. Regions may overlap, so the
    numbers of several regions need not add up to 100. A zero map and an empty mask are NaN.

    Raises
    ------
    MetricError
        When the map has negative values.

    >>> import numpy as np
    >>> from xaieval.metrics.ranking import RankedMap
    >>> ranked = RankedMap(np.array([[3.0, 1.0], [0.0, 0.0]], np.float32))
    >>> mask = np.array([[True, False], [True, True]])
    >>> regional_precision(Ranking(ranked, mask), {}, Rules()).value
    75.0
    """
    found = mass_accuracy(ranking, options, rules)
    return found if found.reason else Score(PERCENT * found.value)


SPEC = MetricSpec(
    id="regional_precision",
    label="Regional precision",
    summary="share of the heatmap's sum inside the region, percent",
    needs=frozenset({"mass"}),
    formula="100 · [Σ_M R] / [Σ R]",
    undefined=("empty-mask", "zero-map", "signed-map"),
    fn=regional_precision,
    bounds=(0.0, PERCENT),
    chance="area_share",
    signed_ok=False,
    paper="regional attribution on CelebAMask-HQ; Arras et al. 2022 (relevance mass accuracy)",
)
