"""The architectures: names, sizes, padding, decoder."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xaieval.errors import ConfigError
from xaieval.models import (
    MODELS,
    ModelConfig,
    PlainClassifier,
    build,
    calibrate_batchnorm,
)
from xaieval.models.padding import SamePadConv2d, same_padding


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("arch", list(MODELS))
def test_shapes_parameters_and_target_layer(arch):
    spec = MODELS[arch]
    with torch.device("meta"):
        encoder = spec.encoder("torch", spec.preprocessing.input_size)
    assert sum(p.numel() for p in encoder.parameters()) == spec.parameters
    net = build(ModelConfig(arch, 3, (64, 96)), seed=0).eval()
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        logits, mask_logits = net(x)
        features = net.encode(x)
    assert logits.shape == (2, 3)
    assert mask_logits.shape == (2, 1, 64, 96)
    stride = net.encoder.stride
    assert features.shape == (2, net.encoder.out_channels, 64 // stride, 96 // stride)
    net.get_submodule(spec.target_layer)


def test_sizes_that_the_stride_does_not_divide():
    net = build(ModelConfig("small-cnn", 2, (50, 77))).eval()
    assert net(torch.randn(2, 3, 50, 77))[1].shape == (2, 1, 50, 77)


def test_small_cnn_is_small_enough_to_ship_ten_times():
    net = build(ModelConfig("small-cnn", 5, (192, 192)))
    assert sum(t.numel() for t in net.state_dict().values()) <= 70_000


def test_classify_never_runs_the_decoder():
    net = build(ModelConfig("small-cnn", 2, (32, 32))).eval()
    x = torch.randn(2, 3, 32, 32)
    logits = net(x)[0]

    def fail(*_):
        raise AssertionError("the decoder ran")

    net.decoder.register_forward_pre_hook(fail)
    assert torch.equal(net.classify(x), logits)
    with pytest.raises(AssertionError, match="decoder ran"):
        net(x)


def test_the_decoder_can_draw_what_the_encoder_saw():
    net = build(ModelConfig("small-cnn", 2, (32, 32)), seed=0).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    masks = torch.zeros(4, 32, 32)
    for i, (top, left) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        masks[i, top : top + 16, left : left + 16] = 1
    x = masks[:, None] + 0.1 * torch.randn(4, 3, 32, 32)
    for _ in range(60):
        optimizer.zero_grad()
        loss = ((net(x)[1][:, 0] - masks) ** 2).mean()
        loss.backward()
        optimizer.step()
    drawn = net(x)[1][:, 0].detach()
    assert drawn[masks > 0].mean() > drawn[masks == 0].mean() + 0.6


def test_without_a_decoder():
    net = build(ModelConfig("small-cnn", 2, (32, 32), decoder=False))
    assert net(torch.randn(2, 3, 32, 32))[1] is None
    assert not any(name.startswith("decoder") for name in net.state_dict())


def test_same_seed_same_weights_and_global_state_untouched():
    config = ModelConfig("small-cnn", 2, (32, 32))
    before = torch.get_rng_state()
    first, second, other = build(config, seed=1), build(config, seed=1), build(config, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [n.state_dict()["encoder.features.0.0.weight"] for n in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# Key and shape pairs as torchvision's published state dicts have them.
TORCHVISION = {
    "efficientnet-b0": (
        360,
        {
            "features.0.0.weight": (32, 3, 3, 3),
            "features.0.1.running_mean": (32,),
            "features.1.0.block.0.0.weight": (32, 1, 3, 3),
            "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
            "features.1.0.block.1.fc2.bias": (32,),
            "features.1.0.block.2.0.weight": (16, 32, 1, 1),
            "features.2.1.block.2.fc1.weight": (6, 144, 1, 1),
            "features.6.3.block.3.1.num_batches_tracked": (),
            "features.7.0.block.1.0.weight": (1152, 1, 3, 3),
            "features.8.0.weight": (1280, 320, 1, 1),
            "classifier.1.weight": (1000, 1280),
        },
    ),
    "mobilenet-v2": (
        314,
        {
            "features.0.0.weight": (32, 3, 3, 3),
            "features.1.conv.0.0.weight": (32, 1, 3, 3),
            "features.1.conv.1.weight": (16, 32, 1, 1),
            "features.1.conv.2.running_var": (16,),
            "features.17.conv.1.0.weight": (960, 1, 3, 3),
            "features.17.conv.3.bias": (320,),
            "features.18.0.weight": (1280, 320, 1, 1),
            "classifier.1.bias": (1000,),
        },
    ),
}


@pytest.mark.parametrize("arch", list(TORCHVISION))
def test_names_and_shapes_are_those_of_torchvision(arch):
    count, some = TORCHVISION[arch]
    state = PlainClassifier(arch, 1000).state_dict()
    assert len(state) == count
    for key, shape in some.items():
        assert tuple(state[key].shape) == shape, key
    encoder = build(ModelConfig(arch, 2, (64, 64))).encoder.state_dict()
    assert list(encoder) == [key for key in state if key.startswith("features.")]


@pytest.mark.parametrize("arch", list(TORCHVISION))
def test_names_against_the_real_torchvision(arch):
    try:
        import torchvision
    except Exception as error:
        pytest.skip(f"torchvision cannot be imported ({error})")
    theirs = getattr(torchvision.models, arch.replace("-", "_"))()
    ours = PlainClassifier(arch, 1000)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@given(st.integers(4, 40), st.sampled_from([1, 3, 5]), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_same_padding_gives_the_ceiling(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert 0 <= before <= after <= before + 1
    cells = (size + before + after - kernel) // stride + 1
    # A kernel smaller than its stride needs no padding and may leave a rest unseen.
    assert cells == -(-size // stride) or kernel < stride


def test_same_convolution_by_hand():
    conv = SamePadConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    # Windows start at rows and columns 0 and 2; only the end is padded.
    expected = [
        [0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10, 2 + 3 + 6 + 7 + 10 + 11],
        [8 + 9 + 10 + 12 + 13 + 14, 10 + 11 + 14 + 15],
    ]
    np.testing.assert_array_equal(conv(x)[0, 0].detach().numpy(), expected)


def test_calibration_gives_a_random_deep_net_a_signal():
    net = build(ModelConfig("efficientnet-b0", 3, (64, 64)), seed=0).eval()
    x = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        dead = net.classify(x).std(0).max()
        calibrate_batchnorm(net, x)
        alive = net.classify(x).std(0).max()
    assert dead < 1e-6
    assert alive > 1e-3
    assert not any(m.training for m in net.modules())
    norm = net.encoder.features[0][1]
    with torch.no_grad():
        normalised = norm(net.encoder.features[0][0](x))
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(32), atol=1e-4, rtol=0)
    assert norm.momentum == 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "resnet-900"},
        {"n_classes": 1},
        {"input_size": (8, 8)},
        {"padding": "reflect"},
        {"dropout": 1.0},
    ],
)
def test_impossible_configs_are_refused(change):
    good = {"arch": "small-cnn", "n_classes": 2, "input_size": (32, 32)}
    ModelConfig(**good)
    with pytest.raises(ConfigError):
        ModelConfig(**(good | change))
