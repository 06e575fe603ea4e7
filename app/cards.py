"""The stage of Explore and Compare: the image, the maps and their scores, drawn in the browser."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from xaieval.render import COLOUR_MAPS, SIGNED, colour_table

from .theme import TOKENS

_HERE = Path(__file__).parent

SCRIPTS = (
    "base.js",
    "well.js",
    "rows.js",
    "band.js",
    "cards.js",
    "regions.js",
    "paint.js",
    "inspect.js",
    "lookup.js",
    "swipe.js",
    "brush.js",
    "own_files.js",
    "whatif.js",
    "pointer.js",
    "stage.js",
)
"""The files of ``stage/`` that become the component's one module, in this order."""
STYLES = ("cards.css", "regions.css", "swipe.css", "whatif.css")
"""The files of ``stage/`` that become its stylesheets, in this order."""


def _text(name: str) -> str:
    return (_HERE / "stage" / name).read_text(encoding="utf-8")


def _tables() -> dict[str, str]:
    names = (*COLOUR_MAPS, SIGNED)
    return {n: base64.b64encode(colour_table(n).tobytes()).decode() for n in names}


class Cards(JSComponent):
    """Image card, method cards, verdict, progress and messages, from one message per change.

    ``display`` sends a view; images the browser already has are named, not sent again. What the
    person does inside (cancel, retry, region, …) arrives at ``on_action`` with its value.
    """

    view = param.Dict(default={})
    shares = param.Dict(default={}, doc="of each map in each region; follows the view")
    cuts = param.Dict(default={}, doc="tables to move K and threshold by; follow the view")
    fills = param.Dict(default={}, doc="what each fill of an edit makes of the prediction")
    whatif = param.Dict(default={}, doc="what the panel of edits and own images shows")
    edits = param.Boolean(default=False, doc="whether the page takes edits and own images")
    tables = param.Dict(default={})
    opacity = param.Number(default=0.6, bounds=(0, 1))
    colormap = param.String(default="inferno")
    mode = param.String(default="both")
    scale = param.String(default="each")
    shading = param.String(default="minmax", doc="what colours mean: minmax, raw or signed")
    swipe = param.List(default=[], item_type=str, doc="two methods in one well, or none")
    probe = param.Dict(default={}, doc="{at, view, values}: exact attributions of one pixel")

    _esm = "\n".join(_text(name) for name in SCRIPTS)
    _stylesheets = [TOKENS, *(_text(name) for name in STYLES)]  # noqa: RUF012

    def __init__(self, on_action: Callable[[str, str], None], **params: Any) -> None:
        super().__init__(tables=_tables(), sizing_mode="stretch_width", **params)
        self._on_action = on_action
        self._version = 0
        self._full: dict[str, Any] = {}
        self._sent: frozenset[str] = frozenset()

    def display(self, view: dict[str, Any]) -> None:
        """Send a view (``composing.compose`` says what is in it)."""
        self._full = view
        self._send()

    @property
    def version(self) -> int:
        """The number of the view sent last."""
        return self._version

    @property
    def shown(self) -> str:
        """What names the maps of the view sent last."""
        return str(self._full.get("cuts", ""))

    def share(self, shares: dict[str, Any]) -> None:
        """Send the shares of the view's maps in its regions."""
        self.shares = shares

    def cut(self, tables: dict[str, Any]) -> None:
        """Send the tables that let the browser move K and threshold (``composing.cut_tables``)."""
        self.cuts = tables

    def keep(self, view: dict[str, Any]) -> None:
        """Remember what the browser shows by itself already, to be sent when it asks again."""
        self._full = view

    def send_fills(self, fills: dict[str, Any]) -> None:
        """Send what each fill makes of the prediction."""
        self.fills = fills

    def _send(self) -> None:
        self._version += 1
        ids = set()

        def lean(item: dict[str, Any] | None) -> dict[str, Any] | None:
            if item is None:
                return None
            ids.add(item["id"])
            if item["id"] not in self._sent:
                return item
            return {key: value for key, value in item.items() if key != "src"}

        view = {**self._full, "version": self._version}
        view["picture"] = lean(view.get("picture"))
        view["original"] = lean(view.get("original"))
        if view.get("regions"):
            view["regions"] = {**view["regions"], "index": lean(view["regions"]["index"])}
        view["cards"] = [
            {**card, "heat": lean(card.get("heat")), "topk": lean(card.get("topk"))}
            for card in view.get("cards", ())
        ]
        self._sent = frozenset(ids)
        self.view = view

    def _handle_msg(self, message: dict[str, Any]) -> None:
        if message.get("type") == "resend":
            self._sent = frozenset()
            self._send()
        else:
            self._on_action(str(message.get("type")), str(message.get("value", "")))
