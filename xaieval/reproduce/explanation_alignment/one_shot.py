"""One-shot transfer: logistic regression on one embedding per class, drawn many times."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

from xaieval.digest import rng
from xaieval.errors import ResultsError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
C = 1.0
"""Weight of the loss against ½‖W‖²; scikit-learn's default, as in the notebook."""
_ITERATIONS = 1000


def logistic_regression(x: Any, y: Any, *, c: float = C) -> tuple[Floats, Floats]:
    """Fit multinomial logistic regression: least ½‖W‖² + c Σ cross-entropy.

    Parameters
    ----------
    x : float (N, D)
    y : int (N,)
        Classes 0 to K − 1, each at least once.
    c : float

    Returns
    -------
    (W, b) : float64 (K, D) and (K,)
        The bias b is not held small, as in scikit-learn.

    Notes
    -----
    The best W is a sum of rows of x, so that it is sought in their span: with few rows a
    problem of K · N numbers however long the embeddings are.

    >>> w, b = logistic_regression([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> bool(w[0, 0] > 0 > w[0, 1]), bool(abs(b[0] - b[1]) < 1e-6)
    (True, True)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.int64)
    n_classes = int(y.max()) + 1
    if x.ndim != 2 or y.shape != x.shape[:1] or len(np.unique(y)) != n_classes:
        raise ResultsError(
            "embeddings and classes do not fit",
            expected="(N, D) and (N,), every class at least once",
            got=f"{x.shape} and {y.shape} with {len(np.unique(y))} of {n_classes} classes",
        )
    left, lengths, right = np.linalg.svd(x, full_matrices=False)
    z = left * lengths  # rows of x in the basis of their span
    hot = np.eye(n_classes)[y]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: n_classes * z.shape[1]].reshape(n_classes, -1), flat[-n_classes:]
        logits = z @ w.T + b
        total = logsumexp(logits, axis=1)
        off = c * (np.exp(logits - total[:, None]) - hot)
        value = 0.5 * float((w * w).sum()) + c * float((total - (logits * hot).sum(1)).sum())
        return value, np.concatenate([(off.T @ z + w).ravel(), off.sum(0)])

    start = np.zeros(n_classes * z.shape[1] + n_classes)
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": 1e-6, "ftol": 1e-12},
    )
    w = found.x[: n_classes * z.shape[1]].reshape(n_classes, -1)
    return w @ right, found.x[-n_classes:]


def draw_shots(labels: Any, draw: int, *, shots: int = 1) -> npt.NDArray[np.bool_]:
    """Return which images are the shots of a draw, bool (n,): so many of every class.

    The same labels and number give the same draw, whatever the model.

    >>> int(draw_shots([0, 0, 1, 1, 1], 0).sum())
    2
    """
    labels = np.asarray(labels, np.int64)
    chosen = np.zeros(len(labels), np.bool_)
    generator = rng("one-shot", draw, shots)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[generator.permutation(places)[:shots]] = True
    return chosen


def one_shot_accuracies(embeddings: Any, labels: Any, *, draws: int, shots: int = 1) -> Floats:
    """Return the accuracy on all other images of every draw, float64 (draws,)."""
    x, y = np.asarray(embeddings, np.float64), np.asarray(labels, np.int64)
    _, y = np.unique(y, return_inverse=True)
    found = np.empty(draws)
    for draw in range(draws):
        chosen = draw_shots(y, draw, shots=shots)
        w, b = logistic_regression(x[chosen], y[chosen])
        predicted = (x[~chosen] @ w.T + b).argmax(1)
        found[draw] = float((predicted == y[~chosen]).mean())
    return found
