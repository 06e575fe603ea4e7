"""Both upsamplings, "paper" and "aligned": where cells are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import interpolate

from xaieval.errors import ConfigError, NotDefinedError
from xaieval.methods import UPSAMPLINGS, Explainer, explain, resolve_methods
from xaieval.methods.placement import Placement, even_placement
from xaieval.methods.upsampling import check_upsampling, place
from xaieval.models import Classifier
from xaieval.models.vit import VisionTransformer, VitConfig

CAMS = ["gradcam", "hirescam", "score_cam", "ablation_cam"]


def naive(cells: np.ndarray, size: tuple[int, int], placement: Placement) -> np.ndarray:
    """Bilinear interpolation pixel by pixel."""
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            share = []
            for pixel, axis in ((y, 0), (x, 1)):
                spot = (pixel - placement.centre[axis]) / placement.stride[axis]
                share.append(min(max(spot, 0.0), cells.shape[axis] - 1.0))
            for i in range(cells.shape[0]):
                for j in range(cells.shape[1]):
                    weight = max(0.0, 1 - abs(share[0] - i)) * max(0.0, 1 - abs(share[1] - j))
                    out[y, x] += weight * cells[i, j]
    return out


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(-6, 6),
    st.floats(-6, 6),
    st.floats(0.5, 5),
    st.floats(0.5, 5),
)
def test_place_naive_twin(
    height: int, width: int, y0: float, x0: float, ys: float, xs: float
) -> None:
    cells = np.random.default_rng(height * 7 + width).normal(size=(height, width))
    placement = Placement((y0, x0), (ys, xs))
    found = place(torch.from_numpy(cells)[None, None], (7, 9), placement)[0, 0].numpy()
    np.testing.assert_allclose(found, naive(cells, (7, 9), placement), atol=1e-9)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_even_cells_are_drawn_as_the_papers_do(
    height: int, width: int, times_y: int, times_x: int
) -> None:
    cells = torch.randn(2, 1, height, width, dtype=torch.float64)
    size = height * times_y, width * times_x
    expected = interpolate(cells, size=size, mode="bilinear", align_corners=False)
    found = place(cells, size, even_placement((height, width), size))
    torch.testing.assert_close(found, expected)


def test_a_constant_stays_constant_and_company_changes_no_bit() -> None:
    placement = Placement((3.3, -1.7), (2.9, 3.1))
    flat = place(torch.full((1, 1, 3, 4), 0.3), (11, 13), placement)
    torch.testing.assert_close(flat, torch.full((1, 1, 11, 13), 0.3))
    maps = torch.randn(5, 1, 3, 4)
    together = place(maps, (11, 13), placement)
    for i in range(5):
        assert torch.equal(place(maps[i : i + 1], (11, 13), placement)[0], together[i])


# ---------------------------------------------------------------- networks


class Bright(nn.Module):
    """Five convolutions of stride 2, padded on both sides: cells lie at 32·i, not 32·i + 15.5."""

    def __init__(self, padding: int = 1, kernel: int = 3) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, 1, kernel, 2, padding, bias=False) for _ in range(5)]
        for layer in layers:
            nn.init.constant_(layer.weight, 1 / kernel**2)
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.body(x).relu().sum((1, 2, 3))
        return torch.stack([total, -total], 1)


@pytest.mark.parametrize("spot", [(96, 128), (64, 64), (128, 160)])
@pytest.mark.parametrize("method", CAMS)
def test_the_peak_lies_at_the_bright_pixel(method: str, spot: tuple[int, int]) -> None:
    x = torch.zeros(1, 1, 224, 224)
    x[0, 0, spot[0], spot[1]] = 1
    classifier = Classifier(Bright(), example=torch.rand(2, 1, 224, 224), target_layer="body.4")
    off = {}
    for name in UPSAMPLINGS:
        values = explain(classifier, x, methods=method, targets=0, upsampling=name)[method][0]
        place_of = np.unravel_index(int(values.argmax()), (224, 224))
        off[name] = max(abs(int(place_of[i]) - spot[i]) for i in (0, 1))
    assert off["aligned"] == 0
    assert off["paper"] in (15, 16)


def test_no_displacement_no_difference() -> None:
    """2 × 2 windows without padding: cells lie where papers draw them."""
    classifier = Classifier(
        Bright(padding=0, kernel=2), example=torch.rand(2, 1, 64, 96), target_layer="body.4"
    )
    x = torch.rand(2, 1, 64, 96)
    paper, aligned = (explain(classifier, x, methods=CAMS, upsampling=u) for u in UPSAMPLINGS)
    for method in CAMS:
        torch.testing.assert_close(aligned[method], paper[method])


def test_patches_stand_on_their_share() -> None:
    torch.manual_seed(0)
    config = VitConfig((16, 24), 4, dim=8, depth=2, heads=2, mlp_dim=16, n_classes=3)
    classifier = Classifier(VisionTransformer(config).eval(), example=torch.rand(2, 3, 16, 24))
    x, methods = torch.rand(2, 3, 16, 24), ["gradcam", "attention_rollout", "gradient_rollout"]
    paper, aligned = (explain(classifier, x, methods=methods, upsampling=u) for u in UPSAMPLINGS)
    for method in methods:
        torch.testing.assert_close(aligned[method], paper[method])


def test_pictures_of_several_sizes_share_an_explainer() -> None:
    classifier = Classifier(Bright(), example=torch.rand(2, 1, 64, 64), target_layer="body.4")
    explainer = Explainer(classifier, upsampling="aligned")
    for size in ((64, 64), (96, 160)):
        maps = explainer.run(torch.rand(1, 1, *size), methods=resolve_methods("gradcam")).maps
        assert maps["gradcam"].shape == (1, *size)


class Reordered(nn.Module):
    """Cells that no arithmetic finds: rows of the map are sorted by their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x).relu()
        order = maps.sum((1, 3)).argsort(1)[:, None, :, None].expand_as(maps)
        return self.head(self.last(maps.gather(2, order)).mean((2, 3)))


def test_where_arithmetic_does_not_tell_aligned_is_not_defined(make_noise: Any) -> None:
    x = make_noise(2, 16)
    explain(Reordered(), x, methods="gradcam", target_layer="last")
    with pytest.raises(NotDefinedError, match=r"nobody can say exactly where.*paper"):
        explain(Reordered(), x, methods="gradcam", target_layer="last", upsampling="aligned")
    classifier = Classifier(Reordered(), example=x, target_layer="last")
    explainer = Explainer(classifier, upsampling="aligned")
    methods = resolve_methods(["gradcam", "saliency", "score_cam"])
    found = explainer.run(x, methods=methods, skip_undefined=True)
    assert list(found.maps) == ["saliency"]
    assert set(found.undefined) == {"gradcam", "score_cam"}


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'aligned'"):
        check_upsampling("alinged")
