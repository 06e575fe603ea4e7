"""Passes through the network: rows of all images and points, packed, each pass equally full.

Every pass holds the same number of rows, filled up by repeating the last one: then a row's numbers
depend neither on how many images were asked for nor on which (``steady.py`` has the other half of
the reason). Only when memory runs out is the number halved, and that is remembered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from xaieval.errors import Cancelled, MethodError, ModelError
from xaieval.methods.interrupting import interruptible
from xaieval.methods.passes import Attention, Found, Need
from xaieval.methods.rules import run_rules
from xaieval.methods.spec import BackwardRule
from xaieval.models import PreparedModel
from xaieval.models.attention import capture_attention

Extra = tuple[Tensor, ...]
"""The second input of rows, each (n, ...); empty when there is none."""

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


@contextmanager
def undivided() -> Iterator[None]:
    """Let memory that ends inside be an error: a pass that is repeated would add its rows twice.

    Raises
    ------
    MethodError
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise MethodError(
            "memory ended while a pass's answers were added up",
            fix="explain fewer images at a time, or with fewer methods",
        ) from error


@dataclass(frozen=True, eq=False)
class PassResult:
    """What one pass found, without the rows that only filled it up."""

    logits: Tensor
    values: Mapping[Need, Found]


class Engine:
    """Runs passes of one prepared model; one at a time.

    Parameters
    ----------
    prepared : PreparedModel
    rows : Rows
        Shared with whoever keeps the model: halving is remembered there.
    cancelled : callable
        Asked before each pass, and on a CPU within it.
    """

    def __init__(
        self, prepared: PreparedModel, rows: Rows, cancelled: Callable[[], bool] | None
    ) -> None:
        self.prepared, self.rows, self._cancelled = prepared, rows, cancelled

    def check(self) -> None:
        """Raise ``Cancelled`` when nobody wants the work any more."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled

    def each_pass(
        self, total: int, work: Callable[[int, int], None], *, start: int = 0, share: int = 1
    ) -> None:
        """Call ``work(start, stop)`` for runs of items, a pass each, with fewer when memory ends.

        Each item takes ``share`` rows of the pass. ``work`` must leave nothing half done when it
        raises.
        """
        while start < total:
            self.check()
            stop = min(total, start + self.per_pass(share))
            try:
                with self._within():
                    work(start, stop)
            except Exception as error:
                if not out_of_memory(error) or not self.rows.halve():
                    raise
                continue
            start = stop

    def _within(self) -> AbstractContextManager[None]:
        slow = self._cancelled is not None and self.prepared.device.type == "cpu"
        return interruptible(self.check) if slow else nullcontext()

    def per_pass(self, share: int = 1) -> int:
        """Return how many items of ``share`` rows fit into a pass."""
        return max(1, self.rows.count // share)

    def logits(self, x: Tensor, extra: Extra = ()) -> Tensor:
        """Return the logits of any number of rows, in the graph of ``x``."""
        parts: list[Tensor] = []

        def work(start: int, stop: int) -> None:
            size = self.rows.count
            full = fill(x[start:stop], size)
            more = tuple(fill(t[start:stop], size) for t in extra)
            parts.append(self.prepared.logits(full, more or None)[: stop - start])

        self.each_pass(len(x), work)
        return torch.cat(parts)

    def gradients(
        self,
        x: Tensor,
        targets: Callable[[Tensor], Tensor],
        needs: frozenset[Need],
        extra: Extra = (),
    ) -> PassResult:
        """Run one forward, ask for targets given the logits, and run one backward of their sum.

        Parameters
        ----------
        x : float (n, C, H, W)
            At most one pass's rows.
        targets : callable
            ``targets(logits (n, classes))`` -> int64 (n,).
        needs : frozenset of Need
            Of the point needs; none: no backward is run.
        """
        count, size = len(x), self.rows.count
        full = fill(x.detach(), size)
        more = tuple(fill(t, size) for t in extra) or None
        if not needs:
            with torch.no_grad():
                logits = self.prepared.logits(full, more)[:count]
            targets(logits)
            return PassResult(logits, {})
        nothing: list[Tensor] = []
        with torch.enable_grad():
            # A graph from the picture on where something before the target layer is asked for.
            full.requires_grad_(bool(needs & {"input_grad", "attention"}))
            layer = bool(needs & {"layer_act", "layer_grad", "layer_raw"})
            watched = capture_attention() if "attention" in needs else nullcontext(nothing)
            with watched as blocks:
                if layer:
                    logits, act = self.prepared.logits_and_layer(full, more)
                else:
                    logits, act = self.prepared.logits(full, more), None
            chosen = fill(targets(logits[:count].detach()), size)
            wanted = [full] if "input_grad" in needs else []
            wanted += [act] if act is not None and "layer_grad" in needs else []
            found = self._backward(logits.gather(1, chosen[:, None]).sum(), [*wanted, *blocks])
        values: dict[Need, Found] = {}
        if "input_grad" in needs:
            values["input_grad"] = found.pop(0)[:count]
        if act is not None:
            raw = act.detach()[:count]
            values["layer_raw"], values["layer_act"] = raw, self._map(raw)
            if "layer_grad" in needs:
                values["layer_grad"] = self._map(found.pop(0)[:count])
        if "attention" in needs:
            weights = tuple(block.detach()[:count] for block in blocks)
            values["attention"] = Attention(weights, tuple(g[:count] for g in found))
        return PassResult(logits[:count].detach(), values)

    def _map(self, output: Tensor) -> Tensor:
        """Return a layer's output as a map; what is no map goes on for its methods to refuse."""
        try:
            return self.prepared.layer_map(output)
        except ModelError:
            return output

    def _backward(self, score: Tensor, wanted: list[Tensor]) -> list[Tensor]:
        if not wanted:
            return []
        if not score.requires_grad:
            raise MethodError(
                "the logits have no gradient",
                where=self.prepared.name,
                expected="a network that is differentiable throughout",
                fix="remove detach() and no_grad() from its forward",
            )
        found = torch.autograd.grad(score, wanted, allow_unused=True)
        # What the logits do not depend on has gradient zero.
        return [
            torch.zeros_like(tensor) if gradient is None else gradient
            for tensor, gradient in zip(wanted, found, strict=True)
        ]

    def by_rules(
        self,
        rules: Sequence[BackwardRule],
        x: Tensor,
        targets: Tensor,
        extra: Extra = (),
        *,
        bounds: tuple[Tensor, Tensor],
        baselines: Mapping[str, Tensor],
    ) -> list[Tensor]:
        """Run one forward and a backward by each rule of one group, for at most a pass of images.

        Parameters
        ----------
        bounds : (low, high), each (n, C or 1, 1, 1)
            Least and largest value of ``x``.
        baselines : mapping of name -> float (n, C, H, W)
            Those that DeepLIFT asks for.

        Returns
        -------
        list of float (n, C, H, W), one per rule
        """
        count, size = len(x), self.per_pass(max(rule.rows for rule in rules))
        full, chosen = fill(x.detach(), size), fill(targets, size)
        more = tuple(fill(t, size) for t in extra)

        found = run_rules(
            rules,
            lambda rows: self.prepared.logits(rows, more or None),
            full,
            lambda _: chosen,
            module=self.prepared.module,
            bounds=(fill(bounds[0], size), fill(bounds[1], size)),
            baselines={name: fill(baseline, size) for name, baseline in baselines.items()},
        )
        return [relevance[:count].detach() for relevance in found]


def fill(x: Tensor, size: int) -> Tensor:
    """Return ``size`` rows: those of ``x``, the last one repeated; ``x`` itself when it is full.

    Laid out in memory as ``x``, since convolutions round by the layout.
    """
    missing = size - len(x)
    if missing <= 0:
        return x
    full = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
    if x.ndim == 4 and not x.is_contiguous():
        full = full.contiguous(memory_format=torch.channels_last)
    return full
