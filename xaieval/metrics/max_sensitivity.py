"""Max-sensitivity: how much the map changes when the picture hardly does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from xaieval.digest import rng
from xaieval.metrics.evaluator import Ask, Subject, Work
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.spec import MetricSpec, Options, Param
from xaieval.types import Score

if TYPE_CHECKING:
    from torch import Tensor


def max_sensitivity(ranked: RankedMap, subject: Subject, options: Options) -> Work[float | str]:
    """Return the largest relative change of the map among pictures close by.

    max over n samples of ‖Φ(x + δ) − Φ(x)‖₂ / ‖Φ(x)‖₂, with δ uniform in the l∞ ball of
    ``radius`` times the range of the picture (black to white), seeded by the sample id and the
    same for every method. Both maps are made by the method, of the class that the scored map
    explains; a stochastic method draws the same numbers for each. In [0, ∞); low is good, and a
    method that ignores the picture scores 0. Zero where Φ(x) is zero: NaN.

    Yeh et al. 2019, section 3.2, definition 3; n and radius as in their code and captum.
    """
    n, radius = int(options["n"]), float(options["radius"])
    span = (subject.high - subject.low) * radius

    def points(start: int, stop: int) -> Tensor:
        noise = [
            rng(subject.sample_id, "max-sensitivity", i).uniform(-1, 1, tuple(subject.x.shape))
            if i
            else np.zeros(tuple(subject.x.shape))
            for i in range(start, stop)
        ]
        return subject.x + subject.x.new_tensor(np.stack(noise)) * span

    maps = _doubles((yield Ask("maps", n + 1, points))).reshape(n + 1, -1)
    size = float(np.linalg.norm(maps[0]))
    if not size:
        return "zero-map"
    return float(np.linalg.norm(maps[1:] - maps[0], axis=1).max()) / size


def _doubles(maps: Any) -> Any:
    return maps.detach().cpu().numpy().astype(np.float64)


def number(found: float | str) -> Score:
    """Return a number, or NaN with the reason found instead."""
    return Score(math.nan, found) if isinstance(found, str) else Score(found)


SPEC = MetricSpec(
    id="max_sensitivity",
    label="Max-sensitivity",
    summary="largest relative change of the map within a small ball around the picture",
    needs=frozenset({"model"}),
    formula="max_δ ‖R(x + δ) − R(x)‖ / ‖R(x)‖",
    undefined=("zero-map",),
    ask=max_sensitivity,
    read=number,
    higher_is_better=False,
    bounds=(0.0, math.inf),
    params=(
        Param("n", int, "samples", default=10, minimum=1),
        Param("radius", float, "of the ball, in units of the range", default=0.02, minimum=0),
    ),
    paper="Yeh et al. 2019, section 3.2",
)
