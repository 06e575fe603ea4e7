"""Networks and inputs that the tests of the methods share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xaieval.models import Classifier, ModelConfig, Preprocessing, build, calibrate_batchnorm

MakeClassifier = Callable[..., Classifier]

# Fewer rows than by default, for tests that run every method.
FEW: dict[str, dict[str, object]] = {
    "rise": {"n_masks": 20},
    "lime": {"n_samples": 30, "n_segments": 8},
    "kernel_shap": {"n_samples": 30, "n_segments": 8},
    "shapley_sampling": {"n_samples": 3, "n_segments": 8},
    "sess": {"of": "saliency", "n_scales": 2},
    "puzzle": {"of": "saliency"},
    "tta": {"of": "saliency"},
}


@pytest.fixture(scope="session")
def few() -> dict[str, dict[str, object]]:
    return FEW


def noise(count: int, size: int, seed: int = 0) -> Tensor:
    """Return smooth noise (count, 3, size, size) with a spread of about 1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((count, 3, 8, 8), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return smooth + 0.2 * torch.randn((count, 3, size, size), generator=generator)


@pytest.fixture(scope="session")
def make_classifier() -> MakeClassifier:
    """Build a multitask network with calibrated batch norms, wrapped; the same one each time."""
    made: dict[tuple[str, int], Classifier] = {}

    def make(arch: str, size: int) -> Classifier:
        if (arch, size) not in made:
            net = build(ModelConfig(arch, 5, (size, size)), seed=0)
            calibrate_batchnorm(net, noise(8, size, seed=1))
            made[arch, size] = Classifier(net.eval(), preprocessing=Preprocessing((size, size)))
        return made[arch, size]

    return make


@pytest.fixture(scope="session")
def make_noise() -> Callable[..., Tensor]:
    return noise
