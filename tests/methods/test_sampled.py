"""SmoothGrad and its kin, GradientSHAP and the baselines of integrated gradients, against twins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.methods import Explainer, plan, resolve_methods
from xaieval.methods.baseline_inputs import BASELINE_INPUTS, blur
from xaieval.methods.gradient import gauss_legendre
from xaieval.methods.sampled import NoisyGradients, NoisySamples, ShapGradients, ShapSamples
from xaieval.methods.streams import Joined, Stream
from xaieval.models import Classifier

SIZE = 12
STUDY_SEED = 3
MakeNoise = Callable[..., Tensor]


class Quadratic(nn.Module):
    """f(x) = Σ w x², so that the gradient 2 w x is known."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn((3, SIZE, SIZE), generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        score = (self.weight * x.square()).sum((1, 2, 3))
        return torch.stack([score, -score], 1)


@pytest.fixture
def explainer() -> Explainer:
    return Explainer(Classifier(Quadratic(), example=torch.zeros(2, 3, SIZE, SIZE)), exact=True)


@pytest.fixture
def x() -> Tensor:
    return torch.randn((3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1)).double()


def maps(explainer: Explainer, x: Tensor, method: str) -> np.ndarray:
    found = explainer.run(
        x,
        methods=resolve_methods(method),
        targets=torch.zeros(len(x), dtype=torch.int64),
        sample_ids=[f"s{i}" for i in range(len(x))],
        seed=STUDY_SEED,
        pooled=False,
    )
    return next(iter(found.maps.values()))


def samples(stream: Stream, image: int, count: int) -> Tensor:
    rows, images = stream.points(image * count, (image + 1) * count)
    assert set(images.tolist()) == {image}
    return rows


class Watch:
    """The streams that a run opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, spec: type, kind: type) -> None:
        self.opened: list[Stream] = []

        def opening(this: object, passes: object) -> Stream:
            self.opened.append(kind(this, passes))
            return self.opened[-1]

        monkeypatch.setattr(spec, "open", opening)


def test_smoothgrad_and_kin_are_moments_of_the_same_gradients(
    explainer: Explainer, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch, NoisySamples, NoisyGradients)
    names = ("smoothgrad", "smoothgrad_squared", "vargrad")
    methods = resolve_methods([f"{name}[n_samples=7]" for name in names])
    found = explainer.run(x, methods=methods, targets=torch.tensor([0, 0, 0]), pooled=False)
    (stream,) = watch.opened  # one for all three
    weight = explainer.classifier.module.weight.detach().double()
    for image in range(3):
        gradients = (2 * weight * samples(stream, image, 7)).numpy()
        twins = gradients.mean(0), (gradients**2).mean(0), gradients.var(0)
        for values, twin in zip(found.maps.values(), twins, strict=True):
            np.testing.assert_allclose(values[image], twin, rtol=1e-5, atol=1e-5 * twin.max())


def test_noise_has_the_size_that_was_asked_for(
    explainer: Explainer, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch, NoisySamples, NoisyGradients)
    maps(explainer, x, "smoothgrad[n_samples=200,sigma=0.1]")
    noise = samples(watch.opened[0], 1, 200) - x[1]
    wanted = 0.1 * float(x[1].max() - x[1].min())
    assert float(noise.std()) == pytest.approx(wanted, rel=0.02)
    assert abs(float(noise.mean())) < 0.02 * wanted


@pytest.mark.parametrize("baseline", BASELINE_INPUTS)
def test_gradient_shap_is_the_mean_of_its_samples(
    explainer: Explainer, x: Tensor, monkeypatch: pytest.MonkeyPatch, baseline: str
) -> None:
    watch = Watch(monkeypatch, ShapSamples, ShapGradients)
    found = maps(explainer, x, f"gradient_shap[n_samples=9,sigma=0.1,baseline={baseline}]")
    (stream,) = watch.opened
    weight = explainer.classifier.module.weight.detach().double()
    for image in range(3):
        total = torch.zeros_like(x[image])
        points = samples(stream, image, 9)
        for number in range(9):
            noisy, start, alpha = stream._draw(image * 9 + number)
            point = start + alpha * (noisy - start)
            torch.testing.assert_close(point, points[number])
            total += (noisy - start) * 2 * weight * point / 9
        np.testing.assert_allclose(found[image], total.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("baseline", BASELINE_INPUTS)
def test_integrated_gradients_are_complete_from_every_baseline(
    explainer: Explainer, x: Tensor, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []
    inner = BASELINE_INPUTS[baseline]
    monkeypatch.setitem(
        BASELINE_INPUTS, baseline, lambda passes: drawn.append(inner(passes)) or drawn[-1]
    )
    found = maps(explainer, x, f"integrated_gradients[n_steps=2,baseline={baseline}]")
    start = drawn[0] if drawn else torch.zeros_like(x)  # zero is never made
    net = explainer.classifier.module.double()
    change = (net(x) - net(start))[:, 0]  # two Gauss points integrate a straight line exactly
    np.testing.assert_allclose(found.sum((1, 2, 3)), change.detach().numpy(), rtol=1e-4)


def test_baselines_are_what_they_are_called(explainer: Explainer, x: Tensor) -> None:
    flat = torch.full((1, 1, 9, 9), 2.5, dtype=torch.float64)
    torch.testing.assert_close(blur(flat, 2.0), flat)
    spot = torch.zeros((1, 1, 41, 41), dtype=torch.float64)
    spot[0, 0, 20, 20] = 1.0
    spread = blur(spot, 3.0)[0, 0]
    offsets = torch.arange(41, dtype=torch.float64) - 20
    assert float(spread.sum()) == pytest.approx(1.0)
    assert float((spread.sum(0) * offsets**2).sum()) == pytest.approx(9.0, rel=0.05)
    torch.testing.assert_close(spread, spread.T)


@pytest.mark.parametrize("method", ["smoothgrad", "vargrad", "gradient_shap"])
def test_samples_follow_the_picture_not_its_place(
    explainer: Explainer, x: Tensor, method: str
) -> None:
    calls = resolve_methods(f"{method}[n_samples=5]")
    ids, targets = ["a", "b", "c"], torch.tensor([0, 0, 0])
    (whole,) = explainer.run(x, methods=calls, targets=targets, sample_ids=ids).maps.values()
    (last,) = explainer.run(
        x[2:], methods=calls, targets=targets[2:], sample_ids=["c"]
    ).maps.values()
    np.testing.assert_array_equal(whole[2], last[0])
    (other,) = explainer.run(
        x[2:], methods=calls, targets=targets[2:], sample_ids=["c"], seed=1
    ).maps.values()
    assert not np.array_equal(last, other)


def test_equal_weights_of_a_constant_gradient_have_no_variance(make_noise: MakeNoise) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2))
    explainer = Explainer(Classifier(net, example=torch.zeros(2, 3, SIZE, SIZE)))
    (found,) = explainer.run(
        make_noise(1, SIZE), methods=resolve_methods("vargrad[n_samples=6]")
    ).maps.values()
    assert found.max() <= 1e-12


def test_streams_are_laid_end_to_end() -> None:
    class Count(Stream):
        def __init__(self, rows: int) -> None:
            self.rows, self.seen = rows, []

        def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
            index = torch.arange(start, stop)
            return index[:, None, None, None].float(), index

        def add(self, start: int, found: Tensor, image: Tensor) -> None:
            self.seen += found.flatten().tolist()

        def result(self) -> list[float]:
            return self.seen

    first, empty, last = Count(3), Count(0), Count(4)
    joined = Joined((first, empty, last))
    complete = []
    for start in range(0, joined.rows, 2):
        stop = min(start + 2, joined.rows)
        rows, image = joined.points(start, stop)
        complete.append(joined.add(start, rows, image))
    assert first.seen == [0, 1, 2]
    assert last.seen == [0, 1, 2, 3]
    assert [first in done for done in complete] == [False, True, False, False]
    assert [last in done for done in complete] == [False, False, False, True]


def test_the_plan_shares_samples_and_says_so() -> None:
    found = plan(
        resolve_methods(["smoothgrad", "vargrad", "smoothgrad_squared", "integrated_gradients"])
    )
    assert found.gradient_rows((64, 64)) == 25 + 50
    shown = "\n".join(found.describe((64, 64)))
    assert "noisy samples: smoothgrad, vargrad, smoothgrad_squared" in shown
    assert "25 forward + backward" in shown
    assert sum(gauss_legendre(25)[1]) == pytest.approx(1.0)
