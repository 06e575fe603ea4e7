"""Where a transformer's tokens attend: the last block's weights, and what flows through all blocks.

All of them read rows of matrices (tokens × tokens): the class token's, or, where the head reads
the patches, the mean over the patches' rows. Class and register tokens are left out of the map.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xaieval.errors import ModelError, NotDefinedError
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Options
from xaieval.methods.upsampling import upsample
from xaieval.models.tokens import TokenGrid, read_row, weights_map


def _grid(passes: Passes) -> TokenGrid:
    """Return where the tokens lie; all blocks must attend over the same ones.

    Raises
    ------
    NotDefinedError
        When no grid is found, it does not fit, or blocks attend over windows or other tokens.
    """
    where = passes.classifier.name
    try:
        grid = passes.prepared.token_grid
    except ModelError as error:
        raise NotDefinedError.because(error, where=where) from error
    expected = None if grid is None else (len(passes.x), grid.tokens, grid.tokens)
    for number, weights in enumerate(passes.attention.weights, start=1):
        found = (weights.shape[0], *weights.shape[2:])
        if grid is None or found != expected:
            raise NotDefinedError(
                f"block {number} does not attend over the tokens of the patch grid",
                where=where,
                expected="no known grid" if grid is None else f"{grid.tokens} x {grid.tokens}",
                got=f"{found[1]} x {found[2]} for each of {found[0]} rows",
                fix="give pictures of the size of the model's example; attention in windows, or "
                "over ever fewer tokens, cannot be followed from block to block",
            )
    assert grid is not None
    return grid


def _map(passes: Passes, row_of: Callable[[list[Tensor], list[Tensor], Tensor], Tensor]) -> Tensor:
    """Return the upsampled map of the row that a function finds for each picture.

    ``row_of(weights, gradients, start)`` -> (tokens,): weights and gradients (heads, tokens,
    tokens) of each block, and the row of the unit matrix that reads the result. Picture by
    picture: products of many matrices at once round in another way than one alone.
    """
    grid, attention = _grid(passes), passes.attention
    one = torch.eye(grid.tokens, dtype=passes.x.dtype, device=passes.x.device)
    start = read_row(one[None], grid)[0]
    rows = [
        row_of(
            [weights[image].contiguous() for weights in attention.weights],
            [gradients[image].contiguous() for gradients in attention.gradients],
            start,
        )
        for image in range(len(passes.x))
    ]
    return upsample(weights_map(torch.stack(rows), grid), passes, tokens=grid)


def _times(row: Tensor, matrix: Tensor) -> Tensor:
    """Return the product of a row (T,) and a matrix (T, T), in an order that never changes."""
    return (row[:, None] * matrix).sum(0)


def raw_attention(passes: Passes, options: Options) -> Tensor:
    """Return the last block's attention, mean over heads, of what the head reads to each patch.

    Dosovitskiy et al. 2021 and Caron et al. 2021 show it; the same for every class.
    """

    def row_of(weights: list[Tensor], gradients: list[Tensor], start: Tensor) -> Tensor:
        return _times(start, weights[-1].mean(0))

    return _map(passes, row_of)


def attention_rollout(passes: Passes, options: Options) -> Tensor:
    """Return the row of Â_L … Â_1, with Â = ½ A + ½ I, A the mean over heads, rows summing to 1.

    Abnar and Zuidema 2020, section 3, "attention rollout"; the same for every class.
    """

    def row_of(weights: list[Tensor], gradients: list[Tensor], start: Tensor) -> Tensor:
        row, one = start, torch.eye(len(start), dtype=start.dtype, device=start.device)
        for block in reversed(weights):
            mixed = 0.5 * block.mean(0) + 0.5 * one
            row = _times(row, mixed / mixed.sum(1, keepdim=True))
        return row

    return _map(passes, row_of)


def gradient_rollout(passes: Passes, options: Options) -> Tensor:
    """Return the row of R, from R = I by R ← R + Ā R, Ā the mean over heads of (∇A ∘ A)⁺.

    Chefer, Gur, Wolf 2021 (generic attention explainability), section 3.1, equations 5 and 6, for
    networks of self-attention; ∇A is the gradient of the target logit by the weights.
    """

    def row_of(weights: list[Tensor], gradients: list[Tensor], start: Tensor) -> Tensor:
        row = start
        for block, gradient in zip(reversed(weights), reversed(gradients), strict=True):
            row = row + _times(row, (gradient * block).clamp(min=0).mean(0))
        return row

    return _map(passes, row_of)


def _one(options: Options) -> int:
    return 1


_NETWORKS = "transformers whose blocks all attend over one grid of patches"

SPECS = (
    MethodSpec(
        id="raw_attention",
        label="Raw attention",
        summary="what the class token attends to in the last block, whatever the class",
        family="attention",
        low_resolution=True,
        fn=raw_attention,
        cost=_one,
        paper="Caron et al. 2021, arXiv:2104.14294, figure 1 (mean over heads)",
        needs=frozenset({"attention"}),
        layers_defined=_NETWORKS,
    ),
    MethodSpec(
        id="attention_rollout",
        label="Attention rollout",
        summary="attention followed through all blocks and skips, whatever the class",
        family="attention",
        low_resolution=True,
        fn=attention_rollout,
        cost=_one,
        paper="Abnar and Zuidema 2020, arXiv:2005.00928, section 3",
        needs=frozenset({"attention"}),
        layers_defined=_NETWORKS,
    ),
    MethodSpec(
        id="gradient_rollout",
        label="Gradient rollout",
        summary="attention through all blocks, each weight by its gradient for the class",
        family="attention",
        low_resolution=True,
        fn=gradient_rollout,
        cost=_one,
        paper="Chefer, Gur, Wolf 2021, arXiv:2103.15679, section 3.1",
        needs=frozenset({"attention"}),
        layers_defined=_NETWORKS,
    ),
)
