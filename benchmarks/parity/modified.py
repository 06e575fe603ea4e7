"""Rows of modified backwards: captum and zennit where they see every activation, else naive twins.

A naive twin replaces each activation module of a copy by one with the paper's backward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from captum.attr import Deconvolution, DeepLift, GuidedBackprop, GuidedGradCam
from torch import Tensor, nn

from benchmarks.parity.networks import Net
from benchmarks.parity.rows import Row

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


def deeplift_by_paper(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """The rescale rule for every activation module; all else of these networks is linear."""
    twin, _ = net.oracle()
    for name, module in list(twin.named_modules()):
        if isinstance(module, (nn.ReLU, nn.ReLU6)):
            parent, _, own = name.rpartition(".")
            plain = nn.ReLU6() if isinstance(module, nn.ReLU6) else nn.ReLU()
            setattr(twin.get_submodule(parent), own, Rescaled(plain))
    maps = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        pair = torch.cat([x, torch.zeros_like(x)]).requires_grad_()
        (gradient,) = torch.autograd.grad(twin(pair)[:, target].sum(), pair)
        maps.append(gradient[:1] * x)
    return torch.cat(maps)


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
        Row("deeplift", "mobilenet", "naive, from the paper", deeplift_by_paper),
    ]
    return found
