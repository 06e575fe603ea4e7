"""Pictures that lose their pixels in the order of a heatmap, and the curve of a probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, gaussian_filter1d

from xaieval.digest import rng
from xaieval.metrics.evaluator import Ask, Subject, Work
from xaieval.metrics.imputation import impute
from xaieval.metrics.probabilities import watched
from xaieval.metrics.ranking import RankedMap
from xaieval.metrics.spec import Param

if TYPE_CHECKING:
    from torch import Tensor

Ints = npt.NDArray[np.int64]
TIES = ("random", "first")
FILLS = {
    "zero": "0 in model input: the mean colour of the training pictures, as in Petsiuk's code",
    "mean": "the mean of this picture, per channel",
    "black": "a black pixel",
    "blur": "the picture blurred as in Petsiuk's code (kernel 11 px, sigma 5 px)",
    "road": "noisy linear imputation (Rong et al. 2022), solved anew for every step: slow",
}
"""Name -> what stands where a pixel is not (yet, or any more) the picture's own."""
TIES_PARAM = Param(
    "ties",
    str,
    "order of pixels of one value: random (seeded by the sample id) or first (row by row)",
    default="random",
    choices=TIES,
)
STEPS_PARAM = Param("steps", int, "equal steps from 0 to all pixels", default=100, minimum=1)


@dataclass(frozen=True, eq=False)
class Curve:
    """A probability while pixels go or come.

    Attributes
    ----------
    shares : float64 (steps + 1,)
        Share of the pixels changed, 0 to 1.
    probabilities : float64 (steps + 1,)
        Softmax probability of the originally predicted class (``probabilities.watched``).
    """

    shares: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area under the curve by the trapezoid rule.

        >>> Curve(np.array([0, 0.5, 1]), np.array([1.0, 0.5, 0.5])).area
        0.625
        """
        return float(np.trapezoid(self.probabilities, self.shares))


def order(ranked: RankedMap, sample_id: str, ties: str) -> Ints:
    """Return the place of each pixel in descending order, int64 (H, W): 0 is the highest.

    Pixels of one value have no order of their own: they come in a random one, seeded by the sample
    id and so the same for every method, or (``ties="first"``) row by row.

    >>> ranked = RankedMap(np.array([[1.0, 3.0], [1.0, 2.0]], np.float32))
    >>> order(ranked, "a", "first").tolist()
    [[2, 0], [3, 1]]
    """
    if ties == "first":
        sequence = np.argsort(-ranked.flat, kind="stable")
    else:
        lots = rng(sample_id, "removal-order").permutation(ranked.size)
        sequence = np.lexsort((lots, -ranked.flat))
    places = np.empty(ranked.size, np.int64)
    places[sequence] = np.arange(ranked.size)
    return places.reshape(ranked.shape)


def blurred(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (C, H, W) blurred as Petsiuk et al. do: 11 × 11 kernel of sigma 5, zeros outside.

    Their kernel is an impulse on 11 × 11 pixels under scipy's Gaussian filter, whose reflecting
    edges fold the tails back in: it sums to 1.
    """
    impulse = np.zeros(11)
    impulse[5] = 1
    kernel = gaussian_filter1d(impulse, 5)
    rows = correlate1d(x, kernel, axis=1, mode="constant")
    return np.asarray(correlate1d(rows, kernel, axis=2, mode="constant"))


def substrate(subject: Subject, fill: str) -> Tensor:
    """Return what stands under the picture, (C, H, W) or (C, 1, 1), for every fill but "road"."""
    x = subject.x
    if fill == "blur":
        return x.new_tensor(blurred(x.detach().cpu().numpy().astype(np.float64)))
    if fill == "mean":
        return x.double().mean((1, 2), keepdim=True).to(x.dtype)
    return subject.low if fill == "black" else x.new_zeros((len(x), 1, 1))


def removals(subject: Subject, places: Ints, counts: Ints, fill: str) -> Callable[..., Tensor]:
    """Return ``points(start, stop)``: pictures without their first ``counts[i]`` pixels.

    Parameters
    ----------
    places : int64 (H, W)
        As ``order`` gives them; reversed (N − 1 − places) the lowest go first.
    counts : int64 (rows,)
        How many pixels each row lacks.
    fill : str
        A key of ``FILLS``.
    """
    x = subject.x
    if fill == "road":

        def imputed(start: int, stop: int) -> Tensor:
            span = (subject.high - subject.low).cpu().numpy()
            picture = x.detach().cpu().numpy()
            rows = [
                impute(picture, places < n, span, rng(subject.sample_id, "road", int(n)))
                for n in counts[start:stop]
            ]
            return x.new_tensor(np.stack(rows))

        return imputed
    under, ranks = substrate(subject, fill), x.new_tensor(places).int()

    def points(start: int, stop: int) -> Tensor:
        gone = x.new_tensor(counts[start:stop]).int()[:, None, None, None]
        return x.where(ranks >= gone, under)

    return points


def curve(
    ranked: RankedMap, subject: Subject, *, fill: str, steps: int, ties: str, insert: bool = False
) -> Work[Curve]:
    """Remove (or ``insert``) pixels from the highest to the lowest and watch the prediction.

    After step i, ⌊i·N / steps⌋ of the N pixels are changed.
    """
    counts = np.arange(steps + 1) * ranked.size // steps
    places = order(ranked, subject.sample_id, ties)
    # To insert the n highest is to remove the N - n lowest.
    if insert:
        places, gone = ranked.size - 1 - places, ranked.size - counts
    else:
        gone = counts
    logits = yield Ask("logits", steps + 1, removals(subject, places, gone, fill))
    return Curve(np.arange(steps + 1) / steps, watched(logits, subject))
