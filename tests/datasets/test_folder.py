"""Images with masks of one's own: classes, named regions, legends, names in any script."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from xaieval.datasets import Dataset, detect_layout, open_dataset
from xaieval.errors import ConfigError, DataError


def opened(root: Path, **options: object) -> Dataset:
    return open_dataset("folder", root, options=options)


def problems(dataset: Dataset) -> set[tuple[str, str]]:
    return {(problem.path.name, problem.what) for problem in dataset.problems}


def test_classes_with_masks_in_their_folders(tmp_path: Path, draw: SimpleNamespace) -> None:
    for name in ("a", "b"):
        draw.image(tmp_path / "images" / name / "1.png")
        draw.mask(tmp_path / "masks" / name / "1.png")
    assert detect_layout(tmp_path) == "folder"
    dataset = open_dataset("folder", tmp_path, strict=True)
    assert dataset.ids == ("images/a/1", "images/b/1")
    assert dataset.class_names == ("a", "b")
    assert dataset.region_names == ("mask",)
    assert all(record.has_mask for record in dataset.records)
    assert dataset["images/a/1"].regions["mask"].sum() == 9


def test_masks_in_one_folder(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.image(tmp_path / "images" / "a" / "x.jpg")
    draw.image(tmp_path / "images" / "b" / "y.jpg")
    draw.mask(tmp_path / "masks" / "x_mask.png")
    dataset = opened(tmp_path)
    assert dataset.record("images/a/x").has_mask
    assert not dataset.record("images/b/y").has_mask
    assert dataset["images/b/y"].regions == {}


def test_a_flat_mask_that_fits_two_images(tmp_path: Path, draw: SimpleNamespace) -> None:
    for name in ("a", "b"):
        draw.image(tmp_path / "images" / name / "x.png")
    draw.mask(tmp_path / "masks" / "x.png")
    assert problems(opened(tmp_path)) == {("x.png", "mask of which image? x is in a and b")}


def test_images_without_masks_are_one_class(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.image(tmp_path / "images" / "x.png")
    draw.image(tmp_path / "images" / "y.JPG")
    dataset = open_dataset("folder", tmp_path, strict=True)
    assert dataset.class_names == ("images",)
    assert dataset.region_names == ()
    assert dataset.ids == ("images/x", "images/y")
    assert dataset["images/x"].regions == {}


def test_several_named_regions(tmp_path: Path, draw: SimpleNamespace) -> None:
    home = tmp_path / "images" / "face"
    draw.image(home / "p_1.png")
    draw.image(home / "p_1_left.png")  # a stem that looks like a region of the other
    draw.mask(tmp_path / "masks" / "face" / "p_1_nose.png", box=(0, 0, 1, 1))
    draw.mask(tmp_path / "masks" / "face" / "p_1_left_eye.png", box=(0, 0, 2, 1))
    draw.mask(tmp_path / "masks" / "face" / "p_1_left.png", box=(0, 0, 3, 1))
    dataset = opened(tmp_path)
    assert dataset.region_names == ("mask", "eye", "nose")
    assert {k: v.sum() for k, v in dataset["images/face/p_1"].regions.items()} == {"nose": 1}
    other = dataset["images/face/p_1_left"].regions
    assert {k: v.sum() for k, v in other.items()} == {"mask": 3, "eye": 2}
    assert dataset.record("images/face/p_1_left").has_mask
    assert not dataset.record("images/face/p_1").has_mask  # no mask of the default region
    first = opened(tmp_path, region="nose")
    assert first.region_names == ("nose", "mask", "eye")
    assert first.record("images/face/p_1").has_mask
    with pytest.raises(ConfigError, match="Did you mean 'nose'"):
        opened(tmp_path, region="nos")


def test_index_masks_with_a_legend(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.image(tmp_path / "images" / "a" / "1.png", size=(3, 1))
    draw.image(tmp_path / "images" / "b" / "2.png", size=(3, 1))
    draw.legend(tmp_path, {"2": "spot", "1": "leaf"})
    folder = tmp_path / "masks" / "a"
    folder.mkdir(parents=True)
    PIL.Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(folder / "1.png")
    dataset = opened(tmp_path)
    assert dataset.region_names == ("leaf", "spot")
    regions = dataset["images/a/1"].regions
    assert regions["leaf"].tolist() == [[False, True, False]]
    assert regions["spot"].tolist() == [[False, False, True]]
    assert dataset["images/b/2"].regions == {}
    before = dataset.digest
    draw.legend(tmp_path, {"2": "leaf", "1": "spot"})
    assert opened(tmp_path).digest != before


@pytest.mark.parametrize("entries", [[], {}, {"one": "leaf"}, {"1": 2}, {"1": ""}, {"-1": "a"}])
def test_a_bad_legend_is_named(tmp_path: Path, draw: SimpleNamespace, entries: object) -> None:
    draw.image(tmp_path / "images" / "1.png")
    draw.legend(tmp_path, entries)
    with pytest.raises(DataError, match="not a legend") as caught:
        opened(tmp_path)
    assert caught.value.where == tmp_path / "legend.json"


def test_faults_are_named_and_left_out(tmp_path: Path, draw: SimpleNamespace) -> None:
    home = tmp_path / "images" / "a"
    for stem in ("one", "two", "three", "four"):
        draw.image(home / f"{stem}.png")
    draw.image(home / "one.jpg")
    (home / "text.png").write_text("not a picture")
    (home / "dir.png").mkdir()
    (home / "notes.txt").write_text("passed over")
    (home / ".hidden.png").write_text("passed over")
    draw.image(tmp_path / "images" / "loose.png")
    (tmp_path / "images" / "b").mkdir()
    draw.mask(tmp_path / "masks" / "a" / "two.png", size=(5, 5), box=(0, 0, 1, 1))
    draw.mask(tmp_path / "masks" / "a" / "three.png")
    draw.mask(tmp_path / "masks" / "three.png")
    draw.mask(tmp_path / "masks" / "a" / "nobody.png")
    draw.mask(tmp_path / "masks" / "a" / "four.jpg")
    dataset = opened(tmp_path)
    assert dataset.ids == ("images/a/four", "images/a/one", "images/a/three")
    assert problems(dataset) == {
        ("one.png", "same id as one.jpg"),
        ("text.png", "not an image (text)"),
        ("dir.png", "a folder named like an image"),
        ("loose.png", "image outside the class folders"),
        ("b", "class folder without images"),
        ("two.png", "mask of another size: 5 x 5 for an image of 12 x 8 pixels (two.png)"),
        ("three.png", "second mask of region 'mask', beside three.png"),
        ("nobody.png", "mask without image"),
        ("four.jpg", "mask in a lossy format"),
    }
    with pytest.raises(DataError):
        open_dataset("folder", tmp_path, strict=True)


def test_unicode_and_spaces(tmp_path: Path, draw: SimpleNamespace) -> None:
    apart = unicodedata.normalize("NFD", "Nüsse é")
    draw.image(tmp_path / "images" / apart / "größe 1.png")
    draw.mask(tmp_path / "masks" / "Nüsse é" / (unicodedata.normalize("NFD", "größe 1") + ".png"))
    dataset = open_dataset("folder", tmp_path, strict=True)
    assert dataset.class_names == ("Nüsse é",)
    assert dataset.ids == ("images/Nüsse é/größe 1",)
    assert dataset["images/Nüsse é/größe 1"].regions["mask"].any()


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no images"):
        opened(tmp_path)
    with pytest.raises(DataError, match="no known layout"):
        detect_layout(tmp_path)
