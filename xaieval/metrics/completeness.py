"""Completeness: does an attribution add up to what the model's output gained over the baseline?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xaieval.errors import MetricError
from xaieval.metrics.arrays import to_numpy


def completeness(
    attributions: npt.ArrayLike,
    outputs: npt.ArrayLike,
    baseline_outputs: npt.ArrayLike,
    *,
    relative: bool = False,
) -> npt.NDArray[np.float64]:
    """Return |Σ A − (f(x) − f(baseline))| per image, float64 (B,), in units of the logit.

    Zero for methods that promise completeness (integrated gradients, DeepLIFT, Shapley values; LRP
    against a baseline of 0: conservation), up to the error of their steps or samples. For other
    methods the number says nothing.

    Parameters
    ----------
    attributions : float (B, C, H, W) or (B, H, W), signed, not pooled
        numpy or torch; summed in float64.
    outputs, baseline_outputs : float (B,)
        Logit of the explained class at the picture and at the method's baseline.
    relative : bool
        Divide by |f(x) − f(baseline)|: NaN where that is 0.

    Raises
    ------
    MetricError
        When the shapes do not fit, or a value is not finite.

    >>> completeness([[[1.0, -0.5], [0.25, 0.0]]], [2.0], [1.0])
    array([0.25])
    """
    parts = [to_numpy(a).astype(np.float64) for a in (attributions, outputs, baseline_outputs)]
    maps, after, before = parts
    if maps.ndim < 3 or after.shape != (len(maps),) or before.shape != (len(maps),):
        raise MetricError(
            "attributions and outputs do not fit",
            expected="(B, C, H, W) or (B, H, W), (B,) and (B,)",
            got=", ".join(str(part.shape) for part in parts),
        )
    if not all(np.isfinite(part).all() for part in parts):
        raise MetricError("an attribution or output is NaN or infinite")
    gain = after - before
    gap = np.abs(maps.reshape(len(maps), -1).sum(1) - gain)
    if not relative:
        return np.asarray(gap)
    some = gain != 0
    return np.asarray(np.divide(gap, np.abs(gain), out=np.full(len(gap), np.nan), where=some))
