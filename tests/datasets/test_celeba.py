"""CelebA in its published format, whole and broken; the box about the mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from xaieval.datasets import check, detect_layout, open_dataset
from xaieval.datasets.celeba import mouth_box
from xaieval.datasets.face_parts import ATTRIBUTES
from xaieval.errors import DataError

WIDTH, HEIGHT = 178, 218
NUMBERS = (1, 2, 162771, 182638, 202599)
POINTS = (69, 109, 106, 113, 77, 142, 73, 152, 108, 154)


def write(root: Path) -> Path:
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True)
    rows, marks = [], []
    for place, number in enumerate(NUMBERS):
        picture = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        PIL.Image.fromarray(picture).save(folder / f"{number:06d}.jpg")
        values = np.where((np.arange(40) + place) % 2 == 0, 1, -1)
        rows.append(f"{number:06d}.jpg " + " ".join(f"{value:2d}" for value in values))
        points = " ".join(f"{point + place:3d}" for point in POINTS)
        marks.append(f"{number:06d}.jpg {points}")
    head = [str(len(NUMBERS)), " ".join(ATTRIBUTES) + " "]
    lines(root / "list_attr_celeba.txt", [*head, *rows])
    names = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y"
    names += " leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    lines(root / "list_landmarks_align_celeba.txt", [head[0], names, *marks])
    return root


def lines(path: Path, found: list[str]) -> None:
    path.write_text("\n".join(found) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "CelebA")


def test_a_sound_folder(root: Path) -> None:
    assert detect_layout(root) == "celeba"
    assert check(root) == []
    dataset = open_dataset("celeba", root, strict=True)
    assert dataset.class_names == ATTRIBUTES
    assert dataset.region_names == ("mouth_box",)
    assert dataset.ids[0] == "img_align_celeba/000001"
    assert [record.layout_split for record in dataset.records] == [
        "train", "train", "val", "test", "test",
    ]  # fmt: skip
    sample = dataset["img_align_celeba/000001"]
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.meta["landmarks"] == POINTS
    # Corners (73, 152) and (108, 154): width 35, half height round(35 * 2 / 3 / 2) = 12.
    rows, columns = np.nonzero(sample.regions["mouth_box"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (140, 166, 73, 108)
    assert sample.regions["mouth_box"].sum() == 27 * 36


def test_the_box_by_hand_and_at_the_border() -> None:
    box = mouth_box((0,) * 6 + (6, 3, 0, 3), (5, 5))  # corners swapped, width 6, half height 2
    assert box.astype(int).tolist() == [[0] * 5, [1] * 5, [1] * 5, [1] * 5, [1] * 5]
    assert not mouth_box((0,) * 6 + (-9, -9, -8, -9), (4, 4)).any()


def test_options_are_those_of_faces(root: Path) -> None:
    dataset = open_dataset(
        "celeba", root, options={"attribute": "Smiling", "samples": 1, "train_samples": 2}
    )
    assert dataset.class_names == ("not Smiling", "Smiling")
    assert len(dataset) == 3
    lines(root / "list_eval_partition.txt", [f"{n:06d}.jpg {n % 2 * 2}" for n in NUMBERS])
    splits = [record.layout_split for record in open_dataset("celeba", root).records]
    assert splits == ["test", "train", "test", "train", "test"]


def test_one_level_deeper(root: Path) -> None:
    folder = root / "img_align_celeba"
    folder.rename(root / "inner")
    folder.mkdir()
    (root / "inner").rename(folder / "img_align_celeba")
    dataset = open_dataset("celeba", root)
    assert dataset.ids[0] == "img_align_celeba/img_align_celeba/000001"
    assert dataset[dataset.ids[0]].regions["mouth_box"].any()


def test_broken_files_are_named(root: Path) -> None:
    picture = root / "img_align_celeba" / "000002.jpg"
    picture.write_bytes(picture.read_bytes()[:700])
    marks = root / "list_landmarks_align_celeba.txt"
    text = marks.read_text().splitlines()
    lines(marks, [*text[:-1], "202599.jpg 1 2 3"])
    attributes = root / "list_attr_celeba.txt"
    text = attributes.read_text().splitlines()
    lines(attributes, [text[0], *text[1:4], *text[5:], text[4].replace("162771", "000009")])
    found = {(problem.path.name, problem.what) for problem in check(root, "celeba")}
    damaged = {what for name, what in found if name == "000002.jpg"}
    assert len(damaged) == 1
    assert damaged.pop().startswith("damaged image")
    assert {item for item in found if item[0] != "000002.jpg"} == {
        ("list_landmarks_align_celeba.txt", "line 7 (202599.jpg) is not 10 whole numbers"),
        ("list_landmarks_align_celeba.txt", "no landmarks of: 202599.jpg"),
        ("list_attr_celeba.txt", "line without image in img_align_celeba: 000009.jpg"),
        ("img_align_celeba", "image without a line in list_attr_celeba.txt: 162771.jpg"),
    }
    assert open_dataset("celeba", root)["img_align_celeba/202599"].regions == {}


def test_without_landmarks_or_attributes(root: Path) -> None:
    (root / "list_landmarks_align_celeba.txt").unlink()
    dataset = open_dataset("celeba", root)
    assert [problem.what for problem in dataset.problems] == ["no such file"]
    assert not any(record.has_mask for record in dataset.records)
    (root / "list_attr_celeba.txt").unlink()
    with pytest.raises(DataError, match="no attribute file"):
        open_dataset("celeba", root)
    assert len(open_dataset("celeba", root, options={"labels": "none"})) == len(NUMBERS)
