"""Win shares, win rates, spread over seeds, intervals and boxes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import (
    OVERALL,
    balanced_accuracy,
    box_statistics,
    over_seeds,
    population,
    wilson,
    win_rates,
    win_shares,
)

METHODS = ["gradcam", "saliency", "ig"]
NAN = math.nan


def table(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Return scores of three methods: rows (seed, class, sample, scores, reason, correct)."""
    long = [
        (seed, "test", cls, sample, method, value, reason if math.isnan(value) else None, correct)
        for seed, cls, sample, values, reason, correct in rows
        for method, value in zip(METHODS, values, strict=True)
    ]
    columns = ["seed", "split", "class", "sample_id", "method_id", "value", "reason", "correct"]
    return pd.DataFrame(long, columns=columns)


def shares(values: list[float], **options: Any) -> list[float]:
    frame = table((0, "crack", "a", values, "zero-map", True))
    return win_shares(frame, methods=METHODS, **options)["share"].tolist()


@pytest.mark.parametrize(
    ("values", "split", "first"),
    [
        ([0.9, 0.1, 0.5], [1, 0, 0], [1, 0, 0]),
        ([0.1, 0.9, 0.9], [0, 1 / 2, 1 / 2], [0, 1, 0]),
        ([0.4, 0.4, 0.4], [1 / 3] * 3, [1, 0, 0]),
        ([0.5, 0.5 + 1e-9, 0.2], [1 / 2, 1 / 2, 0], [1, 0, 0]),
        ([0.5, 0.5 + 3e-9, 0.2], [0, 1, 0], [0, 1, 0]),
        ([NAN, 0.0, 0.0], [0, 1 / 2, 1 / 2], [0, 1, 0]),
        ([NAN, -0.5, NAN], [0, 1, 0], [0, 1, 0]),
        ([NAN, NAN, NAN], [NAN] * 3, [NAN] * 3),
    ],
)
def test_win_shares(values: list[float], split: list[float], first: list[float]) -> None:
    assert shares(values) == pytest.approx(split, nan_ok=True)
    assert shares(values, tie_rule="first") == pytest.approx(first, nan_ok=True)
    complete = [NAN] * 3 if any(map(math.isnan, values)) else split
    assert shares(values, nan="complete-case") == pytest.approx(complete, nan_ok=True)


def test_the_first_method_is_the_first_asked_for() -> None:
    frame = table((0, "crack", "a", [0.5, 0.5, 0.5], None, True))
    found = win_shares(frame, methods=["ig", "saliency"], tie_rule="first")
    assert found[["method_id", "share"]].to_numpy().tolist() == [["ig", 1.0], ["saliency", 0.0]]


def test_tolerance_can_be_chosen() -> None:
    assert shares([0.50, 0.51, 0.3], tolerance=0.02) == [0.5, 0.5, 0]


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, NAN]), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["split", "first"]),
    st.sampled_from(["loses", "complete-case"]),
)
@settings(max_examples=40, deadline=None)
def test_shares_add_up_to_one_or_are_nan(values: list[list[float]], tie: Any, nan: Any) -> None:
    frame = table(*((0, "crack", f"s{i}", v, "zero-map", True) for i, v in enumerate(values)))
    found = win_shares(frame, methods=METHODS, tie_rule=tie, nan=nan)
    rates = win_rates(frame, methods=METHODS, tie_rule=tie, nan=nan)
    total = found.groupby("sample_id")["share"].sum(min_count=3)
    kept = total.notna()
    assert total[kept].to_numpy() == pytest.approx(np.ones(kept.sum()))
    overall = rates[rates["class"] == OVERALL]
    assert (overall["n"] == kept.sum()).all()
    assert (overall["left_out"] == (~kept).sum()).all()
    if kept.any():
        assert overall["win_rate"].sum() == pytest.approx(1)


SCORES = table(
    (43, "crack", "c1", [1.0, 0.0, 0.0], None, True),
    (42, "crack", "c1", [0.5, 0.5, 0.1], None, True),
    (42, "crack", "c2", [0.2, 0.3, 0.1], None, True),
    (42, "hole", "h1", [NAN, 0.3, 0.1], "zero-map", True),
    (42, "hole", "h2", [1.0, 0.0, 0.0], None, False),
    (42, "hole", "h3", [NAN, NAN, NAN], "zero-map", True),
    (42, "good", "g1", [NAN, NAN, NAN], "empty-mask", True),
    (42, "good", "g2", [NAN, NAN, NAN], "empty-mask", False),
    (42, "cut", "u1", [0.1, 0.2, 0.3], None, False),
)


def rows_of(frame: pd.DataFrame, seed: int, cls: str) -> pd.DataFrame:
    return frame[(frame["seed"] == seed) & (frame["class"] == cls)]


def test_win_rates_of_the_default_population() -> None:
    found = win_rates(SCORES, methods=METHODS, population="correct")
    assert found.columns.tolist() == [
        *("seed", "split", "class", "method_id", "win_rate", "wins", "n", "left_out"),
        "left_out_by",
        "undefined",
    ]
    crack, hole = rows_of(found, 42, "crack"), rows_of(found, 42, "hole")
    assert crack["wins"].tolist() == [0.5, 1.5, 0]
    assert crack["win_rate"].tolist() == [0.25, 0.75, 0]
    assert set(zip(crack["n"], crack["left_out"], crack["left_out_by"], strict=True)) == {
        (2, 0, "")
    }
    assert hole["win_rate"].tolist() == [0, 1, 0]
    assert set(zip(hole["n"], hole["left_out"], hole["left_out_by"], strict=True)) == {
        (1, 2, "misclassified 1, zero-map 1")
    }
    cut = rows_of(found, 42, "cut")
    assert cut["win_rate"].isna().all()
    assert set(cut["n"]) == {0}
    assert "good" not in set(found["class"])
    overall = rows_of(found, 42, OVERALL)
    assert overall["wins"].tolist() == [0.5, 2.5, 0]
    assert overall["win_rate"].tolist() == pytest.approx([0.5 / 3, 2.5 / 3, 0])
    assert set(zip(overall["n"], overall["left_out"], overall["left_out_by"], strict=True)) == {
        (3, 5, "empty-mask 2, misclassified 2, zero-map 1")
    }
    assert rows_of(found, 43, OVERALL)["win_rate"].tolist() == [1, 0, 0]
    assert found["seed"].tolist() == sorted(found["seed"])
    assert found["class"].iloc[-1] == OVERALL


def test_win_rates_of_everyone() -> None:
    found = win_rates(SCORES, methods=METHODS)
    assert rows_of(found, 42, OVERALL)["n"].tolist() == [5] * 3
    assert rows_of(found, 42, "cut")["win_rate"].tolist() == [0, 0, 1]


def test_folds_are_taken_together_and_kept_apart() -> None:
    """Under cross-validation one image is scored by several models: each counts."""
    one = table((42, "crack", "a", [1.0, 0.0, 0.0], None, True)).assign(fold=0)
    two = table((42, "crack", "a", [0.0, 1.0, 0.0], None, True)).assign(fold=1)
    found = win_rates(pd.concat([one, two]), methods=METHODS)
    assert rows_of(found, 42, "crack")["win_rate"].tolist() == [0.5, 0.5, 0]
    assert set(found["n"]) == {2}


def test_rows_in_any_order_give_the_same() -> None:
    expected = win_rates(SCORES, methods=METHODS, population="correct")
    shuffled = SCORES.sample(frac=1, random_state=3)
    found = win_rates(shuffled, methods=METHODS, population="correct")
    keys = ["seed", "class", "method_id"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys).reset_index(drop=True),
        expected.sort_values(keys).reset_index(drop=True),
    )


def test_population() -> None:
    found = population(SCORES)
    assert found.kept["sample_id"].unique().tolist() == ["c1", "c2", "h1", "h3"]
    assert found.counts == {"misclassified": 2, "empty-mask": 2}
    assert found.left_out.loc[found.left_out["cause"] == "empty-mask", "sample_id"].tolist() == [
        *("g1", "g2")
    ]
    everyone = population(SCORES, kind="all")
    assert everyone.counts == {"empty-mask": 2}
    assert len(everyone.kept) == 7 * 3


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown method of these scores 'gradcan'.*gradcam"):
        win_rates(SCORES, methods=["gradcan", "ig"])
    with pytest.raises(ResultsError, match="two scores of one method"):
        win_shares(pd.concat([SCORES, SCORES]), methods=METHODS)
    mixed = pd.concat([SCORES.assign(metric_key="iou"), SCORES.assign(metric_key="auroc")])
    with pytest.raises(ResultsError, match="several values of metric_key; got auroc, iou"):
        win_rates(mixed, methods=METHODS)
    by_metric = win_rates(mixed, methods=METHODS, by=["metric_key", "seed", "split"])
    assert by_metric.groupby("metric_key")["wins"].sum().tolist() == [12, 12]
    with pytest.raises(ResultsError, match="lacks correct"):
        win_rates(SCORES.drop(columns="correct"), methods=METHODS, population="correct")
    with pytest.raises(ResultsError, match="no method competes"):
        win_rates(SCORES, methods=[])
    for options in ({"tie_rule": "last"}, {"nan": "wins"}, {"population": "right"}):
        with pytest.raises(ConfigError, match="unknown"):
            win_rates(SCORES, methods=METHODS, **options)  # type: ignore[arg-type]


def test_no_scores_at_all() -> None:
    empty = win_rates(SCORES[:0], methods=METHODS)
    assert empty.empty
    assert "left_out_by" in empty
    assert over_seeds(empty).empty
    only_good = win_rates(SCORES[SCORES["class"] == "good"], methods=METHODS)
    assert set(only_good["class"]) == {OVERALL}
    assert set(only_good["n"]) == {0}
    spread = over_seeds(only_good)
    assert spread["mean"].isna().all()
    assert set(spread["n_seeds"]) == {0}


def test_over_seeds_by_hand() -> None:
    rates = [(1, 0.2, 1.0, 5), (2, 0.4, 2.0, 5), (3, 0.9, 9.0, 10), (4, NAN, 0.0, 0)]
    frame = pd.DataFrame(
        [(s, "test", "cut", "gradcam", r, w, n, 0) for s, r, w, n in rates],
        columns=["seed", "split", "class", "method_id", "win_rate", "wins", "n", "left_out"],
    )
    (row,) = over_seeds(frame).to_dict("records")
    low, high = wilson(12, 20)
    assert row == pytest.approx(
        {
            "split": "test",
            "class": "cut",
            "method_id": "gradcam",
            "mean": 0.5,
            "std": math.sqrt((0.09 + 0.01 + 0.16) / 3),
            "median": 0.4,
            "q1": 0.3,
            "q3": 0.65,
            "n_seeds": 3,
            "n_images": 20,
            "low": low,
            "high": high,
            "small": True,
        }
    )
    assert not over_seeds(frame[frame["n"] >= 10])["small"].any()


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=6e-5)


@given(st.floats(0, 1), st.integers(1, 500), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_wilson_limits_solve_its_equation(share: float, n: int, confidence: float) -> None:
    from scipy.stats import norm

    low, high = wilson(share * n, n, confidence)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    z = norm.ppf((1 + confidence) / 2)
    for p in (low, high):
        assert (p - share) ** 2 == pytest.approx(z * z * p * (1 - p) / n, abs=1e-9)


def test_wilson_without_a_count() -> None:
    assert all(map(math.isnan, wilson(0, 0)))
    for successes, n, confidence in [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, -2, 0.95)]:
        with pytest.raises(ResultsError, match="bad counts"):
            wilson(successes, n, confidence)


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    balanced_accuracy_score = pytest.importorskip("sklearn.metrics").balanced_accuracy_score
    rng = np.random.default_rng(0)
    for _ in range(10):
        truth = rng.integers(0, 4, 30)
        guess = rng.integers(0, 4, 30)
        expected = balanced_accuracy_score(truth, guess)
        assert balanced_accuracy(truth, guess) == pytest.approx(expected)  # type: ignore[arg-type]
    assert math.isnan(balanced_accuracy([], []))
    with pytest.raises(ResultsError, match="differ in number"):
        balanced_accuracy([1, 2], [1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_boxes_are_ordered_and_hold_all_values(values: list[float]) -> None:
    box = box_statistics(values)
    assert box.low <= box.q1 <= box.median <= box.q3 <= box.high
    assert (box.q1, box.q3) == pytest.approx(tuple(np.percentile(values, [25, 75])))
    inside = [v for v in values if box.low <= v <= box.high]
    assert len(inside) + len(box.outliers) == box.n == len(values)


def test_boxes_by_hand() -> None:
    linear = box_statistics([0.0, 0.2, 0.4, 1.0])
    assert (linear.q1, linear.median, linear.q3) == pytest.approx((0.15, 0.3, 0.55))
    hazen = box_statistics([0.0, 0.2, 0.4, 1.0], quartiles="hazen")
    assert (hazen.q1, hazen.q3) == pytest.approx((0.1, 0.7))
    tukey = box_statistics([NAN, 0, 10, 11, 12, 13, 30])
    assert (tukey.low, tukey.high, tukey.outliers, tukey.n) == (10, 13, (0, 30), 6)
    assert box_statistics([]).n == 0
    assert math.isnan(box_statistics([NAN]).median)


def published() -> dict[str, Any]:
    path = Path(os.environ.get("XAIEVAL_DATA", ""), "..", "reference", "project_iml_runs.json")
    if "XAIEVAL_DATA" not in os.environ or not path.exists():
        pytest.skip("the published runs are not there: set XAIEVAL_DATA")
    runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return runs


def test_golden_win_rates_of_the_published_runs() -> None:
    rows = [
        (int(seed), split, cls, method, rate)
        for seed, splits in published().items()
        for split, run in splits.items()
        for cls, rates in run["win_rate"].items()
        for method, rate in rates.items()
    ]
    frame = pd.DataFrame(rows, columns=["seed", "split", "class", "method_id", "win_rate"])
    found = over_seeds(frame).set_index(["split", "class", "method_id"])
    golden = {
        ("test", "gradcam"): (0.9017, 0.0739),
        ("test", "saliency"): (0.0192, 0.0405),
        ("test", "integrated_gradients"): (0.0792, 0.0712),
        ("train", "gradcam"): (0.8713, 0.0678),
        ("train", "saliency"): (0.0486, 0.0382),
        ("train", "integrated_gradients"): (0.0801, 0.0564),
    }
    for (split, method), (mean, std) in golden.items():
        row = found.loc[(split, OVERALL, method)]
        assert (round(row["mean"], 4), round(row["std"], 4)) == (mean, std)
        assert row["n_seeds"] == 10
        assert math.isnan(row["low"])  # no counts were published
    assert len(found) == 2 * 5 * 3


def test_golden_balanced_accuracy_is_that_of_the_last_epoch() -> None:
    for split, mean, std in (("test", 0.9443, 0.0467), ("train", 0.9837, 0.0144)):
        last = [run[split]["balanced_accuracy"][-1] for run in published().values()]
        assert (round(np.mean(last), 4), round(np.std(last), 4)) == (mean, std)


def test_a_method_without_any_score_loses_for_a_reason() -> None:
    rows = [
        (1, "test", "c", f"i{i}", method, NAN if method == "x" else 0.5, reason)
        for i in range(3)
        for method, reason in (("x", "zero-map"), ("y", None))
    ]
    columns = ["seed", "split", "class", "sample_id", "method_id", "value", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    found = win_rates(frame, methods=["x", "y"]).set_index(["class", "method_id"])
    assert found.loc[("c", "x"), ["win_rate", "undefined"]].tolist() == [0.0, "zero-map"]
    assert found.loc[("c", "y"), "win_rate"] == 1
    assert found.loc[("c", "y"), "undefined"] == ""
    frame.loc[0, ["value", "reason"]] = [0.1, None]  # one score is enough to lose
    found = win_rates(frame, methods=["x", "y"]).set_index(["class", "method_id"])
    assert found.loc[("overall", "x"), ["win_rate", "undefined"]].tolist() == [0.0, ""]
