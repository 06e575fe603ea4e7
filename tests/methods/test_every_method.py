"""What every method of the table owes: a map, the same in any batch, and a network left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.doctor import smoke
from xaieval.errors import Cancelled, MethodError, ModelError, NotDefinedError
from xaieval.methods import FAMILIES, METHODS, Explainer, MethodCall, explain, resolve_methods
from xaieval.models import Classifier, plain_network

SIZE = 32
FEW = {"kernel_shap": {"n_segments": 6, "n_samples": 16}, "rise": {"cells": 3}}
FEW |= {"lime": {"n_segments": 6}, "shapley_sampling": {"n_segments": 4, "n_samples": 2}}


class Convolutional(nn.Module):
    """ReLU, one module used twice, pooling, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.hidden, self.head = nn.Linear(8 * 16, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = self.pool(self.relu(self.second(self.relu(self.first(x)))))
        logits: Tensor = self.head(torch.relu(self.hidden(features.flatten(1))))
        return logits


def network(kind: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "tokens":
            return plain_network("vit-tiny", 3, input_size=(SIZE, SIZE)).eval()
        return Convolutional().eval()


KIND = {name: "tokens" if spec.family == "attention" else "cnn" for name, spec in METHODS.items()}


def call_of(name: str) -> MethodCall:
    return smoke(MethodCall(name, FEW.get(name, {})))


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn((3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def explainers(x: Tensor) -> dict[str, Explainer]:
    return {kind: Explainer(Classifier(network(kind), example=x[:2])) for kind in ("cnn", "tokens")}


def run(explainer: Explainer, x: Tensor, name: str, ids: list[str]) -> np.ndarray:
    targets = torch.tensor([int(i) % 3 for i in ids])
    found = explainer.run(x, methods=(call_of(name),), targets=targets, sample_ids=ids, seed=2)
    return next(iter(found.maps.values()))


@pytest.mark.parametrize("name", METHODS)
def test_a_map_that_does_not_feel_its_company(
    explainers: dict[str, Explainer], x: Tensor, name: str
) -> None:
    explainer = explainers[KIND[name]]
    whole = run(explainer, x, name, ["0", "1", "2"])
    assert whole.shape == (3, SIZE, SIZE)
    assert np.isfinite(whole).all()
    assert name == "constant" or np.ptp(whole) > 0
    turned = run(explainer, x.flip(0), name, ["2", "1", "0"])
    np.testing.assert_array_equal(whole, turned[::-1])
    np.testing.assert_array_equal(whole[1:2], run(explainer, x[1:2], name, ["1"]))


def states(net: nn.Module) -> Iterator[object]:
    for layer in net.modules():
        hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks)
        yield from (len(found) for found in hooks)
        yield "forward" in vars(layer)


@pytest.mark.parametrize("name", METHODS)
def test_the_network_is_left_as_it_was(x: Tensor, name: str) -> None:
    """Also the copy that is explained, after an error in the middle and after a cancel."""
    net = network(KIND[name])
    before = net(x).detach().clone()
    explainer = Explainer(Classifier(net, example=x[:2]))
    call, copy = call_of(name), explainer.prepared.module
    explainer.run(x, methods=(call,))
    clean, logits = list(states(copy)), copy(x).clone()

    passes = 0

    def late() -> bool:
        nonlocal passes
        passes += 1
        return passes > 2

    with suppress(Cancelled):  # a method of few passes is done before
        explainer.run(x, methods=(call,), cancelled=late)
    assert list(states(copy)) == clean

    layer = next(m for m in reversed(list(copy.modules())) if isinstance(m, nn.Linear))
    times = 0

    def fail(*_: object) -> None:
        nonlocal times
        times += 1
        if times > 1:
            raise RuntimeError("in the middle")

    handle = layer.register_forward_pre_hook(fail)
    with suppress(RuntimeError):  # the same
        explainer.run(x, methods=(call,))
    handle.remove()
    assert list(states(copy)) == clean
    assert torch.equal(copy(x), logits)
    assert torch.equal(net(x), before)
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_a_row_of_the_table_is_complete(name: str) -> None:
    spec = METHODS[name]
    assert spec.label
    assert spec.summary
    assert spec.family in FAMILIES
    assert spec.cost(spec.defaults) >= 0
    assert len(spec.paper) > 10
    assert spec.version >= 1
    assert all(option.help for option in spec.options.values())


def test_the_whole_list_stands_in_the_table() -> None:
    wanted = """
    saliency gradient_x_input integrated_gradients smoothgrad smoothgrad_squared vargrad deeplift
    gradient_shap guided_backprop deconvnet guided_gradcam lrp gradcam gradcam_plus_plus hirescam
    layercam xgradcam score_cam eigen_cam ablation_cam raw_attention attention_rollout
    gradient_rollout occlusion rise lime kernel_shap shapley_sampling sess puzzle tta random
    constant sobel centre_prior
    """
    assert set(wanted.split()) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_bad_input_names_method_or_model(x: Tensor, name: str) -> None:
    net, method = network(KIND[name]), call_of(name).key
    with pytest.raises(MethodError, match=r"target out of range.*3 classes"):
        explain(net, x, methods=method, targets=3)
    with pytest.raises(MethodError, match="at least one image"):
        Explainer(Classifier(net, example=x)).run(x[:0], methods=resolve_methods(method))
    with pytest.raises((MethodError, ModelError), match=r"half precision|Half"):
        explain(Classifier(net.half(), example=x), x, methods=method)


def test_what_is_not_defined_is_said_in_one_line(x: Tensor) -> None:
    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(3600, 2))
    for net, name, told in (
        (smooth, "guided_backprop", r"guided_backprop on Sequential, 1 \(SiLU\).*silu.*Leave"),
        (smooth, "deconvnet", "silu"),
        (smooth, "attention_rollout", "no attention"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)), "layercam", "target_layer"),
        (network("tokens"), "guided_gradcam", "gelu|softmax|layer_norm"),
    ):
        with pytest.raises(NotDefinedError, match=told) as caught:
            explain(net, x, methods=name)
        assert "\n" not in str(caught.value)


def test_gradients_that_are_not_finite_name_the_method() -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.sqrt().sum((1, 2, 3)), x.sum((1, 2, 3))], 1)

    with pytest.raises(MethodError, match=r"saliency on Root"):
        explain(Root(), torch.zeros(1, 3, 8, 8), methods="saliency", targets=0)


def test_other_channels_than_three() -> None:
    net = nn.Sequential(
        nn.Conv2d(5, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIZE**2, 2)
    )
    x = torch.rand(2, 5, SIZE, SIZE)
    classifier = Classifier(net, example=x)
    calls = [call_of(name) for name in METHODS if METHODS[name].family != "attention"]
    found = Explainer(classifier).run(x, methods=calls)
    assert set(found.maps) == {call.key for call in calls}
    with pytest.raises(ModelError, match=r"\(2, 3, 32, 32\)|channels"):
        explain(Classifier(net, example=x[:, :3]), x[:, :3], methods="saliency")
    for other in (x[:, :3], torch.rand(1, 5, SIZE + 1, SIZE)):
        with pytest.raises(MethodError, match=r"saliency on Sequential: .* \(B, 5, .*Pass images"):
            explain(classifier, other, methods="saliency")


def test_a_network_that_takes_more_forms_than_its_example_explains_them() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    classifier = Classifier(net, example=torch.rand(1, 3, 8, 8))
    assert explain(classifier, torch.rand(2, 3, 9, 12), methods="saliency")["saliency"].any()
