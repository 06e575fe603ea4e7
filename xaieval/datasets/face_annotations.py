"""The text files beside CelebA and CelebAMask-HQ: attributes, mapping, partition, pose, landmarks.

All are lines of words apart by any number of blanks. A file that cannot be its kind raises a
DataError; a faulty line becomes a ``Problem`` and is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from xaieval.datasets.base import LayoutSplit, Problem
from xaieval.datasets.face_options import FaceOptions
from xaieval.errors import DataError

Value = TypeVar("Value")
NAMED = 20
"""So many faulty entries of one kind are named one by one; more become one problem."""
PARTITION: Mapping[str, LayoutSplit] = {"0": "train", "1": "val", "2": "test"}
"""Codes of ``list_eval_partition.txt``."""
LAST_TRAIN, LAST_VAL = 162_770, 182_637
"""CelebA's partition goes by number: the last training and the last validation image."""
LANDMARKS = 10
"""Numbers in a line of landmarks: x and y of the eyes, the nose and the corners of the mouth."""


@dataclass(frozen=True, eq=False)
class Attributes:
    """An attribute file.

    Attributes
    ----------
    names : tuple of str
    values : bool (n_rows, n_names)
    rows : mapping image file name -> row of ``values``
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.bool_]
    rows: Mapping[str, int]


def read_attributes(path: Path) -> tuple[Attributes, list[Problem]]:
    """Read an attribute file: a count, the names, then ``<file> ±1 ±1 …`` per image.

    Raises
    ------
    DataError
        When the file cannot be read, or its first two lines are no count and names.
    """
    lines, count = _counted(path, "attribute names")
    names = tuple(lines[1].split())
    rows: dict[str, int] = {}
    values: list[list[bool]] = []
    problems = []
    for number, line in enumerate(lines[2:], 3):
        file, *words = line.split()
        if len(words) != len(names):
            what = f"line {number} ({file}) has {len(words)} values for {len(names)} attributes"
            problems.append(Problem(path, what, "restore the line"))
        elif not {"1", "-1"}.issuperset(words):
            odd = next(word for word in words if word not in ("1", "-1"))
            what = f"line {number} ({file}) has the value {odd!r}"
            problems.append(Problem(path, what, "write 1 or -1"))
        elif file in rows:
            problems.append(
                Problem(path, f"line {number}: {file} for the second time", "strike one of the two")
            )
        else:
            rows[file] = len(values)
            values.append([word == "1" for word in words])
    if count != len(lines) - 2:
        what = f"the first line says {count} images, there are {len(lines) - 2} lines"
        problems.append(Problem(path, what, "restore the file", left_out=False))
    table = np.array(values, np.bool_).reshape(-1, len(names))
    return Attributes(names, table, rows), problems


def read_landmarks(path: Path) -> tuple[dict[str, tuple[int, ...]], list[Problem]]:
    """Read CelebA's aligned landmarks: file name -> x and y of five points (px).

    Raises
    ------
    DataError
        As ``read_attributes``.
    """
    lines, _ = _counted(path, "names of the coordinates")
    return _numbers(path, lines[2:], LANDMARKS, first=3)


def read_pose(path: Path) -> tuple[dict[str, tuple[float, ...]], list[Problem]]:
    """Read the pose file: file name -> (yaw, pitch, roll) in degrees; header lines are passed over.

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    lines = _lines(path)
    start = next((k for k, line in enumerate(lines) if _is_row(line)), len(lines))
    found: dict[str, tuple[float, ...]] = {}
    problems = []
    for number, line in enumerate(lines[start:], start + 1):
        file, *words = line.split()
        try:
            yaw, pitch, roll = map(float, words)
        except ValueError:
            problems.append(
                Problem(path, f"line {number} is no pose: {line[:60]!r}", "restore the line")
            )
            continue
        found[file] = (yaw, pitch, roll)
    return found, problems


def read_mapping(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Read ``CelebA-HQ-to-CelebA-mapping.txt``: CelebA-HQ file name -> CelebA file name.

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    found = {}
    problems = []
    for number, line in enumerate(_lines(path), 1):
        words = line.split()
        if words[0] == "idx":
            continue
        if len(words) != 3 or not words[0].isdecimal():
            problems.append(
                Problem(path, f"line {number} is no mapping: {line[:60]!r}", "restore the line")
            )
            continue
        found[f"{words[0]}.jpg"] = words[2]
    return found, problems


def read_partition(path: Path) -> tuple[dict[str, LayoutSplit], list[Problem]]:
    """Read ``list_eval_partition.txt``: CelebA file name -> "train", "val" or "test".

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    found: dict[str, LayoutSplit] = {}
    problems = []
    for number, line in enumerate(_lines(path), 1):
        words = line.split()
        if len(words) != 2 or words[1] not in PARTITION:
            what = f"line {number} gives no partition: {line[:60]!r}"
            problems.append(Problem(path, what, "write 0 (train), 1 (val) or 2 (test)"))
            continue
        found[words[0]] = PARTITION[words[1]]
    return found, problems


def published_partition(file: str) -> LayoutSplit | None:
    """Return where CelebA's authors put an image, which goes by its number; None for other names.

    >>> [published_partition(f"{n:06d}.jpg") for n in (162770, 162771, 182638)]
    ['train', 'val', 'test']
    """
    stem = file.rpartition(".")[0]
    if not stem.isdecimal():
        return None
    number = int(stem)
    return "train" if number <= LAST_TRAIN else "val" if number <= LAST_VAL else "test"


def labelled(
    files: Sequence[str], path: Path, folder: Path, options: FaceOptions
) -> tuple[list[int], tuple[str, ...], npt.NDArray[np.bool_] | None, list[Problem]]:
    """Return the places of the images that have a row, the attributes' names and values.

    Without labels every image is kept, and there are no values.

    Raises
    ------
    DataError
        When there is no attribute file, or it is none.
    """
    if options.labels == "none":
        return list(range(len(files))), (), None, []
    if not path.is_file():
        raise DataError(
            f"no attribute file {path.name}",
            where=path.parent,
            expected="the labels of the images",
            fix='restore it, or set labels = "none" to look at faces without labels',
        )
    attributes, problems = read_attributes(path)
    kept = [place for place, file in enumerate(files) if file in attributes.rows]
    known = set(files)
    bare = [file for file in files if file not in attributes.rows]
    gone = [file for file in attributes.rows if file not in known]
    problems += several(folder, f"image without a line in {path.name}", bare, "add its line")
    problems += several(path, f"line without image in {folder.name}", gone, "add it, or strike it")
    values = attributes.values[[attributes.rows[files[place]] for place in kept]]
    return kept, attributes.names, values, problems


def optional(
    path: Path, reader: Callable[[Path], tuple[dict[str, Value], list[Problem]]]
) -> tuple[dict[str, Value], list[Problem]]:
    """Read a file that a set can go without; its absence is a problem all the same."""
    try:
        return reader(path)
    except DataError as error:
        what = error.what if error.got is None else f"{error.what} ({error.got})"
        return {}, [Problem(path, what, error.fix or "restore it", left_out=False)]


def several(
    path: Path, what: str, names: Sequence[str], fix: str, *, left_out: bool = True
) -> list[Problem]:
    """Return a problem per name where these are few, else one that counts them."""
    if len(names) <= NAMED:
        return [Problem(path, f"{what}: {name}", fix, left_out) for name in names]
    shown = ", ".join(names[:3])
    return [Problem(path, f"{what}, {len(names)} times: {shown}, …", fix, left_out)]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("no such file", where=path, fix="restore it from its source") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read as text", where=path, got=error) from error
    return [line for line in text.splitlines() if line.strip()]


def _counted(path: Path, second: str) -> tuple[list[str], int]:
    lines = _lines(path)
    first = lines[0].strip() if lines else ""
    if len(lines) < 2 or not first.isdecimal():
        raise DataError(
            "not a file of this kind",
            where=path,
            expected=f"the number of images in the first line, {second} in the second",
            got=repr(first[:60]) if lines else "an empty file",
            fix="restore it from its source",
        )
    return lines, int(first)


def _is_row(line: str) -> bool:
    return "." in line.split()[0]


def _numbers(
    path: Path, lines: Sequence[str], n: int, *, first: int
) -> tuple[dict[str, tuple[int, ...]], list[Problem]]:
    found: dict[str, tuple[int, ...]] = {}
    problems = []
    for number, line in enumerate(lines, first):
        file, *words = line.split()
        try:
            values = tuple(map(int, words))
        except ValueError:
            values = ()
        if len(values) != n:
            problems.append(
                Problem(
                    path, f"line {number} ({file}) is not {n} whole numbers", "restore the line"
                )
            )
            continue
        found[file] = values
    return found, problems
