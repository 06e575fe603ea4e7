"""Methods that read gradients of the target logit with respect to the input."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from xaieval.methods.spec import MethodSpec, Option, Options, Passes, Path

# Zero in model-input space: for normalised input the dataset's mean colour, not black. So do
# captum and project_iml.
BASELINES: dict[str, Callable[[Tensor], Tensor]] = {"zero": torch.zeros_like}
"""Name -> the point that stands for "nothing here", (b, C, H, W) of model input (b, C, H, W)."""


def baseline_option() -> Option:
    """Return the option that names a baseline."""
    return Option(
        default="zero",
        help="what stands for 'nothing here', in model-input space",
        kind="choice",
        choices=tuple(BASELINES),
    )


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
    return (passes.x - BASELINES[options["baseline"]](passes.x)) * passes["path_grad"]


def between(baseline: str, x: Tensor, alphas: Tensor) -> Tensor:
    """Return b + α(x − b) for each row of x (b, C, H, W) with its own α (b,)."""
    share = alphas[:, None, None, None]
    if baseline == "zero":
        return share * x  # the same number without three more passes over memory
    start = BASELINES[baseline](x)
    return start + share * (x - start)


@cache
def gauss_legendre(n_steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return points in (0, 1) and weights (sum 1) of the Gauss-Legendre rule, as captum takes it.

    >>> gauss_legendre(1)
    ((0.5,), (1.0,))
    """
    points, weights = np.polynomial.legendre.leggauss(n_steps)
    return tuple((0.5 * (1 + points)).tolist()), tuple((0.5 * weights).tolist())


def straight_path(options: Options) -> Path:
    """Return the straight line of integrated gradients."""
    return Path(options["baseline"], *gauss_legendre(options["n_steps"]))


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
        needs=frozenset({"path_grad"}),
        path=straight_path,
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
