"""Rows of modified backwards: captum and zennit where they see every activation, else naive twins.

A naive twin replaces each activation module of a copy by one with the paper's backward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from captum.attr import Deconvolution, DeepLift, GuidedBackprop, GuidedGradCam
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from benchmarks.parity.networks import Net
from benchmarks.parity.rows import Row
from xaieval.models.efficientnet import SqueezeExcite

Options = Mapping[str, Any]


def guided_backprop(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return GuidedBackprop(net.oracle()[0]).attribute(net.x, target=net.targets)


def deconvnet(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return Deconvolution(net.oracle()[0]).attribute(net.x, target=net.targets)


def guided_gradcam(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    twin, layer = net.oracle()
    return GuidedGradCam(twin, layer).attribute(
        net.x, target=net.targets, interpolate_mode="bilinear"
    )


class Bent(torch.autograd.Function):
    """A rectifier, bounded or not, whose backward is one of the papers'."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, high: float, kind: str) -> Tensor:
        ctx.save_for_backward(z)
        ctx.high, ctx.kind = high, kind
        return z.clamp(0.0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (z,), g = ctx.saved_tensors, gradients[0]
        passed = g * (g > 0)
        if ctx.kind == "guided":  # Springenberg et al. 2015, section 3.4
            passed = passed * ((z > 0) & (z < ctx.high))
        return passed, None, None  # Zeiler and Fergus 2014, section 2.1


class BentReLU(nn.Module):
    def __init__(self, high: float, kind: str) -> None:
        super().__init__()
        self.high, self.kind = high, kind

    def forward(self, z: Tensor) -> Tensor:
        return Bent.apply(z, self.high, self.kind)


def _bent(kind: str) -> Any:
    def reference(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
        twin, _ = net.oracle()
        for name, module in list(twin.named_modules()):
            if isinstance(module, (nn.ReLU, nn.ReLU6)):
                high = 6.0 if isinstance(module, nn.ReLU6) else torch.inf
                parent, _, own = name.rpartition(".")
                setattr(twin.get_submodule(parent), own, BentReLU(high, kind))
        x = net.x.clone().requires_grad_()
        score = twin(x).gather(1, net.targets[:, None]).sum()
        return torch.autograd.grad(score, x)[0]

    return reference


class Apart(nn.Module):
    """The same values as a tensor of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def deeplift(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Captum's, with every max-pooling set apart from the ReLU before it.

    Where one module with a rule reads the very tensor that another put out, captum's two tensor
    hooks run in the order of the forward: the first module is handed the plain gradient of the
    second, and the attributions no longer sum to the change of the logit (1 to 2 % off here).
    """
    twin, _ = net.oracle()
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if isinstance(module, nn.MaxPool2d):
            parent, _, own = name.rpartition(".")
            setattr(twin.get_submodule(parent), own, nn.Sequential(Apart(), module))
    return DeepLift(twin).attribute(net.x, baselines=torch.zeros_like(net.x), target=net.targets)


class Rescale(torch.autograd.Function):
    """An elementwise activation of [pictures, baselines]: its slope is Δout / Δin.

    Shrikumar et al. 2017, section 3.5.1.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, module: nn.Module) -> Tensor:
        found = module(z)
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(module(leaf).sum(), leaf)
        change_in, change_out = (torch.sub(*part.chunk(2)) for part in (z, found))
        small = change_in.abs() < 1e-10
        steep = change_out / torch.where(small, 1.0, change_in)
        ctx.save_for_backward(torch.where(torch.cat([small] * 2), slope, torch.cat([steep] * 2)))
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.saved_tensors[0], None


class Rescaled(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, z: Tensor) -> Tensor:
        return Rescale.apply(z, self.module)


class RescaledPool(torch.autograd.Function):
    """Max-pooling of [picture, baseline]; m = max(out, out_b), Δout = (m − out_b) + (out − m).

    The rise goes to the picture's winner, the fall to the baseline's (captum, SHAP), and what
    meets at a pixel of overlapping windows adds up.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, module: nn.MaxPool2d) -> Tensor:
        sizes = (module.kernel_size, module.stride, module.padding)
        found, winners = max_pool2d(z, *sizes, return_indices=True)
        ctx.save_for_backward(z, found, winners)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        z, found, winners = ctx.saved_tensors
        change = (z[0] - z[1]).flatten(1)
        shares, plain = torch.zeros_like(change), torch.zeros_like(change)
        most = torch.maximum(found[0], found[1])
        for channel in range(len(change)):
            cells = zip(
                gradients[0][0, channel].flatten().tolist(),
                (most - found[1])[channel].flatten().tolist(),
                (found[0] - most)[channel].flatten().tolist(),
                winners[0, channel].flatten().tolist(),
                winners[1, channel].flatten().tolist(),
                strict=True,
            )
            for g, rise, fall, winner, winner_before in cells:
                shares[channel, winner] += g * rise
                shares[channel, winner_before] += g * fall
                plain[channel, winner] += g
        small = change.abs() < 1e-10
        steep = torch.where(small, plain, shares / torch.where(small, 1.0, change))
        return steep.view_as(z[0]).expand_as(z), None


class Pooled(nn.Module):
    def __init__(self, module: nn.MaxPool2d) -> None:
        super().__init__()
        self.module = module

    def forward(self, z: Tensor) -> Tensor:
        return RescaledPool.apply(z, self.module)


class MeanProduct(nn.Module):
    """Squeeze-excite of [picture, baseline]: each factor of the product meets the other's mean."""

    def __init__(self, module: SqueezeExcite) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        gate = self.module.fc1(x.mean((2, 3), keepdim=True))
        gate = self.module.scale_activation(self.module.fc2(self.module.activation(gate)))
        x_mean, gate_mean = (v.detach().mean(0, keepdim=True) for v in (x, gate))
        linear = x * gate_mean + gate * x_mean
        return linear + (x * gate - linear).detach()


def deeplift_by_paper(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """The rescale rule for every activation, the Shapley value of both factors for a product."""
    twin, _ = net.oracle()
    for name, module in reversed(list(twin.named_modules())):  # what lies inside first
        wrapped: nn.Module
        if isinstance(module, (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Sigmoid)):
            wrapped = Rescaled(type(module)())
        elif isinstance(module, nn.MaxPool2d):
            wrapped = Pooled(module)
        elif isinstance(module, SqueezeExcite):
            wrapped = MeanProduct(module)
        else:
            continue
        parent, _, own = name.rpartition(".")
        setattr(twin.get_submodule(parent), own, wrapped)
    maps = []
    for x, target in zip(net.x, net.targets.tolist(), strict=True):
        pair = torch.stack([x, torch.zeros_like(x)]).requires_grad_()
        (gradient,) = torch.autograd.grad(twin(pair)[:, target].sum(), pair)
        maps.append(gradient[0] * x)
    return torch.stack(maps)


@torch.no_grad()
def change_of_logit(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """What attributions must sum to: f(picture) − f(baseline), (n, 1, 1, 1)."""
    twin, _ = net.oracle()
    change = twin(net.x) - twin(torch.zeros_like(net.x))
    return change.gather(1, net.targets[:, None])[:, :, None, None]


def rows() -> list[Row]:
    found = []
    for method, captum, twin in (
        ("guided_backprop", ("captum GuidedBackprop", guided_backprop), "guided"),
        ("deconvnet", ("captum Deconvolution", deconvnet), "deconvnet"),
    ):
        found += [
            Row(method, "relu-cnn", *captum),
            Row(method, "vgg", *captum),
            Row(method, "resnet", "naive, from the paper", _bent(twin)),
            Row(
                method,
                "mobilenet",
                "naive, from the paper",
                _bent(twin),
                known="captum gives the plain gradient on ReLU6",
            ),
        ]
    found += [
        Row("guided_gradcam", "relu-cnn", "captum GuidedGradCam", guided_gradcam),
        Row("guided_gradcam", "vgg", "captum GuidedGradCam", guided_gradcam),
        *(
            Row(
                "deeplift",
                net,
                "captum DeepLift",
                deeplift,
                known="a copy between ReLU and max-pooling, else captum's sums are off",
            )
            for net in ("relu-cnn", "vgg")
        ),
        *(
            Row("deeplift", net, "naive, from the paper", deeplift_by_paper)
            for net in ("relu-cnn", "silu", "mobilenet", "resnet")
        ),
        *(
            Row(
                "deeplift",
                net,
                "change of the logit",
                change_of_logit,
                measure="difference of the sum / change",
            )
            for net in ("relu-cnn", "silu", "mobilenet", "resnet", "vit")
        ),
    ]
    return found
