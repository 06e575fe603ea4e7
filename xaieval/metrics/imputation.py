"""Noisy linear imputation: a missing pixel is the weighted mean of its neighbours, and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

Floats = npt.NDArray[Any]

# Rong et al. 2022, section 4.2: direct neighbours weigh 1/6, diagonal ones 1/12. Half of the eight;
# the others are these seen from the neighbour.
NEIGHBOURS = ((0, 1, 1 / 6), (1, 0, 1 / 6), (1, 1, 1 / 12), (1, -1, 1 / 12))
NOISE = 0.01
"""Standard deviation of the noise, in units of the picture's range, as in the authors' code."""


def impute(
    x: Floats,
    missing: npt.NDArray[np.bool_],
    span: Floats,
    generator: np.random.Generator,
    *,
    noise: float = NOISE,
) -> Floats:
    """Return the picture with its missing pixels filled in, float32 (C, H, W).

    Every missing pixel equals the mean of its (up to eight) neighbours, missing or not, with
    weights 1/6 (direct) and 1/12 (diagonal), at an edge of those there are: a sparse linear system.
    Then noise N(0, ``noise`` · span) is added to the filled pixels. Where every pixel is missing
    there is nothing to start from: the mean of the picture, per channel.

    Parameters
    ----------
    x : float (C, H, W)
    missing : bool (H, W)
    span : float (C, 1, 1)
        White minus black.
    generator : numpy.random.Generator

    >>> x = np.array([[[0.0, 9.0, 3.0]]])  # the 9 is missing: the mean of 0 and 3
    >>> impute(x, np.array([[False, True, False]]), np.ones((1, 1, 1)), np.random.default_rng(0),
    ...        noise=0).tolist()
    [[[0.0, 1.5, 3.0]]]
    """
    filled = x.astype(np.float64)
    count = int(missing.sum())
    if count == missing.size:
        filled[:] = filled.mean((1, 2), keepdims=True)
    elif count:
        matrix, known = _system(missing, filled)
        # The matrix is symmetric and positive definite: no pivoting is needed.
        factors = splu(
            matrix,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        filled[:, missing] = factors.solve(known).T
    filled[:, missing] += noise * span[:, 0] * generator.standard_normal((len(x), count))
    return filled.astype(np.float32)


def _system(missing: npt.NDArray[np.bool_], x: Floats) -> tuple[csc_matrix, Floats]:
    """Return the matrix (n, n) and the right-hand sides (n, C) of the missing pixels."""
    height, width = missing.shape
    count = int(missing.sum())
    number = np.full(missing.shape, -1)
    number[missing] = np.arange(count)
    diagonal, known = np.zeros(count), np.zeros((count, len(x)))
    rows, columns, weights = [], [], []
    for down, right, weight in NEIGHBOURS:
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width - max(0, -right))
        for a, b in ((here, there), (there, here)):
            mine, other = number[a].ravel(), number[b].ravel()
            asks = mine >= 0
            diagonal[mine[asks]] += weight  # each pixel has one such neighbour at most
            both, one = asks & (other >= 0), asks & (other < 0)
            rows.append(mine[both])
            columns.append(other[both])
            weights.append(np.full(int(both.sum()), -weight))
            known[mine[one]] += weight * x[:, *b].reshape(len(x), -1)[:, one].T
    rows.append(np.arange(count))
    columns.append(np.arange(count))
    weights.append(diagonal)
    places = np.concatenate(rows), np.concatenate(columns)
    return csc_matrix((np.concatenate(weights), places), shape=(count, count)), known
