"""Methods that read gradients of the target logit with respect to the input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from xaieval.methods.baseline_inputs import baseline_input, baseline_option
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads, Stream


@dataclass(frozen=True)
class PathPoints:
    """Points between a baseline b and the picture x, and the weighted sum of gradients there.

    ``Σ_s weights[s] · ∇f_t(b + alphas[s] · (x − b))``.
    """

    baseline: str
    alphas: tuple[float, ...]
    weights: tuple[float, ...]
    reads: Reads = "gradients"

    def per_image(self, size: tuple[int, int]) -> int:
        return len(self.alphas)

    def open(self, passes: Passes) -> PathSum:
        return PathSum(self, passes)


class PathSum(Stream):
    """A path through every picture and the running sum of its gradients.

    Memory does not depend on the number of steps: only the sum is kept.
    """

    def __init__(self, path: PathPoints, passes: Passes) -> None:
        self.path, self.x, self.steps = path, passes.x, len(path.alphas)
        self.rows = len(self.x) * self.steps
        self.alphas = torch.tensor(path.alphas, dtype=self.x.dtype, device=self.x.device)
        # From zero the points are α·x: the same number without three more passes over memory.
        zero = path.baseline == "zero"
        self.start = None if zero else baseline_input(path.baseline, passes)
        self.total = torch.zeros_like(self.x)

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(start, stop, device=self.x.device)
        image = index // self.steps
        share = self.alphas[index % self.steps][:, None, None, None]
        x = self.x[image]
        if self.start is None:
            return share * x, image
        begin = self.start[image]
        return begin + share * (x - begin), image

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        # One by one and in order, so that how rows were packed changes nothing.
        for number, gradient in enumerate(found, start):
            weight = self.path.weights[number % self.steps]
            self.total[number // self.steps].add_(gradient, alpha=weight)

    def result(self) -> Tensor:
        """Return (x − b) · Σ, float (b, C, H, W)."""
        way = self.x if self.start is None else self.x - self.start
        return way * self.total


def saliency(passes: Passes, options: Options) -> Tensor:
    """Return ∂f_t/∂x. Simonyan et al. 2014, section 3."""
    return passes["input_grad"]


def gradient_x_input(passes: Passes, options: Options) -> Tensor:
    """Return x · ∂f_t/∂x, elementwise. Shrikumar et al. 2016, section 3.2."""
    return passes.x * passes["input_grad"]


def integrated_gradients(passes: Passes, options: Options) -> Tensor:
    """Return (x − b) · ∫₀¹ ∇f_t(b + α(x − b)) dα by quadrature.

    Sundararajan, Taly, Yan 2017, section 3. The sum over all inputs approaches f_t(x) − f_t(b).
    """
    found: Tensor = passes.found
    return found


@cache
def gauss_legendre(n_steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return points in (0, 1) and weights (sum 1) of the Gauss-Legendre rule, as captum takes it.

    >>> gauss_legendre(1)
    ((0.5,), (1.0,))
    """
    points, weights = np.polynomial.legendre.leggauss(n_steps)
    return tuple((0.5 * (1 + points)).tolist()), tuple((0.5 * weights).tolist())


def straight_path(options: Options) -> PathPoints:
    """Return the straight line of integrated gradients."""
    return PathPoints(options["baseline"], *gauss_legendre(options["n_steps"]))


def _one(options: Options) -> int:
    return 1


def _steps(options: Options) -> int:
    return int(options["n_steps"])


SPECS = (
    MethodSpec(
        id="saliency",
        label="Saliency",
        summary="size of the target logit's gradient at each pixel",
        family="gradient",
        fn=saliency,
        cost=_one,
        paper="Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034, section 3",
        needs=frozenset({"input_grad"}),
        default_pooling="max-norm",
        signed=True,
    ),
    MethodSpec(
        id="gradient_x_input",
        label="Gradient × input",
        summary="gradient times pixel value: the logit's first-order change from zero input",
        family="gradient",
        fn=gradient_x_input,
        cost=_one,
        paper="Shrikumar, Greenside, Shcherbina, Kundaje 2016, arXiv:1605.01713, section 3.2",
        needs=frozenset({"input_grad"}),
        default_pooling="l1-norm",
        signed=True,
    ),
    MethodSpec(
        id="integrated_gradients",
        label="Integrated gradients",
        summary="gradients averaged on the way from a baseline to the picture, times the way",
        family="gradient",
        fn=integrated_gradients,
        cost=_steps,
        paper="Sundararajan, Taly, Yan 2017, arXiv:1703.01365, section 3",
        stream=straight_path,
        options={
            "n_steps": Option(
                default=25, help="points of the Gauss-Legendre rule", kind="int", low=1
            ),
            "baseline": baseline_option(),
        },
        default_pooling="l1-norm",
        signed=True,
    ),
)
