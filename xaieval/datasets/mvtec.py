"""The MVTec AD layout in its three forms, and the hazelnut toy that uses one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, Download, LayoutSplit, Problem
from xaieval.datasets.images import MASK_SUFFIXES, read_empty, read_masks
from xaieval.datasets.scan import (
    Found,
    assemble,
    class_folders,
    entries,
    images_in,
    mask_without_image,
    missing_mask,
    need_folder,
    nfc,
)
from xaieval.errors import DataError

GOOD = "good"
"""The class without a defect: its masks are empty or absent."""
REGION = "defect"
SPLITS: tuple[LayoutSplit, ...] = ("train", "val", "test")


@dataclass
class _Scan:
    """What a walk through the folders gathers."""

    classes: set[str] = field(default_factory=set)
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    named: dict[bool, Path] = field(default_factory=dict)  # with "_mask" or not -> an example


def is_resplit(root: Path) -> bool:
    """Tell whether the folder has project_iml's form, ``{train,test}/images/<class>/…``."""
    return any(class_folders(root / split / "images") for split in SPLITS)


def detect(root: Path) -> bool:
    """Tell whether a folder is in the MVTec layout."""
    return is_resplit(root) or any(
        next(images_in(folder), None) is not None
        for split in SPLITS
        for folder in class_folders(root / split)
    )


def open_mvtec(path: Path | None, options: Mapping[str, Any], *, name: str = "mvtec") -> Dataset:
    """Open a category of MVTec AD, or any folder laid out like one.

    The form is detected: masks in ``ground_truth/<defect>/`` as ``<stem>_mask.png`` or
    ``<stem>.png`` beside ``train/`` and ``test/``, or project_iml's re-split with ``images/`` and
    ``ground_truth/`` inside each split. Images of the class ``good`` need no mask and have an
    empty region ``defect``.

    Raises
    ------
    DataError
        When the folder is not there or holds no image in this layout.
    """
    root = need_folder(path, name)
    scan = _Scan()
    if is_resplit(root):
        for split in SPLITS:
            _resplit(root, split, scan)
    else:
        folders = [(split, it) for split in SPLITS for it in class_folders(root / split)]
        _pair(root / "ground_truth", folders, scan)
    if not scan.found:
        inner = [it.name for it in class_folders(root) if detect(it)]
        raise DataError(
            "no images in the MVTec layout",
            where=root,
            expected="train/<class>/… and test/<class>/…",
            fix=f"name one category, such as {root / inner[0]}" if inner else "check the path",
        )
    if len(scan.named) == 2:
        scan.problems.append(
            Problem(
                scan.named[False],
                f"mask names of two forms, this one and {scan.named[True].name}",
                "name all masks <stem>_mask.png, or none",
                left_out=False,
            )
        )
    return assemble(
        name=name,
        root=root,
        class_names=sorted(scan.classes),
        region_names=(REGION,),
        found=scan.found,
        problems=scan.problems,
    )


def _resplit(root: Path, split: LayoutSplit, scan: _Scan) -> None:
    home = root / split
    for folder in class_folders(home):
        if folder.name not in ("images", "ground_truth"):
            scan.problems.append(
                Problem(
                    folder,
                    "two layouts mixed: a class folder beside images/",
                    f"move it into {home / 'images'}",
                )
            )
    _pair(home / "ground_truth", [(split, it) for it in class_folders(home / "images")], scan)


def _pair(truth: Path, folders: list[tuple[LayoutSplit, Path]], scan: _Scan) -> None:
    """Pair the images of some class folders with the masks below ``truth``."""
    masks = {nfc(folder.name): _masks_in(folder) for folder in class_folders(truth)}
    found: list[Found] = []
    claims: dict[Path, list[Path]] = {}
    for split, folder in folders:
        name = nfc(folder.name)
        images = list(images_in(folder))
        if not images:
            scan.problems.append(
                Problem(folder, "class folder without images", "add images or remove it")
            )
            continue
        scan.classes.add(name)
        for image in images:
            mask = _mask_of(image, masks.get(name, {}), scan)
            if mask is not None:
                claims.setdefault(mask, []).append(image)
            elif name != GOOD and truth.is_dir():
                expected = truth / folder.name / f"{image.stem}_mask.png"
                scan.problems.append(missing_mask(image, expected))
            found.append(_found(image, name, split, mask))
    # train/ and test/ share one folder of masks: where both have a stem, its mask fits one only.
    doubtful = {
        image: mask
        for mask, images in claims.items()
        if len({image.parent for image in images}) > 1
        for image in images
    }
    scan.found += [item for item in found if item.path not in doubtful]
    scan.problems += [
        Problem(image, f"shares its mask {mask.name} with another image", "rename one of the two")
        for image, mask in doubtful.items()
    ]
    if not truth.is_dir() and any(nfc(folder.name) != GOOD for _, folder in folders):
        scan.problems.append(
            Problem(
                truth,
                "no folder of masks: localisation cannot be scored",
                "add ground_truth/<defect>/<stem>_mask.png",
                left_out=False,
            )
        )
    unclaimed = {path for inside in masks.values() for path in inside.values()} - set(claims)
    scan.problems += [mask_without_image(path) for path in sorted(unclaimed)]


def _masks_in(folder: Path) -> dict[str, Path]:
    found = (path for path in entries(folder) if path.suffix.lower() in MASK_SUFFIXES)
    return {nfc(path.stem): path for path in found}


def _mask_of(image: Path, masks: Mapping[str, Path], scan: _Scan) -> Path | None:
    stem = nfc(image.stem)
    marked, plain = masks.get(f"{stem}_mask"), masks.get(stem)
    mask = marked or plain
    if mask is not None:
        scan.named.setdefault(marked is not None, mask)
    return mask


def _found(image: Path, class_name: str, split: LayoutSplit, mask: Path | None) -> Found:
    if mask is not None:
        masks = {REGION: mask}
        return Found(
            image, class_name, split, masks, partial(read_masks, masks, image), class_name != GOOD
        )
    if class_name == GOOD:
        return Found(image, class_name, split, {}, partial(read_empty, image, REGION))
    return Found(image, class_name, split)


def _detect_toy(root: Path) -> bool:
    folders = [folder for split in SPLITS for folder in class_folders(root / split)]
    truth = root / "ground_truth" / "colour"
    return {folder.name for folder in folders} == {"colour", GOOD} and any(
        path.suffix == ".png" and not path.stem.endswith("_mask") for path in entries(truth)
    )


def _opener(name: str) -> Callable[[Path | None, Mapping[str, Any]], Dataset]:
    return partial(open_mvtec, name=name)


MVTEC = DatasetSpec(
    id="mvtec",
    label="MVTec AD, any category",
    summary="Industrial photographs with pixel masks of each defect; point it at one category.",
    layout=(
        "train/good/*.png, test/<defect>/*.png, ground_truth/<defect>/<stem>_mask.png "
        "(or <stem>.png); or {train,test}/images/<class>/… with "
        "{train,test}/ground_truth/<class>/<stem>_mask.png"
    ),
    licence="CC BY-NC-SA 4.0, as its authors state",
    source="https://www.mvtec.com/company/research/datasets/mvtec-ad",
    size="15 categories; hazelnut: 501 images of 1024 x 1024 pixels",
    opener=_opener("mvtec"),
    detect=detect,
    folder="mvtec",
)

HAZELNUT_TOY = DatasetSpec(
    id="hazelnut-toy",
    label="Hazelnut toy",
    summary="Photographs of hazelnuts, good or with a colour defect, with masks of the defect.",
    layout="train/good/*.jpg, test/{good,colour}/*.jpg, ground_truth/colour/<stem>.png",
    licence="CC BY 4.0, as its authors state",
    source="https://github.com/openvinotoolkit/anomalib (docs/source/data/hazelnut_toy.rst)",
    size="51 images of 512 x 512 pixels, 17 masks, 5.9 MB",
    opener=_opener("hazelnut-toy"),
    detect=_detect_toy,
    folder="hazelnut_toy",
    download=Download(
        manifest="hazelnut_toy.json",
        base_url=(
            "https://raw.githubusercontent.com/jaegukhyun/training_extensions/"
            "8ee933c7a4b72cd70f623d242760185516894e02/tests/assets/anomaly/hazelnut/"
        ),
        attribution=(
            "Photographs and masks by the authors of anomalib (Intel, openvinotoolkit), CC BY 4.0, "
            "https://creativecommons.org/licenses/by/4.0/; as kept by "
            "jaegukhyun/training_extensions at 8ee933c7."
        ),
    ),
)
