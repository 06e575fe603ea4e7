"""What a watch leaves behind: nothing."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xaieval.errors import NotDefinedError
from xaieval.methods.rules import DeepLiftRule, LrpRule, ReluRule, Rule, run_rules, undefined
from xaieval.methods.rules.watch import Watch


class Gated(nn.Module):
    """ReLUs and a gate by sigmoid, which no rule lets pass by itself."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.broken = broken
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()
        x = x * self.gate(x.mean((2, 3), keepdim=True)).relu().sigmoid()
        if self.broken:
            raise RuntimeError("out of memory, say")
        return x.mean((2, 3))


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("rule", [LrpRule(), ReluRule("guided"), DeepLiftRule()])
def test_no_graph_outlives_a_run(
    rule: Rule, broken: bool, monkeypatch: pytest.MonkeyPatch, make_noise: Any
) -> None:
    watches: list[weakref.ref[Watch]] = []
    init = Watch.__init__

    def noted(self: Watch, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        watches.append(weakref.ref(self))

    monkeypatch.setattr(Watch, "__init__", noted)
    net, x = Gated(broken=broken), make_noise(2, 8)
    for _ in range(3):
        with contextlib.suppress(NotDefinedError, RuntimeError):
            run_rules([rule], net, x, lambda logits: logits.argmax(1), module=net)
        with contextlib.suppress(RuntimeError):
            undefined(rule, net, x, module=net)
    gc.collect()
    assert len(watches) == 6
    assert [watch for watch in watches if watch() is not None] == []


class _Swish(torch.autograd.Function):
    """An activation that comes with its own backward, as in memory-efficient EfficientNets."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z * z.sigmoid()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        gate = z.sigmoid()
        return gradients[0] * gate * (1 + z * (1 - gate))


class Own(nn.Module):
    """Reads its own autograd function for the logits, or for another head only."""

    def __init__(self, *, reads: bool) -> None:
        super().__init__()
        self.conv, self.reads = nn.Conv2d(3, 4, 3), reads
        self.aside: Tensor | None = None
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        self.aside = _Swish.apply(z)
        return (self.aside if self.reads else z.relu()).mean((2, 3))


RULES = [LrpRule(), ReluRule("guided"), ReluRule("deconvnet"), DeepLiftRule()]


@pytest.mark.parametrize("rule", RULES)
def test_an_autograd_function_of_the_network_has_no_rule(rule: Rule, make_noise: Any) -> None:
    x = make_noise(2, 8)
    read, aside = Own(reads=True), Own(reads=False)
    with pytest.raises(NotDefinedError, match="no rule for the autograd function _Swish"):
        run_rules([rule], read, x, lambda logits: logits.argmax(1), module=read)
    assert undefined(rule, aside, x, module=aside) is None


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("rule", RULES)
def test_torchscript_is_not_seen(rule: Rule, make_noise: Any) -> None:
    x = make_noise(2, 8)
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    net = nn.Sequential(torch.jit.trace(inner, x), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.eval().requires_grad_(False)
    why = undefined(rule, net, x, module=net)
    assert why is not None
    assert "TorchScript" in why


def test_the_gate_is_what_guided_backprop_lacks() -> None:
    net = Gated()
    why = undefined(ReluRule("guided"), net, torch.ones(1, 3, 8, 8), module=net)
    assert why is not None
    assert "sigmoid" in why
