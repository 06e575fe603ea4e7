"""The checks by hand and against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from xaieval.sanity.limits import AGREEMENT_CEILING
from xaieval.sanity.maps import empty_maps, sign
from xaieval.sanity.randomisation import Agreement, cascade, randomisation
from xaieval.sanity.similarity import median, ranks, ssim
from xaieval.sanity.sums import completeness, conservation

MAPS = arrays(np.float32, (3, 4, 5), elements=st.integers(-3, 3).map(float))


@given(MAPS)
def test_ranks_multiply_to_spearman(maps: np.ndarray) -> None:
    found = ranks(maps)
    for i, first in enumerate(maps):
        for j, second in enumerate(maps):
            if first.min() == first.max() or second.min() == second.max():
                assert np.isnan(found[i] @ found[j])
            else:
                wanted = spearmanr(first.ravel(), second.ravel()).statistic
                assert found[i] @ found[j] == pytest.approx(wanted, abs=1e-9)


def test_randomisation_against_loops() -> None:
    draw = np.random.default_rng(0)
    trained, *random = draw.random((4, 5, 6, 7))
    random[0][2] = 1.0  # a flat map of a random network
    trained[4] = 0.0  # and one of the trained
    left, chance, same = [], [], []
    for maps in random:
        for i in range(5):
            if i == 4:
                continue
            flat = maps[i].min() == maps[i].max()
            rho = 0.0 if flat else spearmanr(trained[i].ravel(), maps[i].ravel()).statistic
            left.append(abs(rho))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for i in range(5):
            for j in range(5):
                if a == 0 and i == 2:
                    continue
                rho = abs(spearmanr(random[a][i].ravel(), random[b][j].ravel()).statistic)
                (same if i == j else chance).append(rho)
    found, beside = randomisation(Agreement.of(trained, random))
    assert found.value == pytest.approx(np.median(left), rel=1e-3)
    assert found.threshold == pytest.approx(np.percentile(chance, 95), rel=1e-3)
    assert (found.n, beside.n) == (12, len(same))
    assert beside.value == pytest.approx(np.median(same), rel=1e-3)
    assert beside.passed


def test_the_limit_has_a_ceiling() -> None:
    """A map that is always the same agrees with everything by chance, and fails all the same."""
    ramp = np.broadcast_to(np.arange(30.0).reshape(1, 5, 6), (4, 5, 6))
    found, _ = randomisation(Agreement.of(ramp, [ramp, ramp, ramp]))
    assert (found.value, found.threshold, found.passed) == (1.0, AGREEMENT_CEILING, False)


def test_maps_that_vanish_with_the_weights_pass() -> None:
    trained = np.random.default_rng(0).random((4, 5, 6))
    gone = np.zeros_like(trained)
    found, beside = randomisation(Agreement.of(trained, [gone, gone, gone]))
    assert (found.value, found.threshold, found.passed) == (0.0, 0.0, True)
    assert beside.value is None


def test_no_trained_map_is_no_pass() -> None:
    random = np.random.default_rng(0).random((4, 5, 6))
    found, _ = randomisation(Agreement.of(np.zeros_like(random), [random, random + 1]))
    assert (found.value, found.n, found.passed) == (None, 0, False)


def test_ssim() -> None:
    draw = np.random.default_rng(0)
    a = draw.random((2, 12, 12)).astype(np.float32)
    assert ssim(a, a).tolist() == [1.0, 1.0]
    assert ssim(a, -a).max() < 0.2
    assert np.isnan(ssim(a, np.zeros_like(a))).all()
    assert np.isnan(ssim(a[:, :6], a[:, :6])).all()  # smaller than the window
    assert cascade(a, np.zeros_like(a)) == (None, None)
    assert median(np.array([np.nan, 3.0, 1.0])) == 2.0


def test_empty_maps_and_sign() -> None:
    maps = np.zeros((20, 3, 3))
    maps[2:, 0, 0] = 1.0
    assert empty_maps(maps).passed  # 2 of 20: not more than 10 %
    maps[2] = 5.0
    assert not empty_maps(maps).passed
    assert sign(maps[:, None]).passed
    maps[7, 1, 1] = -0.1
    assert (sign(maps[:, None]).value, sign(maps[:, None]).passed) == (0.05, False)


def test_sums() -> None:
    attribution = np.ones((4, 3, 2, 2))  # each adds up to 12
    found = completeness(attribution, np.array([12.0, 12.6, 11.4, 0.0]))
    assert found.value == pytest.approx(0.6 / 12.6, rel=1e-3)
    assert (found.n, found.passed) == (3, True)
    assert not completeness(attribution[:1], np.array([13.0])).passed
    assert completeness(attribution[:1], np.array([0.0])).value is None
    assert not completeness(attribution[:1], np.array([0.0])).passed
    assert conservation(attribution, np.array([-12.0] * 4)).value == 2.0
    assert conservation(attribution, np.array([24.0] * 4)).passed
