"""From what a person names to opened results: a folder, a folder of folders, a study's id."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xaieval.errors import ResultsError
from xaieval.study.manifest import MANIFEST
from xaieval.study.results import Results

DEPTH = 5
"""Folders this far below the one named are looked into: SYSTEM/EXPERIMENT/studies/ARM."""


def find_results(folder: str | Path) -> tuple[Path, ...]:
    """Return the results folders in a folder, sorted: itself, or those below it.

    An experiment holds those of its arms, a system those of its experiments. Nothing below a
    results folder is looked into, and no hidden folder.
    """
    folder = Path(folder)
    return tuple(_below(folder, DEPTH)) if folder.is_dir() else ()


def _below(folder: Path, depth: int) -> Iterable[Path]:
    if (folder / MANIFEST).is_file():
        yield folder
    elif depth:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith("."):
                yield from _below(child, depth - 1)


def open_results(name: str) -> list[Results]:
    """Open what a name stands for: a results folder, all that a folder holds, or a study's id.

    Raises
    ------
    ResultsError
        When the folder holds none, or one of them cannot be read.
    ConfigError
        For an unknown study.
    """
    path = Path(name)
    if not path.exists():
        return [Results.of_study(name)]
    found = find_results(path)
    if not found:
        return [Results(path)]  # says what is missing
    return [Results(folder) for folder in found]


def open_folders(names: Iterable[str]) -> dict[str, Results]:
    """Open several names: key -> results, in their order (``readable_keys``).

    Raises
    ------
    ResultsError
        When nothing is named, or as ``open_results``.
    """
    opened = [results for name in names for results in open_results(name)]
    if not opened:
        raise ResultsError("no results named")
    return readable_keys(opened)


def readable_keys(opened: Iterable[Results]) -> dict[str, Results]:
    """Return key -> results: the study's id where it is the only one, else with its folder.

    Arms of experiments often share their study's id: then the folder's name tells them apart, or
    the path below the first folder in which they differ; the same folder twice is counted.
    """
    opened = list(opened)
    names = [results.study.id for results in opened]
    paths = [results.path.resolve() for results in opened]
    keys: dict[str, Results] = {}
    for results, path in zip(opened, paths, strict=True):
        key = results.study.id
        twins = {other for name, other in zip(names, paths, strict=True) if name == key}
        if len(twins) > 1:
            key = _apart(path, twins)
        number, first = 2, key
        while key in keys:
            key, number = f"{first}~{number}", number + 1
        keys[key] = results
    return keys


def _apart(path: Path, twins: Iterable[Path]) -> str:
    """Return the end of a path, as short as tells it from the others."""
    others = [other for other in twins if other != path]
    for length in range(1, len(path.parts)):
        end = path.parts[-length:]
        if all(other.parts[-length:] != end for other in others):
            return "/".join(part for part in end if part != "studies")
    return path.as_posix()
