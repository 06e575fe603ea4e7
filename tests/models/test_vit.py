"""Vision transformers: PyTorch's own attention as the twin, registers, grids, token maps."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from xaieval.errors import ConfigError, ModelError
from xaieval.models import (
    Classifier,
    ModelConfig,
    PlainClassifier,
    Preprocessing,
    TrainOptions,
    build,
    classifier_from_encoder,
    load_encoder_weights,
)
from xaieval.models.vit import SelfAttention, VisionTransformer, VitConfig, vit_b_16, vit_tiny
from xaieval.models.weights import freeze


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _shaken(net):
    """Move every parameter off its special starting value (zero biases, unit norms)."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


def test_attention_is_that_of_pytorch():
    ours, theirs = SelfAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(_shaken(ours).state_dict(), strict=True)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


def _naive(net, x):
    """The whole transformer again, from the paper's equations 1 to 4, with PyTorch's modules."""
    config, encoder = net.config, net.encoder
    width = config.input_size[1]
    rows = []
    for picture in x:
        tokens = [net.class_token[0, 0] + encoder.pos_embedding[0, 0]]
        if net.register_tokens is not None:
            tokens += list(net.register_tokens[0])
        place = 1
        for top in range(0, config.input_size[0], config.patch):
            for left in range(0, width, config.patch):
                patch = picture[:, top : top + config.patch, left : left + config.patch]
                embedded = (net.conv_proj.weight * patch).sum((1, 2, 3)) + net.conv_proj.bias
                tokens.append(embedded + encoder.pos_embedding[0, place])
                place += 1
        z = torch.stack(tokens)[None]
        for block in encoder.layers:
            attention = nn.MultiheadAttention(config.dim, config.heads, batch_first=True)
            attention.to(x.dtype).load_state_dict(block.self_attention.state_dict())
            y = block.ln_1(z)
            z = z + attention(y, y, y)[0]
            z = z + block.mlp[3](F.gelu(block.mlp[0](block.ln_2(z))))
        rows.append(net.heads.head(encoder.ln(z[:, 0]))[0])
    return torch.stack(rows)


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("size", [(8, 8), (8, 20)])
def test_the_naive_twin(size, registers):
    config = VitConfig(
        size, patch=4, dim=12, depth=2, heads=3, mlp_dim=20, registers=registers, n_classes=5
    )
    net = _shaken(VisionTransformer(config)).double()
    assert config.grid == (size[0] // 4, size[1] // 4)
    assert config.prefix == 1 + registers
    x = torch.randn(2, 3, *size).double()
    torch.testing.assert_close(net(x), _naive(net, x))


def test_recording_gradients_changes_no_bit_and_weights_are_seen():
    net = vit_tiny((32, 48), n_classes=3, registers=2).eval()
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        expected = net(x)
    with torch.inference_mode():
        assert torch.equal(net(x), expected)
    assert torch.equal(net(x.clone().requires_grad_()), expected)

    class Watch(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.shapes = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            if func is F.softmax:
                self.shapes.append(tuple(found.shape))
            return found

    with Watch() as watch:
        assert torch.equal(net(x), expected)
    assert watch.shapes == [(2, 4, 9, 9)] * 6


def test_layer_methods_read_the_last_token_map():
    net = _shaken(vit_tiny((32, 48), n_classes=3, registers=2))
    classifier = Classifier(net, preprocessing=Preprocessing((32, 48)))
    assert classifier.target_layer == "encoder.layers.encoder_layer_5.token_map"
    x = torch.randn(2, 3, 32, 48)
    logits, maps = classifier.prepared(exact=True).logits_and_layer(x)
    assert maps.shape == (2, 128, 2, 3)
    torch.testing.assert_close(logits, net(x))
    # By hand: the patch tokens after the last block's first norm, row by row.
    seen = []
    handle = net.encoder.layers[-1].ln_1.register_forward_hook(lambda *a: seen.append(a[2]))
    net(x)
    handle.remove()
    torch.testing.assert_close(maps[:, :, 1, 2], seen[0][:, 3 + 1 * 3 + 2])
    gradient = torch.autograd.grad(logits[:, 0].sum(), maps)[0]
    assert bool((gradient.abs().sum((1, 2, 3)) > 0).all())


def test_registers_have_a_name_only_where_they_are():
    plain, more = vit_tiny((32, 32)).state_dict(), vit_tiny((32, 32), registers=4).state_dict()
    assert more.keys() - plain.keys() == {"register_tokens"}
    assert tuple(more["register_tokens"].shape) == (1, 4, 128)
    # They have no position.
    assert (
        plain["encoder.pos_embedding"].shape == more["encoder.pos_embedding"].shape == (1, 5, 128)
    )


def test_as_multitask_encoder():
    net = _shaken(build(ModelConfig("vit-tiny", 3, (32, 48)), seed=0))
    x = torch.randn(2, 3, 32, 48)
    logits, mask_logits = net(x)
    assert mask_logits.shape == (2, 1, 32, 48)
    assert torch.equal(net.classify(x), logits)
    tokens = net.encoder(x)
    assert tokens.shape == (2, 1 + 6, 128)
    assert torch.equal(logits, net.head.linear(tokens[:, 0]))
    assert torch.equal(net.encode(x)[:, :, 1, 0], tokens[:, 1 + 3])


@pytest.mark.parametrize("source", ["torchvision", "checkpoint"])
def test_encoder_weights(tmp_path, source):
    other = _shaken(
        vit_tiny((32, 32), n_classes=7)
        if source == "torchvision"
        else build(ModelConfig("vit-tiny", 4, (32, 32)))
    )
    save_file(
        {k: v.contiguous() for k, v in other.state_dict().items()}, tmp_path / "w.safetensors"
    )
    net = build(ModelConfig("vit-tiny", 3, (32, 32)), seed=0)
    load_encoder_weights(net.encoder, tmp_path / "w.safetensors", arch="vit-tiny")
    theirs = (other if source == "torchvision" else other.encoder).state_dict()
    for key, value in net.encoder.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    wide = build(ModelConfig("vit-tiny", 3, (32, 48)), seed=0)
    with pytest.raises(ModelError, match=r"pos_embedding \(1, 5, 128\) instead of \(1, 7, 128\)"):
        load_encoder_weights(wide.encoder, tmp_path / "w.safetensors", arch="vit-tiny")


def test_freezing_counts_the_stem_and_the_blocks():
    net = build(ModelConfig("vit-tiny", 3, (32, 32))).train()
    freeze(net, TrainOptions(freeze_encoder_blocks=2))
    frozen = {n.split(".ln")[0] for n, p in net.encoder.named_parameters() if not p.requires_grad}
    assert {"class_token", "conv_proj.weight", "encoder.pos_embedding"} <= frozen
    assert not net.encoder.encoder.layers[0].training
    assert net.encoder.encoder.layers[1].training
    assert all(p.requires_grad for p in net.encoder.encoder.layers[1].parameters())
    with pytest.raises(ConfigError, match="at most 7"):
        freeze(net, TrainOptions(freeze_encoder_blocks=8))


def test_a_plain_classifier_of_any_size(tmp_path):
    net = _shaken(vit_tiny((32, 48), n_classes=3))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "w.safetensors")
    classifier = classifier_from_encoder(
        "vit-tiny",
        n_classes=3,
        weights=tmp_path / "w.safetensors",
        preprocessing=Preprocessing((32, 48)),
    )
    x = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(classifier.prepared().logits(x), net(x))
    with pytest.raises(ConfigError, match=r"plain_network\('vit-tiny', 3\)"):
        PlainClassifier("vit-tiny", 3)


def test_the_configuration_is_in_the_fingerprint():
    """The number of heads is in no weight's shape."""
    nets = [
        VisionTransformer(VitConfig((32, 32), dim=12, depth=1, heads=heads, n_classes=2))
        for heads in (2, 3)
    ]
    nets[1].load_state_dict(nets[0].state_dict(), strict=True)
    assert len({Classifier(net).fingerprint for net in nets}) == 2


def test_a_new_transformer_has_gradients():
    x = torch.randn(1, 3, 32, 32, requires_grad=True)
    vit_tiny((32, 32), n_classes=3)(x)[0, 1].backward()
    assert x.grad.abs().max() > 0


def test_names_and_shapes_of_vit_b_16():
    with torch.device("meta"):
        state = vit_b_16(n_classes=1000).state_dict()
    assert sum(t.numel() for t in state.values()) == 86_567_656
    assert len(state) == 152
    shapes = {
        "class_token": (1, 1, 768),
        "conv_proj.weight": (768, 3, 16, 16),
        "encoder.pos_embedding": (1, 197, 768),
        "encoder.layers.encoder_layer_0.ln_1.weight": (768,),
        "encoder.layers.encoder_layer_11.self_attention.in_proj_weight": (2304, 768),
        "encoder.layers.encoder_layer_11.self_attention.in_proj_bias": (2304,),
        "encoder.layers.encoder_layer_5.self_attention.out_proj.weight": (768, 768),
        "encoder.layers.encoder_layer_5.mlp.0.weight": (3072, 768),
        "encoder.layers.encoder_layer_5.mlp.3.bias": (768,),
        "encoder.ln.bias": (768,),
        "heads.head.weight": (1000, 768),
    }
    for key, shape in shapes.items():
        assert tuple(state[key].shape) == shape, key


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": (30, 32)},
        {"input_size": (32,)},
        {"dim": 130},
        {"depth": 0},
        {"registers": -1},
        {"dropout": 1.0},
    ],
)
def test_impossible_configs_are_refused(change):
    with pytest.raises(ConfigError):
        VitConfig(**({"input_size": (32, 32)} | change))
