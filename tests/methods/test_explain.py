"""``xaieval.explain``: what goes in, what comes out, what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaieval
from xaieval.errors import ConfigError, MethodError, ModelError, NotDefinedError
from xaieval.methods import METHODS, Explainer, explain, resolve_methods
from xaieval.models import Classifier, Preprocessing

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
# Those of a network without attention.
CONVOLUTIONAL = [method for method in METHODS if METHODS[method].family != "attention"]
Options = dict[str, dict[str, object]]


@pytest.fixture
def classifier(make_classifier: MakeClassifier) -> Classifier:
    return make_classifier("small-cnn", 64)


def test_every_method_gives_maps_of_the_input(
    classifier: Classifier, make_noise: MakeNoise, few: Options
) -> None:
    x = make_noise(3, 64)
    maps = explain(classifier, x, methods=CONVOLUTIONAL, options=few)
    raw = explain(classifier, x, methods=CONVOLUTIONAL, options=few, pooled=False)
    assert list(maps) == list(raw)
    for method, (key, found) in zip(CONVOLUTIONAL, maps.items(), strict=True):
        assert found.shape == (3, 64, 64)
        assert found.dtype == torch.float32
        assert torch.isfinite(found).all()
        assert (found >= 0).all(), f"{method} pooled by default is not negative"
        assert raw[key].shape in {(3, 1, 64, 64), (3, 3, 64, 64)}
        assert METHODS[method].signed == bool((raw[key] < 0).any())


def test_the_public_name() -> None:
    assert xaieval.explain is explain


def test_same_kind_out(classifier: Classifier, make_noise: MakeNoise) -> None:
    x = make_noise(2, 64)
    tensors = explain(classifier, x, methods=["gradcam"])
    arrays = explain(classifier, x.numpy(), methods=["gradcam"])
    assert isinstance(tensors["gradcam"], Tensor)
    assert isinstance(arrays["gradcam"], np.ndarray)
    assert np.array_equal(tensors["gradcam"].numpy(), arrays["gradcam"])


def test_pictures_of_any_size_are_preprocessed(classifier: Classifier) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 50, 80, 3), dtype=np.uint8)
    assert classifier.preprocessing is not None
    fitted = np.stack([classifier.preprocessing.picture(p) for p in pictures])
    x = classifier.preprocessing.tensor(fitted)
    for images in (pictures, torch.from_numpy(pictures), fitted, x):
        found = explain(classifier, images, methods=["saliency"])["saliency"]
        expected = explain(classifier, x, methods=["saliency"])["saliency"]
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_preprocess_argument_wins(classifier: Classifier) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    other = Preprocessing((64, 64), mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0), name="other")
    found = explain(classifier, pictures, methods="saliency", preprocess=other)["saliency"]
    expected = explain(classifier, other.tensor(pictures), methods="saliency")["saliency"]
    assert np.array_equal(found, expected.numpy())


def test_targets(classifier: Classifier, make_noise: MakeNoise) -> None:
    x = make_noise(3, 64)
    predicted = classifier.logits(x).argmax(1)
    free = explain(classifier, x, methods="saliency")["saliency"]
    for targets in (predicted, predicted.tolist(), predicted.numpy()):
        assert torch.equal(
            explain(classifier, x, methods="saliency", targets=targets)["saliency"], free
        )
    fixed = explain(classifier, x, methods="saliency", targets=1)["saliency"]
    each = explain(classifier, x, methods="saliency", targets=[1, 1, 1])["saliency"]
    assert torch.equal(fixed, each)
    assert not torch.equal(fixed, free)


def test_any_module_is_welcome_and_unchanged(make_noise: MakeNoise) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(3600, 2),
    )
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    x = make_noise(2, 32).requires_grad_()
    maps = explain(net, x, methods=["gradcam", "saliency", "integrated_gradients[n_steps=3]"])
    assert all(m.shape == (2, 32, 32) and not m.requires_grad for m in maps.values())
    assert net.training
    assert x.grad is None
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_one_channel_and_oblong_input(few: Options) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    x = torch.randn(2, 1, 20, 31)
    net(x)
    for found in explain(net, x, methods=CONVOLUTIONAL, options=few).values():
        assert found.shape == (2, 20, 31)


def test_target_layer_can_be_named(classifier: Classifier, make_noise: MakeNoise) -> None:
    x = make_noise(2, 64)
    late = explain(classifier, x, methods="gradcam")["gradcam"]
    early = explain(classifier, x, methods="gradcam", target_layer="encoder.features.1")["gradcam"]
    same = explain(classifier, x, methods="gradcam", target_layer=classifier.target_layer)
    assert torch.equal(late, same["gradcam"])
    assert not torch.allclose(late, early)
    with pytest.raises(ModelError, match="no layer"):
        explain(classifier, x, methods="gradcam", target_layer="encoder.features.99")


def test_a_network_without_maps_still_gets_gradients() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    x = torch.randn(2, 3, 4, 4)
    assert explain(net, x, methods="saliency")["saliency"].shape == (2, 4, 4)
    with pytest.raises(NotDefinedError, match=r"gradcam on Sequential.*target_layer"):
        explain(net, x, methods="gradcam")


def test_a_flat_target_layer_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(MethodError, match="not defined for the target layer"):
        explain(net, torch.randn(2, 3, 4, 4), methods="gradcam", target_layer="1")


def test_constant_logits_give_zero_maps() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).mean((2, 3)) * 0

    maps = explain(Flat(), torch.randn(2, 3, 8, 8), methods=["gradcam", "saliency", "occlusion"])
    assert all(not m.any() for m in maps.values())


class Root(nn.Module):
    """Finite logits whose gradient at zero input is not."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0].abs().sqrt().sum((1, 2)), x[:, 1].sum((1, 2))], 1)


def test_what_is_not_finite_names_its_method() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(MethodError, match=r"saliency on Root: the heatmap holds NaN"):
        explain(Root(), x, methods=["occlusion", "saliency"], targets=0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    nn.init.constant_(net[1].weight, float("nan"))
    with pytest.raises(MethodError, match=r"saliency.*NaN"):
        explain(net, x, methods="saliency")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((64, 64, 3), np.uint8), "without a batch axis"),
        (np.zeros((2, 64, 64), np.float32), "without a batch axis"),
        (np.zeros((0, 64, 64, 3), np.uint8), "at least one picture"),
        (np.zeros((2, 3, 64, 64), np.uint8), r"uint8 \(B, H, W, 3\)"),
        (np.zeros((2, 64, 64, 4), np.uint8), r"uint8 \(B, H, W, 3\)"),
        (np.zeros((2, 3, 64, 64), np.int64), "int64"),
        (np.zeros((0, 3, 64, 64), np.float32), "float"),
        (np.full((1, 3, 64, 64), 200.0, np.float32), "no model input"),
        (np.full((1, 3, 64, 64), np.nan, np.float32), "NaN"),
        ([[1, 2], [3, 4]], "numpy array or a tensor"),
    ],
)
def test_bad_images(classifier: Classifier, images: object, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        explain(classifier, images, methods="saliency")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (5, r"0 to 4.*got 5"),
        (-1, r"0 to 4.*got -1"),
        ([0, 1, 2], "one class index per image"),
        ([0.5, 1.0], "one class index per image"),
        ([True, False], "one class index per image"),
        ("predicted", "bad targets"),
        ([[0], [1]], "one class index per image"),
    ],
)
def test_bad_targets(
    classifier: Classifier, make_noise: MakeNoise, targets: object, message: str
) -> None:
    with pytest.raises(MethodError, match=message):
        explain(classifier, make_noise(2, 64), methods="saliency", targets=targets)  # type: ignore[call-overload]


def test_other_refusals(classifier: Classifier, make_noise: MakeNoise) -> None:
    x = make_noise(2, 64)
    with pytest.raises(ConfigError, match="one of aligned, paper"):
        explain(classifier, x, methods="gradcam", upsampling="nearest")
    with pytest.raises(NotDefinedError, match="no attention"):
        explain(classifier, x, methods="attention_rollout")
    with pytest.raises(ModelError, match="second input"):
        explain(classifier, x, methods="gradcam", extra=x)
    with pytest.raises(MethodError, match="preprocessing"):
        explain(nn.Flatten(), np.zeros((1, 4, 4, 3), np.uint8), methods="saliency")
    with pytest.raises(ModelError, match="not a model"):
        explain("net.pt", x, methods="saliency")  # type: ignore[call-overload]
    with pytest.raises(MethodError, match="half precision"):
        explain(
            Classifier(nn.Conv2d(3, 2, 4).half(), logits=lambda y: y.mean((2, 3))),
            x,
            methods="saliency",
        )
    with pytest.raises(MethodError, match="does not fit"):
        explain(classifier, x, methods={"id": "occlusion", "window": 100})
    with pytest.raises(MethodError, match="does not fit"):
        explain(classifier, x, methods={"id": "occlusion", "window": 4, "stride": 5})
    explainer = Explainer(classifier)
    with pytest.raises(MethodError, match="sample_ids"):
        explainer.run(x, methods=resolve_methods("random"), sample_ids=["a"])


def test_a_function_is_a_method(classifier: Classifier, make_noise: MakeNoise) -> None:
    def negative_gradient(
        forward: Callable[[Tensor], Tensor], x: Tensor, targets: Tensor
    ) -> Tensor:
        """The gradient with its sign turned."""
        x.requires_grad_()
        score = forward(x).gather(1, targets[:, None]).sum()
        return -torch.autograd.grad(score, x)[0]

    x = make_noise(3, 64)
    maps = explain(classifier, x, methods=[negative_gradient, "saliency"], pooled=False)
    scale = maps["saliency"].abs().max()
    torch.testing.assert_close(
        maps["custom:negative_gradient"], -maps["saliency"], atol=float(1e-5 * scale), rtol=0
    )
    with pytest.raises(MethodError, match="custom:<lambda>: a method returned no attribution"):
        explain(classifier, x, methods=lambda forward, x, targets: x[:, :, :5])


def test_no_warnings(classifier: Classifier, make_noise: MakeNoise, few: Options) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(classifier, make_noise(2, 64), methods=CONVOLUTIONAL, options=few)
