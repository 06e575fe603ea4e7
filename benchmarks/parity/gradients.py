"""Rows of the gradient family: captum is the oracle, fed the same baselines and samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from captum.attr import (
    DeepLift,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor

from benchmarks.parity.networks import Net
from benchmarks.parity.rows import Row

Options = Mapping[str, Any]
STEPS, SAMPLES = 7, 6
NETS = ("relu-cnn", "silu", "mobilenet", "vit")


def saliency(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return Saliency(net.oracle()[0]).attribute(net.x, target=net.targets, abs=False)


def gradient_x_input(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return InputXGradient(net.oracle()[0]).attribute(net.x, target=net.targets)


def integrated_gradients(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Captum's, with the baseline that ours started from, solved from the first point's line."""
    share = (1 + np.polynomial.legendre.leggauss(options["n_steps"])[0].min()) / 2
    maps = []
    for x, target, points in zip(net.x.split(1), net.targets.split(1), rows, strict=True):
        assert len(points) == options["n_steps"]
        baseline = (points[:1] - share * x) / (1 - share)
        maps.append(
            IntegratedGradients(net.oracle()[0]).attribute(
                x, baselines=baseline, target=target, n_steps=options["n_steps"]
            )
        )
    return torch.cat(maps)


def integrated_from_zero(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return IntegratedGradients(net.oracle()[0]).attribute(
        net.x, baselines=0, target=net.targets, n_steps=options["n_steps"]
    )


def integrated_from_mean(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    mean = torch.stack([torch.stack([c.mean().expand_as(c) for c in x]) for x in net.x])
    return IntegratedGradients(net.oracle()[0]).attribute(
        net.x, baselines=mean, target=net.targets, n_steps=options["n_steps"]
    )


class Fed(NoiseTunnel):
    """Captum's noise tunnel with noisy inputs given instead of drawn."""

    def __init__(self, method: Any, rows: Tensor) -> None:
        super().__init__(method)
        self.rows = rows

    def _add_noise_to_input(self, input: Tensor, stdev: float, nt_samples: int) -> Tensor:
        assert len(self.rows) == nt_samples
        return self.rows


def _tunnel(kind: str) -> Any:
    def reference(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
        maps = []
        for x, target, noisy in zip(net.x.split(1), net.targets.tolist(), rows, strict=True):
            tunnel = Fed(Saliency(net.oracle()[0]), noisy)
            maps.append(
                tunnel.attribute(
                    x, nt_type=kind, nt_samples=options["n_samples"], target=target, abs=False
                )
            )
        return torch.cat(maps)

    return reference


def deeplift(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    return DeepLift(net.oracle()[0]).attribute(
        net.x, baselines=torch.zeros_like(net.x), target=net.targets
    )


def gradient_shap(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Captum's, with the shares α that ours drew, from baseline zero: point = α · picture."""
    maps = []
    for x, target, points in zip(net.x.split(1), net.targets.tolist(), rows, strict=True):
        shares = (points / x).flatten(1).median(1).values.numpy()
        with patch.object(np.random, "uniform", lambda low, high, count, s=shares: s):
            maps.append(
                GradientShap(net.oracle()[0]).attribute(
                    x,
                    baselines=torch.zeros_like(x),
                    target=target,
                    n_samples=options["n_samples"],
                    stdevs=0.0,
                )
            )
    return torch.cat(maps)


def shap_of_noise(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Captum's with its own draws of the same distributions."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 captum draws from the global generator
    maps = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        baselines = 2 * torch.rand(512, *x.shape[1:], dtype=x.dtype) - 1  # what input can be
        maps.append(
            GradientShap(net.oracle()[0]).attribute(
                x, baselines=baselines, target=target, n_samples=options["n_samples"], stdevs=0.0
            )
        )
    return torch.cat(maps)


def rows() -> list[Row]:
    found = []
    for net in NETS:
        found += [
            Row("saliency", net, "captum Saliency", saliency),
            Row("gradient_x_input", net, "captum InputXGradient", gradient_x_input),
            Row(
                "integrated_gradients",
                net,
                "captum IntegratedGradients",
                integrated_from_zero,
                {"n_steps": STEPS, "baseline": "zero"},
            ),
            Row(
                "integrated_gradients",
                net,
                "captum IntegratedGradients",
                integrated_from_mean,
                {"n_steps": STEPS, "baseline": "mean"},
            ),
        ]
        for baseline in ("blurred", "noise"):
            found.append(
                Row(
                    "integrated_gradients",
                    net,
                    "captum IntegratedGradients",
                    integrated_gradients,
                    {"n_steps": STEPS, "baseline": baseline},
                    samples=lambda options: options["n_steps"],
                    known="the same baseline fed to both",
                )
            )
        for method, kind in (
            ("smoothgrad", "smoothgrad"),
            ("smoothgrad_squared", "smoothgrad_sq"),
            ("vargrad", "vargrad"),
        ):
            found.append(
                Row(
                    method,
                    net,
                    f"captum NoiseTunnel({kind}) of Saliency",
                    _tunnel(kind),
                    {"n_samples": SAMPLES, "sigma": 0.15},
                    samples=lambda options: options["n_samples"],
                    known="the same noise fed to both",
                )
            )
        found.append(
            Row(
                "gradient_shap",
                net,
                "captum GradientShap",
                gradient_shap,
                {"n_samples": SAMPLES, "baseline": "zero"},
                samples=lambda options: options["n_samples"],
                known="the same α fed to both",
            )
        )
    found.append(
        Row(
            "gradient_shap",
            "relu-cnn",
            "captum GradientShap",
            shap_of_noise,
            {"n_samples": 2500, "baseline": "noise"},
            measure="1 − lower end of the correlation's 95 % interval",
            tolerance=0.1,
            images=1,
            known="each with draws of its own",
        )
    )
    return found
