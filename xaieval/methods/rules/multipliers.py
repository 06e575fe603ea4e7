"""Functions whose backward hands on changes over changes: the rules of DeepLIFT one by one.

Each takes what it was given at the picture and at the baseline, and satisfies Σ m Δin = Δout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xaieval.methods.rules.norms import Norm

# Below it Δin counts as zero, as in captum.
TINY = 1e-10


class Rescaled(torch.autograd.Function):
    """f(z), elementwise, with Δf / Δz as its derivative."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, before: Tensor, function: Callable[[Tensor], Tensor], smooth: bool
    ) -> Tensor:
        change = z - before
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            found = function(leaf)
            (slope,) = torch.autograd.grad(found, leaf, torch.ones_like(found))
        found = found.detach()
        # The quotient of two roundings is worse than a derivative when the change is below √eps.
        scale = z.abs().clamp(min=1) * torch.finfo(z.dtype).eps ** 0.5 if smooth else TINY
        ratio = (found - function(before)) / change
        ctx.save_for_backward(torch.where(change.abs() < scale, slope, ratio))
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0] * ctx.saved_tensors[0], None, None, None


class Product(torch.autograd.Function):
    """A product, linear in either factor: each meets the mean of the other."""

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        b: Tensor,
        a_before: Tensor,
        b_before: Tensor,
        product: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        ctx.save_for_backward((a + a_before) / 2, (b + b_before) / 2)
        ctx.product = product
        return product(a, b)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            a, b = (mean.detach().requires_grad_() for mean in ctx.saved_tensors)
            to_a, to_b = torch.autograd.grad(ctx.product(a, b), (a, b), gradients[0])
        return to_a, to_b, None, None, None


class MaxPool(torch.autograd.Function):
    """Maxima over windows; with m = max(out, out_b), Δout is (m − out_b) + (out − m)."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        before: Tensor,
        least: Tensor,
        winners: Tensor,
        winners_before: Tensor,
        axes: int,
    ) -> Tensor:
        found = z.flatten(-axes).gather(-1, winners.flatten(-axes)).view_as(winners)
        higher = torch.maximum(found, least)
        ctx.save_for_backward(z - before, higher - least, found - higher, winners, winners_before)
        ctx.axes = axes
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        change, rise, fall, winners, winners_before = ctx.saved_tensors
        (g,), axes = gradients, ctx.axes
        total, plain = torch.zeros_like(change), torch.zeros_like(change)
        # Views of fresh contiguous tensors: what is added there is added to them.
        for into, what, where in (
            (total, g * rise, winners),
            (total, g * fall, winners_before),
            (plain, g, winners),
        ):
            flat = into.view(*into.shape[:-axes], -1)
            flat.scatter_add_(-1, where.flatten(-axes), what.flatten(-axes))
        found = torch.where(change.abs() < TINY, plain, total / change)
        return found, None, None, None, None, None


class Softmax(torch.autograd.Function):
    """p = exp(s − l) with l = log Σ exp(s): the rescale rule for exp, Σ and log.

    With L the logarithmic mean Δv / Δlog v: Δp_i = L(p_i) (Δs_i − Δl) and Δl = Σ_j q_j Δs_j,
    q_j = L(e_j) / L(Σ e). No multiplier exceeds 1, since L is homogeneous and superadditive; those
    of a product exp(s) · 1/Σ exceed 10⁹ where the two inputs attend to different places.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, before: Tensor, axis: int) -> Tensor:
        sums = s.logsumexp(axis, keepdim=True), before.logsumexp(axis, keepdim=True)
        # Both divided by the larger sum, which cancels in q.
        larger = torch.maximum(*sums)
        share = logarithmic_mean(s - larger, before - larger) / logarithmic_mean(
            sums[0] - larger, sums[1] - larger
        )
        p, p_before = s - sums[0], before - sums[1]
        ctx.save_for_backward(logarithmic_mean(p, p_before), share)
        ctx.axis = axis
        return s.softmax(axis)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        mean, share = ctx.saved_tensors
        g = gradients[0] * mean
        return g - share * g.sum(ctx.axis, keepdim=True), None, None


def logarithmic_mean(log_a: Tensor, log_b: Tensor) -> Tensor:
    """Return (a − b) / (log a − log b) given the logarithms; a where both are equal.

    >>> half = torch.tensor([0.5]).log()
    >>> one, none = torch.zeros(1), torch.tensor([-torch.inf])
    >>> logarithmic_mean(half, half), logarithmic_mean(half, one), logarithmic_mean(none, one)
    (tensor([0.5000]), tensor([0.7213]), tensor([0.]))
    """
    change = (log_a - log_b).abs()
    found = -torch.maximum(log_a, log_b).exp() * torch.expm1(-change) / change
    return torch.where(change == 0, log_a.exp(), found.nan_to_num(0.0))


class Normalised(torch.autograd.Function):
    """x · r with r = (mean(x²) + eps)^−½; Δr / Δmean(x²) is −r² r_b² / (r + r_b) exactly."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: Tensor, norm: Norm) -> Tensor:
        axes = norm.axes
        r, r_before = (
            (v.square().mean(axes, keepdim=True) + norm.eps).rsqrt() for v in (x, before)
        )
        slope = -((r * r_before) ** 2) / (r + r_before)
        ctx.save_for_backward(x + before, (r + r_before) / 2, slope)
        ctx.axes = axes
        return x * r

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x_sum, r_mean, slope = ctx.saved_tensors
        # Δ(x²) = (x + x_b) Δx, and the factor x of the product meets its mean (x + x_b) / 2.
        to_mean = (gradients[0] * x_sum / 2).mean(ctx.axes, keepdim=True) * slope
        return gradients[0] * r_mean + to_mean * x_sum, None, None
