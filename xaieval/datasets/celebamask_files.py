"""The files of CelebAMask-HQ by their names alone: what is there, whose, and what is misplaced."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from xaieval.datasets.base import Problem
from xaieval.datasets.face_annotations import several
from xaieval.datasets.face_parts import PARTS

FOLDER = "CelebAMask-HQ"
IMAGES, MASKS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
ATTRIBUTE_FILE = "CelebAMask-HQ-attribute-anno.txt"
POSE_FILE = "CelebAMask-HQ-pose-anno.txt"
MAPPING_FILE = "CelebA-HQ-to-CelebA-mapping.txt"
PARTITION_FILE = "list_eval_partition.txt"
PER_FOLDER = 2000
"""Images whose masks share a folder: the masks of image n are in folder n // 2000."""

_BITS = {name: 1 << number for number, name in enumerate(PARTS)}


def mask_file(number: int, part: str) -> str:
    """Return where a part's mask lies in the dataset's folder.

    >>> mask_file(2000, "l_eye")
    'CelebAMask-HQ-mask-anno/1/02000_l_eye.png'
    """
    return f"{MASKS}/{number // PER_FOLDER}/{number:05d}_{part}.png"


class PartFiles(Mapping[str, str]):
    """Part -> mask file of one image, made of 18 bits: 30,000 dicts of names would not be small."""

    __slots__ = ("_bits", "_number")

    def __init__(self, number: int, bits: int) -> None:
        self._number, self._bits = number, bits

    def __getitem__(self, part: str) -> str:
        if not self._bits & _BITS[part]:
            raise KeyError(part)
        return mask_file(self._number, part)

    def __iter__(self) -> Iterator[str]:
        return (part for part, bit in _BITS.items() if self._bits & bit)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __repr__(self) -> str:
        return f"PartFiles({dict(self)})"


@lru_cache(maxsize=4096)
def missing_parts(bits: int) -> tuple[str, ...]:
    """Return the parts without a file; equal answers are one object."""
    return tuple(part for part, bit in _BITS.items() if not bits & bit)


def find_root(path: Path) -> Path:
    """Return the dataset's own folder, given it or the folder that holds it."""
    inside = path / FOLDER
    return inside if not (path / IMAGES).is_dir() and inside.is_dir() else path


def detect(root: Path) -> bool:
    """Tell whether a folder is in this layout."""
    found = find_root(root)
    return (found / IMAGES).is_dir() and (found / MASKS).is_dir()


def list_images(folder: Path) -> tuple[list[int], list[Problem]]:
    """Return the numbers of the images ``<number>.jpg``, sorted, and what else lies there."""
    numbers, odd = [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            stem, _, ending = entry.name.partition(".")
            if ending == "jpg" and stem.isdecimal() and str(int(stem)) == stem:
                numbers.append(int(stem))
            elif not entry.name.startswith("."):
                odd.append(entry.name)
    fix = "name it <number>.jpg, or remove it"
    return sorted(numbers), several(folder, "not an image of this layout", sorted(odd), fix)


def list_masks(folder: Path, images: set[int]) -> tuple[dict[int, int], list[Problem]]:
    """Return image number -> bits of its parts, from the names in the numbered folders."""
    bits: dict[int, int] = {}
    faults: dict[tuple[str, str], list[str]] = {}

    def fault(what: str, fix: str, name: str) -> None:
        faults.setdefault((what, fix), []).append(name)

    for place in sorted(os.listdir(folder)):
        if place.startswith("."):
            continue
        if not place.isdecimal() or not (folder / place).is_dir():
            fault("not a folder of masks", "folders are numbered 0 to 14; remove it", place)
            continue
        home = int(place)
        with os.scandir(folder / place) as listing:
            for entry in listing:
                name = entry.name
                key, _, part = name[:-4].partition("_")
                bit = _BITS.get(part)
                if bit is None or len(key) != 5 or not key.isdecimal() or name[-4:] != ".png":
                    if not name.startswith("."):
                        fault(
                            "not a mask of this layout",
                            f"name it <5 digits>_<part>.png, part one of {', '.join(PARTS)}",
                            f"{place}/{name}",
                        )
                    continue
                number = int(key)
                if number // PER_FOLDER != home:
                    fault(
                        "mask in the wrong folder",
                        "masks of image n belong in folder n // 2000",
                        f"{place}/{name}",
                    )
                elif number not in images:
                    fault(
                        "mask without image", "add the image or remove the mask", f"{place}/{name}"
                    )
                else:
                    bits[number] = bits.get(number, 0) | bit
    problems = []
    for (what, fix), names in faults.items():
        problems += several(folder, what, sorted(names), fix)
    return bits, problems
