"""A story as one HTML file that needs nothing else, and as a PDF with one slide a page."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from xaieval import __version__
from xaieval.export.sheet_page import sheet_parts
from xaieval.figures.pages import page_figure, page_png, pages_pdf
from xaieval.figures.saving import figure_bytes
from xaieval.story.model import Story
from xaieval.story.plates import Plate
from xaieval.story.stamps import changes_text
from xaieval.story.style import STYLE

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 40


def story_pdf(story: Story, plates: Sequence[Plate]) -> bytes:
    """Return a story as a PDF: a page of 16:9 per slide, vector, with its fonts inside."""
    return pages_pdf([plate_page(plate) for plate in plates], source=story.title)


def plate_page(plate: Plate) -> Figure:
    """Return a plate as a page."""
    facts = " · ".join(f"{name}: {text}" for name, text in plate.facts)
    changed = changes_text(plate.changed, what="this was pinned") if plate.changed else ""
    return page_figure(
        plate.draw() if plate.draw is not None else None,
        title=plate.title,
        caption=plate.slide.caption,
        foot=" ".join(filter(None, (changed, facts))),
        place=f"{plate.number} / {plate.total}",
        text=plate.trouble,
    )


def plate_png(plate: Plate, *, width_px: int = 1280) -> bytes:
    """Return the page of a plate as a PNG."""
    return page_png(plate_page(plate), width_px=width_px)


def story_html(story: Story, plates: Sequence[Plate]) -> str:
    """Return a story as a page that opens anywhere: no script, nothing to load, all inside."""
    entries = "".join(
        f'<li><a href="#slide-{plate.number}">{escape(plate.slide.caption or plate.title)}</a></li>'
        for plate in plates
    )
    slides = "\n".join(_slide(plate) for plate in plates)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(story.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(story.title)}</h1>"
        f'<p class="muted">{len(plates)} slides. Made with xaieval {escape(__version__)}; '
        "under each slide stand its parameters and the command that makes its files.</p>"
        f'<nav aria-label="Slides"><ol>{entries}</ol></nav></header>\n'
        f"<main>\n{slides}\n</main>\n</body>\n</html>\n"
    )


def _slide(plate: Plate) -> str:
    main = plate.slide.caption or plate.title
    under = f'<p class="what">{escape(plate.title)}</p>' if plate.slide.caption else ""
    parts = [
        f'<section class="slide" id="slide-{plate.number}" aria-labelledby="title-{plate.number}">',
        f'<p class="place">{_step(plate, -1)} {plate.number} / {plate.total} {_step(plate, 1)}</p>',
        f'<h2 id="title-{plate.number}">{escape(main)}</h2>{under}',
    ]
    if plate.changed:
        text = changes_text(plate.changed, what="this was pinned")
        parts.append(f'<p class="changed">{escape(text)}</p>')
    if plate.trouble:
        parts.append(f'<p class="trouble">No figure: {escape(plate.trouble)}</p>')
    elif plate.sheet is not None:
        parts.append(f'<div class="sheet">{sheet_parts(plate.sheet)}</div>')
    elif plate.draw is not None:
        parts.append(_figure(plate.draw(), plate.title))
    parts += [_figure(draw(), plate.title) for draw in plate.charts]
    if plate.table is not None and len(plate.table):
        parts.append(_table(plate.table))
    parts.append(_facts(plate))
    parts.append("</section>")
    return "\n".join(parts)


def _step(plate: Plate, by: int) -> str:
    to = plate.number + by
    sign, name = ("‹", "Previous slide") if by < 0 else ("›", "Next slide")
    if not 1 <= to <= plate.total:
        return f'<span aria-hidden="true" class="off">{sign}</span>'
    return f'<a href="#slide-{to}" aria-label="{name}">{sign}</a>'


def _figure(figure: Figure, title: str) -> str:
    for text in figure.texts:
        if text.get_text() and text.get_text() == figure.get_suptitle():
            title = text.get_text()
    data = figure_bytes(figure, format="svg", source=title)
    uri = "data:image/svg+xml;base64," + base64.b64encode(data).decode()
    return f'<figure class="chart"><img src="{uri}" alt="{escape(title)}"></figure>'


def _table(table: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{escape(_name(column))}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.head(_MOST_ROWS).itertuples(index=False)
    )
    more = len(table) - _MOST_ROWS
    note = f'<p class="muted">{more} more rows are in the CSV file.</p>' if more > 0 else ""
    return (
        '<details><summary>The numbers as a table</summary><div class="scroll" tabindex="0" '
        f'role="region" aria-label="Table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</details>"
    )


def _name(column: Any) -> str:
    return str(column).replace("_", " ")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def _facts(plate: Plate) -> str:
    facts = [*plate.facts]
    if plate.slide.added:
        facts.append(("Pinned", plate.slide.added.replace("T", " ").replace("+00:00", " UTC")))
    lines = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts
    )
    commands = "".join(f"<pre><code>{escape(text)}</code></pre>" for text in plate.commands)
    link = f"<p>Link: <code>{escape(plate.slide.link)}</code></p>"
    again = f"<details><summary>How to make it again</summary>{commands}{link}</details>"
    return f"<dl>{lines}</dl>{again}"
