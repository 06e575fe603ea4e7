"""Where the digits of decoy MNIST come from: MNIST's files, or drawings in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from xaieval.datasets import digits
from xaieval.datasets.idx import find_idx, read_idx
from xaieval.digest import rng
from xaieval.errors import DataError

PARTS = ("train", "t10k")
"""MNIST's two pairs of files: to train and to test."""
TEST_SHARE = 0.3
"""Of MNIST's one pair of files, where the other is missing."""
DRAWN: Mapping[str, int] = {"train": 7000, "test": 3000}
"""Digits that are drawn where no number is asked for."""
MOST_DRAWN = 100_000

Numbers = npt.NDArray[np.int64]
Split = Literal["train", "test"]


class Digits(Protocol):
    """Where grey digits come from: their labels, and the pictures, 0 being ground."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Numbers: ...
    def picture(self, index: int) -> npt.NDArray[np.uint8]: ...


@dataclass(frozen=True)
class MnistDigits:
    """One pair of MNIST's files."""

    name: str
    images_path: Path
    labels_path: Path

    @property
    def labels(self) -> Numbers:
        return read_idx(self.labels_path, axes=1).astype(np.int64)

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        pixels: npt.NDArray[np.uint8] = read_idx(self.images_path, axes=3)[index]
        return pixels


@dataclass(frozen=True)
class DrawnDigits:
    """Drawn digits, every class equally often; ``first`` keeps two such sets apart."""

    seed: int
    first: int
    name: str = "procedural digits"

    @property
    def labels(self) -> Numbers:
        return np.arange(MOST_DRAWN, dtype=np.int64) % 10

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        return _drawn(index % 10, self.first + index, self.seed)


# A test digit is asked for under two conditions, as picture and as regions; 16,384 are 13 MB.
@lru_cache(maxsize=16384)
def _drawn(digit: int, index: int, seed: int) -> npt.NDArray[np.uint8]:
    return digits.draw_digit(digit, index, seed=seed)


Sets = Mapping[Split, tuple[Digits, Numbers]]
"""A source of digits for each split, and which of its digits belong to the split."""


def spread(labels: Numbers, what: str, seed: int, split: str = "") -> Numbers:
    """Return an order of which every beginning has the classes' shares, as far as it can."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        shuffled = rng("decoy-mnist", what, seed, split, int(label)).permutation(here)
        place[shuffled] = (np.arange(len(here)) + 0.5) / len(here)
    return np.argsort(place, kind="stable")


def drawn_sets(seed: int) -> Sets:
    """Return drawn digits, the usual number to train and to test, none of them in both."""
    return {
        "train": (DrawnDigits(seed, 0), np.arange(DRAWN["train"])),
        "test": (DrawnDigits(seed, MOST_DRAWN), np.arange(DRAWN["test"])),
    }


def mnist_sets(root: Path, seed: int) -> Sets:
    """Return MNIST's digits; one pair of files alone is divided, each class alike.

    Raises
    ------
    DataError
        When there is no pair of files, or one is damaged.
    """
    pairs = dict(_pairs(root))
    every = {name: np.arange(len(pair.labels)) for name, pair in pairs.items()}
    if len(pairs) == 2:
        return {
            "train": (pairs["train"], every["train"]),
            "test": (pairs["t10k"], every["t10k"]),
        }
    (part,) = pairs
    pair, indices = pairs[part], every[part]
    count = round(TEST_SHARE * len(indices))
    divided = MnistDigits(
        f"{pair.name}, {len(indices) - count} of {len(indices)} to train and {count} to test",
        pair.images_path,
        pair.labels_path,
    )
    order = spread(pair.labels, "split", seed)
    return {"train": (divided, np.sort(order[count:])), "test": (divided, np.sort(order[:count]))}


def _pairs(root: Path) -> Iterator[tuple[str, MnistDigits]]:
    """Yield the pairs of files that a folder holds, checked, or raise what is wrong."""
    home = home_of(root)
    if home is None:
        raise DataError(
            "no MNIST files",
            where=root,
            expected=" and ".join(f"{part}-images-idx3-ubyte(.gz)" for part in PARTS),
            fix='name their folder with --data, or set the option source to "procedural"',
        )
    for part in PARTS:
        images = find_idx(home, f"{part}-images-idx3-ubyte")
        labels = find_idx(home, f"{part}-labels-idx1-ubyte")
        if images is None and labels is None:
            continue
        if images is None or labels is None:
            kind = "images-idx3" if images is None else "labels-idx1"
            raise DataError(
                "half of a pair of files",
                where=images or labels,
                expected=f"{part}-{kind}-ubyte(.gz) beside it",
                fix="add it, or remove this one",
            )
        shape, known = read_idx(images, axes=3).shape, read_idx(labels, axes=1)
        if shape[1:] != (digits.SIDE, digits.SIDE):
            raise DataError("not MNIST", where=images, expected="28 x 28 pixels", got=shape[1:])
        if len(known) != shape[0]:
            raise DataError(
                "labels and images differ", where=labels, expected=shape[0], got=len(known)
            )
        if set(np.unique(known).tolist()) != set(range(10)):
            raise DataError(
                "not the labels of ten digits",
                where=labels,
                expected="each of 0 to 9",
                got=np.unique(known).tolist(),
            )
        yield part, MnistDigits(f"MNIST {part}", images, labels)


def home_of(root: Path) -> Path | None:
    """Return the folder of MNIST's files: this one, or where torchvision puts them below it."""
    for folder in (root, root / "raw", root / "MNIST" / "raw"):
        for part in PARTS:
            if any(
                find_idx(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")
            ):
                return folder
    return None


def files_of(sets: Sets) -> list[Path]:
    """Return the files behind some digits, sorted by name."""
    found = set()
    for source, _ in sets.values():
        if isinstance(source, MnistDigits):
            found |= {source.images_path, source.labels_path}
    return sorted(found, key=lambda path: path.name)
