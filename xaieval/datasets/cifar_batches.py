"""The published archives of CIFAR: pickled batches of rows, read as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from xaieval.datasets.base import Dataset, LayoutSplit, Problem, Record
from xaieval.datasets.plain_pickle import RefusedPickle, read_plain_pickle
from xaieval.datasets.scan import NothingUsable, as_problem
from xaieval.digest import digest_file
from xaieval.errors import DataError
from xaieval.types import Image

SIDE = 32
"""Height and width in px."""
TEN = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
"""CIFAR-10's classes in the order of its labels, as ``batches.meta`` has them."""


@dataclass(frozen=True)
class Batches:
    """How one of the two sets lies in its archive."""

    id: str
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels: bytes
    names: bytes
    coarse: tuple[bytes, bytes] | None = None

    @property
    def files(self) -> tuple[tuple[str, LayoutSplit], ...]:
        return (*((name, "train") for name in self.train), (self.test, "test"))

    def home(self, root: Path) -> Path | None:
        """Return the folder of the batches: this one, or the archive's folder in it."""
        for folder in (root, root / self.folder):
            if any((folder / name).is_file() for name, _ in self.files):
                return folder
        return None


CIFAR10 = Batches(
    id="cifar10",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    labels=b"labels",
    names=b"label_names",
)
CIFAR100 = Batches(
    id="cifar100",
    folder="cifar-100-python",
    train=("train",),
    test="test",
    meta="meta",
    labels=b"fine_labels",
    names=b"fine_label_names",
    coarse=(b"coarse_labels", b"coarse_label_names"),
)


@dataclass(frozen=True, eq=False)
class Batch:
    """One file of pictures: rows of 3072 bytes (red, green, blue planes), labels, names."""

    pixels: npt.NDArray[np.uint8]
    labels: Sequence[int]
    coarse: Sequence[int] | None
    names: Sequence[str]


def read_batch(path: Path, kind: Batches) -> Batch:
    """Read a batch; its pixels are kept in memory while they are in use.

    Raises
    ------
    DataError
        When the file is missing, damaged, or no batch of this set.
    RefusedPickle
        When it names code to run.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise DataError("cannot be read", where=path, got=error.strerror) from error
    return _read(path, kind, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=6)  # the six files of CIFAR-10 are 184 MB; a file that changes is read anew
def _read(path: Path, kind: Batches, mtime_ns: int, size: int) -> Batch:
    raw = _table(path)
    pixels, labels = raw.get(b"data"), raw.get(kind.labels)
    wanted = f"data uint8 (n, {3 * SIDE * SIDE}) and n {kind.labels.decode()}"
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != 3 * SIDE**2:
        got = pixels.shape if isinstance(pixels, np.ndarray) else sorted(map(_text, raw))
        raise DataError(f"no batch of {kind.id}", where=path, expected=wanted, got=got)
    n = len(pixels)
    coarse = raw.get(kind.coarse[0]) if kind.coarse else None
    coarse = coarse if _are_labels(coarse, n) else None
    if not _are_labels(labels, n):
        got = f"{len(labels)} labels" if isinstance(labels, list) else sorted(map(_text, raw))
        raise DataError(f"no batch of {kind.id}", where=path, expected=wanted, got=got)
    names = raw.get(b"filenames", [])
    names = [_text(name) for name in names] if isinstance(names, list) else []
    return Batch(pixels, labels, coarse, names if len(names) == n else [""] * n)


def _are_labels(values: Any, count: int) -> TypeGuard[list[int]]:
    if not isinstance(values, list) or len(values) != count:
        return False
    return all(isinstance(value, int) and value >= 0 for value in values)


def _table(path: Path) -> dict[bytes, Any]:
    value = read_plain_pickle(path)
    if not isinstance(value, dict):
        raise DataError("not a table", where=path, expected="a dict", got=type(value).__name__)
    return {key.encode() if isinstance(key, str) else key: v for key, v in value.items()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _image(path: Path, kind: Batches, row: int) -> Image:
    planes = read_batch(path, kind).pixels[row].reshape(3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _class_names(path: Path, key: bytes) -> tuple[str, ...]:
    names = _table(path).get(key)
    if not isinstance(names, list) or not names:
        raise DataError("no class names", where=path, expected=f"a list {key.decode()}")
    return tuple(map(_text, names))


def open_batches(root: Path, home: Path, kind: Batches) -> Dataset:
    """Open the batches in ``home``, a folder in or at ``root``; faulty ones are left out.

    Raises
    ------
    RefusedPickle
        When a file names code to run.
    DataError
        When no batch is usable, or CIFAR-100's class names are missing.
    """
    problems: list[Problem] = []
    batches: list[tuple[Path, LayoutSplit, Batch]] = []
    for name, split in kind.files:
        file = home / name
        try:
            batches.append((file, split, read_batch(file, kind)))
        except RefusedPickle:
            raise
        except DataError as error:
            problems.append(as_problem(error, file))
    meta = home / kind.meta
    try:
        classes = _class_names(meta, kind.names)
        coarse = _class_names(meta, kind.coarse[1]) if kind.coarse else ()
    except RefusedPickle:
        raise
    except DataError as error:
        if kind is not CIFAR10:
            raise
        problems.append(as_problem(error, meta))
        classes, coarse = TEN, ()
    for file, _, batch in list(batches):
        if max(batch.labels, default=0) >= len(classes):
            what = f"label {max(batch.labels)} of {len(classes)} classes"
            problems.append(Problem(file, what, f"check {kind.meta}"))
    bad = {problem.path for problem in problems}
    usable = [item for item in batches if item[0] not in bad and item[2].labels]
    if not usable:
        raise NothingUsable(problems)
    files = [file for file, _, _ in usable] + ([] if meta in bad else [meta])
    return Dataset(
        name=kind.id,
        root=root,
        class_names=classes,
        region_names=(),
        records=_records(root, usable, kind, coarse),
        fingerprint=lambda: [(file.name, digest_file(file)) for file in files],
        problems=problems,
    )


def _records(
    root: Path,
    batches: Sequence[tuple[Path, LayoutSplit, Batch]],
    kind: Batches,
    coarse: Sequence[str],
) -> Iterator[Record]:
    """Yield the pictures; an id is the batch's name and the row in it."""
    for file, split, batch in batches:
        for row, label in enumerate(batch.labels):
            meta: dict[str, Any] = {"batch": file.relative_to(root).as_posix(), "row": row}
            if batch.names[row]:
                meta["name"] = batch.names[row]
            if batch.coarse is not None and batch.coarse[row] < len(coarse):
                meta["coarse"] = coarse[batch.coarse[row]]
            yield Record(
                id=f"{file.name}/{row:05d}",
                label=label,
                layout_split=split,
                has_mask=False,
                read_image=partial(_image, file, kind, row),
                meta=meta,
            )
