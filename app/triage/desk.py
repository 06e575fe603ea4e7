"""The two components of Triage that are drawn in the browser: the desk and the patterns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from ..theme import TOKENS

_HERE = Path(__file__).parent
_DESK = ("base.js", "plots.js", "queue.js", "preview.js", "tools.js", "desk.js")
_PATTERNS = ("base.js", "patterns.js")

Hear = Callable[[dict[str, Any]], None]


def _text(*names: str) -> str:
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


class Desk(JSComponent):
    """What is shown, plots, table and gallery, and the chosen image.

    ``on_message`` hears what the person does: a ``type`` (select, brush, tag, export, …) with what
    belongs to it. ``view`` is one result of the filters, with its first rows; further rows and
    thumbnails are asked for as they come into sight.
    """

    view = param.Dict(default={"status": "loading"}, doc="_triage_view.py says what is in it")
    rows = param.Dict(default={}, doc="{version, start, rows}: rows asked for")
    thumbs = param.Dict(default={}, doc="url id -> image, the latest few; the browser keeps them")
    preview = param.Dict(default={}, doc="the chosen image: _triage_preview.py")
    marked = param.Dict(default={}, doc="{samples, tags, views} of the journal")
    said = param.Dict(default={}, doc="{request, text, trouble}: what came of a request")
    chosen = param.Dict(default={}, doc="{at, version}: the server's choice of a row")
    file = param.Dict(default={}, doc="{name, mime, data}: a file to keep, in base64")

    _esm = _text(*_DESK)
    _stylesheets = [TOKENS, _text("desk.css")]  # noqa: RUF012

    def __init__(self, on_message: Hear, **params: Any) -> None:
        super().__init__(sizing_mode="stretch_both", **params)
        self._on_message = on_message

    def _handle_msg(self, message: dict[str, Any]) -> None:
        self._on_message(message)


class Patterns(JSComponent):
    """Shared Interest's patterns with counts, one to be picked, and the lines between them."""

    view = param.Dict(default={})

    _esm = _text(*_PATTERNS)
    _stylesheets = [TOKENS, _text("patterns.css")]  # noqa: RUF012

    def __init__(self, on_message: Hear, **params: Any) -> None:
        super().__init__(sizing_mode="stretch_width", **params)
        self._on_message = on_message

    def _handle_msg(self, message: dict[str, Any]) -> None:
        self._on_message(message)
