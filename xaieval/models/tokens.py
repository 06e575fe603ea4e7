"""Where the tokens of a transformer lie in the picture."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.attention import AttentionCapture
from xaieval.models.logits import LogitsFunction

# Class, distillation and register tokens: DeiT has 2, DINOv2 with registers 5, few nets more.
_MOST_PREFIX_TOKENS = 16
# A token of the right patch may be centred this far off it, in cells: convolutional stems with
# padding on both sides displace by almost half a cell.
_CELLS_OFF = 0.75


@dataclass(frozen=True)
class TokenGrid:
    """How a sequence of tokens is laid out: first ``prefix`` others, then patches row by row.

    Attributes
    ----------
    prefix : int
        Class and register tokens in front.
    height, width : int
        Patches along each axis.
    class_tokens : tuple of int
        Those in front that the head reads, and no others; empty when it reads the patches.

    >>> TokenGrid(1, 2, 3).tokens
    7
    """

    prefix: int
    height: int
    width: int
    class_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.prefix < 0 or self.height < 1 or self.width < 1:
            raise ModelError(
                "not a grid of tokens",
                expected="prefix of 0 or more, height and width of 1 or more",
                got=(self.prefix, self.height, self.width),
            )

    @property
    def tokens(self) -> int:
        """Number of tokens in all."""
        return self.prefix + self.height * self.width


def to_map(tokens: Tensor, grid: TokenGrid) -> Tensor:
    """Lay tokens (B, T, D) out as a map (B, D, h, w); those in front are left out.

    Raises
    ------
    ModelError
        When there are more or fewer tokens than the grid has.

    >>> to_map(torch.arange(5.0).reshape(1, 5, 1), TokenGrid(1, 2, 2))
    tensor([[[[1., 2.],
              [3., 4.]]]])
    """
    if tokens.ndim != 3 or tokens.shape[1] != grid.tokens:
        raise ModelError(
            "the tokens do not fit the grid",
            expected=f"(B, {grid.tokens}, D): {grid.prefix} in front, then {grid.height} x "
            f"{grid.width} patches",
            got=tuple(tokens.shape),
            fix="give pictures of the size that the network was looked at with",
        )
    patches = tokens[:, grid.prefix :].transpose(1, 2)
    return patches.reshape(tokens.shape[0], tokens.shape[2], grid.height, grid.width)


def weights_map(weights: Tensor, grid: TokenGrid) -> Tensor:
    """Lay weights (B, T) of tokens, such as one row of attention, out as a map (B, 1, h, w)."""
    return to_map(weights.unsqueeze(2), grid)


def read_row(attention: Tensor, grid: TokenGrid) -> Tensor:
    """Return the row (B, T) of a matrix (B, T, T) that says what the head's tokens attend to.

    The class token's row, or the mean over several; where the head reads the patches, the mean
    of their rows.
    """
    if grid.class_tokens:
        return attention[:, list(grid.class_tokens)].mean(1)
    return attention[:, grid.prefix :].mean(1)


def layer_maps(output: Tensor, grid: TokenGrid | None) -> Tensor:
    """Return a layer's output as maps (B, K, h, w): as it is, or tokens (B, T, K) laid out.

    Raises
    ------
    ModelError
        When the output is neither, or there are tokens but no grid.
    """
    if output.ndim == 4:
        return output
    if output.ndim != 3:
        raise ModelError(
            "the target layer has no maps",
            expected="an output (B, K, h, w), or tokens (B, T, K)",
            got=tuple(output.shape),
            fix="name another layer with target_layer=",
        )
    if grid is None:
        raise ModelError(
            "the target layer puts out tokens whose grid is not known",
            got=tuple(output.shape),
            fix="pass token_grid=TokenGrid(prefix, height, width) to Classifier",
        )
    return to_map(output, grid)


class _Watch(AttentionCapture):
    """Also keeps maps that convolutions put out, and what came before the first attention."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.maps: list[Tensor] = []
        self.before: list[Tensor] = []
        self._rows = rows

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function and keep what it puts out."""
        found = super().__torch_function__(func, types, args, kwargs)
        if isinstance(found, Tensor) and found.ndim in (3, 4) and found.shape[0] == self._rows:
            if func is F.conv2d and found.ndim == 4:
                self.maps.append(found)
            if found.ndim == 3 and not self.seen:
                self.before.append(found)
        return found


@torch.enable_grad()
def find_token_grid(
    module: nn.Module,
    logits: LogitsFunction,
    example: Tensor,
    *,
    extra: tuple[Tensor, ...] = (),
    name: str = "model",
) -> TokenGrid | None:
    """Return where the tokens of a network lie, or None when it has none.

    One pass is watched: the last convolution before the last attention over T tokens whose map
    has h·w cells, T - h·w small, is the patch embedding. That the corner tokens depend on the
    corners of the picture is then checked with gradients, and class tokens are those in front
    whose attention in the last block feeds the logits, where no patch's does.

    Raises
    ------
    ModelError
        When there are tokens but no such map, or they lie in another order.
    """
    x = example.detach().clone().requires_grad_()
    with torch.enable_grad(), _Watch(len(x)) as watch:
        result = logits(module, x, *extra)
    blocks = [weights for weights in watch.seen if weights.shape[0] == len(x)]
    if not blocks:
        return None
    tokens = blocks[-1].shape[-1]
    sizes = [
        (int(m.shape[2]), int(m.shape[3]))
        for m in watch.maps
        if m.shape[2] * m.shape[3] > 1
        and 0 <= tokens - m.shape[2] * m.shape[3] <= _MOST_PREFIX_TOKENS
    ]
    fix = "pass token_grid=TokenGrid(prefix, height, width) to Classifier"
    if not sizes:
        raise ModelError(
            f"the grid of the {tokens} tokens is not known",
            where=name,
            expected=f"a convolution that puts out a map of about {tokens} cells",
            got=", ".join(f"{m.shape[2]} x {m.shape[3]}" for m in watch.maps) or "no convolution",
            fix=fix,
        )
    height, width = sizes[-1]
    grid = TokenGrid(tokens - height * width, height, width)
    embedded = [t for t in watch.before if t.shape[1] == tokens and t.requires_grad]
    if embedded and not _lies_right(embedded[-1], x, grid):
        raise ModelError(
            f"the {tokens} tokens do not lie on {height} x {width} patches, row by row, after "
            f"{grid.prefix} others",
            where=name,
            fix=f"{fix}, or put the tokens into this order",
        )
    reads = _reading(result, blocks[-1])
    if not reads:  # a head of zeros, as before training, hides what it reads
        with torch.enable_grad(), AttentionCapture() as capture:
            result = logits(awake(module), x, *extra)
        reads = _reading(result, capture.seen[-1])
    classes = tuple(reads) if all(i < grid.prefix for i in reads) else ()
    return replace(grid, class_tokens=classes)


def _lies_right(tokens: Tensor, x: Tensor, grid: TokenGrid) -> bool:
    """Whether the tokens of three corner patches depend on these corners of the picture."""
    for row, column in ((0, 0), (0, grid.width - 1), (grid.height - 1, grid.width - 1)):
        token = tokens[:, grid.prefix + row * grid.width + column]
        # Fixed weights that are not all equal, since tokens may be normalised to a sum of zero.
        weights = torch.linspace(1.0, 2.0, token.shape[1], dtype=token.dtype, device=token.device)
        gradient = _gradient((token * weights.square()).sum(), x)
        if gradient is None:
            return False
        seen = gradient.abs().sum((0, 1)).double()
        for axis, cells, cell in ((0, grid.height, row), (1, grid.width, column)):
            profile = seen.sum(1 - axis)
            places = (torch.arange(len(profile), device=profile.device) + 0.5) * cells
            centre = float((profile * places).sum() / profile.sum()) / len(profile) - 0.5
            if not abs(centre - cell) < _CELLS_OFF:  # NaN, of no gradient at all, fails too
                return False
    return True


def _reading(result: Tensor, last: Tensor) -> list[int]:
    """Return the tokens whose rows of the last attention feed the logits."""
    gradient = _gradient(spread(result), last) if last.requires_grad else None
    if gradient is None:
        return []
    rows = (gradient != 0).any(-1).any(1).any(0)
    return [int(i) for i in rows.nonzero().flatten()]


def _gradient(score: Tensor, tensor: Tensor) -> Tensor | None:
    return torch.autograd.grad(score, tensor, retain_graph=True, allow_unused=True)[0]


def spread(logits: Tensor) -> Tensor:
    """Return one number that depends on every logit, also where they sum to 1."""
    weights = torch.linspace(1.0, 2.0, logits.shape[1], dtype=logits.dtype, device=logits.device)
    return (logits * weights).sum()


def awake(module: nn.Module) -> nn.Module:
    """Return a copy whose weights of nothing but zeros are small noise, so that gradients pass."""
    twin = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    for parameter in twin.parameters():
        if parameter.is_floating_point() and parameter.numel() and not parameter.any():
            noise = torch.randn(parameter.shape, generator=generator) * 0.02
            parameter.data.copy_(noise)
    return twin
