"""Intervals of many means and ratios of one table, where every seed has seen the same images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from xaieval.digest import rng
from xaieval.errors import ResultsError
from xaieval.stats.bootstrap import draws as drawn
from xaieval.stats.intervals import Floats, interval_of
from xaieval.stats.populations import Frame, need

DRAWS = 1000


class Ratios:
    """Two-way bootstrap over images and seeds: both drawn anew, their weights multiplied.

    The test images recur under every seed, so images alone would make an interval too narrow, and
    so would seeds alone (Owen 2007, The pigeonhole bootstrap). With one seed only the images are
    drawn, with one image only the seeds; with one of both there is no interval. The same images
    and seeds give the same draws, which all groups share. Widened for few seeds as ``two_way`` is
    (``intervals.widened``).

    Parameters
    ----------
    images, seeds : iterables
        All that occur; groups may hold some of them.
    draws : int
    confidence : float in (0, 1)
    """

    def __init__(
        self,
        images: Iterable[Any],
        seeds: Iterable[Any],
        *,
        draws: int = DRAWS,
        confidence: float = 0.95,
    ) -> None:
        if not (0 < confidence < 1 and draws > 0):
            raise ResultsError("bad interval", expected="0 < confidence < 1, draws > 0")
        self._images = pd.Index(sorted(set(images)))
        self._seeds = pd.Index(sorted(set(seeds)))
        self._confidence = confidence
        generator = rng("ratios", len(self._images), len(self._seeds), draws)
        self._of_images = drawn(generator, len(self._images), draws)
        self._of_seeds = drawn(generator, len(self._seeds), draws)

    def interval(self, rows: Frame, y: str, x: str | None = None) -> tuple[float, float]:
        """Return the interval of Σ y / Σ x over rows; without ``x``, of the mean of ``y``.

        Parameters
        ----------
        rows : DataFrame
            ``image, seed`` and the columns named; rows with NaN are left out.

        Raises
        ------
        ResultsError
            When a column is missing.

        >>> rows = pd.DataFrame({"image": list("abab"), "seed": [1, 1, 2, 2], "y": [3.0] * 4})
        >>> Ratios("ab", [1, 2]).interval(rows, "y")
        (3.0, 3.0)
        """
        need(rows, ["image", "seed", y, *([x] if x else [])])
        kept = rows[["image", "seed", y, *([x] if x else [])]].dropna()
        images, image = np.unique(self._images.get_indexer(kept["image"]), return_inverse=True)
        seeds, seed = np.unique(self._seeds.get_indexer(kept["seed"]), return_inverse=True)
        if len(images) < 2 and len(seeds) < 2:
            return math.nan, math.nan
        over, under = np.zeros((2, len(images), len(seeds)))
        np.add.at(over, (image, seed), kept[y].to_numpy(np.float64))
        np.add.at(under, (image, seed), kept[x].to_numpy(np.float64) if x else 1.0)
        of_images = self._of_images[:, images] if len(images) > 1 else np.ones((len(self), 1))
        of_seeds = self._of_seeds[:, seeds] if len(seeds) > 1 else np.ones((len(self), 1))
        both = _ratio(of_images, of_seeds, over, under)
        by_seeds = _ratio(np.ones_like(of_images), of_seeds, over, under)
        total = under.sum()
        if not total > 0:
            return math.nan, math.nan
        return interval_of(
            both,
            by_seeds,
            estimate=float(over.sum() / total),
            n_seeds=len(seeds),
            confidence=self._confidence,
            few_seeds="widen",
        )

    def __len__(self) -> int:
        return len(self._of_images)


def _ratio(of_images: Floats, of_seeds: Floats, over: Floats, under: Floats) -> Floats:
    """Return Σ w_i v_s over / Σ w_i v_s under per draw; NaN where nothing was drawn."""
    top = ((of_images @ over) * of_seeds).sum(1)
    bottom = ((of_images @ under) * of_seeds).sum(1)
    found: Floats = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return found
