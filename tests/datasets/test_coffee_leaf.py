"""The coffee leaves: table, palette masks, split; the real 500."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xaieval.datasets import detect_layout, make_splits, open_dataset
from xaieval.errors import ConfigError, DataError


def test_regions_labels_and_split(tmp_path: Path, draw: SimpleNamespace) -> None:
    dataset = open_dataset("coffee-leaf", draw.leaves(tmp_path), strict=True)
    assert dataset.class_names == ("healthy", "rust")
    assert dataset.region_names == ("symptom", "leaf")
    assert {r.id.rsplit("/", 1)[1]: r.layout_split for r in dataset.records} == {
        "1": "train",
        "10": "val",
        "2": "test",
    }
    rust = dataset["segmentation/images/10"]
    assert np.argwhere(rust.regions["symptom"]).tolist() == [[2, 3], [2, 4], [3, 3], [3, 4]]
    assert rust.regions["leaf"].sum() == 6 * 8 - 4
    healthy = dataset.record("segmentation/images/1")
    assert not healthy.has_mask
    assert not healthy.sample().regions["symptom"].any()
    assert healthy.sample().regions["leaf"].sum() == 48


def test_the_unnamed_class_is_an_option(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.leaves(tmp_path)
    with_it = open_dataset("coffee-leaf", tmp_path, options={"include_unnamed": True})
    assert with_it.class_names == ("healthy", "rust", "unnamed_5")
    with pytest.raises(ConfigError, match="Did you mean 'include_unnamed'"):
        open_dataset("coffee-leaf", tmp_path, options={"include_unamed": True})


def test_faults_are_named(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.leaves(tmp_path)
    folder = tmp_path / "segmentation"
    (folder / "images" / "2.jpg").unlink()
    (folder / "masks" / "10.png").unlink()
    draw.image(folder / "images" / "99.jpg")
    with (tmp_path / "segmentation.csv").open("a") as table:
        table.write("77,sometimes,rust,0\n")
    dataset = open_dataset("coffee-leaf", tmp_path)
    assert len(dataset) == 2
    assert {(problem.path.name, problem.what) for problem in dataset.problems} == {
        ("2.jpg", "missing image"),
        ("10.jpg", "missing mask"),
        ("99.jpg", "image not listed in segmentation.csv"),
        ("2.png", "mask without image"),
        ("segmentation.csv", "unknown split 'sometimes' of id 77"),
    }


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "id,split,label\n1,train\n"])
def test_a_table_of_another_kind(tmp_path: Path, draw: SimpleNamespace, text: str) -> None:
    draw.leaves(tmp_path)
    (tmp_path / "segmentation.csv").write_text(text)
    with pytest.raises(DataError, match="not the table of this dataset"):
        open_dataset("coffee-leaf", tmp_path)


def test_real_coffee_leaf(real_data: Path) -> None:
    folder = real_data / "coffee_leaf"
    assert detect_layout(folder) == "coffee-leaf"
    dataset = open_dataset("coffee-leaf", folder, strict=True)
    assert {name: len(ids) for name, ids in dataset.by_class.items()} == {
        "cercospora": 33,
        "healthy": 100,
        "miner": 117,
        "phoma": 121,
        "rust": 119,
    }
    assert len(open_dataset("coffee-leaf", folder, options={"include_unnamed": True})) == 500
    plan = make_splits(dataset)
    assert plan.scheme == "layout"
    assert (len(plan.folds[0].train), len(plan.folds[0].test)) == (441, 49)
    sample = dataset["segmentation/images/1002"]
    assert sample.image.shape == (256, 512, 3)
    assert sample.regions["symptom"].any()
    assert not (sample.regions["symptom"] & sample.regions["leaf"]).any()
