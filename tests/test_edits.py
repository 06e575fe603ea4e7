"""Edits of pictures: the text of a link, the brush, the three fills."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.edits import (
    BLUR,
    FILLS,
    KINDS,
    Edit,
    Stroke,
    apply_edit,
    edit_sample,
    edit_seed,
    parse_edit,
    place_of,
    strokes_mask,
    topk_mask,
)
from xaieval.errors import ConfigError, DataError
from xaieval.geometry import Geometry
from xaieval.types import Mask, Sample

fractions = st.floats(0, 1)
strokes = st.builds(
    Stroke,
    st.floats(0.001, 0.5),
    st.lists(st.tuples(fractions, fractions), min_size=1, max_size=6).map(tuple),
)
names = st.text(st.characters(categories=["L", "Nd", "P", "S", "Zs"]), min_size=1).filter(
    str.isprintable
)
kinds, fills = st.sampled_from(KINDS), st.sampled_from(FILLS)
edits = st.one_of(
    st.builds(Edit, kinds, fills, region=names),
    st.builds(Edit, kinds, fills, topk=names, k=st.integers(1, 999_999_999)),
    st.builds(Edit, kinds, fills, strokes=st.lists(strokes, min_size=1, max_size=4).map(tuple)),
)


@given(edits)
def test_the_text_of_an_edit_reads_back(edit: Edit) -> None:
    assert parse_edit(edit.text) == edit


def test_texts_by_hand() -> None:
    assert parse_edit("erase:blur:region=left eye: a=b") == Edit(
        "erase", "blur", region="left eye: a=b"
    )
    assert parse_edit("keep:mean:topk=7px,gradcam[upsampling=aligned]").topk == (
        "gradcam[upsampling=aligned]"
    )
    found = parse_edit("erase:noise:brush=r0.04,0.31,0.52,0.33,0.55;r0.5,1,0")
    assert found.strokes == (
        Stroke(0.04, ((0.31, 0.52), (0.33, 0.55))),
        Stroke(0.5, ((1, 0),)),
    )
    assert parse_edit("erase:mean:brush=r0.040004,0.3,0.3").text == "erase:mean:brush=r0.04,0.3,0.3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "erase:blur:region=mouth"),
        ("erase", "erase:blur:region=mouth"),
        ("erase:blur:", "erase:blur:region=mouth"),
        ("erase:blur:region=", "erase:blur:region=mouth"),
        ("erace:blur:region=a", "'erase'"),
        ("erase:blurr:region=a", "'blur'"),
        ("erase:blur:regio=a", "'region'"),
        ("erase:blur:region=a\x00", "printable"),
        ("erase:blur:topk=0px,gradcam", "at least 1 px"),
        ("erase:blur:topk=12,gradcam", "topk=412px,gradcam"),
        ("erase:blur:brush=0.1,0.2,0.3", "r0.04,0.31,0.52"),
        ("erase:blur:brush=r0.1,0.2", "pairs x,y"),
        ("erase:blur:brush=r0.1", "pairs x,y"),
        ("erase:blur:brush=r0.1,0.2,nan", "fractions"),
        ("erase:blur:brush=r0.1,0.2,1e-3", "fractions"),
        ("erase:blur:brush=r0.1,-0.2,0.3", "fractions"),
        ("erase:blur:brush=r0.1,0.2,0.3;", "r0.04,0.31,0.52"),
        ("erase:blur:brush=r0.6,0.2,0.3", "at most 0.5"),
        ("erase:blur:brush=r0,0.2,0.3", "above 0"),
        ("erase:blur:brush=r0.1,0.2,1.3", "from 0 to 1"),
    ],
)
def test_bad_texts_say_what_is_expected(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        parse_edit(text)


@given(st.text(max_size=40))
def test_any_text_is_an_edit_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_edit(text).text


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"region": "a", "topk": "b", "k": 3},
        {"region": "a", "k": 3},
        {"topk": "a"},
    ],
)
def test_an_edit_has_one_place(parts: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Edit("erase", "mean", **parts)  # type: ignore[arg-type]


def naive(stroke: Stroke, size: tuple[int, int]) -> Mask:
    """The distance of every pixel's centre to every segment, one by one."""
    height, width = size
    mask = np.zeros(size, bool)
    corners = [(x * width, y * height) for x, y in stroke.points]
    segments = list(itertools.pairwise(corners)) or [(corners[0], corners[0])]
    for row in range(height):
        for column in range(width):
            px, py = column + 0.5, row + 0.5
            for (ax, ay), (bx, by) in segments:
                dx, dy = bx - ax, by - ay
                square = dx * dx + dy * dy
                t = 0.0
                if square > 0:
                    t = max(0.0, min(1.0, ((px - ax) * dx + (py - ay) * dy) / square))
                if math.hypot(px - ax - t * dx, py - ay - t * dy) <= stroke.radius * min(size):
                    mask[row, column] = True
    return mask


@settings(deadline=None, max_examples=60)
@given(st.lists(strokes, min_size=1, max_size=3), st.tuples(st.integers(1, 14), st.integers(1, 14)))
def test_a_brush_covers_what_the_distance_says(drawn: list[Stroke], size: tuple[int, int]) -> None:
    wanted = np.any([naive(stroke, size) for stroke in drawn], axis=0)
    found = strokes_mask(tuple(drawn), size)
    # A centre on the very rim may fall to either side by rounding.
    grown = np.any(
        [naive(Stroke(min(0.5, s.radius + 1e-4), s.points), size) for s in drawn], axis=0
    )
    assert found.shape == size
    assert not (found & ~grown).any()
    assert not (~found & wanted & ~_rim(drawn, size)).any()


def _rim(drawn: list[Stroke], size: tuple[int, int]) -> Mask:
    inner = [Stroke(max(1e-4, s.radius - 1e-4), s.points) for s in drawn]
    return np.asarray(~np.any([naive(stroke, size) for stroke in inner], axis=0))


def test_a_line_by_hand() -> None:
    # radius 0.25 of 4 px = 1 px around y = 1 from x = 2 to x = 6 (of 8)
    line = Stroke(0.25, ((0.25, 0.25), (0.75, 0.25)))
    assert strokes_mask((line,), (4, 8)).astype(int).tolist() == [
        [0, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert not strokes_mask((), (4, 8)).any()


def picture(height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill", FILLS)
def test_only_the_part_concerned_changes(kind: str, fill: str) -> None:
    image = picture()
    before = image.copy()
    mask = strokes_mask((Stroke(0.2, ((0.3, 0.3), (0.8, 0.6))),), image.shape[:2])
    made = apply_edit(image, mask, kind=kind, fill=fill, seed=1)  # type: ignore[arg-type]
    again = apply_edit(image, mask, kind=kind, fill=fill, seed=1)  # type: ignore[arg-type]
    gone = mask if kind == "erase" else ~mask
    assert (image == before).all()
    assert made.dtype == np.uint8
    assert (made[~gone] == image[~gone]).all()
    assert (made[gone] != image[gone]).any(axis=1).mean() > 0.95
    assert (made == again).all()


@pytest.mark.parametrize("fill", FILLS)
def test_erasing_nothing_and_keeping_all_change_nothing(fill: str) -> None:
    image, nothing = picture(), np.zeros((40, 56), bool)
    erased = apply_edit(image, nothing, kind="erase", fill=fill, seed=0)  # type: ignore[arg-type]
    kept = apply_edit(image, ~nothing, kind="keep", fill=fill, seed=0)  # type: ignore[arg-type]
    assert (erased == image).all()
    assert (kept == image).all()
    assert erased is not image


@pytest.mark.parametrize("fill", FILLS)
def test_erasing_a_part_is_keeping_the_others(fill: str) -> None:
    image = picture()
    mask = strokes_mask((Stroke(0.2, ((0.3, 0.3),)),), image.shape[:2])
    erased = apply_edit(image, mask, kind="erase", fill=fill, seed=5)  # type: ignore[arg-type]
    kept = apply_edit(image, ~mask, kind="keep", fill=fill, seed=5)  # type: ignore[arg-type]
    assert (erased == kept).all()


def test_mean_is_the_mean_colour_of_the_picture() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = (200, 100, 41)
    made = apply_edit(image, np.ones((2, 2), bool), kind="erase", fill="mean", seed=0)
    assert made.reshape(-1, 3).tolist() == [[50, 25, 10]] * 4


def test_blur_spreads_a_dot_by_the_sigma_of_the_paper() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[104:120, 104:120] = 255  # one pixel would vanish in eight bits
    everything = np.ones((224, 224), bool)
    blurred = apply_edit(image, everything, kind="erase", fill="blur", seed=0)[..., 0].astype(float)
    row = blurred.sum(0) / blurred.sum()
    at = np.arange(224) + 0.5
    variance = (row * (at - 112) ** 2).sum() - 16**2 / 12  # less the square's own
    assert math.sqrt(variance) == pytest.approx(10, rel=0.05)
    assert pytest.approx(10 / 224) == BLUR
    flat = np.full((30, 20, 3), 77, np.uint8)
    same = apply_edit(flat, np.ones((30, 20), bool), kind="erase", fill="blur", seed=0)
    assert (same == 77).all()


def test_noise_has_the_pictures_mean_and_spread() -> None:
    image = (np.random.default_rng(0).normal((90, 120, 150), (20, 10, 5), (300, 200, 3))).round()
    image = image.astype(np.uint8)
    made = apply_edit(image, np.ones((300, 200), bool), kind="erase", fill="noise", seed=2)
    assert np.allclose(made.mean((0, 1)), image.mean((0, 1)), atol=0.6)
    assert np.allclose(made.std((0, 1)), image.std((0, 1)), rtol=0.03)
    other = apply_edit(image, np.ones((300, 200), bool), kind="erase", fill="noise", seed=3)
    assert (made != other).any()


def test_a_larger_brush_leaves_the_noise_that_was_there() -> None:
    image = picture(600, 40)
    small = strokes_mask((Stroke(0.2, ((0.5, 0.9),)),), (600, 40))
    large = small | strokes_mask((Stroke(0.3, ((0.5, 0.2), (0.5, 0.9))),), (600, 40))
    one = apply_edit(image, small, kind="erase", fill="noise", seed=2)
    two = apply_edit(image, large, kind="erase", fill="noise", seed=2)
    assert (one[small] == two[small]).all()
    assert edit_seed("a", "noise") == edit_seed("a", "noise") != edit_seed("b", "noise")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (picture(), np.zeros((40, 55), bool)),
        (picture(), np.zeros((40, 56), np.uint8)),
        (picture().astype(float), np.zeros((40, 56), bool)),
    ],
)
def test_what_does_not_fit_is_refused(image: np.ndarray, mask: np.ndarray) -> None:
    with pytest.raises(DataError, match="edit"):
        apply_edit(image, mask, kind="erase", fill="mean", seed=0)


def test_the_strongest_pixels_go_back_through_the_crop() -> None:
    geometry = Geometry(original=(8, 16), resized=(4, 8), offset=(0, 2), input=(4, 4))
    values = np.zeros((4, 4), np.float32)
    values[1, 0], values[3, 3] = 2, 1
    one = topk_mask(values, 1, geometry)
    assert one.shape == (8, 16)
    assert one.sum() == 4
    assert one[2:4, 4:6].all()
    both = topk_mask(values, 9, geometry)  # the zeros tie for the other seven places
    assert both.sum() == 8
    assert both[6:8, 10:12].all()
    assert not topk_mask(np.ones((4, 4), np.float32), 3, geometry).any()


def test_a_sample_keeps_all_but_its_picture() -> None:
    image = picture()
    mask = np.zeros((40, 56), bool)
    mask[:10] = True
    sample = Sample("a/b", 1, lambda: image, lambda: {"crack": mask}, {"source": "x"})
    made = edit_sample(sample, parse_edit("erase:mean:region=crack"))
    assert (made.id, made.label, made.meta) == ("a/b", 1, {"source": "x"})
    assert made.regions is not sample.regions
    assert (made.regions["crack"] == mask).all()
    assert (made.image[10:] == image[10:]).all()
    assert len(np.unique(made.image[:10].reshape(-1, 3), axis=0)) == 1
    with pytest.raises(ConfigError, match="'crack'"):
        _ = edit_sample(sample, parse_edit("erase:mean:region=crakc")).image
    with pytest.raises(ConfigError, match="need the map"):
        place_of(parse_edit("erase:mean:topk=3px,gradcam"), (40, 56), {})
    given = edit_sample(sample, parse_edit("erase:mean:topk=3px,gradcam"), place=mask)
    assert (given.image == made.image).all()


def test_the_python_of_the_docs_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "whatif.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 1
    done = subprocess.run([sys.executable, "-c", blocks[0]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["mean", "blur", "noise"]
