"""Occlusion and RISE, against naive twins and by hand; what all their streams promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.errors import ConfigError, MethodError
from xaieval.methods import Explainer, explain, plan, resolve_methods
from xaieval.methods.perturbation import Perturbation, read_output
from xaieval.methods.rise import Masked, RandomMasks, draw_masks, stretch
from xaieval.models import Classifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
SIZE = (12, 15)
IDS = ["a", "b", "c"]
# Every perturbation method with few rows.
QUICK = [
    "occlusion[window=5,stride=3]",
    "rise[n_masks=11]",
    "lime[n_samples=20,n_segments=5]",
    "kernel_shap[n_samples=20,n_segments=5]",
    "shapley_sampling[n_samples=3,n_segments=5]",
]


class Tangled(nn.Module):
    """No superpixel speaks for itself."""

    def forward(self, x: Tensor) -> Tensor:
        score = x[..., ::2].mean((1, 2, 3)) * x[..., 1::2].mean((1, 2, 3))
        return torch.stack([score, -score], 1)


class Weighted(nn.Module):
    """f(x) = (Σ w x, 0): a linear model whose explanation is known."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn((3, *SIZE), generator=generator) / 10)

    def forward(self, x: Tensor) -> Tensor:
        score = (self.weight * x).sum((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], 1)


@pytest.fixture
def explainer() -> Explainer:
    return Explainer(Classifier(Weighted(), example=torch.zeros(2, 3, *SIZE)), exact=True)


@pytest.fixture
def x() -> Tensor:
    return torch.randn((3, 3, *SIZE), generator=torch.Generator().manual_seed(1)).double()


def run(explainer: Explainer, x: Tensor, method: str, ids: list[str] = IDS) -> np.ndarray:
    targets = torch.zeros(len(x), dtype=torch.int64)
    found = explainer.run(
        x, methods=resolve_methods(method), targets=targets, sample_ids=ids, seed=5, pooled=False
    )
    return next(iter(found.maps.values()))[:, 0]


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Perturbation]:
    """Collect every perturbation stream that is opened."""
    opened: list[Perturbation] = []
    inner = Perturbation.__init__

    def init(self: Perturbation, *args: object, **kwargs: object) -> None:
        inner(self, *args, **kwargs)
        opened.append(self)

    monkeypatch.setattr(Perturbation, "__init__", init)
    return opened


# ---------------------------------------------------------------- all streams


@pytest.mark.parametrize("method", QUICK)
def test_rows_are_a_pure_function_of_their_place(
    explainer: Explainer, x: Tensor, streams: list[Perturbation], method: str
) -> None:
    run(explainer, x, method)
    (stream,) = streams
    rows, images = stream.points(0, stream.rows)
    assert sorted(set(images.tolist())) == [0, 1, 2]
    assert [images.tolist().count(i) for i in range(3)] == [len(a) for a in stream.answers]
    for step in (1, 4, 7):
        parts = [
            stream.points(start, min(start + step, stream.rows))
            for start in range(0, stream.rows, step)
        ]
        assert torch.equal(torch.cat([part for part, _ in parts]), rows)
        assert torch.equal(torch.cat([image for _, image in parts]), images)


@pytest.mark.parametrize(
    ("arch", "asked"), [("small-cnn", QUICK), ("efficientnet-b0", ["rise[n_masks=5]", *QUICK[2:3]])]
)
def test_company_and_order_change_no_bit(
    make_classifier: MakeClassifier, make_noise: MakeNoise, arch: str, asked: list[str]
) -> None:
    explainer = Explainer(make_classifier(arch, 64))
    x, ids, methods = make_noise(4, 64), ["a", "b", "c", "d"], resolve_methods(asked)

    def maps(rows: list[int], calls: object = methods) -> dict[str, np.ndarray]:
        return explainer.run(x[rows], methods=calls, sample_ids=[ids[i] for i in rows]).maps

    together = maps([0, 1, 2, 3])
    for rows in ([3, 1, 0, 2], [2]):
        for key, found in maps(rows).items():
            assert np.array_equal(found, together[key][rows]), (key, rows)
    for call in methods:
        assert np.array_equal(maps([1], [call])[call.key][0], together[call.key][1])


@pytest.mark.parametrize("method", [m for m in QUICK if not m.startswith("occlusion")])
def test_samples_follow_id_and_seed(x: Tensor, method: str) -> None:
    explainer = Explainer(Classifier(Tangled(), example=torch.zeros(2, 3, *SIZE)), exact=True)
    method = method.replace("n_segments=5", "n_segments=9,superpixels=grid")
    same = x[:1].expand(3, -1, -1, -1)
    one = run(explainer, same, method, ["a", "a", "b"])
    assert np.array_equal(one[0], one[1])
    assert not np.array_equal(one[0], one[2])


def test_answers_are_logits_or_probabilities() -> None:
    logits = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    target = torch.tensor([1, 0])
    assert read_output(logits, target, "logit").tolist() == [3.0, 0.0]
    np.testing.assert_allclose(
        read_output(logits, target, "probability"), [1 / (1 + np.exp(-2)), 0.5]
    )
    single = read_output(torch.tensor([[2.0]]), torch.tensor([0]), "probability")
    np.testing.assert_allclose(single, 1 / (1 + np.exp(-2)))


def test_equal_copies_run_once() -> None:
    calls = resolve_methods(
        ["lime", "lime[alpha=0]", "lime[kernel_width=1]", "lime[pooling=sum]", "rise"]
    )
    assert sorted(stream.per_image((64, 64)) for stream in plan(calls).streams) == [1000, 4000]


# ---------------------------------------------------------------- occlusion


@pytest.mark.parametrize(
    ("window", "stride", "baseline"),
    [(5, 3, "zero"), (4, 4, "mean"), (12, 12, "zero"), (1, 1, "noise"), (7, 2, "blurred")],
)
def test_occlusion_is_the_mean_fall_over_windows(
    explainer: Explainer,
    x: Tensor,
    streams: list[Perturbation],
    window: int,
    stride: int,
    baseline: str,
) -> None:
    found = run(explainer, x, f"occlusion[window={window},stride={stride},baseline={baseline}]")
    net, blank = explainer.classifier.module.double(), streams[0].blank
    for b in range(3):
        falls, times = np.zeros(SIZE), np.zeros(SIZE)
        top = 0
        while True:
            left = 0
            while True:
                copy = x[b : b + 1].clone()
                for i in range(top, min(top + window, SIZE[0])):
                    for j in range(left, min(left + window, SIZE[1])):
                        copy[0, :, i, j] = blank[b, :, i, j]
                fall = (net(x[b : b + 1]) - net(copy))[0, 0].item()
                falls[top : top + window, left : left + window] += fall
                times[top : top + window, left : left + window] += 1
                if left + window >= SIZE[1]:
                    break
                left += stride
            if top + window >= SIZE[0]:
                break
            top += stride
        np.testing.assert_allclose(found[b], falls / times, rtol=1e-5, atol=1e-6)


def test_occlusion_of_the_probability(explainer: Explainer, x: Tensor) -> None:
    logit, probability = (
        run(explainer, x, f"occlusion[window=12,stride=12,output={output}]")
        for output in ("logit", "probability")
    )
    whole = explainer.classifier.module.double()(x)[:, 0].detach().numpy()
    for b in range(3):
        # The left window hides 12 of 15 columns; zero where nothing is left would be p = 1/2.
        without = whole[b] - logit[b, 0, 0]
        fall = 1 / (1 + np.exp(-whole[b])) - 1 / (1 + np.exp(-without))
        assert probability[b, 0, 0] == pytest.approx(fall, abs=1e-6)


@pytest.mark.parametrize(
    "method", ["occlusion[window=13]", "occlusion[window=3,stride=4]", "rise[cells=13]"]
)
def test_what_does_not_fit_is_said(explainer: Explainer, x: Tensor, method: str) -> None:
    with pytest.raises(MethodError, match=r"does not fit|more cells than pixels"):
        run(explainer, x, method)


# ---------------------------------------------------------------- RISE


@pytest.mark.parametrize(("cells", "side"), [(7, 224), (7, 64), (3, 10), (1, 5), (5, 5)])
def test_masks_are_stretched_bilinearly(cells: int, side: int) -> None:
    weights = stretch(cells, side)
    length = (cells + 1) * -(-side // cells)
    assert weights.shape == (length, cells)
    eye = torch.eye(cells, dtype=torch.float64)[:, None]
    twin = torch.nn.functional.interpolate(eye, size=length, mode="linear")[:, 0].T
    np.testing.assert_allclose(weights, twin.numpy(), atol=2**-13)
    assert (weights.sum(1) == 1).all()


def test_rise_is_the_weighted_mean_of_its_masks(
    explainer: Explainer, x: Tensor, streams: list[Perturbation]
) -> None:
    found = run(explainer, x, "rise[n_masks=30,cells=4,p=0.3]")
    (stream,) = streams
    assert isinstance(stream, Masked)
    net = explainer.classifier.module.double()
    for b in range(3):
        total = np.zeros(SIZE)
        masks = draw_masks(IDS[b], 5, RandomMasks(30, 4, 0.3, "probability"), SIZE)
        for grid, (down, right) in zip(masks.grids, masks.shifts, strict=True):
            # As in the paper: stretch to (h + 1) cells, then crop at the random shift.
            tall = torch.nn.functional.interpolate(
                torch.from_numpy(grid)[None, None].double(), size=(15, 20), mode="bilinear"
            )[0, 0, down : down + 12, right : right + 15]
            p = net(x[b : b + 1] * tall).softmax(1)[0, 0]
            total += p.item() * tall.numpy()
        np.testing.assert_allclose(found[b], total / (30 * 0.3), rtol=2e-3)


def test_masks_have_the_share_that_was_asked_for(
    explainer: Explainer, x: Tensor, streams: list[Perturbation]
) -> None:
    run(explainer, x, "rise[n_masks=400,p=0.2]")
    (stream,) = streams
    assert isinstance(stream, Masked)
    masks = stream.masks(0, 0, 400)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert float(masks.mean()) == pytest.approx(0.2, abs=0.02)
    shifts = stream.drawn(0).shifts
    assert set(shifts[:, 0]) == {0, 1}
    assert set(shifts[:, 1]) == {0, 1, 2}


def test_rise_finds_what_a_linear_model_looks_at() -> None:
    """E[f(x ⊙ M) M(λ)] / p of f = Σ w x is Σ_j w_j x_j E[M_j M_λ] / p."""
    net = Weighted()
    net.weight.data.zero_()
    net.weight.data[:, 2:5, 9:13] = 1.0
    explainer = Explainer(Classifier(net, example=torch.zeros(2, 3, *SIZE)), exact=True)
    found = run(
        explainer, torch.ones(1, 3, *SIZE).double(), "rise[n_masks=3000,output=logit]", ["a"]
    )
    grids = draw_masks("other", 0, RandomMasks(20000, 7, 0.5, "logit"), SIZE)
    down, across = stretch(7, 12), stretch(7, 15)
    score, total = np.zeros(len(grids.grids)), np.zeros(SIZE)
    for i, (grid, (top, left)) in enumerate(zip(grids.grids, grids.shifts, strict=True)):
        mask = down[top : top + 12] @ grid @ across[left : left + 15].T
        score[i] = 3 * mask[2:5, 9:13].sum()
        total += score[i] * mask
    expected = total / len(score) / 0.5
    assert np.corrcoef(found[0].ravel(), expected.ravel())[0, 1] > 0.98
    inside = found[0, 2:5, 9:13].mean()
    assert inside > found[0].mean() + 3 * found[0].std() / 2


@pytest.mark.parametrize("method", ["rise[p=0]", "rise[p=1.5]", "rise[n_masks=0]"])
def test_options_have_bounds(method: str) -> None:
    with pytest.raises(ConfigError, match="at least"):
        resolve_methods(method)


def test_masks_that_hide_nothing() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    x = torch.randn(2, 3, 8, 8)
    found = explain(net, x, methods="rise[p=1,n_masks=3]", targets=0)["rise[n_masks=3,p=1]"]
    p = net(x).softmax(1)[:, 0]
    torch.testing.assert_close(found, p[:, None, None].expand(2, 8, 8).detach())
