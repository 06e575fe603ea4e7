"""Is a folder in order? Every faulty file by name, every pixel decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xaieval.datasets.base import Dataset, Problem, Record
from xaieval.datasets.catalogue import DATASETS, detect_layout
from xaieval.datasets.images import verify
from xaieval.datasets.scan import NothingUsable, as_problem
from xaieval.errors import DataError

NO_DEFECT = ("good", "healthy", "none", "normal", "ok")
"""Classes whose masks may be empty."""


def check(path: str | Path, name: str | None = None) -> list[Problem]:
    """Return every problem of a folder, sorted by file; an empty list means that all is well.

    Reads all of it: each image and mask is decoded, and checksums inside the files are verified.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        Id of the layout to hold it against; without it, it is detected.

    Raises
    ------
    ConfigError
        For an unknown id.
    """
    root = Path(path).expanduser()
    try:
        spec = DATASETS[detect_layout(root) if name is None else name]
        dataset = spec.open(None if spec.builtin else root)
    except NothingUsable as error:
        return sorted(error.problems, key=lambda problem: problem.path)
    except DataError as error:
        return [as_problem(error, root)]
    root = dataset.root or root  # a folder named by its parent
    problems = [*dataset.problems, *_dataset_problems(dataset, root)]
    for record in dataset.records:
        problems += _record_problems(dataset, record, root)
    once = {(problem.path, problem.what): problem for problem in problems}
    return sorted(once.values(), key=lambda problem: (problem.path, problem.what))


def _dataset_problems(dataset: Dataset, root: Path) -> Iterator[Problem]:
    if dataset.task == "multilabel":
        return  # parts may be missing under any attribute; that says nothing
    if sum(1 for ids in dataset.by_class.values() if ids) < 2:
        yield Problem(
            root,
            f"folder with one class ({dataset.class_names[0]})",
            "sort the images into one folder per class; a classifier needs two",
            left_out=False,
        )
    for class_name, ids in dataset.by_class.items():
        bare = [sample for sample in ids if not dataset.record(sample).has_mask]
        if len(bare) == len(ids) or class_name.lower() in NO_DEFECT:
            continue
        for record in map(dataset.record, bare):
            yield Problem(
                root / record.meta["file"] if "file" in record.meta else root,
                "missing mask",
                f"other images of class {class_name!r} have one of region "
                f"{dataset.region_names[0]!r}: add it, or leave it if none was drawn",
                left_out=False,
            )


def _record_problems(dataset: Dataset, record: Record, root: Path) -> Iterator[Problem]:
    image = root / record.meta["file"] if "file" in record.meta else root
    masks = {region: root / file for region, file in record.meta.get("mask_files", {}).items()}
    for file in dict.fromkeys((image, *masks.values())):
        try:
            if file.is_file():
                verify(file)
        except DataError as error:
            yield as_problem(error, file)
            return
    sample = record.sample()
    try:
        _ = sample.image
        regions = sample.regions
    except DataError as error:
        yield as_problem(error, image)
        return
    if isinstance(record.label, np.ndarray):
        kind, expected = "image", record.has_mask
    else:
        name = dataset.class_names[record.label]
        kind = f"image of class {name!r}"
        expected = record.has_mask and name.lower() not in NO_DEFECT
    default = dataset.region_names[0] if dataset.region_names else ""
    if expected and default in regions and not regions[default].any():
        yield Problem(
            masks.get(default, image),
            f"empty mask: no pixel of region {default!r} in an {kind}",
            "draw the region, or remove the mask",
            left_out=False,
        )
