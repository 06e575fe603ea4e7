"""Correlations against scipy and by hand; p of few points; clusters; falsification's link."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import (
    clustered_correlation,
    correlation,
    falsification_link,
    link_table,
    needed_r,
    study_verdict,
)
from xaieval.stats.clusters import weighted_r, weighted_ranks

NAN = math.nan


def cloud(n: int, r: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, r * x + math.sqrt(1 - r * r) * rng.normal(size=n)


@pytest.mark.parametrize("n", [3, 4, 9, 30, 300])
@pytest.mark.parametrize("r", [0.0, -0.7])
def test_pearson_is_that_of_scipy(n: int, r: float) -> None:
    x, y = cloud(n, r, n)
    found = correlation(x, y)
    expected = stats.pearsonr(x, y)
    assert (found.r, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    ends = expected.confidence_interval(0.95)
    if n > 3:
        assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    else:
        assert math.isnan(found.low)
    assert (found.n, found.left_out, found.kind) == (n, 0, "pearson")


@pytest.mark.parametrize("n", [9, 30, 300])
def test_spearman_is_that_of_scipy(n: int) -> None:
    x, y = cloud(n, 0.4, n)
    y = np.round(y, 1)  # ties
    found = correlation(x, y, kind="spearman")
    expected = stats.spearmanr(x, y)
    assert (found.r, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.low < found.r < found.high


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1, 2, 3, 4], [1, 3, 2, 4]),
        ([1, 2, 3, 4, 5], [1, 2, 2, 4, 3]),
        ([1, 1, 2, 3], [3, 1, 4, 4]),
    ],
)
def test_p_of_few_ranks_counts_all_orders(x: list[float], y: list[float]) -> None:
    found = correlation(x, y, kind="spearman")
    rho = stats.spearmanr(x, y).statistic
    all_rho = [stats.spearmanr(x, order).statistic for order in itertools.permutations(y)]
    share = sum(abs(v) >= abs(rho) - 1e-9 for v in all_rho) / len(all_rho)
    assert (found.r, found.p) == pytest.approx((rho, share))


def test_five_points_in_perfect_order_are_no_proof() -> None:
    found = correlation([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], kind="spearman")
    assert found.r == -1
    assert found.p == pytest.approx(2 / 120)
    assert math.isnan(found.needed)


def test_the_study_s_own_example() -> None:
    """r = −0.85 over five methods: p = 0.07, and 0.96 would be needed."""
    x = np.arange(5.0)
    # a line plus a part at right angles to it, so that r is -0.85 exactly
    rest = np.array([1, -2, 2, -2, 1.0])
    rest -= rest.mean()
    rest -= (rest @ (x - 2)) / 10 * (x - 2)
    y = -0.85 * (x - 2) / math.sqrt(10) + math.sqrt(1 - 0.85**2) * rest / np.linalg.norm(rest)
    found = correlation(x, y)
    assert found.r == pytest.approx(-0.85)
    assert found.p == pytest.approx(0.0682, abs=1e-4)
    assert found.needed == pytest.approx(0.9587, abs=1e-4)
    assert study_verdict(found.r, found.p) == "appendix"


@pytest.mark.parametrize("n", [3, 5, 10, 50])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_needed_r_gives_just_that_p(n: int, alpha: float) -> None:
    limit = needed_r(n, alpha=alpha)
    p = 2 * stats.t.sf(limit * math.sqrt((n - 2) / (1 - limit**2)), n - 2)
    assert p == pytest.approx(alpha)


def test_the_needed_rho_of_few_points() -> None:
    # published table of critical values, two-sided 0.05: n = 5: 1.000, n = 6: 0.886, n = 7: 0.786
    assert math.isnan(needed_r(5, kind="spearman", alpha=0.01))
    assert needed_r(6, kind="spearman", alpha=0.05) == pytest.approx(0.886, abs=1e-3)
    assert needed_r(7, kind="spearman", alpha=0.05) == pytest.approx(0.786, abs=1e-3)
    assert math.isnan(needed_r(2))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
@pytest.mark.parametrize(
    ("x", "y"),
    [([], []), ([1, 2], [1, 2]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, NAN, 4], [1, NAN, 3, 4])],
)
def test_where_there_is_no_correlation(x: list[float], y: list[float], kind: str) -> None:
    found = correlation(x, y, kind=kind)  # type: ignore[arg-type]
    assert np.isnan([found.r, found.p, found.low, found.high]).all()
    assert found.n + found.left_out == len(x)
    assert study_verdict(found.r, found.p) == "future work"


def test_nan_are_left_out_and_counted() -> None:
    x, y = cloud(20, 0.5)
    found = correlation(np.append(x, [NAN, 1.0]), np.append(y, [1.0, NAN]))
    assert (found.r, found.n, found.left_out) == (pytest.approx(correlation(x, y).r), 20, 2)


def test_bad_input() -> None:
    with pytest.raises(ResultsError, match="differ in number"):
        correlation([1, 2, 3], [1, 2])
    with pytest.raises(ConfigError, match="kind of correlation"):
        correlation([1, 2], [1, 2], kind="kendal")  # type: ignore[arg-type]


@given(st.integers(0, 10**6), st.floats(-2, 2), st.floats(0.5, 4))
@settings(max_examples=40, deadline=None)
def test_properties(seed: int, shift: float, scale: float) -> None:
    x, y = cloud(12, 0.3, seed)
    found = correlation(x, y)
    assert -1 <= found.low <= found.r <= found.high <= 1
    assert (found.p < 0.01) == (abs(found.r) > found.needed)
    turned = correlation(-x * scale + shift, y)
    assert [turned.r, turned.p, turned.low] == pytest.approx([-found.r, found.p, -found.high])
    ranks = correlation(np.exp(x), y**3, kind="spearman")
    assert ranks.r == pytest.approx(correlation(x, y, kind="spearman").r)


# Clusters


@given(st.integers(0, 10**6), st.sampled_from(["pearson", "spearman"]))
@settings(max_examples=40, deadline=None)
def test_weights_are_copies(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, 12).astype(float), rng.normal(size=12)
    weights = rng.integers(0, 4, 12)
    assume(len(np.unique(a[weights > 0])) > 1 and (weights > 0).sum() > 2)
    x, y = np.repeat(a, weights), np.repeat(b, weights)
    twin = stats.pearsonr if kind == "pearson" else stats.spearmanr
    found = weighted_r(a, b, weights[None].astype(float), kind)  # type: ignore[arg-type]
    assert found[0] == pytest.approx(twin(x, y).statistic, abs=1e-9)
    ranks = weighted_ranks(a, weights[None].astype(float))[0]
    assert np.repeat(ranks, weights) == pytest.approx(stats.rankdata(x))


def test_copies_of_a_point_are_no_news() -> None:
    x, y = cloud(40, 0.5)
    alone = pd.DataFrame({"sample_id": [f"i{n}" for n in range(40)], "x": x, "y": y})
    copies = pd.concat([alone] * 10)
    once, tenfold = (clustered_correlation(f, "x", "y", kind="pearson") for f in (alone, copies))
    assert [tenfold.r, tenfold.low, tenfold.high] == pytest.approx([once.r, once.low, once.high])
    assert (tenfold.n, tenfold.n_clusters) == (400, 40)
    # and independent points get about Fisher's interval
    fisher = correlation(x, y)
    assert [once.low, once.high] == pytest.approx([fisher.low, fisher.high], abs=0.12)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_against_a_slow_cluster_bootstrap(kind: str) -> None:
    rng = np.random.default_rng(5)
    image = np.repeat(np.arange(15), 4)
    x = rng.normal(size=15)[image] + 0.5 * rng.normal(size=60)
    y = 0.6 * x + rng.normal(size=15)[image] + 0.5 * rng.normal(size=60)
    frame = pd.DataFrame({"sample_id": image.astype(str), "x": x, "y": y})
    found = clustered_correlation(frame, "x", "y", kind=kind)  # type: ignore[arg-type]
    twin = stats.pearsonr if kind == "pearson" else stats.spearmanr
    slow = []
    for _ in range(800):
        rows = np.concatenate([np.flatnonzero(image == c) for c in rng.integers(15, size=15)])
        slow.append(twin(x[rows], y[rows]).statistic)
    assert found.r == pytest.approx(twin(x, y).statistic)
    assert [found.low, found.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.08)


def test_blocks_of_replicates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = cloud(50, 0.3)
    frame = pd.DataFrame({"sample_id": [f"i{n % 20}" for n in range(50)], "x": x, "y": y})
    before = clustered_correlation(frame, "x", "y", replicates=100)
    monkeypatch.setattr("xaieval.stats.clusters._CELLS", 50 * 7)
    assert clustered_correlation(frame, "x", "y", replicates=100) == before


def test_clusters_without_an_answer() -> None:
    frame = pd.DataFrame(
        {"sample_id": ["a", "a", "b", "b"], "x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 4]}
    )
    found = clustered_correlation(frame, "x", "y")
    assert found.r == pytest.approx(0.8)
    assert math.isnan(found.low)  # two clusters
    flat = clustered_correlation(frame.assign(y=1.0), "x", "y")
    assert math.isnan(flat.r)
    assert clustered_correlation(frame.assign(y=[1, 2, NAN, NAN]), "x", "y").n_clusters == 1


# Falsification against regional precision


@pytest.mark.parametrize(
    ("r", "p", "expected"),
    [
        (-0.85, 0.001, "main text"),
        (-0.65, 0.001, "appendix"),  # not below -0.65
        (-0.66, 0.01, "appendix"),  # p not below 0.01
        (-0.50, 0.001, "future work"),
        (-0.51, 0.5, "appendix"),
        (0.9, 1e-9, "future work"),
        (NAN, NAN, "future work"),
    ],
)
def test_the_study_s_rule(r: float, p: float, expected: str) -> None:
    assert study_verdict(r, p) == expected


def scores() -> pd.DataFrame:
    """Three methods × two classes × 10 images × two seeds, in long form."""
    rng = np.random.default_rng(0)
    rows = []
    for m, method in enumerate(["a", "b", "c"]):
        for seed in (0, 1):
            for image in range(10):
                cls = "glasses" if image % 2 else "smile"
                precision = 10 * m + 5 * (image % 2) + rng.normal()
                margin = precision / 10 + rng.normal()
                whole = {"falsified": float(margin < 1), "margin": margin}
                for key, value in whole.items():
                    rows.append((seed, f"i{image}", cls, method, "whole", key, value))
                rows.append((seed, f"i{image}", cls, method, "eyes", "precision", precision))
                rows.append((seed, f"i{image}", cls, method, "hair", "precision", 50 - precision))
    names = ["seed", "sample_id", "class", "method_id", "region", "metric_key", "value"]
    return pd.DataFrame(rows, columns=names)


def test_the_three_levels_against_loops() -> None:
    table = link_table(
        scores(), rate="falsified", margin="margin", precision="precision", region="eyes"
    )
    assert len(table) == 60
    found = falsification_link(table, replicates=200)
    rates, precisions = [], []
    for method in "abc":
        of = table[table["method_id"] == method]
        rates.append(sum(of["rate"]) / 20)
        precisions.append(sum(of["precision"]) / 20)
    assert found.over_methods.points["rate"].tolist() == pytest.approx(rates)
    assert found.over_methods.pearson.r == pytest.approx(stats.pearsonr(rates, precisions)[0])
    assert found.over_methods.pearson.n == 3
    assert found.over_cells.pearson.n == 6
    assert found.over_cells.points[["method_id", "class"]].to_numpy().tolist()[:2] == [
        ["a", "smile"],
        ["a", "glasses"],
    ]
    assert found.over_methods.points["method_id"].tolist() == list(found.within) == ["a", "b", "c"]
    assert found.over_cells.pearson.r < -0.5
    assert found.over_methods.verdict == "appendix"  # three points cannot show more
    of = table[table["method_id"] == "b"]
    within = found.within["b"]
    assert within.r == pytest.approx(stats.spearmanr(of["margin"], of["precision"])[0])
    assert (within.n, within.n_clusters) == (20, 10)
    hair = link_table(
        scores(), rate="falsified", margin="margin", precision="precision", region="hair"
    )
    assert falsification_link(hair, replicates=50).over_methods.pearson.r > 0


def test_rows_without_precision_still_count_for_the_rate() -> None:
    table = link_table(
        scores(), rate="falsified", margin="margin", precision="precision", region="eyes"
    )
    table.loc[table["sample_id"] == "i0", "precision"] = NAN
    points = falsification_link(table, methods=["c", "a"], replicates=50).over_methods.points
    assert points["method_id"].tolist() == ["a", "c"]
    assert points["n_rate"].tolist() == [20, 20]
    assert points["n_precision"].tolist() == [18, 18]


def test_what_the_link_refuses() -> None:
    keys = {"rate": "falsified", "margin": "margin", "precision": "precision"}
    with pytest.raises(ResultsError, match=r"two values of precision\. Name the region"):
        link_table(scores(), **keys)
    with pytest.raises(ResultsError, match="nose: the scores lack precision"):
        link_table(scores(), **keys, region="nose")
    table = link_table(scores(), **keys, region="eyes")
    with pytest.raises(ResultsError, match="no rows of the method 'd'"):
        falsification_link(table, methods=["d"])
