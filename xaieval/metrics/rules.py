"""Everything that changes a score without being the score: one frozen object."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property

from xaieval.digest import digest
from xaieval.errors import MetricError, unknown
from xaieval.metrics.binarise import parse_binarisation
from xaieval.metrics.pooling import POOLINGS
from xaieval.metrics.ranking import TIE_RULES

EMPTY_MASKS = {
    "nan": "NaN with the reason empty-mask or absent-part",
    "error": "a MetricError that names the image",
}
"""Name -> what an empty mask does."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules behind a score; its ``digest`` stands beside every stored number.

    Attributes
    ----------
    ties : str
        Which of the tied pixels belong to the K highest: a key of ``TIE_RULES``. "expected" is
        exact and deterministic; the others reproduce published systems.
    empty_masks : str
        "nan" (NaN + reason) or "error".
    binarisation : str
        Threshold of iou, gt_coverage and saliency_coverage where the key names none:
        "minmax>=0.5", "mean+1std", "percentile", "percentile=95", "otsu".
    tolerance_px : float
        Radius by which pointing_game grows the mask, in px (0; 15 in Zhang et al. 2016).
    pooling : str or None
        How channels become one map: a key of ``POOLINGS``. None: maps are scored as they are.

    Raises
    ------
    ConfigError
        For an unknown name.
    MetricError
        For a negative tolerance.

    >>> Rules().ties, Rules().digest == Rules(ties="favourable").digest
    ('expected', False)
    """

    ties: str = "expected"
    empty_masks: str = "nan"
    binarisation: str = "minmax>=0.5"
    tolerance_px: float = 0.0
    pooling: str | None = None

    def __post_init__(self) -> None:
        if self.ties not in TIE_RULES:
            raise unknown("tie rule", self.ties, TIE_RULES)
        if self.empty_masks not in EMPTY_MASKS:
            raise unknown("rule for empty masks", self.empty_masks, EMPTY_MASKS)
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise unknown("pooling", self.pooling, POOLINGS)
        parse_binarisation(self.binarisation)
        tolerance = self.tolerance_px
        if (
            isinstance(tolerance, bool)
            or not isinstance(tolerance, (int, float))
            or not (math.isfinite(tolerance) and tolerance >= 0)
        ):
            raise MetricError(
                "bad tolerance_px", expected="a finite number >= 0", got=repr(tolerance)
            )
        object.__setattr__(self, "tolerance_px", float(tolerance))

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change whenever a rule does."""
        return digest("rules", asdict(self))[:16]


DEFAULT = Rules()
