"""What the layouts share: listing folders, and turning files found into a dataset."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from xaieval.datasets.base import Dataset, LayoutSplit, Problem, Record
from xaieval.datasets.images import (
    IMAGE_SUFFIXES,
    image_size,
    is_image_name,
    is_sideways,
    read_image,
)
from xaieval.digest import digest_file, sample_id
from xaieval.errors import DataError
from xaieval.types import Mask


@dataclass(frozen=True)
class Found:
    """An image on disk, its class, and the mask files that belong to it (region -> file)."""

    path: Path
    class_name: str
    split: LayoutSplit | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)
    read_regions: Callable[[], Mapping[str, Mask]] = dict
    has_mask: bool = False


class NothingUsable(DataError):
    """Every image of a folder is faulty; says the first problem and keeps them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = len(self.problems) - 1
        what = (
            f"{first.what} (and {more} more problems: no image is usable)" if more else first.what
        )
        super().__init__(what, where=first.path, fix=first.fix)


def nfc(text: str) -> str:
    """Return a name in the one form in which names are compared (macOS stores another)."""
    return unicodedata.normalize("NFC", text)


def entries(folder: Path) -> list[Path]:
    """Return what a folder holds, hidden entries apart, sorted by name; nothing when absent."""
    if not folder.is_dir():
        return []
    inside = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(inside, key=lambda path: nfc(path.name))


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the images of a folder and of its subfolders.

    Folders named like an image are yielded too, so that they are reported and not passed over.
    """
    for path in entries(folder):
        if is_image_name(path):
            yield path
        elif path.is_dir():
            yield from images_in(path)


def class_folders(folder: Path) -> list[Path]:
    """Return the subfolders that stand for classes."""
    return [path for path in entries(folder) if path.is_dir() and not is_image_name(path)]


FETCHING = ".fetching"
"""A file that lies in a folder from the first byte fetched into it until the last file is whole."""


def need_folder(path: Path | None, name: str) -> Path:
    """Return the folder, or raise a DataError when it is not there or only half fetched."""
    if path is None or not path.is_dir():
        raise DataError(
            "no such folder",
            where=path or name,
            got="a file" if path is not None and path.exists() else None,
            fix="check the path given with --data",
        )
    if (path / FETCHING).exists():
        raise DataError(
            "fetched only in part", where=path, fix="run 'xaieval data get' again to go on"
        )
    return path


def assemble(
    *,
    name: str,
    root: Path,
    class_names: Iterable[str],
    region_names: Iterable[str],
    found: Iterable[Found],
    problems: Iterable[Problem] = (),
    also: Iterable[Path] = (),
) -> Dataset:
    """Return the dataset of the files found; faulty ones are left out, each with its problem.

    Headers are read, pixels are not. ``also`` names further files that the digest covers.

    Raises
    ------
    DataError
        When no image is left: the first problem, or that there are none.
    """
    classes = tuple(class_names)
    faulty = list(problems)
    kept: dict[str, Found] = {}
    for item in found:
        key = sample_id(item.path.relative_to(root))
        if key in kept:
            first = kept[key].path.name
            faulty.append(Problem(item.path, f"same id as {first}", "rename or remove one of them"))
        elif problem := header_problem(item):
            faulty.append(problem)
        else:
            kept[key] = item
    if not kept:
        if faulty:
            raise NothingUsable(faulty)
        raise DataError(
            "no images",
            where=root,
            expected="files ending in " + ", ".join(IMAGE_SUFFIXES),
            fix="check the path and the layout",
        )
    records = [
        Record(
            id=key,
            label=classes.index(item.class_name),
            layout_split=item.split,
            has_mask=item.has_mask,
            read_image=partial(read_image, item.path),
            read_regions=item.read_regions,
            meta={
                "file": item.path.relative_to(root).as_posix(),
                "mask_files": {r: p.relative_to(root).as_posix() for r, p in item.masks.items()},
            },
        )
        for key, item in kept.items()
    ]
    files = {path for item in kept.values() for path in (item.path, *item.masks.values())}
    return Dataset(
        name=name,
        root=root,
        class_names=classes,
        region_names=region_names,
        records=records,
        fingerprint=partial(_contents, root, tuple(files | set(also))),
        problems=faulty,
    )


def header_problem(item: Found) -> Problem | None:
    """Return what the headers of an image and its masks show to be wrong, or None."""
    try:
        size = image_size(item.path)
        for path in dict.fromkeys(item.masks.values()):
            got = image_size(path)
            turned = got == size[::-1] and is_sideways(item.path)
            if got != size and not turned:
                return Problem(
                    path,
                    f"mask of another size: {got[1]} x {got[0]} for an image of "
                    f"{size[1]} x {size[0]} pixels ({item.path.name})",
                    "draw the mask on the upright image, pixel by pixel",
                )
    except DataError as error:
        return as_problem(error, item.path)
    return None


def as_problem(error: DataError, path: Path) -> Problem:
    """Return an error as a problem; ``path`` stands in where the error names no file."""
    what = error.what if error.got is None else f"{error.what} ({error.got})"
    where = error.where if isinstance(error.where, Path) else path
    return Problem(where, what, error.fix or "repair or remove it")


def mask_without_image(path: Path) -> Problem:
    """Return the problem of a mask that belongs to no image."""
    return Problem(path, "mask without image", "add the image or remove the mask")


def missing_mask(image: Path, expected: Path) -> Problem:
    """Return the problem of an image without its mask; the image stays, without ground truth."""
    return Problem(image, "missing mask", f"add {expected}", left_out=False)


def _contents(root: Path, files: tuple[Path, ...]) -> list[tuple[str, str]]:
    """Return (relative name, sha256) of each file, sorted."""
    return sorted((nfc(path.relative_to(root).as_posix()), digest_file(path)) for path in files)
