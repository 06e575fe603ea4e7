"""ImageNet with VOC boxes: layouts, scaling, odd boxes, broken XML, lists of classes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval.datasets import check, detect_layout, make_splits, open_dataset
from xaieval.datasets.imagenet_boxes import read_classes
from xaieval.datasets.voc_boxes import Annotation, Box, boxes_mask, read_voc
from xaieval.errors import ConfigError, DataError

TENCH, FISH = "n01440764", "n01443537"


def picture(
    path: Path, *, size: tuple[int, int] = (20, 10), orientation: int | None = None
) -> Path:
    """Write a noise picture; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    exif = PIL.Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    PIL.Image.fromarray(noise).save(path, "JPEG", exif=exif)
    return path


def boxes(
    path: Path, *found: tuple[int, int, int, int], size=(20, 10), name=TENCH, head: str = ""
) -> Path:
    """Write an annotation as ImageNet's are; a box is (xmin, ymin, xmax, ymax)."""
    objects = "".join(
        f"""
	<object>
		<name>{name}</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>{a}</xmin>
			<ymin>{b}</ymin>
			<xmax>{c}</xmax>
			<ymax>{d}</ymax>
		</bndbox>
	</object>"""
        for a, b, c, d in found
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""{head}<annotation>
	<folder>val</folder>
	<filename>{path.stem}</filename>
	<source>
		<database>ILSVRC_2012</database>
	</source>
	<size>
		<width>{size[0]}</width>
		<height>{size[1]}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>{objects}
</annotation>
"""
    )
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes, trained and validated; one training image has no boxes."""
    for split in ("train", "val"):
        for wnid in (TENCH, FISH):
            for i in range(2):
                picture(tmp_path / split / wnid / f"{wnid}_{split}_{i}.JPEG")
                if (split, i) != ("train", 1):
                    file = tmp_path / "Annotations" / split / wnid / f"{wnid}_{split}_{i}.xml"
                    boxes(file, (2, 1, 5, 4), name=wnid)
    return tmp_path


def test_a_box_by_hand(folder):
    dataset = open_dataset("imagenet-boxes", folder)
    assert dataset.class_names == (TENCH, FISH)
    assert dataset.region_names == ("box",)
    sample = dataset[f"val/{TENCH}/{TENCH}_val_0"]
    expected = np.zeros((10, 20), bool)
    expected[1:4, 2:5] = True
    np.testing.assert_array_equal(sample.regions["box"], expected)
    bare = dataset.record(f"train/{TENCH}/{TENCH}_train_1")
    assert not bare.has_mask
    assert bare.read_regions() == {}
    assert dataset.problems == ()
    assert make_splits(dataset).scheme != "layout"  # val joins train: nothing is left to test
    assert {r.layout_split for r in dataset.records} == {"train", "val"}
    assert detect_layout(folder) == "imagenet-boxes"
    pickle.loads(pickle.dumps(dataset.records[0])).read_regions()
    assert [p.what for p in check(folder)] == ["missing mask"] * 2


def test_one_split_alone(folder):
    dataset = open_dataset("imagenet-boxes", folder, options={"split": "val"})
    assert len(dataset) == 4
    with pytest.raises(ConfigError, match="unknown split"):
        open_dataset("imagenet-boxes", folder, options={"split": "vall"})
    with pytest.raises(DataError, match="no images sorted by wnid"):
        open_dataset("imagenet-boxes", folder, options={"split": "test"})


@pytest.mark.parametrize(
    "place",
    [
        f"Annotations/val/{TENCH}/a.xml",
        "Annotations/val/a.xml",
        f"Annotations/{TENCH}/a.xml",
        "Annotations/a.xml",
        "annotations/val/a.xml",
        f"Annotations/CLS-LOC/val/{TENCH}/a.xml",
        "ILSVRC/Annotations/CLS-LOC/val/a.xml",
    ],
)
def test_where_boxes_may_lie(tmp_path, place):
    base = "ILSVRC/Data/CLS-LOC/val" if place.startswith("ILSVRC") else "val"
    picture(tmp_path / base / TENCH / "a.JPEG")
    boxes(tmp_path / place, (0, 0, 20, 10))
    (record,) = open_dataset("imagenet-boxes", tmp_path).records
    assert record.read_regions()["box"].all()


def test_images_folder_has_no_split(tmp_path):
    picture(tmp_path / "images" / TENCH / "a.JPEG")
    boxes(tmp_path / "Annotations" / TENCH / "a.xml", (0, 0, 4, 4))
    (record,) = open_dataset("imagenet-boxes", tmp_path).records
    assert record.layout_split is None
    assert record.read_regions()["box"].sum() == 16


def region(root: Path, *, options: dict | None = None) -> np.ndarray:
    return open_dataset("imagenet-boxes", root, options=options).records[0].read_regions()["box"]


def test_several_boxes_are_united(tmp_path):
    picture(tmp_path / "val" / TENCH / "a.JPEG")
    boxes(tmp_path / "Annotations/val/a.xml", (0, 0, 4, 4), (2, 2, 6, 6))
    assert region(tmp_path).sum() == 16 + 16 - 4


def test_boxes_of_another_size_are_scaled(tmp_path):
    picture(tmp_path / "val" / TENCH / "a.JPEG", size=(10, 5))
    boxes(tmp_path / "Annotations/val/a.xml", (3, 2, 7, 7))  # of 20 x 10
    expected = np.zeros((5, 10), bool)
    expected[1:4, 1:4] = True  # x 1.5 to 3.5, y 1 to 3.5, rounded outwards
    np.testing.assert_array_equal(region(tmp_path), expected)


def test_a_size_of_zero_is_that_of_the_picture(tmp_path):
    picture(tmp_path / "val" / TENCH / "a.JPEG")
    boxes(tmp_path / "Annotations/val/a.xml", (3, 2, 7, 7), size=(0, 0))
    assert region(tmp_path)[2:7, 3:7].all()
    assert region(tmp_path).sum() == 20


def test_boxes_turn_with_a_sideways_picture(tmp_path):
    path = picture(tmp_path / "val" / TENCH / "a.JPEG", orientation=6)
    boxes(tmp_path / "Annotations/val/a.xml", (0, 0, 20, 1))  # the stored picture's first row
    dataset = open_dataset("imagenet-boxes", tmp_path)
    sample = dataset[dataset.ids[0]]
    assert sample.image.shape == (20, 10, 3)
    expected = np.zeros((20, 10), bool)
    expected[:, -1] = True  # a quarter turn clockwise
    np.testing.assert_array_equal(sample.regions["box"], expected)
    assert path.exists()


def test_boxes_outside_the_picture(tmp_path):
    for stem in ("a", "b"):
        picture(tmp_path / "val" / TENCH / f"{stem}.JPEG")
    boxes(tmp_path / "Annotations/val/a.xml", (-3, 5, 4, 99), (25, 0, 30, 5), (4, 4, 4, 8))
    boxes(tmp_path / "Annotations/val/b.xml", (20, 0, 30, 5))
    dataset = open_dataset("imagenet-boxes", tmp_path)
    mask = dataset.records[0].read_regions()["box"]
    assert mask[5:10, 0:4].all()
    assert mask.sum() == 20
    assert dataset.records[1].read_regions() == {}
    assert not dataset.records[1].has_mask
    assert [(p.path.name, p.what) for p in dataset.problems] == [
        ("a.xml", "2 of 3 boxes outside the picture, or empty"),
        ("b.xml", "1 of 1 boxes outside the picture, or empty"),
    ]
    assert not any(p.left_out for p in dataset.problems)


def test_boxes_of_another_class(tmp_path):
    picture(tmp_path / "val" / TENCH / "a.JPEG")
    boxes(tmp_path / "Annotations/val/a.xml", (0, 0, 5, 5), name=FISH)
    dataset = open_dataset("imagenet-boxes", tmp_path)
    assert dataset.records[0].read_regions() == {}
    assert dataset.problems[0].what == f"no box of {TENCH}, only of {FISH}"
    assert region(tmp_path, options={"boxes": "all"}).sum() == 25


def test_an_annotation_without_boxes(tmp_path):
    picture(tmp_path / "val" / TENCH / "a.JPEG")
    boxes(tmp_path / "Annotations/val/a.xml")
    dataset = open_dataset("imagenet-boxes", tmp_path)
    assert dataset.records[0].read_regions() == {}
    assert dataset.problems == ()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not a VOC annotation"),
        ("<annotation><object>", "not a VOC annotation"),
        ("<html/>", "expected <annotation>, got <html>"),
        ("<annotation><object><name>x</name></object></annotation>", "without bndbox"),
        (
            "<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax></bndbox>"
            "</object></annotation>",
            "no ymax",
        ),
        (
            "<annotation><object><bndbox><xmin>a</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
            "</bndbox></object></annotation>",
            "could not convert",
        ),
        (
            "<annotation><object><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
            "</bndbox></object></annotation>",
            "xmin is nan",
        ),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "a DTD"),
    ],
)
def test_broken_xml_is_named_and_the_image_stays(tmp_path, text, match):
    picture(tmp_path / "val" / TENCH / "a.JPEG")
    file = tmp_path / "Annotations" / "val" / "a.xml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(DataError, match=match):
        read_voc(file)
    dataset = open_dataset("imagenet-boxes", tmp_path)
    assert [p.path for p in dataset.problems] == [file]
    assert dataset.records[0].read_regions() == {}


edge = st.integers(-5, 25)


@given(
    st.lists(st.tuples(edge, edge, edge, edge), max_size=4),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_masks_agree_with_pixel_by_pixel(found, size):
    annotation = Annotation(size, tuple(Box("", *box) for box in found))
    mask = boxes_mask(annotation, size)
    for y in range(size[0]):
        for x in range(size[1]):
            inside = any(a <= x < c and b <= y < d for a, b, c, d in found)
            assert mask[y, x] == inside
    twice = boxes_mask(annotation, (size[0] * 2, size[1] * 2))
    np.testing.assert_array_equal(twice, mask.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("imagenet_class_index.json", {"1": [FISH, "goldfish"], "0": [TENCH, "tench"]}),
        (
            "classes.json",
            {
                "classes": [
                    {"index": 1, "wnid": FISH, "name": "goldfish, Carassius auratus"},
                    {"index": 0, "wnid": TENCH, "name": "tench, Tinca tinca"},
                ]
            },
        ),
        ("classes.json", {TENCH: "tench", FISH: "goldfish"}),
        ("LOC_synset_mapping.txt", f"{TENCH} tench, Tinca tinca\n{FISH} goldfish, Carassius\n"),
    ],
)
def test_lists_of_classes(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    dataset = open_dataset("imagenet-boxes", folder)
    assert dataset.class_names == ("tench", "goldfish")
    assert dataset.label_of(f"val/{FISH}/{FISH}_val_0") == 1
    path.rename(folder.parent / name)
    options = {"classes": str(folder.parent / name)}
    assert open_dataset("imagenet-boxes", folder, options=options).class_names[1] == "goldfish"


def test_classes_that_are_not_listed_and_names_that_two_share(folder):
    (folder / "classes.txt").write_text(f"{TENCH} crane, bird\nn03126707 crane\n")
    dataset = open_dataset("imagenet-boxes", folder)
    assert dataset.class_names == (f"crane ({TENCH})", "crane (n03126707)")
    assert {p.path.name for p in dataset.problems} == {FISH}
    assert len(dataset) == 4


@pytest.mark.parametrize(
    "text", ["", "tench\n", f"{TENCH} a\n{TENCH} b\n", '{"0": "tench"}', "[]", "{"]
)
def test_bad_lists_of_classes(tmp_path, text):
    path = tmp_path / ("c.json" if text[:1] in "{[" and text else "c.txt")
    path.write_text(text)
    with pytest.raises(DataError, match="not a list of classes"):
        read_classes(path)


def test_a_wrong_folder(tmp_path):
    picture(tmp_path / "val" / "tench" / "a.JPEG")
    with pytest.raises(DataError, match=r"no images sorted by wnid.*n01440764"):
        open_dataset("imagenet-boxes", tmp_path)
