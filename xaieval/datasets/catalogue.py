"""The table of datasets, where each is expected on this machine, and how one is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from xaieval.datasets import (
    celeba,
    celebamask_hq,
    cifar,
    coffee_leaf,
    decoy_mnist,
    folder,
    imagenet_boxes,
    mvtec,
    sort_of_clevr,
    synthetic_faces,
    synthetic_hazelnut,
)
from xaieval.datasets.base import Dataset, DatasetSpec
from xaieval.errors import ConfigError, DataError
from xaieval.table import Table

DATA_VARIABLE = "XAIEVAL_DATA"
"""Environment variable: a folder that holds datasets under their ``folder`` names."""

DATASETS: Table[DatasetSpec] = Table(
    "dataset",
    (
        synthetic_hazelnut.SPEC,
        synthetic_faces.SPEC,
        sort_of_clevr.SPEC,
        mvtec.HAZELNUT_TOY,
        coffee_leaf.SPEC,
        celebamask_hq.SPEC,
        celeba.SPEC,
        decoy_mnist.SPEC,
        cifar.CIFAR10_SPEC,
        cifar.CIFAR100_SPEC,
        imagenet_boxes.SPEC,
        mvtec.MVTEC,  # behind those that know their classes: it takes any names
        folder.SPEC,
    ),
    group="xaieval.datasets",
)


def open_dataset(
    name: str,
    path: str | Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Dataset:
    """Open a dataset by its id.

    No pixel is decoded: files are listed, headers read, samples load when asked for. A faulty file
    is left out and named in ``problems``.

    Parameters
    ----------
    name : str
        Id in ``DATASETS``.
    path : str or Path, optional
        Its folder. Without it: ``$XAIEVAL_DATA/<folder>`` where that exists, else the user's data
        folder, where ``xaieval data get`` puts it.
    options : mapping, optional
        Overrides of ``DATASETS[name].options``.
    strict : bool
        Raise the first problem instead of going on without the file.

    Raises
    ------
    ConfigError
        For an unknown id or option, or a path for a dataset that is built in.
    DataError
        When nothing usable is there; with ``strict``, for the first faulty file.
    """
    spec = DATASETS[name]
    if spec.builtin:
        if path is not None:
            raise ConfigError(f"{name} is built in", got=f"the path {path}", fix="give no path")
        where = None
    else:
        where = _found(spec) if path is None else Path(path).expanduser()
    dataset = spec.open(where, options)
    if strict and dataset.problems:
        raise dataset.problems[0].error()
    return dataset


def home(spec: DatasetSpec) -> Path:
    """Return the folder in the user's data folder where a fetched dataset is put."""
    return Path(platformdirs.user_data_dir("xaieval")) / "datasets" / spec.id


def locate(spec: DatasetSpec) -> Path:
    """Return the folder of a dataset for which no path was given.

    Raises
    ------
    DataError
        When it is in neither of the expected places.
    """
    places = [home(spec)]
    shared = os.environ.get(DATA_VARIABLE)
    if shared and spec.folder:
        places.insert(0, Path(shared).expanduser() / spec.folder)
    for place in places:
        if place.is_dir():
            return place
    get = f"fetch it with 'xaieval data get {spec.id}', or " if spec.download else ""
    raise DataError(
        f"no data for {spec.id}",
        where=" or ".join(map(str, places)),
        fix=f"{get}name its folder with --data PATH",
    )


def _found(spec: DatasetSpec) -> Path | None:
    """Return the folder of a dataset; None where it has none and can do without."""
    try:
        return locate(spec)
    except DataError:
        if spec.standalone:
            return None
        raise


def detect_layout(path: str | Path) -> str:
    """Return the id of the dataset whose layout a folder has.

    Raises
    ------
    DataError
        When it has none of them.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError("no such folder", where=root, fix="check the path")
    for spec in DATASETS.values():
        if not spec.builtin and spec.detect(root):
            return spec.id
    raise DataError(
        "no known layout",
        where=root,
        expected="; or ".join(spec.layout for spec in DATASETS.values() if not spec.builtin),
        fix="sort the files into images/<class>/ and masks/<class>/",
    )
