"""Where the strongest pixels of a map end: at K of them, or at a threshold of its range.

The slider moves the stage directly, in the browser (a ``xaieval-cut`` event on the document); the
session hears of it when the hand has come to rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from .theme import TOKENS

_HERE = Path(__file__).parent


class Steer(JSComponent):
    """K or threshold; ``on_cut(kind, value, shown, sample)`` hears what was chosen.

    ``kind`` is "k" (value in px, 0 for the mask's size) or "threshold" (value in hundredths);
    ``shown`` is the version of the view that shows it already, -1 for none; ``sample`` which image
    it was chosen for.
    """

    cut = param.Dict(default={}, doc="{kind, k, usual, end, chosen, threshold, sample}")

    _esm = _HERE / "steer.js"
    _stylesheets = [TOKENS, (_HERE / "steer.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, on_cut: Callable[[str, int, int, str], None], **params: Any) -> None:
        super().__init__(sizing_mode="stretch_width", **params)
        self._on_cut = on_cut

    def show(
        self,
        *,
        k: int,
        usual: int,
        end: int,
        chosen: bool,
        threshold: float | None,
        sample: str,
    ) -> None:
        """Show a K with the slider's end, or a threshold; sends nothing when nothing changed."""
        cut = {
            "kind": "k" if threshold is None else "threshold",
            "k": k,
            "usual": usual,
            "end": end,
            "chosen": chosen,
            "threshold": 50 if threshold is None else round(100 * threshold),
            "sample": sample,
        }
        if cut != self.cut:
            self.cut = cut

    def _handle_msg(self, message: dict[str, Any]) -> None:
        try:
            kind, value = str(message["kind"]), int(message["value"])
            version = int(message.get("version", -1))
        except (KeyError, TypeError, ValueError):
            return
        if message.get("type") == "cut" and kind in ("k", "threshold"):
            shown = version if message.get("shown") is True else -1
            self._on_cut(kind, value, shown, str(message.get("sample", "")))
