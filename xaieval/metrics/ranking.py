"""The order of a heatmap's pixels, computed once and shared by every score that needs it.

With ``N`` pixels sorted once, every rank score is a few binary searches: the K-th highest value
``θ``, how many pixels lie above or at it, and the same two counts inside the mask.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, label

from xaieval.errors import MetricError, unknown
from xaieval.types import Grid, Mask

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

TIE_RULES: dict[str, str] = {
    "expected": "mean over random tie breaking: every tied pixel counts with the same fraction",
    "project_iml": "numpy.argpartition of the flattened map, its last K places: arbitrary",
    "clevr_xai": "reversed ascending order: of tied pixels those that come last row by row",
    "explanation_alignment": "first maximum: of tied pixels those that come first row by row",
    "favourable": "of tied pixels those inside the mask first: the best any order can give",
}
"""Name -> how the K highest pixels are chosen when pixels at the border are tied."""


class RankedMap:
    """One heatmap with what scores ask of it; each answer is computed at most once.

    Parameters
    ----------
    values : float32 or float64 (H, W)
    where : str
        Name of the map in errors.
    grid : Grid, optional
        The coarse grid that the map was drawn from.

    Raises
    ------
    MetricError
        When the map is empty or holds NaN or infinity.
    """

    def __init__(self, values: Floats, *, where: str = "heatmap", grid: Grid | None = None) -> None:
        self.where, self.shape, self.grid = where, values.shape, grid
        self.flat = np.ascontiguousarray(values).reshape(-1)
        self.size = self.flat.size
        if not self.size:
            raise MetricError("heatmap has no pixel", where=where, got=f"shape {values.shape}")
        self.low, self.high = float(self.flat.min()), float(self.flat.max())
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise MetricError(
                "heatmap holds NaN or infinity",
                where=where,
                fix="replace non-finite values before scoring and say how many there were",
            )
        self._pieces: dict[int, tuple[int, ...]] = {}

    @cached_property
    def ascending(self) -> Floats:
        """All N values in ascending order."""
        return np.sort(self.flat)

    @cached_property
    def total(self) -> float:
        """Sum of the map, added in float64."""
        return float(self.flat.sum(dtype=np.float64))

    @cached_property
    def std(self) -> float:
        """Population standard deviation, in float64."""
        return float(self.flat.std(dtype=np.float64))

    @property
    def reason(self) -> str | None:
        """``zero-map`` or ``flat-map`` when every value is the same, else None."""
        if self.low != self.high:
            return None
        return "zero-map" if self.high == 0 else "flat-map"

    def border(self, ks: Ints) -> tuple[Floats, Ints, Ints]:
        """Return the K-th highest value θ, how many pixels lie above it, and how many at it.

        ``ks`` (n,) in 1..N; three arrays (n,).
        """
        theta = self.ascending[self.size - ks]
        upto = np.searchsorted(self.ascending, theta, "right")
        below = np.searchsorted(self.ascending, theta, "left")
        return theta, self.size - upto, upto - below

    def pieces(self, k: int) -> tuple[int, ...]:
        """Return the sizes, px, of the 8-connected pieces of the map's top of about k pixels.

        Of the pixels tied at the k-th highest value all belong to the top or none: whichever
        leaves it nearer to k (none only if a pixel lies above them; all when equally near).
        ``k`` in 1..N.
        """
        if k not in self._pieces:
            theta, above, tied = (found[0] for found in self.border(np.array([k], np.int64)))
            nearer_without = above > 0 and k - above < above + tied - k
            top = self.flat > theta if nearer_without else self.flat >= theta
            named, _ = label(top.reshape(self.shape), structure=np.ones((3, 3)))
            self._pieces[k] = tuple(np.bincount(named.reshape(-1))[1:].tolist())
        return self._pieces[k]

    def check_k(self, ks: Ints) -> None:
        """Raise a MetricError unless every K lies in 0..N."""
        if ks.size and (ks.min() < 0 or ks.max() > self.size):
            raise MetricError(
                "K does not fit the heatmap",
                where=self.where,
                expected=f"0 to {self.size} px",
                got=int(ks.min() if ks.min() < 0 else ks.max()),
            )


class Ranking:
    """One heatmap against one region: what every score of the pair is made of.

    Parameters
    ----------
    ranked : RankedMap
    mask : bool (H, W)
    absent : bool
        An empty mask means "this part is not in the image" instead of "no ground truth here".
    """

    def __init__(self, ranked: RankedMap, mask: Mask, *, absent: bool = False) -> None:
        self.map, self.mask = ranked, np.ascontiguousarray(mask)
        self.flat_mask = self.mask.reshape(-1)
        self.k = int(np.count_nonzero(self.flat_mask))
        self.absent = absent

    @property
    def area_share(self) -> float:
        """K / N."""
        return self.k / self.map.size

    @property
    def mask_reason(self) -> str | None:
        """``empty-mask`` or ``absent-part`` when the mask holds no pixel, else None."""
        if self.k:
            return None
        return "absent-part" if self.absent else "empty-mask"

    @cached_property
    def inside(self) -> Floats:
        """The K values inside the mask, row by row."""
        return self.map.flat[self.flat_mask]

    @cached_property
    def inside_ascending(self) -> Floats:
        """The K values inside the mask in ascending order."""
        return np.sort(self.inside)

    @cached_property
    def mass_in(self) -> float:
        """Sum of the map inside the mask, added in float64."""
        return float(self.inside.sum(dtype=np.float64))

    def at_least(self, threshold: Any) -> tuple[int, int]:
        """Return |S| and |S ∩ M| of S = {R >= threshold}; threshold in the map's own dtype."""
        everywhere = self.map.size - int(np.searchsorted(self.map.ascending, threshold, "left"))
        inside = self.k - int(np.searchsorted(self.inside_ascending, threshold, "left"))
        return everywhere, inside

    def hits(self, k: int, ties: str = "expected") -> float:
        """Return how many of the k highest pixels lie inside the mask, under a tie rule."""
        return float(self.hits_table(np.array([k], np.int64), ties)[0])

    def hits_table(self, ks: Ints, ties: str = "expected") -> npt.NDArray[np.float64]:
        """Return the hits at several K: float64 (n,), for ``ks`` (n,) in 0..N.

        With ``g`` pixels above the border value, ``e`` tied at it and ``m`` of the tied inside,
        the expectation is (hits above) + (K − g) · m / e.
        """
        if ties not in TIE_RULES:
            raise unknown("tie rule", ties, TIE_RULES)
        self.map.check_k(ks)
        out = np.zeros(len(ks), np.float64)
        some = ks > 0
        theta, above, tied = self.map.border(ks[some])
        upto = np.searchsorted(self.inside_ascending, theta, "right")
        tied_inside = upto - np.searchsorted(self.inside_ascending, theta, "left")
        sure, places = self.k - upto, ks[some] - above
        if ties == "expected":
            out[some] = sure + places * tied_inside / tied
        elif ties == "favourable":
            out[some] = sure + np.minimum(places, tied_inside)
        elif ties == "project_iml":
            out[some] = [self._partitioned(int(k)) for k in ks[some]]
        else:
            last = ties == "clevr_xai"
            out[some] = sure + [
                self._chosen(t, int(n), last=last) for t, n in zip(theta, places, strict=True)
            ]
        return out

    def _partitioned(self, k: int) -> int:
        order = np.argpartition(self.map.flat, -k)
        return int(np.count_nonzero(self.flat_mask[order[-k:]]))

    def _chosen(self, theta: Any, places: int, *, last: bool) -> int:
        tied = np.flatnonzero(self.map.flat == theta)
        return int(np.count_nonzero(self.flat_mask[tied[-places:] if last else tied[:places]]))

    def dilated(self, radius_px: float) -> Ranking:
        """Return the ranking against the mask grown by a disc (Euclidean distance, px)."""
        if not radius_px or not self.k:
            return self
        near = distance_transform_edt(~self.mask) <= radius_px
        return Ranking(self.map, near, absent=self.absent)
