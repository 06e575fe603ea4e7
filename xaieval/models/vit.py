"""Vision Transformers with the names of torchvision's state dict, written out step by step."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import ConfigError
from xaieval.models.blocks import Encoder


@dataclass(frozen=True)
class VitConfig:
    """What fixes a transformer's structure.

    Attributes
    ----------
    input_size : (height, width) in px
        Multiples of ``patch``; position embeddings belong to this size.
    patch : int
        Side of a patch in px.
    dim, depth, heads, mlp_dim : int
        Width of a token, number of blocks, attention heads (a divisor of ``dim``), hidden width.
    registers : int
        Learned tokens between class token and patches, without position (Darcet et al. 2024).
    n_classes : int
        0 leaves the classifier away.
    dropout : float in [0, 1)

    Raises
    ------
    ConfigError
        When sizes do not divide or are out of range.
    """

    input_size: tuple[int, int]
    patch: int = 16
    dim: int = 128
    depth: int = 6
    heads: int = 4
    mlp_dim: int = 512
    registers: int = 0
    n_classes: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_size", tuple(self.input_size))
        sizes = (*self.input_size, self.patch, self.dim, self.depth, self.heads, self.mlp_dim)
        if len(self.input_size) != 2 or min(sizes) < 1 or min(self.registers, self.n_classes) < 0:
            raise ConfigError("bad size of a transformer", expected="positive numbers", got=self)
        if any(side % self.patch for side in self.input_size):
            raise ConfigError(
                "patches do not cover the input",
                where="input_size",
                expected=f"height and width that are multiples of {self.patch} px",
                got=self.input_size,
            )
        if self.dim % self.heads:
            raise ConfigError(
                "heads do not share the width evenly",
                where="heads",
                expected=f"a divisor of {self.dim}",
                got=self.heads,
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError("bad dropout", expected="a number in [0, 1)", got=self.dropout)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per column and row, (height, width)."""
        return self.input_size[0] // self.patch, self.input_size[1] // self.patch

    @property
    def prefix(self) -> int:
        """Tokens before those of the patches: the class token and the registers."""
        return 1 + self.registers


class SelfAttention(nn.Module):
    """Multi-head self-attention (B, T, D) -> (B, T, D); parameters as in nn.MultiheadAttention.

    weights = softmax(q kᵀ / √d) over the keys, output = projection of weights v, in plain
    operations: no fused kernel and no fast path, so that results do not depend on whether
    gradients are recorded.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        rows, count, _ = tokens.shape
        joined = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        query, key, value = (
            part.reshape(rows, count, self.heads, -1).transpose(1, 2)
            for part in joined.chunk(3, dim=2)
        )  # (B, heads, T, D / heads) each
        scale = 1.0 / math.sqrt(query.shape[3])
        weights = F.softmax((query * scale) @ key.transpose(2, 3), dim=3)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        out: Tensor = self.out_proj(mixed)
        return out


class TokenMap(nn.Module):
    """Patch tokens (B, h·w, D) as a map (B, D, h, w): what layer methods read of a block."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, patches: Tensor) -> Tensor:
        rows, _, width = patches.shape
        return patches.transpose(1, 2).reshape(rows, width, *self.grid)


class Block(nn.Module):
    """Norm, attention, skip; norm, two-layer perceptron, skip.

    The normed patch tokens pass through ``token_map`` on their way to the attention. Their values
    stay the same; CAM methods find a map there, as with the first norm of a block elsewhere.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.prefix = config.prefix
        self.ln_1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.token_map = TokenMap(config.grid)
        self.self_attention = SelfAttention(config.dim, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.ln_2 = nn.LayerNorm(config.dim, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(config.dim, config.mlp_dim),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.mlp_dim, config.dim),
            nn.Dropout(config.dropout),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.ln_1(tokens)
        patches = self.token_map(normed[:, self.prefix :]).flatten(2).transpose(1, 2)
        normed = torch.cat([normed[:, : self.prefix], patches], dim=1)
        tokens = tokens + self.dropout(self.self_attention(normed))
        out: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return out


class TokenEncoder(nn.Module):
    """Positions, registers, blocks, norm: tokens (B, 1 + h·w, D) -> (B, prefix + h·w, D)."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        tokens = 1 + config.grid[0] * config.grid[1]
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, config.dim).normal_(std=0.02))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", Block(config)) for i in range(config.depth))
        )
        self.ln = nn.LayerNorm(config.dim, eps=1e-6)

    def forward(self, tokens: Tensor, registers: Tensor | None) -> Tensor:
        tokens = tokens + self.pos_embedding
        if registers is not None:
            more = registers.expand(tokens.shape[0], -1, -1)
            tokens = torch.cat([tokens[:, :1], more, tokens[:, 1:]], dim=1)
        out: Tensor = self.ln(self.layers(self.dropout(tokens)))
        return out


class ClassToken(nn.Module):
    """The first token, (B, T, D) -> (B, D)."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


class VisionTransformer(Encoder):
    """Patches as tokens, a class token, transformer blocks, and a classifier on the class token.

    ``forward`` maps (B, 3, H, W) to logits (B, n_classes); without classes (``n_classes=0``) to
    the tokens (B, prefix + h·w, D): class token, registers, patches row by row.

    Every parameter has the name it has in torchvision; ``register_tokens`` is there only with
    registers. The classifier starts with small random weights, where torchvision's are zero and
    every gradient with them.
    Source: Dosovitskiy et al., An image is worth 16×16 words, ICLR 2021, section 3.1; registers:
    Darcet et al., Vision transformers need registers, ICLR 2024, section 2.2.

    Attributes
    ----------
    config : VitConfig
        ``config.grid`` and ``config.prefix`` say which tokens are patches.
    """

    conv_proj: nn.Conv2d

    def __init__(self, config: VitConfig) -> None:
        blocks = [(f"encoder.layers.encoder_layer_{i}",) for i in range(config.depth)]
        stem = ("conv_proj", "class_token", "register_tokens", "encoder.pos_embedding")
        conv_proj = nn.Conv2d(3, config.dim, config.patch, stride=config.patch)
        super().__init__(
            {"conv_proj": conv_proj},
            out_channels=config.dim,
            stride=config.patch,
            stages=(stem, *blocks),
        )
        nn.init.trunc_normal_(conv_proj.weight, std=1 / math.sqrt(3 * config.patch**2))
        self.config = config
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.register_tokens: nn.Parameter | None = None
        if config.registers:
            self.register_tokens = nn.Parameter(
                torch.empty(1, config.registers, config.dim).normal_(std=0.02)
            )
        self.encoder = TokenEncoder(config)
        self.heads: nn.Sequential | None = None
        if config.n_classes:
            head = nn.Linear(config.dim, config.n_classes)
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            self.heads = nn.Sequential(OrderedDict(head=head))

    def tokens(self, x: Tensor) -> Tensor:
        """Return the tokens (B, prefix + h·w, D) after the last norm."""
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        first = self.class_token.expand(x.shape[0], -1, -1)
        tokens: Tensor = self.encoder(torch.cat([first, patches], dim=1), self.register_tokens)
        return tokens

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.tokens(x)
        if self.heads is None:
            return tokens
        logits: Tensor = self.heads(tokens[:, 0])
        return logits

    def new_pool(self) -> nn.Module:
        """Return the module that takes the class token out of the tokens."""
        return ClassToken()

    def as_map(self, features: Tensor) -> Tensor:
        """Return the patch tokens as a map (B, D, h, w)."""
        patches = features[:, self.config.prefix :]
        return patches.transpose(1, 2).reshape(-1, self.out_channels, *self.config.grid)


def vit_tiny(
    input_size: tuple[int, int] = (192, 192), *, n_classes: int = 0, registers: int = 0
) -> VisionTransformer:
    """Return a small transformer for machines without an accelerator.

    Six blocks of width 128 on patches of 16 px; any multiple of 16 px, square or not.

    >>> net = vit_tiny((32, 48), n_classes=3, registers=2)
    >>> net(torch.zeros(1, 3, 32, 48)).shape, net.tokens(torch.zeros(1, 3, 32, 48)).shape
    (torch.Size([1, 3]), torch.Size([1, 9, 128]))
    """
    return VisionTransformer(VitConfig(input_size, registers=registers, n_classes=n_classes))


def vit_b_16(input_size: tuple[int, int] = (224, 224), *, n_classes: int = 0) -> VisionTransformer:
    """Return ViT-B/16; torchvision's weights fit 224² input."""
    config = VitConfig(
        input_size, patch=16, dim=768, depth=12, heads=12, mlp_dim=3072, n_classes=n_classes
    )
    return VisionTransformer(config)
