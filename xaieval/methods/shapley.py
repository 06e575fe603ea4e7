"""Shapley values of superpixels from random orders of appearance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xaieval.digest import rng
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import NETWORKS, Bools, Doubles, as_maps, output_option
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads
from xaieval.methods.superpixels import Coalitions, Scene, scene_of, scene_options

Orders = npt.NDArray[np.int64]


def draw_orders(sample: str, seed: int, n_samples: int, players: int) -> Orders:
    """Return random orders, int64 (n_samples, players): who appears first, second, …"""
    return rng(sample, "shapley_sampling", seed, players).random((n_samples, players)).argsort(1)


def shapley_values(orders: Orders, answers: Doubles) -> Doubles:
    """Return the mean over orders of what each player adds when it appears.

    Parameters
    ----------
    orders : int64 (n, d)
    answers : float64 (2 + n (d − 1),)
        f of nobody, f of all, then for each order f of its first one, two, … d − 1.

    Returns
    -------
    float64 (d,), summing to f(all) − f(nobody)

    >>> shapley_values(np.array([[0, 1], [1, 0]]), np.array([0.0, 5.0, 3.0, 1.0])).tolist()
    [3.5, 1.5]
    """
    n, players = orders.shape
    ends = np.empty((n, players + 1))
    ends[:, 0], ends[:, -1] = answers[:2]
    ends[:, 1:-1] = answers[2:].reshape(n, players - 1)
    total = np.zeros(players)
    np.add.at(total, orders, np.diff(ends, axis=1))
    values: Doubles = total / n
    return values


@dataclass(frozen=True)
class OrdersOfAppearance:
    """Copies in which superpixels appear one after the other, in random orders."""

    n_samples: int
    scene: Scene
    output: str
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> None:
        return None  # the picture decides how many superpixels there are

    def open(self, passes: Passes) -> Appearances:
        return Appearances(self, passes)


class Appearances(Coalitions):
    """Answers along random orders; the first two copies show nothing and everything."""

    orders: tuple[Orders, ...]

    def __init__(self, spec: OrdersOfAppearance, passes: Passes) -> None:
        self.n_samples = spec.n_samples
        super().__init__(passes, spec.scene, spec.output)

    def prepare(self, passes: Passes, players: Sequence[int]) -> None:
        self.orders = tuple(
            draw_orders(sample, passes.seed, self.n_samples, count)
            for sample, count in zip(passes.sample_ids, players, strict=True)
        )

    def count(self, image: int) -> int:
        return 2 + self.n_samples * int(self.orders[image].shape[1] - 1)

    def present(self, image: int, start: int, stop: int) -> Bools:
        orders = self.orders[image]
        seen = np.zeros((stop - start, orders.shape[1]), bool)
        for row, number in zip(seen, range(start, stop), strict=True):
            if number < 2:
                row[:] = number == 1
            else:
                order, place = divmod(number - 2, orders.shape[1] - 1)
                row[orders[order, : place + 1]] = True
        return seen

    def result(self) -> Tensor:
        found = enumerate(zip(self.orders, self.answers, strict=True))
        return as_maps(
            [self.spread(i, shapley_values(orders, answers)) for i, (orders, answers) in found],
            self.passes,
        )


def shapley_sampling(passes: Passes, options: Options) -> Tensor:
    """Return each superpixel's Shapley value, averaged over random orders of appearance.

    Castro, Gómez and Tejada 2009; Štrumbelj and Kononenko 2010, section 3. The values sum to
    f(picture) − f(baseline) whatever the orders.
    """
    found: Tensor = passes.found
    return found


def _stream(options: Options) -> OrdersOfAppearance:
    return OrdersOfAppearance(options["n_samples"], scene_of(options), options["output"])


def _cost(options: Options) -> int:
    """Return the rows when the superpixels are as many as wanted."""
    return 2 + int(options["n_samples"] * (options["n_segments"] - 1))


SPECS = (
    MethodSpec(
        id="shapley_sampling",
        label="Shapley sampling",
        summary="Shapley values of superpixels, mean over random orders of appearance",
        family="perturbation",
        fn=shapley_sampling,
        cost=_cost,
        paper="Castro, Gómez, Tejada 2009, doi:10.1016/j.cor.2008.04.004; "
        "Štrumbelj and Kononenko 2010, JMLR 11, section 3",
        stream=_stream,
        options={
            "n_samples": Option(
                default=25, help="random orders (25 as in captum)", kind="int", low=1
            ),
            **scene_options("zero"),
            "output": output_option("logit"),
        },
        default_pooling="sum,pos",
        signed=True,
        stochastic=True,
        layers_defined=NETWORKS,
    ),
)
