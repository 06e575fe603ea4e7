"""Attention weights, seen in whatever way they are computed."""

import pytest
import torch
from token_nets import WAYS, TokenNet
from torch import nn
from torch.nn import functional as F

from xaieval.models import capture_attention, explicit_attention, explicit_mha

CLOSE = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gradients", [True, False])
def test_every_way_of_attending_is_seen_and_nothing_else_changes(way, gradients):
    net = TokenNet(way).double().eval().requires_grad_(False)
    x = torch.randn(2, 3, 16, 24, dtype=torch.float64, requires_grad=gradients)
    expected = net(x)
    with torch.set_grad_enabled(gradients), capture_attention() as seen:
        logits = net(x)
    torch.testing.assert_close(logits, expected, **CLOSE)
    assert [tuple(w.shape) for w in seen] == [(2, 2, 25, 25)] * 3
    for weights in seen:
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), **CLOSE)
    with torch.no_grad():
        after = net(x)
    torch.testing.assert_close(after, expected, **CLOSE)
    assert len(seen) == 3  # nothing is seen outside


@pytest.mark.parametrize("way", WAYS)
def test_weights_and_gradients_agree_whatever_the_way(way):
    """The gradient with respect to the weights, against finite differences of the score."""
    net = TokenNet(way, depth=2).double().eval().requires_grad_(False)
    x = torch.randn(1, 3, 16, 24, dtype=torch.float64, requires_grad=True)
    with capture_attention() as seen:
        score = net(x)[0, 1]
    gx, *gradients = torch.autograd.grad(score, [x, *seen])
    torch.testing.assert_close(gx, torch.autograd.grad(net(x)[0, 1], x)[0], **CLOSE)

    step = 1e-6

    def moved(by):
        count = 0

        def change(weights):
            nonlocal count
            count += 1
            if count == 1:
                weights = weights.clone()
                weights[0, 1, 3, 7] += by
            return weights

        from xaieval.models import attention

        mode = attention.AttentionCapture(start_graph=False)
        mode.keep = change
        with torch.no_grad(), mode:
            return net(x)[0, 1]

    slope = (moved(step) - moved(-step)) / (2 * step)
    assert abs(float(slope - gradients[0][0, 1, 3, 7])) < 1e-7


def test_the_graph_starts_at_the_weights_when_nothing_else_needs_gradients():
    net = TokenNet("fused").eval().requires_grad_(False)
    x = torch.randn(1, 3, 16, 24)
    with capture_attention() as seen:
        score = net(x)[0, 0]
    assert len(torch.autograd.grad(score, seen)) == 3
    with capture_attention(start_graph=False) as seen:
        assert not net(x).requires_grad


def test_nothing_stays_behind_after_an_exception():
    with pytest.raises(ZeroDivisionError), capture_attention() as seen:
        raise ZeroDivisionError
    F.softmax(torch.randn(1, 2, 3, 3), -1)
    assert seen == []


@pytest.mark.parametrize("shape", [(2, 2, 5, 4), (5, 4), (3, 5, 4)])
@pytest.mark.parametrize("mask", ["none", "bool", "float", "causal", "empty row"])
def test_explicit_attention_is_pytorchs(shape, mask):
    q, k, v = (torch.randn(shape, dtype=torch.float64) for _ in range(3))
    options = {}
    if mask == "bool":
        options["attn_mask"] = torch.eye(5, dtype=torch.bool) | (torch.rand(5, 5) > 0.5)
    elif mask == "float":
        options["attn_mask"] = torch.randn(5, 5, dtype=torch.float64)
    elif mask == "causal":
        options["is_causal"] = True
    elif mask == "empty row":
        options["attn_mask"] = torch.ones(5, 5, dtype=torch.bool)
        options["attn_mask"][2] = False
    expected = F.scaled_dot_product_attention(q, k, v, scale=0.3, **options)
    found, weights = explicit_attention(q, k, v, scale=0.3, **options)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert weights.shape == (*shape[:-1], 5)


def test_grouped_queries():
    q, k = torch.randn(1, 4, 5, 2).double(), torch.randn(1, 2, 5, 2).double()
    expected = F.scaled_dot_product_attention(q, k, k, enable_gqa=True)
    torch.testing.assert_close(explicit_attention(q, k, k, enable_gqa=True)[0], expected, **CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kdim": 6, "vdim": 7},
        {"bias": False},
        {"add_zero_attn": True},
        {"add_bias_kv": True},
    ],
)
@pytest.mark.parametrize("masks", ["none", "mask", "rows", "padding", "both", "one"])
def test_explicit_mha_is_pytorchs(options, masks):
    layer = nn.MultiheadAttention(8, 2, batch_first=True, **options).double().eval()
    q = torch.randn(3, 5, 8).double()
    k = torch.randn(3, 4, options.get("kdim", 8)).double()
    v = torch.randn(3, 4, options.get("vdim", 8)).double()
    call = {}
    if masks in ("mask", "both"):
        call["attn_mask"] = torch.randn(5, 4).double()
    if masks == "rows":
        call["attn_mask"] = torch.rand(6, 5, 4) > 0.7
        call["attn_mask"][..., 0] = False
    if masks in ("padding", "both"):
        call["key_padding_mask"] = torch.tensor([[False] * 3 + [True]] * 3)
    if masks == "both":
        call["key_padding_mask"] = torch.where(call["key_padding_mask"], -1e9, 0.0).double()
    if masks == "one":
        q, k, v = q[0], k[0], v[0]
    for average in (True, False):
        expected = layer(q, k, v, average_attn_weights=average, **call)
        with capture_attention():
            found = layer(q, k, v, average_attn_weights=average, **call)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, **CLOSE)
    with capture_attention():
        assert layer(q, k, v, need_weights=False, **call)[1] is None
    assert explicit_mha.__module__ == "xaieval.models.attention"


def test_other_softmaxes_and_queries_pass_by():
    layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    tokens = torch.randn(2, 5, 8)
    with torch.no_grad(), capture_attention() as seen:
        F.softmax(torch.randn(2, 5), -1)
        torch.randn(2, 3, 4, 5).softmax(-1)  # not square
        torch.randn(2, 3, 4, 4).softmax(1)  # over channels
        layer(tokens[:, :1], tokens, tokens)  # a pooling query
    assert seen == []
