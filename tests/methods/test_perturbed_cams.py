"""Score-CAM and Ablation-CAM: by hand, against twins from the papers, their rows, odd layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from xaieval.errors import Cancelled, NotDefinedError
from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.models import Classifier
from xaieval.models.vit import VisionTransformer, VitConfig


class Two(nn.Module):
    """A layer of two channels that copies the first two colours, and logits that weigh them."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1, bias=False)
        self.layer.weight.data = torch.eye(2, 3)[:, :, None, None]
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        a = self.layer(x)
        first = (a[:, 0] + 2 * a[:, 1]).sum((1, 2)) + self.bias
        return torch.stack([first, a[:, 1].sum((1, 2))], 1)


def picture() -> Tensor:
    x = torch.zeros(1, 3, 2, 2)
    x[0, 0] = torch.tensor([[4.0, 1.0], [0.0, 0.0]])
    x[0, 1] = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    return x


def test_ablation_cam_by_hand() -> None:
    # y = 5 + 2·4 = 13; without the first channel 8, without the second 5: weights 5/13 and 8/13.
    found = explain(Two(), picture(), methods="ablation_cam", targets=0)["ablation_cam"][0]
    torch.testing.assert_close(found, torch.tensor([[20.0, 13.0], [0.0, 24.0]]) / 13)
    # The second class does not read the first channel: all of it is the second.
    found = explain(Two(), picture(), methods="ablation_cam", targets=1)["ablation_cam"][0]
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0], [0.0, 3.0]]))


def test_ablation_cam_of_logits_that_are_not_positive() -> None:
    # y = 13 - 23 = -10: the formula divides by it, so what speaks for the class vanishes.
    found = explain(Two(-23.0), picture(), methods="ablation_cam", targets=0)["ablation_cam"][0]
    assert (found == 0).all()
    # y = 0 has no quotient: the fall itself.
    found = explain(Two(-13.0), picture(), methods="ablation_cam", targets=0)["ablation_cam"][0]
    torch.testing.assert_close(found, torch.tensor([[20.0, 13.0], [0.0, 24.0]]))


def test_score_cam_by_hand() -> None:
    # Masks A/4 and A/3, at the input's size already. Through the first: 4·1 + 1/4 + 2·1/4 = 4.75;
    # through the second 1/3 + 2·(1/3 + 3) = 7.
    first, second = math.exp(4.75 - 7), 1.0
    weights = first / (first + second), second / (first + second)
    found = explain(Two(), picture(), methods="score_cam", targets=0)["score_cam"][0]
    torch.testing.assert_close(found, weights[0] * picture()[0, 0] + weights[1] * picture()[0, 1])


def test_a_flat_channel_hides_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose drawing rounds: 0.3 everywhere must not become a picture of rounding."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 3, stride=3)
            nn.init.zeros_(self.layer.weight)
            self.layer.bias = nn.Parameter(torch.tensor([0.3, -0.1]))
            self.head = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x).mean((2, 3)) + x.mean((1, 2, 3))[:, None])

    x = torch.randn(2, 3, 21, 21)
    explainer = Explainer(Classifier(Flat(), example=x, target_layer="layer"))
    seen: list[Tensor] = []
    logits = explainer.prepared.logits

    def watch(rows: Tensor, extra: object = None) -> Tensor:
        seen.append(rows)
        return logits(rows)

    monkeypatch.setattr(explainer.prepared, "logits", watch)
    explainer.run(x, methods=resolve_methods("score_cam"))
    masked = torch.cat(seen)[-4:]
    assert (masked == 0).all()


# ---------------------------------------------------------------- twins from the papers


def network() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(5, 6, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    return net.double(), torch.randn(3, 3, 12, 20).double(), torch.tensor([2, 0, 1])


def weighted(weights: Tensor, activation: Tensor, size: tuple[int, int]) -> Tensor:
    total = torch.zeros(activation.shape[1:], dtype=activation.dtype)
    for weight, channel in zip(weights, activation, strict=True):
        total += weight * channel
    drawn = interpolate(total.clamp(min=0)[None, None], size=size, mode="bilinear")
    return drawn[0, 0].float()


@torch.no_grad()
def test_score_cam_twin() -> None:
    net, x, targets = network()
    found = explain(net, x, methods="score_cam", targets=targets, target_layer="3", exact=True)
    for i, (row, target) in enumerate(zip(x, targets.tolist(), strict=True)):
        activation = net[:4](row[None])[0]
        blank, scores = net(torch.zeros_like(row)[None])[0, target], []
        for channel in activation:
            mask = interpolate(channel[None, None], size=(12, 20), mode="bilinear")[0, 0]
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            scores.append(net((row * mask)[None])[0, target] - blank)
        powers = torch.stack(scores).exp()
        expected = weighted(powers / powers.sum(), activation, (12, 20))
        assert expected.max() > 0
        torch.testing.assert_close(found["score_cam"][i], expected)


@torch.no_grad()
def test_ablation_cam_twin() -> None:
    net, x, targets = network()
    found = explain(net, x, methods="ablation_cam", targets=targets, target_layer="3", exact=True)
    for i, (row, target) in enumerate(zip(x, targets.tolist(), strict=True)):
        activation = net[:4](row[None])[0]
        whole = net[4:](activation[None].clone())[0, target]
        falls = []
        for channel in range(len(activation)):
            ablated = activation.clone()
            ablated[channel] = 0
            falls.append((whole - net[4:](ablated[None])[0, target]) / whole)
        expected = weighted(torch.stack(falls), activation, (12, 20))
        torch.testing.assert_close(found["ablation_cam"][i], expected)


@torch.no_grad()
@pytest.mark.parametrize("layer", ["encoder.layers.encoder_layer_1.ln_1", "auto"])
def test_ablation_cam_of_tokens(layer: str) -> None:
    """A channel is ablated in every token of the layer, class and register tokens too."""
    torch.manual_seed(1)
    config = VitConfig((8, 12), 4, dim=6, depth=2, heads=2, mlp_dim=8, registers=1, n_classes=3)
    net, x = VisionTransformer(config).eval().double(), torch.randn(2, 3, 8, 12).double()
    classifier = Classifier(net, example=x, target_layer=layer)
    targets = torch.tensor([0, 2])
    found = explain(classifier, x, methods="ablation_cam", targets=targets, exact=True)
    for i, (row, target) in enumerate(zip(x, targets.tolist(), strict=True)):
        kept: list[Tensor] = []
        module = net.get_submodule(classifier.target_layer)
        handle = module.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
        whole = net(row[None])[0, target]
        handle.remove()
        tokens = kept[0].ndim == 3
        falls = []
        for channel in range(6):
            ablated = kept[0].clone()
            ablated[(..., channel) if tokens else (0, channel)] = 0
            handle = module.register_forward_hook(lambda _, __, ___, ablated=ablated: ablated)
            falls.append((whole - net(row[None])[0, target]) / whole)
            handle.remove()
        patches = kept[0][0, 2:].T.reshape(6, 2, 3) if tokens else kept[0][0]
        expected = weighted(torch.stack(falls), patches, (8, 12))
        torch.testing.assert_close(found["ablation_cam"][i], expected)


# ---------------------------------------------------------------- rows


def test_rows_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score-CAM: one row per channel; Ablation-CAM: nothing before the target layer again."""
    net, x, targets = network()
    explainer = Explainer(Classifier(net, example=x, target_layer="3"))
    count = explainer.rows((12, 20)).count
    rows: dict[str, int] = {}
    for name in ("0", "4"):
        layer = explainer.prepared.module.get_submodule(name)

        def counted(
            rows_in: Tensor,
            *rest: Any,
            name: str = name,
            convolve: Callable[..., Tensor] = layer._conv_forward,
        ) -> Tensor:
            rows[name] = rows.get(name, 0) + len(rows_in)
            return convolve(rows_in, *rest)

        monkeypatch.setattr(layer, "_conv_forward", counted)
    explainer.run(x, methods=resolve_methods("score_cam"), targets=targets)
    passes = math.ceil(3 / count) + math.ceil(3 * 6 / count)
    assert rows == {"0": passes * count, "4": passes * count}
    rows.clear()
    explainer.run(x, methods=resolve_methods("ablation_cam"), targets=targets)
    # The pictures themselves, and for each the one pass that is watched to continue from.
    assert rows["0"] == math.ceil(3 / count) * count + 3
    assert rows["4"] >= 3 * 7


def test_cancel_between_passes(make_classifier: Any, make_noise: Any) -> None:
    explainer = Explainer(make_classifier("small-cnn", 64))
    for method in ("score_cam", "ablation_cam"):
        asked = iter([False] * 2)
        with pytest.raises(Cancelled):
            explainer.run(
                make_noise(2, 64),
                methods=resolve_methods(method),
                cancelled=lambda asked=asked: next(asked, True),
            )


def test_a_layer_that_does_not_decide_is_one_clear_line() -> None:
    class Twice(nn.Module):
        """Runs its layer twice, so that its output is not one tensor."""

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(self.layer(x)).mean((2, 3)))

    x = torch.randn(2, 3, 6, 6)
    with pytest.raises(Exception, match="'layer'"):
        explain(Twice(), x, methods="ablation_cam", target_layer="layer")


def test_what_cannot_be_continued_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from xaieval.errors import ModelError
    from xaieval.models import continuation

    def refuse(*args: object) -> None:
        raise ModelError("the logits do not follow from the target layer")

    monkeypatch.setattr(continuation, "Continuation", refuse)
    net, x, _ = network()
    explainer = Explainer(Classifier(net, example=x, target_layer="3"))
    methods = resolve_methods(["gradcam", "ablation_cam"])
    found = explainer.run(x, methods=methods, skip_undefined=True)
    assert list(found.maps) == ["gradcam"]
    assert "do not follow" in found.undefined["ablation_cam"]
    with pytest.raises(NotDefinedError, match="do not follow"):
        explainer.run(x, methods=methods)


def test_a_second_input_follows_its_picture() -> None:
    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            return self.head(self.layer(x).relu().mean((2, 3)) * weight)

    torch.manual_seed(0)
    x, weight = torch.randn(3, 3, 8, 8), torch.rand(3, 4)
    explainer = Explainer(
        Classifier(Asked(), example=x[:2], example_extra=weight[:2], target_layer="layer")
    )
    methods = resolve_methods(["score_cam", "ablation_cam"])
    together = explainer.run(x, methods=methods, extra=weight).maps
    for i in range(3):
        alone = explainer.run(x[i : i + 1], methods=methods, extra=weight[i : i + 1]).maps
        for key, found in alone.items():
            assert np.array_equal(found[0], together[key][i])
