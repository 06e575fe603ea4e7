"""A folder of images with masks, one or several named regions each: the user's own data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, Problem
from xaieval.datasets.images import (
    IMAGE_SUFFIXES,
    MASK_SUFFIXES,
    is_image_name,
    read_indexed,
    read_masks,
)
from xaieval.datasets.scan import (
    Found,
    assemble,
    class_folders,
    entries,
    images_in,
    mask_without_image,
    need_folder,
    nfc,
)
from xaieval.errors import DataError, unknown

REGION = "mask"
"""The region of a mask file that carries no region name."""
ONE_CLASS = "images"
"""The class of images that lie directly under ``images/``."""
LEGEND = "legend.json"

Key = tuple[str, str]
"""Where an image lies below ``images/`` (POSIX, NFC) and its stem."""


@dataclass
class _Masks:
    """Mask files by image, and those that fit none."""

    of: dict[Key, dict[str, Path]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, key: Key, region: str, path: Path) -> None:
        """Note a mask; a second one for the same image and region is a problem."""
        regions = self.of.setdefault(key, {})
        if region in regions:
            what = f"second mask of region {region!r}, beside {regions[region].name}"
            self.problems.append(Problem(path, what, "remove one of the two"))
        else:
            regions[region] = path


def detect(root: Path) -> bool:
    """Tell whether a folder has images under ``images/``."""
    return next(images_in(root / "images"), None) is not None


def open_folder(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open ``images/[<class>/]<stem>.*`` with ``masks/[<class>/]<stem>[_<region>].png``.

    - Each folder under ``images/`` is a class; images directly under ``images/`` are one class.
    - A mask named ``<stem>.png`` or ``<stem>_mask.png`` is the region ``mask``; other endings name
      further regions. Masks lie in the folder of their class, or all in ``masks/`` itself.
    - With ``legend.json`` beside or inside ``masks/``, ``{"1": "leaf", "2": "spot"}``, each
      ``<stem>.png`` is an index mask: palette indices or grey values number the regions, and 0 is
      background.
    - Images without masks are welcome: they have no regions.

    Option ``region`` names the default region; without it, it is ``mask``, the first of the
    legend, or the first by name.

    Raises
    ------
    DataError
        When the folder or its legend is missing or not as it must be.
    ConfigError
        When ``region`` is none of the regions.
    """
    root = need_folder(path, "folder")
    images, problems = _images(root / "images")
    places = (root / LEGEND, root / "masks" / LEGEND)
    written = next((place for place in places if place.exists()), root / LEGEND)
    legend = read_legend(written)
    masks = _match(root / "masks", images, indexed=legend is not None)
    named = {region for regions in masks.of.values() for region in regions}
    if legend is None:
        regions = sorted(named, key=lambda region: (region != REGION, region))
    else:
        regions = list(dict.fromkeys(legend.values())) if named else []
    if (first := options["region"]) is not None:
        if first not in regions:
            raise unknown("region", first, regions, where=root)
        regions = [first, *(region for region in regions if region != first)]
    found = [
        _found(path, class_name, masks.of.get(key, {}), legend, regions)
        for key, paths in images.items()
        for path, class_name in paths
    ]
    return assemble(
        name="folder",
        root=root,
        class_names=sorted({item.class_name for item in found}),
        region_names=regions,
        found=found,
        problems=(*problems, *masks.problems),
        also=() if legend is None else (written,),
    )


def read_legend(path: Path) -> dict[int, str] | None:
    """Return the legend {index: region} in order of index, or None when there is no such file.

    Raises
    ------
    DataError
        When it is not a JSON object of whole numbers and names.
    """
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
        legend = {int(index): nfc(name) for index, name in raw.items()}
        if not legend or not all(legend.values()) or min(legend) < 0:
            raise ValueError("no entry, an empty name or a negative index")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            "not a legend",
            where=path,
            expected='an object such as {"1": "leaf", "2": "spot"}',
            got=error,
            fix="correct the file, or remove it where masks are one file per region",
        ) from error
    return dict(sorted(legend.items()))


def _images(home: Path) -> tuple[dict[Key, list[tuple[Path, str]]], list[Problem]]:
    """Return the images by place and stem, each with its class."""
    images: dict[Key, list[tuple[Path, str]]] = {}
    problems: list[Problem] = []
    loose = [path for path in entries(home) if is_image_name(path)]
    sorted_in = False
    for folder in class_folders(home):
        inside = list(images_in(folder))
        sorted_in = sorted_in or bool(inside)
        if not inside:
            problems.append(
                Problem(folder, "class folder without images", "add images or remove it")
            )
        for path in inside:
            images.setdefault(_key(path, home), []).append((path, nfc(folder.name)))
    if sorted_in:
        fix = "move it into the folder of its class"
        problems += [Problem(path, "image outside the class folders", fix) for path in loose]
    else:
        for path in loose:
            images.setdefault(_key(path, home), []).append((path, ONE_CLASS))
    return images, problems


def _key(path: Path, home: Path) -> Key:
    return nfc(path.parent.relative_to(home).as_posix()), nfc(path.stem)


def _match(home: Path, images: Mapping[Key, Any], *, indexed: bool) -> _Masks:
    """Find the image of every mask file: same stem, or the longest stem that starts its name."""
    masks = _Masks()
    by_stem: dict[str, list[Key]] = {}
    for key in images:
        by_stem.setdefault(key[1], []).append(key)
    for path in _files(home):
        place, name = _key(path, home)
        if path.suffix.lower() not in MASK_SUFFIXES:
            if path.suffix.lower() in IMAGE_SUFFIXES:
                fix = "save masks as PNG: other formats smear the border of a region"
                masks.problems.append(Problem(path, "mask in a lossy format", fix))
            continue
        for stem, region in _readings(name, indexed=indexed):
            if (place, stem) in images:
                masks.add((place, stem), region, path)
                break
            if place == "." and stem in by_stem:
                if len(by_stem[stem]) > 1:
                    folders = " and ".join(key[0] for key in by_stem[stem])
                    what = f"mask of which image? {stem} is in {folders}"
                    fix = "move it into a folder of its class"
                    masks.problems.append(Problem(path, what, fix))
                else:
                    masks.add(by_stem[stem][0], region, path)
                break
        else:
            masks.problems.append(mask_without_image(path))
    return masks


def _files(folder: Path) -> Iterator[Path]:
    for path in entries(folder):
        if path.is_dir() and not is_image_name(path):
            yield from _files(path)
        else:
            yield path


def _readings(name: str, *, indexed: bool) -> Iterator[tuple[str, str]]:
    """Yield (stem, region) a mask's name may mean, longest stem first.

    >>> list(_readings("a_b_mask", indexed=False))
    [('a_b_mask', 'mask'), ('a_b', 'mask'), ('a', 'b_mask')]
    """
    yield name, REGION
    if indexed:
        yield name.removesuffix("_mask"), REGION
        return
    for at in range(len(name) - 1, 0, -1):
        if name[at] == "_" and name[at + 1 :]:
            yield name[:at], name[at + 1 :]


def _found(
    path: Path,
    class_name: str,
    masks: Mapping[str, Path],
    legend: Mapping[int, str] | None,
    regions: list[str],
) -> Found:
    if not masks:
        return Found(path, class_name)
    if legend is not None:
        mask = masks[REGION]
        files = dict.fromkeys(legend.values(), mask)
        read = partial(read_indexed, mask, legend, path)
        return Found(path, class_name, None, files, read, True)
    files = {region: masks[region] for region in regions if region in masks}
    return Found(
        path, class_name, None, files, partial(read_masks, files, path), regions[0] in files
    )


SPEC = DatasetSpec(
    id="folder",
    label="Your images, with or without masks",
    summary="Any images sorted by class, with one or several named regions each, or none.",
    layout=(
        "images/<class>/<stem>.*, masks/[<class>/]<stem>[_<region>].png; or index masks with "
        'legend.json {"1": "name", …}'
    ),
    licence="yours",
    source="yours",
    size="any",
    opener=open_folder,
    detect=detect,
    options={"region": None},
)
