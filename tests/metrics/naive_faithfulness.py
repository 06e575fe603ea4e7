"""Scores that need the model, again: one picture at a time, loops, and no shared code.

Only the random numbers are drawn the same way, from the digest of the sample id.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from xaieval.digest import rng

Logits = Callable[[torch.Tensor], torch.Tensor]


def probability(function: Logits, x: np.ndarray) -> list[float]:
    with torch.no_grad():
        z = function(torch.from_numpy(x.astype(np.float32))[None])[0].double().tolist()
    top = max(z)
    total = sum(math.exp(v - top) for v in z)
    return [math.exp(v - top) / total for v in z]


def sequence(heatmap: np.ndarray, sample: str) -> list[tuple[int, int]]:
    lots = rng(sample, "removal-order").permutation(heatmap.size).reshape(heatmap.shape)
    return sorted(np.ndindex(heatmap.shape), key=lambda p: (-heatmap[p], lots[p]))


def petsiuk_blur(x: np.ndarray) -> np.ndarray:
    """A convolution with the 11 × 11 kernel of the authors' gkern, zero padding."""
    impulse = np.zeros((11, 11))
    impulse[5, 5] = 1
    kernel = torch.from_numpy(gaussian_filter(impulse, 5))[None, None]
    rows = [
        torch.nn.functional.conv2d(torch.from_numpy(c).double()[None, None], kernel, padding=5)
        for c in x
    ]
    return torch.cat(rows, 1)[0].numpy()


def area_under(function: Logits, frames: list[np.ndarray], target: int) -> float:
    p = [probability(function, frame)[target] for frame in frames]
    return sum((a + b) / 2 for a, b in itertools.pairwise(p)) / (len(p) - 1)


def deletion(
    function: Logits, x: np.ndarray, heatmap: np.ndarray, sample: str, steps: int, mean: bool
) -> float:
    target = int(np.argmax(probability(function, x)))
    order, frames = sequence(heatmap, sample), []
    for step in range(steps + 1):
        frame = x.copy()
        for y, c in order[: step * heatmap.size // steps]:
            frame[:, y, c] = x.mean((1, 2), dtype=np.float64) if mean else 0
        frames.append(frame)
    return area_under(function, frames, target)


def insertion(
    function: Logits, x: np.ndarray, heatmap: np.ndarray, sample: str, steps: int
) -> float:
    target = int(np.argmax(probability(function, x)))
    order, canvas, frames = sequence(heatmap, sample), petsiuk_blur(x), []
    for step in range(steps + 1):
        frame = canvas.copy()
        for y, c in order[: step * heatmap.size // steps]:
            frame[:, y, c] = x[:, y, c]
        frames.append(frame)
    return area_under(function, frames, target)


def imputed(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Gauss-Seidel until nothing moves: each missing pixel the mean of its neighbours."""
    found = x.astype(np.float64).copy()
    found[:, missing] = found.mean()
    height, width = missing.shape
    for _ in range(150):
        for y, c in np.argwhere(missing):
            total, weights = np.zeros(len(x)), 0.0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if (dy or dx) and 0 <= y + dy < height and 0 <= c + dx < width:
                        w = 1 / 12 if dy and dx else 1 / 6
                        total += w * found[:, y + dy, c + dx]
                        weights += w
            found[:, y, c] = total / weights
    return found


def falsification(
    function: Logits,
    picture: np.ndarray,
    heatmap: np.ndarray,
    sample: str,
    *,
    k: int,
    fill: str = "zero",
    matched: bool = False,
) -> tuple[list[float], list[float]]:
    """d_high and d_low of a picture in [0, 1] whose model input is the picture itself."""
    r = (heatmap.astype(np.float64) - heatmap.min()) / (float(heatmap.max()) - float(heatmap.min()))
    sets = {
        "high": [i for i, v in enumerate(r.ravel()) if v > 0.7],
        "low": [i for i, v in enumerate(r.ravel()) if v < 0.3],
    }
    size = min(map(len, sets.values()))
    p = probability(function, picture)
    found = {}
    for name, pixels in sets.items():
        found[name] = []
        for copy in range(k):
            own = rng(sample, "falsification", copy, name)
            hidden = own.choice(np.array(pixels), size, replace=False) if matched else pixels
            changed = picture.reshape(len(picture), -1).astype(np.float32).copy()
            for pixel in hidden:
                mean = picture.mean((1, 2), dtype=np.float64)
                changed[:, pixel] = mean if fill == "mean" else 0
            jitter = rng(sample, "falsification", copy).standard_normal(changed.shape, np.float32)
            changed = np.clip(changed + 0.02 * jitter, 0, 1).reshape(picture.shape)
            q = probability(function, changed)
            overlap = sum(math.sqrt(a * b) for a, b in zip(p, q, strict=True))
            found[name].append(math.acos(min(1.0, overlap)))
    return found["high"], found["low"]


def max_sensitivity(
    explain: Callable[[np.ndarray], np.ndarray], x: np.ndarray, sample: str, n: int, radius: float
) -> float:
    original, worst = explain(x).astype(np.float64), 0.0
    for i in range(1, n + 1):
        delta = radius * rng(sample, "max-sensitivity", i).uniform(-1, 1, x.shape)
        change = explain((x + delta).astype(np.float32)).astype(np.float64) - original
        worst = max(worst, math.sqrt((change**2).sum()) / math.sqrt((original**2).sum()))
    return worst
