"""What comes in: numpy or torch, checked once, handed on map by map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.errors import MetricError
from xaieval.metrics.pooling import Floats, pool


def to_numpy(array: Any) -> npt.NDArray[Any]:
    """Return a numpy view or copy of an array, a list of arrays or a torch tensor (any device)."""
    if hasattr(array, "detach"):  # a torch tensor, without importing torch for those who have none
        tensor = array.detach().cpu()
        # numpy has no bfloat16; float32 holds all its values
        tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
        return np.asarray(tensor.numpy())
    try:
        return np.asarray(array)
    except ValueError as error:
        raise MetricError("arrays of one batch differ in shape", got=str(error)) from error


def heatmap_batch(heatmaps: Any, *, channels: bool) -> Floats:
    """Return heatmaps as float32 or float64 (B, H, W), or (B, C, H, W) where channels may come.

    Raises
    ------
    MetricError
        For another shape or dtype. Integers are refused: rounded maps tie where the method's own
        values do not.
    """
    array = to_numpy(heatmaps)
    shapes = "(B, H, W)" + (" or (B, C, H, W)" if channels else "")
    if array.ndim != 3 and not (channels and array.ndim == 4):
        fix = "add the batch axis: heatmap[None]" if array.ndim == 2 else None
        if array.ndim == 4:
            fix = "name how channels become one map, for example Rules(pooling='l1-norm')"
        raise MetricError(
            "bad heatmaps", expected=f"float32 {shapes}", got=f"shape {array.shape}", fix=fix
        )
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise MetricError(
            "bad heatmaps",
            expected=f"float32 {shapes}",
            got=f"dtype {array.dtype}",
            fix="pass the method's own values, not a picture of them",
        )
    return array


def pooled(heatmap: Floats, pooling: str | None) -> Floats:
    """Return one map (H, W): pooled over channels where a pooling is named."""
    if pooling is None:
        return heatmap
    return pool(heatmap if heatmap.ndim == 3 else heatmap[None], pooling)


def mask_batch(masks: Any, heatmaps: Floats) -> tuple[npt.NDArray[np.bool_], bool]:
    """Return masks as bool (B, P, H, W), and whether they came with an axis of regions.

    Raises
    ------
    MetricError
        For another dtype, or a shape that does not fit the heatmaps.
    """
    array = to_numpy(masks)
    batch, size = heatmaps.shape[0], heatmaps.shape[-2:]
    if array.dtype != np.bool_:
        raise MetricError(
            "bad masks",
            expected="bool (B, H, W) or (B, P, H, W)",
            got=f"dtype {array.dtype}",
            fix="say which pixels belong to the region: mask > 0",
        )
    if array.ndim not in (3, 4) or array.shape[0] != batch or array.shape[-2:] != size:
        raise MetricError(
            "masks do not fit the heatmaps",
            expected=f"bool ({batch}, {size[0]}, {size[1]}) or ({batch}, P, {size[0]}, {size[1]})",
            got=f"shape {array.shape}",
            fix="bring image and mask to model-input space with one Geometry",
        )
    return (array, True) if array.ndim == 4 else (array[:, None], False)
