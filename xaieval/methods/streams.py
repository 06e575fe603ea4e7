"""Many changed pictures of a run, packed into full passes: points of paths, samples, masked copies.

A method that needs more than the picture itself describes its rows in a ``StreamSpec``; equal specs
of several methods run once. The engine lays the rows of all streams end to end and cuts them into
passes, so that no pass runs half empty at the end of an image, a method or a score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from xaieval.methods.passes import Passes

Reads = Literal["gradients", "logits", "layer_logits"]
"""What a stream wants of its rows.

``gradients``: of the target logit with respect to the row; ``logits``: the logits alone, without a
backward; ``layer_logits``: the logits when the row stands in for the target layer's output.
"""


class Stream(ABC):
    """Rows of all images of a run, image after image, and what becomes of their answers.

    Attributes
    ----------
    rows : int
        How many rows there are in all.
    """

    rows: int

    @abstractmethod
    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return rows (n, C, H, W) and the image (int64 (n,)) that each belongs to.

        A pure function of ``start`` and ``stop``: it is asked again, for fewer rows, when memory
        runs out.
        """

    @abstractmethod
    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        """Take the answers of consecutive rows, in order; must not keep them all.

        ``found`` holds gradients (n, C, H, W) or logits (n, classes), as the spec reads.
        """

    @abstractmethod
    def result(self) -> Any:
        """Return what the method reads as ``passes.found``, once every row was added."""


class StreamSpec(Protocol):
    """What fixes a stream: a frozen, hashable dataclass."""

    @property
    def reads(self) -> Reads:
        """What the stream wants of its rows."""
        ...

    def per_image(self, size: tuple[int, int]) -> int | None:
        """Return the rows of one image of ``size`` (height, width); None when only a run tells."""
        ...

    def open(self, passes: Passes) -> Stream:
        """Start the stream for the images of a run."""
        ...


class Joined:
    """Streams laid end to end.

    Attributes
    ----------
    rows, done : int
        Rows in all, and how many have been answered.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = tuple(streams)
        self._ends = tuple(accumulate(stream.rows for stream in self.streams))
        self.rows, self.done = (self._ends[-1] if self._ends else 0), 0

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[Stream, int, int]]:
        for stream, end in zip(self.streams, self._ends, strict=True):
            begin = end - stream.rows
            if begin < stop and end > start:
                yield stream, max(start, begin) - begin, min(stop, end) - begin

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return rows and their images, across streams."""
        found = [stream.points(first, last) for stream, first, last in self._pieces(start, stop)]
        if len(found) == 1:
            return found[0]
        return torch.cat([rows for rows, _ in found]), torch.cat([image for _, image in found])

    def add(self, start: int, found: Tensor, image: Tensor) -> tuple[Stream, ...]:
        """Hand answers to their streams; return the streams that have now all of theirs."""
        place, stop = 0, start + len(found)
        complete = []
        for stream, first, last in self._pieces(start, stop):
            count = last - first
            stream.add(first, found[place : place + count], image[place : place + count])
            place += count
            if last == stream.rows:
                complete.append(stream)
        self.done = stop
        return tuple(complete)
