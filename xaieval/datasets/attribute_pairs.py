"""A multi-label dataset seen as pairs: one image and one attribute that it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import overload
from weakref import WeakValueDictionary

from xaieval.datasets.base import Dataset, Record
from xaieval.digest import digest
from xaieval.errors import DataError, unknown
from xaieval.types import Image, Mask, Sample

SIGN = "@"
"""Between the image's id and the attribute's name in the id of a pair."""


class _Held:
    """Reads an image for several pairs: once, for as long as one of them is in use."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def image(self) -> Image:
        return self.sample.image

    def regions(self) -> Mapping[str, Mask]:
        return self.sample.regions


class _Records(Sequence[Record]):
    """The records of pairs, each made when it is asked for."""

    def __init__(self, pairs: AttributePairs) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs.ids)

    @overload
    def __getitem__(self, place: int, /) -> Record: ...
    @overload
    def __getitem__(self, place: slice, /) -> Sequence[Record]: ...
    def __getitem__(self, place: int | slice, /) -> Record | Sequence[Record]:
        ids = self._pairs.ids[place]
        if isinstance(ids, str):
            return self._pairs.record(ids)
        return tuple(self._pairs.record(pair) for pair in ids)

    def __iter__(self) -> Iterator[Record]:
        return map(self._pairs.record, self._pairs.ids)


class AttributePairs(Dataset):
    """The pairs (image, attribute that the image has) of a multi-label dataset.

    The unit that is explained and scored where images have several labels: the map of an
    attribute's logit on an image that has it. A pair's id is ``<image id>@<attribute>``, its
    label the attribute's index in the ``class_names`` of the whole dataset, so that it names a
    column of the logits; its task is "single". Image, regions and layout split are the image's,
    read when asked for and once for all pairs of an image that are in use. Records are made when
    asked for: a view of 30,000 images with 40 attributes holds their ids and nothing else.

    ``make_splits`` divides the images; the pairs of an image share its role.

    Parameters
    ----------
    dataset : Dataset
        Its task must be "multilabel".
    attributes : sequence of str
        Only these; empty: all.

    Raises
    ------
    DataError
        When the dataset has single labels, an attribute's name holds ``@``, or no image has any of
        the attributes.
    ConfigError
        For an unknown attribute.
    """

    def __init__(self, dataset: Dataset, *, attributes: Iterable[str] = ()) -> None:
        where = dataset.root or dataset.name
        if dataset.task != "multilabel":
            raise DataError(
                "pairs of image and attribute are of multi-label datasets",
                where=where,
                expected="task 'multilabel'",
                got=repr(dataset.task),
            )
        wanted = set(attributes)
        for name in sorted(wanted):
            if name not in dataset.class_names:
                raise unknown("attribute", name, dataset.class_names, where=where)
        for name in dataset.class_names:
            if SIGN in name:
                raise DataError(f"the name of an attribute holds {SIGN!r}", where=where, got=name)
        self.parent = dataset
        self.name, self.root, self.task = dataset.name, dataset.root, "single"
        self.class_names, self.region_names = dataset.class_names, dataset.region_names
        self.problems = dataset.problems
        self.attributes = tuple(n for n in self.class_names if not wanted or n in wanted)
        self.records = _Records(self)
        self._index = {name: self.class_names.index(name) for name in self.attributes}
        self._held: WeakValueDictionary[str, _Held] = WeakValueDictionary()
        if not self.ids:
            raise DataError(
                "no image has any of the attributes", where=where, got=", ".join(self.attributes)
            )

    def image_of(self, pair: str) -> tuple[str, str]:
        """Return the image's id and the attribute of a pair.

        Raises
        ------
        DataError
            When there is no such pair.
        """
        if pair not in self:
            raise self._no_image(pair)
        image, _, attribute = pair.rpartition(SIGN)
        return image, attribute

    def pairs_of(self, image: str) -> tuple[str, ...]:
        """Return the pairs of an image, in the order of the attributes; it may have none."""
        labels = self.parent.labels_of(image)
        return tuple(f"{image}{SIGN}{name}" for name, index in self._index.items() if labels[index])

    @property
    def ids(self) -> tuple[str, ...]:
        """Every pair's id, in sorted order."""
        return self._ids

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        return tuple(sorted(pair for image in self.parent.ids for pair in self.pairs_of(image)))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, sample_id: object) -> bool:
        image, sign, attribute = str(sample_id).rpartition(SIGN)
        if not sign or attribute not in self._index or image not in self.parent:
            return False
        return bool(self.parent.labels_of(image)[self._index[attribute]])

    def __repr__(self) -> str:
        return (
            f"AttributePairs({self.name!r}, {len(self)} pairs of {len(self.parent)} images, "
            f"attributes {self.attributes}, regions {self.region_names})"
        )

    def record(self, sample_id: str) -> Record:
        """Return the record of a pair, made anew; an unknown id is a DataError."""
        image, attribute = self.image_of(sample_id)
        record = self.parent.record(image)
        held = self._held.get(image)
        if held is None:
            held = self._held[image] = _Held(record.sample())
        return Record(
            id=sample_id,
            label=self._index[attribute],
            layout_split=record.layout_split,
            has_mask=record.has_mask,
            read_image=held.image,
            read_regions=held.regions,
            meta={**record.meta, "image_id": image, "attribute": attribute},
        )

    @cached_property
    def by_class(self) -> Mapping[str, tuple[str, ...]]:
        """Pairs of each attribute; empty for attributes that were not asked for."""
        found: dict[str, list[str]] = {name: [] for name in self.class_names}
        for pair in self.ids:
            found[pair.rpartition(SIGN)[2]].append(pair)
        return MappingProxyType({name: tuple(ids) for name, ids in found.items()})

    @cached_property
    def digest(self) -> str:
        """sha256 of the dataset and of the attributes."""
        return digest("attribute-pairs", self.parent.digest, self.attributes)
