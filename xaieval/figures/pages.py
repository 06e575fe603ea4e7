"""Figures on pages of 16:9, with a title above and words below: slides for paper and projector."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from xaieval import __version__
from xaieval.figures.palette import INKS
from xaieval.figures.printed import STYLE
from xaieval.figures.saving import STEADY

RATIO = 16 / 9
WIDTH_IN = 8.0
"""A page is at least so wide; a larger figure makes a larger page, so that nothing shrinks."""
_MARGIN = 0.035
_HEAD, _FOOT = 0.15, 0.10


def page_figure(
    figure: Figure | None,
    *,
    title: str,
    caption: str = "",
    foot: str = "",
    place: str = "",
    text: str = "",
) -> Figure:
    """Return a page of 16:9 with a figure in its middle, in the size it was drawn in.

    Parameters
    ----------
    figure : Figure or None
        A finished figure; it becomes the page. Its own title is taken away.
    title, caption : str
        Above the figure: what it is, and what to say about it (larger).
    foot, place : str
        Below it: where it comes from, and "3 / 7".
    text : str
        Stands in the middle of a page without a figure.

    Returns
    -------
    Figure
        Of the same inches as ``page_size`` says.
    """
    ink = INKS["light"]
    if figure is None:
        page = Figure(figsize=(WIDTH_IN, WIDTH_IN / RATIO), facecolor=ink.paper)
        FigureCanvasAgg(page)
    else:
        page = _enlarged(figure)
    unit = page.get_size_inches()[0] / WIDTH_IN
    main, small = (caption, title) if caption else (title, "")
    family: dict[str, Any] = {
        "fontfamily": "sans-serif"
    }  # whatever another thread has set meanwhile
    sizes = {"main": 14 * unit, "small": 7.5 * unit, "foot": 5.8 * unit}
    with mpl.rc_context(STYLE):
        lines = textwrap.wrap(main, 84)[:2]
        if len(lines) > 1:
            sizes["main"] = 11.5 * unit
        page.text(
            _MARGIN,
            0.975,
            _plain("\n".join(lines)),
            fontsize=sizes["main"],
            color=ink.text,
            va="top",
            linespacing=1.15,
            **family,
        )
        page.text(
            _MARGIN,
            1 - _HEAD,
            _plain(small),
            fontsize=sizes["small"],
            color=ink.muted,
            va="bottom",
            **family,
        )
        wrapped = "\n".join(textwrap.wrap(foot, 170)[:3])
        page.text(
            _MARGIN,
            0.02,
            _plain(wrapped),
            fontsize=sizes["foot"],
            color=ink.muted,
            va="bottom",
            linespacing=1.3,
            **family,
        )
        page.text(
            1 - _MARGIN, 0.02, place, fontsize=sizes["small"], color=ink.muted, ha="right", **family
        )
        if figure is None:
            words = "\n".join(textwrap.wrap(text, 70))
            page.text(
                0.5,
                0.5,
                _plain(words),
                fontsize=10,
                color=ink.muted,
                ha="center",
                va="center",
                **family,
            )
    return page


def page_size(width_in: float, height_in: float) -> tuple[float, float]:
    """Return the size of the page that a figure fits on, in inches.

    >>> page_size(4.0, 2.0)
    (8.0, 4.5)
    >>> width, height = page_size(4.0, 9.0)
    >>> round(width / height, 6) == round(16 / 9, 6), height > 9
    (True, True)
    """
    width = max(WIDTH_IN, width_in / (1 - 2 * _MARGIN), height_in * RATIO / (1 - _HEAD - _FOOT))
    return width, width / RATIO


def pages_pdf(pages: Sequence[Figure], *, source: str) -> bytes:
    """Return pages as one PDF: vector, fonts inside, the same pages the same bytes."""
    stream = io.BytesIO()
    about = {"Subject": source, "Creator": f"xaieval {__version__}", "CreationDate": None}
    with mpl.rc_context(STEADY), PdfPages(stream, metadata=about) as pdf:
        for page in pages:
            pdf.savefig(page, dpi=300)
    return stream.getvalue()


def page_png(page: Figure, *, width_px: int) -> bytes:
    """Return a page as a PNG of so many pixels across."""
    stream = io.BytesIO()
    page.savefig(stream, format="png", dpi=width_px / page.get_size_inches()[0])
    return stream.getvalue()


def _enlarged(figure: Figure) -> Figure:
    """Give a figure the size of its page; what was drawn stays as large, in the middle."""
    for text in figure.texts:
        if text.get_text() == figure.get_suptitle():  # the page has a title of its own
            text.set_in_layout(False)
            text.set_visible(False)
    figure.draw_without_rendering()  # the layout is worked out here, once
    figure.set_layout_engine("none")
    width, height = (float(inch) for inch in figure.get_size_inches())
    page_width, page_height = page_size(width, height)
    room = page_height * (1 - _HEAD - _FOOT)
    left = (page_width - width) / 2 / page_width
    bottom = _FOOT + (room - height) / 2 / page_height
    inner = Bbox.from_bounds(left, bottom, width / page_width, height / page_height)
    places = [(axes, axes.get_position(original=True)) for axes in figure.axes]
    figure.set_size_inches(page_width, page_height)
    for axes, old in places:
        if axes.get_axes_locator() is None:
            axes.set_position(_mapped(old, inner))
    for legend in figure.legends:
        legend.set_bbox_to_anchor(inner)
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((inner.x0 + x * inner.width, inner.y0 + y * inner.height))
    return figure


def _mapped(box: Any, inner: Bbox) -> Bbox:
    return Bbox.from_bounds(
        inner.x0 + box.x0 * inner.width,
        inner.y0 + box.y0 * inner.height,
        box.width * inner.width,
        box.height * inner.height,
    )


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
