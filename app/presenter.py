"""Presenting: the live pages of a story's slides fill the window, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from xaieval.errors import XaievalError
from xaieval.story import Slide, Story, changes, changes_text
from xaieval.story.stamps import Stamp

from .pins import stamp_now
from .services import Services
from .state import AppState
from .theme import TOKENS
from .warming import Warming

log = logging.getLogger("xaieval.app")
_HERE = Path(__file__).parent / "present"
KEPT = ("story", "slide")
"""What the state keeps when the link of a slide is restored."""


def show_slide(state: AppState, services: Services, slide: Slide) -> None:
    """Bring a slide's view on screen exactly as it was pinned."""
    state.notices = []
    state.restore(slide.link, study=services.key_of, keep=KEPT)


def change_text(state: AppState, services: Services, slide: Slide) -> str:
    """Return what has changed since a slide was pinned, of the view on screen; "" for nothing."""
    now = stamp_now(state, services)
    if not slide.stamp or now is None:
        return ""
    try:
        found = changes(Stamp.read(slide.stamp), now)
    except XaievalError:
        return ""
    return changes_text(found, what="this slide was pinned") if found else ""


class Presenter(JSComponent):
    """The bar under the live page, and the keys of a talk; there only while ``active``.

    It starts and ends with ``state.presenting``.
    """

    active = param.Boolean(default=False)
    index = param.Integer(default=0)
    total = param.Integer(default=0)
    caption = param.String(default="")
    story = param.String(default="")
    note = param.String(default="", doc="what changed since the slide was pinned")

    _esm = _HERE / "presenter.js"
    _stylesheets = [TOKENS, (_HERE / "presenter.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, state: AppState, services: Services) -> None:
        super().__init__(width=0, height=0, margin=0)
        self._state, self._services = state, services
        self._told: Story | None = None
        self._warming = Warming(services)
        state.param.watch(self._on_presenting, "presenting")

    def _on_presenting(self, event: param.parameterized.Event) -> None:
        if not event.new:
            self._leave()
            return
        story = self._services.stories.all().get(self._state.story)
        if story is None or not story.slides:
            self._state.notify("This story has no slides: pin a view first.")
            self._state.presenting = False
            return
        self._told = story
        self.param.update(total=len(story.slides), story=story.title)
        self._go(story.at(self._state.slide) or 0)

    def _go(self, index: int) -> None:
        if self._told is None:
            return
        index = min(max(index, 0), len(self._told.slides) - 1)
        slide = self._told.slides[index]
        show_slide(self._state, self._services, slide)
        self._state.slide = slide.id
        note = change_text(self._state, self._services, slide)
        self.param.update(index=index, caption=slide.caption, note=note, active=True)
        if index + 1 < len(self._told.slides):
            self._warming.ahead(self._told.slides[index + 1])

    def _leave(self) -> None:
        self._warming.cancel()
        self._told = None
        self.active = False
        self._state.page = "present"

    def _handle_msg(self, message: dict[str, Any]) -> None:
        kind, index = message.get("type"), message.get("index")
        if kind == "leave":
            _execute(lambda: self._state.param.update(presenting=False))
        elif kind == "go" and isinstance(index, int) and not isinstance(index, bool):
            _execute(lambda: self._go(index))


def _execute(work: Callable[[], Any]) -> None:
    pn.state.execute(work)
