"""Running methods on a batch: the plan's passes, then each method on what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.calls import MethodCall
from xaieval.methods.cam import check_upsampling
from xaieval.methods.inputs import checked_input
from xaieval.methods.passes import Rows, rows_for
from xaieval.methods.run import Floats, OnMethod, Run
from xaieval.methods.steady import steady
from xaieval.models import Classifier


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
        x = self._brought(checked_input(x))
        run = Run(
            x,
            classifier=self.classifier,
            prepared=self.prepared,
            rows=self.rows((x.shape[2], x.shape[3])),
            upsampling=self.upsampling,
            methods=methods,
            targets=targets,
            sample_ids=sample_ids,
            seed=seed,
            pooled=pooled,
            on_method=on_method,
            cancelled=cancelled,
        )
        return Explanation(*run.run())

    def _brought(self, x: Tensor) -> Tensor:
        """Return input on the device in the network's type; exact work in float64 widens both."""
        if self.exact and x.dtype == torch.float64 and self.dtype == torch.float32:
            self.prepared.module.double()
            self.dtype = torch.float64
        layout = torch.contiguous_format if self.exact else torch.channels_last
        return x.to(self.device, self.dtype).contiguous(memory_format=layout)

    def rows(self, size: tuple[int, int]) -> Rows:
        """Return how many rows a pass holds for pictures of ``size`` (height, width)."""
        if size not in self._rows:
            self._rows[size] = rows_for(self.device, size, torch.get_num_threads())
        return self._rows[size]
