"""Composites of LRP rules by type of layer, and what a map of relevance must add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor

from xaieval.errors import unknown

Hidden = Literal["epsilon", "zplus", "alpha1beta0", "alpha2beta1", "gamma"]
First = Literal["flat", "box"] | None


@dataclass(frozen=True)
class Composite:
    """Which rule serves which layer: convolutions, linear layers, and what reads the picture."""

    convolution: Hidden
    linear: Hidden
    first: First = None


def _composites() -> dict[str, Composite]:
    hidden = {
        "epsilon": Composite("epsilon", "epsilon"),
        "zplus": Composite("zplus", "zplus"),
        "alpha1beta0": Composite("alpha1beta0", "alpha1beta0"),
        "alpha2beta1": Composite("alpha2beta1", "alpha2beta1"),
        "gamma": Composite("gamma", "gamma"),
        "epsilon_plus": Composite("alpha1beta0", "epsilon"),
        "epsilon_alpha2beta1": Composite("alpha2beta1", "epsilon"),
        "epsilon_gamma": Composite("gamma", "epsilon"),
    }
    flat = {f"{name}_flat": replace(found, first="flat") for name, found in hidden.items()}
    box = {f"{name}_box": replace(found, first="box") for name, found in hidden.items()}
    return {**hidden, **flat, **box}


COMPOSITES = _composites()
"""Name -> rules by type of layer; ``_flat`` and ``_box`` end in that rule at the input.

``epsilon_plus``, ``epsilon_alpha2beta1`` and ``epsilon_gamma`` with ``_flat`` or ``_box`` are those
of Kohlbrenner et al. 2020, section 3, and of zennit: ε for linear layers, another rule for
convolutions ("plus" is α1β0, biases in the denominators). ``zplus`` is α1β0 without biases.
"""


@dataclass(frozen=True)
class LrpRule:
    """LRP with one composite.

    Attributes
    ----------
    composite : str
        Name in ``COMPOSITES``.
    epsilon : float
        ε of the ε rule, in units of the layer's output.
    gamma : float
        γ of the γ rule.
    """

    composite: str = "epsilon_plus"
    epsilon: float = 1e-6
    gamma: float = 0.25
    group: ClassVar[str] = "lrp"
    folded: ClassVar[bool] = True
    rows: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.composite not in COMPOSITES:
            raise unknown("composite", self.composite, COMPOSITES)

    @property
    def label(self) -> str:
        return f"LRP ({self.composite})"

    @property
    def first(self) -> First:
        """The rule of the layer that reads the picture; None: that of its type."""
        return COMPOSITES[self.composite].first


def conservation(relevance: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """Return \\|Σ R − f_t\\| / \\|f_t\\| for each map: 0 when all of the logit was handed on.

    Biases take their share of relevance in every rule but flat, box and z⁺, so that a network with
    biases does not reach 0; the number is raw, with no correction for them.

    Parameters
    ----------
    relevance : float (b, C, H, W)
    logits : float (b, classes)
    targets : int64 (b,)

    Returns
    -------
    float (b,), at least 0

    >>> import torch
    >>> r = torch.tensor([[[[1.0, 0.5]]], [[[2.0, 2.0]]]])
    >>> conservation(r, torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1]))
    tensor([0.2500, 0.0000])
    """
    score = logits.gather(1, targets[:, None])[:, 0]
    return (relevance.flatten(1).sum(1) - score).abs() / score.abs()
