"""Residual nets and VGG: torchvision's names, and torchvision itself where it is installed."""

import sys
import types

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xaieval.errors import ConfigError
from xaieval.models import (
    Classifier,
    ModelConfig,
    PlainClassifier,
    Preprocessing,
    TrainOptions,
    build,
    calibrate_batchnorm,
    classifier_from_encoder,
    load_encoder_weights,
    plain_network,
)
from xaieval.models.weights import freeze

# Key and shape pairs as torchvision's published state dicts have them.
FACTS = {
    "resnet18": (
        11_689_512,
        122,
        {
            "conv1.weight": (64, 3, 7, 7),
            "bn1.running_var": (64,),
            "layer1.0.conv1.weight": (64, 64, 3, 3),
            "layer1.1.bn2.num_batches_tracked": (),
            "layer2.0.downsample.0.weight": (128, 64, 1, 1),
            "layer2.0.downsample.1.running_mean": (128,),
            "layer4.1.conv2.weight": (512, 512, 3, 3),
            "fc.weight": (1000, 512),
        },
    ),
    "resnet50": (
        25_557_032,
        320,
        {
            "layer1.0.downsample.0.weight": (256, 64, 1, 1),
            "layer1.0.conv1.weight": (64, 64, 1, 1),
            "layer3.5.conv2.weight": (256, 256, 3, 3),
            "layer4.2.conv3.weight": (2048, 512, 1, 1),
            "layer4.2.bn3.bias": (2048,),
            "fc.bias": (1000,),
        },
    ),
    "vgg16": (
        138_357_544,
        32,
        {
            "features.0.weight": (64, 3, 3, 3),
            "features.28.bias": (512,),
            "classifier.0.weight": (4096, 25088),
            "classifier.3.weight": (4096, 4096),
            "classifier.6.bias": (1000,),
        },
    ),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def torchvision():
    """The real one. Beside a torch of another build only its compiled operators fail."""
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("unused"))
    try:
        import torchvision
    except Exception as error:
        pytest.skip(f"torchvision cannot be imported ({error})")
    return torchvision


@pytest.mark.parametrize("arch", list(FACTS))
def test_names_and_shapes(arch):
    parameters, count, some = FACTS[arch]
    with torch.device("meta"):
        net = plain_network(arch, 1000)
    assert sum(p.numel() for p in net.parameters()) == parameters
    state = net.state_dict()
    assert len(state) == count
    for key, shape in some.items():
        assert tuple(state[key].shape) == shape, key


@pytest.mark.parametrize("arch", [*FACTS, "vit-b-16"])
def test_the_real_torchvision(torchvision, arch):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, arch.replace("-", "_"))()
        ours = plain_network(arch, 1000)
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (theirs, ours)]
    assert shapes[0] == shapes[1]
    if arch == "vgg16":
        return  # names and shapes are enough for half a gigabyte
    theirs = theirs.to_empty(device="cpu").eval()
    for name, tensor in theirs.state_dict().items():
        if tensor.ndim > 1:
            nn.init.normal_(tensor, std=tensor[0].numel() ** -0.5)
        elif name.endswith(("bias", "running_mean")):
            nn.init.normal_(tensor, std=0.1)
        elif tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    ours = ours.to_empty(device="cpu").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_one_relu_serves_a_block_and_works_in_place(arch):
    net = PlainClassifier(arch, 2)
    runs = []
    block = net.layer2[1]
    assert [m for m in block.modules() if isinstance(m, nn.ReLU)] == [block.relu]
    assert block.relu.inplace
    block.relu.register_forward_hook(lambda *_: runs.append(1))
    net(torch.randn(2, 3, 32, 32))
    assert len(runs) == (2 if arch == "resnet18" else 3)


def test_the_bottleneck_halves_in_its_3x3_convolution():
    first = PlainClassifier("resnet50", 2).layer3[0]
    assert (first.conv1.stride, first.conv2.stride) == ((1, 1), (2, 2))


def _basic_block(block, x):
    """Equation 1 of He et al.: y = ReLU(F(x) + W x)."""
    y = block.bn2(block.conv2(block.bn1(block.conv1(x)).clamp_min(0)))
    skip = x if block.downsample is None else block.downsample[1](block.downsample[0](x))
    return (y + skip).clamp_min(0)


def test_a_residual_block_by_hand():
    net = PlainClassifier("resnet18", 2).eval()
    calibrate_batchnorm(net, torch.randn(4, 3, 64, 64))
    for block, channels in ((net.layer2[0], 64), (net.layer2[1], 128)):
        x = torch.randn(2, channels, 8, 8).relu()
        torch.testing.assert_close(block(x.clone()), _basic_block(block, x))


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_every_batch_norm_folds(arch):
    net = PlainClassifier(arch, 3).eval()
    calibrate_batchnorm(net, torch.randn(4, 3, 64, 64))
    classifier = Classifier(net, preprocessing=Preprocessing((64, 64)))
    assert classifier.target_layer == {"resnet18": "layer4.1", "resnet50": "layer4.2"}[arch]
    prepared = classifier.prepared()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in prepared.module.modules())
    assert prepared.notes == ()
    x = torch.randn(2, 3, 64, 64)
    expected = classifier.logits(x)
    bound = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(prepared.logits(x), expected, rtol=0, atol=bound)


def test_vgg_reads_other_sizes_and_its_last_map():
    with torch.device("meta"):
        net = plain_network("vgg16", 5)
        assert net(torch.empty(2, 3, 96, 160)).shape == (2, 5)
    layers = [type(m).__name__ for m in net.features]
    assert layers.count("Conv2d") == 13
    assert layers.count("MaxPool2d") == 5
    assert all(m.inplace for m in net.modules() if isinstance(m, nn.ReLU))


@pytest.mark.parametrize("arch", ["resnet18", "vgg16"])
def test_encoder_weights_of_torchvision_load(tmp_path, arch):
    config = ModelConfig(arch, 3, (64, 64), decoder=False)
    other = build(config, seed=5).encoder.state_dict()
    head = {"fc.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}
    save_file({**{k: v.contiguous() for k, v in other.items()}, **head}, tmp_path / "w.safetensors")
    net = build(config, seed=0)
    load_encoder_weights(net.encoder, tmp_path / "w.safetensors", arch=arch)
    for key, value in net.encoder.state_dict().items():
        assert torch.equal(value, other[key]), key


@pytest.mark.parametrize(
    ("arch", "stages", "frozen", "free"),
    [
        ("resnet18", 5, ["conv1.weight", "bn1.bias", "layer1.1.conv2.weight"], "layer2.0.conv1"),
        ("vgg16", 5, ["features.0.weight", "features.7.bias"], "features.10"),
    ],
)
def test_freezing_counts_stages(arch, stages, frozen, free):
    net = build(ModelConfig(arch, 3, (64, 64), decoder=False)).train()
    freeze(net, TrainOptions(freeze_encoder_blocks=2))
    parameters = dict(net.encoder.named_parameters())
    assert not any(parameters[name].requires_grad for name in frozen)
    assert parameters[f"{free}.weight"].requires_grad
    if arch == "resnet18":
        assert not net.encoder.bn1.training
        assert not net.encoder.layer1[0].bn1.training
        assert net.encoder.layer2[0].bn1.training
    with pytest.raises(ConfigError, match=f"at most {stages}"):
        freeze(net, TrainOptions(freeze_encoder_blocks=stages + 1))


def test_a_residual_net_learns_both_tasks():
    net = build(ModelConfig("resnet18", 2, (64, 64)), seed=0).train()
    masks = torch.zeros(8, 64, 64)
    masks[::2, 8:40, 8:40] = 1
    x = masks[:, None] + 0.1 * torch.randn(8, 3, 64, 64)
    labels = torch.arange(8) % 2
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(12):
        optimizer.zero_grad()
        logits, drawn = net(x)
        loss = nn.functional.cross_entropy(logits, labels)
        (loss + ((drawn[:, 0] - masks) ** 2).mean()).backward()
        optimizer.step()
    assert (logits.argmax(1) == labels).all()
    assert drawn[:, 0][masks > 0].mean() > drawn[:, 0][masks == 0].mean() + 0.3


def test_a_plain_classifier_with_weights(tmp_path):
    net = PlainClassifier("resnet18", 4).eval()
    calibrate_batchnorm(net, torch.randn(4, 3, 64, 64))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "w.safetensors")
    classifier = classifier_from_encoder(
        "resnet18", n_classes=4, weights=tmp_path / "w.safetensors"
    )
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(x), net(x))
    assert classifier.name == "resnet18"
