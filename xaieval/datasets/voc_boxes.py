"""Boxes around objects in the XML of PASCAL VOC, as ImageNet has them, and their masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from xaieval.datasets.images import image_size, is_sideways, turn_like
from xaieval.errors import DataError
from xaieval.types import Mask

_LARGEST = 1 << 20  # bytes; ImageNet's files have about 500, and 5,000 with fifty boxes
_FIX = "restore the file from its source"


@dataclass(frozen=True)
class Box:
    """An object's name and its edges in px; ``right`` and ``bottom`` are just outside."""

    name: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Annotation:
    """The boxes of one picture, in pixels of a picture of ``size`` (height, width).

    ``size`` is None where the file does not say it, or says 0: then it is the picture's.
    """

    size: tuple[int, int] | None
    boxes: tuple[Box, ...]

    def only(self, name: str) -> Annotation:
        """Return the annotation with the boxes of one name alone."""
        return Annotation(self.size, tuple(box for box in self.boxes if box.name == name))

    def outside(self) -> tuple[Box, ...]:
        """Return the boxes that hold no pixel of the picture, as far as its size is known."""
        height, width = self.size or (math.inf, math.inf)
        return tuple(
            box
            for box in self.boxes
            if min(box.right, width) <= max(box.left, 0)
            or min(box.bottom, height) <= max(box.top, 0)
        )


def read_voc(path: Path) -> Annotation:
    """Read an annotation: ``size`` (width, height) and, of each ``object``, name and ``bndbox``.

    Raises
    ------
    DataError
        When the file is missing, no XML, declares entities, or a box lacks an edge.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError("cannot be read", where=path, got=error.strerror) from error
    if len(data) > _LARGEST or b"<!" in data.replace(b"<!--", b""):
        # Entities can blow a small file up to gigabytes; annotations have none.
        raise DataError("not a VOC annotation", where=path, got="a large file or a DTD", fix=_FIX)
    try:
        root = ElementTree.fromstring(data)
        boxes = tuple(_box(found) for found in root.findall("object"))
        size = root.find("size")
        height, width = (0, 0) if size is None else (_whole(size, "height"), _whole(size, "width"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError("not a VOC annotation", where=path, got=error, fix=_FIX) from error
    if root.tag != "annotation":
        raise DataError(
            "not a VOC annotation", where=path, expected="<annotation>", got=f"<{root.tag}>"
        )
    return Annotation((height, width) if height > 0 and width > 0 else None, boxes)


def _box(found: ElementTree.Element) -> Box:
    edges = found.find("bndbox")
    if edges is None:
        raise ValueError("an object without bndbox")
    left, top, right, bottom = (_number(edges, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    return Box((found.findtext("name") or "").strip(), left, top, right, bottom)


def _number(parent: ElementTree.Element, key: str) -> float:
    text = parent.findtext(key)
    if text is None:
        raise ValueError(f"no {key}")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{key} is {text.strip()}")
    return value


def _whole(parent: ElementTree.Element, key: str) -> int:
    return int(_number(parent, key)) if parent.findtext(key) else 0


def boxes_mask(annotation: Annotation, size: tuple[int, int]) -> Mask:
    """Return the union of all boxes in a picture of ``size`` (height, width), bool (H, W).

    A box covers pixels from its lower edge to just before its upper one, as in the original code
    of Shared Interest. Boxes of a picture of another size are scaled and rounded outwards; what
    lies outside is cut off.

    >>> boxes_mask(Annotation((2, 4), (Box("", 1, 0, 3, 1),)), (2, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    mask = np.zeros(size, np.bool_)
    down, across = (1.0, 1.0)
    if annotation.size is not None:
        down, across = size[0] / annotation.size[0], size[1] / annotation.size[1]
    for box in annotation.boxes:
        rows = _between(box.top * down, box.bottom * down)
        columns = _between(box.left * across, box.right * across)
        mask[rows, columns] = True
    return mask


def _between(low: float, high: float) -> slice:
    tiny = 1e-6  # so that 3 * (1 / 3) is 1 and not the pixel behind it
    return slice(max(math.floor(low + tiny), 0), max(math.ceil(high - tiny), 0))


def read_box_region(annotation: Annotation, image: Path, region: str) -> dict[str, Mask]:
    """Return the boxes' region at the size of the upright image.

    Boxes that were drawn on the stored pixels of a picture that EXIF turns sideways (the
    annotation states the stored size) are turned with it.

    Raises
    ------
    DataError
        When the image's header cannot be read.
    """
    height, width = image_size(image)
    if annotation.size == (width, height) and height != width and is_sideways(image):
        return {region: turn_like(boxes_mask(annotation, (width, height)), image)}
    return {region: boxes_mask(annotation, (height, width))}
