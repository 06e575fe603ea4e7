"""The CAMs of one pass: by hand, against twins from the papers, degenerate layers, tokens."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from xaieval.errors import NotDefinedError
from xaieval.methods import METHODS, Explainer, explain, resolve_methods
from xaieval.methods.cam import principal
from xaieval.methods.passes import Passes
from xaieval.models import Classifier
from xaieval.models.vit import VisionTransformer, VitConfig

ONE_PASS = ("gradcam", "gradcam_plus_plus", "hirescam", "layercam", "xgradcam", "eigen_cam")
ALL = (*ONE_PASS, "score_cam", "ablation_cam")


def passes_of(activation: np.ndarray, gradient: np.ndarray) -> Passes:
    """Return what a method reads when a layer (b, K, h, w) is as large as the input."""
    act, grad = torch.from_numpy(activation), torch.from_numpy(gradient)
    unused: Any = SimpleNamespace(name="net")
    return Passes(
        x=torch.zeros(len(act), 3, *act.shape[2:], dtype=act.dtype),
        targets=torch.zeros(len(act), dtype=torch.int64),
        forward=unused,
        explain=unused,
        check=lambda: None,
        classifier=unused,
        prepared=unused,
        sample_ids=tuple(map(str, range(len(act)))),
        values={"layer_act": act, "layer_grad": grad},
    )


def run(method: str, activation: np.ndarray, gradient: np.ndarray, **options: Any) -> np.ndarray:
    spec = METHODS[method]
    found = spec.fn(passes_of(activation, gradient), spec.canonical(options))
    return found[:, 0].numpy()


# ---------------------------------------------------------------- by hand

A = np.array([[[[1.0, 3.0], [0.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]]]])
G = np.array([[[[1.0, 1.0], [2.0, 0.0]], [[-1.0, 1.0], [0.0, -2.0]]]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Weights are the means 1 and -0.5.
        ("gradcam", [[0.0, 3.0], [0.0, 0.0]]),
        # Cell by cell: 1·1 - 2·1 < 0, 3·1, 0, 2·-2 < 0.
        ("hirescam", [[0.0, 3.0], [0.0, 0.0]]),
        # Positive gradients only: 1·1, 3·1, 0, 0.
        ("layercam", [[1.0, 3.0], [0.0, 0.0]]),
        # Weights (1 + 3) / 4 = 1 and (-2 - 4) / 4 = -1.5.
        ("xgradcam", [[0.0, 3.0], [0.0, 0.0]]),
        # ΣA = 4 twice; α = 1 / (2 + 4g): 1/6, 1/6, 1/10; so w₀ = 1/6 + 1/6 + 2/10 and w₁ = 1/6.
        (
            "gradcam_plus_plus",
            [[8 / 15 + 2 / 6, 3 * 8 / 15], [0.0, 2 / 6]],
        ),
    ],
)
def test_by_hand(method: str, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(run(method, A, G)[0], expected, atol=1e-12)


def test_eigen_cam_by_hand() -> None:
    # One channel three times as large as the other: v = (3, 1) / √10, so the map is √10 times it.
    base = np.array([[1.0, 2.0], [0.0, 5.0]])
    activation = np.stack([3 * base, base])[None]
    found = run("eigen_cam", activation, np.zeros_like(activation))
    np.testing.assert_allclose(found[0], base * math.sqrt(10), atol=1e-12)
    # Without each channel's mean (2 times 3 and 1): what is above it.
    found = run("eigen_cam", activation, np.zeros_like(activation), centre="cells")
    np.testing.assert_allclose(found[0], np.maximum(base - 2, 0) * math.sqrt(10), atol=1e-12)


# ---------------------------------------------------------------- twins from the papers


def naive(method: str, a: np.ndarray, g: np.ndarray, eps: float = 0.0) -> np.ndarray:
    """Return the map (h, w) of one picture's activations and gradients (K, h, w), in loops."""
    channels, height, width = a.shape
    cells = [(i, j) for i in range(height) for j in range(width)]
    out = np.zeros((height, width))
    for k in range(channels):
        total = sum(a[k, i, j] for i, j in cells)
        if method == "gradcam":
            weight = sum(g[k, i, j] for i, j in cells) / len(cells)
        elif method == "xgradcam":
            weight = sum(a[k, i, j] / total * g[k, i, j] for i, j in cells) if total else 0.0
        elif method == "gradcam_plus_plus":
            weight = 0.0
            for i, j in cells:
                slope = g[k, i, j]
                below = 2 * slope**2 + total * slope**3 + eps
                if slope > 0 and below != 0:
                    weight += slope**2 / below * slope
        for i, j in cells:
            if method == "hirescam":
                weight = g[k, i, j]
            elif method == "layercam":
                weight = max(g[k, i, j], 0.0)
            out[i, j] += weight * a[k, i, j]
    return np.maximum(out, 0.0)


values = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 3.0])
signed = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 1.5])


@settings(deadline=None)
@given(
    arrays(np.float64, (2, 3, 2, 3), elements=values),
    arrays(np.float64, (2, 3, 2, 3), elements=signed),
    st.sampled_from(["gradcam", "gradcam_plus_plus", "hirescam", "layercam", "xgradcam"]),
)
def test_naive_twins(a: np.ndarray, g: np.ndarray, method: str) -> None:
    found = run(method, a, g)
    for row in range(2):
        np.testing.assert_allclose(found[row], naive(method, a[row], g[row]), atol=1e-9)


@settings(deadline=None)
@given(
    arrays(np.float64, (1, 3, 2, 2), elements=values),
    arrays(np.float64, (1, 3, 2, 2), elements=signed),
)
def test_eps_of_pytorch_grad_cam(a: np.ndarray, g: np.ndarray) -> None:
    found = run("gradcam_plus_plus", a, g * 1e-3, eps=1e-6)
    expected = naive("gradcam_plus_plus", a[0], g[0] * 1e-3, eps=1e-6)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 30), (30, 4), (6, 6)])
@pytest.mark.parametrize("centre", ["none", "cells"])
def test_eigen_cam_is_the_first_singular_vector(shape: tuple[int, int], centre: str) -> None:
    cells, channels = shape
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=shape) + 3 * np.outer(
        generator.normal(size=cells), generator.normal(size=channels)
    )
    activation = matrix.T.reshape(1, channels, 2, cells // 2)
    used = matrix - matrix.mean(0) if centre == "cells" else matrix
    expected = used @ np.linalg.svd(used)[2][0]
    expected *= np.sign(expected[np.abs(expected).argmax()])
    found = run("eigen_cam", activation, np.zeros_like(activation), centre=centre)
    np.testing.assert_allclose(found.reshape(-1), np.maximum(expected, 0), atol=1e-9)


def test_the_sign_does_not_depend_on_the_solver() -> None:
    matrix = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for turned in (matrix, -matrix):
        found = principal(turned)
        assert found[found.abs().argmax()] > 0
    torch.testing.assert_close(principal(-matrix), principal(matrix))


# ---------------------------------------------------------------- degenerate layers


@pytest.mark.parametrize("method", ONE_PASS)
def test_degenerate_layers(method: str) -> None:
    some = np.random.default_rng(0).random((1, 3, 2, 2))
    for a, g in ((np.zeros_like(some), some), (some, np.zeros_like(some))):
        found = run(method, a, g)
        if method == "eigen_cam":
            assert (found.max() > 0) == (a.max() > 0)
        else:
            assert (found == 0).all()
    one = run(method, np.full((1, 2, 1, 1), 2.0), np.full((1, 2, 1, 1), 0.5))
    assert one.shape == (1, 1, 1)
    assert one > 0


def test_a_channel_that_sums_to_zero_has_no_weight() -> None:
    a = np.array([[[[1.0, -1.0]], [[1.0, 0.0]]]])
    g = np.array([[[[5.0, -5.0]], [[1.0, 1.0]]]])
    np.testing.assert_allclose(run("xgradcam", a, g)[0], [[1.0, 0.0]])


def test_tiny_gradients_do_not_vanish() -> None:
    """In float32 the square of 1e-25 is zero, but α is a half all the same."""
    a, g = np.ones((1, 1, 2, 2), np.float32), np.full((1, 1, 2, 2), 1e-25, np.float32)
    np.testing.assert_allclose(run("gradcam_plus_plus", a, g), 2e-25, rtol=1e-6)


@pytest.mark.parametrize("method", ALL)
def test_a_layer_of_vectors_is_refused(method: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(6), nn.Linear(6, 2))
    x = torch.randn(2, 3, 8, 8)
    net(x)
    with pytest.raises(NotDefinedError, match="not defined for the target layer"):
        explain(net, x, methods=method, target_layer="2")


# ---------------------------------------------------------------- in a network


def transformer(registers: int) -> tuple[Classifier, Tensor]:
    torch.manual_seed(3)
    config = VitConfig(
        (16, 24), 4, dim=8, depth=2, heads=2, mlp_dim=16, registers=registers, n_classes=3
    )
    x = torch.randn(3, 3, 16, 24)
    return Classifier(VisionTransformer(config).eval(), example=x), x


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("layer", ["auto", "encoder.layers.encoder_layer_1.ln_1"])
@pytest.mark.parametrize("method", ONE_PASS)
def test_tokens_are_read_as_a_map(method: str, layer: str, registers: int) -> None:
    """Of class token, registers and 4 × 6 patches only the patches count, row by row."""
    classifier, x = transformer(registers)
    targets = torch.tensor([2, 0, 1])
    name = classifier.target_layer if layer == "auto" else layer
    found = explain(classifier, x.double(), methods=method, targets=targets, exact=True,
                    target_layer=name)[method]  # fmt: skip
    net = classifier.prepared(exact=True).module.double()
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[0]

    net.get_submodule(name).register_forward_hook(keep)
    score = net(x.double()).gather(1, targets[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, seen[0])
    skip = 0 if layer == "auto" else 1 + registers

    def as_map(t: Tensor) -> np.ndarray:
        if t.ndim == 4:
            return t.detach().numpy()
        return t.detach().numpy()[:, skip:].transpose(0, 2, 1).reshape(3, 8, 4, 6)

    small = torch.from_numpy(run(method, as_map(seen[0]), as_map(gradient)))
    expected = torch.nn.functional.interpolate(small[:, None], size=(16, 24), mode="bilinear")
    assert expected.max() > 0
    torch.testing.assert_close(found.double(), expected[:, 0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("exact", [False, True])
def test_company_changes_no_bit(make_classifier: Any, make_noise: Any, exact: bool) -> None:
    for classifier, rows, names in (
        (make_classifier("small-cnn", 64), make_noise(3, 64), ALL),
        (make_classifier("mobilenet-v2", 64), make_noise(2, 64), (*ONE_PASS, "ablation_cam")),
        (*transformer(1), ALL),
    ):
        methods = resolve_methods([*names, "eigen_cam[centre=cells]"])
        explainer = Explainer(classifier, exact=exact)
        together = explainer.run(rows, methods=methods).maps
        alone = explainer.run(rows[1:2], methods=methods).maps
        turned = explainer.run(rows.flip(0), methods=methods[::-1]).maps
        for key, found in together.items():
            assert np.array_equal(alone[key][0], found[1]), key
            assert np.array_equal(turned[key][::-1], found), key


def test_without_gradients_no_backward(make_classifier: Any, monkeypatch: Any) -> None:
    explainer = Explainer(make_classifier("small-cnn", 64))

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a backward ran")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    explainer.run(torch.randn(2, 3, 64, 64), methods=resolve_methods("eigen_cam"))
