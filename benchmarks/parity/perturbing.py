"""Rows of the perturbation family: captum fed the samples of ours, and twins from the papers.

What ours showed the network is read off the network's input: masks, and which superpixels are
seen. Superpixels are a grid, hidden ones are zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnLinearRegression, SkLearnRidge
from captum.attr import KernelShap, Lime, Occlusion, ShapleyValueSampling
from torch import Tensor

from benchmarks.parity.networks import Net
from benchmarks.parity.rows import Row
from xaieval.methods.superpixels import superpixels

Options = Mapping[str, Any]
NETS = ("relu-cnn", "silu", "mobilenet", "vit")
SCENE = {"superpixels": "grid", "n_segments": 12, "baseline": "zero"}
FEW = {"superpixels": "grid", "n_segments": 6, "baseline": "zero"}


def occlusion(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    channels = net.x.shape[1]
    found = Occlusion(net.oracle()[0]).attribute(
        net.x,
        sliding_window_shapes=(channels, options["window"], options["window"]),
        strides=(channels, options["stride"], options["stride"]),
        baselines=0,
        target=net.targets,
    )
    return found[:, :1]  # every channel of a window holds the same


@torch.no_grad()
def rise(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Petsiuk et al. 2018, equation 6, mask by mask."""
    twin, _ = net.oracle()
    maps = []
    for x, target, masked in zip(net.x, net.targets.tolist(), rows, strict=True):
        assert len(masked) == options["n_masks"]
        total = torch.zeros_like(x[0])
        for row in masked:
            mask = row[0] / x[0]
            total += twin(row[None]).softmax(1)[0, target] * mask
        maps.append(total / (len(masked) * options["p"]))
    return torch.stack(maps)[:, None]


def segments(net: Net, options: Options) -> Tensor:
    """Return the superpixel of every pixel, int64 (1, 1, H, W)."""
    blank = np.zeros((*net.x.shape[2:], 3), np.uint8)
    labels = superpixels(blank, options["superpixels"], options["n_segments"])
    return torch.from_numpy(labels)[None, None]


def coalitions(x: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    """Return which superpixels of ``x`` (3, H, W) are seen in each row, int64 (n, superpixels)."""
    seen = (rows == x).all(1)
    count = int(labels.max()) + 1
    return torch.stack([seen[:, labels[0, 0] == k].all(1) for k in range(count)], 1).long()


def lime(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Captum's LIME with our samples and the kernel and ridge of the authors' code for images."""
    labels, maps = segments(net, options), []

    def weight(_: Tensor, __: Tensor, sample: Tensor, **___: object) -> float:
        distance = 1 - float(sample.double().mean() ** 0.5)  # cosine, to all ones
        return float(np.exp(-0.5 * (distance / options["kernel_width"]) ** 2))

    for x, target, shown in zip(net.x.split(1), net.targets.tolist(), rows, strict=True):
        whole = torch.ones(1, int(labels.max()) + 1, dtype=torch.int64)
        drawn = torch.cat([whole, coalitions(x[0], shown, labels)])
        assert len(drawn) == options["n_samples"]

        def samples(inputs: Tensor, drawn: Tensor = drawn, **_: object) -> Iterator[Tensor]:
            yield from drawn.split(1)

        method = Lime(
            net.oracle()[0],
            interpretable_model=SkLearnRidge(alpha=options["alpha"]),
            similarity_func=weight,
            perturb_func=samples,
        )
        maps.append(
            method.attribute(
                x, target=target, feature_mask=labels, n_samples=len(drawn), baselines=0
            )[:, :1]
        )
    return torch.cat(maps)


class FedKernelShap(KernelShap):
    """Captum's KernelSHAP with given coalitions, and a weight of the ends that hardly yields."""

    def __init__(self, forward: Any, drawn: Tensor) -> None:
        super().__init__(forward)
        self.interpretable_model = SkLearnLinearRegression()
        self.inf_weight = 1e8

        def given(inputs: Tensor, **_: object) -> Iterator[Tensor]:
            yield from drawn.split(1)

        self.perturb_func = given


def kernel_shap(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    labels, maps = segments(net, options), []
    for x, target, shown in zip(net.x.split(1), net.targets.tolist(), rows, strict=True):
        drawn = coalitions(x[0], shown, labels)
        assert len(drawn) == options["n_samples"] + 2
        maps.append(
            FedKernelShap(net.oracle()[0], drawn).attribute(
                x, target=target, feature_mask=labels, n_samples=len(drawn), baselines=0
            )[:, :1]
        )
    return torch.cat(maps)


def shapley_sampling(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    labels, maps = segments(net, options), []
    players = int(labels.max()) + 1
    for x, target, shown in zip(net.x.split(1), net.targets.tolist(), rows, strict=True):
        seen = coalitions(x[0], shown, labels)[2:]  # after nothing and everything
        orders = []
        for growing in seen.split(players - 1):
            missing = (1 - growing.sum(0)).clamp(min=0)
            # Who appears first was seen in most copies.
            orders.append((growing.sum(0) - missing).argsort(descending=True).tolist())
        assert len(orders) == options["n_samples"]
        method = ShapleyValueSampling(net.oracle()[0])
        method.permutation_generator = lambda *_, orders=orders: iter(orders)
        maps.append(
            method.attribute(
                x, target=target, feature_mask=labels, n_samples=len(orders), baselines=0
            )[:, :1]
        )
    return torch.cat(maps)


@torch.no_grad()
def shapley_by_definition(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Shapley 1953: the mean of what a player adds, over all coalitions of the others."""
    labels = segments(net, options)
    players = int(labels.max()) + 1
    twin, _ = net.oracle()
    maps = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        worth = {}
        for size in range(players + 1):
            for seen in combinations(range(players), size):
                mask = sum(((labels == k) for k in seen), torch.zeros_like(labels)).bool()
                worth[seen] = twin(x * mask)[0, target]
        values = []
        for player in range(players):
            others = [k for k in range(players) if k != player]
            total = torch.zeros((), dtype=torch.float64)
            for size in range(players):
                share = factorial(size) * factorial(players - size - 1) / factorial(players)
                for seen in combinations(others, size):
                    more = tuple(sorted((*seen, player)))
                    total += share * (worth[more] - worth[seen])
            values.append(total)
        maps.append(torch.stack(values)[labels])
    return torch.cat(maps)


def rows() -> list[Row]:
    found = []
    for net in NETS:
        fed = "the same samples fed to both"
        found += [
            Row(
                "occlusion",
                net,
                "captum Occlusion",
                occlusion,
                {"window": 12, "stride": 10, "baseline": "zero"},
            ),
            Row(
                "rise",
                net,
                "naive, from the paper",
                rise,
                {"n_masks": 24, "cells": 5, "p": 0.4},
                samples=lambda o: o["n_masks"],
                known=fed,
            ),
            Row(
                "lime",
                net,
                "captum Lime (cosine kernel, ridge)",
                lime,
                {"n_samples": 40, "kernel_width": 0.25, "alpha": 1.0, **SCENE},
                samples=lambda o: o["n_samples"] - 1,
                known=fed + " (the first is the picture itself)",
            ),
            Row(
                "kernel_shap",
                net,
                "captum KernelShap",
                kernel_shap,
                {"n_samples": 40, **SCENE},
                samples=lambda o: o["n_samples"] + 2,
                known=fed,
            ),
            Row(
                "shapley_sampling",
                net,
                "captum ShapleyValueSampling",
                shapley_sampling,
                {"n_samples": 3, **SCENE},
                samples=lambda o: 2 + o["n_samples"] * (o["n_segments"] - 1),
                known=fed,
            ),
        ]
    found.append(
        Row(
            "kernel_shap",
            "relu-cnn",
            "naive, Shapley values by definition",
            shapley_by_definition,
            {"n_samples": 62, **FEW},
            known="all coalitions of 6 superpixels",
        )
    )
    return found
