"""Coffee leaves with biotic stress: photographs, leaf and symptom masks, the authors' split."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Problem
from xaieval.datasets.images import read_indexed
from xaieval.datasets.scan import (
    Found,
    assemble,
    entries,
    mask_without_image,
    missing_mask,
    need_folder,
)
from xaieval.errors import DataError

LEGEND = {2: "symptom", 1: "leaf"}
"""Palette index -> region. ``leaf`` is the leaf without its symptoms; 0 is background."""
HEALTHY, UNNAMED = "healthy", "unnamed_5"
SPLITS: Mapping[str, LayoutSplit] = {"train": "train", "val": "val", "test": "test"}
COLUMNS = ("id", "split", "label")


def detect(root: Path) -> bool:
    """Tell whether a folder is in this layout."""
    return (root / "segmentation.csv").is_file() and (root / "segmentation" / "images").is_dir()


def open_coffee_leaf(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open the segmentation part of the coffee leaves.

    Healthy leaves have a leaf region and an empty symptom region. The class ``unnamed_5``, whose
    meaning the source does not state, is left out unless ``include_unnamed`` is set.

    Raises
    ------
    DataError
        When the folder or its table is missing or not as it must be.
    """
    root = need_folder(path, "coffee-leaf")
    table = root / "segmentation.csv"
    images, masks = root / "segmentation" / "images", root / "segmentation" / "masks"
    problems: list[Problem] = []
    found: list[Found] = []
    listed: set[str] = set()
    for row in _rows(table):
        key, label = row["id"], row["label"]
        listed.add(key)
        if label == UNNAMED and not options["include_unnamed"]:
            continue
        image, mask = images / f"{key}.jpg", masks / f"{key}.png"
        split = SPLITS.get(row["split"])
        if split is None:
            what = f"unknown split {row['split']!r} of id {key}"
            problems.append(Problem(table, what, "write train, val or test"))
            continue
        if not image.exists():
            problems.append(Problem(image, "missing image", f"add it, or strike id {key}"))
            continue
        if not mask.exists():
            problems.append(missing_mask(image, mask))
            found.append(Found(image, label, split))
            continue
        found.append(
            Found(
                image,
                label,
                split,
                dict.fromkeys(LEGEND.values(), mask),
                partial(read_indexed, mask, LEGEND, image),
                label != HEALTHY,
            )
        )
    for image in entries(images):
        if image.stem not in listed:
            problems.append(Problem(image, f"image not listed in {table.name}", "add its line"))
    for mask in entries(masks):
        if not (images / f"{mask.stem}.jpg").exists():
            problems.append(mask_without_image(mask))
    return assemble(
        name="coffee-leaf",
        root=root,
        class_names=sorted({item.class_name for item in found}),
        region_names=LEGEND.values(),
        found=found,
        problems=problems,
        also=(table,),
    )


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            "cannot be read as a table", where=table, got=error, fix="check the path given"
        ) from error
    if not rows or any(row.get(column) is None for row in rows for column in COLUMNS):
        raise DataError(
            "not the table of this dataset",
            where=table,
            expected="columns " + ", ".join(COLUMNS) + " in every line",
            got=", ".join(map(str, rows[0])) if rows else "no line",
            fix="restore the file from its source",
        )
    return rows


SPEC = DatasetSpec(
    id="coffee-leaf",
    label="Coffee leaves",
    summary=(
        "Photographs of coffee leaves, healthy or with one of four stresses, with masks of leaf "
        "and symptom; split by its authors."
    ),
    layout=(
        "segmentation/images/ID.jpg, segmentation/masks/ID.png (palette index 1 leaf, 2 symptom), "
        "segmentation.csv with columns id, split, label"
    ),
    licence="MIT at the repository root; no separate licence for the images",
    source="https://github.com/esgario/lara2018 at a6c38b69, reduced to 512 x 256 pixels",
    size="500 images of 512 x 256 pixels with masks, 10.5 MB",
    opener=open_coffee_leaf,
    detect=detect,
    folder="coffee_leaf",
    options={"include_unnamed": False},
)
