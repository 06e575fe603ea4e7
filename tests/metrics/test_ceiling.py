"""The ceiling: nothing on the grid beats it, and a map on the grid reaches it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError
from xaieval.metrics import score
from xaieval.metrics.ceiling import axis_weights, mass_ceiling, oracle_map
from xaieval.types import Grid


def drawn(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with pixel centres, by torch."""
    found = torch.nn.functional.interpolate(
        torch.from_numpy(cells)[None, None], size=size, mode="bilinear", align_corners=False
    )
    return found[0, 0].numpy()


def plain(size: tuple[int, int], cells: tuple[int, int]) -> Grid:
    stride = size[0] / cells[0], size[1] / cells[1]
    return Grid(cells, ((stride[0] - 1) / 2, (stride[1] - 1) / 2), stride)


def ellipse(size: int, area: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2 + 9
    radius = size * np.sqrt(area / np.pi)
    return (y / 0.6) ** 2 + (x * 0.6) ** 2 <= radius**2


@pytest.mark.parametrize(
    ("size", "cells"), [((20, 30), (4, 5)), ((7, 9), (1, 3)), ((8, 8), (8, 8))]
)
def test_weights_draw_as_torch_does(size: tuple[int, int], cells: tuple[int, int]) -> None:
    grid = plain(size, cells)
    rows, columns = (
        axis_weights(size[i], cells[i], grid.centre[i], grid.stride[i]) for i in (0, 1)
    )
    values = np.random.default_rng(0).random(cells)
    np.testing.assert_allclose(rows @ values @ columns.T, drawn(values, size), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_map_on_the_grid_has_more_mass_inside(seed: int) -> None:
    generator = np.random.default_rng(seed)
    size, cells = (16, 24), (4, 4)
    mask = generator.random(size) < generator.uniform(0.02, 0.6)
    mask[3, 5] = True
    grid = plain(size, cells)
    bound = mass_ceiling(mask, grid)
    for _ in range(5):
        found = drawn(generator.random(cells) ** generator.integers(1, 20), size)
        assert found[mask].sum() / found.sum() <= bound + 1e-9
    single = []
    for cell in range(16):
        values = np.zeros(16)
        values[cell] = 1
        found = drawn(values.reshape(cells), size)
        single.append(found[mask].sum() / found.sum())
    assert max(single) == pytest.approx(bound)


def test_a_finer_grid_reaches_more() -> None:
    mask = ellipse(224, 0.017)
    assert mask.mean() == pytest.approx(0.017, rel=0.05)
    found = [mass_ceiling(mask, plain((224, 224), (n, n))) for n in (7, 14, 28, 224)]
    assert found == sorted(found)
    assert found[0] < 0.45 < 0.75 < found[2]
    assert found[3] == 1.0


def test_the_oracle_is_a_very_good_map() -> None:
    mask = ellipse(64, 0.05)
    grid = plain((64, 64), (8, 8))
    best = score(oracle_map(mask, grid)[None], mask[None], metrics="topk_overlap")["topk_overlap"]
    generator = np.random.default_rng(0)
    for _ in range(50):
        found = drawn(generator.random((8, 8)), (64, 64)).astype(np.float32)
        assert score(found[None], mask[None], metrics="topk_overlap")["topk_overlap"] < best
    keys = ["ceiling@of=topk_overlap", "ceiling", "topk_overlap"]
    found = score(oracle_map(mask, grid)[None], mask[None], metrics=keys, grid=grid)
    assert found["ceiling@of=topk_overlap"] == found["topk_overlap"]
    assert found["ceiling"] == pytest.approx(mass_ceiling(mask, grid))


def test_where_every_pixel_is_free_and_where_nothing_is_defined() -> None:
    mask = ellipse(32, 0.05)
    maps = np.ones((1, 32, 32), np.float32)
    keys = ["ceiling", "ceiling@of=topk_overlap", "ceiling@of=auroc"]
    assert all(value == 1.0 for value in score(maps, mask[None], metrics=keys).values())
    empty = score(maps, np.zeros((1, 32, 32), bool), metrics=keys)
    assert all(empty.reasons[key][0] == "empty-mask" for key in keys)
    full = score(maps, np.ones((1, 32, 32), bool), metrics=keys, grid=plain((32, 32), (4, 4)))
    assert full["ceiling"] == full["ceiling@of=topk_overlap"] == 1.0
    assert full.reasons["ceiling@of=auroc"][0] == "full-mask"
    with pytest.raises(ConfigError, match="score with a ceiling"):
        score(maps, mask[None], metrics="ceiling@of=iou")
