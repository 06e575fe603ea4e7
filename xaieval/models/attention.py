"""Seeing the attention weights of any transformer while it runs, without touching its modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Seen = Callable[[Tensor], Tensor]
"""Takes attention weights (B, heads, T, S), returns those to go on with."""

_SOFTMAXES = frozenset({F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax})


def _same(weights: Tensor) -> Tensor:
    return weights


def explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    seen: Seen = _same,
) -> tuple[Tensor, Tensor]:
    """Return (output, weights) of scaled dot product attention, written out step by step.

    weights = softmax(q kᵀ / √d + mask) over the keys, output = weights v, with the arguments of
    ``torch.nn.functional.scaled_dot_product_attention``. A query without any key to attend to
    gets weights of zero.

    Parameters
    ----------
    query, key, value : float tensors (..., T, d), (..., S, d), (..., S, e)
    attn_mask : bool tensor (True: attend) or float tensor (added), broadcast to (..., T, S)
    seen : callable
        Receives the weights before they are used; what it returns is used in their place.

    Source: Vaswani et al., Attention is all you need, NeurIPS 2017, section 3.2.1.

    >>> one = torch.ones(1, 1, 2, 4)
    >>> explicit_attention(one, one, 3 * one)[1]
    tensor([[[[0.5000, 0.5000],
              [0.5000, 0.5000]]]])
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    # Both sides are scaled by the root, as in PyTorch, so that half precision does not overflow.
    root = math.sqrt(abs(factor))
    scores = (query * math.copysign(root, factor)) @ (key * root).transpose(-2, -1)
    if is_causal:
        rows, columns = scores.shape[-2:]
        allowed = torch.ones(rows, columns, dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask
    weights = scores.softmax(-1)
    if is_causal or attn_mask is not None:
        nothing = (scores == -math.inf).all(-1, keepdim=True)
        weights = weights.masked_fill(nothing, 0.0)
    weights = seen(weights)
    kept = F.dropout(weights, dropout_p) if dropout_p > 0.0 else weights
    return kept @ value, weights


def explicit_mha(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    seen: Seen = _same,
) -> tuple[Tensor, Tensor | None]:
    """Do what ``torch.nn.functional.multi_head_attention_forward`` does, step by step.

    The arguments are that function's (tokens first: (T, B, D), or (T, D)), and so is the result:
    the output and, when needed, the weights. ``seen`` receives the weights (B, heads, T, S) that
    are used. Extra keys (``bias_k``, ``add_zero_attn``, ``static_k``) are left to PyTorch, unseen:
    with them keys and tokens are no longer the same.
    """
    if (
        bias_k is not None
        or bias_v is not None
        or add_zero_attn
        or static_k is not None
        or static_v is not None
    ):
        return F.multi_head_attention_forward(
            query,
            key,
            value,
            embed_dim_to_check,
            num_heads,
            in_proj_weight,
            in_proj_bias,
            bias_k,
            bias_v,
            add_zero_attn,
            dropout_p,
            out_proj_weight,
            out_proj_bias,
            training=training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=use_separate_proj_weight,
            q_proj_weight=q_proj_weight,
            k_proj_weight=k_proj_weight,
            v_proj_weight=v_proj_weight,
            static_k=static_k,
            static_v=static_v,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
    batched = query.ndim == 3
    if not batched:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    in_weights: tuple[Tensor | None, ...] = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight and in_proj_weight is not None:
        in_weights = in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (
        _heads(t if w is None else F.linear(t, w, b), num_heads)
        for t, w, b in zip((query, key, value), in_weights, biases, strict=True)
    )
    output, weights = explicit_attention(
        q,
        k,
        v,
        attn_mask=_added_mask(attn_mask, key_padding_mask, like=q),
        dropout_p=dropout_p if training else 0.0,
        seen=seen,
    )
    output = output.permute(2, 0, 1, 3).flatten(2)  # (B, heads, T, d) -> (T, B, D)
    output = F.linear(output, out_proj_weight, out_proj_bias)
    shown = weights.mean(1) if average_attn_weights else weights
    if not batched:
        output, shown = output.squeeze(1), shown.squeeze(0)
    return output, shown if need_weights else None


def _heads(tokens: Tensor, heads: int) -> Tensor:
    """Bring tokens (T, B, D) to (B, heads, T, D / heads)."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _added_mask(attn_mask: Tensor | None, padding: Tensor | None, *, like: Tensor) -> Tensor | None:
    """Join both masks of ``nn.MultiheadAttention`` (bool: True is left out) into one to add."""
    rows, heads = like.shape[:2]
    found: Tensor | None = None
    if attn_mask is not None:
        # Three axes are (B · heads, T, S).
        shaped = (
            attn_mask.reshape(rows, heads, *attn_mask.shape[1:])
            if attn_mask.ndim == 3
            else attn_mask
        )
        found = _as_added(shaped, like)
    if padding is not None:
        added = _as_added(padding, like)[:, None, None, :]
        found = added if found is None else found + added
    return found


def _as_added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(
        mask, -math.inf
    )


class AttentionCapture(TorchFunctionMode):
    """The mode behind ``capture_attention``: runs attention step by step, keeps its weights."""

    def __init__(self, *, start_graph: bool = False) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self._start_graph = start_graph

    def keep(self, weights: Tensor) -> Tensor:
        """Keep weights (B, heads, T, T); others, such as those of pooling queries, pass by."""
        if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or weights.shape[2] < 2:
            return weights
        if self._start_graph and torch.is_grad_enabled() and not weights.requires_grad:
            weights = weights.detach().requires_grad_()
        self.seen.append(weights)
        return weights

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace attention by its written-out form, pass on everything else."""
        options = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return explicit_attention(*args, **options, seen=self.keep)[0]
        if func is F.multi_head_attention_forward:
            return explicit_mha(*args, **options, seen=self.keep)
        found = func(*args, **options)
        if func in _SOFTMAXES and isinstance(found, Tensor) and found.ndim == 4:
            axis = options.get("dim", args[1] if len(args) > 1 else None)
            if axis in (-1, 3):
                return self.keep(found)
        return found


@contextmanager
def capture_attention(*, start_graph: bool = True) -> Iterator[list[Tensor]]:
    """Collect the self-attention weights of every block that runs inside the ``with``.

    The list holds tensors (B, heads, T, T) in order of depth, rows summing to 1. Each is in the
    graph of what is computed from it, so that ``torch.autograd.grad(score, [x, *seen])`` gives
    their gradients in the one backward pass. ``F.scaled_dot_product_attention``,
    ``F.multi_head_attention_forward`` (so ``nn.MultiheadAttention``, whose fused path is off
    inside) and a softmax over the last axis of a (B, heads, T, T) tensor are seen. Attention of
    other queries than tokens, and fused kernels of other packages, are not.

    Parameters
    ----------
    start_graph : bool
        Where gradients are enabled but nothing before needs one, let the graph start at the
        weights of the first block.

    >>> layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    >>> tokens = torch.zeros(1, 5, 8)
    >>> with torch.no_grad(), capture_attention() as seen:
    ...     _ = layer(tokens, tokens, tokens, need_weights=False)
    >>> [tuple(weights.shape) for weights in seen], float(seen[0][0, 0, 0, 0])
    ([(1, 2, 5, 5)], 0.20000000298023224)
    """
    mode = AttentionCapture(start_graph=start_graph)
    with mode:
        yield mode.seen
