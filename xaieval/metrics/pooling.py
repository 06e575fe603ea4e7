"""From channels to one map: the published poolings, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.errors import unknown

Floats = npt.NDArray[Any]
"""A float32 or float64 array."""


def _l1(a: Floats) -> Floats:
    return np.asarray(np.abs(a).sum(axis=-3))


def _squares(a: Floats) -> Floats:
    return np.asarray(np.square(a).sum(axis=-3))


POOLINGS: dict[str, Callable[[Floats], Floats]] = {
    "sum,abs": lambda a: np.asarray(np.abs(a.sum(axis=-3))),
    "sum,pos": lambda a: np.asarray(np.maximum(a.sum(axis=-3), 0)),
    "max-norm": lambda a: np.asarray(np.abs(a).max(axis=-3)),
    "l1-norm": _l1,
    "l2-norm": lambda a: np.asarray(np.sqrt(_squares(a))),
    "l2-norm,sq": _squares,
    "pos,sum": lambda a: np.asarray(np.maximum(a, 0).sum(axis=-3)),
    "sum": lambda a: np.asarray(a.sum(axis=-3)),
}
"""Name -> pooling over the channel axis (third from the end). All but ``sum`` are >= 0."""


def pool(attribution: Floats, name: str) -> Floats:
    """Reduce attributions (..., C, H, W) to maps (..., H, W).

    With channels c: ``sum,abs`` = abs(sum_c A); ``sum,pos`` = max(sum_c A, 0); ``max-norm`` =
    max_c abs(A); ``l1-norm`` = sum_c abs(A); ``l2-norm`` = sqrt(sum_c A²); ``l2-norm,sq`` =
    sum_c A² (the six of Arras et al. 2022); ``pos,sum`` = sum_c max(A, 0); ``sum`` = sum_c A,
    signed.

    Raises
    ------
    ConfigError
        For an unknown name.

    >>> pool(np.array([[[3.0]], [[-4.0]]]), "l2-norm"), pool(np.array([[[3.0]], [[-4.0]]]), "sum")
    (array([[5.]]), array([[-1.]]))
    """
    if name not in POOLINGS:
        raise unknown("pooling", name, POOLINGS)
    return POOLINGS[name](attribution)
