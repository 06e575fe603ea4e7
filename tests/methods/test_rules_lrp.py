"""LRP: every rule against a twin in plain loops, whole networks by hand, conservation, refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaieval.errors import ConfigError, NotDefinedError
from xaieval.methods.rules import COMPOSITES, LrpRule, conservation, run_rules, undefined

EPSILON, GAMMA, TINY = 0.05, 0.3, 1e-6


def sign(value: float) -> float:
    return -1.0 if value < 0 else 1.0


def share(
    rule: str, x: list[float], w: list[float], b: float, *, low: float, high: float
) -> tuple[list[float], float]:
    """Return what each x_i w_i counts for one output, and the denominator, as papers have it."""
    z = sum(xi * wi for xi, wi in zip(x, w, strict=True)) + b

    def stable(value: float) -> float:
        return value + TINY * sign(value)

    if rule == "epsilon":
        return [xi * wi for xi, wi in zip(x, w, strict=True)], z + EPSILON * sign(z)
    if rule in {"alpha1beta0", "zplus"}:
        parts = [max(xi * wi, 0.0) for xi, wi in zip(x, w, strict=True)]
        return parts, stable(sum(parts) + (max(b, 0.0) if rule == "alpha1beta0" else 0.0))
    if rule == "gamma":
        parts = [
            xi * wi * (1 + (GAMMA if sign(xi * wi) == sign(z) else 0.0))
            for xi, wi in zip(x, w, strict=True)
        ]
        return parts, stable(sum(parts) + b * (1 + (GAMMA if sign(b) == sign(z) else 0.0)))
    if rule == "flat":
        return [1.0 for _ in x], stable(float(len(x)))
    assert rule == "box"
    parts = [
        xi * wi - low * max(wi, 0.0) - high * min(wi, 0.0) for xi, wi in zip(x, w, strict=True)
    ]
    return parts, stable(sum(parts))


def naive(rule: str, x: Tensor, w: Tensor, b: Tensor, relevance: Tensor) -> Tensor:
    """Hand relevance (n, out) back through x wᵀ + b to (n, in), with loops."""
    found = torch.zeros_like(x)
    for n in range(len(x)):
        for j in range(len(w)):
            values, weights, bias = x[n].tolist(), w[j].tolist(), b[j].item()
            if rule == "alpha2beta1":
                # Twice what the positive parts get, less what the negative ones get.
                parts, total = share("alpha1beta0", values, weights, bias, low=0, high=0)
                minus = [-v for v in weights]
                others, other = share("alpha1beta0", values, minus, -bias, low=0, high=0)
                shares = [2 * p / total - o / other for p, o in zip(parts, others, strict=True)]
            else:
                parts, total = share(rule, values, weights, bias, low=-3.0, high=3.5)
                shares = [p / total for p in parts]
            for i, part in enumerate(shares):
                found[n, i] += part * relevance[n, j]
    return found


class OneLayer(nn.Module):
    """One layer as the whole network, all outputs summed by class weights."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.double().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).flatten(1)


def class_one(logits: Tensor) -> Tensor:
    return torch.ones(len(logits), dtype=torch.int64)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def bounds(low: float = -3.0, high: float = 3.5) -> tuple[Tensor, Tensor]:
    return torch.tensor(low), torch.tensor(high)


RULES = ["epsilon", "zplus", "alpha1beta0", "alpha2beta1", "gamma"]


@pytest.mark.parametrize("rule", [*RULES, "flat", "box"])
@pytest.mark.parametrize("signed", [True, False])
def test_rule_of_a_linear_layer(rule: str, signed: bool) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(6, 4).double()
    x = random(3, 6) if signed else random(3, 6).abs()
    x[0, 2] = 0.0
    net = OneLayer(layer)
    composite = f"epsilon_{rule}" if rule in {"flat", "box"} else rule
    (found,) = run_rules(
        [LrpRule(composite, epsilon=EPSILON, gamma=GAMMA)],
        lambda rows: net(rows.flatten(1)),
        x[:, :, None, None],
        class_one,
        module=net,
        bounds=bounds(),
    )
    z = net(x)
    relevance = torch.zeros_like(z)
    relevance[:, 1] = z[:, 1]
    expected = naive(rule, x, layer.weight, layer.bias, relevance)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-9, atol=1e-12)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "strided": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
    "grouped": lambda: nn.Conv2d(2, 4, 3, groups=2, dilation=2, padding="same"),
    "even": lambda: nn.Conv2d(2, 3, 2, padding="same", bias=False),
    "transposed": lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("composite", [*RULES, "epsilon_flat", "epsilon_box"])
def test_a_convolution_is_a_linear_layer_with_many_zeros(kind: str, composite: str) -> None:
    torch.manual_seed(2)
    net, x = OneLayer(LAYERS[kind]()), random(2, 2, 5, 4)
    zero = net(torch.zeros(1, 2, 5, 4).double())[0]
    columns = net(torch.eye(40).double().reshape(40, 2, 5, 4)) - zero
    dense = nn.Linear(40, len(zero)).double().requires_grad_(False)
    dense.weight.data, dense.bias.data = columns.T.contiguous(), zero
    rule = LrpRule(composite, epsilon=EPSILON, gamma=GAMMA)
    (found,) = run_rules([rule], net, x, class_one, module=net, bounds=bounds())
    if composite == "epsilon_flat":
        # The dense twin would count the zeros too; count what the kernel covers.
        covered = (net.layer.weight != 0).double()
        flat = OneLayer(LAYERS[kind]())
        flat.layer.weight.data, flat.layer.bias = covered, None
        dense.weight.data = flat(torch.eye(40).double().reshape(40, 2, 5, 4)).T.contiguous()
        relevance = net(x)[:, 1:2]
        row = dense.weight[1]
        expected = relevance * row / (row.sum() + TINY)
    else:
        (expected,) = run_rules(
            [rule],
            lambda rows: dense(rows.flatten(1)),
            x,
            class_one,
            module=dense,
            bounds=bounds(),
        )
    torch.testing.assert_close(found.flatten(1), expected.flatten(1), rtol=1e-9, atol=1e-12)


class Chain(nn.Module):
    """Padding, convolution, residual sum, pooling, one activation used three times."""

    def __init__(self, act: Callable[[Tensor], Tensor] | None = None, *, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 4, 3, bias=bias)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=bias)
        self.hidden, self.head = nn.Linear(4, 6, bias=bias), nn.Linear(6, 3, bias=bias)
        self.act = act or nn.ReLU()
        self.double().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.act(self.first(F.pad(x, (1, 1, 1, 1))))
        b = F.max_pool2d(a, 2)
        c = self.second(b)
        c += b  # in place, over what the convolution put out
        c = self.act(c).mean((2, 3))
        logits: Tensor = self.head(self.act(self.hidden(c)))
        return logits


def picture(count: int = 2) -> Tensor:
    return random(count, 3, 8, 8, seed=7)


def test_a_network_by_relevance_itself() -> None:
    """Hand R itself back through ``Chain`` as the rule is written down."""
    net, x = Chain(), picture(1)
    (found,) = run_rules([LrpRule("epsilon_flat")], net, x, class_one, module=net)
    padded = F.pad(x, (1, 1, 1, 1))
    a = net.act(net.first(padded))
    b, places = F.max_pool2d(a, 2, return_indices=True)
    s = net.second(b)
    c = net.act(s + b)
    pooled = c.mean((2, 3))
    h = net.act(net.hidden(pooled))
    z = net.head(h)
    relevance = torch.zeros_like(z)
    relevance[:, 1] = z[:, 1]

    def back(x: Tensor, layer: Callable[[Tensor], Tensor], relevance: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        out = layer(leaf)
        ratio = (relevance / (out + TINY * torch.where(out < 0, -1.0, 1.0))).detach()
        return x * torch.autograd.grad(out, leaf, ratio)[0]

    relevance = back(h, net.head, relevance)
    relevance = back(pooled, net.hidden, relevance)
    relevance = c / c.sum((2, 3), keepdim=True).clamp(min=1e-300) * relevance[:, :, None, None]
    total = s + b
    to_s, to_b = relevance * s / total, relevance * b / total
    to_b = to_b + back(b, net.second, to_s)
    to_a = F.max_unpool2d(to_b, places, 2, output_size=a.shape[2:])
    # The flat rule: each cell's relevance in equal parts to the pixels that its kernel covers.
    expected = torch.zeros_like(x)
    for row in range(8):
        for column in range(8):
            rows = slice(max(row - 1, 0), row + 2)
            columns = slice(max(column - 1, 0), column + 2)
            window = expected[:, :, rows, columns]
            window += to_a[:, :, row, column].sum() / (window[0].numel() + TINY)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


# With other activations some outputs here have contributions of one sign only: α2β1 loses a share.
@pytest.mark.parametrize(
    ("composite", "act"),
    [
        (composite, act)
        for composite in COMPOSITES
        for act in (nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Tanh())
        if not composite.startswith("alpha2") or isinstance(act, (nn.ReLU, nn.ReLU6))
    ],
)
def test_nothing_is_lost_without_biases(composite: str, act: nn.Module) -> None:
    net, x = Chain(act, bias=False), picture()
    rule = LrpRule(composite, epsilon=1e-12)
    (found,) = run_rules([rule], net, x, class_one, module=net, bounds=bounds())
    lost = conservation(found, net(x), class_one(x))
    assert found.abs().max() > 0
    # Denominators carry 1e-6 against division by zero, next to sums of the order of 0.1.
    assert lost.max() < 2e-3, lost


def test_zplus_loses_nothing_to_biases() -> None:
    net, x = Chain(), picture()
    for name, least, most in (("zplus", 0.0, 1e-3), ("alpha1beta0", 0.05, 1.0)):
        (found,) = run_rules([LrpRule(name)], net, x, class_one, module=net)
        lost = conservation(found, net(x), class_one(x))
        assert (least <= lost).all(), name
        assert (lost <= most).all(), name


def test_many_composites_share_one_forward() -> None:
    net, x, runs = Chain(), picture(), []

    def forward(rows: Tensor) -> Tensor:
        runs.append(len(rows))
        logits: Tensor = net(rows)
        return logits

    rules = [LrpRule(name, epsilon=EPSILON) for name in COMPOSITES]
    together = run_rules(rules, forward, x, class_one, module=net, bounds=bounds())
    assert runs == [2]
    for rule, found in zip(rules, together, strict=True):
        (alone,) = run_rules([rule], net, x, class_one, module=net, bounds=bounds())
        assert torch.equal(found, alone), rule
    assert len({found.sum().item() for found in together}) == len(rules)


def test_every_way_to_write_an_activation() -> None:
    x, rules = picture(), [LrpRule("epsilon_plus"), LrpRule("gamma_flat")]
    expected = run_rules(rules, Chain(), x, class_one, module=Chain())
    ways: list[Callable[[Tensor], Tensor]] = [
        torch.relu,
        lambda z: F.relu(z, inplace=True),
        lambda z: z.relu_(),
        lambda z: z.clamp(min=0),
    ]
    for way in ways:
        net = Chain(way)
        for found, known in zip(
            run_rules(rules, net, x, class_one, module=net), expected, strict=True
        ):
            assert torch.equal(found, known)


class Gated(nn.Module):
    """Squeeze-excite: the value takes all relevance."""

    def __init__(self, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.conv, self.squeeze = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2, bias=False)
        self.gate = gate
        self.double().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.conv(x))
        gates = self.gate(F.silu(self.squeeze(a.mean((2, 3), keepdim=True))))
        logits: Tensor = self.head((a * gates).mean((2, 3)))
        return logits


@pytest.mark.parametrize("gate", [torch.sigmoid, F.hardsigmoid, lambda z: 1 - z.softmax(1) / 2])
def test_gates_are_constants(gate: Callable[[Tensor], Tensor]) -> None:
    net, x = Gated(gate), picture()
    (found,) = run_rules([LrpRule("epsilon", epsilon=1e-14)], net, x, class_one, module=net)
    assert conservation(found, net(x), class_one(x)).max() < 1e-9
    a = F.silu(net.conv(x))
    gates = gate(F.silu(net.squeeze(a.mean((2, 3), keepdim=True))))
    relevance = a * gates * net.head.weight[1][:, None, None] / a[0, 0].numel()
    ratio = relevance / net.conv(x)
    expected = x * F.conv_transpose2d(ratio, net.conv.weight)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12)


class Tokens(nn.Module):
    """A transformer block on patches, written in one of four ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.kind = kind
        self.patches = nn.Conv2d(3, 8, 4, stride=4, bias=False)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        self.head = nn.Linear(8, 2, bias=False)
        nn.init.normal_(self.norm.weight)
        self.double().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        if self.kind == "module":
            mixed = self.attention(normed, normed, normed, need_weights=False)[0]
        else:
            q, k, v = (
                part.reshape(*part.shape[:2], 2, 4).transpose(1, 2)
                for part in F.linear(normed, self.attention.in_proj_weight).chunk(3, 2)
            )
            if self.kind == "fused":
                mixed = F.scaled_dot_product_attention(q, k, v)
            elif self.kind == "einsum":
                weights = torch.einsum("bhtd,bhsd->bhts", q / 2, k).softmax(-1)
                mixed = torch.einsum("bhts,bhsd->bhtd", weights, v)
            else:
                mixed = torch.softmax(q @ k.mT / 2, dim=-1) @ v
            mixed = self.attention.out_proj(mixed.transpose(1, 2).flatten(2))
        logits: Tensor = self.head(F.gelu(tokens + mixed).mean(1))
        return logits


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_gamma_box", "zplus_flat"])
def test_attention_however_it_is_written(composite: str) -> None:
    x, rule = picture(), LrpRule(composite, epsilon=1e-9)
    (first, *others) = (
        run_rules([rule], net, x, class_one, module=net, bounds=bounds())[0]
        for net in map(Tokens, ("module", "fused", "einsum", "plain"))
    )
    assert first.abs().max() > 0
    for other in others:
        torch.testing.assert_close(first, other, rtol=1e-6, atol=1e-9)
    if composite == "epsilon":
        assert conservation(first, Tokens("plain")(x), class_one(x)).max() < 1e-6


NORMS: dict[str, nn.Module] = {
    "group": nn.GroupNorm(2, 4),
    "instance": nn.InstanceNorm2d(4),
    "batch": nn.BatchNorm2d(4),
    "layer": nn.LayerNorm([4, 6, 6]),
    "rms": nn.RMSNorm([4, 6, 6]),
}


@pytest.mark.parametrize("kind", NORMS)
def test_norms_hold_their_deviation_constant(kind: str) -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(6)
            self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=False), NORMS[kind]
            self.head = nn.Linear(4, 2, bias=False)
            self.double().eval().requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))
            return logits

    net, x = Normed(), picture()
    (found,) = run_rules([LrpRule("epsilon", epsilon=1e-12)], net, x, class_one, module=net)
    assert conservation(found, net(x), class_one(x)).max() < 1e-9


def test_normalisation_inside_the_network_changes_no_relevance() -> None:
    mean, std = torch.tensor([0.4, 0.5, 0.6]).double(), torch.tensor([0.2, 0.3, 0.25]).double()
    net = Chain()

    def normalised(x: Tensor) -> Tensor:
        logits: Tensor = net((x - mean[:, None, None]) / std[:, None, None])
        return logits

    pixels = random(2, 3, 8, 8).sigmoid()
    x = (pixels - mean[:, None, None]) / std[:, None, None]
    low, high = ((v - mean[:, None, None]) / std[:, None, None] for v in (0.0, 1.0))
    rules = [LrpRule("epsilon_flat"), LrpRule("zplus_box")]
    inside = run_rules(rules, normalised, pixels, class_one, module=net, bounds=bounds(0.0, 1.0))
    outside = run_rules(rules, net, x, class_one, module=net, bounds=(low, high))
    for found, expected in zip(inside, outside, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def refused(layer: Callable[[Tensor], Tensor], composite: str = "epsilon") -> str | None:
    """Run ``Chain`` with something else in place of its activation."""
    net = Chain(layer)
    found = undefined(LrpRule(composite), net, picture(), module=net, bounds=bounds())
    if found is not None:
        with pytest.raises(NotDefinedError) as caught:
            run_rules([LrpRule(composite)], net, picture(), class_one, module=net, bounds=bounds())
        assert str(caught.value) == found
    return found


def test_refusals_name_function_and_layer() -> None:
    assert refused(nn.ReLU()) is None
    for layer, name in (
        (nn.Sigmoid(), "sigmoid that is no factor of a product"),
        (nn.Softplus(), "softplus"),
        (nn.Hardtanh(1.0, 2.0), r"hardtanh with f(0) ≠ 0"),
        (nn.Dropout(0.5).train(), None),
    ):
        found = refused(layer)
        if name is None:  # eval mode again: dropout does nothing
            assert found is None
        else:
            assert found is not None
            assert found.startswith(f"act ({type(layer).__name__})"), found
            assert f"no rule for {name}" in found
    for function, name in (
        (lambda z: z * z, "mul of two values that both carry relevance"),
        (lambda z: z / (1 + z.mean()), "div by a value that carries relevance"),
        (lambda z: torch.maximum(z, -z), "maximum"),
        (lambda z: F.linear(z.flatten(1), z.flatten(1)).sum() * z, "linear whose weights depend"),
    ):
        found = refused(function)
        assert found is not None
        assert found.startswith("Chain: ")
        assert f"no rule for {name}" in found, found


def test_rules_at_the_input_need_a_layer_there() -> None:
    class Early(Chain):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.avg_pool2d(x, 1))

    net, x = Early(), picture()
    assert undefined(LrpRule("epsilon"), net, x, module=net) is None
    found = undefined(LrpRule("epsilon_flat"), net, x, module=net)
    assert found is not None
    assert "no rule for avg_pool2d of the picture before the first layer" in found
    found = undefined(LrpRule("epsilon_box"), Chain(), x, module=Chain())
    assert found is not None
    assert "the range of its input is unknown" in found


def test_rows_do_not_feel_their_company() -> None:
    # Rules look at the sign of inputs; other rows may have other signs.
    net, x = Chain().float(), picture(4).float().abs()
    others = torch.cat([-x[3:], x[1:2], -x[:1], x[2:3]])
    rules = [LrpRule(name) for name in COMPOSITES]
    for one, other in zip(
        run_rules(rules, net, x, class_one, module=net, bounds=bounds()),
        run_rules(rules, net, others, class_one, module=net, bounds=bounds()),
        strict=True,
    ):
        assert torch.equal(one[1], other[1])


def test_the_network_is_as_before() -> None:
    net, x = Chain(lambda z: F.relu(z, inplace=True)), picture()
    before = net(x)
    run_rules([LrpRule("zplus_flat")], net, x, class_one, module=net)
    assert torch.equal(net(x), before)
    with pytest.raises(RuntimeError):
        run_rules([LrpRule("epsilon")], net, x[:, :2], class_one, module=net)
    assert torch.equal(net(x), before)


def test_unknown_composite() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'epsilon_plus'"):
        LrpRule("epsilonplus")
