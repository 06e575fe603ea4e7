"""Reference lines: seeded, placed, and blind to the network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.methods import Explainer, explain, resolve_methods
from xaieval.models import Classifier, Preprocessing


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))[:, :2]


def run(x: Tensor, method: str, ids: list[str] | None = None, seed: int = 0) -> np.ndarray:
    explainer = Explainer(Classifier(Mean(), example=x))
    found = explainer.run(x, methods=resolve_methods(method), sample_ids=ids, seed=seed)
    return next(iter(found.maps.values()))


def test_random_follows_sample_and_seed_not_position() -> None:
    x = torch.zeros(3, 3, 32, 32)
    there = run(x, "random", ["a", "b", "c"])
    back = run(x, "random", ["c", "b", "a"])
    assert np.array_equal(there, back[::-1])
    assert not np.array_equal(there[0], there[1])
    assert not np.array_equal(there, run(x, "random", ["a", "b", "c"], seed=1))
    assert there.min() >= 0
    assert there.max() < 1
    assert abs(there.mean() - 0.5) < 0.02


def test_random_without_ids_follows_the_pixels() -> None:
    x = torch.rand(3, 3, 8, 8)
    there, back = run(x, "random"), run(x.flip(0), "random")
    assert np.array_equal(there, back[::-1])


def test_sobel_naive_twin() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 6, 7, 3), dtype=np.uint8)
    preprocessing = Preprocessing((6, 7))
    classifier = Classifier(Mean(), preprocessing=preprocessing)
    found = explain(classifier, picture, methods="sobel")["sobel"][0]
    grey = (picture[0] / 255.0) @ np.array([0.299, 0.587, 0.114])
    g = np.pad(grey, 1, mode="edge")
    for y in range(6):
        for x in range(7):
            w = g[y : y + 3, x : x + 3]
            right = w[0, 2] + 2 * w[1, 2] + w[2, 2] - w[0, 0] - 2 * w[1, 0] - w[2, 0]
            down = w[2, 0] + 2 * w[2, 1] + w[2, 2] - w[0, 0] - 2 * w[0, 1] - w[0, 2]
            assert found[y, x] == pytest.approx(math.hypot(right, down), abs=1e-5)


def test_sobel_of_an_even_picture_is_zero_and_other_channels_work() -> None:
    assert not run(torch.full((1, 3, 8, 8), 0.7), "sobel").any()
    edge = torch.zeros(1, 4, 4, 4)
    edge[..., 2:] = 1
    assert run(edge, "sobel")[0].tolist() == [[0, 4, 4, 0]] * 4


def test_constant_says_nothing() -> None:
    assert (run(torch.rand(2, 4, 3, 5), "constant") == np.ones((2, 3, 5))).all()


def test_centre_prior() -> None:
    found = run(torch.zeros(2, 3, 4, 8), "centre_prior[sigma=0.5]")
    assert np.array_equal(found[0], found[1])
    assert np.allclose(found[0], found[0, ::-1])
    assert np.allclose(found[0], found[0, :, ::-1])
    # The centre of pixel (0, 0) lies 3/8 of the height and 7/16 of the width from the middle.
    assert found[0, 0, 0] == pytest.approx(math.exp(-2 * ((3 / 8) ** 2 + (7 / 16) ** 2)))


def test_baselines_do_not_see_the_target() -> None:
    x = torch.rand(2, 3, 8, 8)
    for method in ("random", "constant", "sobel", "centre_prior"):
        one = explain(Mean(), x, methods=method, targets=0)[method]
        assert torch.equal(one, explain(Mean(), x, methods=method, targets=1)[method])
