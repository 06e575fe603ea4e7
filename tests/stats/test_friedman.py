"""Friedman's test: a published example by hand, naive twins, what few blocks can say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import blocks, friedman
from xaieval.stats.blocks import block_ranks

# Ranks of four classifiers on 14 data sets, Demšar 2006 (JMLR 7:1), table 6.
DEMSAR = pd.DataFrame(
    [
        (4, 3, 2, 1),
        (1, 2, 3, 4),
        (4, 1, 2, 3),
        (4, 1, 3, 2),
        (4, 2, 3, 1),
        (1, 2.5, 4, 2.5),
        (3, 2, 4, 1),
        (2.5, 2.5, 4, 1),
        (4, 3, 2, 1),
        (2.5, 2.5, 2.5, 2.5),
        (4, 2.5, 1, 2.5),
        (3, 2, 4, 1),
        (4, 1, 2, 3),
        (3, 1, 4, 2),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def tie_factor(ranks: pd.DataFrame) -> float:
    """1 − Σ (t³ − t) / (N k (k² − 1)) over the groups of t tied ranks."""
    n, k = ranks.shape
    ties = sum(t**3 - t for _, row in ranks.iterrows() for t in row.value_counts())
    return 1 - ties / (n * k * (k * k - 1))


def test_demsars_example():
    found = friedman(DEMSAR, higher_is_better=False)
    assert [round(rank, 3) for rank in found.ranks] == [3.143, 2.0, 2.893, 1.964]
    # He leaves ties as they are: χ² = 9.28 and F = 3.69 are those of the average ranks.
    plain = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in found.ranks) - 4 * 25 / 4)
    assert round(plain, 2) == 9.28
    assert round(13 * plain / (14 * 3 - plain), 2) == 3.69
    assert found.chi2 == pytest.approx(plain / tie_factor(DEMSAR))
    assert found.df == (3, 39)
    assert found.p_f < 0.05


@pytest.mark.parametrize("digits", [1, 6])
def test_against_scipy_with_and_without_ties(digits: int):
    rng = np.random.default_rng(digits)
    table = pd.DataFrame(rng.random((12, 5)).round(digits), columns=list("abcde"))
    twin = friedmanchisquare(*(table[name] for name in table))
    found = friedman(table)
    assert (found.chi2, found.p_chi2) == pytest.approx((twin.statistic, twin.pvalue))
    assert found.p == found.p_f  # too many orders to count
    assert found.p_from == "F"


@pytest.mark.parametrize("tied", [False, True])
def test_the_exact_p_is_the_share_of_all_orders(tied: bool):
    table = pd.DataFrame(np.random.default_rng(3).integers(0, 3 if tied else 99, (4, 3)))
    found = friedman(table)
    ranks = block_ranks(table)
    spreads = []
    for order in itertools.product(*(list(itertools.permutations(row)) for row in ranks)):
        sums = np.sum(order, axis=0)
        spreads.append(((sums - sums.mean()) ** 2).sum())
    seen = ((ranks.sum(0) - ranks.sum(0).mean()) ** 2).sum()
    assert found.p_from == "exact"
    assert found.p == pytest.approx(np.mean(np.array(spreads) >= seen - 1e-9))


def test_two_blocks_that_agree_prove_little():
    found = friedman(pd.DataFrame({"a": [3, 9], "b": [2, 8], "c": [1, 7]}))
    assert found.f == math.inf
    assert found.p_f == 0
    assert found.p == pytest.approx(1 / 6)


def test_renaming_and_shifting_change_nothing():
    table = pd.DataFrame(np.random.default_rng(0).random((8, 3)), columns=list("abc"))
    found = friedman(table)
    turned = friedman(table[["c", "a", "b"]] * 7 + np.arange(8)[:, None])
    assert (turned.chi2, turned.p) == pytest.approx((found.chi2, found.p))
    upside_down = friedman(-table, higher_is_better=False)
    assert upside_down.ranks == found.ranks


def test_scores_that_differ_by_rounding_are_ties():
    found = friedman(pd.DataFrame({"a": [0.1 + 0.2, 1.0], "b": [0.3, 0.5]}))
    assert found.ranks == (1.25, 1.75)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [([], "fewer than two"), ([[1.0, 2.0]], "fewer than two"), ([[1.0, 1.0]] * 5, "equal in")],
)
def test_no_test_has_a_reason(rows: list[list[float]], reason: str):
    found = friedman(pd.DataFrame(rows, columns=["a", "b"], dtype=float))
    assert math.isnan(found.p)
    assert reason in found.reason


def test_holes_and_lone_methods_are_refused():
    with pytest.raises(ResultsError, match="lacks a score"):
        friedman(pd.DataFrame({"a": [1.0, math.nan], "b": [1.0, 2.0]}))
    with pytest.raises(ResultsError, match="two methods"):
        friedman(pd.DataFrame({"a": [1.0]}))


# ---------------------------------------------------------------- blocks


SCORES = pd.DataFrame(
    [
        *[(1, "p", "a", 0.2), (1, "p", "b", 0.4), (1, "q", "a", 0.6), (1, "q", "b", 0.0)],
        *[(2, "p", "a", 1.0), (2, "p", "b", 0.8), (2, "q", "a", math.nan), (2, "q", "b", 0.9)],
    ],
    columns=["seed", "sample_id", "method_id", "value"],
)


def test_blocks_of_seeds_and_of_images_by_hand():
    seeds = blocks(SCORES, methods=["b", "a"])
    assert seeds.table.to_dict("list") == {"b": [0.2, 0.8], "a": [0.4, 1.0]}
    assert (seeds.n_images, seeds.n_seeds, seeds.left_out) == (2, 2, 1)
    images = blocks(SCORES, methods=["a", "b"], unit="image")
    assert images.table.loc["p"].round(9).tolist() == [0.6, 0.6]
    assert images.table.loc["q"].tolist() == [0.6, 0.0]


def test_bad_blocks_say_what_is_wrong():
    with pytest.raises(ConfigError, match="seed"):
        blocks(SCORES, methods=["a", "b"], unit="sead")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown method"):
        blocks(SCORES, methods=["a", "zz"])
    with pytest.raises(ResultsError, match="two scores of one method"):
        blocks(pd.concat([SCORES, SCORES]), methods=["a", "b"])
    with pytest.raises(ResultsError, match="needs two"):
        blocks(SCORES, methods=["a"])
    with pytest.raises(ResultsError, match="lacks value"):
        blocks(SCORES.drop(columns="value"), methods=["a", "b"])
