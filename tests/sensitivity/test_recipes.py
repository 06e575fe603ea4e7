"""Masks grown and shrunk, flat cells, keys of K: against naive twins and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError
from xaieval.methods import parse_method
from xaieval.metrics import parse_metric
from xaieval.metrics.ceiling import axis_weights
from xaieval.sensitivity import AXES, Recipe, changed_mask
from xaieval.sensitivity.axes import Asked, variants_of
from xaieval.sensitivity.measuring import call_for
from xaieval.sensitivity.recipe import nearest_cells
from xaieval.sensitivity.sampling import chosen_images, chosen_seeds
from xaieval.types import Grid

ASKED = Asked(
    parse_metric("topk_overlap"), tuple(map(parse_method, ("gradcam", "saliency", "rise")))
)


def naive_step(mask: np.ndarray, *, grow: bool) -> np.ndarray:
    """One step, pixel by pixel; beyond the edge nothing is known, so it changes nothing."""
    found = mask.copy()
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                near = y + dy, x + dx
                if not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                if mask[near] == grow:
                    found[y, x] = grow
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(-5, 5), st.integers(3, 9), st.integers(3, 9))
def test_masks_grow_and_shrink_as_pixel_by_pixel(
    seed: int, px: int, height: int, width: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.7
    expected = mask.copy()
    for _ in range(abs(px)):
        expected = naive_step(expected, grow=px > 0)
    if not mask.any():
        expected = mask
    assert (changed_mask(mask, px) == expected).all()


def test_a_full_mask_stays_full_and_an_empty_one_empty() -> None:
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    assert changed_mask(full, -5).all()
    assert changed_mask(full, 5).all()
    assert not changed_mask(empty, 5).any()
    assert not changed_mask(empty, -1).any()


def test_flat_cells_take_the_value_of_the_cell_they_lie_in() -> None:
    cells = np.array([[1.0, 2.0], [3.0, 9.0]])
    weights = axis_weights(8, 2, 1.5, 4.0)
    drawn = (weights @ cells @ weights.T).astype(np.float32)
    flat = nearest_cells(drawn, Grid((2, 2), (1.5, 1.5), (4.0, 4.0)))
    assert flat is not None
    assert flat == pytest.approx(np.kron(cells, np.ones((4, 4))), abs=1e-4)
    changed = drawn.copy()
    changed[0, 0] += 5  # no longer what four cells draw
    assert nearest_cells(changed, Grid((2, 2), (1.5, 1.5), (4.0, 4.0))) is None


def test_k_is_a_multiple_of_the_mask_or_a_share_of_the_image() -> None:
    half = Recipe(metric="topk_overlap", k_factor=0.5)
    assert [half.key_for(n, 100) for n in (1, 3, 10)] == [f"precision@K={k}" for k in (1, 2, 5)]
    assert Recipe(metric="iou", k_factor=2.0).key_for(80, 100) == "precision@K=100"
    assert Recipe(metric="iou", k_share=0.05).key_for(3, 400) == "precision@K=20"
    with pytest.raises(ConfigError):
        Recipe(metric="iou", k_factor=2.0, k_share=0.1)


def test_a_recipe_changes_only_the_options_that_a_method_has() -> None:
    pooled = Recipe(metric="topk_overlap", pooling="sum,pos")
    assert call_for(parse_method("saliency"), pooled).key == "saliency[pooling=sum,pos]"
    assert call_for(parse_method("gradcam"), pooled).key == "gradcam"
    aligned = Recipe(metric="topk_overlap", upsampling="aligned")
    assert call_for(parse_method("gradcam"), aligned).key == "gradcam[upsampling=aligned]"
    flat = Recipe(metric="topk_overlap", upsampling="nearest")
    assert call_for(parse_method("gradcam"), flat).key == "gradcam"


@pytest.mark.parametrize("metric", ["topk_overlap", "mass_accuracy", "iou", "auroc", "iou[otsu]"])
def test_no_variant_measures_what_another_does(metric: str) -> None:
    varied, skipped = variants_of(Asked(parse_metric(metric), ASKED.compete))
    keys = [(v.recipe.key, v.wins) for found in varied.values() for v in found]
    assert len(set(keys)) == len(keys)
    assert (Recipe(metric=metric).key, "split") not in keys
    assert {*varied, *skipped} == set(AXES)
    assert ("ties" in skipped) == (metric != "topk_overlap")


def test_axes_say_why_they_have_nothing_to_vary() -> None:
    one = Asked(parse_metric("topk_overlap"), (parse_method("saliency"),), several=True)
    _, skipped = variants_of(one)
    assert "grid" in skipped["upsampling"]
    assert "attribute" in skipped["target"]
    _, skipped = variants_of(Asked(parse_metric("iou"), (parse_method("gradcam"),)))
    assert "channels" in skipped["pooling"]
    with pytest.raises(ConfigError, match="pooling"):
        variants_of(ASKED, ["poling"])


def test_of_right_predictions_the_label_is_no_other_class() -> None:
    right = Asked(ASKED.metric, ASKED.compete, correct=True)
    assert [v.id for v in variants_of(right)[0]["target"]] == ["target=second"]
    assert [v.id for v in variants_of(ASKED)[0]["target"]] == ["target=label", "target=second"]


def test_more_images_only_add_to_those_chosen_before() -> None:
    classes = {f"{c}{i}": c for c in "abc" for i in range(5)}
    few, many = chosen_images(classes, 4), chosen_images(classes, 9)
    assert many[:4] == few
    assert len(set(many)) == 9
    assert sorted(classes[s] for s in many[:3]) == ["a", "b", "c"]
    assert set(chosen_images(classes, None)) == set(classes)
    assert chosen_seeds((1, 2, 3, 4), 200) == (1, 2, 3)
