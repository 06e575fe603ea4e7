"""Rows of LRP: zennit where it sees the whole network, LRP-0 by autograd where gates stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.parity.networks import Net
from benchmarks.parity.peers import peer
from benchmarks.parity.rows import Row
from xaieval.models.blocks import GlobalMean
from xaieval.models.efficientnet import SqueezeExcite
from xaieval.models.mobilenet import InvertedResidual

Options = Mapping[str, Any]
# Of sums and averages; their own rule is a plain share of each part.
_TINY = 1e-12
# (convolutions, linear layers, the layer at the input) by name.
COMPOSITES = {
    "epsilon": ("epsilon", "epsilon", None),
    "zplus": ("zplus", "zplus", None),
    "alpha1beta0": ("alpha1beta0", "alpha1beta0", None),
    "alpha2beta1": ("alpha2beta1", "alpha2beta1", None),
    "gamma": ("gamma", "gamma", None),
    "epsilon_plus": ("alpha1beta0", "epsilon", None),
    "epsilon_plus_flat": ("alpha1beta0", "epsilon", "flat"),
    "epsilon_alpha2beta1_flat": ("alpha2beta1", "epsilon", "flat"),
    "epsilon_gamma_box": ("gamma", "epsilon", "box"),
}


def _rule(name: str, x: Tensor) -> Any:
    rules = peer("zennit.rules")
    made: dict[str, Callable[[], Any]] = {
        "epsilon": lambda: rules.Epsilon(1e-6),
        "zplus": lambda: rules.ZPlus(zero_params=["bias"]),
        "alpha1beta0": lambda: rules.AlphaBeta(1, 0),
        "alpha2beta1": lambda: rules.AlphaBeta(2, 1),
        "gamma": lambda: rules.Gamma(0.25),
        "flat": lambda: rules.Flat(),
        # The values of preprocessed pictures, mean and deviation 0.5.
        "box": lambda: rules.ZBox(low=-torch.ones_like(x), high=torch.ones_like(x)),
    }
    return made[name]()


def _composite(name: str, x: Tensor, canonizers: list[Any]) -> Any:
    types, composites = peer("zennit.types"), peer("zennit.composites")
    convolution, linear, first = COMPOSITES[name]
    return composites.SpecialFirstLayerMapComposite(
        layer_map=[
            (GlobalMean, peer("zennit.rules").Norm(stabilizer=_TINY)),
            *composites.layer_map_base(_TINY),
            (types.Convolution, _rule(convolution, x)),
            (nn.Linear, _rule(linear, x)),
        ],
        first_map=[(types.Convolution, _rule(first, x))] if first else [],
        canonizers=canonizers,
    )


def _canonizers(net: Net) -> list[Any]:
    canonizers = peer("zennit.canonizers")

    class Merged(canonizers.SequentialMergeBatchNorm):
        """Zennit's, but that what is left of the batch norm is the identity, eps included."""

        def register(self, linears: Any, batch_norm: Any) -> None:
            super().register(linears, batch_norm)
            batch_norm.eps = 0.0

    found = [Merged()]
    if net.id == "resnet":
        found.append(peer("zennit.torchvision").ResNetBasicBlockCanonizer())
    if net.id == "mobilenet":
        found.append(canonizers.AttributeCanonizer(_sum_of_branches))
    return found


def _sum_of_branches(name: str, module: nn.Module) -> dict[str, Any] | None:
    """Give each residual block a sum that zennit can see."""
    if not isinstance(module, InvertedResidual) or not module.residual:
        return None
    total = peer("zennit.layer").Sum()

    def forward(x: Tensor) -> Tensor:
        return module.canonizer_sum(torch.stack([x, module.conv(x)], dim=-1))

    return {"forward": forward, "canonizer_sum": total}


def by_zennit(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Return zennit's relevance (n, 3, H, W), starting from the target's logit."""
    gradient = peer("zennit.attribution").Gradient
    maps = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        twin, _ = net.oracle()
        composite = _composite(options["composite"], x, _canonizers(net))

        def start(out: Tensor, target: int = target) -> Tensor:
            only = torch.zeros_like(out)
            only[:, target] = out[:, target]
            return only

        with gradient(model=twin, composite=composite) as attributor:
            maps.append(attributor(x.clone(), start)[1].detach())
    return torch.cat(maps)


class Proportional(nn.Module):
    """An activation f as the factor f(z) / z, which is held constant."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            factor = torch.where(z == 0, 0.0, self.module(z) / torch.where(z == 0, 1.0, z))
        return z * factor


class HeldGate(nn.Module):
    """Squeeze-excite whose gate is held constant: Arras et al. 2017."""

    def __init__(self, module: SqueezeExcite) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            squeezed = self.module.activation(self.module.fc1(x.mean((2, 3), keepdim=True)))
            gate = self.module.scale_activation(self.module.fc2(squeezed))
        return x * gate


class HeldNorm(nn.Module):
    """Layer norm whose deviation is held constant: Ali et al. 2022, section 3.2."""

    def __init__(self, module: nn.LayerNorm) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (x.var(-1, keepdim=True, correction=0) + self.module.eps).sqrt().detach()
        return centred / deviation * self.module.weight + self.module.bias


def lrp_0(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """LRP without ε is input times gradient of the network whose factors and gates are constants.

    Montavon et al. 2019, section 10.2: every activation is held at its f(z) / z, every gate and
    attention weight at its value; then the network is linear but for its biases.
    """
    twin, _ = net.oracle()
    held: tuple[tuple[type[nn.Module], Callable[[Any], nn.Module]], ...] = (
        (SqueezeExcite, HeldGate),
        (nn.LayerNorm, HeldNorm),
        (nn.SiLU, Proportional),
        (nn.ReLU, Proportional),
        (nn.ReLU6, Proportional),
        (nn.GELU, Proportional),
    )
    gates = tuple(n for n, m in twin.named_modules() if isinstance(m, SqueezeExcite))
    for name, module in list(twin.named_modules()):
        if any(name.startswith(f"{gate}.") for gate in gates):
            continue  # held as a whole
        for kind, wrapped in held:
            if isinstance(module, kind):
                parent, _, own = name.rpartition(".")
                setattr(twin.get_submodule(parent), own, wrapped(module))
    x = net.x.clone().requires_grad_()
    softmax = torch.nn.functional.softmax
    with patch.object(torch.nn.functional, "softmax", lambda z, dim: softmax(z, dim=dim).detach()):
        score = twin(x).gather(1, net.targets[:, None]).sum()
    return x.detach() * torch.autograd.grad(score, x)[0]


def rows() -> list[Row]:
    found = []
    for net in ("relu-cnn", "vgg", "resnet", "mobilenet"):
        for composite in COMPOSITES:
            found.append(
                Row(
                    "lrp",
                    net,
                    "zennit",
                    by_zennit,
                    {"composite": composite},
                    images=2 if net in ("relu-cnn", "mobilenet") else 1,
                    known="a canonizer of ours shows it the residual sums"
                    if net == "mobilenet"
                    else "",
                )
            )
    for net in ("relu-cnn", "silu", "mobilenet", "vit"):
        found.append(
            Row(
                "lrp",
                net,
                "naive, LRP-0 by autograd",
                lrp_0,
                {"composite": "epsilon", "epsilon": 1e-12},
            )
        )
    return found
