"""ImageNet sorted by wnid, with the boxes that people drew around the objects."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Problem
from xaieval.datasets.scan import (
    Found,
    as_problem,
    assemble,
    class_folders,
    images_in,
    need_folder,
    nfc,
)
from xaieval.datasets.voc_boxes import Annotation, read_box_region, read_voc
from xaieval.errors import ConfigError, DataError, unknown

REGION = "box"
WNID = re.compile(r"n\d{8}")
SPLITS: tuple[LayoutSplit, ...] = ("train", "val", "test")
BASES = ("", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
"""Where ``train`` and ``val`` may lie: sorted by hand, or as the challenge's archive has them."""
BOXES = ("Annotations", "annotations", "Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC")
CLASS_FILES = (
    *("classes.json", "imagenet_classes.json", "imagenet_class_index.json"),
    *("classes.txt", "LOC_synset_mapping.txt"),
)
"""Files that number the classes, the first one there counts."""


def detect(root: Path) -> bool:
    """Tell whether a folder has class folders named by wnid."""
    return next(_class_folders(root), None) is not None


def open_imagenet_boxes(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open ``{train,val}/<wnid>/*.JPEG`` (or ``images/<wnid>/``) with VOC boxes.

    - Boxes lie in ``Annotations/`` under ``<wnid>/<stem>.xml``, ``<split>/<wnid>/<stem>.xml``,
      ``<split>/<stem>.xml`` or ``<stem>.xml``. Region ``box`` is the union of the boxes whose name
      is the image's wnid. Images without boxes have no region.
    - Classes are numbered and named by one of ``CLASS_FILES``; without it they are the wnids
      found, in sorted order.

    Options
    -------
    split : None, "train", "val" or "test"
        Only this folder; None takes all.
    boxes : "class" or "all"
        ``all`` counts boxes of any name, as the original code of Shared Interest does.
    classes : str or None
        Another file that numbers the classes.

    Raises
    ------
    DataError
        When the folder or the file of classes is missing or not as it must be.
    ConfigError
        For an option's unknown value.
    """
    root = need_folder(path, "imagenet-boxes")
    if options["split"] is not None and options["split"] not in SPLITS:
        raise unknown("split", options["split"], SPLITS, where="imagenet-boxes")
    if options["boxes"] not in ("class", "all"):
        raise ConfigError(
            "bad boxes",
            where="imagenet-boxes",
            expected="'class' or 'all'",
            got=repr(options["boxes"]),
        )
    table = _class_file(root, options["classes"])
    known = None if table is None else read_classes(table)
    problems: list[Problem] = []
    found: list[Found] = []
    annotations: list[Path] = []
    for split, folder in _class_folders(root):
        if options["split"] not in (None, split):
            continue
        wnid = nfc(folder.name)
        if known is not None and wnid not in known:
            what = f"class folder that {table.name if table else ''} does not list"
            problems.append(Problem(folder, what, "add its line, or remove the folder"))
            continue
        places = _places(root, split, wnid)
        for image in images_in(folder):
            annotation = next((f for p in places if (f := p / f"{image.stem}.xml").is_file()), None)
            read = None
            if annotation is not None:
                annotations.append(annotation)
                read = _boxes(annotation, wnid if options["boxes"] == "class" else None, problems)
            found.append(
                Found(image, wnid, split)
                if read is None
                else Found(
                    image,
                    wnid,
                    split,
                    read_regions=partial(read_box_region, read, image, REGION),
                    has_mask=True,
                )
            )
    if not found and not problems:
        raise DataError(
            "no images sorted by wnid",
            where=root,
            expected="train/n01440764/*.JPEG, val/n01440764/*.JPEG or images/n01440764/*.JPEG",
            fix="check the path and the option split",
        )
    wnids = list(known) if known is not None else sorted({item.class_name for item in found})
    names = wnids if known is None else unique_names(known)
    name_of = dict(zip(wnids, names, strict=True))
    return assemble(
        name="imagenet-boxes",
        root=root,
        class_names=names,
        region_names=(REGION,),
        found=[_named(item, name_of) for item in found],
        problems=problems,
        also=(
            *annotations,
            *((table,) if table is not None and table.is_relative_to(root) else ()),
        ),
    )


def _named(item: Found, name_of: Mapping[str, str]) -> Found:
    return Found(
        item.path,
        name_of[item.class_name],
        item.split,
        read_regions=item.read_regions,
        has_mask=item.has_mask,
    )


def _class_folders(root: Path) -> Iterator[tuple[LayoutSplit | None, Path]]:
    for base in BASES:
        for split in SPLITS:
            for folder in class_folders(root / base / split):
                if WNID.fullmatch(folder.name):
                    yield split, folder
    for folder in class_folders(root / "images"):
        if WNID.fullmatch(folder.name):
            yield None, folder


def _places(root: Path, split: str | None, wnid: str) -> list[Path]:
    """Return the folders that may hold the boxes of a class, the most special first."""
    inside = [wnid, ""] if split is None else [f"{split}/{wnid}", split, wnid, ""]
    places = [root / base / part for base in BOXES for part in inside]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def _boxes(path: Path, wnid: str | None, problems: list[Problem]) -> Annotation | None:
    """Return the usable boxes of a file, or None; what is wrong with others is noted."""
    try:
        every = read_voc(path)
    except DataError as error:
        problem = as_problem(error, path)
        problems.append(Problem(problem.path, problem.what, problem.fix, left_out=False))
        return None
    annotation = every if wnid is None else every.only(wnid)
    if every.boxes and not annotation.boxes:
        names = ", ".join(sorted({box.name for box in every.boxes}))
        what = f"no box of {wnid}, only of {names}"
        fix = 'correct the names, or set the option boxes to "all"'
        problems.append(Problem(path, what, fix, left_out=False))
    outside = annotation.outside()
    if outside:
        what = f"{len(outside)} of {len(annotation.boxes)} boxes outside the picture, or empty"
        problems.append(Problem(path, what, "correct or remove them", left_out=False))
    left = tuple(box for box in annotation.boxes if box not in outside)
    return Annotation(annotation.size, left) if left else None


def _class_file(root: Path, named: object) -> Path | None:
    if named is not None:
        path = Path(str(named)).expanduser()
        return path if path.is_absolute() else root / path
    return next((root / name for name in CLASS_FILES if (root / name).is_file()), None)


def read_classes(path: Path) -> dict[str, str]:
    """Return {wnid: name} in the order of the classes' numbers.

    Read are ``{"0": ["n01440764", "tench"], …}``, ``{"classes": [{"wnid": …, "name": …}, …]}``,
    ``{"n01440764": "tench", …}``, and lines ``n01440764 tench, Tinca tinca``.

    Raises
    ------
    DataError
        When it is none of these, or a wnid is there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _json_pairs(json.loads(text)) if path.suffix == ".json" else _line_pairs(text)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError(
            "not a list of classes",
            where=path,
            expected='{"0": ["n01440764", "tench"], …} or lines "n01440764 tench"',
            got=error,
        ) from error
    classes = dict(pairs)
    bad = [wnid for wnid in classes if not WNID.fullmatch(wnid)]
    if bad or not classes or len(classes) != len(pairs):
        got = f"{bad[0]!r} as wnid" if bad else f"{len(classes)} wnids in {len(pairs)} entries"
        raise DataError(
            "not a list of classes", where=path, expected="each wnid (n01440764) once", got=got
        )
    return classes


def _json_pairs(raw: Any) -> list[tuple[str, str]]:
    if isinstance(raw, dict) and "classes" in raw:
        raw = raw["classes"]
    if isinstance(raw, list):
        rows = sorted(raw, key=lambda row: int(row["index"])) if "index" in raw[0] else raw
        return [(row["wnid"], str(row["name"])) for row in rows]
    if all(WNID.fullmatch(key) for key in raw):
        return [(wnid, str(name)) for wnid, name in raw.items()]
    return [(row[0], str(row[1])) for _, row in sorted(raw.items(), key=lambda item: int(item[0]))]


def _line_pairs(text: str) -> list[tuple[str, str]]:
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(row[0], row[1].strip() if len(row) > 1 else row[0]) for row in rows]


def unique_names(classes: Mapping[str, str]) -> list[str]:
    """Return short names, the first of the synonyms; those that two classes share get the wnid.

    >>> unique_names({"n02012849": "crane, bird", "n03126707": "crane", "n01440764": "tench, fish"})
    ['crane (n02012849)', 'crane (n03126707)', 'tench']
    """
    short = {wnid: nfc(name.split(",")[0].strip()) or wnid for wnid, name in classes.items()}
    often = Counter(short.values())
    return [f"{name} ({wnid})" if often[name] > 1 else name for wnid, name in short.items()]


SPEC = DatasetSpec(
    id="imagenet-boxes",
    label="ImageNet with boxes",
    summary="ImageNet's photographs by wnid, with boxes around the objects where people drew them",
    layout="{train,val}/<wnid>/*.JPEG and Annotations/[<split>/][<wnid>/]<stem>.xml",
    licence="ImageNet's terms of access: non-commercial research and education",
    source="https://www.image-net.org/",
    size="1,281,167 training and 50,000 validation images, 150 GB; boxes for half and for all",
    opener=open_imagenet_boxes,
    detect=detect,
    folder="imagenet",
    options={"split": None, "boxes": "class", "classes": None},
)
