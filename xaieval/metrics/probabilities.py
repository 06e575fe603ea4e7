"""From logits to probabilities, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Doubles = npt.NDArray[np.float64]


def softmax(logits: Tensor) -> Doubles:
    """Return probabilities float64 (n, classes) of logits (n, classes).

    >>> import torch
    >>> softmax(torch.tensor([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    values = logits.detach().cpu().numpy().astype(np.float64)
    powers = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def angles(probabilities: Doubles, reference: Doubles) -> Doubles:
    """Return the angle between square roots of probabilities, float64 (n,), in [0, π/2] rad.

    The square root of a distribution is a unit vector; the angle is Fisher and Rao's distance
    halved. Computed from the chord, which is exact where the arc cosine of a number near 1 loses
    half of its digits.

    >>> angles(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1.0, 0.0])).round(4).tolist()
    [0.0, 0.7854]
    """
    chord = np.linalg.norm(np.sqrt(probabilities) - np.sqrt(reference), axis=1)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1)))
