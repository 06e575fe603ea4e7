"""Rows of overlays for an experiment's report: the same images under several models or methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from xaieval.types import Image, Mask

if TYPE_CHECKING:
    from xaieval.backend import Backend
    from xaieval.study import Results

_GAP, _LINE, _SIDE, _MARGIN = 8, 20, 144, 132
_INK, _MUTED, _PAPER = (23, 25, 28), (86, 90, 96), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of a gallery, uint8 (H, W, 3), and a line below it."""

    image: Image
    text: str = ""


def gallery(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]]) -> Image:
    """Return a labelled grid of pictures, uint8 (H, W, 3), on white.

    Small pictures are enlarged without smoothing, so that their pixels can be counted.

    >>> dot = Cell(np.zeros((4, 4, 3), np.uint8), "a dot")
    >>> gallery(["first"], [("row", [dot])]).shape[2]
    3
    """
    font, small = _font(13), _font(11)
    step = _SIDE + _GAP
    height = _LINE + len(rows) * (_SIDE + _LINE + _GAP) + _GAP
    page = Pictures.new("RGB", (_MARGIN + len(columns) * step + _GAP, height), _PAPER)
    draw = ImageDraw.Draw(page)
    for number, name in enumerate(columns):
        text = _fitting(draw, name, font, _SIDE)
        draw.text((_MARGIN + number * step, 3), text, font=font, fill=_INK)
    for place, (label, cells) in enumerate(rows):
        top = _LINE + place * (_SIDE + _LINE + _GAP)
        for line, text in enumerate(label.split("\n")):
            draw.text((_GAP, top + 16 * line), text, font=font, fill=_INK)
        for number, cell in enumerate(cells):
            left = _MARGIN + number * step
            page.paste(_sized(cell.image), (left, top))
            text = _fitting(draw, cell.text, small, _SIDE)
            draw.text((left, top + _SIDE + 2), text, font=small, fill=_MUTED)
    return np.asarray(page)


def overlay_rows(
    results: Results,
    sample_ids: Sequence[str],
    *,
    methods: Sequence[str],
    seed: int,
    label: str = "",
    region: str | None = None,
    metric: str | None = None,
    backend: Backend | None = None,
) -> list[tuple[str, list[Cell]]]:
    """Return a row per image: the picture with the region's outline, then each method's overlay.

    Below the picture stands what the model predicted, below an overlay its score by ``metric``.
    """
    from xaieval.export.sheet import make_sheet
    from xaieval.metrics import parse_metric
    from xaieval.render import overlay

    name = parse_metric(metric).label if metric else ""
    rows = []
    for sample_id in sample_ids:
        sheet = make_sheet(
            results, sample_id, seed=seed, region=region, methods=methods, backend=backend
        )
        # A thin line: an outline of two pixels would hide a small picture.
        picture, factor = enlarged(sheet.picture)
        mask = None if sheet.mask is None else np.kron(sheet.mask, np.ones((factor, factor), bool))
        shown = _outlined(picture, mask)
        sign = "✓" if sheet.correct else "✗"
        cells = [Cell(shown, f"predicted {sheet.predicted} {'right' if sign == '✓' else 'wrong'}")]
        for panel in sheet.panels:
            if panel.values is None:
                cells.append(Cell(shown, panel.undefined or "not defined"))
                continue
            values = np.kron(panel.values, np.ones((factor, factor), np.float32))
            score = panel.scores.get(name)
            text = "" if score is None else f"{name} {score.value:.3f}"
            cells.append(Cell(_outlined(overlay(picture, values), mask), text))
        rows.append((f"{label}\n{sheet.class_name}".strip(), cells))
    return rows


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the letters that matplotlib brings along: they hold the signs of the field."""
    import matplotlib as mpl

    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size_px)


def _outlined(picture: Image, mask: Mask | None) -> Image:
    """Draw a region's outline as thin as can be, so that it hides little."""
    from xaieval.render import draw_outline

    return picture if mask is None else draw_outline(picture, mask, width_px=1)


def enlarged(picture: Image) -> tuple[Image, int]:
    factor = max(1, _SIDE // max(picture.shape[:2]))
    return np.kron(picture, np.ones((factor, factor, 1), np.uint8)), factor


def _sized(image: Image) -> Pictures.Image:
    large = Pictures.fromarray(image)
    nearest = max(image.shape[:2]) <= _SIDE
    scale = _SIDE / max(image.shape[:2])
    size = (max(1, round(large.width * scale)), max(1, round(large.height * scale)))
    kind = Pictures.Resampling.NEAREST if nearest else Pictures.Resampling.LANCZOS
    return large.resize(size, kind)


def _fitting(
    draw: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    width: int,
) -> str:
    """Return as much of a text as fits, an ellipsis in place of the rest."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"
