"""Random copies: which layers, in which order, drawn how."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from xaieval.models import Classifier, ModelConfig, Preprocessing, build, calibrate_batchnorm
from xaieval.sanity.networks import layers_in_order, randomised, stages


def noise(count: int, size: int) -> Tensor:
    return torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(5))


class Odd(nn.Module):
    """Layers declared against their order, one functional, one reused, one idle; a free scale."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.idle = nn.Linear(6, 3)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.scale = nn.Parameter(torch.linspace(0.5, 2.0, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.first.weight, self.first.bias, padding=1).relu()
        x = self.second(self.second(x).relu_()) * self.scale[:, None, None]
        return self.head(x.mean((2, 3)))


def test_order_is_that_of_use() -> None:
    classifier = Classifier(Odd(), example=noise(2, 8))
    assert layers_in_order(classifier, noise(2, 8)) == {
        "first": ("first.weight", "first.bias"),
        "second": ("second.weight", "second.bias"),
        "": ("scale",),
        "head": ("head.weight", "head.bias"),
    }


def test_the_mask_decoder_takes_no_part() -> None:
    net = build(ModelConfig("small-cnn", 3, (32, 32)), seed=0)
    classifier = Classifier(net.eval(), preprocessing=Preprocessing((32, 32)))
    layers = list(layers_in_order(classifier, noise(2, 32)))
    assert layers[0] == "encoder.features.0.0"
    assert layers[-1] == "head.linear"
    assert not any(name.startswith("decoder") for name in layers)


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 50])
def test_stages_go_down_to_every_layer(count: int) -> None:
    names = [f"l{i}" for i in range(count)]
    found = stages(names)
    sizes = [len(stage.layers) for stage in found]
    assert sizes[0] == (count if count == 1 else 1)
    assert sizes == sorted(set(sizes))
    assert found[-1].layers == tuple(reversed(names))
    assert len(found) == min(count, 6)
    for stage in found:
        assert stage.name == stage.layers[-1]


def test_only_the_named_layers_change() -> None:
    classifier = Classifier(Odd(), example=noise(2, 8))
    layers = layers_in_order(classifier, noise(2, 8))
    twin = randomised(classifier, {"head": layers["head"], "": layers[""]}, noise(4, 8), seed=1)
    was, now = classifier.module.state_dict(), twin.module.state_dict()
    changed = {key for key in was if not torch.equal(was[key], now[key])}
    assert changed == {"head.weight", "head.bias", "scale"}
    assert not now["head.bias"].any()
    # A parameter of no known distribution keeps its values and loses their order.
    assert now["scale"].sort().values.tolist() == was["scale"].tolist()


def test_weights_are_drawn_by_he() -> None:
    net = nn.Sequential(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 300))
    classifier = Classifier(net, example=noise(2, 8))
    twin = randomised(
        classifier, layers_in_order(classifier, noise(2, 8)), noise(4, 8), seed=0
    ).module
    assert twin[0].weight.std().item() == pytest.approx((2 / 75) ** 0.5, rel=0.05)
    assert twin[3].weight.std().item() == pytest.approx((2 / 1024) ** 0.5, rel=0.05)
    assert abs(twin[3].weight.mean().item()) < 1e-3


def test_a_layer_draws_the_same_in_every_stage() -> None:
    classifier = Classifier(Odd(), example=noise(2, 8))
    layers = layers_in_order(classifier, noise(2, 8))
    one = randomised(classifier, {"head": layers["head"]}, noise(4, 8), seed=7).module
    all_ = randomised(classifier, layers, noise(4, 8), seed=7).module
    other = randomised(classifier, layers, noise(4, 8), seed=8).module
    assert torch.equal(one.head.weight, all_.head.weight)
    assert not torch.equal(all_.head.weight, other.head.weight)
    assert not torch.equal(all_.head.weight[:, :3], all_.first.weight[:3, :, 0, 0])


def test_the_signal_stays_alive_through_batch_norms() -> None:
    """In eval mode a random EfficientNet-B0 puts out about 1e-20; the gate's copy must not."""
    net = build(ModelConfig("efficientnet-b0", 3, (64, 64), decoder=False), seed=0)
    calibrate_batchnorm(net, noise(8, 64))
    classifier = Classifier(net.eval(), preprocessing=Preprocessing((64, 64)))
    x = noise(6, 64)
    twin = randomised(classifier, layers_in_order(classifier, x), x, seed=0)
    logits = twin.logits(x)
    assert torch.isfinite(logits).all()
    assert 1e-3 < logits.std().item() < 1e3
    assert (logits.std(0) > 1e-4).all()  # they still depend on the picture


def test_untouched_batch_norms_keep_their_statistics() -> None:
    net = build(ModelConfig("small-cnn", 3, (32, 32)), seed=0)
    calibrate_batchnorm(net, noise(8, 32))
    classifier = Classifier(net.eval(), preprocessing=Preprocessing((32, 32)))
    layers = layers_in_order(classifier, noise(4, 32))
    upper = {name: layers[name] for name in stages(list(layers))[1].layers}
    twin = randomised(classifier, upper, noise(6, 32), seed=0).module
    changed = set()
    for key, value in net.state_dict().items():
        if key.endswith("running_mean") and not torch.equal(value, twin.state_dict()[key]):
            changed.add(key.removesuffix(".running_mean"))
    assert changed
    assert changed <= set(upper)
