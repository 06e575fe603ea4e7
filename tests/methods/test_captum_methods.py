"""Captum's own classes and instances as methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import (
    DeepLift,
    GradientShap,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from torch import Tensor, nn

from xaieval.errors import Cancelled, ConfigError, MethodError, NotDefinedError
from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.models import Classifier, PlainClassifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
STEPS = "integrated_gradients[n_steps=5]"
pytestmark = pytest.mark.filterwarnings("ignore:Setting forward:UserWarning")


@pytest.fixture
def net() -> PlainClassifier:
    torch.manual_seed(0)
    return PlainClassifier("small-cnn", 3)


@pytest.mark.parametrize(
    ("method", "ours", "options"),
    [
        (Saliency, "saliency", {}),
        (IntegratedGradients, "integrated_gradients[n_steps=5]", {"n_steps": 5}),
        (LayerGradCam, "gradcam", {"relu_attributions": True}),
    ],
)
def test_classes_agree_with_ours(
    make_classifier: MakeClassifier,
    make_noise: MakeNoise,
    method: type,
    ours: str,
    options: dict[str, object],
) -> None:
    classifier, x = make_classifier("small-cnn", 64), make_noise(3, 64)
    key = f"captum:{method.__name__}"
    given = {key: options} if options else None
    maps = explain(classifier, x, methods=[method, ours], options=given, exact=True)
    theirs = next(m for k, m in maps.items() if k.startswith(key))
    scale = float(maps[ours].max())
    torch.testing.assert_close(theirs, maps[ours], atol=1e-5 * scale, rtol=0)


def test_an_instance_runs_on_its_network(net: PlainClassifier, make_noise: MakeNoise) -> None:
    x = make_noise(2, 64)
    net.train()
    expected = explain(net, x, methods="saliency", exact=True)["saliency"]
    scale = float(expected.max())
    for instance in (Saliency(net), Saliency(net.forward), Saliency(lambda rows: net(rows))):
        found = explain(net, x, methods=instance)["captum:Saliency"]
        torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=0)
    assert net.training
    assert not any(m._forward_hooks for m in net.modules())


def test_an_instance_in_a_wrapper(make_classifier: MakeClassifier, make_noise: MakeNoise) -> None:
    classifier = make_classifier("small-cnn", 64)

    class FirstOutput(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = classifier.module

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)[0]

    maps = explain(classifier, make_noise(2, 64), methods=[DeepLift(FirstOutput()), "saliency"])
    assert maps["captum:DeepLift"].shape == (2, 64, 64)


@pytest.mark.parametrize("bind", [lambda n: n, lambda n: n.forward, lambda n: lambda x: n(x)])
def test_another_network_is_refused(
    net: PlainClassifier, make_noise: MakeNoise, bind: Callable[[nn.Module], object]
) -> None:
    other = PlainClassifier("small-cnn", 3)
    with pytest.raises(MethodError, match="bound to another network"):
        explain(net, make_noise(1, 64), methods=Saliency(bind(other)))


def test_noise_follows_the_sample_not_the_batch(
    net: PlainClassifier, make_noise: MakeNoise
) -> None:
    x = make_noise(3, 64)
    methods = resolve_methods(
        [NoiseTunnel(Saliency(net)), GradientShap],
        {
            "captum:NoiseTunnel": {"nt_samples": 3, "stdevs": 0.1},
            "captum:GradientShap": {"baselines": make_noise(2, 64, seed=5), "n_samples": 3},
        },
    )
    explainer = Explainer(Classifier(net, example=x))
    state = torch.random.get_rng_state()
    there = explainer.run(x, methods=methods, sample_ids=["a", "b", "c"])
    back = explainer.run(x[[2, 0]], methods=methods, sample_ids=["c", "a"])
    assert torch.equal(state, torch.random.get_rng_state())
    for key, maps in back.maps.items():
        assert (maps == there.maps[key][[2, 0]]).all()
    other = explainer.run(x, methods=methods, sample_ids=["a", "b", "c"], seed=1)
    assert all((other.maps[key] != maps).any() for key, maps in there.maps.items())


def test_options_go_to_captum(net: PlainClassifier, make_noise: MakeNoise) -> None:
    options = {"sliding_window_shapes": (3, 16, 16), "strides": (3, 16, 16)}
    x = make_noise(1, 64)
    (found,) = explain(
        net, x, methods={"id": Occlusion, **options, "pooling": "sum"}, targets=0
    ).values()
    # Captum gives every channel of a window the window's value.
    ours = explain(net, x, methods="occlusion[window=16,stride=16,pooling=sum]", targets=0)
    torch.testing.assert_close(found / 3, next(iter(ours.values())), atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="Did you mean 'strides'"):
        resolve_methods({"id": Occlusion, "stride": (3, 16, 16)})


def test_what_captum_refuses_is_one_error(net: PlainClassifier, make_noise: MakeNoise) -> None:
    with pytest.raises(MethodError, match="captum:Occlusion: captum failed"):
        explain(net, make_noise(1, 64), methods=Occlusion)


def test_cancel(net: PlainClassifier, make_noise: MakeNoise) -> None:
    asked = iter([False])
    explainer = Explainer(Classifier(net, example=make_noise(2, 64)))
    with pytest.raises(Cancelled):
        explainer.run(
            make_noise(2, 64),
            methods=resolve_methods(Saliency),
            cancelled=lambda: next(asked, True),
        )


class _Question(nn.Module):
    """A picture's features, each weighed by a question's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.words = nn.Conv2d(3, 4, 3, padding=1), nn.Embedding(5, 4)
        self.last = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor, question: Tensor) -> Tensor:
        asked = self.words(question).mean(1)[:, :, None, None]
        found: Tensor = self.head((self.last(self.conv(x).relu() * asked).relu()).mean((2, 3)))
        return found


def test_a_second_input_reaches_captum(make_noise: MakeNoise) -> None:
    net, x = _Question(), make_noise(3, 16)
    questions = torch.tensor([[1, 2], [3, 4], [0, 1]])
    ours = explain(net, x, methods=STEPS, extra=questions, exact=True)[STEPS]
    scale = float(ours.max())
    for method in (IntegratedGradients, IntegratedGradients(net)):
        given = {"id": method, "n_steps": 5}
        (found,) = explain(net, x, methods=given, extra=questions, exact=True).values()
        torch.testing.assert_close(found, ours, atol=1e-5 * scale, rtol=0)
    # A function of the picture alone has its own question.
    bound = IntegratedGradients(lambda rows: net(rows, questions[:1].expand(len(rows), -1)))
    given = {"id": bound, "n_steps": 5}
    (found,) = explain(net, x, methods=given, extra=questions, exact=True).values()
    torch.testing.assert_close(found[0], ours[0], atol=1e-5 * scale, rtol=0)
    assert float((found[1] - ours[1]).abs().max()) > 0.01 * scale


def test_a_map_of_another_layer_is_not_drawn_where_the_target_layer_looks(
    make_noise: MakeNoise,
) -> None:
    net = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    )
    x = make_noise(2, 16)
    early = LayerGradCam(net, net[1])
    assert explain(net, x, methods=early)["captum:LayerGradCam"].shape == (2, 16, 16)
    with pytest.raises(NotDefinedError, match="another layer than the target layer"):
        explain(net, x, methods=LayerGradCam(net, net[2]), upsampling="aligned")
    last = explain(net, x, methods=[LayerGradCam(net, net[4]), "gradcam"], upsampling="aligned")
    assert last["captum:LayerGradCam"].shape == last["gradcam"].shape


def test_a_layer_class_without_a_layer(make_noise: MakeNoise) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    with pytest.raises(NotDefinedError, match="no feature map"):
        explain(net, make_noise(2, 8), methods=LayerGradCam)


def test_an_array_as_option() -> None:
    method = {"id": Occlusion, "sliding_window_shapes": np.array([3, 16, 16])}
    (call,) = resolve_methods(method)
    assert call.key == "captum:Occlusion[sliding_window_shapes=ndarray(3,)]"
