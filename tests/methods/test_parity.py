"""Our maps against captum's in float64, the fast path against the exact one, IG's completeness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from scipy.stats import spearmanr
from torch import Tensor, nn

from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.models import Classifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
ARCHS = [("efficientnet-b0", 64), ("mobilenet-v2", 64), ("small-cnn", 64)]
STEPS = 5


def captum_maps(classifier: Classifier, x: Tensor, targets: Tensor) -> dict[str, np.ndarray]:
    """Return captum's attributions of the network itself, unpooled, in float64."""
    net = type(classifier.module)(classifier.module.config)
    net.load_state_dict(classifier.module.state_dict())
    net = net.eval().double()

    def forward(rows: Tensor) -> Tensor:
        return net(rows)[0]

    layer = net.get_submodule(classifier.target_layer)
    cam = LayerGradCam(forward, layer).attribute(x, target=targets, relu_attributions=True)
    found = {
        "gradcam": LayerAttribution.interpolate(cam, tuple(x.shape[2:]), "bilinear"),
        "saliency": Saliency(forward).attribute(x, target=targets, abs=False),
        "gradient_x_input": InputXGradient(forward).attribute(x, target=targets),
        "integrated_gradients": IntegratedGradients(forward).attribute(
            x, baselines=0, target=targets, n_steps=STEPS, method="gausslegendre"
        ),
        "occlusion": Occlusion(forward).attribute(
            x, (3, 24, 24), strides=(3, 20, 20), target=targets, baselines=0
        )[:, :1],
    }
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


OPTIONS = {"integrated_gradients": {"n_steps": STEPS}, "occlusion": {"window": 24, "stride": 20}}


@pytest.mark.parametrize(("arch", "size"), ARCHS)
@pytest.mark.filterwarnings("ignore:.*requires_grad.*", "ignore:Input Tensor")
def test_captum_parity(
    make_classifier: MakeClassifier, make_noise: MakeNoise, arch: str, size: int
) -> None:
    classifier = make_classifier(arch, size)
    x, targets = make_noise(2, size).double(), torch.tensor([3, 1])
    oracle = captum_maps(classifier, x, targets)
    ours = explain(
        classifier,
        x,
        methods=list(oracle),
        targets=targets,
        options=OPTIONS,
        pooled=False,
        exact=True,
    )
    for name, found in zip(oracle, ours.values(), strict=True):
        expected = oracle[name]
        assert found.shape == expected.shape
        largest = np.abs(expected).max()
        assert largest > 0, f"{name} is zero, so nothing is tested"
        # The contract allows 1e-4; what is left is the rounding of our float32 output.
        assert np.abs(found.numpy() - expected).max() <= 1e-6 * largest, name


@pytest.mark.parametrize(("arch", "size"), ARCHS)
def test_fast_path_ranks_as_the_exact_one(
    make_classifier: MakeClassifier, make_noise: MakeNoise, arch: str, size: int
) -> None:
    classifier, x = make_classifier(arch, size), make_noise(3, size)
    names = ["gradcam", "saliency", "gradient_x_input", "integrated_gradients[n_steps=5]"]
    methods = resolve_methods(names)
    folded = Explainer(classifier)
    assert folded.prepared.notes == ()
    fast = folded.run(x, methods=methods)
    exact = Explainer(classifier, exact=True).run(x.double(), methods=methods)
    assert (fast.targets == exact.targets).all()
    for key in fast.maps:
        for one, other in zip(fast.maps[key], exact.maps[key], strict=True):
            assert other.max() > 0
            assert spearmanr(one.ravel(), other.ravel()).statistic >= 0.999, key


def test_exact_mode_leaves_float64_only_where_asked(make_classifier: MakeClassifier) -> None:
    classifier = make_classifier("small-cnn", 64)
    x = torch.zeros(2, 3, 64, 64)
    assert Explainer(classifier, exact=True).run(x, methods=resolve_methods("sobel")) is not None
    assert next(classifier.module.parameters()).dtype == torch.float32
    double = explain(classifier, x.double(), methods="saliency", exact=True)["saliency"]
    assert double.dtype == torch.float32
    assert next(classifier.module.parameters()).dtype == torch.float32


# A smooth network's integral converges fast; one of ReLUs has kinks along the path.
@pytest.mark.parametrize(
    ("arch", "size", "steps", "tolerance"), [(*ARCHS[0], 100, 1e-3), (*ARCHS[2], 400, 0.05)]
)
def test_integrated_gradients_are_complete(
    make_classifier: MakeClassifier,
    make_noise: MakeNoise,
    arch: str,
    size: int,
    steps: int,
    tolerance: float,
) -> None:
    classifier, x = make_classifier(arch, size), make_noise(2, size).double()
    targets = torch.tensor([0, 4])
    (maps,) = explain(
        classifier,
        x,
        methods=f"integrated_gradients[n_steps={steps}]",
        targets=targets,
        pooled=False,
        exact=True,
    ).values()
    net = Explainer(classifier, exact=True).prepared
    net.module.double()
    ends = net.logits(torch.cat([x, torch.zeros_like(x)]))
    change = ends[:2].gather(1, targets[:, None]) - ends[2:].gather(1, targets[:, None])
    total = maps.double().sum((1, 2, 3))
    assert (total - change[:, 0]).abs().max() <= tolerance * change.abs().max()


class Cubes(nn.Module):
    """Logits (Σx³, −Σx²): their integrals along a line are known."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.pow(3).sum((1, 2, 3)), -x.pow(2).sum((1, 2, 3))], 1)


def test_integrated_gradients_by_hand() -> None:
    x = torch.tensor([1.0, -2.0, 3.0, 0.5, 0.0, -1.0]).reshape(2, 3, 1, 1).double()
    for classes, expected in ((0, x**3), (1, -(x**2))):
        # Two Gauss-Legendre points integrate cubic polynomials exactly.
        found = explain(
            Cubes(),
            x,
            methods="integrated_gradients",
            options={"integrated_gradients": {"n_steps": 2}},
            targets=classes,
            pooled=False,
            exact=True,
        )["integrated_gradients[n_steps=2]"]
        torch.testing.assert_close(found, expected.float())


def test_integrated_gradients_naive_twin(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    classifier, x = make_classifier("small-cnn", 64), make_noise(1, 64).double()
    net = Explainer(classifier, exact=True).prepared
    net.module.double()
    points, weights = np.polynomial.legendre.leggauss(4)
    total = torch.zeros_like(x)
    for point, weight in zip(points, weights, strict=True):
        step = ((1 + point) / 2 * x).requires_grad_()
        (gradient,) = torch.autograd.grad(net.logits(step)[0, 2], step)
        total += weight / 2 * gradient
    expected = (x * total).abs().sum(1).float()
    found = explain(classifier, x, methods="integrated_gradients[n_steps=4]", targets=2, exact=True)
    torch.testing.assert_close(next(iter(found.values())), expected)


class Two(nn.Module):
    """A layer of two channels that copies the first two colours, and logits that weigh them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1, bias=False)
        self.layer.weight.data = torch.eye(2, 3)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        a = self.layer(x)
        return torch.stack([(a[:, 0] - 2 * a[:, 1]).sum((1, 2)), a[:, 1].sum((1, 2))], 1)


def test_gradcam_by_hand() -> None:
    x = torch.zeros(2, 3, 2, 2)
    x[0, 0] = torch.tensor([[4.0, 1.0], [0.0, 0.0]])
    x[0, 1] = torch.tensor([[1.0, 1.0], [0.0, -1.0]])
    maps = explain(Two(), x, methods="gradcam", targets=0)["gradcam"]
    # Weights are 1 and −2 in every cell, so ReLU(A0 − 2·A1).
    assert maps[0].tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert maps[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_paper_upsampling_by_hand() -> None:
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 2, stride=2, bias=False)
            nn.init.constant_(self.layer.weight, 0.25)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).sum((2, 3)).expand(-1, 2)

    x = torch.tensor([[0.0, 4.0], [8.0, 12.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    found = explain(Halved(), x[None, None], methods="gradcam", targets=0)["gradcam"][0]
    # Cell centres lie at 0.5 and 2.5 px; outside them the border value stays.
    ramp = torch.tensor([0.0, 0.25, 0.75, 1.0])
    torch.testing.assert_close(found, 8 * ramp[:, None] + 4 * ramp[None, :])


def test_occlusion_naive_twin() -> None:
    x = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(3)).double()
    found = explain(
        Cubes(),
        x,
        methods={"id": "occlusion", "window": 2, "stride": 2},
        targets=[0, 1],
        pooled=False,
        exact=True,
    )
    net = Cubes()
    for image in range(2):
        total, count = torch.zeros(5, 6).double(), torch.zeros(5, 6).double()
        before = net(x)[image, image]
        for top in (0, 2, 4):  # the last window is cut off at the border
            for left in (0, 2, 4):
                blank = x[image : image + 1].clone()
                blank[:, :, top : top + 2, left : left + 2] = 0
                fall = before - net(blank)[0, image]
                total[top : top + 2, left : left + 2] += fall
                count[top : top + 2, left : left + 2] += 1
        (attribution,) = found.values()
        torch.testing.assert_close(attribution[image, 0], (total / count).float())
