"""Win rates, their spread over seeds, intervals and box figures: pure functions of tables."""

from xaieval.stats.populations import MASK_CAUSES, Population, population
from xaieval.stats.ratios import Ratios
from xaieval.stats.regional import (
    causes,
    cells,
    correlate,
    over_images,
    region_table,
)
from xaieval.stats.spread import (
    FEW_IMAGES,
    BoxStatistics,
    balanced_accuracy,
    box_statistics,
    over_seeds,
    wilson,
)
from xaieval.stats.stand_in import StandIn, stand_in
from xaieval.stats.wins import OVERALL, win_rates, win_shares

__all__ = [
    "FEW_IMAGES",
    "MASK_CAUSES",
    "OVERALL",
    "BoxStatistics",
    "Population",
    "Ratios",
    "StandIn",
    "balanced_accuracy",
    "box_statistics",
    "causes",
    "cells",
    "correlate",
    "over_images",
    "over_seeds",
    "population",
    "region_table",
    "stand_in",
    "wilson",
    "win_rates",
    "win_shares",
]
