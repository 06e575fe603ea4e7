"""Reference lines that know nothing of the network: chance, nothing, edges, the middle."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from xaieval.digest import rng
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options

# Luma weights of ITU-R BT.601-7, section 2.5.1: what "grey" means in JPEG and Pillow.
_LUMA = (0.299, 0.587, 0.114)


def random(passes: Passes, options: Options) -> Tensor:
    """Return independent uniform values in [0, 1), seeded by sample, method and study seed."""
    height, width = passes.x.shape[-2:]
    maps = [
        torch.from_numpy(rng(sample, "random", passes.seed).random((1, height, width)))
        for sample in passes.sample_ids
    ]
    return torch.stack(maps).to(passes.x)


def constant(passes: Passes, options: Options) -> Tensor:
    """Return one everywhere: a map that says nothing, flagged as flat."""
    return torch.ones_like(passes.x[:, :1])


def sobel(passes: Passes, options: Options) -> Tensor:
    """Return the gradient's length of the picture's luminance by Sobel's operator.

    The border is replicated, so a picture's edge is no edge. Channels other than three are
    averaged.
    """
    pictures = passes.pictures()
    if pictures.shape[1] == 3:
        luminance = (pictures * pictures.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    else:
        luminance = pictures.mean(1, keepdim=True)
    framed = pad(luminance, (1, 1, 1, 1), mode="replicate")
    # Differences before sums: an even picture gives exactly zero.
    right = framed[..., 2:] - framed[..., :-2]
    right = right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]
    down = framed[..., 2:, :] - framed[..., :-2, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return (right.square() + down.square()).sqrt()


def centre_prior(passes: Passes, options: Options) -> Tensor:
    """Return a Gaussian about the middle, its σ a share of height and of width; 1 at the peak."""
    sides = []
    for size in passes.x.shape[-2:]:
        offset = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
        sides.append(torch.exp(-0.5 * (offset / options["sigma"]) ** 2))
    prior = torch.outer(*sides).to(passes.x)
    return prior.expand(len(passes.x), 1, *prior.shape)


def _nothing(options: Options) -> int:
    return 0


SPECS = (
    MethodSpec(
        id="random",
        label="Random",
        summary="uniform noise: what chance scores",
        family="baseline",
        fn=random,
        cost=_nothing,
        paper="reference line; expectation equals the area share (metrics documentation)",
        stochastic=True,
    ),
    MethodSpec(
        id="constant",
        label="Constant",
        summary="the same value everywhere: what a map scores that says nothing",
        family="baseline",
        fn=constant,
        cost=_nothing,
        paper="reference line; every score of ranks is decided by its rule for ties",
    ),
    MethodSpec(
        id="sobel",
        label="Sobel edges",
        summary="edges of the picture's luminance, the network unseen",
        family="baseline",
        fn=sobel,
        cost=_nothing,
        paper="Sobel and Feldman 1968; as a control: Adebayo et al. 2018, arXiv:1810.03292, 5.1",
    ),
    MethodSpec(
        id="centre_prior",
        label="Centre prior",
        summary="a Gaussian in the middle of the picture",
        family="baseline",
        fn=centre_prior,
        cost=_nothing,
        paper="Judd, Ehinger, Durand, Torralba 2009, ICCV, section 3.1 (centre feature)",
        options={
            "sigma": Option(
                default=0.25, help="σ as a share of height and width", kind="float", low=1e-3
            )
        },
    ),
)
