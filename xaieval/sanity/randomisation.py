"""Does a map change when the weights do? Adebayo et al. 2018, arXiv:1810.03292, section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.sanity.limits import AGREEMENT_CEILING, NULL_PERCENTILE
from xaieval.sanity.report import Check
from xaieval.sanity.similarity import Floats, median, ranks, ssim


@dataclass(frozen=True, eq=False)
class Agreement:
    """Ranks of a method's maps under the trained network and under independent random ones."""

    trained: npt.NDArray[np.float64]
    random: tuple[npt.NDArray[np.float64], ...]

    @classmethod
    def of(cls, trained: Floats, random: Sequence[Floats]) -> Agreement:
        """Rank maps (n, H, W) of the same n images."""
        return cls(ranks(trained), tuple(ranks(maps) for maps in random))

    def to_trained(self) -> npt.NDArray[np.float64]:
        """Return |ρ| between the trained and each random network's map of the same image.

        0 where only the random network's map is flat (nothing of it is left), NaN where the
        trained one's is.
        """
        found = [np.abs((self.trained * other).sum(1)) for other in self.random]
        gone = np.isnan(self.trained).any(1)
        return np.concatenate([np.where(gone, np.nan, np.nan_to_num(rho)) for rho in found])

    def _pairs(self) -> list[npt.NDArray[np.float64]]:
        return [
            np.abs(first @ second.T)
            for i, first in enumerate(self.random)
            for second in self.random[i + 1 :]
        ]

    def by_chance(self) -> npt.NDArray[np.float64]:
        """Return |ρ| between two random networks' maps of different images, defined ones only."""
        pairs = self._pairs()
        off = ~np.eye(len(self.trained), dtype=bool)
        return _defined([rho[off] for rho in pairs])

    def same_image(self) -> npt.NDArray[np.float64]:
        """Return |ρ| between two random networks' maps of the same image, defined ones only."""
        pairs = self._pairs()
        return _defined([np.diag(rho) for rho in pairs])


def _defined(parts: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return all numbers that are not NaN, end to end."""
    found = np.concatenate([np.empty(0), *parts])
    return np.asarray(found[~np.isnan(found)])


def randomisation(agreement: Agreement) -> tuple[Check, Check]:
    """Hold what is left of a method's maps after full randomisation against chance.

    Value: median |ρ| between a map of the trained network and that of the same image by a network
    with all weights random. Limit: the 95th percentile of |ρ| between maps of two independent
    random networks **of different images**, at most 0.9. The images differ because on the same
    image a method that ignores the model agrees with itself perfectly and would set a limit that
    nothing exceeds. How far random networks agree on the same image is the second check; it
    decides nothing and shows how much image and architecture draw by themselves.

    >>> edges = np.random.default_rng(0).random((4, 8, 8))
    >>> randomisation(Agreement.of(edges, [edges, edges, edges]))[0].passed
    False
    """
    values, chance = agreement.to_trained(), agreement.by_chance()
    limit = float(np.percentile(chance, NULL_PERCENTILE)) if chance.size else 0.0
    same = agreement.same_image()
    return (
        Check(
            "randomisation",
            median(values),
            min(limit, AGREEMENT_CEILING),
            n=int((~np.isnan(values)).sum()),
        ),
        Check("random networks, same image", median(same), None, n=same.size),
    )


def cascade(trained: Floats, stage: Floats) -> tuple[float | None, float | None]:
    """Return median |ρ| and SSIM over images between the trained network's maps and a stage's."""
    rho = np.abs((ranks(trained) * ranks(stage)).sum(1))
    return median(rho), median(ssim(trained, stage))
