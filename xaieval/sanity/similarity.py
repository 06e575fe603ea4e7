"""How alike maps are: rank correlation and structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

Floats = npt.NDArray[Any]


def ranks(maps: Floats) -> npt.NDArray[np.float64]:
    """Return ranks of maps (n, H, W) as unit vectors (n, H·W); their products are Spearman's ρ.

    Ties share their mean rank. A flat map has no order: its row is NaN.

    >>> a = ranks(np.array([[[1.0, 2.0], [3.0, 4.0]], [[9.0, 8.0], [7.0, 6.0]]]))
    >>> np.round(a @ a.T, 6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    flat = maps.reshape(len(maps), -1)
    found = np.asarray(rankdata(flat, axis=1), np.float64)
    found -= found.mean(1, keepdims=True)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(length > 0, found / np.where(length > 0, length, 1), np.nan)


def ssim(first: Floats, second: Floats) -> npt.NDArray[np.float64]:
    """Return the structural similarity of maps (n, H, W), pair by pair, each scaled to [0, 1].

    NaN where a map is flat or smaller than the window of 7 × 7 px. Wang et al. 2004,
    doi:10.1109/TIP.2003.819861, by scikit-image; used so by Adebayo et al. 2018.

    >>> a = np.arange(64.0).reshape(1, 8, 8)
    >>> ssim(a, 3 * a + 1).tolist()
    [1.0]
    """
    found = np.full(len(first), np.nan)
    for i, pair in enumerate(zip(first, second, strict=True)):
        low = [float(it.min()) for it in pair]
        size = [float(it.max()) - least for it, least in zip(pair, low, strict=True)]
        if min(size) > 0 and min(pair[0].shape) >= 7:
            scaled = [
                (it.astype(np.float64) - a) / s for it, a, s in zip(pair, low, size, strict=True)
            ]
            found[i] = structural_similarity(*scaled, data_range=1.0)
    return found


def median(values: Floats) -> float | None:
    """Return the median of what is not NaN, or None when nothing is."""
    kept = values[~np.isnan(values)]
    return float(np.median(kept)) if kept.size else None
