"""CIFAR-10 and CIFAR-100: the published Python batches, or pictures in folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Problem
from xaieval.datasets.cifar_batches import CIFAR10, CIFAR100, TEN, Batches, open_batches
from xaieval.datasets.scan import (
    Found,
    assemble,
    class_folders,
    entries,
    images_in,
    need_folder,
    nfc,
)
from xaieval.errors import DataError

SPLITS: Mapping[str, LayoutSplit] = {"train": "train", "val": "val", "test": "test"}
TABLE = "labels.csv"


def open_cifar(path: Path | None, options: Mapping[str, Any], *, kind: Batches) -> Dataset:
    """Open CIFAR-10 or CIFAR-100.

    Three forms, told apart by what is there: the archive of Python batches; ``train/<class>/*``
    and ``test/<class>/*``; ``images/*`` with ``labels.csv`` (columns file, label). Batches are
    read as plain data: no code in them runs, and a file that names any is refused. There are no
    regions.

    Raises
    ------
    RefusedPickle
        When a batch names code to run.
    DataError
        When nothing usable is there.
    """
    root = need_folder(path, kind.id)
    home = kind.home(root)
    if home is not None:
        return open_batches(root, home, kind)
    if (root / TABLE).is_file() and (root / "images").is_dir():
        found, problems = _listed(root)
        also = [root / TABLE]
    else:
        found, problems = list(_foldered(root)), []
        also = []
    if not found and not problems:
        raise DataError(
            f"no {kind.id} here",
            where=root,
            expected=f"{', '.join(name for name, _ in kind.files)}; or train/<class>/ and "
            f"test/<class>/; or images/ and {TABLE}",
            fix="name the folder of the unpacked archive with --data",
        )
    present = {item.class_name for item in found}
    ten = kind is CIFAR10 and present <= set(TEN)
    return assemble(
        name=kind.id,
        root=root,
        class_names=TEN if ten else sorted(present),
        region_names=(),
        found=found,
        problems=problems,
        also=also,
    )


def _foldered(root: Path) -> Iterator[Found]:
    for name, split in SPLITS.items():
        for folder in class_folders(root / name):
            for image in images_in(folder):
                yield Found(image, nfc(folder.name), split)


def _listed(root: Path) -> tuple[list[Found], list[Problem]]:
    """Return the images of ``labels.csv``; its columns ``file`` and ``label`` are read."""
    table, images = root / TABLE, root / "images"
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot be read as a table", where=table, got=error) from error
    if not rows or any(not row.get(column) for row in rows for column in ("file", "label")):
        raise DataError(
            "not a table of labels",
            where=table,
            expected="columns file and label in every line",
            got=", ".join(map(str, rows[0])) if rows else "no line",
        )
    found, problems = [], []
    listed = {nfc(row["file"]): row for row in rows}
    for name, row in listed.items():
        if (images / name).exists():
            split = SPLITS.get(row.get("split") or "")
            found.append(Found(images / name, nfc(row["label"]), split))
        else:
            problems.append(Problem(images / name, "missing image", f"add it, or strike {name}"))
    for image in entries(images):
        if nfc(image.name) not in listed:
            problems.append(Problem(image, f"image not listed in {TABLE}", "add its line"))
    return found, problems


def detect(root: Path, *, kind: Batches) -> bool:
    """Tell whether a folder holds this set; folders of images only by CIFAR-10's class names."""
    home = kind.home(root)
    if home is not None and (kind is CIFAR10 or (home / kind.meta).is_file()):
        return True
    if kind is not CIFAR10:
        return False
    folders = [f for name in ("train", "test") for f in class_folders(root / name)]
    if folders and not (root / "ground_truth").exists():
        return {nfc(folder.name) for folder in folders} <= set(TEN)
    try:
        found, _ = _listed(root)
    except DataError:
        return False
    return bool(found) and {item.class_name for item in found} <= set(TEN)


_LICENCE = "none stated by its authors, who ask to be cited (Krizhevsky 2009)"
_SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"
CIFAR10_SPEC = DatasetSpec(
    id="cifar10",
    label="CIFAR-10",
    summary="60,000 pictures of ten kinds of animals and vehicles, 32 x 32 px; no masks",
    layout=(
        "cifar-10-batches-py/{data_batch_1…5, test_batch, batches.meta}; or train/<class>/*.png "
        "and test/<class>/*.png; or images/* and labels.csv"
    ),
    licence=_LICENCE,
    source=_SOURCE,
    size="60,000 images of 32 x 32 pixels, 186 MB",
    opener=partial(open_cifar, kind=CIFAR10),
    detect=partial(detect, kind=CIFAR10),
    folder="cifar10_sample",
)
CIFAR100_SPEC = DatasetSpec(
    id="cifar100",
    label="CIFAR-100",
    summary="60,000 pictures of a hundred classes, 32 x 32 px; no masks",
    layout=(
        "cifar-100-python/{train, test, meta}; or train/<class>/*.png and test/<class>/*.png; "
        "or images/* and labels.csv"
    ),
    licence=_LICENCE,
    source=_SOURCE,
    size="60,000 images of 32 x 32 pixels, 186 MB",
    opener=partial(open_cifar, kind=CIFAR100),
    detect=partial(detect, kind=CIFAR100),
    folder="cifar100",
)
