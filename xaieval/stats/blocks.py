"""What tests of several methods compare: a number per block and method, nothing missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from xaieval.errors import ResultsError, unknown
from xaieval.stats.intervals import Floats
from xaieval.stats.populations import Frame, need

Unit = Literal["seed", "image"]
UNITS: dict[str, str] = {
    "seed": "training seeds: would other models, trained alike, rank the methods the same on "
    "these images?",
    "image": "images: would other images rank the methods the same under these models?",
}
"""What one block is, and the question that a test over such blocks answers."""

_TIE = 1e-12  # means of equal scores differ by rounding only


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks × methods, complete.

    Attributes
    ----------
    table : DataFrame
        A row per block (seed or image), a column per method, a mean score in each cell.
    unit : {"seed", "image"}
    n_images, n_seeds : int
        Different images and seeds that the means rest on.
    left_out : int
        Pairs of image and seed that lack a score of some method.
    """

    table: Frame
    unit: Unit
    n_images: int
    n_seeds: int
    left_out: int

    @property
    def methods(self) -> tuple[str, ...]:
        """Who is compared."""
        return tuple(self.table.columns)


def blocks(
    scores: Frame,
    *,
    methods: Sequence[str],
    unit: Unit = "seed",
    value: str = "value",
    seed: str = "seed",
    image: str = "sample_id",
) -> Blocks:
    """Return the mean score of each method in each block.

    Parameters
    ----------
    scores : DataFrame
        ``method_id, value, sample_id, seed``: one row each, of one metric and region.
    methods : sequence of str
        Two or more, in order.
    unit : {"seed", "image"}
        "seed": the mean over the images of a seed; a block is a trained model. "image": the mean
        over the seeds of an image. The images of one seed share a model, so a single pair of seed
        and image is no block of its own.

    Raises
    ------
    ResultsError
        When a column is missing, fewer than two methods are named, or an image has two scores of
        one method under one seed.
    ConfigError
        For an unknown unit or method.

    >>> import pandas as pd
    >>> scores = pd.DataFrame({"seed": [1, 1, 1, 1], "sample_id": ["a", "a", "b", "b"],
    ...                        "method_id": ["x", "y", "x", "y"], "value": [0.1, 0.2, 0.3, None]})
    >>> found = blocks(scores, methods=["x", "y"])
    >>> found.table.values.tolist(), found.left_out
    ([[0.1, 0.2]], 1)
    """
    if unit not in UNITS:
        raise unknown("kind of block", unit, UNITS)
    need(scores, ["method_id", value, seed, image])
    if len(methods) < 2:
        raise ResultsError("a comparison needs two methods", got=", ".join(methods) or "none")
    there = set(scores["method_id"])
    for method in methods:
        if there and method not in there:
            raise unknown("method of these scores", method, map(str, there))
    asked = scores[scores["method_id"].isin(methods)]
    twice = asked.duplicated([seed, image, "method_id"])
    if twice.any():
        row = asked[twice].iloc[0]
        raise ResultsError(
            "an image has two scores of one method under one seed",
            where=str(row[image]),
            got=f"{row['method_id']}, seed {row[seed]}",
            fix="filter by metric, region and rules",
        )
    wide = asked.pivot(index=[seed, image], columns="method_id", values=value)
    wide = wide.reindex(columns=list(methods)).astype(np.float64)
    whole = wide.dropna()
    table = whole.groupby(level=seed if unit == "seed" else image, sort=True).mean()
    table.columns.name = None
    return Blocks(
        table,
        unit,
        whole.index.get_level_values(image).nunique(),
        whole.index.get_level_values(seed).nunique(),
        len(wide) - len(whole),
    )


def block_ranks(table: Frame, *, higher_is_better: bool = True) -> Floats:
    """Return the rank of each method in each block, 1 = best, ties share: float64 (N, k).

    >>> import pandas as pd
    >>> block_ranks(pd.DataFrame({"x": [0.9, 0.5], "y": [0.1, 0.5]})).tolist()
    [[1.0, 2.0], [1.5, 1.5]]
    """
    values = table.to_numpy(np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ResultsError("a comparison needs two methods", got=f"a table {values.shape}")
    if not np.isfinite(values).all():
        raise ResultsError("a block lacks a score", fix="leave it out: blocks() does")
    if not len(values):
        return np.empty(values.shape)
    turned = -values if higher_is_better else values
    scale = max(float(np.abs(values).max(initial=0.0)), 1.0)
    ranks: Floats = rankdata(np.round(turned / scale / _TIE), axis=1)
    return ranks
