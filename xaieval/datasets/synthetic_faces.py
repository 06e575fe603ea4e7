"""The built-in faces: drawn with the parts and attributes of CelebAMask-HQ, the truth known.

Which part decides an attribute is stated in ``face_traits.ATTRIBUTE_REGIONS``: a face with an
attribute and the same face without it differ there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Record
from xaieval.datasets.celebamask_files import IMAGES
from xaieval.datasets.face_choice import choose
from xaieval.datasets.face_options import OPTIONS as FACE_OPTIONS
from xaieval.datasets.face_options import FaceOptions, flag, whole
from xaieval.datasets.face_parts import PARTS, region_names, regions_of
from xaieval.datasets.face_render import Drawn, render_face
from xaieval.datasets.face_traits import (
    ATTRIBUTE_REGIONS,
    VARIED,
    VERSION,
    Confound,
    draw_attributes,
    draw_person,
    with_attributes,
)
from xaieval.errors import ConfigError
from xaieval.types import Image, Mask

MAX_FACES = 100_000
TEST_EVERY = 5
"""Of so many faces the last is a test face; the others are for training."""

OPTIONS: Mapping[str, Any] = {
    "n": 600,
    "size": 128,
    "seed": 0,
    "confound": None,
    "region": "face",
    "features": False,
    **FACE_OPTIONS,
}


def split_of(index: int) -> LayoutSplit:
    """Return whether a face is for training or for testing: every fifth is tested.

    >>> [split_of(index) for index in range(5)]
    ['train', 'train', 'train', 'train', 'test']
    """
    return "test" if index % TEST_EVERY == TEST_EVERY - 1 else "train"


def face_attributes(
    *, seed: int, index: int, confound: Confound | None = None
) -> Mapping[str, bool]:
    """Return the varied attributes of a face of the set; only training faces are confounded."""
    tied = confound if split_of(index) == "train" else None
    return draw_attributes(seed=seed, index=index, confound=tied)


def draw_face(*, size: int, seed: int, index: int, confound: Confound | None = None) -> Drawn:
    """Draw a face of the set."""
    attributes = face_attributes(seed=seed, index=index, confound=confound)
    return render_face(size=size, seed=seed, index=index, attributes=attributes)


def draw_pair(*, size: int, seed: int, index: int, attribute: str) -> tuple[Drawn, Drawn]:
    """Draw one person without and with an attribute; all else is equal to the last pixel.

    A hair colour that is taken away leaves another in its place.

    Raises
    ------
    ConfigError
        For an attribute that the generator does not vary.
    """
    base = face_attributes(seed=seed, index=index)
    without, with_it = (
        render_face(
            size=size,
            seed=seed,
            index=index,
            attributes=with_attributes(base, {attribute: present}),
        )
        for present in (False, True)
    )
    return without, with_it


# Image, regions and thumbnail of one sample are asked for one after the other.
_drawn = lru_cache(maxsize=128)(draw_face)


def _image(size: int, seed: int, index: int, confound: Confound | None) -> Image:
    return _drawn(size=size, seed=seed, index=index, confound=confound).image.copy()


def _regions(
    size: int, seed: int, index: int, confound: Confound | None, names: tuple[str, ...]
) -> dict[str, Mask]:
    labels = _drawn(size=size, seed=seed, index=index, confound=confound).labels
    return regions_of(labels, names)


def open_synthetic_faces(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Return the dataset; nothing is drawn before it is asked for, nothing is read from disk.

    Options
    -------
    n : int
        Number of faces; every fifth is a test face.
    size : int, 32 to 1024
        Side of the square pictures (px).
    seed : int
        Another seed draws other faces.
    confound : None or (attribute, other attribute, rate)
        In training faces the two agree at the rate; test faces stay independent.
    region : str
        The default region.
    features : bool
        Whether the regions of ``face_parts.FEATURE_NUMBERS`` are there as well.
    labels, attributes, attribute, bias, bias_rate, among, split, test_share, split_seed, samples,
    train_samples
        See ``FaceOptions``; ``attributes`` None stands for the twenty that vary.

    Regions are those of ``celebamask-hq``; ``meta`` tells ``number``, ``pose``, ``group``.

    Raises
    ------
    ConfigError
        For a value out of range or an unknown name.
    DataError
        When there are too few faces for a biased training set.
    """
    where = "synthetic-faces"
    wanted = FaceOptions.of(options, where)
    n = whole(options, "n", 2, MAX_FACES, where)
    size = whole(options, "size", 32, 1024, where)
    seed = whole(options, "seed", 0, 2**63 - 1, where)
    confound = Confound.of(options["confound"])
    regions = region_names(options["region"], features=flag(options, "features", where))
    values = None
    if wanted.labels != "none":
        drawn = [face_attributes(seed=seed, index=k, confound=confound) for k in range(n)]
        values = np.array([[face[name] for name in VARIED] for face in drawn], np.bool_)
    classes, faces = choose(
        [f"{index}.jpg" for index in range(n)],
        options=wanted,
        names=VARIED,
        values=values,
        official=[split_of(index) for index in range(n)],
        where=where,
    )
    records = []
    for face in faces:
        index = face.place
        person = draw_person(seed, index)
        meta = {
            "source": "rendered",
            "number": index,
            "pose": (person.yaw, person.pitch, person.roll),
            **({} if face.group is None else {"group": face.group}),
        }
        tied = confound if split_of(index) == "train" else None
        records.append(
            Record(
                id=f"{IMAGES}/{index}",
                label=face.label,
                layout_split=face.split,
                has_mask=True,
                read_image=partial(_image, size, seed, index, tied),
                read_regions=partial(_regions, size, seed, index, tied, regions),
                meta=meta,
            )
        )
    return Dataset(
        name=where,
        root=None,
        class_names=classes,
        region_names=regions,
        records=records,
        fingerprint=lambda: {
            "version": VERSION,
            "size": size,
            "seed": seed,
            "confound": confound,
        },
        task=wanted.task,
    )


def deciding_region(attribute: str) -> tuple[str, ...]:
    """Return the parts that decide an attribute of a drawn face.

    Raises
    ------
    ConfigError
        For an attribute that the generator does not vary.
    """
    if attribute not in ATTRIBUTE_REGIONS:
        raise ConfigError(
            f"{attribute} does not vary", where="synthetic-faces", expected=", ".join(VARIED)
        )
    return ATTRIBUTE_REGIONS[attribute]


SPEC = DatasetSpec(
    id="synthetic-faces",
    label="Synthetic faces",
    summary=(
        f"drawn faces with the {len(PARTS)} parts of CelebAMask-HQ, {len(VARIED)} attributes tied "
        "to known parts, optional confound"
    ),
    layout="none: drawn on demand; 'xaieval data make synthetic-faces DIR' writes celebamask-hq's",
    licence="MIT, as this package",
    source="this package",
    size="600 faces by default, any number on demand; no bytes on disk",
    opener=open_synthetic_faces,
    detect=lambda path: False,
    task="multilabel",
    builtin=True,
    options=OPTIONS,
)
