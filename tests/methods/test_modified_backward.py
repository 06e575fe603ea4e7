"""Backward rules as methods: what the engine hands them, and every network of the project."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xaieval.errors import NotDefinedError
from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.methods.planner import plan
from xaieval.methods.rules import (
    DeepLiftRule,
    LrpRule,
    ReluRule,
    conservation,
    run_rules,
    undefined,
)
from xaieval.models import Classifier, ModelConfig, Preprocessing, build
from xaieval.models.relation_net import RelationConfig, RelationNet

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
METHODS = ["guided_backprop", "deconvnet", "guided_gradcam", "deeplift", "lrp"]


def test_rules_of_a_group_share_a_forward() -> None:
    found = plan(resolve_methods([*METHODS, "lrp[composite=epsilon]"]))
    assert {name: len(rules) for name, rules in found.groups.items()} == {
        "relu": 2,
        "deeplift": 1,
        "lrp": 2,
    }
    assert sum("1 forward + 2 backward" in line for line in found.describe((64, 64))) == 2


def test_maps_do_not_depend_on_the_batch(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    classifier, x = make_classifier("small-cnn", 64), make_noise(3, 64)
    options = {"lrp": {"composite": "epsilon_gamma_box"}}
    together = explain(classifier, x, methods=METHODS, options=options)
    alone = explain(classifier, x[1:2], methods=METHODS, options=options)
    for one, other in zip(together.values(), alone.values(), strict=True):
        assert one.abs().amax((1, 2)).min() > 0
        assert torch.equal(one[1], other[0])


def test_guided_gradcam_is_a_product(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    classifier, x = make_classifier("small-cnn", 64), make_noise(2, 64).double()
    names = ["guided_backprop", "gradcam", "guided_gradcam"]
    maps = explain(classifier, x, methods=names, pooled=False, exact=True)
    guided, cam, product = maps.values()
    torch.testing.assert_close(product, guided * cam)


@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_deeplift_from_each_baseline_is_complete(
    make_classifier: MakeClassifier, make_noise: MakeNoise, baseline: str
) -> None:
    classifier, x = make_classifier("efficientnet-b0", 64), make_noise(2, 64).double()
    explainer, targets = Explainer(classifier, exact=True), torch.tensor([0, 3])
    methods = resolve_methods(f"deeplift[baseline={baseline}]")
    (maps,) = explainer.run(x, methods=methods, pooled=False, targets=targets).maps.values()
    start = torch.zeros_like(x)
    if baseline == "mean":
        start = x.mean((2, 3), keepdim=True).expand_as(x)
    logits = explainer.prepared.logits(x) - explainer.prepared.logits(start)
    change = logits.gather(1, targets[:, None])[:, 0]
    total = torch.from_numpy(maps).double().sum((1, 2, 3))
    torch.testing.assert_close(total, change, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arch", ["small-cnn", "resnet18", "vgg16", "mobilenet-v2", "efficientnet-b0", "vit-tiny"]
)
def test_networks_of_the_project(arch: str, make_noise: MakeNoise) -> None:
    net = build(ModelConfig(arch, 4, (64, 64)), seed=0).eval().requires_grad_(False)
    x = make_noise(2, 64)

    def forward(rows: Tensor) -> Tensor:
        logits: Tensor = net(rows)[0]  # the mask decoder runs too, and does not matter
        return logits

    bounds = (x.min(), x.max())
    for rule in (DeepLiftRule(), LrpRule("epsilon_plus_flat"), LrpRule("epsilon_gamma_box")):
        assert undefined(rule, forward, x, module=net, bounds=bounds) is None
    found = undefined(ReluRule("guided"), forward, x, module=net)
    reason = {"efficientnet-b0": "no rule for silu", "vit-tiny": "no rule for softmax"}
    assert (found is not None) == (arch in reason)
    assert reason.get(arch, "") in (found or "")


def test_a_question_carries_no_relevance(make_noise: MakeNoise) -> None:
    config = RelationConfig(vocabulary=9, n_classes=4, conv_widths=(8, 8, 8, 8), conv_padding=1)
    torch.manual_seed(0)
    net = RelationNet(config).double().eval().requires_grad_(False)
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    x, question = make_noise(2, 64).double(), torch.tensor([[3, 1, 0], [2, 0, 0]])

    def forward(rows: Tensor) -> Tensor:
        logits: Tensor = net(rows, question)
        return logits

    def choose(logits: Tensor) -> Tensor:
        return logits.argmax(1)

    (relevance,) = run_rules([LrpRule("epsilon")], forward, x, choose, module=net)
    lost = conservation(relevance, forward(x), choose(forward(x)))
    # Without biases, what is missing went to the question and the places of cells.
    assert (lost > 0.01).all()
    (shares,) = run_rules([DeepLiftRule()], forward, x, choose, module=net)
    rows = torch.arange(2)
    change = forward(x) - forward(torch.zeros_like(x))
    expected = change[rows, choose(forward(x))]
    torch.testing.assert_close(shares.sum((1, 2, 3)), expected, rtol=1e-9, atol=1e-12)


def test_box_takes_the_range_of_the_preprocessing(make_noise: MakeNoise) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 36, 2, bias=False)
    )
    classifier = Classifier(net, preprocessing=Preprocessing((8, 8)), target_layer="0")
    x = make_noise(2, 8).double()
    (maps,) = explain(
        classifier, x, methods="lrp[composite=epsilon_box]", pooled=False, exact=True, targets=1
    ).values()
    preprocessing = classifier.preprocessing
    assert preprocessing is not None
    mean, std = (
        torch.tensor(v).double()[:, None, None] for v in (preprocessing.mean, preprocessing.std)
    )
    net = net.double().requires_grad_(False)
    (expected,) = run_rules(
        [LrpRule("epsilon_box")],
        net,
        x,
        lambda logits: torch.tensor([1, 1]),
        module=net,
        bounds=(-mean / std, (1 - mean) / std),
    )
    torch.testing.assert_close(maps.double(), expected, rtol=1e-5, atol=1e-8)


def test_an_undefined_method_is_one_clear_line(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    classifier, x = make_classifier("efficientnet-b0", 64), make_noise(1, 64)
    with pytest.raises(NotDefinedError, match=r"guided backprop is not defined .* silu") as caught:
        explain(classifier, x, methods="guided_backprop")
    assert "\n" not in str(caught.value)
