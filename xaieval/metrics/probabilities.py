"""From what a network puts out to probabilities, and to distances, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit

if TYPE_CHECKING:
    from torch import Tensor

    from xaieval.metrics.evaluator import Subject

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


def watched(logits: Tensor, subject: Subject) -> Doubles:
    """Return the number in [0, 1] that curves follow, float64 (n,), of logits (n, classes).

    The softmax probability of the predicted class; of attributes, the sigmoid of the one that is
    explained; of a cosine c, (1 + c) / 2.
    """
    if subject.output == "softmax":
        return np.asarray(softmax(logits)[:, subject.watched])
    values = logits.detach().cpu().numpy().astype(np.float64)[:, subject.watched]
    return np.asarray(expit(values) if subject.output == "sigmoid" else (1 + values) / 2)


def directions(found: Tensor, subject: Subject) -> Doubles:
    """Return unit vectors float64 (n, D) whose angles are the distances between outputs.

    Of logits (n, C) of classes, the square roots of the softmax. Of attributes, with
    p = sigmoid(logit), the square roots of p_1 … p_C and 1 − p_1 … 1 − p_C over √C: the square root
    of C Bernoulli distributions, each of the same weight (our reading; the paper has one
    embedding). Of embeddings (n, D), their directions; one of length 0 stays 0.
    """
    if subject.output == "softmax":
        return np.sqrt(softmax(found))
    values = found.detach().cpu().numpy().astype(np.float64)
    if subject.output == "sigmoid":
        each = np.concatenate([expit(values), expit(-values)], axis=1)
        return np.asarray(np.sqrt(each / values.shape[1]))
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0))


def angles(vectors: Doubles, reference: Doubles) -> Doubles:
    """Return the angle between unit vectors (n, D) and one (D,), float64 (n,), in [0, π] rad.

    Of square roots of distributions it is Fisher and Rao's distance halved, at most π/2. Computed
    from the chord, which is exact where the arc cosine of a number near 1 loses half of its
    digits. A vector of zeros has no direction: a right angle.

    >>> angles(np.array([[1.0, 0.0], [0.5, 0.5]]) ** 0.5, np.array([1.0, 0.0])).round(4).tolist()
    [0.0, 0.7854]
    """
    chord = np.linalg.norm(vectors - reference, axis=1)
    found = np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1)))
    return np.where(vectors.any(1), found, np.pi / 2)
