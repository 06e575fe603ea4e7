"""Pictures of heatmaps: colour maps, overlays, outlines, Top-K overlays, parts, encoded images.

Arrays go in, arrays or bytes come out; nothing here knows of pages or sessions. Every array has its
origin in the upper left corner, rows first, as ``Image`` and ``Mask`` do.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from xaieval.errors import unknown
from xaieval.types import Image, Mask

Levels = npt.NDArray[np.uint8]
"""(H, W) uint8: a heatmap spread over the 256 steps of a colour map."""
Layer = npt.NDArray[np.uint8]
"""(H, W, 4) uint8 RGBA."""
Format = Literal["jpeg", "png", "webp"]

COLOUR_MAPS = ("inferno", "cividis", "jet")
"""Perceptually uniform ones first; jet only reproduces older figures."""

SIGNED = "signed"
"""The colour map of maps with two signs: dark at 0, blue below it and red above."""
_SIGNED_STOPS = (
    "#9eafff", "#519fd3", "#276785", "#13303e", "#190b08", "#401200", "#7d331e", "#bd6f63",
    "#ffadad",
)  # fmt: skip
# Nine stops of "berlin" (Crameri 2018, doi:10.5281/zenodo.1243862), which matplotlib has from 3.10:
# perceptually uniform on both sides, told apart by the colour-blind, dark where nothing is.

TOPK_COLOURS = {"hit": "#f5d90a", "miss": "#3f7fff", "false_alarm": "#e0402a"}
"""Far apart from each other and from white (CIE76 at least 25), also for protanopia, deuteranopia
and tritanopia (Machado, Oliveira and Fernandes 2009, severity 1): tests/test_render.py."""

PART_COLOURS = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
    "#1010ed", "#4451d3", "#92102a", "#10ed78", "#851078", "#9f9251", "#b9edb9",
    "#10e0ed", "#6b3751", "#92511d", "#d31db9", "#e0acac", "#b96bed", "#ed1d37",
    "#9fd351", "#6b10ac", "#b91ded", "#6bd385", "#376b51", "#e0105e",
)  # fmt: skip
"""Of the parts of a picture, in the order of their numbers. The first seven are Okabe and Ito's,
which the colour-blind tell apart (https://jfly.uni-koeln.de/color/); each further one is the colour
farthest from all before it, from black, white and mid-grey: CIE76 at least 25 between any two."""

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's "L"
_QUALITY = {"jpeg": 90, "webp": 88}


@lru_cache(maxsize=8)
def colour_table(name: str) -> npt.NDArray[np.uint8]:
    """Return a colour map as uint8 (256, 3).

    Raises
    ------
    ConfigError
        For a name that is neither in ``COLOUR_MAPS`` nor ``SIGNED``.

    >>> colour_table("inferno")[0].tolist()
    [0, 0, 3]
    """
    if name == SIGNED:
        stops = np.array([rgb(stop) for stop in _SIGNED_STOPS], np.float64)
        at = np.linspace(0, len(stops) - 1, 256)
        table = np.rint([np.interp(at, np.arange(len(stops)), part) for part in stops.T]).T
        table = table.astype(np.uint8)
    elif name in COLOUR_MAPS:
        table = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    else:
        raise unknown("colour map", name, (*COLOUR_MAPS, SIGNED))
    table.flags.writeable = False
    return np.asarray(table, np.uint8)


def levels(
    values: npt.NDArray[np.floating], *, low: float | None = None, high: float | None = None
) -> Levels:
    """Spread heatmap values (H, W) over 0..255 from ``low`` to ``high`` (default: own range).

    Values outside the range are clipped; a map without range becomes 0 everywhere.

    >>> levels(np.array([[0.0, 1.0], [2.0, 4.0]])).tolist()
    [[0, 64], [128, 255]]
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    # in float64: the range of extreme float32 maps overflows in their own type
    share = (values.astype(np.float64) - low) / (high - low)
    return np.asarray(np.rint(np.clip(share, 0, 1) * 255), np.uint8)


def colourise(steps: Levels, *, colormap: str = "inferno") -> Image:
    """Return the colours (H, W, 3) of levels (H, W)."""
    return np.asarray(colour_table(colormap)[steps], np.uint8)


def overlay(
    picture: Image,
    values: npt.NDArray[np.floating],
    *,
    mask: Mask | None = None,
    opacity: float = 0.6,
    colormap: str = "inferno",
    low: float | None = None,
    high: float | None = None,
) -> Image:
    """Blend a heatmap (H, W) over its picture (H, W, 3) and draw the mask's outline.

    ``opacity`` 0 shows the picture alone, 1 the heatmap alone.
    """
    heat = colourise(levels(values, low=low, high=high), colormap=colormap)
    mixed = picture * (1.0 - opacity) + heat * float(opacity)
    blended = np.asarray(np.rint(mixed), np.uint8)
    return blended if mask is None else draw_outline(blended, mask)


def topk_layer(weights: npt.NDArray[np.floating], mask: Mask | None) -> Layer:
    """Colour what a heatmap's K strongest pixels hit and miss.

    Parameters
    ----------
    weights : float (H, W) in [0, 1]
        1 inside the K strongest, 0 outside, and for pixels tied at the border the share of them
        that fits; such pixels are drawn in the mixed colour of their two states.
    mask : bool (H, W) or None
        Without a mask there is neither hit nor miss: the K strongest are drawn in the hit colour.

    Returns
    -------
    uint8 (H, W, 4)
        Transparent where neither selected nor in the mask.
    """
    hit, miss, false_alarm = (rgb(TOPK_COLOURS[name]) for name in TOPK_COLOURS)
    if mask is None:
        inside, palette = np.zeros(weights.shape, bool), [(*hit, 0), (*hit, 255)]
    else:
        inside, palette = mask, [(*false_alarm, 0), (*false_alarm, 255), (*miss, 255), (*hit, 255)]
    colours = np.array(palette, np.uint8)
    layer = colours[2 * inside.astype(np.uint8) + (weights >= 1)]
    # Only tied pixels at the border are partly in: few, so they are mixed one state at a time.
    torn = (weights > 0) & (weights < 1)
    if torn.any():
        share = weights[torn].astype(np.float64)[:, None]
        state = 2 * inside[torn].astype(np.uint8)
        out, selected = colours[state].astype(np.float64), colours[state + 1].astype(np.float64)
        layer[torn] = np.rint(share * selected + (1 - share) * out)
    return layer


def topk_overlay(
    picture: Image,
    weights: npt.NDArray[np.floating],
    mask: Mask | None,
    *,
    dim: float = 0.45,
    outline: bool = True,
) -> Image:
    """Draw ``topk_layer`` over the greyed, dimmed picture, with the mask's outline or without."""
    layer = topk_layer(weights, mask)
    share = layer[..., 3:] / 255.0
    grey = (picture @ _LUMA)[..., None] * dim
    mixed = np.asarray(np.rint(grey * (1 - share) + layer[..., :3] * share), np.uint8)
    return mixed if mask is None or not outline else draw_outline(mixed, mask, width_px=1)


def part_layer(index: npt.NDArray[np.integer], *, colours: Sequence[str] = PART_COLOURS) -> Layer:
    """Colour a picture's parts.

    Parameters
    ----------
    index : int (H, W)
        Number of each pixel's part. Numbers that have no colour (-1, 255) are no part.
    colours : sequence of ``#rrggbb``
        By number.

    Returns
    -------
    uint8 (H, W, 4)
        Opaque on parts, transparent elsewhere.

    >>> part_layer(np.array([[0, 255]]), colours=["#ff8000"]).tolist()
    [[[255, 128, 0, 255], [0, 0, 0, 0]]]
    """
    table = np.array([*((*rgb(colour), 255) for colour in colours), (0, 0, 0, 0)], np.uint8)
    known = (index >= 0) & (index < len(colours))
    return np.asarray(table[np.where(known, index, len(colours))], np.uint8)


def part_overlay(
    picture: Image,
    index: npt.NDArray[np.integer],
    *,
    colours: Sequence[str] = PART_COLOURS,
    opacity: float = 0.6,
) -> Image:
    """Blend ``part_layer`` over its picture (H, W, 3), with a dark line where two parts meet."""
    layer = part_layer(index, colours=colours)
    share = layer[..., 3:] / 255.0 * opacity
    mixed = np.rint(picture * (1 - share) + layer[..., :3] * share)
    border = np.zeros(index.shape, bool)
    border[:, 1:] |= index[:, 1:] != index[:, :-1]
    border[1:] |= index[1:] != index[:-1]
    mixed[border] *= 1 - 0.6 * opacity
    return np.asarray(mixed, np.uint8)


def part_legend(
    index: npt.NDArray[np.integer], names: Sequence[str], *, colours: Sequence[str] = PART_COLOURS
) -> list[tuple[str, str]]:
    """Return (name, colour) of every part that a picture has, by number.

    >>> part_legend(np.array([[1, 255]]), ["nose", "hair"], colours=["#ff8000", "#0080ff"])
    [('hair', '#0080ff')]
    """
    there = set(np.unique(index).tolist())
    return [
        (name, colour)
        for number, (name, colour) in enumerate(zip(names, colours, strict=False))
        if number in there
    ]


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the three numbers of ``#rrggbb``.

    >>> rgb("#ff8000")
    (255, 128, 0)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def draw_outline(picture: Image, mask: Mask, *, width_px: int = 2) -> Image:
    """Draw a mask's outline: white inside its border, with a black line around it.

    One of the two contrasts with whatever lies below, so the outline survives a projector.
    """
    inner = mask & ~_shrink(mask, width_px)
    outer = ~_shrink(~mask, 1) & ~mask
    drawn = picture.copy()
    drawn[outer] = 0
    drawn[inner] = 255
    return drawn


def _shrink(mask: Mask, steps: int) -> Mask:
    """Remove the outermost pixels (4-neighbours); the picture's edge is no border of a region."""
    for _ in range(steps):
        padded = np.pad(mask, 1, mode="edge")
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def outline_path(mask: Mask) -> str:
    """Return a mask's border as an SVG path, in pixels, along pixel edges.

    Horizontal runs first, then vertical ones; the picture's own edge is left out. Drawn with
    ``vector-effect: non-scaling-stroke`` it keeps its width at any zoom.

    >>> outline_path(np.array([[0, 0, 0], [0, 1, 1]], bool))
    'M1 1h2M1 1v1'
    """
    parts = []
    flips = np.diff(mask.astype(np.int8), axis=0) != 0
    for y, x, length in _runs(flips):
        parts.append(f"M{x} {y + 1}h{length}")
    flips = (np.diff(mask.astype(np.int8), axis=1) != 0).T
    for x, y, length in _runs(flips):
        parts.append(f"M{x + 1} {y}v{length}")
    return "".join(parts)


def _runs(flags: Mask) -> list[tuple[int, int, int]]:
    """Return (row, start, length) of every run of True along the rows."""
    padded = np.pad(flags, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return list(zip(rows.tolist(), starts.tolist(), (ends - starts).tolist(), strict=True))


def thumbnail(image: Image, *, side_px: int = 64) -> Image:
    """Return a square thumbnail: the picture's middle square, resized."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = PILImage.fromarray(image[top : top + side, left : left + side])
    return np.asarray(
        square.resize((side_px, side_px), PILImage.Resampling.BILINEAR, reducing_gap=3)
    )


def encode(image: npt.NDArray[np.uint8], *, format: Format = "png") -> bytes:
    """Return an image file: PNG for what must stay exact, JPEG or WebP for photographs.

    ``image`` is uint8 (H, W), (H, W, 3) or, for PNG and WebP, (H, W, 4).

    >>> encode(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    stream = io.BytesIO()
    picture = PILImage.fromarray(image)
    if format == "png":
        # Level 1: a page waits for it, and noise-like maps hardly shrink further.
        picture.save(stream, "PNG", compress_level=1)
    elif format == "jpeg":
        picture.save(stream, "JPEG", quality=_QUALITY["jpeg"], subsampling=0)
    elif format == "webp":
        picture.save(stream, "WEBP", quality=_QUALITY["webp"], method=0)
    else:
        raise unknown("image format", format, ("jpeg", "png", "webp"))
    return stream.getvalue()


def data_uri(image: npt.NDArray[np.uint8], *, format: Format = "png") -> str:
    """Return an image as ``data:image/…;base64,…``."""
    return f"data:image/{format};base64,{base64.b64encode(encode(image, format=format)).decode()}"
