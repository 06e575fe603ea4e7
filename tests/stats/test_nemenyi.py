"""Nemenyi's test: Demšar's table of critical values, his example, groups of neighbours."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import critical_difference, nemenyi

# q of Demšar 2006, table 5a, for 2 to 10 classifiers.
Q05 = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
Q10 = (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920)


@pytest.mark.parametrize(("alpha", "table"), [(0.05, Q05), (0.10, Q10)])
def test_critical_values_are_the_published_ones(alpha: float, table: tuple[float, ...]):
    for k, q in enumerate(table, start=2):
        error = math.sqrt(k * (k + 1) / (6 * 9))
        # He prints three digits, some of them cut rather than rounded.
        assert critical_difference(k, 9, alpha=alpha) / error == pytest.approx(q, abs=1.1e-3)


def test_demsars_example():
    ranks = {"C4.5": 3.143, "m": 2.0, "cf": 2.893, "m+cf": 1.964}
    found = nemenyi(ranks, n_blocks=14)
    assert round(found.cd, 2) == 1.25
    assert found.groups == (("m+cf", "m", "cf", "C4.5"),)
    wider = nemenyi(ranks, n_blocks=14, alpha=0.10)
    assert round(wider.cd, 2) == 1.12
    # "the performance of the two classifiers with m is better than that of C4.5", section 3.2.4
    assert wider.groups == (("m+cf", "m", "cf"), ("cf", "C4.5"))


def test_of_two_methods_it_is_the_sign_tests_normal_form():
    found = nemenyi({"a": 1.2, "b": 1.8}, n_blocks=25)
    assert found.p("a", "b") == pytest.approx(2 * norm.sf(0.6 / math.sqrt(2 * 3 / (6 * 25))), 1e-4)


def test_p_and_groups_say_the_same():
    found = nemenyi({"a": 1.4, "b": 1.9, "c": 3.1, "d": 3.6}, n_blocks=20)
    for a, rank in found.order:
        for b, other in found.order:
            together = any(a in group and b in group for group in found.groups) or a == b
            assert together == (abs(rank - other) < found.cd)
            assert together == (found.p(a, b) > found.alpha)


def test_a_method_that_differs_from_all_is_in_no_group():
    assert nemenyi({"a": 1.0, "b": 2.0, "c": 3.0}, n_blocks=200).groups == ()
    assert nemenyi({"a": 1.0, "b": 2.0, "c": 3.0}, n_blocks=2).groups == (("a", "b", "c"),)


def test_bad_input():
    with pytest.raises(ConfigError, match="level"):
        critical_difference(3, 5, alpha=0)
    with pytest.raises(ResultsError, match="2 methods"):
        critical_difference(1, 5)
