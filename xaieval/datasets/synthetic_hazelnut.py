"""The built-in dataset: rendered hazelnuts, whole or with one of four defects, exact masks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from xaieval.datasets.base import Dataset, DatasetSpec, Record
from xaieval.datasets.nut_render import Rendered, render
from xaieval.datasets.whole_numbers import whole
from xaieval.digest import rng
from xaieval.errors import ConfigError, unknown
from xaieval.types import Image, Mask

CLASSES = ("crack", "cut", "good", "hole", "print")
VERSION = 1
"""Raised by hand whenever the same options give other pixels; part of the digest."""

OPTIONS: Mapping[str, Any] = {"n_per_class": 28, "size": 192, "seed": 0, "confound": None}

# Drawing takes longer than reading a file would, and image, regions and thumbnail of one sample
# are asked for one after the other. 256 pictures of 192² are 47 MB with their masks.
_drawn = lru_cache(maxsize=256)(render)


def _render(size: int, label: str, index: int, seed: int, marker: bool) -> Rendered:
    return _drawn(size=size, label=label, index=index, seed=seed, marker=marker)


def _image(size: int, label: str, index: int, seed: int, marker: bool) -> Image:
    return _render(size, label, index, seed, marker).image.copy()


def _regions(
    size: int, label: str, index: int, seed: int, marker: bool, confounded: bool
) -> dict[str, Mask]:
    drawn = _render(size, label, index, seed, marker)
    regions = {"defect": drawn.defect.copy()}
    if confounded:
        regions["confound"] = drawn.marker.copy()
    return regions


def _shares(confound: object) -> dict[str, float]:
    """Return the share of each class's pictures that carry the marker."""
    where = "synthetic-hazelnut, option confound"
    if confound is None:
        return {}
    if isinstance(confound, str):
        confound = {confound: 1.0}
    if not isinstance(confound, Mapping):
        raise ConfigError(
            "bad confound", where=where, expected="a class or {class: share}", got=confound
        )
    for name, share in confound.items():
        if name not in CLASSES:
            raise unknown("class", name, CLASSES, where=where)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ConfigError(
                f"bad share of class {name!r}", where=where, expected="0 to 1", got=share
            )
    return {str(name): float(share) for name, share in confound.items()}


def open_synthetic_hazelnut(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Return the dataset; nothing is drawn before it is asked for, nothing is read from disk.

    Options
    -------
    n_per_class : int
        Pictures of each of the five classes.
    size : int, 32 to 2048
        Side of the square pictures (px).
    seed : int
        Another seed draws other nuts.
    confound : None, class name or {class: share}
        Plants a coloured tag in the upper right corner of that share of the class's pictures
        (a class name alone: all of them) and adds the region ``confound`` (empty where there is
        no tag): a classifier may then learn the tag, and a heatmap should say so.

    Every class draws pose, shell, light and ground from the same distributions; defects cover
    0.6 to 4.5 % of the picture.

    Raises
    ------
    ConfigError
        For a value out of range or an unknown class.
    """
    n = whole(options["n_per_class"], "n_per_class", 1, 100_000, dataset="synthetic-hazelnut")
    size = whole(options["size"], "size", 32, 2048, dataset="synthetic-hazelnut")
    seed = whole(options["seed"], "seed", 0, 2**63 - 1, dataset="synthetic-hazelnut")
    shares = _shares(options["confound"])
    digits = max(3, len(str(n - 1)))
    records = []
    for label, name in enumerate(CLASSES):
        count = round(shares.get(name, 0.0) * n)
        tagged = set(rng("synthetic-hazelnut", seed, name, "tags").permutation(n)[:count].tolist())
        for index in range(n):
            marker = index in tagged
            arguments = (size, name, index, seed, marker)
            records.append(
                Record(
                    id=f"{name}/{index:0{digits}d}",
                    label=label,
                    layout_split=None,
                    has_mask=name != "good",
                    read_image=partial(_image, *arguments),
                    read_regions=partial(_regions, *arguments, bool(shares)),
                    meta={"source": "rendered", **({"confound": marker} if shares else {})},
                )
            )
    return Dataset(
        name="synthetic-hazelnut",
        root=None,
        class_names=CLASSES,
        region_names=("defect", "confound") if shares else ("defect",),
        records=records,
        fingerprint=lambda: {
            "version": VERSION,
            "n_per_class": n,
            "size": size,
            "seed": seed,
            "confound": shares,
        },
    )


SPEC = DatasetSpec(
    id="synthetic-hazelnut",
    label="Synthetic hazelnuts",
    summary="rendered nuts: good, crack, cut, hole, print; exact masks, optional planted tag",
    layout="none: drawn on demand",
    licence="MIT, as this package",
    source="this package",
    size="28 images a class by default, any number on demand; no bytes on disk",
    opener=open_synthetic_hazelnut,
    detect=lambda path: False,
    builtin=True,
    options=OPTIONS,
)
