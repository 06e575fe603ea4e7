"""Methods that change the picture and watch the logit."""

from __future__ import annotations

import torch
from captum.attr import Occlusion
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.baseline_inputs import baseline_input, baseline_option
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options


def window_and_stride(options: Options, size: tuple[int, int]) -> tuple[int, int]:
    """Return the window's side and the stride in px for a picture of size (height, width).

    Raises
    ------
    MethodError
        When the window does not fit the picture or the stride would leave gaps.
    """
    window = options["window"] or max(1, min(size) // 7)
    stride = options["stride"] or max(1, window // 2)
    if window > min(size) or stride > window:
        raise MethodError(
            "window or stride does not fit",
            where="occlusion",
            expected=f"stride ≤ window ≤ {min(size)} px",
            got=f"window {window}, stride {stride}",
        )
    return window, stride


def occlusion(passes: Passes, options: Options) -> Tensor:
    """Return by how much the target logit falls when a window over the pixel is blanked.

    Zeiler and Fergus 2014, section 4.2, through captum: where windows overlap, the mean over them.
    """
    x = passes.x
    window, stride = window_and_stride(options, (x.shape[-2], x.shape[-1]))
    maps = []
    with torch.no_grad():
        for index, target in enumerate(passes.targets.tolist()):
            row = x[index : index + 1]
            attribution: Tensor = Occlusion(passes.forward).attribute(
                row,
                sliding_window_shapes=(x.shape[1], window, window),
                strides=(x.shape[1], stride, stride),
                baselines=baseline_input(options["baseline"], passes)[index : index + 1],
                target=target,
                perturbations_per_eval=passes.rows,
            )
            maps.append(attribution[:, :1])  # every channel of a window holds the same value
    return torch.cat(maps)


def _cost(options: Options) -> int:
    """Return the windows at the default size: a seventh of the side, half overlapping."""
    return 13 * 13 + 1


SPECS = (
    MethodSpec(
        id="occlusion",
        label="Occlusion",
        summary="by how much the logit falls when a square is blanked (through captum)",
        family="perturbation",
        fn=occlusion,
        cost=_cost,
        paper="Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2",
        needs=frozenset({"forward"}),
        options={
            "window": Option(
                default=None,
                help="side of the square in px; a seventh of the short side when not given",
                kind="int",
                low=1,
                optional=True,
            ),
            "stride": Option(
                default=None,
                help="step of the square in px; half the window when not given",
                kind="int",
                low=1,
                optional=True,
            ),
            "baseline": baseline_option(),
        },
        default_pooling="sum,pos",
        signed=True,
        layers_defined="any network, differentiable or not",
    ),
)
