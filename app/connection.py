"""The banner that tells when the server is gone, and opens the same view when it is back."""

from __future__ import annotations

from pathlib import Path

from panel.custom import JSComponent

from .theme import TOKENS

_HERE = Path(__file__).parent


class Connection(JSComponent):
    """Lives in the browser alone; nothing to see as long as the server answers."""

    _esm = _HERE / "connection.js"
    _stylesheets = [TOKENS, (_HERE / "connection.css").read_text(encoding="utf-8")]  # noqa: RUF012
