"""DeepLIFT: multipliers, changes of outputs over changes of inputs from a baseline to the picture.

The network runs twice, at the baseline and at the picture. The second time each nonlinear function
knows what it was given the first time, and its backward hands on Δout / Δin instead of the
derivative. Calls are matched by their order, so a module that is used several times (on which
captum's hooks raise) is no special case. Every rule here satisfies Σ m Δin = Δout, so
the attributions m · (x − b) add up to f(x) − f(b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import NotDefinedError
from xaieval.methods.rules.attention import ATTENTION, attention
from xaieval.methods.rules.layers import LAYERS
from xaieval.methods.rules.multipliers import MaxPool, Normalised, Product, Rescaled, Softmax
from xaieval.methods.rules.names import ACTIVATIONS, BOUNDED, LINEAR, SHAPE, names
from xaieval.methods.rules.norms import NORMS, read_norm
from xaieval.methods.rules.watch import Call, Watch, tensors

_KINKED = frozenset({"hardshrink", "leaky_relu", "prelu", "relu", "relu6", "rrelu", "softshrink"})
_SMOOTH = names("""
    abs cos exp hardsigmoid log log_sigmoid logsigmoid pow reciprocal rsqrt sigmoid softplus sqrt
    square
    """)
_ELEMENTWISE = ACTIVATIONS | BOUNDED | _SMOOTH

EXPECTED = (
    "linear layers, elementwise functions, products, softmax, norms, attention, sums, average and "
    "max-pooling"
)


@dataclass(frozen=True)
class DeepLiftRule:
    """DeepLIFT with the rescale rule. Shrikumar, Greenside, Kundaje 2017, section 3.5.1.

    ==================== ==============================================================
    f(z), elementwise     Δf / Δz; f'(z) where Δz is about 0
    x · y, x yᵀ           mean(y) Δx + mean(x) Δy, means of baseline and picture
                          (the Shapley value of both factors, as in SHAP)
    softmax               exp(s − log Σ exp s): the first rule for exp, Σ and log, so that no
                          multiplier exceeds 1
    norms                 the first two rules for their sums and roots
    max-pooling           captum's: the rise to the larger maximum goes to the
                          picture's winner, the fall from it to the baseline's
    the rest              linear: the gradient
    ==================== ==============================================================

    Deviations from captum 0.9, as completeness asks: where windows of a max-pooling overlap, it
    keeps one of the contributions that meet at a pixel, here they add up; where an activation and
    a max-pooling share a tensor, its hooks run in the wrong order and lose part of the change.

    Attributes
    ----------
    baseline : str
        What stands for "nothing here".
    """

    baseline: str = "zero"
    group: ClassVar[str] = "deeplift"
    folded: ClassVar[bool] = False
    rows: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return "DeepLIFT"


class DeepLiftWatch(Watch):
    """Records a run at the baseline, then gives the run at the picture its multipliers.

    Run the network twice under the same watch, with ``turn`` in between.
    """

    def __init__(self, module: nn.Module) -> None:
        pools = ("max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d")
        super().__init__(
            module,
            passing=SHAPE | LINEAR | LAYERS.keys(),
            handlers={
                **dict.fromkeys(_ELEMENTWISE, self._elementwise),
                **dict.fromkeys(("mul", "matmul", "einsum"), self._product),
                **dict.fromkeys(("div", "rdiv"), self._quotient),
                **dict.fromkeys(pools, self._max_pool),
                **dict.fromkeys(NORMS, self._norm),
                **dict.fromkeys(ATTENTION, lambda call: attention(self, call)),
                **dict.fromkeys(("masked_fill", "where"), self._choice),
                "softmax": self._softmax,
            },
        )
        self._recorded: list[tuple[str, tuple[Tensor, ...]]] = []
        self._next = 0
        self._recording = True

    def turn(self) -> None:
        """From the baseline to the picture."""
        self._recording = False

    def _before(self, name: str, *values: Tensor) -> tuple[Tensor, ...] | None:
        """Record values at the baseline; at the picture return those recorded at this call."""
        if self._recording:
            # Copies: the network may overwrite what it goes on with.
            self._recorded.append((name, tuple(v.detach().clone() for v in values)))
            return None
        known, found = self._recorded[self._next] if self._next < len(self._recorded) else ("", ())
        if known != name or [v.shape for v in found] != [v.shape for v in values]:
            raise NotDefinedError(
                "DeepLIFT is not defined for this network: it computes other things for the "
                f"picture than for the baseline, from {name} on",
                where=self._layer(),
                fix="leave this method out for this network",
            )
        # Let go of each as soon as it was used.
        self._recorded[self._next] = ("", ())
        self._next += 1
        return found

    def _elementwise(self, call: Call) -> Any:
        if len(call.carriers) > 1 or not call.operand.requires_grad:
            found = call.run()
            self.block(found, f"{call.name} of several values that depend on the input")
            return found
        z, function = call.operand, call.elementwise()
        before = self._before(call.name, z)
        if before is None:
            return call.run()
        smooth = call.name not in _KINKED | BOUNDED
        return call.write(Rescaled.apply(z, before[0], function, smooth))  # type: ignore[no-untyped-call]

    def _choice(self, call: Call) -> Any:
        """Run a function that is linear while its constants are the same for both pictures."""
        constants = [t for t in tensors((call.args, call.options)) if not t.requires_grad]
        before = self._before(call.name, *constants)
        found = call.run()
        if before is not None and not all(map(torch.equal, constants, before)):
            self.block(found, f"{call.name} by what is chosen from the input")
        return found

    def _product(self, call: Call) -> Any:
        carriers = call.carriers
        if len(carriers) == 1:
            return self._choice(call) if call.name == "mul" else call.run()
        if len(carriers) > 2:
            found = call.run()
            self.block(found, f"{call.name} of more than two values that depend on the input")
            return found
        if call.name == "einsum":
            equation = call.args[0]

            def product(a: Tensor, b: Tensor) -> Tensor:
                return torch.einsum(equation, a, b)
        else:

            def product(a: Tensor, b: Tensor) -> Tensor:
                return a * b if call.name == "mul" else a @ b

        a, b = carriers
        before = self._before(call.name, a, b)
        if before is None:
            return call.run()
        return call.write(Product.apply(a, b, *before, product))  # type: ignore[no-untyped-call]

    def _quotient(self, call: Call) -> Any:
        one, other = call.operand, call.second("other")
        above, below = (one, other) if call.name == "div" else (other, one)
        if not (isinstance(below, Tensor) and below.requires_grad):
            return call.run()
        if call.options.get("rounding_mode") is not None or call.in_place:
            found = call.run()
            self.block(found, call.name)
            return found
        with self:
            return below.reciprocal() * above

    def _max_pool(self, call: Call) -> Any:
        z = call.operand
        before = self._before(call.name, z)
        if before is None:
            return call.run()
        pool: Callable[..., tuple[Tensor, Tensor]] = getattr(F, call.name)
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        places = ("output_size",) if call.name.startswith("adaptive") else names
        given = dict(zip(places, call.args[1:], strict=False)) | call.options
        wanted = given.pop("return_indices", False) or "with_indices" in call.func.__name__
        for key in [k for k in given if k not in places]:
            given.pop(key)
        with torch.no_grad():
            (_, winners), (least, winners_before) = (
                pool(v, **given, return_indices=True) for v in (z, before[0])
            )
        axes = 2 if "2d" in call.name else 1
        found = MaxPool.apply(z, before[0], least, winners, winners_before, axes)  # type: ignore[no-untyped-call]
        return (found, winners) if wanted else found

    def _softmax(self, call: Call) -> Any:
        s, axis = call.operand, call.second("dim")
        before = self._before(call.name, s)
        if axis is None or call.options.get("dtype") is not None:
            found = call.run()
            self.block(found, "softmax with a type or without an axis")
            return found
        return call.run() if before is None else Softmax.apply(s, before[0], axis)  # type: ignore[no-untyped-call]

    def _norm(self, call: Call) -> Any:
        norm = read_norm(call)
        if norm is None:
            return call.run()
        x = norm.x - norm.x.mean(norm.axes, keepdim=True) if norm.centred else norm.x
        before = self._before(call.name, x)
        if before is None:
            return call.run()
        return norm.finish(Normalised.apply(x, before[0], norm))  # type: ignore[no-untyped-call]
