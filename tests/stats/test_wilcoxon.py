"""Paired tests: by hand, by counting all signs, Holm's correction, the effect's ends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from xaieval.stats import holm, pairwise


def test_by_hand():
    # differences 3, −1, 4, 2: W₊ = 9, W₋ = 1; 2 of 16 signings on either side are as far out
    table = pd.DataFrame({"a": [3.0, 0.0, 4.0, 2.0], "b": [0.0, 1.0, 0.0, 0.0]})
    (found,) = pairwise(table)
    assert found.p == pytest.approx(4 / 16)
    assert found.effect == pytest.approx(0.8)
    assert (found.for_a, found.for_b, found.n_equal, found.n) == (3, 1, 0, 4)
    assert found.difference == 2.0
    assert found.least_p == 2 / 16


def test_p_is_the_share_of_all_signings():
    differences = np.random.default_rng(5).normal(0.4, 1, 9)
    (found,) = pairwise(pd.DataFrame({"a": differences, "b": 0.0}))
    ranks = rankdata(np.abs(differences))
    middle = ranks.sum() / 2
    seen = abs(ranks[differences > 0].sum() - middle)
    signed = [np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=9)]
    assert found.p == pytest.approx(np.mean([abs(w - middle) >= seen - 1e-9 for w in signed]))


def test_blocks_without_a_difference_keep_their_rank():
    # Pratt: |0| has rank 1, 1 rank 2, 2 rank 3; W₊ = 3, W₋ = 2
    (found,) = pairwise(pd.DataFrame({"a": [5.0, 2.0, 1.0], "b": [5.0, 0.0, 2.0]}))
    assert found.n_equal == 1
    assert found.effect == pytest.approx(1 / 5)
    assert found.least_p == 0.5


def test_no_difference_at_all():
    (found,) = pairwise(pd.DataFrame({"a": [0.1 + 0.2] * 6, "b": [0.3] * 6}))
    assert (found.p, found.p_holm, found.effect, found.least_p) == (1.0, 1.0, 0.0, 1.0)


def test_no_block_has_no_p():
    (found,) = pairwise(pd.DataFrame({"a": [], "b": []}, dtype=float))
    assert math.isnan(found.p)
    assert math.isnan(found.p_holm)


def test_where_lower_is_better_the_lower_one_wins():
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 6.0, 9.0]})
    (found,) = pairwise(table, higher_is_better=False)
    assert (found.effect, found.for_a) == (1.0, 3)
    assert found.difference < 0  # the score's own sign


def test_holm_by_hand_and_its_rules():
    # 4 · 0.01, then 3 · 0.013 but not below, then 2 · 0.03, then 0.04 lifted
    assert holm([0.03, 0.01, 0.04, 0.013]) == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    adjusted = holm([0.02, math.nan, 0.03])
    assert math.isnan(adjusted[1])
    assert adjusted[::2] == pytest.approx([0.04, 0.04])
    rng = np.random.default_rng(0)
    p = rng.random(7).tolist()
    found = holm(p)
    assert all(mine >= raw for mine, raw in zip(found, p, strict=True))
    assert np.argsort(p).tolist() == np.argsort(np.array(found) + np.array(p) * 1e-9).tolist()


def test_every_pair_is_compared_and_corrected_together():
    table = pd.DataFrame(np.random.default_rng(1).random((6, 4)), columns=list("wxyz"))
    found = pairwise(table)
    assert [(pair.a, pair.b) for pair in found] == list(itertools.combinations("wxyz", 2))
    assert [pair.p_holm for pair in found] == holm([pair.p for pair in found])
