"""Token grids and the target layer of networks of tokens."""

import pytest
import torch
from token_nets import WAYS, TokenNet
from torch import nn

from xaieval.errors import ModelError
from xaieval.models import Classifier, TokenGrid, layer_maps, to_map
from xaieval.models.tokens import read_row, weights_map

SIZE = (16, 24)
LAST = {way: "blocks.2.norm1" for way in WAYS} | {"encoder": "blocks.layers.2.norm1"}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def wrapped(net, size=SIZE, **options):
    return Classifier(net, example=torch.randn(2, 3, *size), **options)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("prefix", "head", "class_tokens"),
    [(1, "class", (0,)), (5, "class", (0,)), (2, "both", (0, 1)), (0, "mean", ()), (4, "mean", ())],
)
def test_grid_and_target_layer_are_found(way, prefix, head, class_tokens):
    classifier = wrapped(TokenNet(way, prefix=prefix, head=head))
    assert classifier.token_grid == TokenGrid(prefix, 4, 6, class_tokens)
    assert classifier.target_layer == LAST[way]
    prepared = classifier.prepared()
    assert prepared.token_grid == classifier.token_grid
    x = torch.randn(3, 3, *SIZE)
    logits, output = prepared.logits_and_layer(x)
    assert output.shape == (3, prefix + 24, 16)
    gradient = torch.autograd.grad(logits[:, 1].sum(), output)[0]
    assert (gradient[:, prefix:] != 0).any(-1).all()  # every patch has a say
    assert layer_maps(output, prepared.token_grid).shape == (3, 16, 4, 6)


def test_an_untrained_head_of_zeros_hides_nothing():
    net = TokenNet("fused")
    nn.init.zeros_(net.head.weight)
    classifier = wrapped(net)
    assert classifier.target_layer == "blocks.2.norm1"
    assert classifier.token_grid == TokenGrid(1, 4, 6, (0,))
    assert not net.head.weight.any()


def test_convolutional_networks_have_no_tokens():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    classifier = wrapped(net, (8, 8))
    assert classifier.token_grid is None
    assert classifier.prepared().token_grid is None
    assert classifier.target_layer == "1"


class Shuffled(TokenNet):
    """Tokens column by column, or the class token at the end."""

    def __init__(self, order, **options):
        super().__init__("fused", **options)
        self.order = order

    def forward(self, x):
        x = self.conv_proj(x)
        if self.order == "columns":
            x = x.transpose(2, 3)
        x = x.flatten(2).transpose(1, 2)
        prefix = self.prefix.expand(len(x), -1, -1)
        x = torch.cat([x, prefix] if self.order == "end" else [prefix, x], dim=1)
        return self.head(self.norm(self.blocks(x + self.pos)).mean(1))


def test_tokens_in_another_order_are_refused():
    assert wrapped(Shuffled("rows")).token_grid == TokenGrid(1, 4, 6)
    for order in ("columns", "end"):
        with pytest.raises(ModelError, match=r"do not lie on 4 x 6 patches.*token_grid=TokenGrid"):
            _ = wrapped(Shuffled(order)).token_grid


class Unfolded(nn.Module):
    """Patches cut without a convolution."""

    def __init__(self):
        super().__init__()
        self.embed, self.block = nn.Linear(48, 16), TokenNet("fused", depth=1).blocks
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = nn.functional.unfold(x, 4, stride=4).transpose(1, 2)
        return self.head(self.block(self.embed(x)).mean(1))


def test_a_grid_that_cannot_be_found_can_be_given():
    with pytest.raises(ModelError, match=r"grid of the 24 tokens is not known.*no convolution"):
        _ = wrapped(Unfolded()).token_grid
    given = TokenGrid(0, 4, 6)
    classifier = wrapped(Unfolded(), token_grid=given)
    assert classifier.token_grid == given
    assert classifier.prepared().token_grid == given
    assert classifier.target_layer == "block.0.norm1"
    assert classifier.fingerprint != Classifier(classifier.module).fingerprint


def test_convolutions_behind_the_attention_are_taken():
    class Hybrid(TokenNet):
        def __init__(self):
            super().__init__("fused", prefix=0)
            self.after = nn.Conv2d(16, 8, 3, padding=1)
            self.head = nn.Linear(8, 5)

        def forward(self, x):
            x = self.conv_proj(x).flatten(2).transpose(1, 2)
            maps = self.blocks(x + self.pos).transpose(1, 2).unflatten(2, (4, 6))
            return self.head(self.after(maps).mean((2, 3)))

    classifier = wrapped(Hybrid())
    assert classifier.target_layer == "after"
    assert classifier.token_grid == TokenGrid(0, 4, 6)


def test_a_softmax_module_is_no_feature_map():
    # The module puts out (B, heads, T, T), four axes behind the last normalisation.
    assert wrapped(TokenNet("module", depth=1)).target_layer == "blocks.0.norm1"


class PooledByAttention(nn.Module):
    """A convolutional network whose map is pooled by attention over its cells."""

    def __init__(self):
        super().__init__()
        self.conv, self.attn = nn.Conv2d(3, 16, 4, 4), nn.MultiheadAttention(16, 2)
        self.embed, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        x = self.conv(x).relu().flatten(2).permute(2, 0, 1)
        x = self.embed(torch.cat([x.mean(0, keepdim=True), x]).transpose(0, 1)).transpose(0, 1)
        return self.head(self.attn(x, x, x)[0][0])


def test_attention_that_pools_a_map_leaves_the_map_as_target():
    assert wrapped(PooledByAttention()).target_layer == "conv"


def test_maps_by_hand():
    grid = TokenGrid(2, 2, 3, (0,))
    tokens = torch.arange(8.0).reshape(1, 8, 1).repeat(1, 1, 2)
    assert to_map(tokens, grid)[0, 1].tolist() == [[2, 3, 4], [5, 6, 7]]
    assert weights_map(tokens[..., 0], grid)[0, 0].tolist() == [[2, 3, 4], [5, 6, 7]]
    attention = torch.rand(1, 8, 8)
    assert torch.equal(read_row(attention, grid), attention[:, 0])
    both = TokenGrid(2, 2, 3, (0, 1))
    torch.testing.assert_close(read_row(attention, both), (attention[:, 0] + attention[:, 1]) / 2)
    mean = attention[:, 2:].mean(1)
    assert torch.equal(read_row(attention, TokenGrid(2, 2, 3)), mean)
    maps = torch.rand(1, 2, 3, 4)
    assert layer_maps(maps, None) is maps


def test_misfits_are_one_clear_line():
    with pytest.raises(ModelError, match="do not fit the grid"):
        to_map(torch.zeros(1, 8, 2), TokenGrid(1, 2, 3))
    with pytest.raises(ModelError, match="grid is not known"):
        layer_maps(torch.zeros(1, 8, 2), None)
    with pytest.raises(ModelError, match="has no maps"):
        layer_maps(torch.zeros(1, 8), None)
    with pytest.raises(ModelError, match="not a grid"):
        TokenGrid(-1, 2, 3)


def test_a_network_that_overwrites_what_its_gradient_needs():
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            y = self.conv(x).relu()
            y += 1
            return self.head(y.mean((2, 3)))

    with pytest.raises(ModelError, match=r"overwritten in place.*y = y \+ x"):
        _ = wrapped(Overwriting()).target_layer


@pytest.mark.parametrize("after", [nn.Identity(), nn.Dropout2d(), nn.MaxPool2d(2)])
def test_what_passes_a_map_on_does_not_hide_who_made_it(after):
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    net = nn.Sequential(block, after, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert wrapped(net).target_layer == "0"
