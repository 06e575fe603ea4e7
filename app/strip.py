"""The thumbnail strip: as many images as there are, of which the browser knows those in view.

Names travel a window at a time, thumbnails a few at a time, both when the browser asks for them:
100,000 images cost no more than a hundred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from .catalogue import Item
from .theme import TOKENS

_HERE = Path(__file__).parent

WINDOW = 60
"""Names sent on either side of the chosen image before anybody asks."""
MOST_NAMES = 400
"""Names sent at one request."""
BATCH = 10
"""Thumbnails sent at a time."""


class Strip(JSComponent):
    """Thumbnails with previous, next, keys and a search; ``on_choose`` hears the chosen url id.

    Parameters
    ----------
    thumb : (item) -> data URI, '' for a damaged image
        Runs in ``pool``.

    Attributes
    ----------
    items : tuple of Item
    selected : str
        The url id of the chosen image.
    """

    listing = param.Dict(default={}, doc="{stamp, count}: another stamp is another list")
    at = param.Integer(default=-1, doc="place of the chosen image; -1 is none")
    names = param.Dict(default={}, doc="{stamp, start, rows: [[id, title], …]}")
    thumbs = param.Dict(default={}, doc="{stamp, found: {place: image}}, the latest few")
    answer = param.Dict(default={}, doc="{text, at}: what a search found; -1 is nothing")

    _esm = _HERE / "strip.js"
    _stylesheets = [TOKENS, (_HERE / "strip.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(
        self,
        on_choose: Callable[[str], None],
        *,
        thumb: Callable[[Item], str],
        pool: Executor,
        **params: Any,
    ) -> None:
        super().__init__(sizing_mode="stretch_width", **params)
        self._on_choose, self._thumb, self._pool = on_choose, thumb, pool
        self.items: tuple[Item, ...] = ()
        self._places: dict[str, int] = {}
        self._stamp = 0
        self._wanted: list[int] = []
        self._busy = False

    @property
    def selected(self) -> str:
        return self.items[self.at].id if 0 <= self.at < len(self.items) else ""

    def show(self, items: Sequence[Item], selected: str) -> None:
        """Show a list of images and which one is chosen; an equal list is not sent again."""
        if tuple(items) == self.items and self._stamp:
            self.at = self._places.get(selected, -1)
            return
        self.items = tuple(items)
        self._places = {item.id: place for place, item in enumerate(self.items)}
        self._stamp += 1
        self._wanted = []
        at = self._places.get(selected, -1)
        self.param.update(
            listing={"stamp": self._stamp, "count": len(self.items)},
            at=at,
            names=self._window(max(at, 0) - WINDOW, max(at, 0) + WINDOW + 1),
        )

    def _window(self, start: int, stop: int) -> dict[str, Any]:
        start, stop = max(start, 0), min(stop, len(self.items), max(start, 0) + MOST_NAMES)
        rows = [[item.id, item.sample_id] for item in self.items[start:stop]]
        return {"stamp": self._stamp, "start": start, "rows": rows}

    def find(self, text: str) -> int:
        """Return the place of the image that a number or a part of a name means; -1 for none.

        Names are searched from the image after the chosen one on, around the end.
        """
        text = text.strip().casefold()
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(self.items):
            return int(text) - 1
        start = max(self.at, -1) + 1
        order = (*range(start, len(self.items)), *range(min(start, len(self.items))))
        found = (place for place in order if text in self.items[place].sample_id.casefold())
        return next(found, -1) if text else -1

    def _handle_msg(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "find":
            text = str(message.get("text", ""))[:200]
            place = self.find(text)
            self.answer = {"text": text, "at": place, "n": self.answer.get("n", 0) + 1}
            self._choose(place)
            return
        if message.get("stamp") != self._stamp:
            return  # about a list that is gone
        try:
            start, stop = int(message["start"]), int(message.get("stop", 0))
        except (KeyError, TypeError, ValueError):
            return
        if kind == "choose":
            self._choose(start)
        elif kind == "names":
            self.names = self._window(start, stop)
        elif kind == "thumbs":
            places = message.get("places")
            known = places if isinstance(places, list) else []
            self._wanted = [p for p in known[:200] if isinstance(p, int) and p < len(self.items)]
            if not self._busy:
                pn.state.onload(self._send_thumbs)  # before, the browser could not hear it

    def _choose(self, place: int) -> None:
        if 0 <= place < len(self.items):
            self.at = place
            self._on_choose(self.items[place].id)

    async def _send_thumbs(self) -> None:
        """Send the thumbnails wanted last, a few at a time; a newer wish takes over."""
        if self._busy:
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        try:
            while self._wanted:
                batch, self._wanted = self._wanted[:BATCH], self._wanted[BATCH:]
                items, stamp = self.items, self._stamp
                found = await loop.run_in_executor(
                    self._pool,
                    lambda batch=batch, items=items: {  # type: ignore[misc]
                        str(place): self._thumb(items[place]) for place in batch
                    },
                )
                if stamp == self._stamp:
                    self.thumbs = {"stamp": stamp, "found": found}
        finally:
            self._busy = False
