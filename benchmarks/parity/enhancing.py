"""Rows of the enhancers around Grad-CAM: pytorch-grad-cam's smoothing, twins from the papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.parity.networks import Net
from benchmarks.parity.peers import peer, quiet
from benchmarks.parity.rows import Row

Options = Mapping[str, Any]
NETS = ("relu-cnn", "silu", "mobilenet")


def aug_smooth(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """The peer's own maps, resized by OpenCV in float32 and brought to 0..1."""
    target = peer("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    twin, layer = net.oracle()
    with quiet():
        cam = peer("pytorch_grad_cam").GradCAM(model=twin, target_layers=[layer])
        targets = [target(int(t)) for t in net.targets]
        maps = cam(input_tensor=net.x, targets=targets, aug_smooth=True)
        cam.activations_and_grads.release()
    return torch.from_numpy(np.asarray(maps, np.float64))[:, None]


def gradcam(net: Net, x: Tensor, target: int) -> tuple[Tensor, float]:
    """Return Grad-CAM (h, w) of one input (3, h, w) at its size, and the target's probability."""
    twin, layer = net.oracle()
    seen: list[Tensor] = []

    def note(_: Any, __: Any, out: Tensor) -> None:
        out.retain_grad()
        seen.append(out)

    layer.register_forward_hook(note)
    logits = twin(x[None].clone().requires_grad_())
    logits[0, target].backward()
    activation, gradient = seen[0].detach(), seen[0].grad
    assert gradient is not None
    cells = (gradient.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).clamp(min=0)
    found = interpolate(cells, size=x.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    return found, float(logits.detach().softmax(1)[0, target])


def _resized(x: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    """Return (C, H, W) at another size."""
    return interpolate(
        x[None], size=size, mode="bilinear", align_corners=False, antialias=antialias
    )[0]


def _stretched(values: Tensor) -> Tensor:
    values = values - values.min()
    return values / values.max() if values.max() > 0 else values


def puzzle(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Jo and Yu 2021, section 2.2: four quarters explained by themselves, and the whole."""
    maps = []
    for x, target in zip(net.x, net.targets.tolist(), strict=True):
        height, width = x.shape[1:]
        merged = torch.zeros(height, width, dtype=torch.float64)
        for top in (0, height // 2):
            for left in (0, width // 2):
                down, across = slice(top, top + height // 2), slice(left, left + width // 2)
                view = _resized(x[:, down, across], (height, width), antialias=False)
                found, _ = gradcam(net, view, target)
                merged[down, across] = _resized(
                    found[None], (height // 2, width // 2), antialias=True
                )[0]
        maps.append((merged + gradcam(net, x, target)[0]) / 2)
    return torch.stack(maps)[:, None]


def sess(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Tursun et al. 2022, section 3, patch by patch.

    Scales 2/7 apart (64 px at 224 px), windows of the input's size a window apart, the last one
    moved back to the edge; maps in 0..1 times their share of the largest probability; the mean of
    what is above zero; a Gaussian cut at its σ.
    """
    maps = []
    for x, target in zip(net.x, net.targets.tolist(), strict=True):
        size = height, width = tuple(x.shape[1:])
        found: list[tuple[Tensor, float]] = []
        for scale in range(options["n_scales"]):
            large = tuple(round(side * (1 + 2 * scale / 7)) for side in size)
            picture = x if scale == 0 else _resized(x, large, antialias=False)
            for top in _starts(large[0], height):
                for left in _starts(large[1], width):
                    cut = picture[:, top : top + height, left : left + width]
                    values, probability = gradcam(net, cut, target)
                    canvas = torch.zeros(1, *large, dtype=torch.float64)
                    canvas[0, top : top + height, left : left + width] = _stretched(values)
                    found.append((_resized(canvas, size, antialias=False)[0], probability))
        most = max(probability for _, probability in found)
        total, count = torch.zeros(2, height, width, dtype=torch.float64)
        for values, probability in found:
            weighted = values * (probability / most)
            total += torch.where(weighted > 0, weighted, 0.0)
            count += weighted > 0
        fused = (total / count.clamp(min=1)).numpy()
        sigma = options["sigma"] * min(size) / 224
        if sigma:
            fused = gaussian_filter(fused, sigma, mode="mirror", radius=int(np.ceil(sigma)))
        maps.append(torch.from_numpy(fused))
    return torch.stack(maps)[:, None]


def _starts(length: int, window: int) -> list[int]:
    found = list(range(0, length - window, window))
    return [*found, length - window]


def rows() -> list[Row]:
    found = []
    for net in NETS:
        found += [
            Row(
                "tta",
                net,
                "pytorch-grad-cam GradCAM, aug_smooth",
                aug_smooth,
                {"of": "gradcam"},
                known="its float32 and OpenCV included",
            ),
            Row("puzzle", net, "naive, from the paper", puzzle, {"of": "gradcam"}),
            Row(
                "sess",
                net,
                "naive, from the paper",
                sess,
                {"of": "gradcam", "n_scales": 3, "sigma": 5.0},
                images=1,
            ),
        ]
    return found
