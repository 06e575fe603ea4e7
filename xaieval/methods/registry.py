"""The table of methods. Another package adds a row through the group ``xaieval.methods``."""

from __future__ import annotations

from xaieval.methods import baselines, cam, gradient, occlusion, sampled
from xaieval.methods.spec import MethodSpec
from xaieval.table import Table

METHODS: Table[MethodSpec] = Table(
    "method",
    [*cam.SPECS, *gradient.SPECS, *sampled.SPECS, *occlusion.SPECS, *baselines.SPECS],
    group="xaieval.methods",
)
"""Every attribution method by id."""
