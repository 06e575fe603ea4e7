"""Multi-label datasets: labels, digests, splits, and the view of pairs (image, attribute)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from xaieval.datasets import AttributePairs, Dataset, Record, make_splits
from xaieval.errors import ConfigError, DataError
from xaieval.types import Image, Mask

NAMES = ("Smiling", "Hat", "Bald")
READ: list[str] = []


def record(sample_id: str, bits: str, split: str | None = None) -> Record:
    def image() -> Image:
        READ.append(sample_id)
        return np.full((4, 4, 3), len(sample_id), np.uint8)

    def regions() -> Mapping[str, Mask]:
        return {"mouth": np.eye(4, dtype=bool)}

    labels = np.array([bit == "1" for bit in bits])
    return Record(sample_id, labels, split, True, image, regions, {"file": f"{sample_id}.png"})  # type: ignore[arg-type]


def faces(*records: Record) -> Dataset:
    return Dataset(
        name="faces",
        root=None,
        class_names=NAMES,
        region_names=("mouth",),
        records=records,
        fingerprint=lambda: "same",
        task="multilabel",
    )


THREE = faces(record("b", "110"), record("a", "100"), record("c", "001"))


def many(n: int, *, seed: int = 0, layout: bool = False) -> Dataset:
    random = np.random.default_rng(seed)
    rows = random.random((n, 3)) < np.array([0.5, 0.3, 0.05])
    splits = ["test" if i % 4 == 0 else "val" if i % 4 == 1 else "train" for i in range(n)]
    return faces(
        *(
            record(
                f"{i:04d}", "".join("01"[int(bit)] for bit in row), splits[i] if layout else None
            )
            for i, row in enumerate(rows)
        )
    )


def test_labels_are_vectors() -> None:
    assert THREE.task == "multilabel"
    assert THREE.labels_of("b").tolist() == [True, True, False]
    assert THREE.by_class == {"Smiling": ("a", "b"), "Hat": ("b",), "Bald": ("c",)}
    assert isinstance(THREE["a"].label, np.ndarray)
    for ask in (THREE.label_of, THREE.class_of):
        with pytest.raises(DataError, match=r"several labels.*AttributePairs"):
            ask("a")


def test_a_single_label_is_one_of_the_classes() -> None:
    one = Dataset(
        name="one",
        root=None,
        class_names=NAMES,
        region_names=(),
        records=[Record("x", 1, None, False, lambda: np.zeros((2, 2, 3), np.uint8))],
        fingerprint=lambda: 0,
    )
    assert one.task == "single"
    assert one.labels_of("x").tolist() == [False, True, False]


@pytest.mark.parametrize("label", [1, np.ones(3), np.ones(2, bool)])
def test_labels_must_be_of_the_tasks_kind(label: object) -> None:
    bad = Record("x", label, None, False, lambda: np.zeros((2, 2, 3), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a label is no class"):
        faces(bad)


def test_the_digest_covers_every_label() -> None:
    same = faces(record("a", "100"), record("b", "110"), record("c", "001"))
    assert same.digest == THREE.digest
    assert faces(*THREE.records[:2], record("c", "011")).digest != THREE.digest
    assert AttributePairs(same).digest == AttributePairs(THREE).digest
    assert AttributePairs(same, attributes=("Hat",)).digest != AttributePairs(THREE).digest


def test_pairs_are_what_is_there() -> None:
    pairs = AttributePairs(THREE)
    assert pairs.ids == ("a@Smiling", "b@Hat", "b@Smiling", "c@Bald")
    assert (pairs.task, len(pairs), pairs.class_names) == ("single", 4, NAMES)
    assert [r.id for r in pairs.records] == list(pairs.ids)
    assert "4 pairs of 3 images" in repr(pairs)
    assert pairs.records[1].id == "b@Hat"
    assert pairs.label_of("b@Hat") == 1
    assert pairs.class_of("c@Bald") == "Bald"
    assert pairs.image_of("b@Hat") == ("b", "Hat")
    assert pairs.pairs_of("b") == ("b@Smiling", "b@Hat")
    assert pairs.by_class == {
        "Smiling": ("a@Smiling", "b@Smiling"),
        "Hat": ("b@Hat",),
        "Bald": ("c@Bald",),
    }
    meta = pairs["b@Hat"].meta
    assert (meta["image_id"], meta["attribute"], meta["file"]) == ("b", "Hat", "b.png")
    assert "a@Hat" not in pairs
    assert "b" not in pairs
    with pytest.raises(DataError, match="Did you mean 'b@Hat'"):
        pairs["b@Hut"]


def test_pairs_of_some_attributes() -> None:
    pairs = AttributePairs(THREE, attributes=("Bald", "Hat"))
    assert pairs.attributes == ("Hat", "Bald")
    assert pairs.ids == ("b@Hat", "c@Bald")
    assert pairs.label_of("c@Bald") == 2
    assert pairs.pairs_of("a") == ()
    assert pairs.by_class["Smiling"] == ()


def test_an_image_is_read_once_for_all_its_pairs_in_use() -> None:
    pairs = AttributePairs(THREE)
    READ.clear()
    both = pairs["b@Hat"], pairs["b@Smiling"]
    assert READ == []
    assert both[0].image is both[1].image
    assert both[0].regions["mouth"] is both[1].regions["mouth"]
    assert READ == ["b"]
    del both
    assert pairs["b@Hat"].image.shape == (4, 4, 3)
    assert READ == ["b", "b"]


def test_pairs_need_several_labels_and_known_attributes() -> None:
    with pytest.raises(DataError, match="multi-label"):
        AttributePairs(AttributePairs(THREE))
    with pytest.raises(ConfigError, match="Did you mean 'Hat'"):
        AttributePairs(THREE, attributes=("Hatt",))
    with pytest.raises(DataError, match="no image has any"):
        AttributePairs(faces(record("a", "100"), record("b", "000")), attributes=("Bald",))


@pytest.mark.parametrize("scheme", ["auto", "stratified", "kfold"])
def test_rare_attributes_are_on_both_sides(scheme: str) -> None:
    made = many(200)
    plan = make_splits(made, scheme=scheme, seed=3, folds=4)
    assert plan.scheme == ("stratified" if scheme == "auto" else scheme)
    assert plan == make_splits(made, scheme=scheme, seed=3, folds=4)
    assert plan.digest != make_splits(made, scheme=scheme, seed=4, folds=4).digest
    for fold in plan.folds:
        assert sorted(fold.train + fold.test) == list(made.ids)
        for name, ids in made.by_class.items():
            share = len(set(ids) & set(fold.test)) / len(ids)
            assert 0.1 <= share <= 0.4, name


def test_the_layouts_split_is_taken_where_it_divides_all() -> None:
    made = many(40, layout=True)
    plan = make_splits(made)
    assert plan.scheme == "layout"
    assert len(plan.folds[0].test) == 10
    half = faces(record("a", "100", "train"), record("b", "110"), record("c", "001", "test"))
    assert make_splits(half).scheme == "stratified"
    with pytest.raises(DataError, match="gives 1 images no split"):
        make_splits(half, scheme="layout")


def test_the_pairs_of_an_image_go_together() -> None:
    made = many(60)
    pairs = AttributePairs(made)
    images, of_pairs = make_splits(made, seed=1), make_splits(pairs, seed=1)
    for fold, divided in zip(images.folds, of_pairs.folds, strict=True):
        assert sorted(divided.train + divided.test) == list(pairs.ids)
        for pair in pairs.ids:
            assert of_pairs.role(0, pair) == images.role(0, pairs.image_of(pair)[0])
        assert fold.index == divided.index


def test_one_image_of_an_attribute_is_never_lost() -> None:
    plan = make_splits(faces(record("a", "100"), record("b", "010"), record("c", "001")))
    assert len(plan.folds[0].test) == 1
    assert len(plan.folds[0].train) == 2
