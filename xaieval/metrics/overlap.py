"""What the three scores of a binarised heatmap share: |S|, |S ∩ M|, and when S is undefined."""

from __future__ import annotations

from xaieval.metrics.binarise import BINARISATIONS, threshold
from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.metrics.spec import Options, Param, Variant


def overlap(ranking: Ranking, options: Options, rules: Rules) -> tuple[int, int] | str:
    """Return |S| and |S ∩ M|, or the reason why there are none.

    A map without contrast has no threshold, whatever the binarisation: its reason is zero-map or
    flat-map. The mask's reason comes first.
    """
    reason = ranking.mask_reason or ranking.map.reason
    if reason:
        return reason
    name = str(options.get("binarisation", rules.binarisation))
    return ranking.at_least(threshold(ranking.map, name))


PARAMS = (Param("binarisation", str, "how the map becomes a set of pixels"),)


def variants(metric: str, label: str) -> tuple[Variant, ...]:
    """Return the documented keys of a score, one per binarisation that is not the default."""
    return tuple(
        Variant(key=f"{metric}[{name}]", label=f"{label} ({name})", summary=summary)
        for name, summary in BINARISATIONS.items()
        if name != Rules().binarisation
    )
