"""What stands for "nothing here": the inputs that methods compare a picture with."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from xaieval.digest import rng
from xaieval.methods.passes import Passes
from xaieval.methods.spec import Option

# Sturmfels, Lundberg, Lee 2020 (Distill, "Visualizing the impact of feature attribution
# baselines") blur 299 px pictures with σ = 20 px.
_BLUR_SHARE = 20 / 299


def _zero(passes: Passes) -> Tensor:
    # Zero in model-input space: for normalised input the dataset's mean colour, not black. So do
    # captum and project_iml.
    return torch.zeros_like(passes.x)


def _mean(passes: Passes) -> Tensor:
    return passes.x.mean((2, 3), keepdim=True).expand_as(passes.x)


def _blurred(passes: Passes) -> Tensor:
    return blur(passes.x, _BLUR_SHARE * min(passes.size))


def _noise(passes: Passes) -> Tensor:
    return uniform_noise(passes, "baseline")


BASELINE_INPUTS: dict[str, Callable[[Passes], Tensor]] = {
    "zero": _zero,
    "mean": _mean,
    "blurred": _blurred,
    "noise": _noise,
}
"""Name -> the input that stands for "nothing here", float (b, C, H, W).

``zero``: zero in model-input space; ``mean``: each picture's mean colour; ``blurred``: the picture
blurred by a Gaussian of σ = 20/299 of the short side; ``noise``: uniform noise over the values that
the input can take, seeded by sample and study seed.
"""


def baseline_option(default: str = "zero") -> Option:
    """Return the option that names a baseline input."""
    return Option(
        default=default,
        help="what stands for 'nothing here', in model-input space",
        kind="choice",
        choices=tuple(BASELINE_INPUTS),
    )


def baseline_input(name: str, passes: Passes) -> Tensor:
    """Return the baseline input of each picture, float (b, C, H, W)."""
    return BASELINE_INPUTS[name](passes)


def uniform_noise(passes: Passes, *salt: object) -> Tensor:
    """Return uniform noise between the bounds of model input, seeded by sample, salt and seed."""
    low, high = passes.bounds()
    shape = passes.x.shape[1:]
    drawn = [
        torch.from_numpy(rng(sample, "uniform", *salt, passes.seed).random(shape))
        for sample in passes.sample_ids
    ]
    return low + torch.stack(drawn).to(passes.x) * (high - low)


def blur(x: Tensor, sigma: float, reach: float = 3) -> Tensor:
    """Return pictures (b, C, H, W) blurred by a Gaussian of σ px, edges replicated.

    The kernel is cut at ``reach`` σ.
    """
    radius = min(max(1, math.ceil(reach * sigma)), min(x.shape[2:]) * 2)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(x)
    single = x.reshape(-1, 1, *x.shape[2:])
    # Row by row: a convolution's rounding may depend on how many rows there are.
    rows = []
    for row in single:
        framed = pad(row[None], (radius, radius, radius, radius), mode="replicate")
        across = conv2d(framed, kernel[None, None, None])
        rows.append(conv2d(across, kernel[None, None, :, None])[0])
    return torch.stack(rows).reshape(x.shape)
