"""Passes through the network: rows of all images and points, packed, each pass equally full.

Every pass holds the same number of rows, filled up by repeating the last one: then a row's numbers
depend neither on how many images were asked for nor on which (``steady.py`` has the other half of
the reason). Only when memory runs out is the number halved, and that is remembered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from xaieval.errors import Cancelled, MethodError
from xaieval.models import PreparedModel

_REFERENCE_PX = 224 * 224


@dataclass
class Rows:
    """How many rows each pass holds."""

    count: int

    def halve(self) -> bool:
        """Halve, never below two; say whether that changed anything."""
        before, self.count = self.count, max(2, self.count // 2)
        return self.count != before


def rows_for(device: torch.device, size: tuple[int, int], threads: int) -> Rows:
    """Return the number of rows per pass for pictures of ``size`` (height, width).

    On a CPU a multiple of the number of threads. Measured on EfficientNet-B0 at 224²: with one
    thread 4 rows are cheapest (51 ms per row; 61 at 8), with two threads 6 to 8 (20 ms; 24 at 4),
    and with fewer rows a single picture is answered sooner.

    >>> rows_for(torch.device("cpu"), (224, 224), 2)
    Rows(count=6)
    """
    share = _REFERENCE_PX / (size[0] * size[1])
    if device.type == "cpu":
        best = {1: 4, 2: 6}.get(threads, 8)
        fitting = 2 * best if share >= 4 else best if share >= 0.6 else best // 2
        return Rows(max(2, -(-fitting // threads) * threads))
    return Rows(2 ** max(1, min(7, round(5 + math.log2(share)))))


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error is a device's or the computer's memory running out."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and ("can't allocate memory" in str(error) or "not enough memory" in str(error))
    )


@dataclass(frozen=True, eq=False)
class PassResult:
    """What one pass found, without the rows that only filled it up."""

    logits: Tensor
    input_grad: Tensor | None
    layer_act: Tensor | None
    layer_grad: Tensor | None


class Engine:
    """Runs passes of one prepared model; one at a time.

    Parameters
    ----------
    prepared : PreparedModel
    rows : Rows
        Shared with whoever keeps the model: halving is remembered there.
    cancelled : callable
        Asked before each pass.
    """

    def __init__(
        self, prepared: PreparedModel, rows: Rows, cancelled: Callable[[], bool] | None
    ) -> None:
        self.prepared, self.rows, self._cancelled = prepared, rows, cancelled

    def check(self) -> None:
        """Raise ``Cancelled`` when nobody wants the work any more."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled

    def each_pass(self, total: int, work: Callable[[int, int], None], *, start: int = 0) -> None:
        """Call ``work(start, stop)`` for runs of rows, a pass each, with fewer when memory ends.

        ``work`` must leave nothing half done when it raises.
        """
        while start < total:
            self.check()
            stop = min(total, start + self.rows.count)
            try:
                work(start, stop)
            except Exception as error:
                if not out_of_memory(error) or not self.rows.halve():
                    raise
                continue
            start = stop

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of any number of rows, in the graph of ``x``."""
        parts: list[Tensor] = []

        def work(start: int, stop: int) -> None:
            full = fill(x[start:stop], self.rows.count)
            parts.append(self.prepared.logits(full)[: stop - start])

        self.each_pass(len(x), work)
        return torch.cat(parts)

    def gradients(
        self,
        x: Tensor,
        targets: Callable[[Tensor], Tensor],
        *,
        input_grad: bool,
        layer: bool,
    ) -> PassResult:
        """Run one forward, ask for targets given the logits, and run one backward of their sum.

        Parameters
        ----------
        x : float (n, C, H, W)
            At most one pass's rows.
        targets : callable
            ``targets(logits (n, classes))`` -> int64 (n,).
        """
        count, size = len(x), self.rows.count
        full = fill(x.detach(), size)
        if not (input_grad or layer):
            with torch.no_grad():
                logits = self.prepared.logits(full)[:count]
            targets(logits)
            return PassResult(logits, None, None, None)
        with torch.enable_grad():
            full.requires_grad_(input_grad)
            act = None
            if layer:
                logits, act = self.prepared.logits_and_layer(full)
            else:
                logits = self.prepared.logits(full)
            chosen = fill(targets(logits[:count].detach()), size)
            score = logits.gather(1, chosen[:, None]).sum()
            wanted = [t for t in (full if input_grad else None, act) if t is not None]
            found = iter(self._backward(score, wanted))
        return PassResult(
            logits[:count].detach(),
            next(found)[:count] if input_grad else None,
            act[:count].detach() if act is not None else None,
            next(found)[:count] if act is not None else None,
        )

    def _backward(self, score: Tensor, wanted: list[Tensor]) -> Iterator[Tensor]:
        if not score.requires_grad:
            raise MethodError(
                "the logits have no gradient",
                where=self.prepared.name,
                expected="a network that is differentiable throughout",
                fix="remove detach() and no_grad() from its forward",
            )
        for tensor, gradient in zip(
            wanted, torch.autograd.grad(score, wanted, allow_unused=True), strict=True
        ):
            # What the logits do not depend on has gradient zero.
            yield torch.zeros_like(tensor) if gradient is None else gradient


def fill(x: Tensor, size: int) -> Tensor:
    """Return ``size`` rows: those of ``x``, the last one repeated; ``x`` itself when it is full."""
    missing = size - len(x)
    if missing <= 0:
        return x
    return torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
