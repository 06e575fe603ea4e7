"""The named regions of one image: one index image for the browser, and each map's share in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.geometry import Geometry
from xaieval.metrics import score
from xaieval.render import PART_COLOURS, data_uri
from xaieval.types import Heatmap, Mask

REST = ""
"""Stands for what no region covers; no region is called so."""
SIGNED = "the map has negative values: a share of its sum means nothing"
_BITS = 32
"""Regions that share a pixel's code at a time."""


@dataclass(frozen=True, eq=False)
class Regions:
    """All regions of an image in input space; a pixel may lie in several, or in none.

    Attributes
    ----------
    names : tuple of str, length P
    index : uint32 (H, W)
        Which row of ``members`` a pixel's regions are.
    members : bool (C, P)
        The combinations of regions that occur; each has a pixel.
    """

    names: tuple[str, ...]
    index: npt.NDArray[np.uint32]
    members: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, masks: Mapping[str, Mask], size: tuple[int, int]) -> Regions:
        """Return the regions of masks bool (H, W); empty ones are absent from the image.

        >>> nose = np.array([[1, 0, 0]], bool)
        >>> found = Regions.of({"nose": nose, "face": np.array([[1, 1, 0]], bool)}, (1, 3))
        >>> found.at(0, 0), found.at(0, 1), found.at(0, 2)
        (('nose', 'face'), ('face',), ())
        """
        names = tuple(masks)
        index = np.zeros(size, np.int64)
        members = np.zeros((1, 0), bool)
        for start in range(0, len(names), _BITS):
            code = index << _BITS
            for bit, name in enumerate(names[start : start + _BITS]):
                code |= masks[name].astype(np.int64) << bit
            found, inverse = np.unique(code, return_inverse=True)
            new = (found[:, None] >> np.arange(min(_BITS, len(names) - start))) & 1
            members = np.hstack([members[found >> _BITS], new.astype(bool)])
            index = inverse.reshape(size)
        return cls(names, index.astype(np.uint32), members)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Region -> its px; 0 where it is absent."""
        counts = np.bincount(self.index.ravel(), minlength=len(self.members))
        return dict(zip(self.names, (counts @ self.members).tolist(), strict=True))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Regions of which no two overlap, the small before the large: in a face the eye, not the
        face. The others overlap one of them.
        """
        together = self.members.T.astype(np.int64) @ self.members.astype(np.int64) > 0
        chosen: list[int] = []
        for place in sorted(range(len(self.names)), key=lambda p: self.sizes[self.names[p]]):
            if self.sizes[self.names[place]] and not together[place, chosen].any():
                chosen.append(place)
        return tuple(self.names[place] for place in sorted(chosen))

    @cached_property
    def _finest_first(self) -> list[int]:
        parts = set(self.parts)
        return sorted(
            range(len(self.names)),
            key=lambda p: (self.names[p] not in parts, self.sizes[self.names[p]]),
        )

    @cached_property
    def stacks(self) -> tuple[tuple[str, ...], ...]:
        """The regions of each row of ``members``, the finest first."""
        return tuple(
            tuple(self.names[p] for p in self._finest_first if row[p]) for row in self.members
        )

    def at(self, row: int, column: int) -> tuple[str, ...]:
        """Return the regions of a pixel, the finest first."""
        return self.stacks[self.index[row, column]]

    def mask(self, name: str) -> Mask:
        """Return a region, bool (H, W); nothing for one that the image does not know."""
        if name not in self.names:
            return np.zeros(self.index.shape, bool)
        return np.asarray(self.members[:, self.names.index(name)][self.index])

    def rest(self) -> Mask:
        """Return what lies in no region."""
        return np.asarray(~self.members.any(axis=1)[self.index])

    @cached_property
    def src(self) -> str:
        """The index image as a PNG: red + 256 · green + 65536 · blue is the row of ``stacks``."""
        bytes_ = [(self.index >> shift) & 255 for shift in (0, 8, 16)]
        return data_uri(np.stack(bytes_, axis=-1).astype(np.uint8))


def carry(regions: Mapping[str, Mask], geometry: Geometry) -> Regions:
    """Return regions at their image's original size as they lie in input space."""
    carried = {name: geometry.mask(mask) for name, mask in regions.items()}
    return Regions.of(carried, geometry.input)


def shares(heatmap: Heatmap, regions: Regions) -> dict[str, float | None] | str:
    """Return the share of a heatmap's sum in each region and in ``REST``; None where it is absent.

    A sentence instead where the shares are undefined.
    """
    if heatmap.values.min() < 0:
        return SIGNED
    masks = np.stack([*(regions.mask(name) for name in regions.names), regions.rest()])
    found = score(heatmap.values[None], masks[None], metrics=["mass_accuracy"])["mass_accuracy"][0]
    if not heatmap.values.any():
        return "the map is zero everywhere"
    values = [None if math.isnan(value) else value for value in found.tolist()]
    return dict(zip((*regions.names, REST), values, strict=True))


def listing(regions: Regions, names: Sequence[str], picked: str) -> dict[str, Any]:
    """Return what the browser needs to name, colour and offer the regions of an image.

    ``names``: all regions of the dataset, in its order; each keeps its colour in every image.
    """
    known = tuple(dict.fromkeys((*names, *regions.names)))
    area = regions.index.size
    entries: list[dict[str, Any]] = []
    for place, name in enumerate(known):
        px = regions.sizes.get(name, 0)
        kind = "absent" if not px else "part" if name in regions.parts else "overlapping"
        colour = PART_COLOURS[place % len(PART_COLOURS)]
        entries.append({"name": name, "px": px, "share": px / area, "kind": kind, "colour": colour})
    rest = area - sum(entry["px"] for entry in entries if entry["kind"] == "part")
    rest = int(regions.rest().sum()) if rest else 0
    if rest:
        entries.append({"name": REST, "px": rest, "share": rest / area, "kind": "rest"})
    numbers = {name: number for number, name in enumerate(known)}
    return {
        "list": entries,
        "stacks": [[numbers[name] for name in stack] for stack in regions.stacks],
        "picked": picked,
    }
