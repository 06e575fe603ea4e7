"""A matplotlib figure as bytes: the same figure, the same bytes."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl

from xaieval import __version__
from xaieval.errors import unknown

STEADY = {"svg.hashsalt": "xaieval", "svg.fonttype": "none", "pdf.fonttype": 42}
"""Settings under which the same figure gives the same bytes, with its text as text."""

FIGURE_FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


def figure_bytes(figure: Any, *, format: str, source: str) -> bytes:
    """Return a figure as bytes of a PNG (300 dpi), SVG or PDF.

    No date is written and ids are not random; ``source`` (what it was drawn from) is in the
    file's own metadata.

    Raises
    ------
    ConfigError
        When the format is unknown.
    """
    if format not in FIGURE_FORMATS:
        raise unknown("figure format", format, FIGURE_FORMATS)
    made_by = f"xaieval {__version__}"
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Description": source, "Software": made_by},
        "svg": {"Description": source, "Creator": made_by, "Date": None},
        "pdf": {"Subject": source, "Creator": made_by, "CreationDate": None},
    }
    stream = io.BytesIO()
    with mpl.rc_context(STEADY):
        figure.savefig(stream, format=format, dpi=300, metadata=metadata[format])
    return stream.getvalue()
