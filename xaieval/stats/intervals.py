"""An estimate with its interval, and what an interval says about a claim."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from xaieval.errors import ConfigError, unknown

Floats = npt.NDArray[np.float64]
Verdict = Literal["holds", "reversed", "undecided"]
FewSeeds = Literal["widen", "plain"]

REPLICATES = 2000
"""Resamples behind an interval: its ends are then good to about a twentieth of its width."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, a difference of means or another number, with what it rests on.

    Attributes
    ----------
    estimate : float
        NaN where there is no value.
    low, high : float
        NaN where nothing can be resampled (one image under one seed).
    n_images, n_seeds : int
        Different images and seeds with a value.
    n : int
        Values: at most n_images · n_seeds.
    confidence : float
    """

    estimate: float
    low: float
    high: float
    n_images: int
    n_seeds: int
    n: int
    confidence: float = CONFIDENCE


def verdict(low: float, high: float) -> Verdict:
    """Return what an interval says of the claim that the number is above 0.

    "holds" if the whole interval lies above 0, "reversed" if all of it lies below, else
    "undecided"; an interval that ends at 0, or is NaN, decides nothing.

    >>> verdict(0.1, 0.3), verdict(-0.2, -0.1), verdict(-0.1, 0.1), verdict(0.0, 0.2)
    ('holds', 'reversed', 'undecided', 'undecided')
    """
    if low > 0:
        return "holds"
    return "reversed" if high < 0 else "undecided"


def percentiles(replicates: Floats, confidence: float) -> tuple[float, float]:
    """Return the ends of the percentile interval of some replicates; NaN are left out.

    >>> percentiles(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    if not 0 < confidence < 1:
        raise ConfigError("bad confidence", expected="between 0 and 1", got=confidence)
    known = replicates[~np.isnan(replicates)]
    if not known.size:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def widened(
    ends: tuple[float, float], estimate: float, *, share: float, n_seeds: int, confidence: float
) -> tuple[float, float]:
    """Return an interval made honest about few seeds.

    A percentile interval of n numbers takes their spread too small, by √((n − 1) / n), and the
    normal's quantile where it should be Student's. Both ends move away from the estimate by
    √(1 + share · (f² − 1)) with f = √(n / (n − 1)) · t / z, where ``share`` is the part of the
    variance that comes from the seeds (0 to 1). With one seed nothing is known of their spread and
    nothing is changed. Hesterberg 2015 ("What teachers should know about the bootstrap", The
    American Statistician 69:371) widens the percentiles themselves for the same reasons.

    >>> widened((-1.0, 1.0), 0.0, share=0.0, n_seeds=5, confidence=0.95)
    (-1.0, 1.0)
    >>> round(widened((-1.0, 1.0), 0.0, share=1.0, n_seeds=5, confidence=0.95)[1], 2)
    1.58
    """
    if n_seeds < 2:
        return ends
    tail = (1 + confidence) / 2
    f = math.sqrt(n_seeds / (n_seeds - 1)) * float(t.ppf(tail, n_seeds - 1) / norm.ppf(tail))
    factor = math.sqrt(1 + min(max(share, 0.0), 1.0) * (f * f - 1))
    return estimate - (estimate - ends[0]) * factor, estimate + (ends[1] - estimate) * factor


def interval_of(
    replicates: Floats,
    by_seeds: Floats,
    *,
    estimate: float,
    n_seeds: int,
    confidence: float,
    few_seeds: FewSeeds,
) -> tuple[float, float]:
    """Return the ends of an interval from replicates, widened for few seeds unless "plain".

    ``by_seeds`` are the replicates with the same draws of seeds and every image once: what of the
    spread is the seeds'.
    """
    if few_seeds not in ("widen", "plain"):
        raise unknown("rule for few seeds", few_seeds, ("widen", "plain"))
    ends = percentiles(replicates, confidence)
    if few_seeds == "plain" or math.isnan(ends[0]):
        return ends
    whole, part = float(np.nanvar(replicates)), float(np.nanvar(by_seeds))
    share = part / whole if whole > 0 else 0.0
    return widened(ends, estimate, share=share, n_seeds=n_seeds, confidence=confidence)


def check_replicates(replicates: Any) -> int:
    """Return the number of replicates, or raise a ConfigError when it is none."""
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 1:
        raise ConfigError("bad number of replicates", expected="1 or more", got=repr(replicates))
    return replicates
