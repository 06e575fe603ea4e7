"""Class activation maps of one pass: a layer's channels, weighted by how the logit reads them.

With A_k the maps that the target layer puts out and g_k = ∂f_t/∂A_k; each method sums weighted
channels, keeps what is positive, and brings it to the input's size (``upsampling.py``). A layer of
tokens is read as the map of its patches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xaieval.errors import NotDefinedError
from xaieval.methods.passes import Need, Passes
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.upsampling import upsample

_CELLS = (2, 3)


def layer_map(passes: Passes, need: Need) -> Tensor:
    """Return the target layer's output, or the gradient by it, as maps (b, K, h, w).

    Raises
    ------
    NotDefinedError
        When the layer has no maps: flat vectors, or tokens whose grid is not known.
    """
    found = passes[need]
    if found.ndim != 4:
        raise NotDefinedError(
            "class activation maps are not defined for the target layer",
            where=passes.target_layer,
            expected="activations (B, channels, height, width), or tokens on a known grid",
            got=tuple(found.shape),
            fix="name a convolutional layer as target_layer",
        )
    return found


def positive_map(weighted: Tensor, passes: Passes) -> Tensor:
    """Return the upsampled ReLU of the channels' sum, (b, 1, H, W) of (b, K, h, w)."""
    return upsample(weighted.sum(1, keepdim=True).clamp(min=0), passes)


def _read(passes: Passes) -> tuple[Tensor, Tensor]:
    return layer_map(passes, "layer_act"), layer_map(passes, "layer_grad")


def gradcam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w_k the mean of g_k over the layer's cells.

    Selvaraju et al. 2017, section 3, equations 1 and 2.
    """
    activation, gradient = _read(passes)
    weights = gradient.mean(dim=_CELLS, keepdim=True)
    return positive_map(weights * activation, passes)


def gradcam_plus_plus(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w_k = Σ_cells α_k ReLU(g_k).

    α_k = g_k² / (2 g_k² + g_k³ Σ_cells A_k + eps), Chattopadhay et al. 2018, section 3, equations
    7 and 19. The class score there is exp(f_t); its derivatives are powers of g_k times exp(f_t),
    a factor of the whole map that is left out. The paper has no ``eps``. pytorch-grad-cam takes
    1e-6, as large as g_k² itself in front of a mean over 7×7 cells, which makes another map.
    """
    activation, gradient = _read(passes)
    below = 2 + gradient * activation.sum(_CELLS, keepdim=True)
    if options["eps"]:
        below = below + options["eps"] / gradient.square()  # infinite where the gradient is zero
    alpha = torch.where(below != 0, 1 / below, 0)
    weights = (alpha * gradient.clamp(min=0)).sum(_CELLS, keepdim=True)
    return positive_map(weights * activation, passes)


def hirescam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k g_k A_k), cell by cell. Draelos and Carin 2020, section 3."""
    activation, gradient = _read(passes)
    return positive_map(gradient * activation, passes)


def layercam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k ReLU(g_k) A_k), cell by cell.

    Jiang et al. 2021, section III.
    """
    activation, gradient = _read(passes)
    return positive_map(gradient.clamp(min=0) * activation, passes)


def xgradcam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(Σ_k w_k A_k), w_k = Σ_cells g_k A_k / Σ_cells A_k.

    Fu et al. 2020, section 3. A channel whose activations sum to zero has weight zero.
    """
    activation, gradient = _read(passes)
    total = activation.sum(_CELLS, keepdim=True)
    weights = (gradient * activation).sum(_CELLS, keepdim=True) / total
    return positive_map(torch.where(total != 0, weights, 0) * activation, passes)


def eigen_cam(passes: Passes, options: Options) -> Tensor:
    """Return the upsampled ReLU(A v), v the first right singular vector of A (cells × channels).

    Muhammad and Yeasin 2020, section III. A singular vector has no sign; here the value farthest
    from zero is positive (Chung and Ying 2025, equation 13). ``centre="cells"`` takes the mean of
    each channel away first, as pytorch-grad-cam does, whose sign is whatever LAPACK returns. The
    same for every class.
    """
    maps = []
    for activation in layer_map(passes, "layer_act"):
        # Cells by channels, in memory of its own: what BLAS gives can depend on the alignment.
        cells = activation.flatten(1).t().double().contiguous()
        if options["centre"] == "cells":
            cells = cells - cells.mean(0)
        maps.append(principal(cells).reshape(1, *activation.shape[1:]))
    found = torch.stack(maps).to(passes.x.dtype)
    return upsample(found.clamp(min=0), passes)


def principal(cells: Tensor) -> Tensor:
    """Return the projection A v (n,) of rows on the first right singular vector of A (n, K).

    Its value farthest from zero is positive; of two equally far the first is.

    >>> principal(torch.tensor([[3.0, 0.0], [-4.0, 0.0]], dtype=torch.float64)).round(decimals=6)
    tensor([-3.,  4.], dtype=torch.float64)
    """
    # The smaller Gram matrix has the same vectors, for a tenth of the time of an SVD of A.
    if len(cells) <= cells.shape[1]:
        values, vectors = torch.linalg.eigh(cells @ cells.t())
        found: Tensor = vectors[:, -1] * values[-1].clamp(min=0).sqrt()
    else:
        found = cells @ torch.linalg.eigh(cells.t() @ cells)[1][:, -1]
    if found[found.abs().argmax()] < 0:
        found = -found
    return found


def _one(options: Options) -> int:
    return 1


_ONE_PASS: frozenset[Need] = frozenset({"layer_act", "layer_grad"})
_LAYERS = "networks with a convolutional target layer, or tokens on a grid"

SPECS = (
    MethodSpec(
        id="gradcam",
        label="Grad-CAM",
        summary="a layer's channels weighted by their mean gradient, what speaks for the class",
        family="cam",
        low_resolution=True,
        fn=gradcam,
        cost=_one,
        paper="Selvaraju et al. 2017, arXiv:1610.02391, section 3",
        needs=_ONE_PASS,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="gradcam_plus_plus",
        label="Grad-CAM++",
        summary="Grad-CAM that weighs each cell's positive gradient, so that several objects count",
        family="cam",
        low_resolution=True,
        fn=gradcam_plus_plus,
        cost=_one,
        paper="Chattopadhay et al. 2018, arXiv:1710.11063, section 3",
        needs=_ONE_PASS,
        options={
            "eps": Option(
                default=0.0,
                help="added to the divisor of α; pytorch-grad-cam's 1e-6 damps small gradients",
                kind="float",
            )
        },
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="hirescam",
        label="HiResCAM",
        summary="a layer's activations times their gradients, cell by cell, what speaks for it",
        family="cam",
        low_resolution=True,
        fn=hirescam,
        cost=_one,
        paper="Draelos and Carin 2020, arXiv:2011.08891, section 3",
        needs=_ONE_PASS,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="layercam",
        label="LayerCAM",
        summary="a layer's activations times their positive gradients, cell by cell",
        family="cam",
        low_resolution=True,
        fn=layercam,
        cost=_one,
        paper="Jiang, Zhang, Hou, Cheng, Wei 2021, doi:10.1109/TIP.2021.3089943, section III",
        needs=_ONE_PASS,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="xgradcam",
        label="XGrad-CAM",
        summary="Grad-CAM whose gradients count as much as the activation at their cell",
        family="cam",
        low_resolution=True,
        fn=xgradcam,
        cost=_one,
        paper="Fu et al. 2020, arXiv:2008.02312, section 3",
        needs=_ONE_PASS,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="eigen_cam",
        label="Eigen-CAM",
        summary="what the layer's channels have most in common, whatever the class",
        family="cam",
        low_resolution=True,
        fn=eigen_cam,
        cost=_one,
        paper="Muhammad and Yeasin 2020, arXiv:2008.00299, section III",
        needs=frozenset({"layer_act"}),
        options={
            "centre": Option(
                default="none",
                help="whether each channel's mean over cells is taken away, as in pytorch-grad-cam",
                kind="choice",
                choices=("none", "cells"),
            )
        },
        layers_defined=_LAYERS,
    ),
)
