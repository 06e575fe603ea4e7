"""Named regions of an image: the index image, disjoint parts, shares, scenes of one region."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PILImage

from app.regions import REST, Regions, listing, shares
from app.scene import make_scene, region_names, source_rows
from app.scorecard import card, draw, draw_topk, rate
from xaieval.models import Preprocessing
from xaieval.types import Heatmap, Sample

SIZE = (4, 6)


def face() -> dict[str, np.ndarray]:
    """A head of 4 x 4 with an eye of one pixel and a mouth of two; no hat."""
    masks = {name: np.zeros(SIZE, bool) for name in ("head", "eye", "mouth", "hat")}
    masks["head"][:, :4] = True
    masks["eye"][1, 1] = True
    masks["mouth"][3, 1:3] = True
    return masks


def test_regions_by_hand() -> None:
    found = Regions.of(face(), SIZE)
    assert found.sizes == {"head": 16, "eye": 1, "mouth": 2, "hat": 0}
    assert found.parts == ("eye", "mouth")
    assert found.at(1, 1) == ("eye", "head")
    assert found.at(0, 0) == ("head",)
    assert found.at(0, 5) == ()
    assert found.rest().sum() == 8


@pytest.mark.parametrize("count", [0, 1, 5, 40, 70])
def test_every_mask_comes_back_however_many(count: int) -> None:
    rng = np.random.default_rng(count)
    masks = {f"r{i}": rng.random(SIZE) < 0.4 for i in range(count)}
    found = Regions.of(masks, SIZE)
    for name, mask in masks.items():
        assert np.array_equal(found.mask(name), mask)
    there = np.any(list(masks.values()), axis=0) if masks else np.zeros(SIZE, bool)
    assert np.array_equal(found.rest(), ~there)
    assert not found.mask("another").any()


@given(hnp.arrays(bool, (5, *SIZE), elements=st.booleans()))
def test_parts_are_disjoint_and_all_others_overlap_one(masks: np.ndarray) -> None:
    found = Regions.of({str(i): mask for i, mask in enumerate(masks)}, SIZE)
    parts = [masks[int(name)] for name in found.parts]
    assert not parts or np.sum(parts, axis=0).max() == 1
    for i, mask in enumerate(masks):
        if mask.any() and str(i) not in found.parts:
            assert any((mask & part).any() for part in parts)


def test_the_browser_reads_the_same_stacks() -> None:
    found = Regions.of(face(), SIZE)
    data = base64.b64decode(found.src.partition(",")[2])
    pixels = np.asarray(PILImage.open(io.BytesIO(data))).astype(int)
    index = pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
    sent = listing(found, ("head", "eye", "mouth", "hat"), "eye")
    names = [entry["name"] for entry in sent["list"]]
    for row, column in np.ndindex(SIZE):
        told = tuple(names[number] for number in sent["stacks"][index[row, column]])
        assert told == found.at(row, column)


def test_a_listing_keeps_the_datasets_order_and_colours() -> None:
    whole = listing(Regions.of(face(), SIZE), ("head", "eye", "mouth", "hat"), "eye")
    kinds = {entry["name"]: entry["kind"] for entry in whole["list"]}
    assert kinds == {
        "head": "overlapping",
        "eye": "part",
        "mouth": "part",
        "hat": "absent",
        REST: "rest",
    }
    bare = listing(Regions.of({"eye": face()["eye"]}, SIZE), ("head", "eye", "mouth", "hat"), "eye")
    assert [it["colour"] for it in bare["list"][:4]] == [it["colour"] for it in whole["list"][:4]]


def heat(values: Any) -> Heatmap:
    return Heatmap(np.asarray(values, np.float32), "saliency", 0)


def test_shares_by_hand() -> None:
    values = np.zeros(SIZE)
    values[1, 1], values[3, 1], values[0, 0], values[0, 5] = 4, 3, 2, 1
    assert shares(heat(values), Regions.of(face(), SIZE)) == pytest.approx(
        {"head": 0.9, "eye": 0.4, "mouth": 0.3, "hat": None, REST: 0.1}
    )


def test_a_constant_map_shares_by_area() -> None:
    found = Regions.of(face(), SIZE)
    told = shares(heat(np.ones(SIZE)), found)
    assert isinstance(told, dict)
    assert told["head"] == pytest.approx(16 / 24)
    assert told[REST] == pytest.approx(8 / 24)


def test_shares_without_mass_are_a_sentence() -> None:
    found = Regions.of(face(), SIZE)
    assert "negative" in str(shares(heat(np.full(SIZE, -1.0)), found))
    assert "zero" in str(shares(heat(np.zeros(SIZE)), found))


def scene_of(masks: dict[str, np.ndarray], region: str = "") -> Any:
    sample = Sample("a/b", 0, lambda: np.zeros((*SIZE, 3), np.uint8), lambda: masks)
    return make_scene(sample, Preprocessing(input_size=SIZE), region)


def test_a_scene_is_of_one_region_at_a_time() -> None:
    first = scene_of(face())
    assert (first.region, first.mask_px) == ("head", 16)
    eye = first.of("eye")
    assert (eye.region, eye.mask_px, eye.default_k) == ("eye", 1, 1)
    assert eye.key == first.key
    assert eye.mask_key != first.mask_key
    assert eye.outline != first.outline
    assert np.array_equal(eye.of("head").mask, first.mask)
    assert [row["text"] for row in source_rows(eye, several=True)][3:] == ["eye", "1 px", "4.2%"]


@pytest.mark.parametrize("region", ["hat", "tail"])
def test_an_absent_region_has_no_mask_and_says_so(region: str) -> None:
    scene = scene_of(face()).of(region)
    assert scene.mask is None
    assert scene.reason == "absent-part"
    assert f"{region} is not in this image" in scene.mask_note
    values = rate({"a": heat(np.ones(SIZE))}, scene.mask, ["iou"], reason=scene.reason)
    assert values["a"]["iou"].reason == "absent-part"


def test_empty_ground_truth_is_no_absent_part() -> None:
    scene = scene_of({"defect": np.zeros(SIZE, bool)})
    assert (scene.reason, scene.mask_note) == (
        "empty-mask",
        "The mask is empty: nothing to score against.",
    )
    assert scene_of({}).reason == "no-ground-truth"


def test_a_region_that_resizing_loses_is_told_apart() -> None:
    masks = {name: np.zeros((8, 24), bool) for name in ("hair", "block")}
    masks["hair"][:, 0] = True  # one of three columns that become one
    masks["block"][:, 12:18] = True
    sample = Sample("a", 0, lambda: np.zeros((8, 24, 3), np.uint8), lambda: masks)
    scene = make_scene(sample, Preprocessing(input_size=(8, 8)))
    assert scene.mask is None
    assert "left in the model's input" in scene.mask_note
    assert scene.reason == "absent-part"
    assert scene.of("block").mask_px == 16


def test_names_are_grouped_by_what_they_are_in_the_image() -> None:
    assert region_names(scene_of(face()), ("hat", "head", "mouth", "eye")) == {
        "part": ("mouth", "eye"),
        "overlapping": ("head",),
        "absent": ("hat",),
    }


def test_scores_of_mass_are_left_out_for_signed_maps() -> None:
    mask = face()["head"]
    signed, plain = heat(np.arange(24).reshape(SIZE) - 5), heat(np.ones(SIZE))
    rated = rate({"a": signed, "b": plain}, mask, ["mass_accuracy", "topk_overlap"])
    assert list(rated) == ["a", "b"]
    assert set(rated["a"]) == {"topk_overlap"}
    assert rated["b"]["mass_accuracy"].value == pytest.approx(16 / 24)
    shown = card(
        key="a",
        label="A",
        title="",
        baseline=False,
        drawn=draw(signed),
        topk=draw_topk(signed, mask, 3),
        identity="x",
        scores=rated["a"],
        place=None,
        competes=True,
        mask_note="",
        share=16 / 24,
    )
    assert "negative values" in str(shown["note"])
