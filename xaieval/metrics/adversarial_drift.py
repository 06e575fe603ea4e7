"""Adversarial drift: is the map the same after an attack that the prediction survives?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from xaieval.metrics.evaluator import Ask, Subject, Work
from xaieval.metrics.max_sensitivity import number
from xaieval.metrics.probabilities import Doubles
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.spec import MetricSpec, Options, Param

if TYPE_CHECKING:
    from torch import Tensor

_HALVINGS = 10


def adversarial_drift(ranked: RankedMap, subject: Subject, options: Options) -> Work[float | str]:
    """Return the similarity of the maps before and after a PGD attack that stops at the border.

    ``steps`` times: x ← the projection of x − a · sign(∇ logit of the predicted class) onto the
    l∞ ball of ``radius`` times the picture's range, and onto the range itself;
    a = 2.5 · radius / steps (Madry et al. 2018). A step that would change the prediction is tried
    again at half the length, ten times over, else left out; so the prediction stays what it was.
    Where classes do not exclude each other the prediction is whether the picture has the attribute
    that the map explains: its logit is driven towards 0 and must keep its sign. A network that
    compares embeddings predicts nothing; its cosine is driven down.
    Then the maps of both pictures, of the class that the scored map explains, are compared:
    Spearman's ρ in [−1, 1], or (``similarity="cosine"``) the cosine. High is good.

    NaN where either map is zero or, for Spearman, flat; and, as ``not-defined-for-model``, where
    no step moves the picture: its gradient is zero, or every step changes the prediction.
    """
    steps, radius = int(options["steps"]), float(options["radius"])
    span = subject.high - subject.low
    least = (subject.x - radius * span).maximum(subject.low.minimum(subject.x))
    most = (subject.x + radius * span).minimum(subject.high.maximum(subject.x))
    x, watched = subject.x, subject.watched
    positive = True
    if subject.output == "sigmoid":
        positive = bool((yield Ask("logits", 1, _rows(x)))[0, watched] >= 0)
    for _ in range(steps):
        gradient = yield Ask("gradients", 1, _rows(x), watched)
        if not positive:
            gradient = -gradient
        length = 2.5 * radius / steps
        for _ in range(_HALVINGS + 1):
            moved = (x - length * span * gradient[0].sign()).maximum(least).minimum(most)
            logits = yield Ask("logits", 1, _rows(moved))
            if subject.output == "sigmoid":
                kept = bool(logits[0, watched] >= 0) == positive
            else:
                kept = int(logits[0].argmax()) == watched
            if kept:
                x = moved
                break
            length /= 2
    if bool((x == subject.x).all()):
        return "not-defined-for-model"
    maps = yield Ask("maps", 2, _rows(subject.x, x))
    before, after = maps.detach().cpu().numpy().astype(np.float64).reshape(2, -1)
    return similarity(before, after, str(options["similarity"]))


def _rows(*pictures: Tensor) -> Callable[[int, int], Tensor]:
    """Return ``points(start, stop)`` of some pictures (C, H, W)."""

    def points(start: int, stop: int) -> Tensor:
        import torch

        return torch.stack(pictures[start:stop])

    return points


def similarity(a: Doubles, b: Doubles, kind: str) -> float | str:
    """Return Spearman's ρ (ties at their mean rank) or the cosine of two maps (N,), or a reason.

    >>> similarity(np.array([1.0, 2.0, 4.0]), np.array([0.0, 5.0, 5.5]), "spearman")
    1.0
    """
    if not a.any() or not b.any():
        return "zero-map"
    if kind == "spearman":
        if a.min() == a.max() or b.min() == b.max():
            return "flat-map"
        a, b = rankdata(a), rankdata(b)
        a, b = a - a.mean(), b - b.mean()
    found = float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))
    return min(1.0, max(-1.0, found))


SPEC = MetricSpec(
    id="adversarial_drift",
    label="Adversarial drift",
    summary="similarity of the maps before and after a PGD attack that keeps the prediction",
    needs=frozenset({"model"}),
    formula='ρ(R(x) , R(x′)) , x′ "attacked"',
    undefined=("zero-map", "flat-map", "not-defined-for-model"),
    ask=adversarial_drift,
    read=number,
    bounds=(-1.0, 1.0),
    params=(
        Param("steps", int, "of the attack", default=5, minimum=1),
        Param("radius", float, "of the ball, in units of the range", default=0.02, minimum=0),
        Param(
            "similarity",
            str,
            "of the maps: spearman or cosine",
            default="spearman",
            choices=("spearman", "cosine"),
        ),
    ),
    paper="Madry et al. 2018 (the attack); after Ghorbani et al. 2019 and Dombrowski et al. 2019",
)
