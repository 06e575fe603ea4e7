"""Layer-wise relevance propagation (LRP) through a whole network at once."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from xaieval.errors import NotDefinedError
from xaieval.methods.rules import lrp_rules
from xaieval.methods.rules.attention import ATTENTION, attention
from xaieval.methods.rules.composites import COMPOSITES, LrpRule
from xaieval.methods.rules.layers import LAYERS, Affine
from xaieval.methods.rules.names import ACTIVATIONS, BOUNDED, GATES, LINEAR, MAXIMA, SHAPE, names
from xaieval.methods.rules.norms import NORMS, read_norm
from xaieval.methods.rules.watch import Call, Watch, replaced, tensors

EXPECTED = (
    "linear layers and convolutions, activations with f(0) = 0, sums, poolings, norms, gates by "
    "sigmoid or softmax, attention"
)
# Elementwise with constants: what was a gate, or the picture, still is one.
_ELEMENTWISE = names(
    """
    add div mul neg rsub sub
    """
)


@dataclass(frozen=True, eq=False)
class _Picture:
    """What is known of a tensor that is the picture, moved, padded or normalised.

    Attributes
    ----------
    support : Tensor or None
        1 where there is a pixel, 0 where zeros were padded; None: pixels throughout.
    low, high : Tensor or None
        Bounds of each value.
    """

    support: Tensor | None
    low: Tensor | None
    high: Tensor | None


class LrpWatch(Watch):
    """Runs a network so that gradients become relevance over activation, R = a · g.

    With that, whatever is linear (residual sums, concatenation, poolings, cuts, norms with their
    statistics held constant) shares relevance by calculus alone. Layers follow ``lrp_rules``;
    an activation a = f(z) with f(0) = 0 hands on all it gets (g_z = g_a · a / z); max-pooling hands
    it to the winner. Of a product of a value and a gate (sigmoid or softmax: squeeze-excite,
    attention) the value takes all and the gate is a constant: Arras et al. 2017 for gates, Ali et
    al. 2022 for attention weights and for the deviation in layer norms. Products of two values that
    both carry relevance, and all else, have no rule.

    Attributes
    ----------
    rule : LrpRule
        That of the next backward.
    """

    def __init__(
        self, module: nn.Module, rules: Sequence[LrpRule], bounds: tuple[Tensor, Tensor] | None
    ) -> None:
        super().__init__(
            module,
            passing=SHAPE | LINEAR | MAXIMA,
            handlers={
                **dict.fromkeys(LAYERS, self._layer_call),
                **dict.fromkeys(ACTIVATIONS | BOUNDED, self._activation),
                **dict.fromkeys(GATES, self._gate),
                **dict.fromkeys(NORMS, self._norm),
                **dict.fromkeys(ATTENTION, lambda call: attention(self, call)),
                **dict.fromkeys(("mul", "div", "rdiv", "matmul", "einsum"), self._product),
            },
        )
        self.rule = rules[0]
        self._first = {rule.first for rule in rules} - {None}
        self._bounds = bounds
        for rule in rules:
            if rule.first == "box" and bounds is None:
                raise NotDefinedError(
                    f"{rule.label} is not defined for this network: the range of its input is "
                    "unknown",
                    expected="preprocessing with a mean and a deviation",
                    fix="give the classifier its preprocessing, or take a composite without box",
                )
        # Weak, so that activations live no longer than the network needs them.
        self._gates: MutableMapping[Tensor, bool] = WeakTensorKeyDictionary()
        self._pictures: MutableMapping[Tensor, _Picture] = WeakTensorKeyDictionary()

    def start(self, x: Tensor) -> None:
        """Say which tensor is the picture."""
        if not self._first:
            return
        low = high = None
        if "box" in self._first and self._bounds is not None:
            low, high = (bound.to(x).expand_as(x) for bound in self._bounds)
        self._pictures[x] = _Picture(None, low, high)

    def handle(self, call: Call) -> Any:
        carriers = call.carriers
        if call.name not in LAYERS and any(c in self._pictures for c in carriers):
            return self._picture_call(call, carriers)
        found = super().handle(call)
        if call.name in SHAPE | _ELEMENTWISE and all(c in self._gates for c in carriers):
            for tensor in tensors(found):
                self._gates[tensor] = True
        return found

    def _layer_call(self, call: Call) -> Any:
        picture = self._pictures.get(call.operand)
        x, layer = LAYERS[call.name](*call.args, **call.options)
        if layer.weight.requires_grad or (layer.bias is not None and layer.bias.requires_grad):
            found = call.run()
            self.block(found, f"{call.name} whose weights depend on the input")
            return found
        if picture is not None and x is not call.operand:
            support = torch.ones_like(call.operand) if picture.support is None else picture.support
            known = (support, picture.low, picture.high)
            picture = _Picture(*(None if t is None else _padded_as(t, x) for t in known))
        batched = layer.kind == "linear" or x.ndim == layer.weight.ndim
        found = _Layer.apply(x if batched else x[None], layer, self, picture)  # type: ignore[no-untyped-call]
        return found if batched else found[0]

    def _activation(self, call: Call) -> Any:
        function = call.elementwise()
        if call.name in BOUNDED and bool(function(call.operand.new_zeros(1)) != 0):
            found = call.run()
            self.block(found, f"{call.name} with f(0) ≠ 0")
            return found
        return call.write(_Activation.apply(call.operand, function))  # type: ignore[no-untyped-call]

    def _gate(self, call: Call) -> Any:
        found = call.run()
        self.block(found, f"{call.name} that is no factor of a product")
        self._gates[found] = True
        return found

    def _product(self, call: Call) -> Any:
        """Multiply; gates are constants for whatever else is a factor."""
        carriers = call.carriers
        values = [c for c in carriers if c not in self._gates]
        divisor = None
        if call.name in {"div", "rdiv"}:
            divisor = call.second("other") if call.name == "div" else call.operand
        if (
            len(values) == 1
            and len(carriers) > 1
            and not (call.in_place and call.operand in self._gates)
        ):

            def constant(tensor: Tensor) -> Tensor:
                return tensor.detach() if tensor in self._gates else tensor

            args, options = replaced((call.args, call.options), constant)
            call = Call(call.func, call.name, args, options)
            divisor = constant(divisor) if isinstance(divisor, Tensor) else divisor
            carriers = values
        found = call.run()
        if isinstance(divisor, Tensor) and divisor.requires_grad:
            self.block(found, f"{call.name} by a value that carries relevance")
        elif len(carriers) > 1 and values:
            self.block(found, f"{call.name} of two values that both carry relevance")
        return found

    def _norm(self, call: Call) -> Any:
        norm = read_norm(call)
        if norm is None:
            return call.run()
        x = norm.x - norm.x.mean(norm.axes, keepdim=True) if norm.centred else norm.x
        variance = x.detach().square().mean(norm.axes, keepdim=True)
        return norm.finish(x * (variance + norm.eps).rsqrt())

    def _picture_call(self, call: Call, carriers: Sequence[Tensor]) -> Any:
        """Run a function of the picture itself, before any layer."""
        x = carriers[0]
        known = self._pictures.get(x)
        alone = len(carriers) == 1 and known is not None and not call.in_place
        if alone and call.name in SHAPE:
            assert known is not None
            found = call.run()
            self._moved(call, found, known)
            return found
        if alone and call.name in _ELEMENTWISE:
            assert known is not None
            function = _of(call, x)
            found = _Through.apply(x, function, self)  # type: ignore[no-untyped-call]
            if found.shape == x.shape:
                ends = [function(t) for t in (known.low, known.high) if t is not None]
                low, high = (torch.minimum(*ends), torch.maximum(*ends)) if ends else (None, None)
                self._pictures[found] = _Picture(known.support, low, high)
                return found
        else:
            found = super().handle(call)
        self.block(found, f"{call.name} of the picture before the first layer", first_only=True)
        return found

    def _moved(self, call: Call, found: Any, known: _Picture) -> None:
        """Move what is known of the picture as the picture was moved."""
        x, support = call.carriers[0], known.support
        if support is None and call.name in {"pad", "unfold"}:
            support = torch.ones_like(x)
        blank = call
        if call.name == "pad" and call.options.get("mode", "constant") == "constant":
            blank = replace(call, options={**call.options, "mode": "constant", "value": 0.0})
        moved = [
            None if t is None else list(tensors(_of(which, x)(t.to(x))))
            for t, which in ((support, blank), (known.low, call), (known.high, call))
        ]
        for number, tensor in enumerate(tensors(found)):
            if tensor.requires_grad:
                self._pictures[tensor] = _Picture(
                    *(None if m is None else m[number] for m in moved)
                )

    def share(
        self, layer: Affine, x: Tensor, z: Tensor, g: Tensor, picture: _Picture | None
    ) -> Tensor:
        """Return what a layer hands on: relevance over input, or at the input relevance itself."""
        rule, relevance = self.rule, g * z
        chosen = COMPOSITES[rule.composite]
        if picture is not None and chosen.first == "flat":
            return lrp_rules.flat(layer, x, relevance, support=picture.support)
        if picture is not None and chosen.first == "box":
            assert picture.low is not None
            assert picture.high is not None
            return lrp_rules.box(layer, x, relevance, low=picture.low, high=picture.high)
        name = chosen.linear if layer.kind == "linear" else chosen.convolution
        if name == "epsilon":
            return lrp_rules.epsilon(layer, x, z, relevance, epsilon=rule.epsilon)
        if name == "gamma":
            return lrp_rules.gamma(layer, x, z, relevance, gamma=rule.gamma)
        beta = 1.0 if name == "alpha2beta1" else 0.0
        return lrp_rules.alpha_beta(layer, x, z, relevance, beta=beta, bias=name != "zplus")


def _of(call: Call, x: Tensor) -> Callable[[Tensor], Any]:
    """Return the call as a function of one of its arguments."""

    def function(value: Tensor) -> Any:
        args, options = replaced((call.args, call.options), lambda t: value if t is x else t)
        return call.func(*args, **options)

    return function


def _padded_as(known: Tensor, x: Tensor) -> Tensor:
    """Pad with zeros at the end of each axis, to the shape of ``x``."""
    missing = [big - small for big, small in zip(x.shape, known.shape, strict=True)]
    return nn.functional.pad(known, [n for m in reversed(missing) for n in (0, m)])


class _Layer(torch.autograd.Function):
    """A linear layer whose backward is the watch's rule."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layer: Affine, watch: LrpWatch, picture: _Picture | None
    ) -> Tensor:
        z = layer.run(x, layer.weight, layer.bias)
        ctx.save_for_backward(x)
        # Not saved the usual way: the network may overwrite z, which calculus need not know.
        ctx.z, ctx.version = z.detach(), z._version
        ctx.layer, ctx.watch, ctx.picture = layer, watch, picture
        return z

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (x,), z = ctx.saved_tensors, ctx.z
        if z._version != ctx.version:
            z = ctx.layer.run(x, ctx.layer.weight, ctx.layer.bias)
        found = ctx.watch.share(ctx.layer, x, z, gradients[0], ctx.picture)
        return found, None, None, None


class _Activation(torch.autograd.Function):
    """a = f(z) whose relevance is that of z: the gradient is a / z."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        a = function(z)
        ctx.save_for_backward(torch.where(z == 0, 0.0, a / z))
        return a

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (ratio,) = ctx.saved_tensors
        return gradients[0] * ratio, None


class _Through(torch.autograd.Function):
    """A change of the picture's scale: relevance itself passes it unchanged."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], watch: LrpWatch
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.function, ctx.watch = function, watch
        found = function(x)
        return found.clone() if found is x else found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if ctx.watch.rule.first is not None:
            return gradients[0], None, None
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(ctx.function(leaf), leaf, gradients[0])
        return found, None, None
