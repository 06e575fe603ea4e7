"""Guided backprop and deconvnet: other backwards through a ReLU, one forward for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from xaieval.methods.rules.layers import LAYERS
from xaieval.methods.rules.names import LINEAR, MAXIMA, SHAPE, names
from xaieval.methods.rules.norms import NORMS
from xaieval.methods.rules.watch import Call, Watch

ReluKind = Literal["plain", "guided", "deconvnet"]

# Products and norms are no activations: calculus goes through them. A choice between values may
# well be one, written by hand.
_PASSING = (SHAPE | LINEAR | MAXIMA | NORMS | LAYERS.keys()) - names("masked_fill where") | names(
    "div einsum local_response_norm matmul mul rdiv"
)


@dataclass(frozen=True)
class ReluRule:
    """A rule for the backward of every ReLU; all else follows calculus.

    With z the input of a ReLU and g the gradient at its output:

    ============= ======================== ===========================================
    ``plain``      g · [z > 0]              calculus
    ``deconvnet``  max(g, 0)                Zeiler and Fergus 2014, section 2.1
    ``guided``     max(g, 0) · [z > 0]      Springenberg et al. 2015, section 3.4
    ============= ======================== ===========================================

    ReLU6 too is a ReLU: ``plain`` and ``guided`` also stop where z ≥ 6, as its derivative does;
    ``deconvnet`` ignores the forward, so it rectifies the gradient and nothing else (clipping it
    at 6 would make the map depend on the scale of the logits). Max-pooling hands the gradient to
    the winner, which is deconvnet's unpooling with switches. For a network that has any other
    activation on the way to the logits the rules are not defined.
    """

    kind: ReluKind
    group: ClassVar[str] = "relu"
    folded: ClassVar[bool] = False
    rows: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return {"plain": "the gradient", "guided": "guided backprop"}.get(self.kind, self.kind)


EXPECTED = "ReLU or ReLU6 as the only activation"


class ReluWatch(Watch):
    """Replaces ReLUs by ones that read the rule when the gradient arrives.

    Attributes
    ----------
    kind : str
        The rule of the next backward.
    """

    def __init__(self, module: nn.Module) -> None:
        handlers = {"relu": self._relu, "relu6": self._relu}
        bounded = dict.fromkeys(("clamp", "clamp_min", "hardtanh", "threshold"), self._bounded)
        super().__init__(module, passing=_PASSING, handlers={**handlers, **bounded})
        self.kind: ReluKind = "plain"

    def _relu(self, call: Call) -> Any:
        return self._replace(call, 6.0 if call.name == "relu6" else None)

    def _bounded(self, call: Call) -> Any:
        low, high = _bounds(call)
        if low != 0 or (high is not None and high <= 0):
            found = call.run()
            self.block(found, f"{call.name} with bounds {low} and {high}")
            return found
        return self._replace(call, high)

    def _replace(self, call: Call, high: float | None) -> Any:
        return call.write(_Relu.apply(call.operand, high, self))  # type: ignore[no-untyped-call]


def _bounds(call: Call) -> tuple[Any, Any]:
    """Return what a call clamps to, None for no bound."""
    names = {
        "hardtanh": ("min_val", "max_val"),
        "clamp": ("min", "max"),
        "clamp_min": ("min",),
        "threshold": ("threshold", "value"),
    }[call.name]
    default = {"min_val": -1.0, "max_val": 1.0}
    given = [*call.args[1:], *[None] * len(names)]
    values = [
        call.options.get(name, default.get(name) if value is None else value)
        for name, value in zip(names, given, strict=False)
    ]
    if call.name == "threshold":
        return (0.0 if values == [0, 0] else f"threshold {values}"), None
    return values[0], values[1] if len(values) > 1 else None


class _Relu(torch.autograd.Function):
    """max(z, 0), or min(max(z, 0), high), with the watch's rule as its backward."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, high: float | None, watch: ReluWatch) -> Tensor:
        ctx.watch = watch
        ctx.save_for_backward(z > 0 if high is None else (z > 0) & (z < high))
        return z.relu() if high is None else z.clamp(0.0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (g,), (active,) = gradients, ctx.saved_tensors
        if ctx.watch.kind != "plain":
            g = g.clamp(min=0)
        if ctx.watch.kind != "deconvnet":
            g = torch.where(active, g, torch.zeros_like(g))
        return g, None, None
