"""Choose on one half, test on the other."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import contrast, halves, split_half_best, two_way

METHODS = ["x", "y", "z"]


def frame(means: dict[str, float], *, n: int = 60, seeds: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (s, f"i{i}", method, mean + 0.2 * rng.normal())
        for s in range(seeds)
        for i in range(n)
        for method, mean in means.items()
    ]
    return pd.DataFrame(rows, columns=["seed", "sample_id", "method_id", "value"])


def test_halves() -> None:
    names = [f"i{n}" for n in range(101)]
    first, second = halves(names)
    assert (len(first), len(second)) == (51, 50)
    assert first | second == set(names)
    assert halves(reversed(names * 2)) == (first, second)
    assert halves(names, salt="other")[0] != first
    assert halves([]) == (frozenset(), frozenset())


def test_the_best_is_chosen_and_tested_on_other_images() -> None:
    table = frame({"x": 0.2, "y": 0.6, "z": 0.4, "random": 0.1, "edge": 0.58})
    found = split_half_best(table, methods=METHODS, baselines=["random", "edge"])
    first, second = halves(table["sample_id"])
    assert found.chosen == "y"
    on_first = table[table["sample_id"].isin(first)]
    assert found.choosing == pytest.approx(
        {m: on_first.loc[on_first["method_id"] == m, "value"].mean() for m in METHODS}
    )
    rest = {m: g for m, g in table[table["sample_id"].isin(second)].groupby("method_id")}
    assert found.tested == two_way(rest["y"])
    assert found.against["random"] == contrast(rest["y"], rest["random"])
    assert found.against["random"].verdict == "holds"
    assert (found.n_choosing, found.n_testing) == (30, 30)
    other = split_half_best(table, methods=METHODS, baselines=["edge"], choose_on="second")
    assert other.tested.estimate == pytest.approx(
        on_first.loc[on_first["method_id"] == "y", "value"].mean()
    )


def test_a_lucky_choice_is_found_out() -> None:
    """On the first half one of many equal methods looks good; on the other it is like the rest."""
    names = [f"m{n}" for n in range(20)]
    table = frame({**dict.fromkeys(names, 0.5), "random": 0.5}, n=20, seeds=1, seed=4)
    found = split_half_best(table, methods=names, baselines=["random"])
    assert found.choosing[found.chosen] > 0.55
    assert found.against["random"].verdict == "undecided"


def test_less_may_be_better() -> None:
    table = frame({"x": 0.2, "y": 0.6, "random": 0.8})
    found = split_half_best(table, methods=["x", "y"], baselines=["random"], higher_is_better=False)
    assert found.chosen == "x"
    assert found.against["random"].verdict == "holds"
    assert found.against["random"].difference == pytest.approx(0.6, abs=0.05)
    assert found.against["random"].mean_b == pytest.approx(found.tested.estimate)


def test_choosing_uses_images_that_all_methods_have() -> None:
    """A method that has scores of the easy images only is not the better for it."""
    table = frame({"x": 0.5, "y": 0.5, "random": 0.0})
    hard = table["sample_id"].isin([f"i{n}" for n in range(30)])
    table.loc[hard, "value"] -= 1
    table.loc[table["method_id"] == "y", "value"] -= 0.2
    table.loc[hard & (table["method_id"] == "y"), "value"] = math.nan
    found = split_half_best(table, methods=["x", "y"], baselines=["random"])
    assert found.chosen == "x"
    assert 0 < found.n_choosing < 30


def test_a_photograph_is_not_torn_apart() -> None:
    table = frame({"x": 0.5, "y": 0.4, "random": 0.0})
    table["photo"] = "p" + (table["sample_id"].str[1:].astype(int) // 4).astype(str)
    found = split_half_best(table, methods=["x", "y"], baselines=["random"], group="photo")
    first, _ = halves(table["photo"])
    assert found.n_choosing == 4 * len(first) == 32
    assert found.tested.n_images == found.n_testing == 7  # photographs
    assert found.against["random"].n_images == 7


def test_what_is_refused() -> None:
    table = frame({"x": 0.5, "y": 0.4, "random": 0.0}, n=6)
    with pytest.raises(ConfigError, match="unknown method of these scores 'w'"):
        split_half_best(table, methods=["x", "w"], baselines=[])
    with pytest.raises(ConfigError, match="no method to choose from"):
        split_half_best(table, methods=[], baselines=["random"])
    with pytest.raises(ConfigError, match="unknown half"):
        split_half_best(table, methods=["x"], baselines=[], choose_on="third")  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="two scores of one method"):
        split_half_best(pd.concat([table, table]), methods=["x"], baselines=[])
    table.loc[table["method_id"] == "y", "value"] = math.nan
    with pytest.raises(ResultsError, match="no image has scores of all methods"):
        split_half_best(table, methods=["x", "y"], baselines=[])
