"""One row of the comparison: what is compared with what, how, and how close it must be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.parity.networks import Absent, Net, network
from benchmarks.parity.recording import explained_rows
from xaieval.errors import XaievalError
from xaieval.methods import METHODS, explain

Status = Literal["pass", "fail", "missing", "undefined", "skipped"]
Reference = Callable[[Net, Mapping[str, Any], list[Tensor]], Tensor]
"""``reference(net, options, rows)`` -> maps (n, C or 1, H, W).

``rows[i]`` holds what ours asked the network about image i (sampled rows only): the same samples.
"""
Measure = Callable[[Tensor, Tensor], float]


def difference(ours: Tensor, reference: Tensor) -> float:
    """Largest difference as a share of the reference's maximum; the worst image counts."""
    if ours.shape != reference.shape:
        raise ValueError(f"ours is {tuple(ours.shape)}, the reference {tuple(reference.shape)}")
    largest = reference.abs().amax((1, 2, 3))
    if not bool((largest > 0).all()):
        raise ValueError("the reference is zero, so nothing is compared")
    return float(((ours - reference).abs().amax((1, 2, 3)) / largest).max())


def sum_difference(ours: Tensor, change: Tensor) -> float:
    """Difference of a map's sum from what it must be, as a share of it; the worst image's."""
    return float(((ours.sum((1, 2, 3)) - change.flatten()) / change.flatten()).abs().max())


def interval_loss(ours: Tensor, reference: Tensor) -> float:
    """1 − the lower end of the 95 % bootstrap interval of the correlation, the worst image's.

    Blocks of 8×8 px are drawn, since neighbours are no independent draws.
    """
    worst = 1.0
    rng = np.random.default_rng(0)
    for one, other in zip(ours.mean(1), reference.mean(1), strict=True):
        pairs = torch.stack([one, other])
        blocks = pairs.unfold(1, 8, 8).unfold(2, 8, 8).reshape(2, -1, 64).numpy()
        count = blocks.shape[1]
        found = []
        for _ in range(400):
            drawn = blocks[:, rng.integers(count, size=count)].reshape(2, -1)
            found.append(float(np.corrcoef(drawn)[0, 1]))
        worst = min(worst, float(np.percentile(found, 2.5)))
    return 1 - worst


MEASURES: dict[str, Measure] = {
    "difference / max": difference,
    "difference of the sum / change": sum_difference,
    "1 − lower end of the correlation's 95 % interval": interval_loss,
}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    oracle : str
        Who is trusted, as the report prints it.
    reference : callable
    samples : callable, optional
        ``samples(options)``: how many rows ours draws for an image; the reference is fed them.
    known : str
        Why a reader should not be surprised: where the oracle is silent or was patched.
    group : "oracle" or "fast"
        Which gate the row belongs to.
    """

    method: str
    net: str
    oracle: str
    reference: Reference
    options: Mapping[str, Any] = field(default_factory=dict)
    measure: str = "difference / max"
    tolerance: float = 1e-4
    samples: Callable[[Mapping[str, Any]], int] | None = None
    images: int = 2
    known: str = ""
    group: Literal["oracle", "fast"] = "oracle"

    @property
    def name(self) -> str:
        """Method with its options."""
        inside = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.method}[{inside}]" if inside else self.method


@dataclass(frozen=True)
class Result:
    """What a row found."""

    row: Row
    status: Status
    value: float | None = None
    said: str = ""
    elapsed_s: float = 0.0


def ours(net: Net, method: str, options: Mapping[str, Any], images: int) -> Tensor:
    """Return our maps (n, C or 1, H, W) of a network in float64, unpooled."""
    (maps,) = explain(
        net.classifier,
        net.x[:images],
        methods=[{"id": method, **options}],
        targets=net.targets[:images],
        pooled=False,
        exact=True,
    ).values()
    return maps.double()


def compare(row: Row) -> Result:
    """Run one row; whatever goes wrong in it is its result."""
    start = time.perf_counter()

    def result(status: Status, value: float | None = None, said: str = "") -> Result:
        return Result(row, status, value, said, time.perf_counter() - start)

    try:
        net = network(row.net)
    except Absent as error:
        return result("skipped", said=str(error))
    if row.method not in METHODS:
        return result("missing", said="no such method")
    try:
        if row.samples is not None:
            count = row.samples(row.options)
            found = [
                explained_rows(net, row.method, row.options, image, count)
                for image in range(row.images)
            ]
            maps, rows = torch.cat([m for m, _ in found]), [r for _, r in found]
        else:
            maps, rows = ours(net, row.method, row.options, row.images), []
        small = Net(**{**vars(net), "x": net.x[: row.images], "targets": net.targets[: row.images]})
        reference = row.reference(small, row.options, rows).detach().double()
        value = MEASURES[row.measure](maps, reference)
    except XaievalError as error:
        return result("fail", said=f"ours: {str(error).splitlines()[0]}")
    except Exception as error:  # the table is to be finished, whatever one row does
        return result("fail", said=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return result("pass" if value <= row.tolerance else "fail", value)
