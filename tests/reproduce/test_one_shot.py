"""Logistic regression on one embedding per class."""

from __future__ import annotations

import numpy as np
import pytest

from xaieval.errors import ResultsError
from xaieval.reproduce.explanation_alignment.one_shot import (
    draw_shots,
    logistic_regression,
    one_shot_accuracies,
)


@pytest.mark.parametrize(("n", "dim", "classes"), [(6, 40, 6), (60, 3, 4), (12, 12, 3)])
def test_as_scikit_learn_has_it(n, dim, classes):
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    y = np.arange(n) % classes
    x = random.normal(size=(n, dim)) + y[:, None]
    w, b = logistic_regression(x, y)
    twin = linear_model.LogisticRegression(tol=1e-8, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(w, twin.coef_, atol=1e-3)
    # Biases are known up to a common number.
    np.testing.assert_allclose(b - b.mean(), twin.intercept_ - twin.intercept_.mean(), atol=1e-3)


def test_the_gradient_is_nought_at_the_optimum():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(5, 9)), np.arange(5)
    w, b = logistic_regression(x, y)
    logits = x @ w.T + b
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(w, (np.eye(5)[y] - p).T @ x, atol=1e-4)


def test_classes_that_are_missing():
    with pytest.raises(ResultsError, match="do not fit"):
        logistic_regression(np.ones((2, 3)), [0, 2])


def test_draws_are_one_per_class_repeatable_and_different():
    labels = np.repeat([3, 7, 9], 20)
    draws = [draw_shots(labels, number) for number in range(5)]
    for chosen in draws:
        assert sorted(labels[chosen]) == [3, 7, 9]
    assert (draw_shots(labels, 2) == draws[2]).all()
    assert len({chosen.tobytes() for chosen in draws}) == 5
    assert draw_shots(labels, 0, shots=4).sum() == 12


def test_clean_classes_are_all_found_and_noise_is_chance():
    labels = np.repeat(np.arange(4), 25)
    random = np.random.default_rng(0)
    clean = np.eye(4)[labels] * 5 + random.normal(size=(100, 4)) * 0.1
    assert (one_shot_accuracies(clean, labels, draws=3) == 1).all()
    noise = random.normal(size=(100, 8))
    assert abs(one_shot_accuracies(noise, labels, draws=20).mean() - 0.25) < 0.05


def test_one_number_per_image_is_enough():
    labels = np.array([0, 0, 0, 1, 1, 1])
    x = np.array([[-1.0], [-2], [-3], [1], [2], [3]])
    assert one_shot_accuracies(x, labels, draws=4).tolist() == [1.0] * 4
