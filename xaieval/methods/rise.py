"""RISE: the average of random masks, weighted by the probability that each mask leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.digest import rng
from xaieval.errors import MethodError
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import (
    NETWORKS,
    Bools,
    Doubles,
    Perturbation,
    as_maps,
    output_option,
)
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads

# Bilinear weights are rounded to this step, so that products and sums of them are exact in
# float32: a mask is the same on every device and in every company.
_STEP = 2.0**-12


def stretch(cells: int, side: int) -> Doubles:
    """Return the bilinear weights (pixels, cells) that stretch ``cells`` values over a side.

    The stretched line is one cell longer than the side, which lets the crop move by a cell
    (section 3.2). Pixel centres, ends held (``align_corners=False``); in steps of 2⁻¹².

    >>> stretch(3, 3)[:, 1].tolist()
    [0.0, 0.625, 0.625, 0.0]
    """
    length = (cells + 1) * -(-side // cells)
    place = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
    lower = np.minimum(np.floor(place).astype(int), max(0, cells - 2))
    share = np.round((place - lower) / _STEP) * _STEP
    weights = np.zeros((length, cells))
    weights[np.arange(length), lower] = 1 - share
    weights[np.arange(length), np.minimum(lower + 1, cells - 1)] += share
    return weights


@dataclass(frozen=True, eq=False)
class Masks:
    """Random masks of one picture: what is drawn, not yet of the picture's size.

    Attributes
    ----------
    grids : bool (n, cells, cells)
    shifts : int64 (n, 2)
        Down and to the right, px.
    """

    grids: Bools
    shifts: npt.NDArray[np.int64]


def draw_masks(sample: str, seed: int, spec: RandomMasks, size: tuple[int, int]) -> Masks:
    """Return the masks of a sample; the same whatever else is explained."""
    generator = rng(sample, "rise", seed)
    grids = generator.random((spec.n_masks, spec.cells, spec.cells)) < spec.p
    steps = [-(-side // spec.cells) for side in size]
    return Masks(grids, generator.integers(0, steps, (spec.n_masks, 2)))


@dataclass(frozen=True)
class RandomMasks:
    """Copies of the picture, each times a random mask."""

    n_masks: int
    cells: int
    p: float
    output: str
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> int:
        return self.n_masks

    def open(self, passes: Passes) -> Masked:
        return Masked(self, passes)


class Masked(Perturbation):
    """Answers to masked pictures."""

    def __init__(self, spec: RandomMasks, passes: Passes) -> None:
        if spec.cells > min(passes.size):
            raise MethodError(
                "more cells than pixels",
                where="rise",
                expected=f"at most {min(passes.size)} cells",
                got=spec.cells,
            )
        super().__init__(passes, [spec.n_masks] * len(passes.x), spec.output)
        self.spec = spec
        self.down, self.across = (stretch(spec.cells, side) for side in passes.size)
        self._down, self._across = (
            torch.from_numpy(weights).to(passes.x) for weights in (self.down, self.across)
        )
        self._drawn: tuple[int, Masks] | None = None

    def drawn(self, image: int) -> Masks:
        """Return a picture's masks; those of the last picture asked for are kept."""
        if self._drawn is None or self._drawn[0] != image:
            passes = self.passes
            masks = draw_masks(passes.sample_ids[image], passes.seed, self.spec, passes.size)
            self._drawn = image, masks
        return self._drawn[1]

    def masks(self, image: int, start: int, stop: int) -> Tensor:
        """Return some of a picture's masks, (n, H, W), 0..1."""
        drawn = self.drawn(image)
        grids = torch.from_numpy(drawn.grids[start:stop]).to(self.passes.x)
        height, width = self.passes.size
        tops, lefts = drawn.shifts[start:stop].T.tolist()
        down = torch.stack([self._down[top : top + height] for top in tops])
        across = torch.stack([self._across[left : left + width] for left in lefts])
        return down @ grids @ across.transpose(1, 2)

    def write(self, copies: Tensor, image: int, start: int) -> None:
        masks = self.masks(image, start, start + len(copies))
        torch.mul(self.passes.x[image], masks[:, None], out=copies)

    def result(self) -> Tensor:
        maps = [self._map(self.drawn(i), answers) for i, answers in enumerate(self.answers)]
        return as_maps(maps, self.passes)

    def _map(self, masks: Masks, answers: Doubles) -> Doubles:
        """Return Σ_i answer_i · mask_i / (n p).

        Grids of equal shift are summed first, so the sum needs no mask at the picture's size.
        """
        height, width = self.passes.size
        cells, (downs, acrosses) = self.spec.cells, (masks.shifts.max(0) + 1).tolist()
        sums = np.zeros((downs, acrosses, cells, cells))
        np.add.at(sums, tuple(masks.shifts.T), answers[:, None, None] * masks.grids)
        down = np.stack([self.down[top : top + height] for top in range(downs)], 1)
        across = np.stack([self.across[left : left + width] for left in range(acrosses)], 1)
        table = sums.transpose(0, 2, 1, 3).reshape(downs * cells, acrosses * cells)
        total: Doubles = down.reshape(height, -1) @ table @ across.reshape(width, -1).T
        return total / (self.spec.n_masks * self.spec.p)


def rise(passes: Passes, options: Options) -> Tensor:
    """Return the mean of random masks, each weighted by what the network says of its picture.

    Σ_i f(x ⊙ M_i) M_i(λ) / (n p), f the target's probability. Petsiuk, Das and Saenko 2018,
    section 3, equation 6. Each sample has masks of its own, where the authors draw one set for all.
    """
    found: Tensor = passes.found
    return found


def _stream(options: Options) -> RandomMasks:
    return RandomMasks(options["n_masks"], options["cells"], options["p"], options["output"])


def _cost(options: Options) -> int:
    return int(options["n_masks"])


SPECS = (
    MethodSpec(
        id="rise",
        label="RISE",
        summary="random masks weighted by the probability that they leave",
        family="perturbation",
        fn=rise,
        cost=_cost,
        paper="Petsiuk, Das, Saenko 2018, arXiv:1806.07421, section 3",
        stream=_stream,
        options={
            # Section 4: 4000 masks for VGG-16, 8000 for ResNet-50; 7×7 cells, p = 0.5.
            "n_masks": Option(default=4000, help="random masks", kind="int", low=1),
            "cells": Option(default=7, help="cells of a mask along each side", kind="int", low=1),
            "p": Option(
                default=0.5,
                help="probability that a cell stays visible",
                kind="float",
                low=1e-3,
                high=1,
            ),
            "output": output_option("probability"),
        },
        stochastic=True,
        layers_defined=NETWORKS,
    ),
)
