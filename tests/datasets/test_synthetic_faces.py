"""Drawn faces: exact masks, attributes that change their parts alone, files as published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import binary_dilation

from xaieval.cli import main
from xaieval.datasets import (
    ATTRIBUTE_REGIONS,
    Confound,
    check,
    detect_layout,
    make_splits,
    open_dataset,
    write_faces,
)
from xaieval.datasets.face_parts import ATTRIBUTES, FEATURES, PARTS
from xaieval.datasets.face_traits import HAIR_COLOURS, VARIED, draw_attributes, with_attributes
from xaieval.datasets.synthetic_faces import deciding_region, draw_face, draw_pair
from xaieval.errors import Cancelled, ConfigError, ResultsError
from xaieval.progress import Progress

SIZE = 64


def test_masks_compose_to_the_parts_of_the_pixels() -> None:
    seen: set[str] = set()
    for index in range(12):
        face = draw_face(size=SIZE, seed=3, index=index)
        owner = np.full((SIZE, SIZE), 18, np.uint8)
        masks = face.masks()
        assert [name for name in PARTS if name in masks] == list(masks)
        for number, name in enumerate(PARTS):
            if name in masks:
                owner[masks[name]] = number
        np.testing.assert_array_equal(owner, face.labels)
        seen |= set(masks)
        eyes = masks["skin"] & (masks["l_eye"] | masks["r_eye"])
        assert eyes.any()  # the skin goes on beneath: later parts overwrite it
    assert seen == set(PARTS)


def test_equal_arguments_give_equal_faces() -> None:
    first = draw_face(size=SIZE, seed=0, index=7)
    np.testing.assert_array_equal(first.image, draw_face(size=SIZE, seed=0, index=7).image)
    for seed, index in ((1, 7), (0, 8)):
        assert (first.image != draw_face(size=SIZE, seed=seed, index=index).image).any()


@pytest.mark.parametrize("attribute", VARIED)
def test_an_attribute_changes_its_parts_and_nothing_else(attribute: str) -> None:
    size = 128
    parts = [PARTS.index(name) for name in deciding_region(attribute)]
    outside = changed = 0
    for index in range(4):
        without, with_it = draw_pair(size=size, seed=5, index=index, attribute=attribute)
        differs = (without.image != with_it.image).any(axis=2)
        own = np.isin(without.labels, parts) | np.isin(with_it.labels, parts)
        near = binary_dilation(own, np.ones((5, 5), bool))  # mixed pixels along the edge
        outside += int((differs & ~near).sum())
        changed += int(differs.sum())
        assert differs.sum() >= 25, index  # it can be seen
        assert (with_it.person, without.person) == (without.person, with_it.person)
    assert outside <= 0.01 * changed


def test_every_region_that_decides_is_a_part() -> None:
    assert set(VARIED) == set(ATTRIBUTE_REGIONS) <= set(ATTRIBUTES)
    assert len(VARIED) >= 12
    assert {part for parts in ATTRIBUTE_REGIONS.values() for part in parts} <= set(PARTS)
    with pytest.raises(ConfigError, match="does not vary"):
        deciding_region("Young")


def test_attributes_are_even_and_independent() -> None:
    n = 3000
    rows = [draw_attributes(seed=0, index=index) for index in range(n)]
    table = np.array([[row[name] for name in VARIED] for row in rows], float)
    shares = dict(zip(VARIED, table.mean(axis=0), strict=True))
    for name, share in shares.items():
        expected = 1 / 6 if name in HAIR_COLOURS and name != "Blond_Hair" else 0.5
        assert abs(share - expected) < 4 * np.sqrt(0.25 / n), name
    assert (table[:, [VARIED.index(name) for name in HAIR_COLOURS]].sum(axis=1) == 1).all()
    others = [k for k, name in enumerate(VARIED) if name not in HAIR_COLOURS[:1] + HAIR_COLOURS[2:]]
    correlation = np.corrcoef(table[:, others].T) - np.eye(len(others))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)


@pytest.mark.parametrize(
    "tied",
    [("Smiling", "Blond_Hair"), ("Blond_Hair", "Smiling"), ("Smiling", "Eyeglasses"),
     ("Wearing_Hat", "Black_Hair")],
)  # fmt: skip
def test_a_confound_ties_two_attributes(tied: tuple[str, str]) -> None:
    n, confound = 1500, Confound(*tied, 0.9)
    rows = [draw_attributes(seed=0, index=index, confound=confound) for index in range(n)]
    agree = np.mean([row[tied[0]] == row[tied[1]] for row in rows])
    assert abs(agree - 0.9) < 4 * np.sqrt(0.09 / n)
    assert all(sum(row[name] for name in HAIR_COLOURS) == 1 for row in rows)
    free = [draw_attributes(seed=0, index=index) for index in range(n)]
    untouched = [name for name in VARIED if name not in (*tied, *HAIR_COLOURS)]
    assert [[r[k] for k in untouched] for r in rows] == [[r[k] for k in untouched] for r in free]


def test_hair_keeps_one_colour_when_it_changes() -> None:
    base = draw_attributes(seed=0, index=0)
    for name in HAIR_COLOURS:
        for present in (False, True):
            changed = with_attributes(base, {name: present})
            assert changed[name] == present
            assert sum(changed[colour] for colour in HAIR_COLOURS) == 1
    with pytest.raises(ConfigError):
        with_attributes(base, {"Young": True})


def test_the_built_in_set() -> None:
    dataset = open_dataset("synthetic-faces", options={"n": 40, "size": SIZE})
    assert dataset.task == "multilabel"
    assert dataset.class_names == VARIED
    splits = Counter(record.layout_split for record in dataset.records)
    assert splits == {"train": 32, "test": 8}
    assert make_splits(dataset).scheme == "layout"
    sample = dataset["CelebA-HQ-img/11"]
    face = draw_face(size=SIZE, seed=0, index=11)
    np.testing.assert_array_equal(sample.image, face.image)
    np.testing.assert_array_equal(sample.regions["nose"], face.labels == PARTS.index("nose"))
    expected = draw_attributes(seed=0, index=11)
    assert dict(zip(VARIED, dataset.labels_of(sample.id).tolist(), strict=True)) == expected
    other = open_dataset("synthetic-faces", options={"n": 40, "size": SIZE, "seed": 1})
    assert other.digest != dataset.digest


def test_only_training_faces_are_confounded() -> None:
    options = {"n": 400, "size": SIZE, "attributes": ["Smiling", "Blond_Hair"]}
    free = open_dataset("synthetic-faces", options=options)
    tied = open_dataset(
        "synthetic-faces", options={**options, "confound": ["Smiling", "Blond_Hair", 1.0]}
    )
    for record in tied.records:
        smiling, blond = tied.labels_of(record.id)
        if record.layout_split == "train":
            assert smiling == blond
        else:
            assert (tied.labels_of(record.id) == free.labels_of(record.id)).all()
    first = tied.record("CelebA-HQ-img/4")  # a test face
    np.testing.assert_array_equal(first.read_image(), free.record(first.id).read_image())


def test_a_biased_set_of_drawn_faces() -> None:
    options = {"n": 300, "size": SIZE, "attribute": "Smiling", "bias": "Blond_Hair"}
    dataset = open_dataset("synthetic-faces", options={**options, "bias_rate": 1.0})
    groups = {r.meta["group"] for r in dataset.records if r.layout_split == "train"}
    assert groups == {"Smiling|Blond_Hair", "not Smiling|not Blond_Hair"}
    tests = Counter(r.meta["group"] for r in dataset.records if r.layout_split == "test")
    assert len(tests) == 4
    assert len(set(tests.values())) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"n": 1},
        {"size": 31},
        {"seed": -1},
        {"confound": "Smiling"},
        {"confound": ["Smiling", "Young", 0.5]},
        {"confound": ["Smiling", "Smiling", 0.5]},
        {"confound": ["Black_Hair", "Blond_Hair", 0.5]},
        {"confound": ["Smiling", "Blond_Hair", 1.5]},
        {"attribute": "Young"},
    ],
)
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        open_dataset("synthetic-faces", options=options)


@pytest.mark.parametrize("scale", [1, 2])
def test_written_faces_are_read_back(tmp_path: Path, scale: int) -> None:
    root = write_faces(tmp_path / "faces", n=11, size=SIZE, seed=2, image_scale=scale)
    assert detect_layout(root) == "celebamask-hq"
    assert check(root) == []
    dataset = open_dataset("celebamask-hq", root, strict=True)
    assert dataset.class_names == ATTRIBUTES
    assert PIL_size(root / "CelebA-HQ-img" / "0.jpg") == (SIZE * scale, SIZE * scale)
    built_in = open_dataset("synthetic-faces", options={"n": 11, "size": SIZE, "seed": 2})
    for record in built_in.records:
        sample = dataset[record.id]
        for name in VARIED:
            k = ATTRIBUTES.index(name)
            assert (
                dataset.labels_of(record.id)[k] == built_in.labels_of(record.id)[VARIED.index(name)]
            )
        assert sample.meta["pose"] == pytest.approx(record.meta["pose"], abs=1e-4)
        assert dataset.record(record.id).layout_split == record.layout_split
        large = draw_face(size=SIZE * scale, seed=2, index=record.meta["number"]).labels
        step = slice(scale - 1, None, scale)
        for number, name in enumerate((*PARTS, "background")):
            np.testing.assert_array_equal(sample.regions[name], large[step, step] == number)
        if scale == 1:
            near = np.abs(sample.image.astype(int) - record.read_image()).mean()
            assert near < 4  # JPEG
    assert not dataset.labels_of("CelebA-HQ-img/0")[ATTRIBUTES.index("Young")]


def PIL_size(path: Path) -> tuple[int, int]:
    import PIL.Image

    with PIL.Image.open(path) as image:
        return image.size


def test_a_finished_folder_is_kept_and_another_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "faces"
    root.mkdir()  # an empty folder is taken
    reports: list[Progress] = []
    write_faces(root, n=3, size=32, report=reports.append)
    assert [(p.done, p.total) for p in reports] == [(1, 3), (2, 3), (3, 3)]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_faces(root, n=3, size=32)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    with pytest.raises(ResultsError, match="other options"):
        write_faces(root, n=4, size=32)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("mine")
    with pytest.raises(ResultsError, match="other files"):
        write_faces(tmp_path / "full", n=3, size=32)
    with pytest.raises(ConfigError, match="bad size"):
        write_faces(tmp_path / "new", size=8)


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_faces(tmp_path / "faces", n=3, size=32, report=stop)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    folder = str(tmp_path / "faces")
    words = ["data", "make", "synthetic-faces", folder, "--n", "5", "--size", "32"]
    done = CliRunner().invoke(main, [*words, "--confound", "Smiling:Blond_Hair:1.0"])
    assert done.exit_code == 0, done.output
    dataset = open_dataset("celebamask-hq", folder)
    smiling, blond = (ATTRIBUTES.index(name) for name in ("Smiling", "Blond_Hair"))
    for record in dataset.records:
        labels = dataset.labels_of(record.id)
        assert record.layout_split == "test" or labels[smiling] == labels[blond]
    assert CliRunner().invoke(main, [*words, "--confound", "Smiling"]).exit_code != 0


def test_the_features_of_explanation_alignment() -> None:
    dataset = open_dataset("synthetic-faces", options={"n": 4, "size": 48, "features": True})
    assert set(FEATURES.values()) <= set(dataset.region_names)
    for record in dataset.records:
        regions = dataset[record.id].regions
        parts = [regions[name] for name in ("l_brow", "r_brow", "l_eye", "r_eye")]
        assert (regions["brows_eyes"] == np.any(parts, axis=0)).all()
    with pytest.raises(ConfigError, match="features"):
        open_dataset("synthetic-faces", options={"features": "all"})
