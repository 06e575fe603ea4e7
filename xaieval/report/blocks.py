"""What a report is made of: tables, figures, pictures and downloads, ready for the template."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xaieval.export import cell_text, frame_latex, is_numeric

DOWNLOAD_BYTES = 600_000
"""Larger files are not put into the page; it says where they lie."""


@dataclass(frozen=True)
class Download:
    """A file inside the page; without ``uri`` it is too large and only named."""

    name: str
    label: str
    uri: str


@dataclass(frozen=True)
class TableBlock:
    """A table: ``right`` says which columns stand on the right; cells are texts."""

    id: str
    title: str
    caption: str
    head: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    downloads: tuple[Download, ...] = ()

    @property
    def long(self) -> bool:
        """Whether it scrolls inside its box."""
        return len(self.rows) > 30


@dataclass(frozen=True)
class FigureBlock:
    """An interactive figure (JSON for Bokeh) and the picture that is printed in its place.

    Below ``min_width`` pixels it scrolls inside its box.
    """

    id: str
    title: str
    caption: str
    item: str
    height: int
    printed: str
    downloads: tuple[Download, ...] = ()
    min_width: int = 540


@dataclass(frozen=True)
class PictureBlock:
    """A picture inside the page."""

    id: str
    title: str
    caption: str
    alt: str
    uri: str
    width: int
    height: int


def with_note(caption: str, note: str) -> str:
    """Return a caption with a sentence behind it.

    >>> with_note("12 images", "1 row without a number not drawn.")
    '12 images. 1 row without a number not drawn.'
    """
    if note and caption and caption[-1] not in ".!?":
        caption += "."
    return f"{caption} {note}".strip()


def uri(data: bytes, kind: str) -> str:
    """Return a file as a data URI.

    >>> uri(b"a,b", "text/csv")
    'data:text/csv;base64,YSxi'
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def download(name: str, data: bytes) -> Download:
    """Return a file to be saved from the page: CSV, LaTeX or JSON."""
    extension = name.rpartition(".")[2]
    label, kind = _KINDS[extension]
    small = len(data) <= DOWNLOAD_BYTES
    return Download(name, label, uri(data, kind) if small else "")


_KINDS = {
    "csv": ("CSV", "text/csv;charset=utf-8"),
    "tex": ("LaTeX", "text/x-tex;charset=utf-8"),
    "json": ("JSON", "application/json"),
}


def moment(text: str) -> str:
    """Return a moment as people read it.

    >>> moment("2031-02-03T04:05:06+00:00")
    '2031-02-03 04:05 UTC'
    """
    return f"{text[:10]} {text[11:16]} UTC" if text.endswith("+00:00") else text


def table_block(
    id: str,
    title: str,
    frame: pd.DataFrame,
    *,
    caption: str = "",
    decimals: int = 3,
    downloads: Sequence[Download] = (),
) -> TableBlock:
    """Return a table for the page; numbers rounded, full precision in its downloads."""
    return TableBlock(
        id=id,
        title=title,
        caption=caption,
        head=tuple(str(name) for name in frame.columns),
        right=tuple(is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])),
        rows=tuple(
            tuple(cell_text(value, decimals) for value in row)
            for row in frame.itertuples(index=False, name=None)
        ),
        downloads=tuple(downloads),
    )


def table_files(
    id: str, title: str, frame: pd.DataFrame, *, caption: str = "", decimals: int = 3
) -> dict[str, bytes]:
    """Return a table as files by name: CSV in full precision and LaTeX."""
    text = frame_latex(frame, caption=f"{title}. {caption}".strip(), decimals=decimals)
    return {
        f"{id}.csv": frame.to_csv(index=False, lineterminator="\n").encode(),
        f"{id}.tex": text.encode(),
    }


def pretty(value: Any) -> str:
    """Return plain values as readable JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False)
