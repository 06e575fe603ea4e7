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


def test_the_gate_is_what_guided_backprop_lacks() -> None:
    net = Gated()
    why = undefined(ReluRule("guided"), net, torch.ones(1, 3, 8, 8), module=net)
    assert why is not None
    assert "sigmoid" in why
