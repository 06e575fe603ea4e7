"""What if this were not there: erase or keep a part of a picture, fill the rest, explain again.

An edit acts on a picture at its original size, before any preprocessing, and has a hard edge: a
pixel is replaced whole or not at all, so everything outside the edit keeps its very values. What
stands in for the replaced pixels decides what the network sees there (Fong and Vedaldi 2017,
"Interpretable Explanations of Black Boxes by Meaningful Perturbation", section 4.1; Petsiuk, Das
and Saenko 2018, "RISE", section 4.2): none of the three is neutral, so compare them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageFilter

from xaieval.digest import digest, rng
from xaieval.errors import ConfigError, DataError, unknown
from xaieval.geometry import Geometry
from xaieval.metrics import topk_weights
from xaieval.types import Image, Mask, Sample, check_image

Kind = Literal["erase", "keep"]
Fill = Literal["mean", "blur", "noise"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILLS: tuple[Fill, ...] = get_args(Fill)

BLUR = 10 / 224
"""Standard deviation of the blur, as a share of the shorter side: Fong and Vedaldi (2017, section
4.1) blur pictures of 224 px with a sigma of 10 px."""
DECIMALS = 4
"""Of the fractions in a stroke: 0.4 px in a picture of 4000 px."""
MOST_POINTS = 20_000
_SHAPE = (
    "erase or keep, a fill, and where: erase:blur:region=mouth, keep:mean:topk=412px,gradcam or "
    "erase:noise:brush=r0.04,0.31,0.52,0.33,0.55;r0.04,0.6,0.6"
)
_FRACTION = re.compile(r"\d{1,3}(\.\d{1,12})?", re.ASCII)


@dataclass(frozen=True)
class Stroke:
    """A round brush drawn along a line.

    Attributes
    ----------
    radius : float in (0, 0.5]
        As a fraction of the picture's shorter side.
    points : tuple of (x, y) in [0, 1]
        Corners of the line, as fractions of the picture's width and height from its upper left
        corner; one point is a dot. Fractions are kept to four decimals.

    Raises
    ------
    ConfigError
        For no point, or numbers out of range.
    """

    radius: float
    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        radius = _rounded(self.radius)
        points = tuple((_rounded(x), _rounded(y)) for x, y in self.points)
        if not 0 < radius <= 0.5:
            raise _bad("a brush's radius", "above 0, at most 0.5 of the shorter side", self.radius)
        outside = [p for p in points if not (0 <= p[0] <= 1 and 0 <= p[1] <= 1)]
        if outside or not points:
            got = outside[0] if outside else "no point"
            raise _bad("a stroke", "points (x, y) from 0 to 1", got)
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "points", points)


@dataclass(frozen=True)
class Edit:
    """What to change in a picture: one of a named region, a map's strongest pixels, brush strokes.

    Attributes
    ----------
    kind : "erase" or "keep"
        Replace the pixels of the part, or all the others.
    fill : "mean", "blur" or "noise"
        What stands in their place; see ``apply_edit``.
    region : str
        Name of a region, or ''.
    strokes : tuple of Stroke
    topk : str
        Key of a method: its K strongest pixels on the unchanged picture; or ''.
    k : int, optional
        K in px of the model's input; with ``topk`` only.

    >>> parse_edit("erase:blur:region=mouth")
    Edit(kind='erase', fill='blur', region='mouth', strokes=(), topk='', k=None)
    >>> Edit("keep", "mean", strokes=(Stroke(0.04, ((0.31, 0.52), (0.33, 0.55))),)).text
    'keep:mean:brush=r0.04,0.31,0.52,0.33,0.55'
    >>> Edit("erase", "noise", topk="gradcam", k=412).text
    'erase:noise:topk=412px,gradcam'
    """

    kind: Kind
    fill: Fill
    region: str = ""
    strokes: tuple[Stroke, ...] = ()
    topk: str = ""
    k: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind of edit", self.kind, KINDS)
        if self.fill not in FILLS:
            raise unknown("fill", self.fill, FILLS)
        if sum(map(bool, (self.region, self.strokes, self.topk))) != 1:
            raise _bad("an edit's place", "one of region, topk, brush", self._places())
        if (self.k is not None) != bool(self.topk) or (self.k is not None and self.k < 1):
            raise _bad("an edit's K", "at least 1 px, with topk only", self.k)
        if not (self.region or self.topk or "x").isprintable():
            raise _bad("an edit's place", "a printable name", self.region or self.topk)
        if sum(len(stroke.points) for stroke in self.strokes) > MOST_POINTS:
            raise _bad("a brush", f"at most {MOST_POINTS} points", "more")

    def _places(self) -> str:
        given = {"region": self.region, "topk": self.topk, "brush": self.strokes}
        return " and ".join(name for name, value in given.items() if value) or "none"

    @property
    def text(self) -> str:
        """The edit as a link holds it; ``parse_edit`` reads it back."""
        if self.region:
            place = f"region={self.region}"
        elif self.topk:
            place = f"topk={self.k}px,{self.topk}"
        else:
            place = "brush=" + ";".join(map(_stroke_text, self.strokes))
        return f"{self.kind}:{self.fill}:{place}"


def parse_edit(text: str) -> Edit:
    """Read an edit from a link's text, ``kind:fill:place``.

    The place is ``region=NAME``, ``topk=412px,METHOD`` or ``brush=STROKE;STROKE…``, a stroke being
    ``rRADIUS,x,y,x,y…`` in fractions of the picture (``Stroke``).

    Raises
    ------
    ConfigError
        When the text is none; the message shows one that is.
    """
    kind, colon, rest = text.partition(":")
    fill, colon, place = rest.partition(":")
    what, equals, value = place.partition("=")
    if not (colon and equals and value):
        raise _bad("an edit", _SHAPE, _short(text))
    if kind not in KINDS:
        raise unknown("kind of edit", _short(kind), KINDS)
    if fill not in FILLS:
        raise unknown("fill", _short(fill), FILLS)
    if what == "region":
        return Edit(kind, fill, region=value)
    if what == "topk":
        match = re.fullmatch(r"(\d{1,9})px,(.+)", value, re.ASCII)
        if match is None:
            raise _bad("an edit's place", "such as topk=412px,gradcam", _short(place))
        return Edit(kind, fill, topk=match[2], k=int(match[1]))
    if what == "brush":
        return Edit(kind, fill, strokes=tuple(map(_stroke, value.split(";"))))
    raise unknown("place of an edit", _short(what), ("region", "topk", "brush"))


def strokes_mask(strokes: tuple[Stroke, ...], size: tuple[int, int]) -> Mask:
    """Return the pixels whose centres lie within a stroke's radius of its line, bool (H, W).

    ``size``: (height, width) in px. The radius is a fraction of the shorter side, so a brush is
    round in every picture. A brush thinner than a pixel may cover none.

    >>> strokes_mask((Stroke(0.25, ((0.5, 0.5),)),), (4, 4)).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = size
    mask = np.zeros(size, bool)
    for stroke in strokes:
        radius = stroke.radius * min(size)
        line = np.array(stroke.points) * (width, height)
        for a, b in zip(line, line[1:] if len(line) > 1 else line, strict=False):
            # Centres lie at half pixels; only those in the segment's surroundings are looked at.
            low = np.maximum(np.floor(np.minimum(a, b) - radius - 0.5), 0).astype(int)
            high = np.minimum(np.ceil(np.maximum(a, b) + radius + 0.5), (width, height)).astype(int)
            x = np.arange(low[0], high[0])[None, :] + 0.5
            y = np.arange(low[1], high[1])[:, None] + 0.5
            along = b - a
            length = float(along @ along)
            at = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length if length else 0.0
            at = np.clip(at, 0.0, 1.0)
            square = (x - a[0] - at * along[0]) ** 2 + (y - a[1] - at * along[1]) ** 2
            mask[low[1] : high[1], low[0] : high[0]] |= square <= radius**2
    return mask


def topk_mask(values: npt.NDArray[np.floating], k: int, geometry: Geometry) -> Mask:
    """Return a map's K strongest pixels, carried back to the picture's original size.

    ``values`` float (h, w) in input space. Pixels that tie for the last places are left out, as no
    rule picks among them: of a map that is zero but for ten pixels, those ten.

    >>> g = Geometry((4, 4), (2, 2), (0, 0), (2, 2))
    >>> topk_mask(np.array([[3.0, 1.0], [0.0, 0.0]]), 1, g).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    chosen = topk_weights(values, min(k, values.size)) >= 1
    top, left = geometry.offset
    whole = np.zeros(geometry.resized, np.uint8)
    rows, columns = geometry.input
    whole[top : top + rows, left : left + columns] = chosen
    height, width = geometry.original
    back = PILImage.fromarray(whole).resize((width, height), PILImage.Resampling.NEAREST)
    return np.asarray(back).astype(bool)


def place_of(edit: Edit, size: tuple[int, int], regions: Mapping[str, Mask]) -> Mask:
    """Return the part that an edit is about, bool (H, W) at the picture's original size.

    Raises
    ------
    ConfigError
        For a region that is not among ``regions``, and for a Top-K, which needs a map.
    """
    if edit.strokes:
        return strokes_mask(edit.strokes, size)
    if edit.topk:
        raise ConfigError(
            "a map's strongest pixels need the map", where=edit.text, fix="give topk_mask(…)"
        )
    if edit.region not in regions:
        raise unknown("region", edit.region, regions)
    return regions[edit.region]


def apply_edit(image: Image, mask: Mask, *, kind: Kind, fill: Fill, seed: int) -> Image:
    """Replace a part of a picture, or all but that part.

    - ``mean``: the picture's mean colour. Of the whole picture, so that erasing and keeping fill
      with the same colour.
    - ``blur``: the picture blurred by a Gaussian whose sigma is ``BLUR`` times its shorter side,
      at least 1 px (Pillow's, of repeated box filters). Fine structure goes, large shapes stay.
    - ``noise``: Gaussian noise of the picture's mean and standard deviation per channel, clipped
      to 0..255. The whole picture's noise is drawn and then cut out, so that edits with one seed
      differ only where their masks do.

    Parameters
    ----------
    image : uint8 (H, W, 3)
    mask : bool (H, W)
    kind : "erase" (replace the mask's pixels) or "keep" (replace all others)
    fill : "mean", "blur" or "noise"
    seed : int
        Of the noise; see ``edit_seed``.

    Returns
    -------
    uint8 (H, W, 3)
        A new picture; every pixel that is not replaced keeps its values.

    Raises
    ------
    DataError
        When picture or mask have another form.

    >>> image = np.repeat(np.array([[[0], [0]], [[100], [100]]], np.uint8), 3, axis=2)
    >>> mask = np.array([[False, False], [True, False]])
    >>> apply_edit(image, mask, kind="erase", fill="mean", seed=0)[..., 0].tolist()
    [[0, 0], [50, 100]]
    >>> apply_edit(image, mask, kind="keep", fill="mean", seed=0)[..., 0].tolist()
    [[50, 50], [100, 50]]
    """
    check_image(image, "edit")
    if mask.dtype != np.bool_ or mask.shape != image.shape[:2]:
        raise DataError(
            "the mask does not fit the picture",
            where="edit",
            expected=f"bool {image.shape[:2]}",
            got=f"{mask.dtype} {mask.shape}",
        )
    if kind not in KINDS:
        raise unknown("kind of edit", kind, KINDS)
    gone = mask if kind == "erase" else ~mask
    made = np.array(image)
    if not gone.any():
        return made
    if fill == "mean":
        made[gone] = np.round(image.mean((0, 1))).astype(np.uint8)
    elif fill == "blur":
        sigma = max(1.0, BLUR * min(image.shape[:2]))
        blurred = PILImage.fromarray(image).filter(ImageFilter.GaussianBlur(sigma))
        made[gone] = np.asarray(blurred)[gone]
    elif fill == "noise":
        _noise(made, gone, image, seed)
    else:
        raise unknown("fill", fill, FILLS)
    return made


def edit_seed(sample_id: str, fill: Fill) -> int:
    """Return the seed of a picture's fill: one noise per picture, whatever the mask."""
    return int(digest("edit", sample_id, fill)[:15], 16)


def edit_sample(sample: Sample, edit: Edit, *, place: Mask | None = None) -> Sample:
    """Return a sample with its picture edited; label and regions stay what they were.

    ``place`` bool (H, W): the part concerned, needed for a Top-K (``topk_mask``).

    Raises
    ------
    ConfigError
        For a region that the sample does not have.
    DataError
        When the picture is damaged, or ``place`` does not fit it.
    """

    def read() -> Image:
        image = sample.image
        size = (image.shape[0], image.shape[1])
        mask = place_of(edit, size, sample.regions) if place is None else place
        seed = edit_seed(sample.id, edit.fill)
        return apply_edit(image, mask, kind=edit.kind, fill=edit.fill, seed=seed)

    return replace(sample, read_image=read, read_regions=lambda: sample.regions)


def _noise(made: Image, gone: Mask, image: Image, seed: int) -> None:
    """Fill with noise, some rows at a time: a large picture's floats would need a gigabyte."""
    generator = rng(seed)
    mean, spread = image.mean((0, 1)), image.std((0, 1))
    for top in range(0, len(image), 256):
        rows = slice(top, top + 256)
        drawn = generator.standard_normal(image[rows].shape, np.float32) * spread + mean
        filled = np.clip(np.round(drawn), 0, 255).astype(np.uint8)
        made[rows][gone[rows]] = filled[gone[rows]]


def _stroke(text: str) -> Stroke:
    numbers = text.removeprefix("r").split(",")
    if not text.startswith("r") or len(numbers) % 2 == 0 or len(numbers) < 3:
        raise _bad("a stroke", "r, a radius, and pairs x,y: r0.04,0.31,0.52", _short(text))
    if not all(map(_FRACTION.fullmatch, numbers)):
        raise _bad("a stroke", "fractions such as 0.31", _short(text))
    radius, *rest = map(float, numbers)
    return Stroke(radius, tuple(zip(rest[::2], rest[1::2], strict=True)))


def _stroke_text(stroke: Stroke) -> str:
    flat = [stroke.radius, *(value for point in stroke.points for value in point)]
    return "r" + ",".join(f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in flat)


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS) + 0.0  # no negative zero


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _bad(what: str, expected: object, got: object) -> ConfigError:
    return ConfigError(f"{what} is not valid", expected=expected, got=got)
