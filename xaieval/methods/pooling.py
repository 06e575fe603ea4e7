"""From an attribution with channels to one map: the named poolings of the literature."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from xaieval.errors import MethodError, unknown

# The first six are those of CLEVR-XAI's published evaluation (Arras et al. 2022).
POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum,abs": lambda a: a.sum(1).abs(),
    "sum,pos": lambda a: a.sum(1).clamp(min=0),
    "max-norm": lambda a: a.abs().amax(1),
    "l1-norm": lambda a: a.abs().sum(1),
    "l2-norm": lambda a: a.square().sum(1).sqrt(),
    "l2-norm,sq": lambda a: a.square().sum(1),
    "pos,sum": lambda a: a.clamp(min=0).sum(1),
    "sum": lambda a: a.sum(1),
}


def pool(attribution: Tensor, pooling: str) -> Tensor:
    """Pool the channels of an attribution.

    With A of shape (C, H, W) for one image:

    ============ ===================
    ``sum,abs``    \\|Σ_c A_c\\|
    ``sum,pos``    max(Σ_c A_c, 0)
    ``max-norm``   max_c \\|A_c\\|
    ``l1-norm``    Σ_c \\|A_c\\|
    ``l2-norm``    √Σ_c A_c²
    ``l2-norm,sq`` Σ_c A_c²
    ``pos,sum``    Σ_c max(A_c, 0)
    ``sum``        Σ_c A_c, signed
    ============ ===================

    Parameters
    ----------
    attribution : float (B, C, H, W)
    pooling : str
        A name of the table above.

    Returns
    -------
    float (B, H, W), non-negative but for ``sum``

    Raises
    ------
    ConfigError
        For an unknown name.
    MethodError
        When the attribution has no channel axis.

    References
    ----------
    Arras, Osman, Samek 2022, CLEVR-XAI, section 3.3, doi:10.1016/j.inffus.2021.11.008.

    >>> import torch
    >>> a = torch.tensor([3.0, -4.0]).reshape(1, 2, 1, 1)
    >>> {name: pool(a, name).item() for name in POOLINGS}  # doctest: +NORMALIZE_WHITESPACE
    {'sum,abs': 1.0, 'sum,pos': 0.0, 'max-norm': 4.0, 'l1-norm': 7.0, 'l2-norm': 5.0,
     'l2-norm,sq': 25.0, 'pos,sum': 3.0, 'sum': -1.0}
    """
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    if attribution.ndim != 4 or attribution.shape[1] == 0:
        raise MethodError(
            "cannot pool channels", expected="(B, C, H, W)", got=tuple(attribution.shape)
        )
    return POOLINGS[pooling](attribution)
