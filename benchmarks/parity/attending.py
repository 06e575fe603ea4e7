"""Rows of the attention family: naive twins of the papers, matrix by matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import interpolate

from benchmarks.parity.networks import Net
from benchmarks.parity.rows import Row

Options = Mapping[str, Any]


def attention(net: Net, image: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return each block's weights (heads, tokens, tokens), and the target's gradient by them."""
    twin, _ = net.oracle()
    seen: list[Tensor] = []
    softmax = functional.softmax

    def noted(z: Tensor, dim: int) -> Tensor:
        found = softmax(z, dim=dim)
        found.retain_grad()
        seen.append(found)
        return found

    with patch.object(functional, "softmax", noted):
        logits = twin(net.x[image : image + 1].requires_grad_())
    logits[0, net.targets[image]].backward()
    gradients = [weights.grad[0] for weights in seen if weights.grad is not None]
    assert len(gradients) == len(seen)
    return [weights.detach()[0] for weights in seen], gradients


def _as_map(row: Tensor, net: Net) -> Tensor:
    """Return what the class token reads of the patches, (1, H, W)."""
    config: Any = net.module.config
    patches = row[config.prefix :].reshape(1, 1, *config.grid)
    return interpolate(patches, size=net.x.shape[2:], mode="bilinear", align_corners=False)[0]


def _of_each(net: Net, read: Any) -> Tensor:
    maps = [_as_map(read(*attention(net, image))[0], net) for image in range(len(net.x))]
    return torch.stack(maps)


def raw_attention(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Caron et al. 2021: the last block's weights, mean over heads."""
    return _of_each(net, lambda weights, gradients: weights[-1].mean(0))


def attention_rollout(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Abnar and Zuidema 2020, section 3: Ã = Â_L … Â_1, Â = ½ A + ½ I."""

    def read(weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        one = torch.eye(weights[0].shape[1], dtype=torch.float64)
        joined = one
        for block in weights:
            joined = (0.5 * block.mean(0) + 0.5 * one) @ joined
        return joined

    return _of_each(net, read)


def gradient_rollout(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Chefer et al. 2021, equations 5 and 6: R ← R + E_h((∇A ∘ A)⁺) R, from R = I."""

    def read(weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        relevance = torch.eye(weights[0].shape[1], dtype=torch.float64)
        for block, gradient in zip(weights, gradients, strict=True):
            relevance = relevance + (gradient * block).clamp(min=0).mean(0) @ relevance
        return relevance

    return _of_each(net, read)


def rows() -> list[Row]:
    return [
        Row("raw_attention", "vit", "naive, from the paper", raw_attention),
        Row("attention_rollout", "vit", "naive, from the paper", attention_rollout),
        Row("gradient_rollout", "vit", "naive, from the paper", gradient_rollout),
    ]
