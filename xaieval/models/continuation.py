"""Running only what follows the target layer, for many changed outputs of that layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.extra import Extra, fitting_extra
from xaieval.models.prepared import PreparedModel
from xaieval.models.stubs import (
    Forward,
    PlainMode,
    changed,
    copy_of,
    hollow,
    replaced,
    same,
    spoilt,
    tensors_in,
)

# What a network may raise when its parts get other tensors than they are used to.
_MISFITS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError)


@dataclass(eq=False)
class _Record:
    """What a module put out before the target layer started."""

    name: str
    module: nn.Module | None  # None: the network's input
    output: Any
    needed: bool = True


@dataclass
class _Tape:
    """One watched pass: what was complete when the target layer started, and its output."""

    records: list[_Record] = field(default_factory=list)
    outputs: list[object] = field(default_factory=list)
    levels: list[list[_Record]] = field(default_factory=lambda: [[]])


class Continuation:
    """The part of a network after its target layer, with everything before it done once.

    One pass is watched. Afterwards each module that was complete when the target layer started
    (the outermost ones, never one that contains the layer) hands back what it put out then, and
    the layer itself hands back the activation it is given; what lies between the modules still
    runs. Only outputs that bypass the layer (skips, class tokens) are kept: those which, replaced
    by NaN, change the logits. All of this is checked once against the true logits. Where it fails
    the whole network runs each time, and ``notes`` says so.

    Use it from one thread. Between calls nothing of it is left in the network.

    Parameters
    ----------
    prepared : PreparedModel
    x : float tensor (b, C, H, W)
        Model input.
    extra : tensor or tuple of tensors, optional
        Second input.

    Attributes
    ----------
    activation : Tensor (b, K, h, w) or (b, T, D)
        The target layer's true output.
    expected : Tensor (b, classes)
        The true logits.
    bypassing : tuple of str
        Modules before the layer whose outputs are read after it ("input": the input itself).
    notes : tuple of str
        Empty, or why the whole network runs.

    Raises
    ------
    ModelError
        When the target layer cannot be read, or its output does not determine the logits.
    """

    def __init__(self, prepared: PreparedModel, x: Tensor, extra: Extra | None = None) -> None:
        if not prepared.target_layer:
            raise ModelError(
                "no target layer", where=prepared.name, fix="name a layer with target_layer="
            )
        self._prepared = prepared
        self._layer = prepared.module.get_submodule(prepared.target_layer)
        more = fitting_extra(extra, example=prepared.example_extra, x=x, name=prepared.name)
        self._inputs = (x, *more)
        self.notes: tuple[str, ...] = ()
        self._copies = False
        self._records: list[_Record] = []
        self._plan()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of what was kept."""
        self._records = []

    @property
    def bypassing(self) -> tuple[str, ...]:
        """Names of what is read after the target layer though it was computed before."""
        return tuple(r.name for r in self._records if r.needed)

    def logits(self, activation: Tensor, image: Tensor) -> Tensor:
        """Return the logits (n, classes) that follow from changed outputs of the target layer.

        Parameters
        ----------
        activation : float tensor (n, K, h, w) or (n, T, D)
            In the graph of the result when it needs a gradient.
        image : int64 tensor (n,)
            For each row the index of its picture in ``x``, below b.
        """
        if activation.shape[1:] != self.activation.shape[1:] or image.shape != (len(activation),):
            raise ModelError(
                "the activations do not fit the target layer",
                where=self._prepared.target_layer,
                expected=f"(n, {', '.join(map(str, self.activation.shape[1:]))}) and n indices",
                got=f"{tuple(activation.shape)} and {tuple(image.shape)} indices",
            )
        given = activation.clone() if self._copies else activation
        return self._run(given, image, self._records)

    # ---------------------------------------------------------------- planning

    def _plan(self) -> None:
        """Find a way of continuing that reproduces the true logits, the cheapest first."""
        why = ""
        for self._copies in (False, True):
            self._watch()
            why = self._misfit()
            if not why:
                self._leave_out()
                if not self._misfit():
                    return
                for record in self._records:
                    record.needed = True
        self._records = [r for r in self._records if r.module is None]
        if self._misfit():
            raise ModelError(
                f"the logits do not follow from the target layer ({why})",
                where=f"{self._prepared.name}, {self._prepared.target_layer}",
                fix="name another layer with target_layer=",
            )
        self.notes = (f"the whole network runs for each change of the target layer ({why})",)

    @torch.no_grad()
    def _watch(self) -> None:
        """Run the network once; keep what was complete when the target layer started."""
        tape, kept = _Tape(), copy_of if self._copies else same
        network = self._prepared.module

        def watched(name: str, module: nn.Module, forward: Forward) -> Forward:
            def run(*args: Any, **options: Any) -> Any:
                if module is self._layer:
                    tape.records = tape.records or [r for level in tape.levels for r in level]
                    found = forward(*args, **options)
                    tape.outputs.append(kept(found))
                    return found
                if tape.outputs:
                    return forward(*args, **options)
                tape.levels.append([])
                found = forward(*args, **options)
                tape.levels.pop()
                if not tape.outputs:
                    tape.levels[-1].append(_Record(name, module, kept(found)))
                return found

            return run

        with ExitStack() as stack:
            for name, module in network.named_modules():
                stack.enter_context(replaced(module, watched(name, module, module.forward)))
            x, *extra = self._inputs
            self.expected = self._network((self._prepared._input(x), *extra))
        if len(tape.outputs) != 1 or not isinstance(tape.outputs[0], Tensor):
            runs = len(tape.outputs)
            raise ModelError(
                f"the target layer {self._prepared.target_layer!r} cannot be read",
                where=self._prepared.name,
                expected="one run that puts out one tensor",
                got=f"{runs} runs" if runs != 1 else type(tape.outputs[0]).__name__,
                fix="name another layer with target_layer=",
            )
        self.activation = tape.outputs[0]
        self._records = [_Record("input", None, self._inputs[0]), *tape.records]

    def _misfit(self) -> str:
        """Return what is wrong with the logits of the unchanged activation, or nothing."""
        rows = len(self.activation)
        # Another order and number of rows than before, so that rows which mix are found.
        image = torch.tensor([*reversed(range(rows)), 0, 0], device=self.activation.device)
        given = self.activation[image]
        version = given._version
        try:
            with torch.no_grad():
                found = self._run(given, image, self._records)
        except torch.OutOfMemoryError:
            raise
        except _MISFITS as error:
            return (str(error).splitlines() or [type(error).__name__])[0]
        if given._version != version and not self._copies:
            return "it is changed in place"
        return "" if _close(found, self.expected[image]) else "other logits come out"

    def _leave_out(self) -> None:
        """Let go of outputs that do not matter: with NaN in their place the logits stay."""
        one = torch.zeros(1, dtype=torch.int64, device=self.activation.device)

        def matters(chosen: Sequence[_Record]) -> bool:
            trial = [
                _Record(r.name, r.module, changed(r.output, spoilt) if r in chosen else r.output)
                for r in self._records
            ]
            try:
                with torch.no_grad():
                    found = self._run(self.activation[one], one, trial)
            except torch.OutOfMemoryError:
                raise
            except _MISFITS:
                return True
            return not _close(found, self.expected[one])

        # Whole numbers cannot be spoilt, so they are kept.
        spoilable = [
            r for r in self._records if all(map(torch.is_floating_point, tensors_in(r.output)))
        ]
        if not matters(spoilable):
            unread = spoilable
        else:
            unread = [record for record in spoilable if not matters([record])]
        for record in unread:
            record.needed, record.output = False, changed(record.output, hollow)

    # ---------------------------------------------------------------- running

    def _run(self, activation: Tensor, image: Tensor, records: Sequence[_Record]) -> Tensor:
        waiting: dict[nn.Module, list[_Record]] = {self._layer: []}
        for record in records:
            if record.module is not None:
                waiting.setdefault(record.module, []).append(record)

        def stub(module: nn.Module, todo: Iterator[_Record], forward: Forward) -> Forward:
            def run(*args: Any, **options: Any) -> Any:
                if module is self._layer:
                    return activation
                record = next(todo, None)
                if record is None:  # a later call of a module that is used again
                    return forward(*args, **options)
                return self._rows(record, image)

            return run

        x = self._rows(records[0], image)
        if records[0].needed:
            x = self._prepared._input(x)
        extra = (t.index_select(0, image) for t in self._inputs[1:])
        with ExitStack() as stack:
            for module, todo in waiting.items():
                stub_forward = stub(module, iter(todo), module.forward)
                stack.enter_context(replaced(module, stub_forward))
            return self._network((x, *extra))

    def _rows(self, record: _Record, image: Tensor) -> Any:
        """Return a record with one row for each wanted one."""
        before = len(self.activation)
        time_first = isinstance(record.module, nn.RNNBase) and not record.module.batch_first

        def rows(tensor: Tensor, path: tuple[int, ...]) -> Tensor:
            axis = next((i for i in (0, 1) if tensor.shape[i : i + 1] == (before,)), None)
            if isinstance(record.module, nn.RNNBase):
                axis = 1 if time_first or path[:1] == (1,) else 0  # states: (layers, B, hidden)
            if axis is None:
                return tensor
            if before == 1 or not record.needed:
                shape = [len(image) if i == axis else -1 for i in range(tensor.ndim)]
                wide = tensor.narrow(axis, 0, 1).expand(shape)
                return wide.clone() if self._copies else wide
            return tensor.index_select(axis, image)

        return changed(record.output, rows)

    def _network(self, inputs: tuple[Tensor, ...]) -> Tensor:
        network = self._prepared.module
        # Its fused kernel would pass by the modules inside; under a mode it is not taken.
        fused = any(isinstance(m, nn.TransformerEncoderLayer) for m in network.modules())
        with PlainMode() if fused else ExitStack():
            return self._prepared._logits(network, *inputs)


def _close(found: Tensor, expected: Tensor) -> bool:
    """Whether logits are equal up to the rounding of kernels that batch in another way."""
    if found.shape != expected.shape:
        return False
    slack = torch.finfo(expected.dtype).eps ** 0.5 * float(expected.abs().max())
    return torch.allclose(found, expected, rtol=0.0, atol=slack)
