"""DeepLIFT: completeness on every kind of network, captum's own where it is defined, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from captum.attr import DeepLift
from torch import Tensor, nn

from xaieval.errors import MethodError, NotDefinedError
from xaieval.methods.rules import DeepLiftRule, run_rules, undefined
from xaieval.methods.rules.multipliers import Softmax

RULE = DeepLiftRule()


def picture(count: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator).double()


def class_one(logits: Tensor) -> Tensor:
    return torch.ones(len(logits), dtype=torch.int64)


def frozen(net: nn.Module) -> nn.Module:
    return net.double().eval().requires_grad_(False)


def gap(net: nn.Module, x: Tensor, baseline: Tensor | None = None) -> tuple[Tensor, float]:
    """Return the attribution, and how far its sum is from the logit's change, relative to that."""
    start = torch.zeros_like(x) if baseline is None else baseline
    (found,) = run_rules(
        [RULE],
        net,
        x,
        class_one,
        module=net,
        baselines=None if baseline is None else {"zero": start},
    )
    change = (net(x) - net(start))[:, 1]
    return found, float((found.sum((1, 2, 3)) - change).abs().max() / change.abs().max())


class Same(nn.Module):
    """Nothing, between an activation and a max-pooling.

    Where the two share a tensor captum's hooks on it run in the wrong order, and its attributions
    no longer add up: its ``convergence_delta`` says so.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * 1.0


class Sequential(nn.Sequential):
    """A network for captum: each module once, max-pooling without overlap."""

    def __init__(self, act: type[nn.Module] = nn.ReLU) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 5, 3),
            act(),
            Same(),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            act(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 8),
            act(),
            nn.Linear(8, 3),
        )
        frozen(self)


@pytest.mark.parametrize("act", [nn.ReLU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.LeakyReLU, nn.Softplus])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.filterwarnings("ignore:Input Tensor")
def test_captum(act: type[nn.Module], noisy: bool) -> None:
    net, x = Sequential(act), picture()
    baseline = picture(seed=1) / 3 if noisy else torch.zeros_like(x)
    found, lost = gap(net, x, baseline)
    expected = DeepLift(net).attribute(x, baselines=baseline, target=1).detach()
    assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert lost < 1e-12


def test_by_hand() -> None:
    class Hand(nn.Module):
        """max(x₀ − 1, 0) · 2 + x₁ · x₂ from zero."""

        def forward(self, x: Tensor) -> Tensor:
            a, b, c = x[:, 0, 0].unbind(1)
            return torch.stack([a, (a - 1).relu() * 2 + b * c], 1)

    net, x = Hand(), torch.tensor([[[[4.0, 3.0, 5.0]]], [[[0.5, 3.0, 0.0]]]])
    (found,) = run_rules([RULE], net, x, class_one, module=net)
    # From −1 to 3 the ReLU rises by 3: ¾ per unit, ¾ · 4 · 2 = 6. The product 15 is shared evenly.
    assert found[0].flatten().tolist() == [6.0, 7.5, 7.5]
    assert found[1].flatten().tolist() == [0.0, 0.0, 0.0]
    start = torch.ones_like(x)
    (found,) = run_rules([RULE], net, x, class_one, module=net, baselines={"zero": start})
    # From 1 · 1 to 3 · 5: (3 − 1) · mean(5, 1) and (5 − 1) · mean(3, 1).
    assert found[0].flatten().tolist() == [6.0, 6.0, 8.0]


class Net(nn.Module):
    """A residual network with one activation used three times."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)
        self.act = act
        frozen(self)

    def forward(self, x: Tensor) -> Tensor:
        a = F.max_pool2d(self.act(self.first(x)), 3, stride=2, padding=1)
        b = self.second(a)
        b += a
        logits: Tensor = self.head(self.act(self.act(b).mean((2, 3))))
        return logits


ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.ReLU(),
    "in-place": lambda z: F.relu(z, inplace=True),
    "method": lambda z: z.relu_(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "gelu-tanh": nn.GELU("tanh"),
    "hardswish": nn.Hardswish(),
    "mish": nn.Mish(),
    "prelu": nn.PReLU(),
    "swish by hand": lambda z: z * torch.sigmoid(z),
    "quotient": lambda z: z / (1 + z.exp()),
    "reciprocal": lambda z: 1 / (1 + z.square()),
    "power": lambda z: z**2,
    "softmax": lambda z: z.softmax(1),
    "normalised": lambda z: F.layer_norm(z, z.shape[1:]),
}


@pytest.mark.parametrize("act", ACTS)
def test_completeness(act: str) -> None:
    net, x = Net(ACTS[act]), picture()
    for baseline in (None, picture(seed=4), x + 1e-9 * picture(seed=5)):
        found, lost = gap(net, x, baseline)
        assert found.isfinite().all()
        # Next to the picture the change itself is known to seven digits.
        assert lost < (1e-12 if baseline is None or (baseline - x).abs().max() > 1 else 1e-4)


def test_every_way_to_write_a_relu() -> None:
    known, x = gap(Net(nn.ReLU()), picture())[0], picture()
    for act in (ACTS["in-place"], ACTS["method"], lambda z: z.clamp(min=0), torch.relu):
        assert torch.equal(gap(Net(act), x)[0], known)


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.squeeze, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)
        frozen(self)

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.conv(x))
        gate = torch.sigmoid(self.squeeze(a.mean((2, 3), keepdim=True)))
        a = a * 1.0
        a *= gate
        logits: Tensor = self.head(a.mean((2, 3)))
        return logits


class Transformer(nn.Module):
    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(
            8, 2, 16, activation="gelu", batch_first=True, norm_first=norm_first
        )
        self.head = nn.Linear(8, 2)
        frozen(self)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.block(tokens).mean(1))
        return logits


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.norms = nn.Sequential(
            nn.GroupNorm(2, 4),
            nn.Tanh(),
            nn.InstanceNorm2d(4, affine=True),
            nn.RMSNorm([4, 10, 10], eps=1e-3),
        )
        frozen(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.norms(self.conv(x))).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    "make", [SqueezeExcite, Norms, lambda: Transformer(True), lambda: Transformer(False)]
)
def test_completeness_of_products_norms_and_attention(make: Callable[[], nn.Module]) -> None:
    net, x = make(), picture()
    for baseline in (None, picture(seed=6)):
        found, lost = gap(net, x, baseline)
        assert found.abs().max() > 0
        assert lost < 1e-9


def test_next_to_the_picture_it_is_the_gradient() -> None:
    net, x = Transformer(True), picture()
    (found,) = run_rules([RULE], net, x, class_one, module=net, baselines={"zero": x - 1e-5})
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(found / 1e-5, gradient, rtol=1e-3, atol=1e-6)


def test_single_precision_stays_near() -> None:
    net, x = SqueezeExcite(), picture()
    wide, _ = gap(net, x)
    (narrow,) = run_rules([RULE], net.float(), x.float(), class_one, module=net)
    assert (narrow - wide).abs().max() <= 1e-4 * wide.abs().max()


def test_refusals() -> None:
    x = picture()
    net = Net(lambda z: z.cumprod(1))
    with pytest.raises(NotDefinedError, match=r"DeepLIFT is not defined .* no rule for cumprod"):
        run_rules([RULE], net, x, class_one, module=net)
    found = undefined(RULE, net, x, module=net)
    assert found is not None
    assert found.startswith("Net: ")
    found = undefined(RULE, Net(lambda z: torch.where(z > 0, z, 0.0)), x, module=net)
    assert found is not None
    assert "where by what is chosen from the input" in found
    assert undefined(RULE, Net(nn.ReLU()), x, module=net) is None

    class Choosing(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.tanh() if x.any() else x)

    net = Choosing(nn.ReLU())
    with pytest.raises(NotDefinedError, match="computes other things for the picture"):
        run_rules([RULE], net, x, class_one, module=net)
    with pytest.raises(MethodError, match="no baseline was given"):
        run_rules([DeepLiftRule("blurred")], net, x, class_one, module=net)


def test_rows_do_not_feel_their_company_and_the_network_is_as_before() -> None:
    net, x = Net(nn.ReLU()).float(), picture(4).float()
    before = net(x)
    others = torch.cat([x[3:], x[1:2], -x[:2]])
    (one,), (other,) = (run_rules([RULE], net, rows, class_one, module=net) for rows in (x, others))
    assert torch.equal(one[1], other[1])
    with pytest.raises(RuntimeError):
        run_rules([RULE], net, x[:, :2], class_one, module=net)
    assert torch.equal(net(x), before)


def test_softmax_multipliers_are_at_most_one() -> None:
    """Also where the two inputs attend to different places, far apart."""
    before = torch.tensor([[-30.0, 5.0, 10.0, -torch.inf]], dtype=torch.float64)
    s = torch.tensor([[40.0, 0.0, -20.0, -torch.inf]], dtype=torch.float64).requires_grad_()
    found = Softmax.apply(s, before, 1)
    change = torch.where(before.isinf(), 0, s.detach() - before)
    for place in range(4):
        (m,) = torch.autograd.grad(found[0, place], s, retain_graph=True)
        assert m.abs().max() <= 1
        wanted = (found - before.softmax(1))[0, place]
        torch.testing.assert_close((m * change).sum(), wanted.detach())
