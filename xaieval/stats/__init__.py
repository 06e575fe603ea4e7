"""Win rates, intervals, contrasts, correlations, rankings, patterns: pure functions of tables."""

from xaieval.stats.agreement import LEVELS, score_agreement
from xaieval.stats.blocks import UNITS, Blocks, blocks
from xaieval.stats.bootstrap import paired_difference, two_way
from xaieval.stats.clusters import ClusteredCorrelation, clustered_correlation
from xaieval.stats.contrasts import Contrast, contrast
from xaieval.stats.correlation import Correlation, correlation, needed_r
from xaieval.stats.falsification_link import (
    FalsificationLink,
    Level,
    falsification_link,
    link_table,
    study_verdict,
)
from xaieval.stats.friedman import Friedman, friedman
from xaieval.stats.intervals import Interval, verdict
from xaieval.stats.nemenyi import ALPHA, Nemenyi, critical_difference, nemenyi
from xaieval.stats.patterns import PATTERNS, Thresholds, pattern_counts, shared_interest_pattern
from xaieval.stats.populations import MASK_CAUSES, Population, population
from xaieval.stats.rankings import RankAgreement, rank_intervals, ranking_agreement
from xaieval.stats.ratios import Ratios
from xaieval.stats.regional import (
    causes,
    cells,
    over_images,
    region_table,
)
from xaieval.stats.split_half import SplitHalf, halves, split_half_best
from xaieval.stats.spread import (
    FEW_IMAGES,
    FEW_SEEDS,
    BoxStatistics,
    balanced_accuracy,
    box_statistics,
    over_seeds,
    wilson,
)
from xaieval.stats.stand_in import StandIn, stand_in
from xaieval.stats.wilcoxon import Pair, holm, pairwise
from xaieval.stats.win_intervals import win_intervals
from xaieval.stats.wins import OVERALL, outcome_counts, win_rates, win_shares

__all__ = [
    "ALPHA",
    "FEW_IMAGES",
    "FEW_SEEDS",
    "LEVELS",
    "MASK_CAUSES",
    "OVERALL",
    "PATTERNS",
    "UNITS",
    "Blocks",
    "BoxStatistics",
    "ClusteredCorrelation",
    "Contrast",
    "Correlation",
    "FalsificationLink",
    "Friedman",
    "Interval",
    "Level",
    "Nemenyi",
    "Pair",
    "Population",
    "RankAgreement",
    "Ratios",
    "SplitHalf",
    "StandIn",
    "Thresholds",
    "balanced_accuracy",
    "blocks",
    "box_statistics",
    "causes",
    "cells",
    "clustered_correlation",
    "contrast",
    "correlation",
    "critical_difference",
    "falsification_link",
    "friedman",
    "halves",
    "holm",
    "link_table",
    "needed_r",
    "nemenyi",
    "outcome_counts",
    "over_images",
    "over_seeds",
    "paired_difference",
    "pairwise",
    "pattern_counts",
    "population",
    "rank_intervals",
    "ranking_agreement",
    "region_table",
    "score_agreement",
    "shared_interest_pattern",
    "split_half_best",
    "stand_in",
    "study_verdict",
    "two_way",
    "verdict",
    "wilson",
    "win_intervals",
    "win_rates",
    "win_shares",
]
