"""One run of a plan over a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.calls import MethodCall
from xaieval.methods.gradient import between
from xaieval.methods.inputs import check_range, checked_ids, checked_targets
from xaieval.methods.passes import Engine, Rows
from xaieval.methods.planner import Plan, plan
from xaieval.methods.pooling import pool
from xaieval.methods.spec import Need, Passes, Path
from xaieval.models import Classifier, PreparedModel

Floats = npt.NDArray[np.float32]
OnMethod = Callable[[str, Floats, npt.NDArray[np.int64]], None]
"""``on_method(key, maps, targets)``, called as soon as a method has finished the whole batch."""

# Images whose maps a method that asks for logits of its own holds at a time.
_SLICE = 8


class PathSum:
    """A path through every picture, image after image, and the running sum of its gradients.

    Memory does not depend on the number of steps: only the sum is kept.

    Attributes
    ----------
    rows : int
        Points of all pictures.
    done : int
        How many are in the sum.
    total : float (B, C, H, W)
    """

    def __init__(self, path: Path, x: Tensor) -> None:
        self.path, self.x = path, x
        self.steps = len(path.alphas)
        self.rows, self.done = len(x) * self.steps, 0
        self.alphas = torch.tensor(path.alphas, dtype=x.dtype, device=x.device)
        self.total = torch.zeros_like(x)

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return points (n, C, H, W) and the index (n,) of the picture that each belongs to."""
        index = torch.arange(start, stop, device=self.x.device)
        image = index // self.steps
        alphas = self.alphas[index % self.steps]
        return between(self.path.baseline, self.x[image], alphas), image

    def add(self, start: int, gradient: Tensor) -> None:
        """Add the gradients of consecutive points, in order, so that packing changes nothing."""
        for number, row in enumerate(gradient, start):
            weight = self.path.weights[number % self.steps]
            self.total[number // self.steps].add_(row, alpha=weight)
        self.done = start + len(gradient)


class Run:
    """One call of ``Explainer.run``: its arguments, on the device, and what was found so far."""

    def __init__(
        self,
        x: Tensor,
        *,
        classifier: Classifier,
        prepared: PreparedModel,
        rows: Rows,
        upsampling: str,
        methods: Sequence[MethodCall],
        targets: Literal["predicted"] | Tensor,
        sample_ids: Sequence[str] | None,
        seed: int,
        pooled: bool,
        on_method: OnMethod | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.x, self.classifier, self.prepared, self.rows = x, classifier, prepared, rows
        self.upsampling = upsampling
        self.plan: Plan = plan(methods)
        self.order = [call.key for call in methods]
        self.seed, self.pooled, self.on_method = seed, pooled, on_method
        self.engine = Engine(prepared, rows, cancelled)
        self.predict = isinstance(targets, str)
        self.targets = checked_targets(targets, len(x), x.device)
        self.ids = checked_ids(sample_ids, x)
        self.logits: Tensor | None = None
        self.maps: dict[str, Floats] = {}

    def run(self) -> tuple[Floats, npt.NDArray[np.int64], dict[str, Floats]]:
        """Run the plan; return logits, targets and maps in the order of the calls."""
        paths = [PathSum(path, self.x) for path in self.plan.paths]
        self._points(paths[0] if paths else None)
        for call in self.plan.free:
            self._apply(call, 0, len(self.x), {})
            self._finish(call)
        for call in self.plan.point:
            self._finish(call)
        for path in paths:
            self.engine.each_pass(path.rows, partial(self._path_pass, path), start=path.done)
            for call in self.plan.paths[path.path]:
                self._apply(call, 0, len(self.x), {"path_grad": path.total})
                self._finish(call)
        for call in self.plan.forward:
            for start in range(0, len(self.x), _SLICE):
                self._apply(call, start, min(len(self.x), start + _SLICE), {})
            self._finish(call)
        assert self.logits is not None
        return (
            self.logits.cpu().float().numpy(),
            self.targets.cpu().numpy(),
            {key: self.maps[key] for key in self.order},
        )

    def _points(self, path: PathSum | None) -> None:
        """Run every picture once: logits, targets, and the maps that need no more.

        Rows that the last of these passes has to spare take the first points of a path.
        """

        def work(start: int, stop: int) -> None:
            count, spare = stop - start, self.rows.count - (stop - start)
            x, image = self.x[start:stop], torch.arange(start, stop, device=self.x.device)
            early = 0 if path is None else min(spare, path.rows)
            if path is not None and early:
                points, origin = path.points(0, early)
                x, image = torch.cat([x, points]), torch.cat([image, origin])

            def choose(logits: Tensor) -> Tensor:
                self._keep_logits(start, stop, logits[:count])
                return self.targets[image]

            found = self.engine.gradients(
                x, choose, input_grad=self.plan.input_grad or early > 0, layer=self.plan.layer
            )
            kept: dict[Need, Tensor | None] = {
                "input_grad": found.input_grad,
                "layer_act": found.layer_act,
                "layer_grad": found.layer_grad,
            }
            values = {need: value[:count] for need, value in kept.items() if value is not None}
            for call in self.plan.point:
                self._apply(call, start, stop, values)
            if path is not None and early and found.input_grad is not None:
                path.add(0, found.input_grad[count:])

        self.engine.each_pass(len(self.x), work)

    def _keep_logits(self, start: int, stop: int, logits: Tensor) -> None:
        classes = logits.shape[1]
        if not torch.isfinite(logits).all():
            raise MethodError(
                "the network puts out NaN or infinity, so there is nothing to explain",
                where=", ".join(self.order),
                fix="check weights and preprocessing",
            )
        if self.logits is None:
            self.logits = logits.new_empty((len(self.x), classes))
            check_range(self.targets, classes)
        self.logits[start:stop] = logits
        if self.predict:
            self.targets[start:stop] = logits.argmax(1)

    def _path_pass(self, path: PathSum, start: int, stop: int) -> None:
        points, image = path.points(start, stop)
        found = self.engine.gradients(
            points, lambda logits: self.targets[image], input_grad=True, layer=False
        )
        assert found.input_grad is not None
        path.add(start, found.input_grad)

    def _apply(self, call: MethodCall, start: int, stop: int, values: dict[Need, Tensor]) -> None:
        """Run a method on some pictures and keep its map."""
        spec, x = call.spec, self.x[start:stop]
        passes = Passes(
            x=x,
            targets=self.targets[start:stop],
            forward=self.engine.logits,
            check=self.engine.check,
            classifier=self.classifier,
            target_layer=self.prepared.target_layer,
            sample_ids=self.ids[start:stop],
            seed=self.seed,
            upsampling=self.upsampling,
            rows=self.rows.count,
            values=values,
        )
        found = spec.fn(passes, call.options)
        found = self._checked(call, found, x).detach()
        if self.pooled:
            pooling = call.options.get("pooling")
            found = pool(found, pooling) if pooling else found[:, 0]
        if call.key not in self.maps:
            self.maps[call.key] = np.empty((len(self.x), *found.shape[1:]), np.float32)
        self.maps[call.key][start:stop] = found.cpu().numpy()

    def _checked(self, call: MethodCall, found: object, x: Tensor) -> Tensor:
        channels = {1} if call.spec.default_pooling is None else {1, x.shape[1]}
        shape = tuple(found.shape) if isinstance(found, Tensor) else None
        right = {(len(x), c, *x.shape[2:]) for c in channels}
        if not isinstance(found, Tensor) or shape not in right:
            raise MethodError(
                "a method returned no attribution of the input",
                where=call.key,
                expected=f"a tensor {' or '.join(map(str, sorted(right)))}",
                got=shape or type(found).__name__,
            )
        if not torch.isfinite(found).all():
            raise MethodError(
                "the heatmap holds NaN or infinity",
                where=call.key,
                fix="check the network: its gradients are not finite for this input",
            )
        return found

    def _finish(self, call: MethodCall) -> None:
        if self.on_method is not None:
            self.on_method(call.key, self.maps[call.key], self.targets.cpu().numpy())
