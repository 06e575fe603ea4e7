"""Masks follow the geometry of their image; faint masks count; gaps among masks are named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from xaieval.datasets import open_dataset, read_mask
from xaieval.datasets.check import check

ORIENTATION = 0x0112


def turned(path: Path, values: np.ndarray, orientation: int) -> None:
    """Write stored pixels (H, W) as RGB with an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    PIL.Image.fromarray(np.repeat(values[:, :, None], 3, axis=2)).save(path, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mask_of_the_stored_pixels_turns_with_its_image(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    stored = np.zeros((6, 10), np.uint8)
    stored[1:3, 2:7] = 255  # the picture shows its own mask
    turned(tmp_path / f"images/a/x.{suffix}", stored, orientation)
    (tmp_path / "masks/a").mkdir(parents=True)
    sideways = orientation >= 5
    drawn = PIL.Image.fromarray(stored)
    drawn.getexif()[ORIENTATION] = orientation
    upright = PIL.ImageOps.exif_transpose(drawn)
    (drawn if sideways else upright).save(tmp_path / "masks/a/x.png", exif=PIL.Image.Exif())

    dataset = open_dataset("folder", tmp_path)
    assert dataset.problems == ()
    sample = dataset["images/a/x"]
    assert sample.image.shape[:2] == ((10, 6) if sideways else (6, 10))
    assert np.array_equal(sample.regions["mask"], sample.image[:, :, 0] > 0)


def test_an_index_mask_turns_too(tmp_path: Path, draw: SimpleNamespace) -> None:
    stored = np.zeros((6, 10), np.uint8)
    stored[0, :4] = 2
    turned(tmp_path / "images/a/x.png", stored * 100, 6)
    (tmp_path / "masks/a").mkdir(parents=True)
    PIL.Image.fromarray(stored).save(tmp_path / "masks/a/x.png")
    draw.legend(tmp_path / "masks", {"2": "spot"})  # inside masks/ is as good as beside it
    sample = open_dataset("folder", tmp_path)["images/a/x"]
    assert np.array_equal(sample.regions["spot"], sample.image[:, :, 0] > 0)


def test_a_swapped_mask_of_an_upright_image_is_a_problem(
    tmp_path: Path, draw: SimpleNamespace
) -> None:
    draw.image(tmp_path / "images/a/x.png", size=(12, 8))
    draw.image(tmp_path / "images/a/y.png", size=(12, 8))
    draw.mask(tmp_path / "masks/a/x.png", size=(8, 12))
    dataset = open_dataset("folder", tmp_path)
    assert dataset.ids == ("images/a/y",)
    assert "mask of another size" in dataset.problems[0].what


@pytest.mark.parametrize("colour", [(0, 0, 1), (1, 0, 0), (0, 1, 0), (128, 0, 0)])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_dark_colours_are_inside(tmp_path: Path, colour: tuple[int, int, int], mode: str) -> None:
    indices = np.zeros((4, 4), np.uint8)
    indices[:2] = 1
    picture = PIL.Image.frombytes("P", (4, 4), indices.tobytes())
    picture.putpalette([0, 0, 0, *colour])
    picture.convert(mode).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), indices > 0)


def test_check_names_the_one_image_without_a_mask(tmp_path: Path, draw: SimpleNamespace) -> None:
    for name in ("bad", "good", "unmasked"):
        for stem in ("0", "1"):
            draw.image(tmp_path / f"images/{name}/{stem}.png")
    draw.mask(tmp_path / "masks/bad/0.png")
    draw.mask(tmp_path / "masks/good/0.png", box=(0, 0, 0, 0))
    (problem,) = check(tmp_path)
    assert (problem.path, problem.what) == (tmp_path / "images/bad/1.png", "missing mask")
    assert not problem.left_out
    assert len(open_dataset("folder", tmp_path, strict=True)) == 6
