"""Running methods on a batch: the plan's passes, then each method on what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.digest import digest
from xaieval.errors import MethodError
from xaieval.methods.calls import MethodCall
from xaieval.methods.cam import check_upsampling
from xaieval.methods.gradient import between
from xaieval.methods.passes import Engine, Rows, rows_for
from xaieval.methods.planner import Plan, plan
from xaieval.methods.pooling import pool
from xaieval.methods.spec import Need, Passes, Path
from xaieval.methods.steady import steady
from xaieval.models import Classifier

Floats = npt.NDArray[np.float32]
OnMethod = Callable[[str, Floats, npt.NDArray[np.int64]], None]
"""``on_method(key, maps, targets)``, called as soon as a method has finished the whole batch."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps of a batch and the prediction they explain.

    Attributes
    ----------
    logits : float32 (B, C)
    targets : int64 (B,)
    maps : dict of method key -> float32 (B, H, W), or (B, C, H, W) when not pooled
    """

    logits: Floats
    targets: npt.NDArray[np.int64]
    maps: dict[str, Floats]


class Explainer:
    """Explains one classifier on one device; keeps the prepared model. Use it from one thread.

    Parameters
    ----------
    classifier : Classifier
    device : str or torch.device
    exact : bool
        True: the network as it was trained, in float64 when the input is. False: batch norms
        folded into convolutions, channels_last, float32.
    upsampling : str
        How maps of a layer's size are brought to the input's: "paper".
    target_layer : str or torch.nn.Module, optional
        Overrides the classifier's.

    Raises
    ------
    ConfigError
        For an unknown upsampling.
    ModelError
        When the classifier has no such layer.
    MethodError
        When the network computes in half precision.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        device: str | torch.device = "cpu",
        exact: bool = False,
        upsampling: str = "paper",
        target_layer: str | torch.nn.Module | None = None,
    ) -> None:
        self.classifier, self.exact = classifier, exact
        self.upsampling = check_upsampling(upsampling)
        self.device = torch.device(device)
        self.prepared = classifier.prepared(self.device, exact=exact, target_layer=target_layer)
        steady(self.prepared.module)
        found = (t.dtype for t in self.prepared.module.parameters() if t.is_floating_point())
        self.dtype = next(found, torch.float32)
        if self.dtype not in (torch.float32, torch.float64):
            raise MethodError(
                "the network computes in half precision",
                where=classifier.name,
                expected="float32 or float64",
                got=str(self.dtype).removeprefix("torch."),
                fix="pass model.float()",
            )
        self._rows: dict[tuple[int, int], Rows] = {}

    def run(
        self,
        x: Tensor,
        *,
        methods: Sequence[MethodCall],
        targets: Literal["predicted"] | Tensor = "predicted",
        sample_ids: Sequence[str] | None = None,
        seed: int = 0,
        pooled: bool = True,
        on_method: OnMethod | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Explanation:
        """Explain a batch.

        Parameters
        ----------
        x : float (B, C, H, W), model input
        methods : sequence of MethodCall
        targets : "predicted" or int (B,)
            The class whose logit is explained, per image.
        sample_ids : sequence of str, optional
            Seed stochastic methods; without them the pixels do.
        seed : int
            Study seed of stochastic methods.
        pooled : bool
            False keeps the channels: (B, C, H, W), signed where the method is.
        on_method : callable, optional
            Called as methods finish, those of one pass before those of many.
        cancelled : callable, optional
            Asked before each pass.

        Raises
        ------
        Cancelled
            When ``cancelled()`` says so; nothing is kept.
        MethodError
            For input of another form, targets out of range, or values that are not finite (the
            method is named).
        """
        return _Run(self, x, methods, targets, sample_ids, seed, pooled, on_method, cancelled).run()

    def rows(self, size: tuple[int, int]) -> Rows:
        """Return how many rows a pass holds for pictures of ``size`` (height, width)."""
        if size not in self._rows:
            self._rows[size] = rows_for(self.device, size, torch.get_num_threads())
        return self._rows[size]


class _Run:
    """One call of ``Explainer.run``."""

    def __init__(
        self,
        explainer: Explainer,
        x: Tensor,
        methods: Sequence[MethodCall],
        targets: Literal["predicted"] | Tensor,
        sample_ids: Sequence[str] | None,
        seed: int,
        pooled: bool,
        on_method: OnMethod | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.explainer = explainer
        self.x = _checked_input(x, explainer)
        self.plan: Plan = plan(methods)
        self.order = [call.key for call in methods]
        self.seed, self.pooled, self.on_method = seed, pooled, on_method
        self.rows = explainer.rows((self.x.shape[2], self.x.shape[3]))
        self.engine = Engine(explainer.prepared, self.rows, cancelled)
        self.predict = isinstance(targets, str)
        self.targets = _checked_targets(targets, len(self.x), explainer)
        self.ids = _checked_ids(sample_ids, self.x)
        self.logits: Tensor | None = None
        self.maps: dict[str, Floats] = {}

    def run(self) -> Explanation:
        self._points()
        for call in self.plan.free:
            self._apply(call, 0, len(self.x), {})
            self._finish(call)
        for call in self.plan.point:
            self._finish(call)
        for path, calls in self.plan.paths.items():
            self._path(path, calls)
        for call in self.plan.forward:
            step = self.rows.path
            for start in range(0, len(self.x), step):
                self._apply(call, start, min(len(self.x), start + step), {})
            self._finish(call)
        assert self.logits is not None
        return Explanation(
            self.logits.cpu().float().numpy(),
            self.targets.cpu().numpy(),
            {key: self.maps[key] for key in self.order},
        )

    def _points(self) -> None:
        """Run every picture once: logits, targets, and the maps that need no more."""

        def work(start: int, stop: int) -> None:
            def choose(logits: Tensor) -> Tensor:
                self._keep_logits(start, stop, logits)
                return self.targets[start:stop]

            found = self.engine.gradients(
                self.x[start:stop],
                self.rows.point,
                choose,
                input_grad=self.plan.input_grad,
                layer=self.plan.layer,
            )
            kept: dict[Need, Tensor | None] = {
                "input_grad": found.input_grad,
                "layer_act": found.layer_act,
                "layer_grad": found.layer_grad,
            }
            values = {need: value for need, value in kept.items() if value is not None}
            for call in self.plan.point:
                self._apply(call, start, stop, values)

        self.engine.each_pass(len(self.x), lambda: self.rows.point, work)

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
            _check_range(self.targets, classes)
        self.logits[start:stop] = logits
        if self.predict:
            self.targets[start:stop] = logits.argmax(1)

    def _path(self, path: Path, calls: tuple[MethodCall, ...]) -> None:
        """Run the points of a path for every picture, image after image, packed into passes."""
        steps = len(path.alphas)
        alphas = torch.tensor(path.alphas, dtype=self.x.dtype, device=self.x.device)
        total = torch.zeros_like(self.x)

        def work(start: int, stop: int) -> None:
            index = torch.arange(start, stop, device=self.x.device)
            image = index // steps
            points = between(path.baseline, self.x[image], alphas[index % steps])
            gradient = self.engine.gradients(
                points,
                self.rows.path,
                lambda logits: self.targets[image],
                input_grad=True,
                layer=False,
            ).input_grad
            assert gradient is not None
            # In order of the steps, so that packing changes nothing.
            for row, number in enumerate(range(start, stop)):
                total[number // steps].add_(gradient[row], alpha=path.weights[number % steps])

        self.engine.each_pass(len(self.x) * steps, lambda: self.rows.path, work)
        for call in calls:
            self._apply(call, 0, len(self.x), {"path_grad": total})
            self._finish(call)

    def _forward(self, x: Tensor) -> Tensor:
        """Return logits of any number of rows, in equally full passes."""
        parts: list[Tensor] = []

        def work(start: int, stop: int) -> None:
            parts.append(self.engine.logits(x[start:stop], self.rows.path))

        self.engine.each_pass(len(x), lambda: self.rows.path, work)
        return torch.cat(parts)

    def _apply(self, call: MethodCall, start: int, stop: int, values: dict[Need, Tensor]) -> None:
        """Run a method on some pictures and keep its map."""
        spec, x = call.spec, self.x[start:stop]
        passes = Passes(
            x=x,
            targets=self.targets[start:stop],
            forward=self._forward,
            check=self.engine.check,
            classifier=self.explainer.classifier,
            target_layer=self.explainer.prepared.target_layer,
            sample_ids=self.ids[start:stop],
            seed=self.seed,
            upsampling=self.explainer.upsampling,
            rows=self.rows.path,
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


def _checked_input(x: Tensor, explainer: Explainer) -> Tensor:
    if x.ndim != 4 or not x.is_floating_point() or x.numel() == 0:
        raise MethodError(
            "bad model input",
            expected="float (B, channels, H, W) with at least one image",
            got=f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}",
        )
    if not torch.isfinite(x).all():
        raise MethodError("the model input holds NaN or infinity", fix="check the images")
    if explainer.exact and x.dtype == torch.float64 and explainer.dtype == torch.float32:
        explainer.prepared.module.double()
        explainer.dtype = torch.float64
    layout = torch.contiguous_format if explainer.exact else torch.channels_last
    return x.detach().to(explainer.device, explainer.dtype).contiguous(memory_format=layout)


def _checked_targets(
    targets: Literal["predicted"] | Tensor, count: int, explainer: Explainer
) -> Tensor:
    if isinstance(targets, str):
        if targets != "predicted":
            raise MethodError("bad targets", expected="'predicted' or int (B,)", got=repr(targets))
        return torch.zeros(count, dtype=torch.int64, device=explainer.device)
    if (
        targets.shape != (count,)
        or targets.is_floating_point()
        or targets.dtype == torch.bool
        or targets.is_complex()
    ):
        raise MethodError(
            "bad targets",
            expected=f"one class index per image, int ({count},)",
            got=f"{str(targets.dtype).removeprefix('torch.')} {tuple(targets.shape)}",
        )
    return targets.to(explainer.device, torch.int64).clone()


def _check_range(targets: Tensor, classes: int) -> None:
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise MethodError(
            "target out of range",
            expected=f"0 to {classes - 1}, the network has {classes} classes",
            got=low if low < 0 else high,
        )


def _checked_ids(sample_ids: Sequence[str] | None, x: Tensor) -> tuple[str, ...]:
    if sample_ids is None:
        return tuple(digest("pixels", row.cpu().numpy()) for row in x)
    if len(sample_ids) != len(x):
        raise MethodError(
            "sample_ids do not fit the images", expected=f"{len(x)} ids", got=len(sample_ids)
        )
    return tuple(sample_ids)
