"""Pictures of heatmaps: orientation, colours, outlines, encodings."""

from __future__ import annotations

import base64
import io
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PILImage

from xaieval.errors import ConfigError
from xaieval.render import (
    COLOUR_MAPS,
    PART_COLOURS,
    TOPK_COLOURS,
    colour_table,
    colourise,
    data_uri,
    draw_outline,
    encode,
    levels,
    outline_path,
    overlay,
    part_layer,
    part_legend,
    part_overlay,
    rgb,
    thumbnail,
    topk_layer,
    topk_overlay,
)


def ramp(height: int = 6, width: int = 9) -> np.ndarray:
    """An asymmetric map: rises downwards by tens, to the right by ones."""
    return (np.arange(height)[:, None] * 10 + np.arange(width)).astype(np.float32)


def test_levels_by_hand() -> None:
    values = np.array([[-1, 0], [1, 3]], np.float32)
    assert levels(values).tolist() == [[0, 64], [128, 255]]
    assert levels(values, low=0, high=1).tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("value", [0.0, 7.5, -3.0])
def test_levels_of_a_flat_map_are_zero(value: float) -> None:
    assert not levels(np.full((3, 4), value, np.float32)).any()


def test_levels_of_extreme_values_do_not_overflow() -> None:
    top = np.finfo(np.float32).max
    assert levels(np.array([[-top, top]], np.float32)).tolist() == [[0, 255]]


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_levels_keep_the_order(values: np.ndarray) -> None:
    steps = levels(values).ravel().astype(int)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(steps[order]) >= 0).all()


def test_colour_maps_are_matplotlibs() -> None:
    import matplotlib

    for name in COLOUR_MAPS:
        expected = matplotlib.colormaps[name](np.linspace(0, 1, 256), bytes=True)[:, :3]
        assert np.array_equal(colour_table(name), expected)
    with pytest.raises(ConfigError, match="inferno"):
        colour_table("infernal")


def test_overlay_blends_and_keeps_the_orientation() -> None:
    values = ramp()
    picture = np.zeros((6, 9, 3), np.uint8)
    picture[0, 8] = 200  # upper right
    alone = overlay(picture, values, opacity=0)
    assert np.array_equal(alone, picture)
    heat = overlay(picture, values, opacity=1, colormap="cividis")
    assert np.array_equal(heat, colourise(levels(values), colormap="cividis"))
    half = overlay(picture, values, opacity=0.5, colormap="cividis").astype(int)
    assert np.abs(half - (picture.astype(int) + heat) / 2).max() <= 0.5
    # the strongest pixel is the lower right one, in the picture as in the array
    assert heat[5, 8].tolist() == colour_table("cividis")[255].tolist()
    assert heat[0, 0].tolist() == colour_table("cividis")[0].tolist()


def test_topk_layer_by_hand() -> None:
    weights = np.array([[1.0, 0.0], [0.5, 0.25]], np.float32)
    mask = np.array([[True, True], [True, False]])
    layer = topk_layer(weights, mask)
    hit, miss, wrong = (np.array(rgb(TOPK_COLOURS[n])) for n in ("hit", "miss", "false_alarm"))
    assert layer[0, 0].tolist() == [*hit, 255]
    assert layer[0, 1].tolist() == [*miss, 255]
    assert np.abs(layer[1, 0, :3] - (hit + miss) / 2).max() <= 0.5
    assert layer[1, 1].tolist() == [*wrong, 64]
    unmasked = topk_layer(weights, None)
    assert unmasked[..., 3].tolist() == [[255, 0], [128, 64]]
    assert unmasked[0, 0, :3].tolist() == hit.tolist()


def test_topk_overlay_keeps_the_orientation() -> None:
    weights = np.zeros((6, 9), np.float32)
    weights[1, 7] = 1
    mask = np.zeros((6, 9), bool)
    mask[4:6, 0:3] = True
    drawn = topk_overlay(np.full((6, 9, 3), 100, np.uint8), weights, mask)
    assert drawn[1, 7].tolist() == list(rgb(TOPK_COLOURS["false_alarm"]))
    assert drawn[0, 0].tolist() == [45, 45, 45]


def test_outline_by_hand() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:4, 2:5] = True
    drawn = draw_outline(np.full((5, 6, 3), 90, np.uint8), mask, width_px=1)
    white = (drawn == 255).all(-1)
    black = (drawn == 0).all(-1)
    ring = mask.copy()
    ring[2, 3] = False
    assert np.array_equal(white, ring)
    assert black.sum() == 12  # the four sides of the square, without corners
    assert not (black & mask).any()


def test_the_pictures_edge_is_no_border() -> None:
    whole = np.ones((4, 4), bool)
    assert np.array_equal(draw_outline(np.zeros((4, 4, 3), np.uint8), whole), np.zeros((4, 4, 3)))
    assert outline_path(whole) == ""
    assert outline_path(~whole) == ""


def crossings(path: str, height: int, width: int) -> np.ndarray:
    """Naive twin: fill by counting vertical border segments left of each pixel."""
    vertical = np.zeros((height, width + 1), int)
    for x, y, kind, length in re.findall(r"M(\d+) (\d+)([hv])(\d+)", path):
        if kind == "v":
            vertical[int(y) : int(y) + int(length), int(x)] += 1
    return np.cumsum(vertical, axis=1)[:, :width] % 2 == 1


@given(hnp.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 9))))
def test_outline_path_encloses_the_mask(inner: np.ndarray) -> None:
    mask = np.pad(inner, 1)
    assert np.array_equal(crossings(outline_path(mask), *mask.shape), mask)


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_encoded_images_open_with_their_size(format: str) -> None:
    image = np.zeros((5, 8, 3), np.uint8)
    image[:, 4:] = 255
    header, data = data_uri(image, format=format).split(",")
    assert header == f"data:image/{format};base64"
    opened = PILImage.open(io.BytesIO(base64.b64decode(data)))
    assert opened.size == (8, 5)
    assert np.asarray(opened.convert("L"))[2, 7] > 200


def test_png_is_exact_and_unknown_formats_are_refused() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    assert np.array_equal(np.asarray(PILImage.open(io.BytesIO(encode(image)))), image)
    with pytest.raises(ConfigError, match="jpeg"):
        encode(image, format="jpg")  # type: ignore[arg-type]


def test_thumbnail_is_the_middle_square() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:40] = 255  # left half of the middle square
    small = thumbnail(image, side_px=10)
    assert small.shape == (10, 10, 3)
    assert small[:, :4].min() > 200
    assert small[:, 6:].max() < 60


# Machado, Oliveira and Fernandes (2009), severity 1.0, in linear RGB
CVD = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colour: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    ratio = to_xyz @ np.clip(colour, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def linear_rgb(colour: str) -> np.ndarray:
    srgb = np.array(rgb(colour)) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def closest(colours: tuple[str, ...], sight: str) -> float:
    seen = [lab(np.array(CVD[sight]) @ linear_rgb(colour)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("sight", CVD)
def test_marks_differ_for_every_kind_of_sight(sight: str) -> None:
    """CIE76 distance of at least 25 in L*a*b*: far beyond what can be confused."""
    assert closest((*TOPK_COLOURS.values(), "#ffffff"), sight) >= 25


def test_twenty_five_parts_and_more_can_be_told_apart() -> None:
    assert len(PART_COLOURS) >= 25
    assert closest((*PART_COLOURS, "#000000", "#ffffff", "#74777b"), "none") >= 25
    for sight in ("protanopia", "deuteranopia"):
        assert closest(PART_COLOURS[:7], sight) >= 15


INDEX = np.array([[0, 0, 1], [255, 2, 1]], np.uint8)


def test_part_layer_by_hand() -> None:
    colours = ["#ff0000", "#00ff00"]
    layer = part_layer(INDEX, colours=colours)
    assert layer[0, 0].tolist() == [255, 0, 0, 255]
    assert layer[1, 2].tolist() == [0, 255, 0, 255]
    assert layer[1, :2, 3].tolist() == [0, 0]  # 255 is no part, 2 has no colour
    assert (part_layer(INDEX.astype(int) - 1, colours=colours)[0, :2, 3] == 0).all()


def test_part_overlay_keeps_orientation_and_draws_borders() -> None:
    picture = np.full((2, 3, 3), 100, np.uint8)
    drawn = part_overlay(picture, INDEX, colours=["#ff0000", "#00ff00"], opacity=0.5)
    assert drawn[0, 0].tolist() == [178, 50, 50]  # 100/2 + 255/2, rounded to even
    assert drawn[0, 2].sum() < picture[0, 2].sum()  # a border: the left neighbour is another part
    assert np.array_equal(part_overlay(picture, INDEX, opacity=0), picture)


def test_part_legend_names_what_is_there() -> None:
    names = ["skin", "nose", "hair", "hat"]
    assert part_legend(INDEX, names) == list(zip(names[:3], PART_COLOURS[:3], strict=True))
