"""ReLU rules against a naive backward, by hand, and where they are not defined."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import MethodError, NotDefinedError
from xaieval.methods.rules import ReluRule, run_rules, undefined

ALL = [ReluRule("plain"), ReluRule("guided"), ReluRule("deconvnet")]
SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "functional": F.relu,
    "torch": torch.relu,
    "in-place": lambda z: F.relu(z, inplace=True),
    "method": lambda z: z.relu_(),
    "clamp": lambda z: z.clamp(min=0),
    "clamp_min": lambda z: torch.clamp_min(z, 0),
    "threshold": lambda z: F.threshold(z, 0.0, 0.0),
}


class Net(nn.Module):
    """Two convolutions, a residual sum, one ReLU used three times."""

    def __init__(self, act: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)
        self.act = act or nn.ReLU()
        self.double().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.act(self.first(x))
        b = self.act(F.max_pool2d(a, 2) + self.second(F.max_pool2d(a, 2)))
        logits: Tensor = self.head(self.act(b.mean((2, 3)) - 0.2))
        return logits


def picture(count: int = 2, size: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, 3, size, size, generator=generator).double()


def first_class(logits: Tensor) -> Tensor:
    return torch.zeros(len(logits), dtype=torch.int64)


def naive(x: Tensor, net: Net, kind: str, high: float) -> Tensor:
    """Go back through ``Net`` by the papers' words, layer by layer."""

    def relu_back(g: Tensor, z: Tensor) -> Tensor:
        if kind != "plain":
            g = torch.where(g > 0, g, 0)
        return g if kind == "deconvnet" else torch.where((z > 0) & (z < high), g, 0)

    z1 = net.first(x)
    pooled, places = F.max_pool2d(z1.clamp(0, high), 2, return_indices=True)
    z2 = pooled + net.second(pooled)
    g = net.head.weight[:1].expand(len(x), -1)
    g = relu_back(g, z2.clamp(0, high).mean((2, 3)) - 0.2)
    g = (g[:, :, None, None] / z2[0, 0].numel()).expand_as(z2)
    g = relu_back(g, z2)
    g = g + F.conv_transpose2d(g, net.second.weight, padding=1)
    g = F.max_unpool2d(g.contiguous(), places, 2, output_size=z1.shape[2:])
    return F.conv_transpose2d(relu_back(g, z1), net.first.weight)


def relu_of(high: float) -> nn.Module:
    return nn.ReLU() if high == float("inf") else nn.Hardtanh(0.0, high)


@pytest.mark.parametrize("high", [float("inf"), 6.0, 0.5])
def test_naive_twin(high: float) -> None:
    net = Net(nn.ReLU6() if high == 6.0 else relu_of(high))
    x = picture() * 3
    for rule, found in zip(ALL, run_rules(ALL, net, x, first_class, module=net), strict=True):
        expected = naive(x, net, rule.kind, high)
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_by_hand() -> None:
    class Hand(nn.Module):
        """max(x₀ − x₁, 0) − max(x₁ − x₀, 0) for two pixels."""

        def forward(self, x: Tensor) -> Tensor:
            a, b = x[:, 0, 0, 0], x[:, 0, 0, 1]
            return ((a - b).relu() - (b - a).relu())[:, None]

    x = torch.tensor([[[[3.0, 1.0]]], [[[1.0, 3.0]]]])
    plain, guided, deconvnet = run_rules(ALL, Hand(), x, first_class, module=Hand())
    assert plain.flatten(1).tolist() == [[1, -1], [1, -1]]
    # What reaches the second ReLU is −1, so it stops there; the first one is closed in row two.
    assert guided.flatten(1).tolist() == [[1, -1], [0, 0]]
    assert deconvnet.flatten(1).tolist() == [[1, -1], [1, -1]]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_to_write_a_relu(shape: str) -> None:
    x, net = picture(), Net(SHAPES[shape])
    expected = run_rules(ALL, Net(), x, first_class, module=Net())
    for found, module in zip(
        run_rules(ALL, net, x, first_class, module=net), expected, strict=True
    ):
        assert torch.equal(found, module)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (nn.SiLU(), "silu"),
        (nn.GELU(), "gelu"),
        (nn.Sigmoid(), "sigmoid"),
        (nn.Tanh(), "tanh"),
        (nn.Softmax(1), "softmax"),
        (nn.Hardswish(), "hardswish"),
        (nn.LeakyReLU(), "leaky_relu"),
        (nn.Hardtanh(), "hardtanh"),
        (nn.Dropout(0.5).train(), "dropout"),
        (lambda z: z**2, "pow"),
        (lambda z: torch.where(z > 0, z, 0.0), "where"),
    ],
)
def test_not_defined_for_other_activations(act: Callable[[Tensor], Tensor], name: str) -> None:
    net = Net(act)
    if isinstance(act, nn.Dropout):
        act.train()
    with pytest.raises(NotDefinedError, match=f"guided backprop .*{name}") as caught:
        run_rules([ReluRule("guided")], net, picture(), first_class, module=net)
    layer = "act" if isinstance(act, nn.Module) else "Net"
    assert str(caught.value.where).startswith(layer)
    assert undefined(ReluRule("guided"), net, picture(), module=net) == str(caught.value)
    assert undefined(ReluRule("guided"), Net(), picture(), module=Net()) is None


def test_a_branch_that_the_logits_do_not_read_may_hold_anything() -> None:
    class TwoHeads(Net):
        def forward(self, x: Tensor) -> Tensor:
            self.mask = torch.sigmoid(self.first(x)).exp()
            return super().forward(x)

    net = TwoHeads()
    (found,) = run_rules([ReluRule("guided")], net, picture(), first_class, module=net)
    (expected,) = run_rules([ReluRule("guided")], Net(), picture(), first_class, module=Net())
    assert torch.equal(found, expected)


def test_rows_do_not_feel_their_company() -> None:
    x, net = picture(4).float(), Net().float()
    others = torch.cat([torch.randn(1, 3, 10, 10), x[1:2], torch.randn(2, 3, 10, 10)])
    for one, other in zip(
        run_rules(ALL, net, x, first_class, module=net),
        run_rules(ALL, net, others, first_class, module=net),
        strict=True,
    ):
        assert torch.equal(one[1], other[1])


def test_the_network_is_as_before() -> None:
    class Failing(Net):
        fail = False

        def forward(self, x: Tensor) -> Tensor:
            found = super().forward(x)
            if self.fail:
                raise RuntimeError("no")
            return found

    net, x = Failing(), picture()
    before = net(x)
    run_rules(ALL, net, x, first_class, module=net)
    assert torch.equal(net(x), before)
    net.fail = True
    with pytest.raises(RuntimeError, match="no"):
        run_rules(ALL, net, x, first_class, module=net)
    net.fail = False
    assert torch.equal(net(x), before)
    assert not any(p.requires_grad for p in net.parameters())
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    (plain,) = run_rules([ALL[0]], net, x, first_class, module=net)
    torch.testing.assert_close(gradient, plain, rtol=1e-12, atol=1e-15)


def test_bad_calls() -> None:
    net = Net()
    with pytest.raises(MethodError, match="rules that do not run together"):
        run_rules([], net, picture(), first_class, module=net)
    with pytest.raises(MethodError, match="not frozen"):
        run_rules(ALL, net, picture(), first_class, module=net.requires_grad_())
    still = Net()
    with pytest.raises(MethodError, match="the logits have no gradient"):
        run_rules(ALL, lambda x: still(x).detach(), picture(), first_class, module=still)
