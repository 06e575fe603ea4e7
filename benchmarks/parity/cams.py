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
CONVOLUTIONAL = ("relu-cnn", "silu", "mobilenet", "resnet")


class _Namespace:
    """A module of which some names are replaced."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        return self._names[name] if name in self._names else getattr(self._module, name)


@contextmanager
def in_float64() -> Iterator[None]:
    """Run pytorch-grad-cam without its roundings of scores and maps to float32."""
    double = partial(torch.tensor, dtype=torch.float64)
    with ExitStack() as stack:
        for name in ("ablation_cam", "utils.svd_on_activations"):
            module = peer(f"pytorch_grad_cam.{name}")
            stack.enter_context(patch.object(module, "np", _Namespace(np, float32=np.float64)))
        module = peer("pytorch_grad_cam.score_cam")
        stack.enter_context(patch.object(module, "torch", _Namespace(torch, Tensor=double)))
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
            weights = (before - twin(x)[:, target]) / before
            handle.remove()
            for weight, channel in zip(weights, channels, strict=True):
                total += weight * activation[0, channel]
        maps.append(total.clamp(min=0)[None, None])
    return _resized(torch.cat(maps), net)


def rows() -> list[Row]:
    found = []
    for net in CONVOLUTIONAL:
        for method, name, known in (
            ("gradcam", "GradCAM", ""),
            ("gradcam_plus_plus", "GradCAMPlusPlus", ""),
            ("hirescam", "HiResCAM", ""),
            ("layercam", "LayerCAM", ""),
            ("xgradcam", "XGradCAM", ""),
            ("score_cam", "ScoreCAM", ""),
        ):
            if method == "score_cam" and net == "resnet":
                continue  # 512 more passes, and nothing new
            images = 1 if method == "score_cam" else 2
            found.append(
                Row(method, net, f"pytorch-grad-cam {name}", _cam(name), images=images, known=known)
            )
        found.append(
            Row(
                "eigen_cam",
                net,
                "pytorch-grad-cam EigenCAM",
                _cam("EigenCAM", rectified=False),
                measure="difference / max, up to sign",
            )
        )
    for net in ("relu-cnn", "resnet"):
        found.append(
            Row("ablation_cam", net, "pytorch-grad-cam AblationCAM", _cam("AblationCAM"), images=1)
        )
    for net in ("relu-cnn", "silu", "mobilenet"):
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
