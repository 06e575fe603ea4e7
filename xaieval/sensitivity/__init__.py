"""Does the winner survive another way to measure? Choices varied one at a time, wins counted again.

::

    run_sensitivity(results, *, metric, region, split, population, axes, images, seeds, data,
                    backend, device, command, report, cancelled) -> Sensitivity
    read_sensitivity(results, *, metric, region, split, population) -> Sensitivity | None
    why_not(results, metric) -> str          "" when it can be run
    AXES: Table[Axis]                        pooling, k, threshold, ties, wins, target, …
    Sensitivity    .frame .table .verdicts .base_winners .survived .skipped .settings
    sentence(found, labels) -> str
"""

from xaieval.sensitivity.axes import AXES, Axis
from xaieval.sensitivity.recipe import Recipe, Variant, changed_mask
from xaieval.sensitivity.result import Sensitivity, sentence
from xaieval.sensitivity.running import read_sensitivity, run_sensitivity, why_not

__all__ = [
    "AXES",
    "Axis",
    "Recipe",
    "Sensitivity",
    "Variant",
    "changed_mask",
    "read_sensitivity",
    "run_sensitivity",
    "sentence",
    "why_not",
]
