"""The networks of the comparison: as users write them, and a twin for the libraries with hooks.

A library that hooks ``nn.ReLU`` modules sees neither functional nor reused ones, and what its
hooks keep is overwritten by in-place ones. So ours explain the network as it is, and the oracle
gets a twin with the same weights and numbers whose activations are modules of their own.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu

from benchmarks.parity.peers import torchvision
from xaieval.models import (
    Classifier,
    ModelConfig,
    Preprocessing,
    build,
    calibrate_batchnorm,
    classifier_from_encoder,
)
from xaieval.models.preprocessing import HALF
from xaieval.models.vit import VisionTransformer, VitConfig

# Mean and deviation 0.5: model input lies in −1..1. Its size is never asked for.
INPUT = Preprocessing((64, 64), mean=HALF, std=HALF, name="half")


class Absent(Exception):
    """A network cannot be built here: its data or its code are not there."""


@dataclass(frozen=True, eq=False)
class Net:
    """One network of the comparison, in float64.

    Attributes
    ----------
    module : torch.nn.Module
        As a user hands it over; any output.
    twin : torch.nn.Module
        The oracle's: logits (B, C) equal to the module's.
    layer, twin_layer : str
        Dotted names of the target layer.
    x : float64 (n, 3, H, W)
    targets : int64 (n,)
        Not always the predicted class.
    """

    id: str
    label: str
    module: nn.Module
    twin: nn.Module
    layer: str
    twin_layer: str
    x: Tensor
    targets: Tensor

    @property
    def classifier(self) -> Classifier:
        """The wrapper that a user makes."""
        return self.classifier_in(torch.float64)

    def classifier_in(self, dtype: torch.dtype) -> Classifier:
        """The same for a network in another precision."""
        module = self.module
        if dtype != torch.float64:
            module = copy.deepcopy(module).to(dtype)
        return Classifier(
            module,
            preprocessing=INPUT,
            example=self.x[:2].to(dtype),
            target_layer=self.layer,
        )

    def oracle(self) -> tuple[nn.Module, nn.Module]:
        """Return a fresh twin, which may be hooked, and its target layer."""
        twin = copy.deepcopy(self.twin)
        return twin, twin.get_submodule(self.twin_layer)


class TrickyCNN(nn.Module):
    """In-place, functional and reused ReLU, both ways of max-pooling, batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.conv3 = nn.Conv2d(12, 16, 3, padding=1, stride=2)
        self.conv4, self.bn4 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.again = nn.ReLU(inplace=True)
        self.last = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.mean = nn.AdaptiveAvgPool2d(2)
        self.hidden, self.top = nn.Linear(64, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.pool(self.again(self.bn1(self.conv1(x))))
        x = max_pool2d(relu(self.bn2(self.conv2(x))), 2)
        x = self.again(self.conv3(x))
        x = self.last(self.bn4(self.conv4(x)))
        x = self.mean(x).flatten(1)
        return {"features": x, "logits": self.top(self.hidden(x).relu_())}


class CleanCNN(TrickyCNN):
    """The same network, written as the libraries with hooks need it."""

    def __init__(self) -> None:
        super().__init__()
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(4))
        self.pools = nn.ModuleList(nn.MaxPool2d(2) for _ in range(2))
        self.last = nn.ReLU()
        self.flatten = nn.Flatten()
        del self.again, self.pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.pools[0](self.relus[0](self.bn1(self.conv1(x))))
        x = self.pools[1](self.relus[1](self.bn2(self.conv2(x))))
        x = self.relus[2](self.conv3(x))
        x = self.last(self.bn4(self.conv4(x)))
        logits: Tensor = self.top(self.relus[3](self.hidden(self.flatten(self.mean(x)))))
        return logits


class Logits(nn.Module):
    """The classifier alone of a multitask network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.classify(x)


def pictures(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Return smooth noise float64 (count, 3, H, W) in −1..1, no value closer to zero than 0.01.

    Where no value is zero, a mask can be read off a masked picture.
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((count, 3, 8, 8), generator=generator, dtype=torch.float64)
    fine = torch.randn((count, 3, *size), generator=generator, dtype=torch.float64)
    x = interpolate(coarse, size=size, mode="bicubic") + 0.2 * fine
    return 0.98 * (x / 2).tanh() + 0.01 * torch.where(x < 0, -1.0, 1.0)


def relu_cnn() -> Net:
    torch.manual_seed(0)
    module = TrickyCNN().double()
    x = pictures(2, (32, 40))
    calibrate(module, pictures(16, (32, 40), seed=1))
    twin = CleanCNN().double()
    twin.load_state_dict(module.state_dict())
    return Net(
        "relu-cnn",
        "ReLU CNN",
        module.eval(),
        twin.eval(),
        "last",
        "last",
        x,
        torch.tensor([3, 1]),
    )


def silu() -> Net:
    size = (64, 64)
    net = build(ModelConfig("efficientnet-b0", 5, size), seed=0).double()
    seen = pictures(16, size, seed=1)
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(seen.shape, generator=generator, dtype=seen.dtype)
    # Noise too: calibrated on smooth pictures alone, untrained weights answer a noisy one with
    # logits of several hundred, and float32 gradients there have no digit right.
    calibrate_batchnorm(net, torch.cat([seen, seen + noise]))
    net = net.eval()
    layer = "encoder.features.8"
    return Net(
        "silu",
        "SiLU multitask net (EfficientNet-B0, 64²)",
        net,
        Logits(net),
        layer,
        f"net.{layer}",
        pictures(2, size),
        torch.tensor([3, 1]),
    )


def mobilenet() -> Net:
    root = Path(os.environ.get("XAIEVAL_DATA", "no-such-folder"))
    weights = root / "weights" / "mobilenet_v2_1.0_224.fp16.safetensors"
    samples = sorted((root / "imagenet_samples" / "images").glob("*"))[:40:20]
    if not weights.exists() or not samples:
        raise Absent("XAIEVAL_DATA names no folder with the ImageNet weights and samples")
    inputs = Preprocessing((96, 96), 110, mean=HALF, std=HALF, name="tensorflow")
    classifier = classifier_from_encoder(
        "mobilenet-v2", weights=weights, padding="same_tf", preprocessing=inputs
    )
    seen = []
    for sample in samples:
        with Image.open(sample) as image:
            seen.append(inputs.picture(np.asarray(image.convert("RGB"))))
    x = inputs.tensor(np.stack(seen)).double()
    net = classifier.module.double().eval()
    with torch.no_grad():
        targets = net(x).argmax(1)
    return Net(
        "mobilenet",
        "MobileNetV2, ImageNet weights, two photographs, 96²",
        net,
        net,
        "features.18",
        "features.18",
        x,
        targets,
    )


def resnet() -> Net:
    module = torchvision().models.resnet18(weights=None, num_classes=5)
    return _foreign(module, "resnet", "ResNet-18 (torchvision's code), 64²", "layer4")


def vgg() -> Net:
    module = torchvision().models.vgg11_bn(weights=None)
    # Its own head of 120 million weights would only cost time.
    module.avgpool = nn.AdaptiveAvgPool2d(2)
    module.classifier = nn.Sequential(
        nn.Linear(2048, 32), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(32, 5)
    )
    label = "VGG-11 with batch norm (torchvision's code, a small head), 64²"
    return _foreign(module, "vgg", label, "features")


def _foreign(module: nn.Module, name: str, label: str, layer: str) -> Net:
    size = (64, 64)
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight, generator=generator)
            if part.bias is not None:
                nn.init.uniform_(part.bias, -0.1, 0.1, generator=generator)
    module = module.double()
    torch.manual_seed(0)  # dropout while calibrating
    calibrate(module, pictures(16, size, seed=1))
    x = pictures(2, size)
    with torch.no_grad():
        targets = module(x).argmax(1)
    return Net(name, label, module, module, layer, layer, x, targets)


def vit() -> Net:
    size = (48, 64)
    torch.manual_seed(0)
    config = VitConfig(
        size, patch=8, dim=32, depth=3, heads=4, mlp_dim=64, registers=1, n_classes=5
    )
    module = VisionTransformer(config).double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "in_proj_weight" in name or "register" in name or "class_token" in name:
                # At the start attention is almost even, and a mistake in it would not be seen.
                parameter.add_(torch.randn_like(parameter) * 0.4)
    return Net(
        "vit",
        "ViT (3 blocks, class token and a register, 6×8 patches)",
        module,
        module,
        "encoder.layers.encoder_layer_2.token_map",
        "encoder.layers.encoder_layer_2.token_map",
        pictures(2, size),
        torch.tensor([3, 1]),
    )


def calibrate(module: nn.Module, x: Tensor) -> None:
    """Set the statistics of batch norms to those of ``x``, and spread their scale and shift.

    With the initial scale 1 and shift 0 a mistake in folding would not be seen.
    """
    generator = torch.Generator().manual_seed(2)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
            part.reset_running_stats()
            nn.init.uniform_(part.weight, 0.6, 1.4, generator=generator)
            nn.init.uniform_(part.bias, -0.3, 0.3, generator=generator)
    with torch.no_grad():
        module.train()(x)
    module.eval()


BUILDERS: dict[str, Callable[[], Net]] = {
    "relu-cnn": relu_cnn,
    "silu": silu,
    "mobilenet": mobilenet,
    "resnet": resnet,
    "vgg": vgg,
    "vit": vit,
}


@cache
def network(name: str) -> Net:
    """Build a network once.

    Raises
    ------
    Absent
        When its data or code are not there.
    """
    return BUILDERS[name]()
