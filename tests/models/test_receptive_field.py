"""Where the cells of a layer look: by hand, by brute force, and the figures of known networks."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from token_nets import TokenNet
from torch import nn
from torch.nn import functional as F

from xaieval.errors import ModelError
from xaieval.models import (
    MODELS,
    Classifier,
    PlainClassifier,
    calibrate_batchnorm,
    measure_receptive_field,
)
from xaieval.models.field_rules import Axis
from xaieval.models.padding import SamePadConv2d


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Headed(nn.Module):
    """A body and the mean of its map."""

    def __init__(self, body, channels):
        super().__init__()
        self.body, self.head = body, nn.Linear(channels, 3)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def measured(body, size=(64, 48), channels=None):
    example = torch.randn(2, 3, *size)
    channels = body(example).shape[1]
    return measure_receptive_field(
        Classifier(Headed(body, channels).eval(), example=example), layer="body"
    )


def test_a_stack_by_hand():
    # 7×7 of stride 2 and padding 3: centres at 2 i. Pooling 3×3 of stride 2, padding 1: 4 i, and
    # 7 + 2·2 = 11 px. Pooling 2×2 of stride 2: ½ a cell further, 8 i + 2, and 11 + 4 = 15 px.
    found = measured(
        nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1), nn.ReLU(), nn.AvgPool2d(2))
    )
    assert (found.centre0, found.stride, found.size) == ((2, 2), (8, 8), (15, 15))
    assert found.exact
    assert found.notes == ()
    assert (found.map_size, found.cell) == ((8, 6), (4, 3))
    assert found.centre == (34, 26)
    assert found.assumed == (4.5 * 8 - 0.5, 3.5 * 8 - 0.5)
    assert found.displacement == (1.5, 1.5)
    assert found.effective_displacement == pytest.approx(
        (35.5 - found.centroid[0], 27.5 - found.centroid[1])
    )


LAYERS = st.lists(
    st.tuples(
        st.sampled_from(["conv", "max", "avg", "pad", "same", "slice"]),
        st.integers(1, 4),  # kernel
        st.integers(1, 3),  # stride
        st.integers(0, 2),  # padding
        st.integers(1, 2),  # dilation
    ),
    min_size=1,
    max_size=4,
)


class Slice(nn.Module):
    def __init__(self, start, step):
        super().__init__()
        self.start, self.step = start, step

    def forward(self, x):
        return x[..., self.start :, self.start :: self.step]


def layer(kind, kernel, stride, padding, dilation):
    if kind == "conv":
        return nn.Conv2d(3, 3, (kernel, kernel + 1), (stride, 1), padding, (1, dilation))
    if kind == "same" and stride == 1:
        return nn.Conv2d(3, 3, kernel, padding="same", dilation=dilation)
    if kind == "same":
        return SamePadConv2d(3, 3, kernel, stride, dilation=dilation)
    if kind == "pad":
        return nn.ZeroPad2d((padding, dilation, kernel, stride))
    if kind == "slice":
        return Slice(padding, stride)
    pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
    return pool(kernel, stride, min(padding, kernel // 2))


@settings(max_examples=60, deadline=None)
@example([("conv", 2, 3, 0, 1), ("conv", 3, 3, 0, 1), ("conv", 2, 3, 1, 1), ("conv", 1, 2, 2, 1)])
@given(LAYERS)
def test_arithmetic_is_where_gradients_come_from(specs):
    """With positive weights each pixel of a field has a gradient; none outside has."""
    body = nn.Sequential(*(layer(*spec) for spec in specs))
    size = (61, 70)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.abs_()
    # Maxima choose one pixel each; sums show them all.
    brute = nn.Sequential(
        *(
            nn.AvgPool2d(m.kernel_size, m.stride, m.padding) if isinstance(m, nn.MaxPool2d) else m
            for m in body
        )
    )
    x = torch.ones(1, 3, *size, requires_grad=True)
    maps = brute(x)
    if min(maps.shape[2:]) < 3:
        return
    found = measured(body, size)
    assert found.exact
    cell = maps.shape[2] // 2, maps.shape[3] // 2
    (gradient,) = torch.autograd.grad(maps[0, :, cell[0], cell[1]].sum(), x)
    for axis in (0, 1):
        seen = gradient[0].abs().sum(0).sum(1 - axis).nonzero().flatten()
        if not len(seen):  # the field lies in the padding
            continue
        first = found.centre[axis] - (found.size[axis] - 1) / 2
        last = first + found.size[axis] - 1
        limit = size[axis] - 1
        # A stride larger than the kernel leaves gaps inside, never at the ends. Where the field
        # passes the picture's edge, a cell on its way may lie in the padding whole: then the
        # gradient ends before the edge does.
        assert int(seen[0]) == first if first >= 0 else seen[0] >= 0
        assert int(seen[-1]) == last if last <= limit else seen[-1] <= limit


def test_branches():
    class Branches(nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(3, 4, 5, 2, 2), nn.Conv2d(3, 4, 1, 2)
            self.shift = shift

        def forward(self, x):
            narrow = self.narrow(F.pad(x, (0, 1, 0, 1))[..., 1:, 1:] if self.shift else x)
            return torch.cat([self.wide(x), narrow], 1) * self.wide(x).mean((2, 3), True)[:, :1]

    same = measured(Branches(False))
    assert same.exact
    assert (same.centre0, same.size) == ((0, 0), (5, 5))
    assert same.notes == ("its cells also see the rest of the picture (attention, pooled gates)",)
    other = measured(Branches(True))
    assert not other.exact
    assert (other.centre0, other.size) == ((0, 0), (5, 5))
    assert "branches look at different places" in other.notes[0]


def test_phases_of_a_map_share_a_wider_field():
    class Phases(nn.Module):
        """Patch merging: each cell takes the four of a 2×2 block."""

        def forward(self, x):
            rows = [x[:, :, i::2] for i in (0, 1)]
            return torch.cat([r[..., j::2] for r in rows for j in (0, 1)], 1)

    found = measured(nn.Sequential(nn.Conv2d(3, 4, 4, 4), Phases(), nn.Conv2d(16, 4, 1)))
    assert found.exact
    assert (found.centre0, found.stride, found.size) == ((3.5, 3.5), (8, 8), (8, 8))


def test_shapes_that_come_and_go_are_followed():
    class Shapes(nn.Module):
        """Channels last (ConvNeXt) and channels shuffled (ShuffleNet)."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.linear = (
                nn.Conv2d(3, 4, 4, 4),
                nn.LayerNorm(4),
                nn.Linear(4, 6),
            )

        def forward(self, x):
            y = self.linear(self.norm(self.conv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
            b, _, h, w = y.shape
            y = y.view(b, 2, 3, h, w).transpose(1, 2).reshape(b, 6, h, w)
            first, second = y.chunk(2, 1)
            return F.adaptive_avg_pool2d(first + second, (h // 2, w))

    found = measured(Shapes())
    assert found.exact
    assert found.notes == ()
    assert (found.centre0, found.stride, found.size) == ((3.5, 1.5), (8, 4), (8, 4))


def test_what_cannot_be_followed_is_estimated_and_said():
    body = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 1))
    found = measured(body)
    assert not found.exact
    assert math.isnan(found.size[0])
    assert found.notes[0] == "not followed through interpolate"
    assert found.stride == (2, 2)
    # Cell (16, 12) is a copy of the 4×4 patch whose centre is (33.5, 25.5).
    assert found.centroid == pytest.approx((33.5, 25.5), abs=1)
    assert found.centre == pytest.approx(found.centroid)


def test_patch_tokens_look_at_their_patches():
    classifier = Classifier(TokenNet("fused", prefix=2), example=torch.randn(2, 3, 16, 24))
    found = measure_receptive_field(classifier)
    assert (found.map_size, found.centre0, found.stride) == ((4, 6), (1.5, 1.5), (4, 4))
    assert found.exact
    assert found.displacement == (0, 0)
    assert "rest of the picture" in found.notes[0]


def classifier(arch, *, padding="torch"):
    spec = MODELS[arch]
    net = PlainClassifier(arch, 10, padding=padding)
    calibrate_batchnorm(net, torch.randn(2, 3, *spec.preprocessing.input_size))
    return Classifier(net.eval(), preprocessing=spec.preprocessing)


@pytest.mark.parametrize(
    ("arch", "padding", "layer", "centre", "centroid", "slack"),
    [
        ("resnet18", "torch", None, 96, 97, 3),
        ("mobilenet-v2", "torch", None, 96, 97.5, 4),
        ("efficientnet-b0", "torch", None, 96, 103.5, 5),
        pytest.param("vgg16", "torch", "features.30", 111.5, 112, 3, marks=pytest.mark.slow),
        ("mobilenet-v2", "same_tf", None, 127, 123, 5),
    ],
)
def test_figures_of_known_networks(arch, padding, layer, centre, centroid, slack):
    """At 224² the central 7×7 cell is assumed at 111.5 px, and looks elsewhere."""
    found = measure_receptive_field(classifier(arch, padding=padding), layer=layer)
    assert found.exact
    assert (found.map_size, found.cell) == ((7, 7), (3, 3))
    assert found.stride == (32, 32)
    assert found.assumed == (111.5, 111.5)
    assert found.centre == (centre, centre)
    assert found.centroid == pytest.approx((centroid, centroid), abs=slack)


def test_results_are_remembered():
    net = Headed(nn.Conv2d(3, 4, 3), 4)
    model = Classifier(net, example=torch.randn(2, 3, 8, 8))
    found = measure_receptive_field(model)
    assert measure_receptive_field(model) is found
    larger = measure_receptive_field(model, input_size=(12, 10))
    assert larger.map_size == (10, 8)
    assert found.map_size == (6, 6)
    prepared = model.prepared()
    assert measure_receptive_field(prepared) == found
    assert not any(m._forward_hooks for m in prepared.module.modules())


def test_layers_without_a_place_are_refused():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    model = Classifier(net, example=torch.randn(2, 3, 8, 8))
    with pytest.raises(ModelError, match="has no maps"):
        measure_receptive_field(model, layer="2")
    with pytest.raises(ModelError, match="no layer 'nine'"):
        measure_receptive_field(model, layer="nine")


def test_one_axis_by_hand():
    assert Axis().window(3, 2, 0) == Axis(1, 2, 3)
    assert Axis(1, 2, 3).window(2, 1, 0, dilation=3) == Axis(4, 2, 9)
    assert Axis(1, 2, 3).window(1, 1, -2) == Axis(5, 2, 3)
