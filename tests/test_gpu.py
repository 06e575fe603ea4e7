"""What must hold on a CUDA card too; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from xaieval.backend import Backend, Request
from xaieval.cache import HeatmapCache
from xaieval.methods import Explainer, resolve_methods
from xaieval.models import (
    MODELS,
    Classifier,
    ModelConfig,
    build,
    calibrate_batchnorm,
)
from xaieval.types import Sample

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
METHODS = resolve_methods(["gradcam", "saliency", "gradient_x_input", "integrated_gradients"])


def classifier(arch: str = "efficientnet-b0") -> Classifier:
    spec = MODELS[arch]
    net = build(ModelConfig(arch, 5, spec.preprocessing.input_size), seed=0)
    noise = torch.randn(8, 3, *spec.preprocessing.input_size, generator=torch.manual_seed(0))
    calibrate_batchnorm(net, noise)
    return Classifier(net.eval(), preprocessing=spec.preprocessing)


def pictures(count: int = 3) -> list[Sample]:
    def read(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (240, 240, 3), dtype=np.uint8)

    return [
        Sample(id=str(seed), label=0, read_image=lambda seed=seed: read(seed))
        for seed in range(count)
    ]


def test_cuda_agrees_with_the_cpu_in_double_precision() -> None:
    model = classifier("small-cnn")
    x = torch.randn(2, 3, 192, 192, dtype=torch.float64, generator=torch.manual_seed(1))
    found = {
        device: Explainer(model, device=device, exact=True).run(x, methods=METHODS).maps
        for device in ("cpu", "cuda")
    }
    for key, reference in found["cpu"].items():
        largest = np.abs(reference).max()
        np.testing.assert_allclose(found["cuda"][key], reference, atol=1e-4 * largest)


@pytest.mark.parametrize("arch", sorted(MODELS))
def test_the_fast_path_ranks_as_the_exact_one(arch: str) -> None:
    model = classifier(arch)
    size = MODELS[arch].preprocessing.input_size
    x = torch.randn(2, 3, *size, generator=torch.manual_seed(2))
    exact = Explainer(model, device="cuda", exact=True).run(x.double(), methods=METHODS).maps
    fast = Explainer(model, device="cuda").run(x, methods=METHODS).maps
    # With random weights, single precision alone flips ReLUs of this deep net: 0.9994 unfolded,
    # 0.9989 folded; folded in double precision 0.9999.
    least = 0.998 if arch == "resnet50" else 0.999
    for key, reference in exact.items():
        for a, b in zip(reference, fast[key], strict=True):
            assert spearmanr(a.ravel(), b.ravel()).statistic >= least, key


def test_the_backend_picks_the_card_and_answers(tmp_path: Path) -> None:
    backend = Backend("auto", cache=HeatmapCache(folder=tmp_path))
    try:
        assert backend.devices[0].startswith("cuda")
        model = classifier()
        answer = backend.explain(Request(checkpoint=model, sample=pictures(1)[0], methods=METHODS))
        assert all(np.isfinite(heatmap.values).all() for heatmap in answer.maps.values())
    finally:
        backend.close()


def test_memory_does_not_grow_with_steps() -> None:
    model = classifier()
    explainer = Explainer(model, device="cuda")
    x = torch.randn(4, 3, 224, 224, generator=torch.manual_seed(3))
    peaks = []
    for steps in (25, 400):
        torch.cuda.reset_peak_memory_stats()
        explainer.run(
            x, methods=resolve_methods([{"id": "integrated_gradients", "n_steps": steps}])
        )
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.05 * peaks[0]
