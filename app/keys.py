"""What the keyboard can do on every page."""

from __future__ import annotations

from pathlib import Path

from panel.custom import JSComponent


class Keys(JSComponent):
    """Opens the select that has the focus with Enter, space or an arrow; nothing to see."""

    _esm = Path(__file__).parent / "keys.js"
