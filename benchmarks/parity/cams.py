"""Rows of the CAM family: pytorch-grad-cam is the oracle, at the layer's size.

It scales maps to 0..1 and resizes them with OpenCV. Both come after the method, so what is
compared is what ``get_cam_image`` returns, resized as ours is (bilinear, pixel centres).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.parity.networks import Net
from benchmarks.parity.peers import peer, quiet
from benchmarks.parity.rows import Row

Options = Mapping[str, Any]
NETS = ("relu-cnn", "silu", "mobilenet", "resnet", "vit")


class _Namespace:
    """A module of which some names are replaced."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        return self._names[name] if name in self._names else getattr(self._module, name)


@contextmanager
def in_float64() -> Iterator[None]:
    """Run pytorch-grad-cam without its roundings of scores and maps to float32.

    Score-CAM's masks are drawn with pixel centres, where it has ``align_corners=True``.
    """
    double = partial(torch.tensor, dtype=torch.float64)
    with ExitStack() as stack:
        for name in ("ablation_cam", "utils.svd_on_activations"):
            module = peer(f"pytorch_grad_cam.{name}")
            stack.enter_context(patch.object(module, "np", _Namespace(np, float32=np.float64)))
        module = peer("pytorch_grad_cam.score_cam")
        centred = partial(torch.nn.Upsample, mode="bilinear", align_corners=False)
        layers = _Namespace(torch.nn, UpsamplingBilinear2d=centred)
        names = _Namespace(torch, Tensor=double, nn=layers)
        stack.enter_context(patch.object(module, "torch", names))
        yield


def layer_maps(net: Net, name: str, *, rectified: bool = True) -> Tensor:
    """Return the peer's maps (n, 1, h, w) at the size of the target layer."""
    cams = peer("pytorch_grad_cam")
    target = peer("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    twin, layer = net.oracle()
    kept: list[Any] = []
    with in_float64(), quiet():
        cam = getattr(cams, name)(model=twin, target_layers=[layer])
        plain = cam.get_cam_image

        def keep(*args: Any, **kwargs: Any) -> Any:
            kept.append(plain(*args, **kwargs))
            return kept[-1]

        cam.get_cam_image = keep
        cam(input_tensor=net.x, targets=[target(int(t)) for t in net.targets])
        cam.activations_and_grads.release()
    maps = torch.from_numpy(np.asarray(kept[0], np.float64))[:, None]
    return maps.clamp(min=0) if rectified else maps


def _cam(name: str, *, rectified: bool = True) -> Any:
    def reference(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
        return _resized(layer_maps(net, name, rectified=rectified), net)

    return reference


def _resized(maps: Tensor, net: Net) -> Tensor:
    return interpolate(maps, size=net.x.shape[2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def ablation_by_paper(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Desai and Ramaswamy 2020, equation 3: every channel set to zero, one at a time.

    A hook puts 40 ablated copies where the layer answers one picture.
    """
    maps = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        twin, layer = net.oracle()
        seen: list[Tensor] = []
        handle = layer.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.clone()))
        before = twin(x)[0, target]
        handle.remove()
        activation = seen[0]
        total = torch.zeros(activation.shape[2:], dtype=torch.float64)
        for channels in torch.arange(activation.shape[1]).split(40):
            blank = activation.repeat(len(channels), 1, 1, 1)
            for place, channel in enumerate(channels):
                blank[place, channel] = 0
            handle = layer.register_forward_hook(lambda _, __, ___, blank=blank: blank)
            # Most networks run the layers before the hook on one picture; tokens are joined there.
            count = len(channels) if net.id == "vit" else 1
            weights = (before - twin(x.expand(count, -1, -1, -1))[:, target]) / before
            handle.remove()
            for weight, channel in zip(weights, channels, strict=True):
                total += weight * activation[0, channel]
        maps.append(total.clamp(min=0)[None, None])
    return _resized(torch.cat(maps), net)


def eigen_by_peer(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """The peer's, its sign turned so that the value farthest from zero is positive, rectified."""
    return _resized(_turned(layer_maps(net, "EigenCAM", rectified=False)).clamp(min=0), net)


def eigen_by_paper(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Muhammad and Yeasin 2020, section III: the activations times their first right vector."""
    maps = []
    for activation, _ in _acts_and_grads(net):
        cells = activation.flatten(1).T.numpy()
        vector = np.linalg.svd(cells, full_matrices=False)[2][0]
        maps.append(torch.from_numpy(cells @ vector).reshape(1, *activation.shape[1:]))
    return _resized(_turned(torch.stack(maps)).clamp(min=0), net)


def _turned(maps: Tensor) -> Tensor:
    flat = maps.flatten(1)
    farthest = flat.gather(1, flat.abs().argmax(1, keepdim=True))
    return maps * torch.where(farthest < 0, -1.0, 1.0)[:, :, None, None]


def _acts_and_grads(net: Net) -> list[tuple[Tensor, Tensor]]:
    """Return the target layer's activations and the gradients by them, (K, h, w) each."""
    found = []
    for x, target in zip(net.x.split(1), net.targets.tolist(), strict=True):
        twin, layer = net.oracle()
        seen: list[Tensor] = []

        def note(_: Any, __: Any, out: Tensor, seen: list[Tensor] = seen) -> None:
            out.retain_grad()
            seen.append(out)

        layer.register_forward_hook(note)
        twin(x.clone().requires_grad_())[0, target].backward()
        gradient = seen[0].grad
        assert gradient is not None
        found.append((seen[0].detach()[0], gradient[0]))
    return found


def plus_plus_by_paper(net: Net, options: Options, rows: list[Tensor]) -> Tensor:
    """Chattopadhay et al. 2018, equations 7 and 19, cell by cell, with Y = exp(logit)."""
    maps = []
    for activation, gradient in _acts_and_grads(net):
        total = torch.zeros(activation.shape[1:], dtype=torch.float64)
        for a, g in zip(activation, gradient, strict=True):
            weight = 0.0
            for cell in g.flatten().tolist():
                below = 2 * cell**2 + cell**3 * float(a.sum())
                if below != 0:
                    weight += cell**2 / below * max(cell, 0.0)
            total += weight * a
        maps.append(total.clamp(min=0)[None])
    return _resized(torch.stack(maps), net)


def rows() -> list[Row]:
    found = []
    for net in NETS:
        for method, name, options in (
            ("gradcam", "GradCAM", {}),
            ("gradcam_plus_plus", "GradCAMPlusPlus", {"eps": 1e-6}),
            ("hirescam", "HiResCAM", {}),
            ("layercam", "LayerCAM", {}),
            ("xgradcam", "XGradCAM", {}),
        ):
            found.append(Row(method, net, f"pytorch-grad-cam {name}", _cam(name), options))
        found.append(
            Row(
                "gradcam_plus_plus",
                net,
                "naive, from the paper",
                plus_plus_by_paper,
                known="pytorch-grad-cam adds 1e-6 to a divisor of the size of g²",
            )
        )
        if net != "resnet":  # 512 more passes, and nothing new
            found.append(
                Row(
                    "score_cam",
                    net,
                    "pytorch-grad-cam ScoreCAM",
                    _cam("ScoreCAM"),
                    images=1,
                    known="its masks drawn with pixel centres (align_corners=False)",
                )
            )
        found.append(
            Row(
                "eigen_cam",
                net,
                "pytorch-grad-cam EigenCAM",
                eigen_by_peer,
                {"centre": "cells"},
                known="its arbitrary sign turned as ours is",
            )
        )
        found.append(Row("eigen_cam", net, "naive, from the paper", eigen_by_paper))
    for net in ("relu-cnn", "resnet"):
        found.append(
            Row("ablation_cam", net, "pytorch-grad-cam AblationCAM", _cam("AblationCAM"), images=1)
        )
    for net in ("relu-cnn", "silu", "mobilenet", "vit"):
        found.append(
            Row(
                "ablation_cam",
                net,
                "naive, from the paper",
                ablation_by_paper,
                images=1,
                known="pytorch-grad-cam puts −10⁷ where a layer has negative values",
            )
        )
    return found
