"""Superpixels, LIME, KernelSHAP and Shapley sampling: exact games, twins, degenerate pictures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import Tensor, nn

from xaieval.errors import MethodError
from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.methods.kernel_shap import (
    kernel_coalitions,
    kernel_shap_values,
    kernel_weights,
    shapley_kernel,
)
from xaieval.methods.lime import lime_coalitions, lime_weights, ridge
from xaieval.methods.shapley import draw_orders, shapley_values
from xaieval.methods.superpixels import SEGMENTATIONS, colour_means, superpixels
from xaieval.models import Classifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
SIZE = (8, 12)
GRID = "superpixels=grid,n_segments=6"  # 2 × 3 squares of 4 px


class Rule(nn.Module):
    """A game of the six squares: products of some, a threshold, and a dummy."""

    def forward(self, x: Tensor) -> Tensor:
        squares = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)[:, 0]
        a, b, c, d, e, _ = squares.flatten(1).unbind(1)
        score = 2 * a + a * b - 3 * c * d * e + (d - e).relu()
        return torch.stack([score, 0 * score], 1)


def game(present: tuple[bool, ...] | np.ndarray, squares: np.ndarray, blank: float = 0.0) -> float:
    seen = torch.from_numpy(np.where(present, squares, blank))
    x = seen.reshape(1, 1, 2, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return float(Rule()(x)[0, 0])


def exact_values(squares: np.ndarray) -> np.ndarray:
    """Return Shapley values by their definition: all coalitions of the others."""
    d = len(squares)
    values = np.zeros(d)
    for player in range(d):
        others = [i for i in range(d) if i != player]
        for size in range(d):
            for members in combinations(others, size):
                seen = np.isin(np.arange(d), members)
                without = game(seen, squares)
                seen[player] = True
                share = factorial(size) * factorial(d - size - 1) / factorial(d)
                values[player] += share * (game(seen, squares) - without)
    return values


@pytest.fixture
def squares() -> np.ndarray:
    return np.array([1.0, -0.5, 2.0, 0.7, 0.3, 1.5])


@pytest.fixture
def picture(squares: np.ndarray) -> Tensor:
    tiles = torch.from_numpy(squares).reshape(1, 1, 2, 3)
    return tiles.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(1, 3, *SIZE).contiguous()


def values(picture: Tensor, method: str, seed: int = 0) -> np.ndarray:
    """Return the value of each of the six squares."""
    explainer = Explainer(Classifier(Rule(), example=picture), exact=True)
    (found,) = explainer.run(
        picture,
        methods=resolve_methods(method),
        targets=torch.tensor([0]),
        sample_ids=["one"],
        seed=seed,
        pooled=False,
    ).maps.values()
    assert found.shape == (1, 1, *SIZE)
    blocks = found[0, 0].reshape(2, 4, 3, 4)
    assert (blocks == blocks[:, :1, :, :1]).all()
    return blocks[:, 0, :, 0].ravel()


# ---------------------------------------------------------------- superpixels


@pytest.mark.parametrize("method", SEGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_labels_have_no_gaps_and_are_found_again(method: str, channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, channels), dtype=np.uint8)
    labels = superpixels(picture, method, 9)
    assert labels.shape == (20, 31)
    assert set(labels.ravel()) == set(range(labels.max() + 1))
    assert np.array_equal(labels, superpixels(picture, method, 9))


def test_slic_follows_the_picture() -> None:
    picture = np.zeros((24, 24, 3), np.uint8)
    picture[:, 12:] = (255, 40, 0)
    labels = superpixels(picture, "slic", 4)
    assert not set(labels[:, :12].ravel()) & set(labels[:, 12:].ravel())


@pytest.mark.parametrize(
    ("size", "wanted", "found"),
    [((8, 12), 6, 6), ((8, 12), 1, 1), ((8, 12), 96, 96), ((3, 50), 10, 10), ((9, 9), 16, 16)],
)
def test_grids(size: tuple[int, int], wanted: int, found: int) -> None:
    labels = superpixels(np.zeros((*size, 3), np.uint8), "grid", wanted)
    assert labels.max() + 1 == found
    sizes = np.bincount(labels.ravel())
    assert sizes.max() <= 4 * sizes.min()


def test_more_superpixels_than_pixels() -> None:
    with pytest.raises(MethodError, match="more superpixels than pixels"):
        superpixels(np.zeros((4, 4, 3), np.uint8), "slic", 17)


def test_colour_means() -> None:
    x = torch.arange(12.0).reshape(2, 2, 3)
    labels = np.array([[0, 0, 1], [0, 1, 1]])
    means = colour_means(x, labels)
    first, second = (0 + 1 + 3) / 3, (2 + 4 + 5) / 3
    np.testing.assert_allclose(
        means[0].numpy(), [[first, first, second], [first, second, second]], rtol=1e-6
    )
    np.testing.assert_allclose(means[1].numpy(), means[0].numpy() + 6, rtol=1e-6)


def test_superpixels_are_the_same_in_both_precisions(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    classifier, x = make_classifier("small-cnn", 64), make_noise(2, 64)
    methods = resolve_methods("shapley_sampling[n_samples=2]")
    exact, fast = (
        next(
            iter(
                Explainer(classifier, exact=wide)
                .run(rows, methods=methods, sample_ids=["a", "b"], pooled=False)
                .maps.values()
            )
        )
        for rows, wide in ((x.double(), True), (x, False))
    )
    assert np.abs(exact - fast).max() < 1e-3 * np.abs(exact).max()


# ---------------------------------------------------------------- LIME


def test_kernel_is_that_of_the_authors_code() -> None:
    present = lime_coalitions("a", 0, 40, 7)
    present[5] = False
    distance = pairwise_distances(present.astype(float), np.ones((1, 7)), metric="cosine").ravel()
    expected = np.sqrt(np.exp(-(distance**2) / 0.25**2))
    np.testing.assert_allclose(lime_weights(present, 0.25), expected, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_ridge_is_scikit_learns(alpha: float) -> None:
    generator = np.random.default_rng(0)
    present = generator.random((60, 8)) < 0.5
    answers, weights = generator.normal(size=60), generator.random(60)
    twin = Ridge(alpha=alpha).fit(present, answers, sample_weight=weights)
    np.testing.assert_allclose(ridge(present, answers, weights, alpha), twin.coef_, rtol=1e-8)


def test_ridge_without_information() -> None:
    same = np.ones((5, 3), bool)
    assert ridge(same, np.arange(5.0), np.ones(5), 0.0).tolist() == [0, 0, 0]
    assert ridge(same, np.arange(5.0), np.ones(5), 1.0).tolist() == [0, 0, 0]


def test_lime_recovers_a_linear_model(squares: np.ndarray) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 96, 2, bias=False)).double()
    weight = torch.linspace(-1, 1, 96).double().reshape(1, *SIZE).expand(3, -1, -1)
    net[1].weight.data[0] = weight.flatten()
    x = torch.ones(1, 3, *SIZE).double()
    method = f"lime[alpha=0,baseline=zero,{GRID},n_samples=50,kernel_width=1]"
    found = explain(net, x, methods=method, targets=0, pooled=False, exact=True)
    sums = weight.sum(0).reshape(2, 4, 3, 4).sum((1, 3))
    ours = next(iter(found.values()))[0, 0, ::4, ::4]
    np.testing.assert_allclose(ours.numpy(), sums.numpy(), rtol=1e-5)


def test_lime_is_a_regression_on_its_samples(picture: Tensor, squares: np.ndarray) -> None:
    found = values(picture, f"lime[n_samples=60,{GRID},baseline=zero]", seed=4)
    present = lime_coalitions("one", 4, 60, 6)
    answers = np.array([game(seen, squares) for seen in present])
    d = 1 - np.sqrt(present.sum(1) / 6)
    twin = Ridge(alpha=1.0).fit(present, answers, sample_weight=np.sqrt(np.exp(-(d**2) / 0.0625)))
    np.testing.assert_allclose(found, twin.coef_, rtol=1e-5)
    assert present[0].all()


def test_hiding_a_superpixel_behind_its_own_colour_changes_nothing(picture: Tensor) -> None:
    assert np.abs(values(picture, f"lime[n_samples=30,{GRID}]")).max() < 1e-6


def test_too_few_samples(picture: Tensor) -> None:
    with pytest.raises(MethodError, match="too few samples for a regression"):
        values(picture, f"lime[n_samples=6,alpha=0,{GRID}]")
    with pytest.raises(MethodError, match="n_samples of at least 10"):
        values(picture, f"kernel_shap[n_samples=9,{GRID}]")


# ---------------------------------------------------------------- Shapley values


def test_kernel_shap_of_all_coalitions_is_exact(picture: Tensor, squares: np.ndarray) -> None:
    found = values(picture, f"kernel_shap[n_samples=62,{GRID}]")
    np.testing.assert_allclose(found, exact_values(squares), rtol=1e-5, atol=1e-7)
    assert abs(found[5]) < 1e-6  # the dummy


def test_shapley_sampling_of_all_orders_is_exact(squares: np.ndarray) -> None:
    orders = np.array(list(permutations(range(6))))
    answers = [game(np.zeros(6, bool), squares), game(np.ones(6, bool), squares)]
    known: dict[tuple[int, ...], float] = {}
    for order in orders:
        for size in range(1, 6):
            members = tuple(sorted(order[:size]))
            if members not in known:
                known[members] = game(np.isin(np.arange(6), members), squares)
            answers.append(known[members])
    found = shapley_values(orders, np.array(answers))
    np.testing.assert_allclose(found, exact_values(squares), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "method", ["kernel_shap[n_samples=20,{}]", "shapley_sampling[n_samples=1,{}]"]
)
def test_values_sum_to_the_change_of_the_logit(
    picture: Tensor, squares: np.ndarray, method: str
) -> None:
    found = values(picture, method.format(GRID))
    change = game(np.ones(6, bool), squares) - game(np.zeros(6, bool), squares)
    assert found.sum() == pytest.approx(change, rel=1e-5)


def test_samples_come_near_the_exact_values(picture: Tensor, squares: np.ndarray) -> None:
    exact = exact_values(squares)
    sampled = values(picture, f"shapley_sampling[n_samples=400,{GRID}]")
    np.testing.assert_allclose(sampled, exact, atol=0.15 * np.abs(exact).max())
    answers = np.array([game(seen, squares) for seen in kernel_coalitions("a", 0, 61, 6)])
    assert len(answers) == 2 + 60  # 61 are not all 62, so pairs are drawn
    drawn = kernel_coalitions("a", 0, 61, 6)[2:]
    estimate = kernel_shap_values(drawn, answers[2:], np.ones(60), *answers[:2])
    np.testing.assert_allclose(estimate, exact, atol=0.25 * np.abs(exact).max())


def test_shapley_sampling_follows_its_orders(picture: Tensor, squares: np.ndarray) -> None:
    found = values(picture, f"shapley_sampling[n_samples=4,{GRID}]", seed=2)
    total = np.zeros(6)
    for order in draw_orders("one", 2, 4, 6):
        seen = np.zeros(6, bool)
        before = game(seen, squares)
        for player in order:
            seen[player] = True
            after = game(seen, squares)
            total[player] += (after - before) / 4
            before = after
    np.testing.assert_allclose(found, total, rtol=1e-5, atol=1e-6)


def test_coalitions_follow_the_shapley_kernel() -> None:
    drawn = kernel_coalitions("a", 0, 40000, 20)
    assert not drawn[0].any()
    assert drawn[1].all()
    assert (drawn[2::2] == ~drawn[3::2]).all()
    sizes = np.bincount(drawn[2::2].sum(1), minlength=20)[1:20] / 20000
    np.testing.assert_allclose(sizes, shapley_kernel(20), atol=0.012)
    np.testing.assert_allclose(drawn[2:].mean(0), 0.5, atol=0.02)


def test_kernel_weights_of_all_coalitions() -> None:
    every = kernel_coalitions("a", 0, 14, 4)[2:]
    assert len(every) == 14
    by_hand = {1: 3 / (4 * 1 * 3), 2: 3 / (6 * 2 * 2), 3: 3 / (4 * 3 * 1)}
    expected = np.array([by_hand[int(size)] for size in every.sum(1)])
    found = kernel_weights(every, 14)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum())


@pytest.mark.parametrize(
    "method", ["kernel_shap", "shapley_sampling[n_samples=3]", "lime[alpha=0]"]
)
def test_one_superpixel_gets_everything(picture: Tensor, squares: np.ndarray, method: str) -> None:
    (call,) = resolve_methods(
        {"id": method.partition("[")[0], "superpixels": "grid", "n_segments": 1, "baseline": "zero"}
    )
    found = values(picture, call.key)
    change = game(np.ones(6, bool), squares) - game(np.zeros(6, bool), squares)
    if call.id == "lime":
        change *= ridge_share(call.options["n_samples"])
    np.testing.assert_allclose(found, change, rtol=1e-5)


def ridge_share(n_samples: int) -> float:
    """Return how far ridge pulls the slope of a line through two points towards zero."""
    present = lime_coalitions("one", 0, n_samples, 1)
    weights = lime_weights(present, 0.25)
    return float(ridge(present, present[:, 0] * 1.0, weights, 1.0)[0])


@pytest.mark.parametrize("method", ["lime", "kernel_shap", "shapley_sampling"])
def test_a_flat_picture_of_one_channel(method: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(10 * 14, 3))
    found = explain(
        net,
        torch.full((2, 1, 10, 14), 0.3),
        methods={"id": method, "n_samples": 40, "n_segments": 4},
    )
    for values in found.values():
        assert torch.isfinite(values).all()
