"""Layer-wise relevance propagation through one linear or convolution layer.

A layer puts out z_j = Σ_i x_i w_ij + b_j and receives relevances R_j. The rules differ in how much
of R_j goes to input i. Each function takes the layer, its input x and R, and returns what is handed
on: g with R_i = x_i g_i, so that whatever is linear before the layer (residual sums, poolings,
cuts) shares relevance in proportion to what each part contributed, by calculus alone. The two rules
for the input layer return R_i itself, which also goes to pixels of value 0.

v⁺ is max(v, 0), v⁻ is min(v, 0), and ⌈v⌉ is v moved away from zero by 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xaieval.methods.rules.layers import Affine

# As in zennit, so that denominators of zero divide nothing.
STABILISER = 1e-6


def stabilised(z: Tensor, epsilon: float = STABILISER) -> Tensor:
    """Return z moved away from zero by ε; zero counts as positive.

    >>> stabilised(torch.tensor([-1.0, 0.0, 2.0]), 0.5)
    tensor([-1.5000,  0.5000,  2.5000])
    """
    return torch.where(z < 0, z - epsilon, z + epsilon)


def epsilon(layer: Affine, x: Tensor, z: Tensor, relevance: Tensor, *, epsilon: float) -> Tensor:
    """R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) · R_j. Bach et al. 2015, equation 58."""
    return layer.back(relevance / stabilised(z, epsilon), layer.weight, x)


def alpha_beta(
    layer: Affine, x: Tensor, z: Tensor, relevance: Tensor, *, beta: float, bias: bool = True
) -> Tensor:
    """R_i = Σ_j ((1 + β) p_ij / Σ_i p_ij − β n_ij / Σ_i n_ij) R_j. Bach et al. 2015, equation 60.

    p_ij and n_ij are the positive and the negative parts of x_i w_ij, whatever the sign of x_i;
    with ``bias`` b⁺ and b⁻ stand in the denominators too. Where an output has contributions of one
    sign only, the share of the other is lost. With β = 0 and no bias it is the z⁺ rule
    of Montavon et al. 2017, section 4.2 (there x ≥ 0), which loses nothing to biases.
    """
    found = (1 + beta) * _signed_part(layer, x, relevance, positive=True, bias=bias)
    if beta:
        found = found - beta * _signed_part(layer, x, relevance, positive=False, bias=bias)
    return found


def _signed_part(
    layer: Affine, x: Tensor, relevance: Tensor, *, positive: bool, bias: bool
) -> Tensor:
    """Share relevance among the contributions x_i w_ij of one sign."""
    same, other = _split(layer.weight) if positive else _split(layer.weight)[::-1]
    shift = layer.bias if bias else None
    if shift is not None:
        shift = _split(shift)[0 if positive else 1]
    return _two_signs(layer, x, same, other, shift, lambda total: relevance / stabilised(total))


def _split(v: Tensor) -> tuple[Tensor, Tensor]:
    return v.clamp(min=0), v.clamp(max=0)


def _two_signs(
    layer: Affine,
    x: Tensor,
    above: Tensor,
    below: Tensor,
    bias: Tensor | None,
    share: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return g of a layer whose weights are ``above`` for inputs > 0 and ``below`` for others.

    ``share`` turns the sum of contributions into what one unit of contribution receives.
    """
    high, low = _split(x)
    total = layer.run(high, above, bias)
    signed = bool((x < 0).any())
    if signed:
        total = total + layer.run(low, below)
    c = share(total)
    found = layer.back(c, above, x)
    return torch.where(x < 0, layer.back(c, below, x), found) if signed else found


def gamma(layer: Affine, x: Tensor, z: Tensor, relevance: Tensor, *, gamma: float) -> Tensor:
    """R_i = Σ_j x_i (w_ij + γ w_ij⁺) / Σ_i x_i (w_ij + γ w_ij⁺) · R_j where x ≥ 0 and z_j > 0.

    Montavon et al. 2019, section 10.2.3. In general γ favours the contributions of the sign that
    z_j has (Andéol et al. 2021): those with x_i w_ij > 0 where z_j > 0, with x_i w_ij < 0 where
    z_j < 0. The bias stands in the denominator, weighed in the same way.
    """
    above, below = (layer.weight + gamma * part for part in _split(layer.weight))
    shifts: tuple[Tensor | None, ...] = (None, None)
    if layer.bias is not None:
        shifts = tuple(layer.bias + gamma * part for part in _split(layer.bias))

    def where(active: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda total: torch.where(active, relevance / stabilised(total), 0.0)

    found = _two_signs(layer, x, above, below, shifts[0], where(z > 0))
    if bool((z < 0).any()):
        found = found + _two_signs(layer, x, below, above, shifts[1], where(z < 0))
    return found


def flat(layer: Affine, x: Tensor, relevance: Tensor, *, support: Tensor | None) -> Tensor:
    """R_i = Σ_j R_j / (number of inputs of j). Lapuschkin et al. 2019, methods.

    ``support`` is 1 where x holds the picture and 0 where it was padded.
    """
    ones = torch.ones_like(x) if support is None else support
    weight = torch.ones_like(layer.weight)
    c = relevance / stabilised(layer.run(ones, weight))
    return ones * layer.back(c, weight, x)


def box(layer: Affine, x: Tensor, relevance: Tensor, *, low: Tensor, high: Tensor) -> Tensor:
    """R_i = Σ_j (x_i w_ij − l_i w_ij⁺ − h_i w_ij⁻) / Σ_i (the same) · R_j, l ≤ x ≤ h.

    The z^B rule of Montavon et al. 2017, section 4.3, for inputs that are bounded.
    """
    above, below = _split(layer.weight)
    total = layer.run(x, layer.weight) - layer.run(low, above) - layer.run(high, below)
    c = relevance / stabilised(total)
    return (
        x * layer.back(c, layer.weight, x)
        - low * layer.back(c, above, x)
        - high * layer.back(c, below, x)
    )
