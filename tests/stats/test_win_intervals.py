"""Intervals of win rates: a naive twin, the printed mean, groups that all went one way."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xaieval.errors import ResultsError
from xaieval.stats import over_seeds, two_way, wilson, win_intervals, win_rates, win_shares


def scores(n_seeds: int = 4, n_images: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (seed, "test", "cd"[image % 2], f"i{image}", method, rng.random() + (method == "x") * 0.3)
        for seed in range(n_seeds)
        for image in range(n_images)
        for method in "xy"
        if (seed, image) != (0, 3)
    ]
    return pd.DataFrame(rows, columns=["seed", "split", "class", "sample_id", "method_id", "value"])


def test_the_estimate_is_the_printed_mean():
    frame = scores()
    found = win_intervals(win_shares(frame, methods=["x", "y"])).set_index(["class", "method_id"])
    printed = over_seeds(win_rates(frame, methods=["x", "y"])).set_index(["class", "method_id"])
    for key, row in found.iterrows():
        assert row["rate"] == pytest.approx(printed.loc[key, "mean"])
        assert 0 <= row["low"] <= row["rate"] <= row["high"] <= 1
    assert len(found) == len(printed)


def test_of_equal_counts_it_is_the_two_way_bootstrap():
    frame = scores()
    frame = frame[~frame["sample_id"].eq("i3")]
    shares = win_shares(frame, methods=["x", "y"])
    mine = win_intervals(shares, by=["method_id"], few_seeds="plain", replicates=500)
    one = shares[shares["method_id"] == "x"].rename(columns={"share": "value"})
    twin = two_way(one, few_seeds="plain", replicates=500)
    row = mine[mine["method_id"] == "x"].iloc[0]
    assert (row["rate"], row["low"], row["high"]) == pytest.approx(
        (twin.estimate, twin.low, twin.high)
    )


def test_all_one_way_is_not_certain():
    frame = scores().assign(value=lambda t: (t["method_id"] == "x").astype(float))
    found = win_intervals(win_shares(frame, methods=["x", "y"])).set_index(["class", "method_id"])
    assert found.loc[("overall", "x"), "rate"] == 1
    assert found.loc[("overall", "x"), "low"] == pytest.approx(wilson(12, 12)[0])
    assert found.loc[("c", "y"), "high"] == pytest.approx(wilson(0, 6)[1])


def test_shares_that_take_no_part_and_doubles():
    shares = win_shares(scores(1, 2), methods=["x", "y"])
    shares.loc[shares["sample_id"] == "i1", "share"] = math.nan
    found = win_intervals(shares)
    assert set(found["class"]) == {"c", "overall"}
    with pytest.raises(ResultsError, match="two win shares"):
        win_intervals(pd.concat([shares, shares]))
    assert win_intervals(shares[:0]).empty
