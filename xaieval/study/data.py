"""The images of a study: where they lie, how they are split, which of them are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xaieval.digest import digest
from xaieval.errors import ConfigError, unknown
from xaieval.study.config import Study

if TYPE_CHECKING:
    from xaieval.datasets import Dataset, SplitPlan


def data_path(study: Study, path: str | Path | None = None) -> Path | None:
    """Return the folder to read: the one given, else the study's own (relative to its file)."""
    if path is not None:
        return Path(path)
    if study.data.path is None:
        return None
    home = study.source.parent if study.source else Path()
    return home / Path(study.data.path).expanduser()


def open_study_data(
    study: Study, path: str | Path | None = None, *, strict: bool = False
) -> Dataset:
    """Open a study's dataset.

    Raises
    ------
    DataError
        When it is not there; with ``strict``, for the first faulty file.
    """
    from xaieval.datasets import open_dataset

    return open_dataset(
        study.data.name,
        data_path(study, path),
        options=dict(study.data.options),
        strict=strict or study.run.strict,
    )


def explained_data(study: Study, dataset: Dataset) -> Dataset:
    """Return what is explained and scored: the images, or pairs of image and attribute.

    Of a multi-label dataset these are the pairs of ``[data] attributes``
    (``datasets.AttributePairs``), and the class explained is the pair's attribute, whether the
    study's target says "label" or "predicted": the network's answer is about that attribute.

    Raises
    ------
    ConfigError
        For attributes of a dataset that has none, an unknown attribute, or a fixed class as
        target where the classes are attributes.
    """
    from xaieval.datasets import AttributePairs

    if dataset.task != "multilabel":
        if study.data.attributes:
            raise ConfigError(
                "this dataset has classes, not attributes",
                where="[data] attributes",
                got=dataset.name,
                fix="name classes in [data.filters] classes",
            )
        return dataset
    if isinstance(study.explain.target, int):
        raise ConfigError(
            "pairs of image and attribute explain their own attribute",
            where="[explain] target",
            expected="'label'",
            got=study.explain.target,
            fix=f"name {dataset.class_names[study.explain.target]!r} in [data] attributes"
            if 0 <= study.explain.target < len(dataset.class_names)
            else None,
        )
    return AttributePairs(dataset, attributes=study.data.attributes)


def explained_target(study: Study, dataset: Dataset) -> str | int:
    """Return which class is explained of what ``explained_data`` returned."""
    from xaieval.datasets import AttributePairs

    return "label" if isinstance(dataset, AttributePairs) else study.explain.target


def study_splits(study: Study, dataset: Dataset) -> SplitPlan:
    """Return the folds that a study trains and scores on; pairs go where their image goes."""
    from xaieval.datasets import make_splits

    data = study.data
    return make_splits(
        dataset,
        scheme=data.split_scheme,
        seed=data.split_seed,
        test_share=data.test_share,
        folds=data.folds,
    )


@dataclass(frozen=True)
class Population:
    """The images of one fold that are explained and scored, sorted, each with its role."""

    fold: int
    roles: dict[str, str]


def populations(study: Study, dataset: Dataset, plan: SplitPlan) -> Iterator[Population]:
    """Yield what is scored of each fold; ``dataset`` and ``plan`` may be those of pairs.

    With several folds only the images that a fold's model did not train on, so that every image
    is scored once, out of fold; else those of ``[run] splits``. Filters are applied last.

    Raises
    ------
    ConfigError
        When a filter names a class that the dataset lacks.
    """
    filters = study.data.filters
    for name in filters.classes:
        if name not in dataset.class_names:
            raise unknown("class", name, dataset.class_names, where="[data] filters classes")
    splits = ("test",) if len(plan.folds) > 1 else study.run.splits
    for fold in plan.folds:
        roles: dict[str, str] = {}
        for role, ids in (("train", fold.train), ("test", fold.test)):
            if role in splits:
                roles.update(dict.fromkeys(_filtered(study, dataset, ids), role))
        yield Population(fold.index, dict(sorted(roles.items())))


def _filtered(study: Study, dataset: Dataset, ids: tuple[str, ...]) -> list[str]:
    filters = study.data.filters
    if filters.images is not None:
        ids = _of_images(dataset, ids, filters.images)
    kept: dict[str, list[str]] = {}
    for sample in ids:
        name = dataset.class_names[dataset.label_of(sample)]
        if not filters.classes or name in filters.classes:
            kept.setdefault(name, []).append(sample)
    if filters.per_class is None:
        return [sample for samples in kept.values() for sample in samples]
    return [
        sample
        for samples in kept.values()
        for sample in sorted(samples, key=lambda it: digest("filter", it))[: filters.per_class]
    ]


def _of_images(dataset: Dataset, ids: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return the samples of at most so many images; the fewer are among the more."""
    from xaieval.datasets import AttributePairs

    pairs = dataset if isinstance(dataset, AttributePairs) else None
    image = {sample: pairs.image_of(sample)[0] if pairs else sample for sample in ids}
    chosen = set(sorted(set(image.values()), key=lambda it: digest("filter", it))[:count])
    return tuple(sample for sample in ids if image[sample] in chosen)
