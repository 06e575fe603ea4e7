"""Does an attribution add up to what the network put out?"""

from __future__ import annotations

import numpy as np

from xaieval.metrics import completeness as gap
from xaieval.sanity.limits import COMPLETENESS_ERROR, CONSERVATION_ERROR
from xaieval.sanity.report import Check
from xaieval.sanity.similarity import Floats, median


def completeness(attribution: Floats, change: Floats) -> Check:
    """Return the median of |Σ A − (f(x) − f(b))| / |f(x) − f(b)|.

    Sundararajan, Taly, Yan 2017, section 3 (completeness); Shrikumar et al. 2017, section 3.1
    (summation to delta).

    Parameters
    ----------
    attribution : float (n, C, H, W)
    change : float (n,)
        The target logit at the image less that at the baseline.

    >>> completeness(np.full((1, 1, 2, 2), 0.25), np.array([1.25])).value
    0.2
    """
    return _error("completeness", attribution, change, COMPLETENESS_ERROR)


def conservation(attribution: Floats, logit: Floats) -> Check:
    """Return the median of |Σ R − f(x)| / |f(x)|, relevance (n, C, H, W), logit (n,).

    Bach et al. 2015, doi:10.1371/journal.pone.0130140, equation 2; Montavon et al. 2019, section
    10.2, on what biases take.
    """
    return _error("conservation", attribution, logit, CONSERVATION_ERROR)


def _error(name: str, attribution: Floats, wanted: Floats, limit: float) -> Check:
    error = gap(attribution, wanted, np.zeros_like(wanted), relative=True)
    return Check(name, median(error), limit, n=int((~np.isnan(error)).sum()))
