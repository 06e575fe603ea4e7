"""The limits of the sanity gate, fixed before any method was measured against them."""

from __future__ import annotations

GATE_VERSION = 1
"""Raised whenever a check or a limit changes; reports of another version do not count."""

NULL_PERCENTILE = 95.0
"""Randomisation: a method's median |ρ| may not exceed this percentile of chance agreement."""

AGREEMENT_CEILING = 0.9
"""Randomisation: whatever chance says, a map must change more than this when every weight does.

Without it a map that is the same for every picture and every network would pass, because chance
agreement is then perfect as well.
"""

EMPTY_SHARE = 0.1
"""Empty maps: more than this share of zero or flat maps fails."""

COMPLETENESS_ERROR = 0.05
"""Completeness: the median relative error at most allowed.

Sundararajan, Taly, Yan 2017, section 5, want the sum of integrated gradients within 5 % of the
logit's change and say that 20 to 300 steps are enough for it.
"""

CONSERVATION_ERROR = 1.0
"""Conservation: the median relative error at most allowed.

Relevance that biases take is lost to the pixels by the definition of the ε and γ rules, so what is
missing is reported; a sum that is further from the logit than zero is can mean nothing.
"""

IMAGES = 16
LEAST_IMAGES = 4
"""How many images the gate looks at unless told otherwise, and how few it accepts."""

STAGES = 6
"""Most steps of the cascade, from the logits' layer alone to all layers."""

NETWORKS = 3
"""Networks with every weight random, drawn independently; the cascade's last step is the first."""

MOST_ROWS = 120
"""Methods of more rows per image than this are tried only when they are named."""
