"""The MVTec layout: three forms, the faults of each, the real hazelnut toy."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xaieval.datasets import detect_layout, make_splits, open_dataset
from xaieval.errors import DataError


@pytest.mark.parametrize("marked", [True, False])
def test_standard_form(tmp_path: Path, draw: SimpleNamespace, marked: bool) -> None:
    dataset = open_dataset("mvtec", draw.mvtec_standard(tmp_path, marked=marked), strict=True)
    assert dataset.class_names == ("crack", "cut", "good")
    assert dataset.region_names == ("defect",)
    assert dataset.ids == tuple(
        f"{place}/{i:03d}"
        for place in ("test/crack", "test/cut", "test/good", "train/good")
        for i in range(2)
    )
    record = dataset.record("test/crack/001")
    assert (record.label, record.layout_split, record.has_mask) == (0, "test", True)
    region = record.sample().regions["defect"]
    assert region.shape == record.sample().image.shape[:2] == (8, 12)
    assert np.argwhere(region).tolist() == [[y, x] for y in (1, 2, 3) for x in (2, 3, 4)]


def test_good_is_known_to_be_empty(tmp_path: Path, draw: SimpleNamespace) -> None:
    dataset = open_dataset("mvtec", draw.mvtec_standard(tmp_path))
    record = dataset.record("train/good/000")
    assert not record.has_mask
    assert record.layout_split == "train"
    region = record.sample().regions["defect"]
    assert region.shape == (8, 12)
    assert not region.any()


def test_resplit_form(tmp_path: Path, draw: SimpleNamespace) -> None:
    dataset = open_dataset("mvtec", draw.mvtec_resplit(tmp_path), strict=True)
    assert dataset.class_names == ("crack", "good")
    assert len(dataset) == 8
    crack = dataset.record("train/images/crack/train1")
    assert (crack.layout_split, crack.has_mask) == ("train", True)
    assert crack.sample().regions["defect"].sum() == 9
    good = dataset.record("test/images/good/test0")
    assert (good.layout_split, good.has_mask) == ("test", False)
    assert not good.sample().regions["defect"].any()
    assert make_splits(dataset).scheme == "layout"


def test_two_layouts_mixed(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_resplit(tmp_path)
    draw.image(tmp_path / "test" / "hole" / "0.png")
    dataset = open_dataset("mvtec", tmp_path)
    assert dataset.class_names == ("crack", "good")
    (problem,) = dataset.problems
    assert problem.path == tmp_path / "test" / "hole"
    assert "mixed" in problem.what


def test_mask_names_of_two_forms(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path)
    truth = tmp_path / "ground_truth" / "cut"
    (truth / "001_mask.png").rename(truth / "001.png")
    dataset = open_dataset("mvtec", tmp_path)
    assert dataset.record("test/cut/001").has_mask
    (problem,) = dataset.problems
    assert problem.path == truth / "001.png"
    assert not problem.left_out


def test_missing_and_left_over_masks(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path)
    truth = tmp_path / "ground_truth" / "crack"
    (truth / "000_mask.png").rename(truth / "900_mask.png")
    dataset = open_dataset("mvtec", tmp_path)
    missing, left = dataset.problems
    assert (missing.path, missing.what) == (tmp_path / "test/crack/000.png", "missing mask")
    assert str(truth / "000_mask.png") in missing.fix
    assert (left.path, left.what) == (truth / "900_mask.png", "mask without image")
    record = dataset.record("test/crack/000")  # kept, without ground truth
    assert not record.has_mask
    assert record.sample().regions == {}
    with pytest.raises(DataError, match="missing mask"):
        open_dataset("mvtec", tmp_path, strict=True)


def test_no_folder_of_masks_is_one_problem(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path)
    shutil.rmtree(tmp_path / "ground_truth")
    dataset = open_dataset("mvtec", tmp_path)
    assert len(dataset) == 8
    assert [problem.path for problem in dataset.problems] == [tmp_path / "ground_truth"]


def test_mask_of_another_size_leaves_the_image_out(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path)
    mask = draw.mask(tmp_path / "ground_truth/cut/000_mask.png", size=(8, 12), box=(0, 0, 2, 2))
    dataset = open_dataset("mvtec", tmp_path)
    assert "test/cut/000" not in dataset
    assert len(dataset) == 7
    (problem,) = dataset.problems
    assert problem.path == mask
    assert "8 x 12 for an image of 12 x 8" in problem.what


def test_one_mask_for_two_images(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path)
    draw.image(tmp_path / "train" / "crack" / "000.png")
    dataset = open_dataset("mvtec", tmp_path)
    assert {"train/crack/000", "test/crack/000"}.isdisjoint(dataset.ids)
    assert [problem.path.parent.parent.name for problem in dataset.problems] == ["train", "test"]


def test_parent_of_categories_is_told_apart(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.mvtec_standard(tmp_path / "hazelnut")
    with pytest.raises(DataError, match="hazelnut"):
        open_dataset("mvtec", tmp_path)


def test_opening_decodes_nothing_and_reading_names_the_file(
    tmp_path: Path, draw: SimpleNamespace
) -> None:
    draw.mvtec_standard(tmp_path)
    path = draw.image(tmp_path / "test/cut/000.png", size=(12, 8))
    path.write_bytes(path.read_bytes()[:120])
    dataset = open_dataset("mvtec", tmp_path, strict=True)  # the header is whole
    with pytest.raises(DataError, match="damaged image") as caught:
        _ = dataset["test/cut/000"].image
    assert caught.value.where == path


def test_real_hazelnut_toy(real_data: Path) -> None:
    folder = real_data / "hazelnut_toy"
    assert detect_layout(folder) == "hazelnut-toy"
    dataset = open_dataset("hazelnut-toy", folder, strict=True)
    assert dataset.class_names == ("colour", "good")
    assert {name: len(ids) for name, ids in dataset.by_class.items()} == {"colour": 17, "good": 34}
    assert not any("docs_samples" in sample_id for sample_id in dataset.ids)
    assert sum(record.has_mask for record in dataset.records) == 17
    shares = [
        dataset[record.id].regions["defect"].mean() for record in dataset.records if record.has_mask
    ]
    assert 0.012 < min(shares) < max(shares) < 0.062  # 1.3 to 6.1 % of the image
    assert dataset["train/good/01"].image.shape == (522, 512, 3)
    plan = make_splits(dataset)
    assert plan.scheme == "kfold"
    assert sorted(sum((fold.test for fold in plan.folds), ())) == list(dataset.ids)
