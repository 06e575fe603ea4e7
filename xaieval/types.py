"""The few frozen values that every room passes on. Invariants are checked once, here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from xaieval.errors import DataError, MethodError, MetricError

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""
Mask = npt.NDArray[np.bool_]
"""(H, W) bool."""
Task = Literal["single", "multilabel", "vqa"]

Reason = Literal[
    "empty-mask",
    "full-mask",
    "zero-map",
    "flat-map",
    "signed-map",
    "absent-part",
    "not-defined-for-model",
    "no-ground-truth",
]
"""Why a score is NaN."""
REASONS: tuple[str, ...] = get_args(Reason)


def check_image(image: Any, where: str) -> Image:
    """Return the image when it is uint8 (H, W, 3), else raise a DataError that names ``where``."""
    if not (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size
    ):
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise DataError("bad image", where=where, expected="uint8 (H, W, 3)", got=got)
    return image


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its label and named regions; pixels are read when first asked for.

    Attributes
    ----------
    id : str
        Path inside the dataset, POSIX, no extension, NFC, unique.
    label : int or bool (n_attributes,) array
        Class index; a bool vector for multi-label sets.
    image : uint8 (H, W, 3), original size
    regions : mapping name -> bool (H, W)
        Ground truth at the image's original size; empty when there is none.
    meta : mapping
        Anything else worth showing (source file, split of the layout, ...).
    extra : object
        A second model input (a question), or None.

    Raises
    ------
    DataError
        On first access of ``image`` or ``regions``, when a file is damaged or sizes differ.
    """

    id: str
    label: int | npt.NDArray[np.bool_]
    read_image: Callable[[], Image] = field(repr=False)
    read_regions: Callable[[], Mapping[str, Mask]] = field(repr=False, default=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    extra: Any = None

    @cached_property
    def image(self) -> Image:
        return check_image(self.read_image(), self.id)

    @cached_property
    def regions(self) -> Mapping[str, Mask]:
        regions = dict(self.read_regions())
        for name, mask in regions.items():
            if mask.dtype != np.bool_ or mask.shape != self.image.shape[:2]:
                raise DataError(
                    f"region {name!r} does not fit its image",
                    where=self.id,
                    expected=f"bool {self.image.shape[:2]}",
                    got=f"{mask.dtype} {mask.shape}",
                    fix="masks must have the size of their image",
                )
        return regions


@dataclass(frozen=True)
class Grid:
    """The coarse grid that a map was drawn from, bilinear between cells.

    Attributes
    ----------
    shape : (rows, columns) of cells
    centre : (y, x)
        Centre of cell (0, 0) in px; that of pixel (0, 0) is (0, 0).
    stride : (y, x)
        Distance of neighbouring cells in px.
    """

    shape: tuple[int, int]
    centre: tuple[float, float]
    stride: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One pooled attribution map in model-input space.

    Attributes
    ----------
    values : float32 (H, W), finite
    method : str
        Method id.
    target : int
        The class that was explained.
    flags : frozenset of str
        ``"zero"`` (every value 0), ``"flat"`` (every value equal), ``"non-finite-replaced"``.
    grid : Grid, optional
        The coarse grid that the map was drawn from, where there is one.
    conservation : float, optional
        Of methods whose attribution adds up to the target logit: the share of the logit by which
        the sum misses it.
    """

    values: npt.NDArray[np.float32]
    method: str
    target: int
    flags: frozenset[str] = frozenset()
    grid: Grid | None = None
    conservation: float | None = None

    def __post_init__(self) -> None:
        values = self.values
        if values.dtype != np.float32 or values.ndim != 2:
            raise MethodError(
                "bad heatmap",
                where=self.method,
                expected="float32 (H, W)",
                got=f"{values.dtype} {values.shape}",
            )
        if not np.isfinite(values).all():
            raise MethodError("heatmap holds NaN or infinity", where=self.method)
        found = set(self.flags)
        if values.size and values.min() == values.max():
            found.add("zero" if values.flat[0] == 0 else "flat")
        object.__setattr__(self, "flags", frozenset(found))


@dataclass(frozen=True)
class Score:
    """A number, or NaN with the reason why there is none.

    >>> Score(0.5), Score(float("nan"), "empty-mask")
    (Score(value=0.5, reason=None), Score(value=nan, reason='empty-mask'))
    """

    value: float
    reason: str | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value) != (self.reason is not None):
            raise MetricError("a score is NaN if and only if it carries a reason", got=self)
        if self.reason is not None and self.reason not in REASONS:
            raise MetricError("unknown reason", expected=f"one of {REASONS}", got=self.reason)
