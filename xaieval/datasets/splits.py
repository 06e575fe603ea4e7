"""Which images train and which are tested: the layout's split, or a seeded stratified one.

Images with several labels are stratified by the rarest attribute that each has; the pairs of
``AttributePairs`` go where their image goes, and so do questions about one image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from xaieval.datasets.attribute_pairs import AttributePairs
from xaieval.datasets.base import Dataset
from xaieval.digest import digest, rng
from xaieval.errors import DataError, unknown

FEW_MASKS = 30
"""A class with fewer masks than this is scored out of fold, so that no mask is wasted."""

SCHEMES = ("auto", "layout", "stratified", "kfold")


@dataclass(frozen=True)
class Fold:
    """One division of the images: ``train`` and ``test`` ids, sorted, without overlap."""

    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class SplitPlan:
    """The folds of a scheme. ``scheme`` is never "auto": it says what was chosen."""

    scheme: str
    seed: int
    folds: tuple[Fold, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 of scheme, seed and every fold."""
        return digest(self.scheme, self.seed, [(fold.train, fold.test) for fold in self.folds])

    @cached_property
    def _roles(self) -> tuple[Mapping[str, Literal["train", "test"]], ...]:
        return tuple(
            {
                **dict.fromkeys(fold.train, "train"),
                **dict.fromkeys(fold.test, "test"),
            }
            for fold in self.folds
        )

    def role(self, fold: int, sample_id: str) -> Literal["train", "test"]:
        """Return what an image is in a fold.

        Raises
        ------
        DataError
            When the fold does not exist or does not hold the image.
        """
        if not 0 <= fold < len(self.folds):
            raise DataError("no such fold", expected=f"0 to {len(self.folds) - 1}", got=fold)
        try:
            return self._roles[fold][sample_id]
        except KeyError:
            raise DataError(f"no image {sample_id!r} in fold {fold}", where=self.scheme) from None


def make_splits(
    dataset: Dataset,
    *,
    scheme: str = "auto",
    seed: int = 0,
    test_share: float = 0.25,
    folds: int = 5,
) -> SplitPlan:
    """Divide a dataset into training and test images.

    Parameters
    ----------
    scheme : {"auto", "layout", "stratified", "kfold"}
        ``layout`` takes the folders' own split, ``val`` joining ``train``; ``stratified`` draws
        ``test_share`` of every class, one fold; ``kfold`` tests every image exactly once, each
        class spread evenly over the folds. ``auto`` is ``layout`` where train and test both hold
        every class, else ``kfold`` where a class with masks has fewer than 30 of them, else
        ``stratified``. In a multi-label dataset an image counts under the rarest attribute that
        it has (or under none): ``stratified`` and ``kfold`` spread these groups, which keeps rare
        attributes on both sides; ``auto`` is ``layout`` where it divides every image, else
        ``stratified``. So it is for questions, whose images are spread whatever the answers are.
    seed : int
        Of the split; the training seed is another thing. ``layout`` ignores it.
    test_share : float in (0, 1)
        Rounded per class to whole images, at least one and never all.
    folds : int, at least 2

    Raises
    ------
    ConfigError
        For an unknown scheme.
    DataError
        For fewer than two classes, a class with fewer than two images, a layout without a usable
        split, or a value out of range.
    """
    if isinstance(dataset, AttributePairs):
        images = make_splits(
            dataset.parent, scheme=scheme, seed=seed, test_share=test_share, folds=folds
        )
        return _of_pairs(dataset, images)
    if scheme not in SCHEMES:
        raise unknown("split scheme", scheme, SCHEMES)
    where = dataset.root or dataset.name
    several = dataset.task != "single"
    present = _groups(dataset)
    if len(present) < 2 and not several:
        raise DataError(
            "folder with one class",
            where=where,
            expected="images of two or more classes",
            got=", ".join(present),
            fix="sort the images into one folder per class; a classifier needs two",
        )
    if scheme == "auto":
        scheme = _choose(dataset)
    if scheme == "layout":
        return SplitPlan(scheme, seed, (_layout_fold(dataset),))
    short = [name for name, ids in present.items() if len(ids) < 2]
    if short and not several:
        raise DataError(
            f"class {short[0]!r} has one image",
            where=where,
            expected="at least 2 of each class, one to train and one to test",
            fix="add images or remove the class",
        )
    if dataset.task == "vqa" and len(dataset.images) < 2:
        raise DataError(
            "all questions are about one image",
            where=where,
            expected="two images or more, one to train and one to test",
        )
    shuffled = {
        name: [ids[i] for i in rng("split", scheme, seed, name).permutation(len(ids))]
        for name, ids in present.items()
    }
    if scheme == "stratified":
        if not 0 < test_share < 1:
            raise DataError("bad test_share", expected="a number in (0, 1)", got=test_share)
        test = [
            sample
            for ids in shuffled.values()
            for sample in ids[: min(max(round(test_share * len(ids)), 1), len(ids) - 1)]
        ]
        return SplitPlan(scheme, seed, (_fold(dataset, 0, _samples(dataset, test)),))
    most = len(dataset.images)
    if not 2 <= folds <= most:
        raise DataError("bad number of folds", expected=f"2 to {most}", got=folds)
    tests: list[set[str]] = [set() for _ in range(folds)]
    dealt = 0  # dealing goes on where the last class stopped, which keeps the folds even
    for ids in shuffled.values():
        for sample in ids:
            tests[dealt % folds].add(sample)
            dealt += 1
    plan = (_fold(dataset, i, _samples(dataset, test)) for i, test in enumerate(tests))
    return SplitPlan(scheme, seed, tuple(plan))


def _groups(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return what is spread evenly: name -> ids (of images, where these are shared), each once."""
    if dataset.task == "vqa":
        return {"": tuple(dataset.images)}
    if dataset.task == "single":
        return {name: ids for name, ids in dataset.by_class.items() if ids}
    counts = np.array([len(ids) for ids in dataset.by_class.values()])
    names = [*dataset.class_names, ""]
    found: dict[str, list[str]] = {name: [] for name in names}
    for sample in dataset.ids:
        labels = dataset.labels_of(sample)
        rarest = int(np.where(labels, counts, len(dataset) + 1).argmin()) if labels.any() else -1
        found[names[rarest]].append(sample)
    for name in dataset.class_names:  # a group of one could not be on both sides
        if len(found[name]) == 1:
            found[""] += found.pop(name)
    return {name: tuple(ids) for name, ids in found.items() if ids}


def _samples(dataset: Dataset, chosen: Iterable[str]) -> set[str]:
    """Return the samples of the images that were chosen."""
    return {sample for image in chosen for sample in dataset.images[image]}


def _of_pairs(pairs: AttributePairs, images: SplitPlan) -> SplitPlan:
    """Return a plan of images as one of their pairs."""

    def of(ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(pair for image in ids for pair in pairs.pairs_of(image)))

    folds = tuple(Fold(fold.index, of(fold.train), of(fold.test)) for fold in images.folds)
    return SplitPlan(images.scheme, images.seed, folds)


def _fold(dataset: Dataset, index: int, test: set[str]) -> Fold:
    return Fold(
        index,
        train=tuple(sample for sample in dataset.ids if sample not in test),
        test=tuple(sample for sample in dataset.ids if sample in test),
    )


def _layout_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Count training and test images of every class (of all together, where classes overlap)."""
    several = dataset.task != "single"
    present = [""] if several else [name for name, ids in dataset.by_class.items() if ids]
    counts = {name: {"train": 0, "test": 0, "none": 0} for name in present}
    for record in dataset.records:
        split = "train" if record.layout_split == "val" else record.layout_split
        name = "" if several else dataset.class_of(record.id)
        counts[name][split or "none"] += 1
    return counts


def _choose(dataset: Dataset) -> str:
    counts = _layout_counts(dataset).values()
    if all(count["train"] and count["test"] and not count["none"] for count in counts):
        return "layout"
    if dataset.task != "single":
        return "stratified"
    masks = dict.fromkeys(dataset.class_names, 0)
    for record in dataset.records:
        masks[dataset.class_of(record.id)] += record.has_mask
    few = any(0 < count < FEW_MASKS for count in masks.values())
    return "kfold" if few else "stratified"


def _layout_fold(dataset: Dataset) -> Fold:
    for name, count in _layout_counts(dataset).items():
        of = f" of class {name!r}" if name else ""
        for split in ("train", "test"):
            if not count[split]:
                raise DataError(
                    f"the layout has no {split} image{of}",
                    where=dataset.root or dataset.name,
                    expected="train and test images of every class",
                    fix='use the split scheme "auto", "stratified" or "kfold"',
                )
        if count["none"]:
            raise DataError(
                f"the layout gives {count['none']} images{of} no split",
                where=dataset.root or dataset.name,
                fix='use the split scheme "auto", "stratified" or "kfold"',
            )
    return _fold(dataset, 0, {r.id for r in dataset.records if r.layout_split == "test"})
