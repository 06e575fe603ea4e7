"""What the gate's mark means, for whoever asks beside it."""

from __future__ import annotations

from xaieval.defining import Definition
from xaieval.sanity.limits import (
    AGREEMENT_CEILING,
    COMPLETENESS_ERROR,
    EMPTY_SHARE,
    IMAGES,
    NULL_PERCENTILE,
)
from xaieval.sanity.marks import MARK

SANITY = Definition(
    key="sanity",
    label=f"{MARK} The sanity gate",
    formula='median_i |ρ_i| > min(q , c) ⇒ "marked"',
    symbols="ρ: Spearman's rank correlation of a map under the trained model and under one whose "
    f"weights are all random; q: the {NULL_PERCENTILE:.0f}th percentile of |ρ| between maps of two "
    f"random networks and different images, which is chance; c: {AGREEMENT_CEILING:g}",
    words="A method that draws nearly the same map when every weight of the model is random shows "
    "the picture, not the model. Marked too: more than "
    f"{100 * EMPTY_SHARE:.0f} % empty maps; integrated gradients and DeepLIFT whose sum misses the "
    f"output's change by more than {100 * COMPLETENESS_ERROR:.0f} %; LRP whose sum is further from "
    "the logit than zero is; negative values where a method says it has none. A mark is no ban: "
    "the scores are computed and the wins are counted.",
    left_out=f"Baselines never look at the model and are not gated. {IMAGES} images per model.",
    range="a method passes when every deciding check does",
    source="Adebayo et al. 2018 (cascading randomisation); Sundararajan et al. 2017 (completeness)",
)
