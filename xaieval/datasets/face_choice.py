"""Which faces a dataset holds: split, a biased training set, the first N of each side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from xaieval.datasets.base import Labels, LayoutSplit
from xaieval.datasets.face_options import FaceOptions
from xaieval.errors import DataError, unknown


@dataclass(frozen=True, eq=False)
class Face:
    """One chosen image: its place in what was offered, label, split and group."""

    place: int
    label: int | Labels
    split: LayoutSplit
    group: str | None


def choose(
    keys: Sequence[str],
    *,
    options: FaceOptions,
    names: Sequence[str],
    values: npt.NDArray[np.bool_] | None,
    official: Sequence[LayoutSplit | None],
    where: str,
) -> tuple[tuple[str, ...], list[Face]]:
    """Return the class names, and the images that the options ask for, in the order of ``keys``.

    Parameters
    ----------
    keys : sequence of str
        A name per image, from which every choice is drawn by digest, never by its place.
    names, values : attribute names; bool (n, n_names) or None where there are no labels
    official : the authors' split of each image, None where it is not known

    Raises
    ------
    ConfigError
        For an unknown attribute.
    DataError
        When no image is left, or there are too few for a biased set.
    """
    splits = _splits(keys, options, official, where)
    drawn = _order(keys, options.split_seed, "choice")
    if options.among is not None and values is not None:
        wanted = [_column(name, names, where) for name in options.among]
        fits = values[:, wanted].sum(axis=1) == 1
        drawn = [place for place in drawn if fits[place]]
        if not drawn:
            raise DataError(
                "no image has exactly one of these attributes",
                where=where,
                got=", ".join(options.among),
            )
    train = [place for place in drawn if splits[place] != "test"]
    test = [place for place in drawn if splits[place] == "test"]
    groups: list[str | None] = [None] * len(keys)
    labels: Sequence[int | Labels]
    if values is None:
        classes: tuple[str, ...] = ("face",)
        labels = [0] * len(keys)
    elif options.attribute is None:
        classes = tuple(names) if options.attributes is None else options.attributes
        columns = values[:, [_column(name, names, where) for name in classes]]
        labels = list(columns)
    else:
        name = options.attribute
        classes = (f"not {name}", name)
        has = values[:, _column(name, names, where)]
        labels = has.astype(int).tolist()
        if options.bias is not None:
            other = values[:, _column(options.bias, names, where)]
            groups = [group_name(name, a, options.bias, b) for a, b in zip(has, other, strict=True)]
            train = _biased(train, has, other, options, where)
            test = _balanced(test, has, other)
    train = train[: options.train_samples]
    test = test[: options.samples]
    faces = [
        Face(place, labels[place], splits[place], groups[place]) for place in sorted(train + test)
    ]
    return classes, faces


def group_name(attribute: str, has: bool, bias: str, has_bias: bool) -> str:
    """Return the name of one of the four groups.

    >>> group_name("Smiling", True, "Blond_Hair", False)
    'Smiling|not Blond_Hair'
    """
    return f"{'' if has else 'not '}{attribute}|{'' if has_bias else 'not '}{bias}"


def _column(name: str, names: Sequence[str], where: str) -> int:
    if name not in names:
        raise unknown("attribute", name, names, where=where)
    return names.index(name)


def _order(keys: Sequence[str], seed: int, purpose: str) -> list[int]:
    """Return the places of the keys in an order that depends on the keys alone."""
    start = hashlib.sha256(f"faces/{purpose}/{seed}/".encode())

    def drawn(place: int) -> bytes:
        sha = start.copy()
        sha.update(keys[place].encode())
        return sha.digest()

    return sorted(range(len(keys)), key=drawn)


def _splits(
    keys: Sequence[str], options: FaceOptions, official: Sequence[LayoutSplit | None], where: str
) -> list[LayoutSplit]:
    missing = sum(split is None for split in official)
    if options.split == "official" and missing:
        raise DataError(
            f"{missing} images have no official split",
            where=where,
            expected="every image in the mapping to CelebA, or in list_eval_partition.txt",
            fix='restore the file, or set split = "digest"',
        )
    if options.split != "digest" and missing < len(keys):
        return [split or "train" for split in official]
    order = _order(keys, options.split_seed, "split")
    n = min(max(round(options.test_share * len(keys)), 1), max(len(keys) - 1, 0))
    splits: list[LayoutSplit] = ["train"] * len(keys)
    for place in order[:n]:
        splits[place] = "test"
    return splits


def _grouped(
    places: Sequence[int], has: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]
) -> dict[tuple[bool, bool], list[int]]:
    """Return the places of each group: both, neither, the attribute alone, the bias alone."""
    found: dict[tuple[bool, bool], list[int]] = {
        (True, True): [],
        (False, False): [],
        (True, False): [],
        (False, True): [],
    }
    for place in places:
        found[bool(has[place]), bool(other[place])].append(place)
    return found


def _biased(
    places: Sequence[int],
    has: npt.NDArray[np.bool_],
    other: npt.NDArray[np.bool_],
    options: FaceOptions,
    where: str,
) -> list[int]:
    """Return the most places (or as many as asked) whose attributes agree at the rate."""
    groups = list(_grouped(places, has, other).values())
    sizes = [len(group) for group in groups]
    needed = sizes if options.bias_rate < 1 else sizes[:2]
    n = _most(sizes, options.bias_rate) if all(needed) else 0
    if n < 1:
        raise DataError(
            f"no training set with a bias of {options.bias_rate:g}",
            where=where,
            got=f"groups both, neither, one alone, the other alone of {sizes} images",
        )
    if options.train_samples is not None:
        if n < options.train_samples:
            raise DataError(
                f"too few training images for a bias of {options.bias_rate:g}",
                where=where,
                expected=f"{options.train_samples}",
                got=f"at most {n} of the groups both, neither, {options.attribute} alone, "
                f"{options.bias} alone, which hold {sizes}",
                fix="ask for fewer train_samples or another bias_rate",
            )
        n = options.train_samples
    return _dealt(
        [group[:k] for group, k in zip(groups, _counts(n, options.bias_rate), strict=True)]
    )


def _counts(n: int, rate: float) -> tuple[int, int, int, int]:
    """Return how many of n are of each group: agreeing at the rate, each attribute in half.

    >>> _counts(100, 0.9), _counts(100, 0.5)
    ((45, 45, 5, 5), (25, 25, 25, 25))
    """
    agree = round(rate * n)
    rest = n - agree
    return agree - agree // 2, agree // 2, rest // 2, rest - rest // 2


def _most(sizes: Sequence[int], rate: float) -> int:
    """Return the largest n whose counts the groups can give."""
    n = sum(sizes)
    shares = (rate / 2, rate / 2, (1 - rate) / 2, (1 - rate) / 2)
    for size, share in zip(sizes, shares, strict=True):
        if share > 0:
            n = min(n, int((size + 1) / share))
    while n > 0 and any(k > size for k, size in zip(_counts(n, rate), sizes, strict=True)):
        n -= 1
    return n


def _balanced(
    places: Sequence[int], has: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]
) -> list[int]:
    """Return as many places of each group as the smallest holds; empty groups are passed over."""
    groups = [group for group in _grouped(places, has, other).values() if group]
    least = min(map(len, groups), default=0)
    return _dealt([group[:least] for group in groups])


def _dealt(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return the members of the groups in turn, so that any beginning is as even as can be."""
    turns = zip_longest(*groups)
    return [place for turn in turns for place in turn if place is not None]
