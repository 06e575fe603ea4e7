"""What a dataset is: records that read lazily, problems met on opening, the spec of a layout."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xaieval.digest import digest
from xaieval.errors import DataError, unknown
from xaieval.types import Image, Mask, Sample, Task

LayoutSplit = Literal["train", "val", "test"]
Labels = npt.NDArray[np.bool_]
"""(n_classes,) bool: which of the classes an image has."""


@dataclass(frozen=True)
class Problem:
    """One faulty file or folder: where, what is wrong, what to do.

    ``left_out`` tells whether the dataset goes without the file (True) or keeps it all the same.
    """

    path: Path
    what: str
    fix: str
    left_out: bool = True

    def error(self) -> DataError:
        """Return the problem as the error that strict opening raises."""
        return DataError(self.what, where=self.path, fix=self.fix)

    def __str__(self) -> str:
        return str(self.error())


@dataclass(frozen=True, eq=False)
class Record:
    """One image of a dataset, known without reading its pixels.

    Attributes
    ----------
    id : str
        Path inside the dataset, POSIX, no extension, NFC, unique.
    label : int or bool (n_classes,) array
        Index into the dataset's ``class_names``; of a multi-label dataset, which of them it has.
    layout_split : "train", "val", "test" or None
        What the layout on disk says; None when it says nothing.
    has_mask : bool
        A mask of the default region (``region_names[0]``) exists and is expected to hold pixels.
        False for images without ground truth and for images whose ground truth is known to be
        empty (a good nut, a healthy leaf).
    read_image, read_regions : functions without arguments
        Return uint8 (H, W, 3) and {name: bool (H, W)}, all upright and of one size.
    meta : mapping
        Source file and whatever else is worth showing; plain values.
    extra : array or tuple of arrays, optional
        The network's second input, such as a question's word numbers.
    image_id : str
        The image that several samples share (questions about it); empty: nobody shares it.
    """

    id: str
    label: int | Labels
    layout_split: LayoutSplit | None
    has_mask: bool
    read_image: Callable[[], Image] = field(repr=False)
    read_regions: Callable[[], Mapping[str, Mask]] = field(repr=False, default=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    extra: Any = None
    image_id: str = ""

    def sample(self) -> Sample:
        """Return a fresh sample; nothing is read until it is asked for."""
        return Sample(
            id=self.id,
            label=self.label,
            read_image=self.read_image,
            read_regions=self.read_regions,
            meta=self.meta,
            extra=self.extra,
        )


class Dataset:
    """An opened dataset: ids, labels, class and region names, lazily read samples.

    Parameters
    ----------
    name : str
        Id of the spec that opened it.
    root : Path or None
        Folder on disk; None for procedural sets.
    class_names, region_names : tuple of str
        A record's ``label`` indexes ``class_names``; ``region_names[0]`` is the default region.
    records : iterable of Record
    fingerprint : function returning any value with a canonical form
        What ``digest`` covers beside ids and labels: file contents, or generator parameters.
    problems : tuple of Problem
        Faulty files, met on opening.
    task : "single", "multilabel" or "vqa"
        Whether an image is of one class, has any number of them (attributes), or comes with a
        question whose answer is the class; several samples then share an image.

    Raises
    ------
    DataError
        When there is no record, two records share an id, a label is out of range, or labels are
        not of the task's kind.
    """

    records: Sequence[Record]

    def __init__(
        self,
        *,
        name: str,
        root: Path | None,
        class_names: Iterable[str],
        region_names: Iterable[str],
        records: Iterable[Record],
        fingerprint: Callable[[], Any],
        problems: Iterable[Problem] = (),
        task: Task = "single",
    ) -> None:
        self.name, self.root, self.task = name, root, task
        self.class_names = tuple(class_names)
        self.region_names = tuple(region_names)
        self.records = tuple(sorted(records, key=lambda record: record.id))
        self.problems = tuple(problems)
        self._fingerprint = fingerprint
        self._by_id = {record.id: record for record in self.records}
        where = root or name
        if not self.records:
            raise DataError("no image in this dataset", where=where, fix="add images")
        if len(self._by_id) != len(self.records):
            raise DataError("two images share an id", where=where)
        self._check_labels(where)

    def _check_labels(self, where: str | Path) -> None:
        n = len(self.class_names)
        for record in self.records:
            label = record.label
            if self.task == "multilabel":
                fits = isinstance(label, np.ndarray) and label.dtype == bool and label.shape == (n,)
                expected = f"a bool array ({n},)"
            else:
                fits = isinstance(label, int | np.integer) and 0 <= label < n
                expected = f"0 to {n - 1}"
            if not fits:
                raise DataError(
                    "a label is no class", where=f"{where}: {record.id}", expected=expected
                )

    @property
    def ids(self) -> tuple[str, ...]:
        """Every sample id, in sorted order."""
        return tuple(self._by_id)

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self._by_id

    def __getitem__(self, sample_id: str) -> Sample:
        return self.record(sample_id).sample()

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {len(self)} images, classes {self.class_names}, "
            f"regions {self.region_names}, {len(self.problems)} problems)"
        )

    def record(self, sample_id: str) -> Record:
        """Return the record of an id; an unknown id is a DataError with the nearest one."""
        found = self._by_id.get(sample_id)
        if found is None:
            raise self._no_image(sample_id)
        return found

    def _no_image(self, sample_id: str) -> DataError:
        close = difflib.get_close_matches(str(sample_id), self.ids, n=1, cutoff=0.5)
        return DataError(
            f"no image {sample_id!r}",
            where=self.root or self.name,
            got=f"{len(self)} others",
            fix=f"did you mean {close[0]!r}?" if close else None,
        )

    def label_of(self, sample_id: str) -> int:
        """Return the class index of an id.

        Raises
        ------
        DataError
            For an unknown id, and where images have several labels.
        """
        label = self.record(sample_id).label
        if isinstance(label, np.ndarray):
            raise DataError(
                "images of this dataset have several labels",
                where=f"{self.root or self.name}: {sample_id}",
                fix="ask labels_of for all of them, or open the pairs of image and attribute: "
                "AttributePairs(dataset)",
            )
        return int(label)

    def labels_of(self, sample_id: str) -> Labels:
        """Return which classes an id has, bool (n_classes,); one of them in a single-label set."""
        label = self.record(sample_id).label
        if isinstance(label, np.ndarray):
            return label
        found = np.zeros(len(self.class_names), bool)
        found[label] = True
        return found

    def class_of(self, sample_id: str) -> str:
        """Return the class name of an id."""
        return self.class_names[self.label_of(sample_id)]

    @cached_property
    def by_class(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of each class, in the order of ``class_names``; a class may be empty.

        In a multi-label dataset an id stands under every attribute that it has.
        """
        ids: dict[str, list[str]] = {name: [] for name in self.class_names}
        for record in self.records:
            label = record.label
            for index in np.flatnonzero(label) if isinstance(label, np.ndarray) else (label,):
                ids[self.class_names[index]].append(record.id)
        return MappingProxyType({name: tuple(found) for name, found in ids.items()})

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the samples of each image; where no image is shared, of one each."""
        ids: dict[str, list[str]] = {}
        for record in self.records:
            ids.setdefault(record.image_id or record.id, []).append(record.id)
        return MappingProxyType({image: tuple(found) for image, found in ids.items()})

    @cached_property
    def digest(self) -> str:
        """sha256 over ids, labels, splits, names and contents; files are read on first use."""
        if self.task == "multilabel":  # one table of labels: 30,000 small ones take seconds
            rows = [(record.id, record.layout_split) for record in self.records]
            labels = np.stack([self.labels_of(record.id) for record in self.records])
            known: tuple[Any, ...] = (rows, self.task, labels)
        else:
            known = ([(record.id, record.label, record.layout_split) for record in self.records],)
        return digest(self.class_names, self.region_names, *known, self._fingerprint())


@dataclass(frozen=True)
class Download:
    """How a dataset is fetched: one list of files, each with size and sha256.

    ``manifest`` names a JSON file among the packaged datasets; ``base_url`` is where its relative
    paths start; ``folder`` is the dataset's folder name under ``XAIEVAL_DATA``.
    """

    manifest: str
    base_url: str
    attribution: str


@dataclass(frozen=True)
class DatasetSpec:
    """One row of the table of datasets.

    Attributes
    ----------
    layout : str
        The folder it expects, in a line or two.
    licence, source, size : str
        As the source states them; size in images and bytes, for people.
    options : mapping name -> default
        What ``open`` takes; anything else is an error with a suggestion.
    folder : str or None
        Its folder name under the environment variable ``XAIEVAL_DATA``.
    standalone : bool
        Where its folder is nowhere, ``open`` gets None and makes the images itself.
    """

    id: str
    label: str
    summary: str
    layout: str
    licence: str
    source: str
    size: str
    opener: Callable[[Path | None, Mapping[str, Any]], Dataset] = field(repr=False)
    detect: Callable[[Path], bool] = field(repr=False)
    task: Task = "single"
    download: Download | None = None
    builtin: bool = False
    folder: str | None = None
    standalone: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self, path: Path | None, options: Mapping[str, Any] | None = None) -> Dataset:
        """Open the dataset at ``path`` (None for built-in ones) with every option filled in.

        Raises
        ------
        ConfigError
            For an unknown option.
        DataError
            When nothing usable is there.
        """
        for key in options or {}:
            if key not in self.options:
                raise unknown(f"option of dataset {self.id}", key, self.options)
        return self.opener(path, {**self.options, **(options or {})})
