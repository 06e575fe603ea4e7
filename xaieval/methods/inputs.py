"""What a run accepts: model input, targets and sample ids, checked and brought to the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from xaieval.digest import digest
from xaieval.errors import MethodError


def checked_input(x: Tensor, where: str | None = None) -> Tensor:
    """Return model input as it is, once its form and values are found right."""
    if x.ndim != 4 or not x.is_floating_point() or x.numel() == 0:
        raise MethodError(
            "bad model input",
            where=where,
            expected="float (B, channels, H, W) with at least one image",
            got=f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}",
        )
    if not torch.isfinite(x).all():
        raise MethodError(
            "the model input holds NaN or infinity", where=where, fix="check the images"
        )
    return x.detach()


def checked_targets(
    targets: Literal["predicted"] | Tensor, count: int, device: torch.device
) -> Tensor:
    """Return targets int64 (count,) on the device, a copy; zeros to be filled for "predicted"."""
    if isinstance(targets, str):
        if targets != "predicted":
            raise MethodError("bad targets", expected="'predicted' or int (B,)", got=repr(targets))
        return torch.zeros(count, dtype=torch.int64, device=device)
    if (
        targets.shape != (count,)
        or targets.is_floating_point()
        or targets.dtype == torch.bool
        or targets.is_complex()
    ):
        raise MethodError(
            "bad targets",
            expected=f"one class index per image, int ({count},)",
            got=f"{str(targets.dtype).removeprefix('torch.')} {tuple(targets.shape)}",
        )
    return targets.to(device, torch.int64).clone()


def check_range(targets: Tensor, classes: int, where: str | None = None) -> None:
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise MethodError(
            "target out of range",
            where=where,
            expected=f"0 to {classes - 1}, the network has {classes} classes",
            got=low if low < 0 else high,
        )


def checked_ids(sample_ids: Sequence[str] | None, x: Tensor) -> tuple[str, ...]:
    if sample_ids is None:
        return tuple(digest("pixels", row.cpu().numpy()) for row in x)
    if len(sample_ids) != len(x):
        raise MethodError(
            "sample_ids do not fit the images", expected=f"{len(x)} ids", got=len(sample_ids)
        )
    return tuple(sample_ids)
