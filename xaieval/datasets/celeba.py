"""CelebA, aligned and cropped: faces with 40 attributes, and a box about the mouth.

Layout and partition: Liu et al., "Deep Learning Face Attributes in the Wild" (ICCV 2015),
http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Problem, Record
from xaieval.datasets.face_annotations import (
    labelled,
    optional,
    published_partition,
    read_landmarks,
    read_partition,
    several,
)
from xaieval.datasets.face_choice import choose
from xaieval.datasets.face_options import OPTIONS as FACE_OPTIONS
from xaieval.datasets.face_options import FaceOptions
from xaieval.datasets.images import image_size, read_image
from xaieval.datasets.scan import NothingUsable, need_folder
from xaieval.errors import DataError
from xaieval.types import Mask

IMAGES = "img_align_celeba"
ATTRIBUTE_FILE = "list_attr_celeba.txt"
LANDMARK_FILE = "list_landmarks_align_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"
REGION = "mouth_box"


def mouth_box(landmarks: Sequence[int], size: tuple[int, int]) -> Mask:
    """Return the box between the corners of the mouth, bool (H, W).

    From the left corner's column to the right one's, ends included, and from h rows above the
    upper corner to h rows below the lower one, h = round((2/3 · width) / 2).

    Parameters
    ----------
    landmarks : ten whole numbers
        x and y of left eye, right eye, nose, left and right corner of the mouth (px).
    size : (height, width)

    >>> box = mouth_box([0, 0, 0, 0, 0, 0, 2, 4, 8, 5], (10, 12))  # width 6, so h = 2
    >>> np.argwhere(box).min(0).tolist(), np.argwhere(box).max(0).tolist()
    ([2, 2], [7, 8])
    """
    left, left_y, right, right_y = landmarks[6:10]
    first, last = min(left, right), max(left, right)
    half = round((2 / 3 * (last - first)) / 2)
    mask = np.zeros(size, np.bool_)
    top, bottom = min(left_y, right_y) - half, max(left_y, right_y) + half
    mask[max(top, 0) : max(bottom + 1, 0), max(first, 0) : max(last + 1, 0)] = True
    return mask


def _read_regions(path: str, landmarks: tuple[int, ...]) -> dict[str, Mask]:
    return {REGION: mouth_box(landmarks, image_size(Path(path)))}


def _read_image(path: str) -> Any:
    return read_image(Path(path))


def detect(root: Path) -> bool:
    """Tell whether a folder is in this layout."""
    return (root / IMAGES).is_dir()


def open_celeba(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open CelebA: names are listed, pictures are read when asked for.

    Options are those of ``FaceOptions``. The region ``mouth_box`` comes from the landmarks; without
    their file images have no regions. ``meta`` tells ``landmarks`` and ``group``.

    Raises
    ------
    ConfigError
        For a bad option.
    DataError
        When images or the attribute file are missing, or nothing usable is there.
    """
    where = "celeba"
    wanted = FaceOptions.of(options, where)
    root = need_folder(path, where)
    folder = root / IMAGES
    if not folder.is_dir():
        raise DataError(f"no folder {IMAGES}", where=root, fix="check the path")
    if (folder / IMAGES).is_dir():  # one more level in some archives
        folder = folder / IMAGES
    inside = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    files = [name for name in inside if name.endswith(".jpg")]
    odd = [name for name in inside if not name.endswith(".jpg")]
    problems = several(folder, "not an image of this layout", odd, "remove it")
    kept, names, values, found = labelled(files, root / ATTRIBUTE_FILE, folder, wanted)
    problems += found
    files = [files[place] for place in kept]
    if not files:
        raise NothingUsable(problems or [Problem(folder, "no images", "check the path")])
    landmarks, found = optional(root / LANDMARK_FILE, read_landmarks)
    problems += found
    if landmarks:
        bare = [file for file in files if file not in landmarks]
        problems += several(
            root / LANDMARK_FILE, "no landmarks of", bare, "add the line", left_out=False
        )
    official, found = _official(root, files)
    problems += found
    classes, faces = choose(
        files, options=wanted, names=names, values=values, official=official, where=where
    )
    home = folder.relative_to(root).as_posix()
    records = []
    for face in faces:
        file = files[face.place]
        points = landmarks.get(file)
        also = {"landmarks": points, "group": face.group}
        records.append(
            Record(
                id=f"{home}/{file[:-4]}",
                label=face.label,
                layout_split=face.split,
                has_mask=points is not None,
                read_image=partial(_read_image, f"{folder}/{file}"),
                read_regions=dict
                if points is None
                else partial(_read_regions, f"{folder}/{file}", points),
                meta={
                    "file": f"{home}/{file}",
                    **{key: value for key, value in also.items() if value is not None},
                },
            )
        )
    chosen = tuple((files[face.place], landmarks.get(files[face.place])) for face in faces)
    return Dataset(
        name=where,
        root=root,
        class_names=classes,
        region_names=(REGION,),
        records=records,
        fingerprint=partial(_contents, folder, chosen),
        problems=problems,
        task=wanted.task,
    )


def _official(root: Path, files: Sequence[str]) -> tuple[list[LayoutSplit | None], list[Problem]]:
    path = root / PARTITION_FILE
    if not path.is_file():
        return [published_partition(file) for file in files], []
    partition, problems = optional(path, read_partition)
    return [partition.get(file) for file in files], problems


def _contents(folder: Path, chosen: Sequence[tuple[str, tuple[int, ...] | None]]) -> str:
    """Return what stands for the contents of 200,000 files: names, sizes, landmarks."""
    sha = hashlib.sha256()
    for file, points in chosen:
        try:
            length = os.stat(f"{folder}/{file}").st_size
        except OSError:
            length = -1
        sha.update(f"{file} {length} {points}\n".encode())
    return sha.hexdigest()


SPEC = DatasetSpec(
    id="celeba",
    label="CelebA",
    summary="202,599 aligned faces with 40 attributes; a box about the mouth from the landmarks",
    layout=(
        f"{IMAGES}/NNNNNN.jpg, {ATTRIBUTE_FILE}, {LANDMARK_FILE}, and, if it is there, "
        f"{PARTITION_FILE}"
    ),
    licence="non-commercial research (agreement of CelebA)",
    source="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    size="202,599 images of 178 x 218 pixels, about 1.4 GB",
    opener=open_celeba,
    detect=detect,
    task="multilabel",
    folder="CelebA",
    options=FACE_OPTIONS,
)
