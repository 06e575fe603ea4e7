"""Agreement of scores: Kendall's tau per image against scipy, signs, what is left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import score_agreement
from xaieval.stats.agreement import taus

METHODS = ("x", "y", "z")


def long(values: dict[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    """metric -> (seeds, images, methods)."""
    rows = [
        (f"i{image}", seed, METHODS[method], metric, float(value))
        for metric, table in values.items()
        for (seed, image, method), value in np.ndenumerate(table)
    ]
    return pd.DataFrame(rows, columns=["sample_id", "seed", "method_id", "metric_key", "value"])


def test_taus_are_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 40, 5)).astype(float)
    twin = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(taus(a, b), twin, equal_nan=True)
    assert math.isnan(taus(np.array([[1.0, 1.0, 1.0]]), np.array([[1.0, 2.0, 3.0]]))[0])
    assert math.isnan(taus(np.array([[1.0, math.nan, 2.0]]), np.array([[1.0, 2.0, 3.0]]))[0])


def test_the_mean_of_the_images_taus():
    a, b = np.random.default_rng(1).random((2, 3, 20, 3))
    found = score_agreement(long({"a": a, "b": b}), methods=METHODS, metrics=["a", "b"]).iloc[0]
    assert found["r"] == pytest.approx(taus(a.reshape(-1, 3), b.reshape(-1, 3)).mean())
    assert found["low"] < found["r"] < found["high"]
    assert (found["n"], found["n_images"], found["n_seeds"]) == (60, 20, 3)


def test_signs_and_scores_that_should_be_low():
    a = np.random.default_rng(2).random((2, 15, 3))
    frame = long({"iou": a, "deletion": -a, "noise": np.random.default_rng(3).random(a.shape)})
    wanted = {"methods": METHODS, "metrics": ["iou", "deletion", "noise"]}
    found = score_agreement(frame, **wanted, lower_is_better=["deletion"])
    assert found["r"].iloc[0] == 1.0
    assert found["verdict"].tolist() == ["agree", "undecided", "undecided"]
    as_it_is = score_agreement(frame, **wanted)
    assert as_it_is["r"].iloc[0] == -1.0
    assert as_it_is["verdict"].iloc[0] == "disagree"


def test_images_without_a_ranking_are_counted():
    a, b = np.random.default_rng(4).random((2, 1, 6, 3))
    a[0, 0] = 0.5  # all level
    b[0, 1, 2] = math.nan
    found = score_agreement(long({"a": a, "b": b}), methods=METHODS, metrics=["a", "b"]).iloc[0]
    assert (found["n"], found["left_out"]) == (4, 2)


def test_easy_images_make_values_agree_but_no_rankings():
    rng = np.random.default_rng(5)
    easy = rng.random((2, 40, 1)) * 10
    a, b = easy + rng.random((2, 40, 3)) * 0.1, easy + rng.random((2, 40, 3)) * 0.1
    frame = long({"a": a, "b": b})
    wanted = {"methods": METHODS, "metrics": ["a", "b"]}
    values = score_agreement(frame, **wanted, level="values", replicates=200).iloc[0]
    assert values["r"] == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert values["verdict"] == "agree"
    assert (values["n"], values["n_images"]) == (240, 40)
    assert abs(score_agreement(frame, **wanted)["r"].iloc[0]) < 0.3


def test_bad_input():
    frame = long({"a": np.zeros((1, 2, 3)), "b": np.zeros((1, 2, 3))})
    with pytest.raises(ConfigError, match="rankings"):
        score_agreement(frame, methods=METHODS, metrics=["a", "b"], level="rank")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="metric_key"):
        score_agreement(frame, methods=METHODS, metrics=["a", "c"])
    with pytest.raises(ResultsError, match="two scores"):
        score_agreement(pd.concat([frame, frame]), methods=METHODS, metrics=["a", "b"])
    level = score_agreement(frame, methods=METHODS, metrics=["a", "b"]).iloc[0]
    assert (level["n"], level["left_out"], level["verdict"]) == (0, 2, "undecided")
