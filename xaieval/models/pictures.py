"""Pictures and masks in input space, read once and kept in memory while they fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xaieval.errors import DataError
from xaieval.models.preprocessing import Preprocessing
from xaieval.types import Image, Mask, Sample, Task

DEFAULT_MEMORY_BYTES = 2 << 30


class TrainingData(Protocol):
    """What training needs of a dataset; ``xaieval.datasets.Dataset`` has it."""

    @property
    def name(self) -> str: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def region_names(self) -> tuple[str, ...]: ...
    @property
    def task(self) -> Task: ...
    @property
    def digest(self) -> str: ...
    def __getitem__(self, sample_id: str, /) -> Sample: ...


class Pictures:
    """The pictures of some samples with the masks of one region, resized to the model's input.

    Parameters
    ----------
    data : TrainingData
    preprocessing : Preprocessing
    region : str or None
        Whose mask is wanted; None leaves masks out.
    memory_bytes : int
        What does not fit is read anew each time.
    """

    def __init__(
        self,
        data: TrainingData,
        preprocessing: Preprocessing,
        *,
        region: str | None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        self._data, self._preprocessing, self._region = data, preprocessing, region
        self._left_bytes = memory_bytes
        self._kept: dict[str, tuple[Image, Mask | None]] = {}
        self.labels: dict[str, int | npt.NDArray[np.bool_]] = {}
        self.with_mask: set[str] = set()

    def _read(self, sample_id: str) -> tuple[Image, Mask | None]:
        sample = self._data[sample_id]
        picture = self._preprocessing.picture(sample.image)
        if self._region is None or self._region not in sample.regions:
            return picture, None
        geometry = self._preprocessing.geometry(sample.image.shape[:2])
        return picture, geometry.mask(sample.regions[self._region])

    def load(
        self, ids: Sequence[str], *, strict: bool, on_read: Callable[[], None]
    ) -> tuple[list[str], list[str]]:
        """Read every sample once; return the ids that are usable, and what is wrong with others.

        Raises
        ------
        DataError
            On the first damaged sample, when ``strict``.
        """
        usable: list[str] = []
        problems: list[str] = []
        for sample_id in ids:
            try:
                pair = self._read(sample_id)
            except DataError as error:
                if strict:
                    raise
                problems.append(f"{sample_id} left out: {error}")
                on_read()
                continue
            usable.append(sample_id)
            label = self._data[sample_id].label
            self.labels[sample_id] = label if isinstance(label, np.ndarray) else int(label)
            if pair[1] is not None:
                self.with_mask.add(sample_id)
            size = pair[0].nbytes + (0 if pair[1] is None else pair[1].nbytes)
            if size <= self._left_bytes:
                self._left_bytes -= size
                self._kept[sample_id] = pair
            on_read()
        return usable, problems

    def pair(self, sample_id: str) -> tuple[Image, Mask]:
        """Return picture uint8 (h, w, 3) and mask bool (h, w), all False where there is none."""
        picture, mask = self._kept.get(sample_id) or self._read(sample_id)
        return picture, np.zeros(picture.shape[:2], bool) if mask is None else mask


def known_masks(
    ids: Sequence[str], labels: Mapping[str, int | npt.NDArray[np.bool_]], with_mask: set[str]
) -> dict[str, bool]:
    """Tell for each sample whether its mask may be learned from.

    A sample without a mask teaches "nothing here" when no sample of its class has a mask while
    other classes have some (a class without defects, as project_iml's empty masks for good).
    Where other samples of its class have masks, or no sample of the set has any, its mask is
    unknown and does not enter the mask loss. Of samples with several labels only the masks that
    are there are known.

    >>> known_masks(["a", "b", "c"], {"a": 0, "b": 1, "c": 1}, {"b"})
    {'a': True, 'b': True, 'c': False}
    """
    classes = {i: label for i in ids if not isinstance(label := labels[i], np.ndarray)}
    masked = {label for i, label in classes.items() if i in with_mask}
    return {
        i: i in with_mask or (bool(masked) and i in classes and classes[i] not in masked)
        for i in ids
    }


def stack(pairs: Sequence[tuple[Image, Mask]]) -> tuple[npt.NDArray[np.uint8], Mask]:
    """Return pictures (B, h, w, 3) and masks (B, h, w) of some pairs."""
    return np.stack([p for p, _ in pairs]), np.stack([m for _, m in pairs])
