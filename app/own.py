"""A person's own images and masks: in the memory of one session, gone when it ends."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from xaieval.datasets.own_files import read_own_image
from xaieval.digest import digest
from xaieval.render import data_uri, thumbnail
from xaieval.types import Image, Mask, Sample

from .catalogue import Item

OWN_MASK = "own mask"
"""Names the region that a person drew; data sets do not call theirs so."""
MOST_IMAGES = 8
MOST_MASKS = 24
MOST_PIXEL_BYTES = 400_000_000
"""Of all own images of a session together, decoded."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was read; ``key`` stands for its pixels, ``thumb`` is a data URI."""

    image: Image
    key: str
    thumb: str

    @classmethod
    def read(cls, data: bytes, name: str) -> Picture:
        """Read a file's bytes; for the pool. Raises as ``read_own_image``."""
        image = np.ascontiguousarray(read_own_image(data, name))
        return cls(image, digest(image)[:24], data_uri(thumbnail(image), format="jpeg"))


@dataclass(frozen=True, eq=False)
class Own:
    """One own image; ``item`` is what the strip shows of it."""

    item: Item
    picture: Picture

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.image.shape[0], self.picture.image.shape[1]


@dataclass(frozen=True, eq=False)
class OwnMask:
    """An own mask, bool (H, W) at its image's original size; ``key`` stands for it."""

    mask: Mask
    key: str

    @classmethod
    def of(cls, mask: Mask) -> OwnMask:
        """Return a mask with its key; for the pool."""
        return cls(mask, digest(mask)[:24])


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained in place of a data set's sample; its keys stand for picture and mask."""

    sample: Sample
    picture: str
    mask: str
    own_image: bool


class OwnImages:
    """The own images and masks of one session; the oldest make room for new ones."""

    def __init__(self) -> None:
        self._images: OrderedDict[str, Own] = OrderedDict()
        self._masks: OrderedDict[tuple[str, str], OwnMask] = OrderedDict()
        self._count = 0

    @property
    def items(self) -> tuple[Item, ...]:
        """The newest first."""
        return tuple(own.item for own in reversed(self._images.values()))

    def __contains__(self, image: str) -> bool:
        return image in self._images

    def get(self, image: str) -> Own | None:
        return self._images.get(image)

    def add(self, picture: Picture, name: str) -> tuple[Own, tuple[str, ...]]:
        """Take an image in; return it and the names of those that were given up for it."""
        self._count += 1
        stem = PurePath(name.replace("\\", "/")).name or "image"
        item = Item(f"own-{self._count}", f"own/{stem}", "", False)
        own = Own(item, picture)
        self._images[item.id] = own
        dropped = []
        while len(self._images) > 1 and (
            len(self._images) > MOST_IMAGES
            or sum(it.picture.image.nbytes for it in self._images.values()) > MOST_PIXEL_BYTES
        ):
            oldest = next(iter(self._images))
            dropped.append(self._images[oldest].item.sample_id.removeprefix("own/"))
            self.forget(oldest)
        return own, tuple(dropped)

    def forget(self, image: str) -> None:
        """Give up an own image and its mask."""
        self._images.pop(image, None)
        self._masks.pop(("", image), None)

    # ---------------------------------------------------------------- masks

    def mask(self, study: str, image: str) -> OwnMask | None:
        """Return the own mask of an image."""
        return self._masks.get(self._place(study, image))

    def set_mask(self, study: str, image: str, mask: OwnMask | None) -> None:
        """Set or remove the own mask of an image."""
        place = self._place(study, image)
        self._masks.pop(place, None)
        if mask is not None:
            self._masks[place] = mask
            while len(self._masks) > MOST_MASKS:
                self._masks.popitem(last=False)

    def _place(self, study: str, image: str) -> tuple[str, str]:
        return ("" if image in self._images else study), image

    # ---------------------------------------------------------------- what is explained

    def subject(self, study: str, image: str, sample: Sample | None) -> Subject | None:
        """Return what stands in for a data set's ``sample``; None where nothing does."""
        own, mask = self._images.get(image), self.mask(study, image)
        if own is not None:
            pixels, key = own.picture.image, own.picture.key
            sample = Sample(own.item.sample_id, -1, lambda: pixels)
        else:
            key = ""
        if sample is None or (own is None and mask is None):
            return None
        if mask is not None:
            sample = with_mask(sample, mask.mask)
        return Subject(sample, key, "" if mask is None else mask.key, own is not None)

    def clear(self) -> None:
        """Forget everything: the session ended."""
        self._images.clear()
        self._masks.clear()


def with_mask(sample: Sample, mask: Mask) -> Sample:
    """Return a sample with the own mask as one more region."""
    return replace(sample, read_regions=lambda: {**sample.regions, OWN_MASK: mask})
