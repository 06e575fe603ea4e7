"""The gate of the fast path: float32, folded, channels_last against the exact one in float64."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.parity.networks import Absent, network
from benchmarks.parity.rows import Result, Row
from xaieval.errors import NotDefinedError
from xaieval.methods import METHODS, Explainer, resolve_methods
from xaieval.methods.pooling import pool
from xaieval.metrics import score

# Few samples: rounding does not average away in more of them, it only takes longer.
FEWER: dict[str, Any] = {
    "n_steps": 5,
    "n_samples": 12,
    "n_masks": 24,
    "n_scales": 2,
    "superpixels": "grid",
    "n_segments": 6,
}
NETS = ("relu-cnn", "silu", "mobilenet", "resnet", "vit")
TOLERANCE = 1e-3


def _options(method: str) -> dict[str, Any]:
    few = {name: FEWER[name] for name in METHODS[method].options if name in FEWER}
    return few | ({"window": 16, "stride": 12} if method == "occlusion" else {})


def masks(x: torch.Tensor) -> np.ndarray:
    """Return a disc of about 4 % per image, bool (n, H, W), where something may be found."""
    height, width = x.shape[2:]
    down, across = np.mgrid[:height, :width]
    disc = (down - 0.4 * height) ** 2 + (across - 0.6 * width) ** 2 <= 0.04 * height * width / np.pi
    return np.repeat(disc[None], len(x), 0)


def rows() -> list[Row]:
    """Return one row per network and method; baselines never see the network."""
    ids = [spec.id for spec in METHODS.values() if not spec.baseline]
    return [
        Row(
            method,
            net,
            "ours, exact in float64",
            _never,
            _options(method),
            measure="1 − Spearman",
            tolerance=TOLERANCE,
            images=1 if method == "score_cam" else 2,
            group="fast",
        )
        for net in NETS
        for method in ids
        if (method, net) != ("score_cam", "resnet")  # 512 more passes, and nothing new
    ]


def _never(*_: object) -> torch.Tensor:
    raise AssertionError("the fast path's reference is the exact path, not a function")


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation; values closer than a millionth of the largest are tied.

    A 2×2 map stretched over a picture is flat over a quarter of it: those pixels are equal, and
    only float32's rounding would rank them.
    """
    tied = [np.round(maps.astype(np.float64) / np.abs(maps).max() * 1e6) for maps in (one, other)]
    return float(spearmanr(*(maps.ravel() for maps in tied)).statistic)


def compare(row: Row) -> Result:
    """Run one method both ways; report the least rank correlation and how far scores move."""
    start = time.perf_counter()
    try:
        net = network(row.net)
        call = resolve_methods([{"id": row.method, **row.options}])
        x, targets = net.x[: row.images], net.targets[: row.images]
        ids = [f"image {i}" for i in range(len(x))]
        found = [
            Explainer(net.classifier_in(dtype), exact=exact)
            .run(x.to(dtype), methods=call, targets=targets, sample_ids=ids, pooled=False)
            .maps[call[0].key]
            for exact, dtype in ((False, torch.float32), (True, torch.float64))
        ]
    except Absent as error:
        return Result(row, "skipped", said=str(error))
    except NotDefinedError as error:
        return Result(row, "undefined", said=str(error).splitlines()[0])
    except Exception as error:  # the table is to be finished, whatever one row does
        said = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return Result(row, "fail", said=said, elapsed_s=time.perf_counter() - start)
    value = 1 - min(rank_correlation(a, b) for a, b in zip(*found, strict=True))
    pooling = METHODS[row.method].default_pooling or "sum,pos"
    pooled = [pool(torch.from_numpy(maps), pooling).numpy() for maps in found]
    moved = [
        np.abs(np.subtract(*[score(maps, masks(x), metrics=[metric])[metric] for maps in pooled]))
        for metric in ("topk_overlap", "auroc")
    ]
    said = f"scores move by {moved[0].max():.0e} (overlap), {moved[1].max():.0e} (AUROC)"
    status = "pass" if value <= row.tolerance else "fail"
    return Result(row, status, value, said, time.perf_counter() - start)
