"""Falsification: does hiding the high pixels change the output more than hiding the low ones?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xaieval.digest import rng
from xaieval.metrics.evaluator import Ask, Kind, Subject, Work
from xaieval.metrics.probabilities import Doubles, angles, directions
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.spec import MetricSpec, Options, Param, Reader, Variant
from xaieval.types import Score

if TYPE_CHECKING:
    from torch import Tensor

RULES = ("paper", "area-matched")
FILLS = ("zero", "mean", "noise")
HIGH, LOW, JITTER = 0.7, 0.3, 0.02


@dataclass(frozen=True, eq=False)
class Falsification:
    """What hiding high and low pixels did to the output.

    Attributes
    ----------
    d_high, d_low : float64 (k,)
        Angle (rad) between the outputs of the picture and of each copy.
    high, low : float
        Share of the picture that lies in each set.
    """

    d_high: Doubles
    d_low: Doubles
    high: float
    low: float

    @property
    def margin(self) -> float:
        """Mean d_high − mean d_low, rad; in [−π/2, π/2], for embeddings in [−π, π]."""
        return float(self.d_high.mean() - self.d_low.mean())

    @property
    def falsified(self) -> bool:
        """Whether hiding the low pixels changed as much or more."""
        return self.margin <= 0

    @property
    def violations(self) -> float:
        """Share of the k² pairs of a high and a low copy with d_high <= d_low, in [0, 1].

        >>> Falsification(np.array([0.2, 0.5]), np.array([0.1, 0.2]), 0.1, 0.2).violations
        0.25
        """
        beaten = len(self.d_low) - np.searchsorted(np.sort(self.d_low), self.d_high, "left")
        return float(beaten.mean() / len(self.d_low))


def falsification(
    ranked: RankedMap, subject: Subject, options: Options
) -> Work[Falsification | str]:
    """Return the distances of the output with high and with low pixels hidden.

    With the map min-max scaled, high = {R > 0.7} and low = {R < 0.3}. k copies hide each set:
    its pixels become ``fill`` (0, i.e. black; the picture's mean colour; or uniform noise), then
    the whole picture gets noise N(0, 0.02) and is clipped to [0, 1]. The distance is the angle
    between the outputs before and after as unit vectors (``probabilities.directions``): of
    classes the square roots of the softmax; of attributes those of all their probabilities and
    the rest to 1; of a network that compares embeddings the embedding itself. The map is
    falsified (1) if the mean d_high <= the mean d_low, else 0; the mean over images is the
    falsification rate (FR).

    ``rule="paper"`` hides all of each set and so mostly compares their areas: a meaningless map
    with one sharp peak has a tiny high and a huge low set and is nearly always falsified, its
    inverse nearly never. ``rule="area-matched"`` draws for each copy as many pixels of each set
    as the smaller one has; take that one for conclusions. Copy i of both sets has the same
    jitter; everything is seeded by the sample id. A flat or zero map is NaN.
    """
    if ranked.reason:
        return ranked.reason
    values = ranked.flat.astype(np.float64)
    scaled = (values - ranked.low) / (ranked.high - ranked.low)
    high, low = np.flatnonzero(scaled > HIGH), np.flatnonzero(scaled < LOW)
    k, fill = int(options["k"]), str(options["fill"])
    count = min(len(high), len(low)) if options["rule"] == "area-matched" else None
    kind: Kind = "embeddings" if subject.output == "cosine" else "logits"
    original = directions((yield Ask(kind, 1, lambda start, stop: subject.x[None])), subject)[0]
    if not original.any():  # an embedding of length 0
        return "not-defined-for-model"
    distances = []
    for name, pixels in (("high", high), ("low", low)):
        found = yield Ask(kind, k, _copies(subject, name, pixels, count, fill))
        distances.append(angles(directions(found, subject), original))
    size = ranked.size
    return Falsification(distances[0], distances[1], len(high) / size, len(low) / size)


def _copies(
    subject: Subject, name: str, pixels: npt.NDArray[np.intp], count: int | None, fill: str
) -> Callable[[int, int], Tensor]:
    """Return ``points(start, stop)``: copies that hide ``count`` (None: all) of some pixels."""
    low, high = (end.cpu().numpy().astype(np.float32) for end in (subject.low, subject.high))
    picture = (subject.x.detach().cpu().numpy() - low) / (high - low)
    picture = picture.reshape(len(picture), -1).astype(np.float32)
    mean = picture.mean(1, keepdims=True, dtype=np.float64)

    def copy(number: int) -> npt.NDArray[np.float32]:
        jitter = rng(subject.sample_id, "falsification", number)
        own = rng(subject.sample_id, "falsification", number, name)
        hidden = pixels if count is None else own.choice(pixels, count, replace=False)
        found = picture.copy()
        if fill == "noise":
            found[:, hidden] = own.random((len(found), len(hidden)), np.float32)
        else:
            found[:, hidden] = mean if fill == "mean" else 0
        found += JITTER * jitter.standard_normal(found.shape, np.float32)
        return np.clip(found, 0, 1, out=found)

    def points(start: int, stop: int) -> Tensor:
        rows = np.stack([copy(number) for number in range(start, stop)])
        shape = (stop - start, *subject.x.shape)
        return subject.x.new_tensor(rows.reshape(shape) * (high - low) + low)

    return points


def _reader(read: Callable[[Falsification], float]) -> Reader:
    def score(found: Falsification | str) -> Score:
        return Score(math.nan, found) if isinstance(found, str) else Score(float(read(found)))

    return score


SPEC = MetricSpec(
    id="falsification",
    label="Falsified",
    summary="1 if hiding low pixels changes the output as much as hiding high ones; mean: FR",
    needs=frozenset({"model"}),
    formula='1 "if" mean d_high ≤ mean d_low , "else" 0',
    undefined=("zero-map", "flat-map", "not-defined-for-model"),
    ask=falsification,
    read=_reader(lambda found: found.falsified),
    higher_is_better=False,
    params=(
        Param(
            "rule",
            str,
            "paper: all pixels of each set; area-matched: as many of each",
            default="paper",
            choices=RULES,
        ),
        Param("fill", str, "what hides a pixel: zero, mean, noise", default="zero", choices=FILLS),
        Param("k", int, "copies of each set", default=100, minimum=1),
    ),
    variants=(
        Variant(
            key="falsification@rule=area-matched",
            label="Falsified (rule=area-matched)",
            summary="both sets sampled to the same size: the one for conclusions",
        ),
        Variant(
            key="falsification_margin",
            label="Falsification margin",
            summary="mean d_high − mean d_low, rad",
            name="falsification_margin",
            formula="mean d_high − mean d_low",
            bounds=(-math.pi / 2, math.pi / 2),
            read=_reader(lambda found: found.margin),
        ),
        Variant(
            key="falsification_violations",
            label="Falsification violations",
            summary="share of the pairs of copies with d_high <= d_low",
            name="falsification_violations",
            formula='"share of pairs with" d_high ≤ d_low',
            read=_reader(lambda found: found.violations),
            higher_is_better=False,
        ),
        Variant(
            key="falsification_high",
            label="High area",
            summary="share of the picture above 0.7 of the map's range",
            name="falsification_high",
            formula="|{R > 0.7}| / N",
            read=_reader(lambda found: found.high),
            higher_is_better=None,
        ),
        Variant(
            key="falsification_low",
            label="Low area",
            summary="share of the picture below 0.3 of the map's range",
            name="falsification_low",
            formula="|{R < 0.3}| / N",
            read=_reader(lambda found: found.low),
            higher_is_better=None,
        ),
    ),
    paper="defined in the docs; square roots of probabilities stand for embeddings",
)
