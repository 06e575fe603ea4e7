"""Any network, wrapped: logits head, target layer, preparation, fingerprint."""

from collections import OrderedDict, namedtuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xaieval.errors import ModelError
from xaieval.models import (
    MODELS,
    Classifier,
    ModelConfig,
    PlainClassifier,
    Preprocessing,
    TokenGrid,
    as_classifier,
    build,
    calibrate_batchnorm,
)

SIZE = (32, 32)
SMALL = Preprocessing(SIZE)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Outputs(nn.Module):
    """A tiny network that returns its outputs in a form of choice."""

    def __init__(self, form):
        super().__init__()
        self.conv, self.head, self.other = nn.Conv2d(3, 4, 3), nn.Linear(4, 5), nn.Linear(4, 7)
        self.form = form

    def forward(self, x):
        maps = F.relu(self.conv(x))
        flat = maps.mean((2, 3))
        return self.form(self.head(flat), self.other(flat), maps)


Pair = namedtuple("Pair", ["embedding", "logits"])


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        (lambda a, b, m: a, "auto"),
        (lambda a, b, m: (a, m), "auto"),
        (lambda a, b, m: [m, a], "auto"),
        (lambda a, b, m: {"out": a, "aux": b}, "auto"),
        (lambda a, b, m: OrderedDict(embedding=b, logits=a), "auto"),
        (lambda a, b, m: Pair(b, a), "auto"),
        (lambda a, b, m: {"nested": (m, a), "labels": a.argmax(1)}, "auto"),
        (lambda a, b, m: (b, a), 1),
        (lambda a, b, m: {"heads": [b, a]}, "heads.1"),
        (lambda a, b, m: (b, a), lambda output: output[1]),
    ],
)
def test_logits_are_found_in_every_form(form, rule):
    net = Outputs(form)
    classifier = Classifier(net, preprocessing=SMALL, logits=rule)
    assert classifier.n_classes == 5
    x = torch.randn(3, 3, *SIZE)
    expected = net.head(F.relu(net.conv(x)).mean((2, 3)))
    torch.testing.assert_close(classifier.logits(x), expected)


def test_class_names_settle_a_draw():
    net = Outputs(lambda a, b, m: (a, b))
    assert Classifier(net, preprocessing=SMALL, class_names="abcdefg").n_classes == 7


def test_ambiguous_logits_list_the_candidates():
    with pytest.raises(ModelError, match=r"0: float32 \(2, 5\), 1: float32 \(2, 7\).*logits='0'"):
        _ = Classifier(Outputs(lambda a, b, m: (a, b)), preprocessing=SMALL).n_classes


def test_no_logits_lists_what_came():
    with pytest.raises(ModelError, match=r"no class logits.*float32 \(2, 4, 30, 30\)"):
        _ = Classifier(Outputs(lambda a, b, m: [m]), preprocessing=SMALL).n_classes


def test_a_named_output_that_is_not_there():
    classifier = Classifier(Outputs(lambda a, b, m: (a, b)), preprocessing=SMALL, logits="logit")
    with pytest.raises(ModelError, match="no tensor 'logit'"):
        _ = classifier.n_classes


def test_wrong_number_of_class_names():
    classifier = Classifier(Outputs(lambda a, b, m: a), preprocessing=SMALL, class_names=("a", "b"))
    with pytest.raises(ModelError, match="expected 5 names, got 2"):
        _ = classifier.class_names


def test_an_input_that_does_not_fit_is_explained():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    assert Classifier(net, preprocessing=SMALL).n_classes == 2
    with pytest.raises(ModelError, match=r"does not run on input.*preprocessing="):
        _ = Classifier(net).n_classes


def test_grey_networks_are_looked_at_in_grey():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert Classifier(net, preprocessing=SMALL).target_layer == "0"


class Residual(nn.Module):
    """A basic block with one ReLU used twice, as in torchvision's ResNet."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class ResNetLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Residual(), Residual())
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

    def forward(self, x):
        x = self.layer1(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VggLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(nn.Linear(36, 8), nn.ReLU(True), nn.Linear(8, 2))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class WithDecoder(nn.Module):
    """The decoder runs after the classifier and is no part of its path."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.fc, self.decoder = nn.Linear(4, 3), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        maps = self.body(x)
        return {"cls": self.fc(maps.mean((2, 3))), "mask": self.decoder(maps)}


@pytest.mark.parametrize(
    ("net", "layer"),
    [
        (ResNetLike(), "layer1.1"),
        (VggLike(), "features.2"),
        (WithDecoder(), "body"),
        (PlainClassifier("small-cnn", 3), "features.7"),
    ],
)
def test_the_target_layer_is_found(net, layer):
    assert Classifier(net, preprocessing=SMALL).target_layer == layer


@pytest.mark.parametrize("arch", list(MODELS))
def test_the_rule_agrees_with_the_table(arch):
    net = build(ModelConfig(arch, 3, (64, 64)), seed=0)
    classifier = Classifier(net, preprocessing=Preprocessing((64, 64)))
    assert classifier.target_layer == MODELS[arch].target_layer


def test_target_layer_by_name_by_module_and_with_suggestions():
    net = ResNetLike()
    assert Classifier(net, target_layer="layer1.0").target_layer == "layer1.0"
    assert Classifier(net, target_layer=net.layer1[0]).target_layer == "layer1.0"
    with pytest.raises(ModelError, match=r"no layer 'layr1.0'.*layer1\.0"):
        Classifier(net, target_layer="layr1.0")
    with pytest.raises(ModelError, match="not part of the network"):
        Classifier(net, target_layer=nn.ReLU())


def test_a_flat_network_has_no_target_layer_but_runs():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4), nn.ReLU(), nn.Linear(4, 2))
    classifier = Classifier(net, preprocessing=SMALL)
    with pytest.raises(ModelError, match="no feature map"):
        _ = classifier.target_layer
    prepared = classifier.prepared()
    assert prepared.logits(torch.randn(2, 3, *SIZE)).shape == (2, 2)
    with pytest.raises(ModelError, match="target_layer="):
        prepared.logits_and_layer(torch.randn(2, 3, *SIZE))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_refused():
    traced = torch.jit.trace(VggLike().eval(), torch.zeros(1, 3, *SIZE))
    with pytest.raises(ModelError, match="TorchScript"):
        _ = Classifier(traced, preprocessing=SMALL).n_classes


def test_of_a_compiled_network_the_network_is_explained():
    net = VggLike().eval()
    compiled = Classifier(torch.compile(net, backend="eager"), preprocessing=SMALL)
    assert compiled.module is net
    assert compiled.fingerprint == Classifier(net, preprocessing=SMALL).fingerprint
    assert compiled.target_layer == Classifier(net, preprocessing=SMALL).target_layer


def test_another_network_in_the_same_wrapper():
    grid = TokenGrid(1, 2, 2)
    wrapped = Classifier(VggLike(), preprocessing=SMALL, class_names="ab", token_grid=grid)
    other = VggLike()
    twin = wrapped.with_module(other)
    assert twin.module is other
    assert twin.token_grid == grid
    assert twin.target_layer == wrapped.target_layer
    assert twin.class_names == wrapped.class_names
    assert twin.preprocessing == SMALL


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in net.state_dict().items()}


def test_the_network_is_never_changed():
    net = ResNetLike().train()
    before, x = _state(net), torch.randn(4, 3, *SIZE)
    classifier = Classifier(net, preprocessing=SMALL)
    prepared = classifier.prepared()
    prepared.logits_and_layer(x.requires_grad_())[0].sum().backward()
    _ = classifier.logits(x), classifier.fingerprint
    assert net.training
    assert net.relu.inplace
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())


def _trained(net: nn.Module) -> nn.Module:
    """Give batch norms statistics that folding must get right."""
    for _ in range(3):
        net(torch.randn(8, 3, *SIZE) * 2 + 1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    return net.eval()


def _norms(net: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@pytest.mark.parametrize(
    "net", [ResNetLike(), VggLike(), build(ModelConfig("small-cnn", 3, SIZE), seed=0)]
)
def test_folding_changes_nothing_that_matters(net):
    net = _trained(net)
    classifier = Classifier(net, preprocessing=SMALL)
    fast, exact = classifier.prepared(), classifier.prepared(exact=True)
    assert _norms(exact.module) == _norms(net)
    # Only the decoder, which no explanation runs, keeps its batch norms.
    decoder = _norms(net.decoder) if hasattr(net, "decoder") else 0
    assert _norms(fast.module) == decoder
    assert fast.notes == ()
    x = torch.randn(4, 3, *SIZE)
    expected = Classifier(net, preprocessing=SMALL).logits(x)
    torch.testing.assert_close(exact.logits(x), expected)
    torch.testing.assert_close(fast.logits(x), expected, rtol=1e-4, atol=1e-4)
    assert not any(p.requires_grad for p in fast.module.parameters())


def test_a_convolution_that_is_the_target_stays_unfolded():
    net = _trained(VggLike())
    classifier = Classifier(net, preprocessing=SMALL, target_layer="features.0")
    prepared = classifier.prepared()
    assert _norms(prepared.module) == 1
    x = torch.randn(2, 3, *SIZE)
    torch.testing.assert_close(prepared.logits_and_layer(x)[1], net.features[0](x))


class Reuses(nn.Module):
    """The convolution's output is also read past the batch norm: it must not be folded."""

    def __init__(self, tangled):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.tangled = tangled

    def forward(self, x):
        y = self.conv(x)
        z = self.bn(y) + y
        if self.tangled and z.sum() > 0:  # torch.fx cannot trace a branch on values
            z = z * 2
        return self.fc(z.relu().mean((2, 3)))


@pytest.mark.parametrize("tangled", [False, True])
def test_an_output_read_twice_is_not_folded(tangled):
    net = _trained(Reuses(tangled))
    prepared = Classifier(net, preprocessing=SMALL).prepared()
    assert _norms(prepared.module) == 1
    assert any("torch.fx cannot trace" in note for note in prepared.notes) is tangled
    x = torch.randn(2, 3, *SIZE)
    torch.testing.assert_close(prepared.logits(x), net(x))


def test_a_shared_batch_norm_is_not_folded():
    norm = nn.BatchNorm2d(3)
    net = nn.Sequential(
        nn.Conv2d(3, 3, 3), norm, nn.Conv2d(3, 3, 3), norm, nn.Flatten(), nn.Linear(3 * 784, 2)
    )
    net = _trained(net)
    prepared = Classifier(net, preprocessing=SMALL).prepared()
    assert _norms(prepared.module) == 1
    x = torch.randn(2, 3, *SIZE)
    torch.testing.assert_close(prepared.logits(x), net(x), rtol=1e-4, atol=1e-5)


def test_layer_and_gradient_agree_with_autograd_by_hand():
    net = _trained(VggLike())
    classifier = Classifier(net, preprocessing=SMALL)
    x = torch.randn(2, 3, *SIZE)
    maps = net.features[:3](x).detach().requires_grad_()
    logits = net.classifier(torch.flatten(net.avgpool(net.features[3](maps)), 1))
    expected = torch.autograd.grad(logits[:, 1].sum(), maps)[0]
    for inputs in (x, x.clone().requires_grad_()):
        logits, layer = classifier.prepared().logits_and_layer(inputs)
        wanted = [layer, inputs] if inputs.requires_grad else [layer]
        gradients = torch.autograd.grad(logits[:, 1].sum(), wanted)
        torch.testing.assert_close(layer, maps, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradients[0], expected, rtol=1e-4, atol=1e-6)
        assert all(bool(g.abs().sum() > 0) for g in gradients)


def test_fingerprint_follows_weights_structure_and_preprocessing():
    config = ModelConfig("small-cnn", 3, SIZE)
    base = Classifier(build(config, seed=0), preprocessing=SMALL)
    assert base.fingerprint == Classifier(build(config, seed=0), preprocessing=SMALL).fingerprint
    padded = ModelConfig("small-cnn", 3, SIZE, padding="same_tf")
    nudged = build(config, seed=0)
    nudged.head.linear.bias.data[0] += 1e-7
    others = [
        Classifier(build(config, seed=1), preprocessing=SMALL),
        Classifier(build(padded, seed=0), preprocessing=SMALL),
        Classifier(build(config, seed=0), preprocessing=Preprocessing((48, 48))),
        Classifier(nudged, preprocessing=SMALL),
    ]
    assert len({c.fingerprint for c in (base, *others)}) == 5


def test_float64_networks_stay_float64():
    net = build(ModelConfig("small-cnn", 3, SIZE), seed=0).double()
    calibrate_batchnorm(net, torch.randn(4, 3, *SIZE, dtype=torch.float64))
    prepared = Classifier(net, preprocessing=SMALL).prepared(exact=True)
    assert prepared.logits(torch.randn(2, 3, *SIZE).double()).dtype == torch.float64


def test_as_classifier():
    net = VggLike()
    wrapped = as_classifier(net)
    assert as_classifier(wrapped) is wrapped
    with pytest.raises(ModelError, match=r"torch\.nn\.Module"):
        as_classifier("resnet")  # type: ignore[arg-type]
