"""Splits: seeded, stratified, every image tested once; the layout's own where it is usable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.datasets import Dataset, Record, make_splits
from xaieval.errors import ConfigError, DataError


def dataset(*counts: int, masks: bool = True, splits: tuple[str | None, ...] = (None,)) -> Dataset:
    """Return classes a, b, … of so many images; layout splits are dealt in turn."""
    names = "abcdefgh"[: len(counts)]
    records = [
        Record(
            f"{name}/{i:03d}",
            label,
            splits[i % len(splits)],  # type: ignore[arg-type]
            masks,
            read_image=lambda: None,  # type: ignore[arg-type,return-value]
        )
        for label, (name, count) in enumerate(zip(names, counts, strict=True))
        for i in range(count)
    ]
    return Dataset(
        name="made",
        root=None,
        class_names=names,
        region_names=("mask",),
        records=records,
        fingerprint=lambda: 0,
    )


COUNTS = st.lists(st.integers(2, 12), min_size=2, max_size=4)


@given(COUNTS, st.integers(0, 99), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_stratified_draws_its_share_of_every_class(
    counts: list[int], seed: int, share: float
) -> None:
    made = dataset(*counts)
    plan = make_splits(made, scheme="stratified", seed=seed, test_share=share)
    (fold,) = plan.folds
    assert sorted((*fold.train, *fold.test)) == list(made.ids)
    for name, ids in made.by_class.items():
        drawn = sum(sample in fold.test for sample in ids)
        assert drawn == min(max(round(share * len(ids)), 1), len(ids) - 1), name
    assert plan == make_splits(made, scheme="stratified", seed=seed, test_share=share)


@given(COUNTS, st.integers(0, 99), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_kfold_tests_every_image_once_and_spreads_classes(
    counts: list[int], seed: int, folds: int
) -> None:
    made = dataset(*counts)
    plan = make_splits(made, scheme="kfold", seed=seed, folds=folds)
    tested = [sample for fold in plan.folds for sample in fold.test]
    assert sorted(tested) == list(made.ids)
    for fold in plan.folds:
        assert sorted((*fold.train, *fold.test)) == list(made.ids)
    for ids in made.by_class.values():
        per_fold = [len(set(ids) & set(fold.test)) for fold in plan.folds]
        assert max(per_fold) - min(per_fold) <= 1
    sizes = [len(fold.test) for fold in plan.folds]
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_matters_and_other_classes_do_not() -> None:
    first = make_splits(dataset(40, 40), scheme="stratified", seed=0).folds[0].test
    assert first != make_splits(dataset(40, 40), scheme="stratified", seed=1).folds[0].test
    # a class is drawn by itself: another one growing does not move it
    more = make_splits(dataset(40, 90), scheme="stratified", seed=0).folds[0].test
    assert [s for s in first if s[0] == "a"] == [s for s in more if s[0] == "a"]


def test_auto_chooses() -> None:
    assert make_splits(dataset(4, 4, splits=("train", "test"))).scheme == "layout"
    assert make_splits(dataset(29, 90)).scheme == "kfold"
    assert make_splits(dataset(30, 90)).scheme == "stratified"
    assert make_splits(dataset(5, 5, masks=False)).scheme == "stratified"
    partly = dataset(40, 40, splits=("train", "test", None))
    assert make_splits(partly).scheme == "stratified"


def test_layout_joins_val_to_train() -> None:
    plan = make_splits(dataset(3, 3, splits=("train", "val", "test")), scheme="layout")
    assert plan.folds[0].test == ("a/002", "b/002")
    assert plan.folds[0].train == ("a/000", "a/001", "b/000", "b/001")
    assert plan.role(0, "a/001") == "train"
    with pytest.raises(DataError, match="no such fold"):
        plan.role(1, "a/001")
    with pytest.raises(DataError, match="no image"):
        plan.role(0, "z")


def test_plans_have_digests() -> None:
    made = dataset(8, 8)
    plan = make_splits(made, scheme="kfold", folds=2)
    assert plan.digest == make_splits(made, scheme="kfold", folds=2).digest
    assert plan.digest != make_splits(made, scheme="kfold", folds=2, seed=1).digest


@pytest.mark.parametrize(
    ("made", "options", "what"),
    [
        (dataset(4), {}, "folder with one class"),
        (dataset(4, 1), {"scheme": "stratified"}, "class 'b' has one image"),
        (dataset(4, 4), {"scheme": "stratified", "test_share": 1.0}, "bad test_share"),
        (dataset(4, 4), {"scheme": "kfold", "folds": 1}, "bad number of folds"),
        (dataset(4, 4, splits=("train",)), {"scheme": "layout"}, "no test image of class 'a'"),
        (dataset(9, 9, splits=("train", "test", None)), {"scheme": "layout"}, "no split"),
    ],
)
def test_what_cannot_be_split_says_so(made: Dataset, options: dict[str, object], what: str) -> None:
    with pytest.raises(DataError, match=what):
        make_splits(made, **options)  # type: ignore[arg-type]


def test_unknown_scheme() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'kfold'"):
        make_splits(dataset(4, 4), scheme="k-fold")
