"""Rankings: agreement against scipy and loops, places and how sure they are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import rank_intervals, ranking_agreement

ITEMS = ["eyes", "nose", "mouth", "hair", "hat"]


def frame(means: list[float], noise: float, seed: int = 0, n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (item, s, f"i{i}", mean + noise * rng.normal())
        for item, mean in zip(ITEMS, means, strict=False)
        for s in range(3)
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["part", "seed", "sample_id", "value"])


@pytest.mark.parametrize("kind", ["kendall", "spearman"])
@pytest.mark.parametrize("seed", range(5))
def test_the_estimate_is_that_of_scipy(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 4, (2, 5)).astype(float)  # ties
    one[0], other[0] = 5, 6
    twin = stats.kendalltau if kind == "kendall" else stats.spearmanr
    a, b = frame(one.tolist(), 0), frame(other.tolist(), 0)
    found = ranking_agreement(a, b, item="part", kind=kind, replicates=20)  # type: ignore[arg-type]
    expected = twin(one, other).statistic
    assert found.estimate == pytest.approx(expected)
    # without noise nothing moves
    assert [found.low, found.high] == pytest.approx([expected] * 2)
    assert (found.n_items, found.n_images, found.n_seeds) == (5, 30, 3)


def test_against_a_slow_bootstrap() -> None:
    a, b = frame([5, 4, 3, 2, 1], 4, 1, n=12), frame([5, 3, 4, 1, 2], 4, 2, n=12)
    found = ranking_agreement(a, b, item="part")
    tables = [
        f.pivot_table(index=["part", "seed"], columns="sample_id", values="value", sort=False)
        .to_numpy()
        .reshape(5, 3, 12)
        for f in (a, b)
    ]
    rng = np.random.default_rng(3)
    slow = []
    for _ in range(1500):
        s, i = rng.integers(3, size=3), rng.integers(12, size=12)
        one, other = (t[:, s][:, :, i].mean(axis=(1, 2)) for t in tables)
        slow.append(stats.kendalltau(one, other).statistic)
    assert [found.low, found.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.21)
    assert np.isin(
        np.round([found.low, found.high], 6), np.round(np.arange(-10, 11, 2) / 10, 6)
    ).all()


def test_a_table_agrees_with_itself_and_disagrees_with_its_opposite() -> None:
    a = frame([5, 4, 3, 2, 1], 1)
    same = ranking_agreement(a, a, item="part")
    assert (same.estimate, same.low, same.high) == (1, 1, 1)
    assert same.first == same.second == tuple(ITEMS)
    opposite = ranking_agreement(a, a.assign(value=-a["value"]), item="part")
    assert (opposite.estimate, opposite.low, opposite.high) == (-1, -1, -1)
    assert opposite.second == tuple(reversed(ITEMS))


def test_only_common_things_are_ranked() -> None:
    a, b = frame([5, 4, 3, 2, 1], 0), frame([5, 4, 3], 0)
    found = ranking_agreement(a, b, item="part", replicates=10)
    assert (found.n_items, found.first) == (3, ("eyes", "nose", "mouth"))
    one = ranking_agreement(a, b[b["part"] == "eyes"], item="part", replicates=10)
    assert math.isnan(one.estimate)
    assert one.n_items == 1


def test_rank_intervals() -> None:
    # a clear first and last; the middle three are close to each other
    table = rank_intervals(frame([9, 5.0, 5.05, 4.95, 0], 1), item="part")
    places = table.set_index("part")
    assert table["mean"].is_monotonic_decreasing
    assert places.loc["eyes", ["rank", "low", "high"]].tolist() == [1, 1, 1]
    assert places.loc["hat", ["rank", "low", "high"]].tolist() == [5, 5, 5]
    for part in ("nose", "mouth", "hair"):
        assert places.loc[part, "low"] < places.loc[part, "high"]
    assert set(table["n"]) == {90}
    ties = rank_intervals(frame([1, 1, 0], 0), item="part", replicates=10)
    assert ties["rank"].tolist() == [1.5, 1.5, 3]


def test_a_single_value_has_no_interval() -> None:
    table = pd.DataFrame({"part": ["eyes", "hair"], "sample_id": ["x", "x"], "value": [2.0, 1.0]})
    assert rank_intervals(table, item="part")[["low", "high"]].isna().all(axis=None)
    assert math.isnan(ranking_agreement(table, table, item="part").low)


def test_bad_input() -> None:
    table = frame([1, 2], 0)
    with pytest.raises(ConfigError, match="kind of rank correlation"):
        ranking_agreement(table, table, item="part", kind="pearson")  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="nothing to rank"):
        rank_intervals(table.assign(value=math.nan), item="part")
    with pytest.raises(ResultsError, match="lacks feature"):
        rank_intervals(table, item="feature")
