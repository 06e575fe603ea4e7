"""Pairs of faces that differ in one attribute: drawn twins, or photographs by their annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from xaieval.datasets.face_parts import region_names, regions_of
from xaieval.datasets.face_render import Drawn as DrawnFace
from xaieval.datasets.synthetic_faces import draw_pair
from xaieval.digest import digest
from xaieval.reproduce.celebamask_regions.plans import VARIED, Drawn
from xaieval.types import Sample

if TYPE_CHECKING:
    from xaieval.datasets import Dataset

# Twins are other persons than those that the network saw.
_OTHERS = 1_000_003


@dataclass(frozen=True, eq=False)
class Pair:
    """Two faces: ``a`` has the attribute, ``b`` has not; else they have the same attributes."""

    id: str
    attribute: str
    a: Sample
    b: Sample


@dataclass(frozen=True, eq=False)
class _Twins:
    drawn: Drawn
    attribute: str
    index: int
    regions: tuple[str, ...] = field(default_factory=region_names)

    @cached_property
    def faces(self) -> tuple[Sample, Sample]:
        without, with_it = draw_pair(
            size=self.drawn.size,
            seed=self.drawn.seed + _OTHERS,
            index=self.index,
            attribute=self.attribute,
        )
        names = f"{self.attribute}/{self.index}", f"not {self.attribute}/{self.index}"
        return self._sample(names[0], with_it), self._sample(names[1], without)

    def _sample(self, name: str, face: DrawnFace) -> Sample:
        return Sample(
            id=name,
            label=0,
            read_image=face.image.copy,
            read_regions=lambda: regions_of(face.labels, self.regions),
        )


def drawn_pairs(drawn: Drawn, count: int) -> list[Pair]:
    """Return twins, the attributes in turn; each pair is another person.

    >>> [pair.id for pair in drawn_pairs(Drawn(10, 32), 2)]
    ['Arched_Eyebrows/0', 'Bangs/1']
    """
    found = []
    for index in range(count):
        attribute = VARIED[index % len(VARIED)]
        a, b = _Twins(drawn, attribute, index).faces
        found.append(Pair(a.id, attribute, a, b))
    return found


def real_pairs(dataset: Dataset, count: int, *, attributes: Sequence[str] = VARIED) -> list[Pair]:
    """Return images whose annotations differ in exactly one attribute.

    Test images first, then the others; in the order of their digests; the attributes in turn; an
    image is in one pair at most.

    Parameters
    ----------
    dataset : Dataset
        Multi-label, with all its attributes.
    attributes : sequence of str
        The two may differ in one of these.
    """
    used: set[str] = set()
    found: list[Pair] = []
    for test in (True, False):
        records = [r for r in dataset.records if (r.layout_split == "test") == test]
        order = sorted(records, key=lambda record: digest("pair", record.id))
        labels = {record.id: np.asarray(record.label, np.bool_) for record in order}
        alike: dict[bytes, list[str]] = {}
        for record in order:
            alike.setdefault(labels[record.id].tobytes(), []).append(record.id)
        waiting = {
            name: iter([record.id for record in order if labels[record.id][column]])
            for column, name in enumerate(dataset.class_names)
            if name in attributes
        }
        while waiting and len(found) < count:
            for name in list(waiting):
                pair = _next(waiting[name], name, dataset, labels, alike, used)
                if pair is None:
                    del waiting[name]
                    continue
                found.append(pair)
                if len(found) == count:
                    break
    return found


def _next(
    waiting: Iterator[str],
    attribute: str,
    dataset: Dataset,
    labels: dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]],
    alike: dict[bytes, list[str]],
    used: set[str],
) -> Pair | None:
    """Return the next pair of an attribute; None when there is no more."""
    column = dataset.class_names.index(attribute)
    for a in waiting:
        if a in used:
            continue
        without = labels[a].copy()
        without[column] = False
        partner = next((b for b in alike.get(without.tobytes(), ()) if b not in used), None)
        if partner is not None:
            used |= {a, partner}
            return Pair(f"{a}@{attribute}~{partner}", attribute, dataset[a], dataset[partner])
    return None
