"""Which images a sensitivity run looks at: the same ones every time, classes in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from xaieval.digest import digest
from xaieval.errors import ResultsError
from xaieval.stats import MASK_CAUSES
from xaieval.study.results import Population, Results

UNITS = 400
"""Images times seeds that are looked at unless told otherwise."""
IMAGES = 40
LEAST_SEEDS = 3


def candidates(
    results: Results, *, metric: str, region: str, split: str, population: Population
) -> pd.DataFrame:
    """Return ``sample_id, class, seed, fold`` of what could be ranked: split, mask, population."""
    # of one method: whether an image has a mask depends on none
    scores = results.scores(
        metric_key=metric, region=region, split=split, method_id=results.compete[0]
    )
    if scores.empty:
        raise ResultsError(
            f"nothing of {metric} was scored here", where=results.path, got=f"split {split!r}"
        )
    masked = scores[~scores["reason"].isin(MASK_CAUSES)]
    if population == "correct":
        masked = masked[masked["correct"].astype(bool)]
    return masked[["sample_id", "class", "seed", "fold"]].reset_index(drop=True)


def chosen_images(classes: Mapping[str, str], count: int | None) -> tuple[str, ...]:
    """Return up to ``count`` sample ids, classes in turn; within a class by the id's digest.

    ``classes``: sample id -> class. None: all. What is chosen for a larger count holds what is
    chosen for a smaller one, so that more images only add to what was computed.

    >>> chosen_images({"a": "x", "b": "x", "c": "y"}, 2)[1]
    'c'
    """
    queues: dict[str, list[str]] = {}
    for sample in sorted(classes, key=lambda sample: digest("sensitivity", sample)):
        queues.setdefault(classes[sample], []).append(sample)
    order: list[str] = []
    names = sorted(queues)
    while any(queues.values()):
        order += [queues[name].pop(0) for name in names if queues[name]]
    return tuple(order if count is None else order[:count])


def chosen_seeds(seeds: Sequence[int], images: int) -> tuple[int, ...]:
    """Return the first seeds that keep images times seeds within ``UNITS``; three at least.

    >>> chosen_seeds(range(42, 52), 40), chosen_seeds(range(5), 200)
    ((42, 43, 44, 45, 46, 47, 48, 49, 50, 51), (0, 1, 2))
    """
    return tuple(seeds)[: max(LEAST_SEEDS, UNITS // max(images, 1))]
