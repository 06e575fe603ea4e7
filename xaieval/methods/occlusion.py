"""Occlusion: by how much the logit falls when a square is blanked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.baseline_inputs import baseline_input, baseline_option
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import NETWORKS, Perturbation, as_maps, output_option
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads


def window_and_stride(
    window: int | None, stride: int | None, size: tuple[int, int]
) -> tuple[int, int]:
    """Return the window's side and the stride in px for a picture of size (height, width).

    >>> window_and_stride(None, None, (224, 224))
    (32, 16)

    Raises
    ------
    MethodError
        When the window does not fit the picture or the stride would leave gaps.
    """
    window = window or max(1, min(size) // 7)
    stride = stride or max(1, window // 2)
    if window > min(size) or stride > window:
        raise MethodError(
            "window or stride does not fit",
            where="occlusion",
            expected=f"stride ≤ window ≤ {min(size)} px",
            got=f"window {window}, stride {stride}",
        )
    return window, stride


def corners(size: tuple[int, int], window: int, stride: int) -> list[tuple[int, int]]:
    """Return the top left corner (y, x) of every window.

    A step further than the last window that fits as a whole, so that the far border is covered
    too; that window is cut at the border (captum's rule).

    >>> corners((4, 5), window=2, stride=2)
    [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]
    """
    tops, lefts = (range(0, -(-(side - window) // stride) * stride + 1, stride) for side in size)
    return [(top, left) for top in tops for left in lefts]


@dataclass(frozen=True)
class BlankedSquares:
    """The picture, then a copy for each window with the window blanked."""

    window: int | None
    stride: int | None
    baseline: str
    output: str
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> int:
        return 1 + len(corners(size, *window_and_stride(self.window, self.stride, size)))

    def open(self, passes: Passes) -> Occlusion:
        return Occlusion(self, passes)


class Occlusion(Perturbation):
    """Answers to blanked windows; the first copy is the picture itself."""

    def __init__(self, spec: BlankedSquares, passes: Passes) -> None:
        self.window, stride = window_and_stride(spec.window, spec.stride, passes.size)
        self.corners = corners(passes.size, self.window, stride)
        super().__init__(passes, [1 + len(self.corners)] * len(passes.x), spec.output)
        self.blank = baseline_input(spec.baseline, passes)

    def write(self, copies: Tensor, image: int, start: int) -> None:
        copies[:] = self.passes.x[image]
        for number, copy in enumerate(copies, start):
            if number:
                top, left = self.corners[number - 1]
                window = slice(top, top + self.window), slice(left, left + self.window)
                copy[:, *window] = self.blank[image][:, *window]

    def result(self) -> Tensor:
        maps = []
        for answers in self.answers:
            falls = np.zeros(self.passes.size)
            windows = np.zeros(self.passes.size)
            for (top, left), fall in zip(self.corners, answers[0] - answers[1:], strict=True):
                window = slice(top, top + self.window), slice(left, left + self.window)
                falls[window] += fall
                windows[window] += 1
            maps.append(falls / windows)
        return as_maps(maps, self.passes)


def occlusion(passes: Passes, options: Options) -> Tensor:
    """Return by how much the target logit falls when a window over the pixel is blanked.

    Zeiler and Fergus 2014, section 4.2; where windows overlap, the mean over them.
    """
    found: Tensor = passes.found
    return found


def _stream(options: Options) -> BlankedSquares:
    return BlankedSquares(
        options["window"], options["stride"], options["baseline"], options["output"]
    )


def _cost(options: Options) -> int:
    return _stream(options).per_image((224, 224))


SPECS = (
    MethodSpec(
        id="occlusion",
        label="Occlusion",
        summary="by how much the logit falls when a square is blanked",
        family="perturbation",
        fn=occlusion,
        cost=_cost,
        paper="Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2",
        stream=_stream,
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
            "output": output_option("logit"),
        },
        default_pooling="sum,pos",
        signed=True,
        layers_defined=NETWORKS,
    ),
)
