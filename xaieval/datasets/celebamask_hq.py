"""CelebAMask-HQ: 30,000 faces, a mask file per part, 40 attributes; nothing is read ahead.

Layout and numbers: Lee et al., "MaskGAN: Towards Diverse and Interactive Facial Image
Manipulation" (CVPR 2020), https://github.com/switchablenorms/CelebAMask-HQ.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Problem, Record
from xaieval.datasets.celebamask_files import (
    ATTRIBUTE_FILE,
    FOLDER,
    IMAGES,
    MAPPING_FILE,
    MASKS,
    PARTITION_FILE,
    POSE_FILE,
    PartFiles,
    detect,
    find_root,
    list_images,
    list_masks,
    missing_parts,
)
from xaieval.datasets.face_annotations import (
    labelled,
    optional,
    published_partition,
    read_mapping,
    read_partition,
    read_pose,
    several,
)
from xaieval.datasets.face_choice import Face, choose
from xaieval.datasets.face_files import read_part, read_resized
from xaieval.datasets.face_options import OPTIONS as FACE_OPTIONS
from xaieval.datasets.face_options import FaceOptions, flag, whole
from xaieval.datasets.face_parts import (
    BACKGROUND,
    NUMBERS,
    PARTS,
    compose,
    region_names,
    regions_of,
)
from xaieval.datasets.images import image_size
from xaieval.datasets.scan import NothingUsable, need_folder
from xaieval.errors import DataError
from xaieval.types import Image, Mask

OPTIONS: Mapping[str, Any] = {
    "size": None,
    "region": "face",
    "features": False,
    **FACE_OPTIONS,
}


@dataclass(frozen=True)
class _Source:
    """What the records of a dataset share, so that each holds two numbers."""

    root: Path
    size: int | None
    regions: tuple[str, ...]


def _read_image(source: _Source, number: int) -> Image:
    return read_resized(source.root / IMAGES / f"{number}.jpg", source.size)


def _read_regions(source: _Source, number: int, bits: int) -> dict[str, Mask]:
    files = [source.root / file for file in PartFiles(number, bits).values()]
    if not files:
        return {}
    side = source.size or image_size(files[0])[0]
    numbers = [PARTS.index(part) for part in PartFiles(number, bits)]
    masks = [(k, read_part(file, side)) for k, file in zip(numbers, files, strict=True)]
    return regions_of(compose(masks, (side, side)), source.regions)


def open_celebamask_hq(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open CelebAMask-HQ: names are listed, nothing else is read before it is asked for.

    Options
    -------
    size : int or None
        Side of images and regions (px); None: that of the masks (512 in the published files).
        Images are read reduced.
    region : str
        The default region, ``region_names[0]``.
    features : bool
        Whether the regions of ``face_parts.FEATURE_NUMBERS`` are there as well.
    labels, attributes, attribute, bias, bias_rate, among, split, test_share, split_seed, samples,
    train_samples
        See ``FaceOptions``.

    Regions are the 18 parts, ``background`` (what no part covers) and the groups of
    ``face_parts.GROUPS``; an image without a part's file has that region empty, an image without
    any mask has no regions. ``meta`` tells ``number``, ``missing`` (parts without a file),
    ``pose`` (yaw, pitch, roll in degrees), ``orig_file`` (its name in CelebA), ``group``.

    Raises
    ------
    ConfigError
        For a bad option.
    DataError
        When images, masks or the attribute file are missing, or nothing usable is there.
    """
    where = "celebamask-hq"
    wanted = FaceOptions.of(options, where)
    size = options["size"] and whole(options, "size", 8, 4096, where)
    regions = region_names(options["region"], features=flag(options, "features", where))
    root = find_root(need_folder(path, where))
    for folder in (IMAGES, MASKS):
        if not (root / folder).is_dir():
            raise DataError(
                f"no folder {folder}",
                where=root,
                expected=f"{IMAGES}/ and {MASKS}/",
                fix="check the path, or unpack the archive again",
            )
    numbers, problems = list_images(root / IMAGES)
    bits, found = list_masks(root / MASKS, set(numbers))
    problems += found
    files = [f"{number}.jpg" for number in numbers]
    kept, names, values, found = labelled(files, root / ATTRIBUTE_FILE, root / IMAGES, wanted)
    problems += found
    numbers = [numbers[place] for place in kept]
    files = [files[place] for place in kept]
    bare = [file for file, n in zip(files, numbers, strict=True) if not bits.get(n)]
    problems += several(
        root / MASKS, "image without any mask", bare, "add its masks", left_out=False
    )
    if not numbers:
        raise NothingUsable(problems or [Problem(root / IMAGES, "no images", "check the path")])
    originals, found = optional(root / MAPPING_FILE, read_mapping)
    problems += found
    poses, found = optional(root / POSE_FILE, read_pose)
    problems += found
    official, found = _official(root, files, originals)
    problems += found
    classes, faces = choose(
        files, options=wanted, names=names, values=values, official=official, where=where
    )
    source = _Source(root, size or _masks_size(root, bits), regions)
    default = sum(1 << k for k in NUMBERS[regions[0]] if k != BACKGROUND)
    chosen = [(numbers[face.place], face) for face in faces]

    def meta(number: int, face: Face) -> dict[str, Any]:
        file = f"{number}.jpg"
        here = bits.get(number, 0)
        also = {"pose": poses.get(file), "orig_file": originals.get(file), "group": face.group}
        return {
            "file": f"{IMAGES}/{file}",
            "number": number,
            "mask_files": PartFiles(number, here),
            "missing": missing_parts(here),
            **{key: value for key, value in also.items() if value is not None},
        }

    return Dataset(
        name=where,
        root=root,
        class_names=classes,
        region_names=regions,
        records=[
            Record(
                id=f"{IMAGES}/{number}",
                label=face.label,
                layout_split=face.split,
                has_mask=bool(bits.get(number, 0) & default)
                or (regions[0] == "background" and number in bits),
                read_image=partial(_read_image, source, number),
                read_regions=partial(_read_regions, source, number, bits.get(number, 0)),
                meta=meta(number, face),
            )
            for number, face in chosen
        ],
        fingerprint=partial(
            _sizes, source, tuple((number, bits.get(number, 0)) for number, _ in chosen)
        ),
        problems=problems,
        task=wanted.task,
    )


def _masks_size(root: Path, bits: Mapping[int, int]) -> int | None:
    """Return the side of the first mask whose header can be read; None when there is none."""
    for number in sorted(bits)[:20]:
        for file in PartFiles(number, bits[number]).values():
            try:
                return max(image_size(root / file))
            except DataError:
                continue
    return None


def _official(
    root: Path, files: Sequence[str], originals: Mapping[str, str]
) -> tuple[list[LayoutSplit | None], list[Problem]]:
    """Return CelebA's split of each image: by its partition file, else by the published numbers."""
    path = root / PARTITION_FILE
    if not path.is_file():
        return [published_partition(originals.get(file, "")) for file in files], []
    partition, problems = optional(path, read_partition)
    return [partition.get(originals.get(file, "")) for file in files], problems


def _sizes(source: _Source, chosen: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return what stands for the contents of 400,000 files: sha256 over their names and sizes."""
    sha = hashlib.sha256()
    for number, bits in chosen:
        for file in (f"{IMAGES}/{number}.jpg", *PartFiles(number, bits).values()):
            try:
                length = os.stat(f"{source.root}/{file}").st_size
            except OSError:
                length = -1
            sha.update(f"{file} {length}\n".encode())
    return {"files": sha.hexdigest(), "size": source.size}


SPEC = DatasetSpec(
    id="celebamask-hq",
    label="CelebAMask-HQ",
    summary="30,000 faces with a mask per part (18 parts, six groups), 40 attributes and pose",
    layout=(
        f"{IMAGES}/N.jpg, {MASKS}/<N // 2000>/<N, 5 digits>_PART.png, {ATTRIBUTE_FILE}, "
        f"{POSE_FILE}, {MAPPING_FILE}; the folder itself or the one that holds {FOLDER}/"
    ),
    licence="non-commercial research and education (agreement of CelebA)",
    source="https://github.com/switchablenorms/CelebAMask-HQ",
    size="30,000 images of 1024 x 1024 and 372,767 masks of 512 x 512 pixels, about 3 GB",
    opener=open_celebamask_hq,
    detect=detect,
    task="multilabel",
    folder=FOLDER,
    options=OPTIONS,
)
