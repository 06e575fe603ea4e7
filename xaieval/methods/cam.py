"""Class activation maps: what a layer's channels found, weighted by how the logit reads them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import interpolate

from xaieval.errors import NotDefinedError, unknown
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Options


def _paper(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with pixel centres (``align_corners=False``), as in the published comparisons."""
    return interpolate(maps, size=size, mode="bilinear", align_corners=False)


UPSAMPLINGS: dict[str, Callable[[Tensor, tuple[int, int]], Tensor]] = {"paper": _paper}
"""Name -> how a map of a layer's size (b, 1, h, w) is brought to the input's (b, 1, H, W)."""


def check_upsampling(name: str) -> str:
    """Return the name of a known upsampling.

    Raises
    ------
    ConfigError
        For any other name, with those there are.
    """
    if name not in UPSAMPLINGS:
        raise unknown("upsampling", name, UPSAMPLINGS)
    return name


def upsample(maps: Tensor, passes: Passes) -> Tensor:
    """Bring maps (b, 1, h, w) of a layer to the input's height and width."""
    height, width = passes.x.shape[-2:]
    return UPSAMPLINGS[check_upsampling(passes.upsampling)](maps, (height, width))


def gradcam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w_k the mean of ∂f_t/∂A_k over the layer's cells.

    Selvaraju et al. 2017, section 3, equations 1 and 2.
    """
    activation, gradient = passes["layer_act"], passes["layer_grad"]
    if activation.ndim != 4:
        raise NotDefinedError(
            "Grad-CAM is not defined for the target layer",
            where=passes.target_layer,
            expected="activations (B, channels, height, width)",
            got=tuple(activation.shape),
            fix="name a convolutional layer as target_layer",
        )
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return upsample((weights * activation).sum(1, keepdim=True).clamp(min=0), passes)


def _one(options: Options) -> int:
    return 1


SPECS = (
    MethodSpec(
        id="gradcam",
        label="Grad-CAM",
        summary="a layer's channels weighted by their mean gradient, what speaks for the class",
        family="cam",
        fn=gradcam,
        cost=_one,
        paper="Selvaraju et al. 2017, arXiv:1610.02391, section 3",
        needs=frozenset({"layer_act", "layer_grad"}),
        layers_defined="networks with a convolutional target layer",
    ),
)
